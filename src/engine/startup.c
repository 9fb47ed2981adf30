/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Startup requests: sealed, and the startup secret lost. What is stored here cannot be under a MAC, since nobody has
 * the keys; the keeper verifies everything once the officers' contributions have opened the database key, and until
 * then this is only a place to leave it. Each request goes to the keeper that made its transport key; when that one
 * is gone, a new request must be made.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/archive.h"
#include "crypto/statement.h"
#include "engine/recover.h"

#define PREFIX "startup-"
enum { STARTUP_MOST = 16, STARTUP_LIFETIME = 7 * 86400 };

bool startup_is(const char *request)
{
        return strncmp(request, PREFIX, strlen(PREFIX)) == 0;
}

static int startup_number(const char *name, int64_t *ret_number)
{
        uint64_t number = 0;

        TRY(number_parse(bytes_text(name + strlen(PREFIX)), INT64_MAX, &number));
        *ret_number = (int64_t)number;
        return 0;
}

static int startup_load(struct engine *engine, const char *name, int64_t *ret_number,
                        struct msg_startup_request *ret_stored)
{
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        int r;

        TRY(startup_number(name, ret_number));
        r = store_bootstrap_get(engine->store, "startup", *ret_number, &encoded);
        if (r == PROBLEM_NOT_FOUND)
                return refuse(PROBLEM_NOT_FOUND, "There is no request %s.", name);
        TRY(r);
        TRY(msg_decode(startup_request, buf_view(&encoded), ret_stored));
        if (ret_stored->request.count != 1)
                return refuse(PROBLEM_TAMPERED, "The stored request %s is none.", name);
        return 0;
}

static int startup_store(struct engine *engine, int64_t number, const struct msg_startup_request *stored)
{
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;

        TRY(msg_encode(startup_request, stored, &encoded));
        return PASS(store_bootstrap_put(engine->store, "startup", number, buf_view(&encoded)));
}

static void item_copy(const struct msg_request_item *from, struct msg_request_item *to)
{
        to->request = text_copy(msg_text(from->request));
        to->kind = text_copy(msg_text(from->kind));
        to->state = text_copy(msg_text(from->state));
        to->reason = text_copy(msg_text(from->reason));
        to->requester = text_copy(msg_text(from->requester));
        to->created = from->created;
        to->expires = from->expires;
        to->keys = from->keys;
        to->quorum = from->quorum;
        msg_texts_copy(&to->approved_by, &from->approved_by);
        msg_texts_copy(&to->refused_by, &from->refused_by);
}

static void state_set(struct msg_request_item *item, const char *state)
{
        free(item->state);
        item->state = text_copy(state);
}

static bool state_is_open(const struct msg_startup_request *stored)
{
        return strcmp(msg_text(stored->request.at[0].state), "open") == 0;
}

/* ---- request_startup */

static int terms_build(struct request *request, const struct msg_request_startup *ask,
                       const struct msg_request_item *item, struct msg_startup_request *stored)
{
        struct engine *engine = request->engine;
        const struct keeper_link *keeper = keeper_find(engine, NULL);
        MSG_OWN(terms) terms = {0};
        CLEANUP(buf_done) struct buf archived = BUF_NONE;
        struct msg_recovery_item *key = MSG_LIST_ADD(terms.items);
        struct archive_record record;
        struct digest hash;

        if (!keeper)
                return refuse(PROBLEM_BUSY, "No keeper is ready for this yet; try again in a moment.");
        TRY(store_bootstrap_get(engine->store, "database-key", -1, &archived));
        TRY(archive_parse(buf_view(&archived), &record));
        hash = sha256(buf_view(&archived));
        buf_add_bytes(&key->point, point_view(&record.r));
        buf_add_bytes(&key->record_hash, digest_view(&hash));
        terms.server_id = text_copy(msg_text(engine->trust.server_id));
        terms.request = text_copy(item->request);
        terms.kind = text_copy("startup");
        terms.reason = text_copy(msg_text(ask->reason));
        terms.requester = text_copy(item->requester);
        buf_add_bytes(&terms.recipient, buf_view(&ask->recipient));
        terms.created = item->created;
        terms.expires = item->expires;
        buf_add_bytes(&terms.transport, buf_view(&keeper->transport));
        return PASS(msg_encode(terms, &terms, &stored->terms));
}

static int startup_expect_sealed(struct request *request)
{
        if (store_sealed(request->engine->store))
                return 0;
        return refuse(
            PROBLEM_STATE,
            "The server is unsealed, so its startup secret is not lost; startup requests are for a sealed one.");
}

struct crowd {
        size_t count;
        int64_t done; /* the oldest that is decided or expired; 0: none */
        int64_t now;
};

