/* SPDX-License-Identifier: Apache-2.0 */
/*
 * self_enroll: a token for oneself, on the directory's password. The token is made on the user's machine, as that of a
 * recovery is, and is good for a quarter of an hour.
 *
 * Strangers try passwords here, so whatever is refused is refused alike: unknown addresses, people who are disabled,
 * have left or are not of the group that may, and wrong passwords. For all of them the directory is asked once (of
 * nobody, by an id that nobody has), and the answer leaves at a full second, however long that took. Attempts are
 * counted before the directory is asked, for the address and for the machine that they come from, so that asking in
 * parallel gains nothing.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/name.h"
#include "crypto/token.h"
#include "engine/token.h"

enum { SELF_AT_ONCE = 64, SELF_LIFETIME = 15 * 60 };

struct self {
        struct request *request;
        struct loop_timer timer; /* until the refusal leaves */
        uint64_t since_ms;
        struct id guid;
        bool nobody; /* may not enroll so, whatever the directory says */
        bool counted; /* against the limit of his machine, until it is known whether he is refused */
        char limit[LIMIT_KEY_SIZE];
};

/* Refusals are counted where all are. */
static void self_uncount(struct self *self)
{
        struct request *request = self->request;

        if (self->counted)
                limits_credit(&request->engine->limits, msg_text(request->api.address), clock_monotonic_ms());
        self->counted = false;
}

static void self_free(void *work)
{
        struct self *self = work;

        if (!self)
                return;
        self_uncount(self);
        loop_timer_done(&self->timer);
        self->request->engine->selves--;
        free(self);
}

/* ---- refusals */

static int self_refused(struct request *request, int result, struct bytes reply)
{
        self_uncount(request->work);
        return refuse(PROBLEM_PASSWORD,
                      "This address and password were not accepted. Check both; or ask whoever runs the server for a "
                      "token, since not everybody may enroll by password.");
}

static int self_due(void *context)
{
        struct self *self = context;

        request_continue(self->request, 0, BYTES_NONE);
        return 0;
}

static int self_refuse_later(struct request *request)
{
        struct self *self = request->work;
        uint64_t spent = clock_monotonic_ms() - self->since_ms, step = request->engine->self_step_ms;

        loop_timer_arm(&self->timer, step - spent % step);
        request_wait(request, self_refused);
        return 0;
}

/* ---- the token */

static int self_token_fill(struct request *request, const struct user_row *user, struct token_row *row)
{
        const struct msg_self_enroll *ask = request->message;
        struct engine *engine = request->engine;

        memcpy(row->selector, ask->selector, SELECTOR_SIZE);
        row->kind = TOKEN_ENROLL;
        row->delivery = DELIVER_HAND;
        row->user = user->id;
        row->state = TOKEN_ISSUED;
        row->auth = secret_copy(secret_view(&ask->auth));
        row->created = engine_now(engine);
        row->expires = row->created + SELF_LIFETIME;
        row->attempts_most = (int64_t)engine->config.token_attempts;
        row->issuer = text_copy("directory password");
        row->profile = text_copy(engine->config.encryption_profile);
        return PASS(store_token_add(engine->store, row));
}

/* Who was cut off asks again with the same token, and has it already. */
static int self_has(struct request *request, const struct user_row *user, bool *ret_has)
{
        const struct msg_self_enroll *ask = request->message;
        struct msg_self_enrolled *reply = request->reply;
        CLEANUP(token_row_done) struct token_row row = {0};
        int r = store_token_find(request->engine->store, ask->selector, &row);

        if (r == PROBLEM_NOT_FOUND)
                return 0;
        TRY(r);
        *ret_has = id_equal(&row.user, &user->id) && row.state == TOKEN_ISSUED &&
                   bytes_equal_constant_time(secret_view(&row.auth), secret_view(&ask->auth));
        reply->expires = row.expires;
        return *ret_has ? 0 : refuse(PROBLEM_EXISTS, "There is another token of this name; make a new one.");
}

/* Known to who has the right password. Whom somebody revoked comes back by somebody's decision only. */
static int self_permitted(const struct user_row *user)
{
        if (user->state == USER_ENROLLED)
                return refuse(PROBLEM_STATE, "%s is enrolled already; after a loss of keys ask for a recovery.",
                              msg_text(user->cn));
        if (user->revoked && user->state != USER_NEW)
                return refuse(PROBLEM_STATE,
                              "The certificates of %s were revoked; whoever runs the server can give a token.",
                              msg_text(user->cn));
        if (!state_permits(&user_states, (int)user->state, USER_TOKEN_ISSUED))
                return refuse(PROBLEM_STATE, "A recovery is under way; it is completed with its token.");
        return 0;
}

static int self_give(struct request *request, const struct entry_row *entry)
{
        struct msg_self_enrolled *reply = request->reply;
        CLEANUP(user_row_done) struct user_row user = {0};
        CLEANUP(token_row_done) struct token_row row = {0};
        bool has = false;

        TRY(token_user(request->engine, entry, &user));
        TRY(self_permitted(&user));
        TRY(self_has(request, &user, &has));
        if (has)
                return 0;
        TRY(token_user_begin(request->engine, entry, &user));
        TRY(self_token_fill(request, &user, &row));
        reply->expires = row.expires;
        return 0;
}

/* ---- the question */

/* Is it a member, in whatever depth? The members are listed in the order of their ids. */
static int entry_note(void *context, struct entry_row *entry)
{
        *(struct id *)context = entry->guid;
        return 0;
}