static int crowd_count(void *context, int64_t number, struct bytes record)
{
        struct crowd *crowd = context;
        MSG_OWN(startup_request) stored = {0};

        crowd->count++;
        if (msg_decode(startup_request, record, &stored) || !stored.request.count)
                return 0;
        if (!crowd->done && !stored.wrap.len && (!state_is_open(&stored) || stored.request.at[0].expires <= crowd->now))
                crowd->done = number;
        return 0;
}

/* Nothing here is under a MAC and the chain knows nothing of it, so there are few; what is decided makes place. */
static int crowd_limit(struct request *request)
{
        struct engine *engine = request->engine;
        struct crowd crowd = {.now = engine_now(engine)};

        TRY(store_bootstrap_list(engine->store, "startup", &crowd, crowd_count));
        if (crowd.count < STARTUP_MOST)
                return 0;
        if (!crowd.done)
                return refuse(PROBLEM_TOO_MANY, "%zu startup requests are open already; officers can refuse those that are "
                                                "not meant, and a new one can be made then.",
                              crowd.count);
        return PASS(store_bootstrap_remove(engine->store, "startup", crowd.done));
}

int request_startup_handle(struct request *request)
{
        const struct msg_request_startup *ask = request->message;
        struct msg_request_startup_created *reply = request->reply;
        struct engine *engine = request->engine;
        MSG_OWN(startup_request) stored = {0};
        struct msg_request_item *item = MSG_LIST_ADD(stored.request);
        struct point recipient;
        uint64_t last = 0;

        TRY(startup_expect_sealed(request));
        TRY(point_parse(buf_view(&ask->recipient), &recipient));
        TRY(crowd_limit(request));
        TRY(bootstrap_last(engine->store, "startup", &last));
        item->request = text_format(PREFIX "%llu", (unsigned long long)last + 1);
        item->kind = text_copy("startup");
        item->state = text_copy("open");
        item->reason = text_copy(msg_text(ask->reason));
        item->requester = text_copy(request_operator(request));
        item->created = engine_now(engine);
        item->expires = item->created + MIN(engine->config.request_lifetime, STARTUP_LIFETIME);
        item->keys = 1;
        item->quorum = engine->trust.quorum;
        TRY(terms_build(request, ask, item, &stored));
        TRY(startup_store(engine, (int64_t)last + 1, &stored));
        item_copy(item, MSG_LIST_ADD(reply->request));
        return 0;
}

/* ---- showing */

int startup_show(struct request *request)
{
        const struct msg_request_show *ask = request->message;
        struct msg_request_shown *reply = request->reply;
        MSG_OWN(startup_request) stored = {0};
        int64_t number = 0;

        TRY(startup_load(request->engine, ask->request, &number, &stored));
        item_copy(&stored.request.at[0], MSG_LIST_ADD(reply->request));
        reply->terms = buf_take(&stored.terms);
        reply->startup_envelope = buf_take(&stored.startup_envelope);
        for (size_t i = 0; i < stored.approvals.count; i++) {
                struct msg_approval_item *item = MSG_LIST_ADD(reply->approvals);

                *item = stored.approvals.at[i];
                stored.approvals.at[i] = (struct msg_approval_item){0};
                buf_done(&item->box);
        }
        return 0;
}

static int list_one(void *context, int64_t number, struct bytes record)
{
        struct msg_request_listed *reply = context;
        MSG_OWN(startup_request) stored = {0};

        TRY(msg_decode(startup_request, record, &stored));
        if (stored.request.count)
                item_copy(&stored.request.at[0], MSG_LIST_ADD(reply->requests));
        return 0;
}

int startup_list(struct request *request, struct msg_request_listed *reply)
{
        const struct msg_request_list *ask = request->message;
        MSG_OWN(request_listed) all = {0};

        TRY(store_bootstrap_list(request->engine->store, "startup", &all, list_one));
        for (size_t i = 0; i < all.requests.count; i++)
                if (!ask->state || strcmp(ask->state, msg_text(all.requests.at[i].state)) == 0)
                        item_copy(&all.requests.at[i], MSG_LIST_ADD(reply->requests));
        return 0;
}