static int group_has(struct engine *engine, const char *group, const struct id *guid, bool *ret_has)
{
        struct store_entry_filter filter = {.group = group, .kind = ENTRY_PERSON};
        struct id before = *guid, found = ID_NONE;
        int r;

        for (size_t i = ID_SIZE; i-- && before.data[i]-- == 0;)
                ;
        r = store_entry_list(engine->store, &filter, &before, 1, &found, entry_note);
        *ret_has = r == 0 && id_equal(&found, guid);
        return r == PROBLEM_NOT_FOUND || r == PROBLEM_EXISTS
                   ? refuse(PROBLEM_CONFIGURATION, "[enroll] self-group does not name one group of the directory.")
                   : PASS(r);
}

/* Asked before the directory is, and again when it has answered: in between he may have left, or been taken out of the
 * group. */
static int self_may(struct engine *engine, const struct entry_row *entry, bool *ret_may)
{
        *ret_may = entry->kind == ENTRY_PERSON && !entry->gone && !entry->disabled && entry->addresses.count;
        if (*ret_may && *engine->config.self_group)
                TRY(group_has(engine, engine->config.self_group, &entry->guid, ret_may));
        return 0;
}

static int self_find(struct request *request, const char *address, struct entry_row *ret_entry, bool *ret_may)
{
        struct engine *engine = request->engine;
        int r = store_entry_find_address(engine->store, address, ret_entry);

        *ret_may = false;
        if (r == PROBLEM_NOT_FOUND)
                return 0;
        TRY(r);
        return PASS(self_may(engine, ret_entry, ret_may));
}

static int self_answered(struct request *request, int result, struct bytes reply)
{
        struct self *self = request->work;
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        bool may = true;

        if (result == PROBLEM_PASSWORD || (result == 0 && self->nobody))
                return PASS(self_refuse_later(request));
        if (result == 0) {
                TRY(store_entry_find(request->engine->store, &self->guid, &entry));
                TRY(self_may(request->engine, &entry, &may));
        }
        if (!may)
                return PASS(self_refuse_later(request));
        limits_credit(&request->engine->passwords, self->limit, clock_monotonic_ms());
        TRY(result);
        request->proven = true;
        request_actor(request, "user:%s", entry.addresses.items[0]);
        return PASS(self_give(request, &entry));
}

static int self_ask(struct request *request, const char *address)
{
        const struct msg_self_enroll *ask = request->message;
        struct self *self = request->work;
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        bool may = false;
        int r;

        TRY(self_find(request, address, &entry, &may));
        self->nobody = !may;
        self->guid = may ? entry.guid : id_new();
        r = directory_ask_bind(request, &self->guid, may ? msg_text(entry.name) : "", &ask->password, self_answered);
        return r == PROBLEM_PASSWORD ? PASS(self_refuse_later(request)) : PASS(r);
}

static int self_limits(struct request *request, struct self *self, const char *address)
{
        struct engine *engine = request->engine;
        struct digest digest = sha256(bytes_text(address));
        CLEANUP(buf_done) struct buf key = BUF_NONE;

        hex_add(&key, bytes_of(digest.data, (LIMIT_KEY_SIZE - 1) / 2));
        memcpy(self->limit, buf_text(&key), key.len);
        if (!limits_permit(&engine->limits, msg_text(request->api.address), self->since_ms) ||
            !limits_permit(&engine->passwords, self->limit, self->since_ms))
                return refuse(PROBLEM_TOO_MANY,
                              "Too many passwords were refused for this address, from this machine, or "
                              "from all; wait a while before the next attempt.");
        limits_charge(&engine->passwords, self->limit, self->since_ms);
        limits_charge(&engine->limits, msg_text(request->api.address), self->since_ms);
        self->counted = true;
        return 0;
}

static struct self *self_new(struct request *request)
{
        struct self *self = NEW(struct self);

        self->request = request;
        self->since_ms = clock_monotonic_ms();
        loop_timer_init(&self->timer, request->engine->loop, self_due, self);
        request->engine->selves++;
        request->work_free = self_free;
        request->work = self;
        return self;
}

static int self_check(const struct msg_self_enroll *ask, struct buf *ret_address)
{
        TRY(address_key(bytes_text(msg_text(ask->address)), ret_address));
        TRY(selector_check(bytes_text(msg_text(ask->selector))));
        if (ask->auth.len != KEY_SIZE)
                return refuse(PROBLEM_MALFORMED, "The key of the token has %zu bytes; it takes %d.", ask->auth.len,
                              KEY_SIZE);
        return 0;
}

int self_enroll_handle(struct request *request)
{
        const struct msg_self_enroll *ask = request->message;
        struct engine *engine = request->engine;
        CLEANUP(buf_done) struct buf address = BUF_NONE;
        char *guard CLEANUP(mem_freep) = NULL;
        struct self *self;

        if (!engine->config.self_enroll)
                return refuse(PROBLEM_FORBIDDEN, "This server enrolls nobody by the directory's password; ask whoever "
                                                 "runs it for a token.");
        TRY(self_check(ask, &address));
        request_subject(request, "%s", buf_text(&address));
        guard = text_format("self:%s", buf_text(&address));
        if (request_guard(request, guard))
                return 0;
        if (engine->selves >= SELF_AT_ONCE)
                return refuse(PROBLEM_BUSY, "Too many people enroll at this moment; try again shortly.");
        self = self_new(request);
        TRY(self_limits(request, self, buf_text(&address)));
        return PASS(self_ask(request, buf_text(&address)));
}