int startup_refuse(struct request *request)
{
        const struct msg_request_refuse *ask = request->message;
        struct msg_request_refused *reply = request->reply;
        MSG_OWN(startup_request) stored = {0};
        struct msg_request_item *item;
        int64_t number = 0;
        bool own;

        TRY(startup_load(request->engine, ask->request, &number, &stored));
        item = &stored.request.at[0];
        if (!state_is_open(&stored))
                return refuse(PROBLEM_STATE, "The request is %s.", item->state);
        own = strcmp(msg_text(item->requester), request_operator(request)) == 0;
        if (!own && !request_has_role(request, ROLE_OFFICER))
                return refuse(PROBLEM_FORBIDDEN,
                              "Only officers refuse requests, and only who made one withdraws it.");
        state_set(item, own ? "cancelled" : "refused");
        if (!own)
                msg_texts_add(&item->refused_by, request_operator(request));
        TRY(startup_store(request->engine, number, &stored));
        item_copy(item, MSG_LIST_ADD(reply->request));
        return 0;
}

/* ---- approving */

static int approved_reply(struct request *request, const struct msg_startup_request *stored)
{
        struct msg_request_approved *reply = request->reply;

        item_copy(&stored->request.at[0], MSG_LIST_ADD(reply->request));
        if (state_is_open(stored))
                reply->detail = approval_sentence(stored->approvals.count, request->engine->trust.quorum);
        else
                reply->detail = text_copy(
                    "The database key was opened and has a new startup secret, enveloped for the requester.");
        return 0;
}

static void approvals_strike(struct msg_startup_request *stored, const struct msg_texts *officers)
{
        struct msg_request_item *item = &stored->request.at[0];
        size_t kept = 0;

        MSG_OWN(request_item) fresh = {0};
        for (size_t i = 0; i < stored->approvals.count; i++) {
                struct msg_approval_item *approval = &stored->approvals.at[i];

                if (msg_texts_have(officers, msg_text(approval->officer))) {
                        msg_done(approval_item, approval);
                        continue;
                }
                msg_texts_add(&fresh.approved_by, approval->officer);
                if (kept != i) {
                        stored->approvals.at[kept] = *approval;
                        *approval = (struct msg_approval_item){0};
                }
                kept++;
        }
        stored->approvals.count = kept;
        struct msg_texts former = item->approved_by;
        item->approved_by = fresh.approved_by;
        fresh.approved_by = former;
}

static int startup_apply(struct request *request, struct msg_keeper_opened *opened, int64_t number,
                         struct msg_startup_request *stored)
{
        if (opened->struck.count) {
                approvals_strike(stored, &opened->struck);
                return PASS(startup_store(request->engine, number, stored));
        }
        state_set(&stored->request.at[0], "done");
        stored->wrap = buf_take(&opened->wrap);
        stored->startup_envelope = buf_take(&opened->startup_envelope);
        for (size_t i = 0; i < stored->approvals.count; i++)
                buf_done(&stored->approvals.at[i].box);
        TRY(startup_store(request->engine, number, stored));
        /* The keeper that opened it has the new wrap record; the others unseal with the old one until they are told. */
        request->engine->keepers_reload = true;
        return store_sealed(request->engine->store) ? 0 : PASS(startup_adopt(request->engine));
}

static int startup_opened(struct request *request, int result, struct bytes reply)
{
        const struct msg_request_approve *ask = request->message;
        MSG_OWN(startup_request) stored = {0};
        MSG_OWN(keeper_opened) opened = {0};
        int64_t number = 0;

        request->call.pinned = false;
        TRY(result);
        TRY(msg_decode(keeper_opened, reply, &opened));
        TRY(startup_load(request->engine, ask->request, &number, &stored));
        TRY(startup_apply(request, &opened, number, &stored));
        TRY(approved_reply(request, &stored));
        if (opened.struck.count) {
                struct msg_request_approved *answer = request->reply;

                free(answer->detail);
                answer->detail = text_format("The contribution of %s does not verify and was struck; the request "
                                             "stays open for another approval.",
                                             opened.struck.at[0]);
        }
        return 0;
}

/* Only the keeper whose key officers encrypt to can read what they contribute. */
static int startup_keeper(struct request *request, const struct msg_startup_request *stored)
{
        MSG_OWN(terms) terms = {0};

        TRY(msg_decode(terms, buf_view(&stored->terms), &terms));
        TRY(point_parse(buf_view(&terms.transport), &request->call.transport));
        if (!keeper_find(request->engine, &request->call.transport))
                return refuse(PROBLEM_STATE, "The keeper that this request was made for was restarted since, so its "
                                             "approvals can be read by nobody; make a "
                                             "new request.");
        return 0;
}

static int startup_open(struct request *request, struct msg_startup_request *stored)
{
        MSG_OWN(keeper_open) ask = {0};
        struct msg_archive_item *item = MSG_LIST_ADD(ask.archive);
        int r;

        TRY(startup_keeper(request, stored));
        TRY(store_bootstrap_get(request->engine->store, "database-key", -1, &item->record));
        ask.terms = buf_copy_of(buf_view(&stored->terms));
        /* Lent for the encoding. */
        ask.approvals.at = stored->approvals.at;
        ask.approvals.count = stored->approvals.count;
        request->call.pinned = true;
        r = request_keeper(request, MSG_keeper_open, &ask, startup_opened);
        ask.approvals.at = NULL;
        ask.approvals.count = 0;
        return PASS(r);
}

static void approval_add(struct request *request, struct msg_approval_item *approval,
                         struct msg_startup_request *stored)
{
        struct msg_approval_item *item;

        for (size_t i = 0; i < stored->approvals.count; i++)
                if (strcmp(msg_text(stored->approvals.at[i].officer), request_operator(request)) == 0)
                        return;
        item = MSG_LIST_ADD(stored->approvals);
        *item = *approval;
        *approval = (struct msg_approval_item){0};
        item->time = engine_now(request->engine);
        msg_texts_add(&stored->request.at[0].approved_by, request_operator(request));
}

int startup_approve(struct request *request)
{
        struct msg_request_approve *ask = request->message;
        MSG_OWN(startup_request) stored = {0};
        int64_t number = 0;

        TRY(startup_load(request->engine, ask->request, &number, &stored));
        TRY(approval_check(request, &ask->approval.at[0], buf_view(&stored.terms)));
        if (strcmp(msg_text(stored.request.at[0].state), "done") == 0)
                return msg_texts_have(&stored.request.at[0].approved_by, request_operator(request))
                               ? PASS(approved_reply(request, &stored))
                               : PASS(approval_late());
        if (!state_is_open(&stored))
                return refuse(PROBLEM_STATE, "The request is %s.", stored.request.at[0].state);
        TRY(startup_expect_sealed(request));
        if (stored.request.at[0].expires <= engine_now(request->engine))
                return refuse(PROBLEM_STATE, "The request has expired; a new one can be made.");
        TRY(startup_keeper(request, &stored));
        approval_add(request, &ask->approval.at[0], &stored);
        TRY(startup_store(request->engine, number, &stored));
        if (stored.approvals.count < request->engine->trust.quorum)
                return PASS(approved_reply(request, &stored));
        return PASS(startup_open(request, &stored));
}

/* ---- once unsealed */

struct adoption {
        struct engine *engine;
        int64_t number;
        struct buf wrap;
        char *words;
};

static int adoption_find(void *context, int64_t number, struct bytes record)
{
        struct adoption *adoption = context;
        MSG_OWN(startup_request) stored = {0};

        if (msg_decode(startup_request, record, &stored) || !stored.wrap.len || !stored.request.count ||
            number < adoption->number)
                return 0;
        adoption->number = number;
        buf_done(&adoption->wrap);
        adoption->wrap = buf_take(&stored.wrap);
        return 0;
}

int startup_wrap(struct engine *engine, struct buf *ret_wrap)
{
        struct adoption adoption = {.engine = engine};
        int r = store_bootstrap_list(engine->store, "startup", &adoption, adoption_find);

        if (!r && !adoption.wrap.len)
                r = PROBLEM_NOT_FOUND;
        if (!r)
                *ret_wrap = buf_take(&adoption.wrap);
        buf_done(&adoption.wrap);
        return r == PROBLEM_NOT_FOUND ? r : PASS(r);
}

static int adopt_one(struct engine *engine, int64_t number)
{
        char name[40];
        MSG_OWN(startup_request) stored = {0};
        CLEANUP(buf_done) struct buf details = BUF_NONE;
        uint64_t last = 0;

        snprintf(name, sizeof(name), PREFIX "%lld", (long long)number);
        TRY(startup_load(engine, name, &number, &stored));
        TRY(bootstrap_last(engine->store, "wrap", &last));
        TRY(store_bootstrap_put(engine->store, "wrap", (int64_t)last + 1, buf_view(&stored.wrap)));
        buf_done(&stored.wrap);
        TRY(startup_store(engine, number, &stored));
        buf_add_format(&details, "asked by %s (%s), approved by", msg_text(stored.request.at[0].requester),
                       msg_text(stored.request.at[0].reason));
        for (size_t i = 0; i < stored.approvals.count; i++)
                buf_add_format(&details, " %s", msg_text(stored.approvals.at[i].officer));
        return PASS(engine_audit_server(engine, "server.startup", name, "done", buf_text(&details)));
}

int startup_adopt(struct engine *engine)
{
        struct adoption adoption = {.engine = engine};
        int r = store_bootstrap_list(engine->store, "startup", &adoption, adoption_find);

        if (!r && adoption.wrap.len)
                r = adopt_one(engine, adoption.number);
        buf_done(&adoption.wrap);
        return PASS(r);
}
