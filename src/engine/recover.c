/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recovery requests: created by registrars and officers, shown with the exact terms, listed, refused, withdrawn. The
 * terms are built once, from the archive records of the user, and stored: what officers sign is those bytes.
 * Approvals are in approve.c.
 */
#include "engine/recover.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/archive.h"
#include "crypto/certificate.h"
#include "crypto/name.h"
#include "crypto/statement.h"
#include "crypto/token.h"
#include "engine/deliver.h"

/* As messages.def permits. */
enum { TERMS_ADDRESSES = 256, TERMS_NAME = 1024 };

/* ---- rows as others see them */

static int approval_collect(void *context, struct approval_row *row)
{
        struct approval_rows *rows = context;

        rows->items = message_list_grow(rows->items, rows->count, sizeof(*rows->items));
        rows->items[rows->count++] = *row;
        rows->given += row->verdict == APPROVAL_GIVEN;
        *row = (struct approval_row){0};
        return 0;
}

int approvals_of(struct engine *engine, const struct id *request, struct approval_rows *ret_rows)
{
        CLEANUP(approval_rows_done) struct approval_rows rows = {0};

        TRY(store_approval_list(engine->store, request, &rows, approval_collect));
        *ret_rows = rows;
        rows = (struct approval_rows){0};
        return 0;
}

void approval_rows_done(struct approval_rows *rows)
{
        for (size_t i = 0; i < rows->count; i++)
                approval_row_done(&rows->items[i]);
        free(rows->items);
        *rows = (struct approval_rows){0};
}

int request_named(struct engine *engine, const char *name, struct request_row *ret_row)
{
        struct id id;
        int r = id_parse(bytes_text(name), &id);

        if (!r)
                r = store_request_find(engine->store, &id, ret_row);
        if (r == PROBLEM_NOT_FOUND || r == PROBLEM_MALFORMED)
                return refuse(PROBLEM_NOT_FOUND, "There is no request %s.", name);
        return PASS(r);
}

int request_item_fill(struct engine *engine, const struct request_row *row, struct msg_request_item *ret_item)
{
        CLEANUP(approval_rows_done) struct approval_rows approvals = {0};
        MSG_OWN(terms) terms = {0};
        char text[ID_TEXT_SIZE];

        TRY(msg_decode(terms, buf_view(&row->records), &terms));
        TRY(approvals_of(engine, &row->id, &approvals));
        ret_item->request = text_copy(id_text(&row->id, text));
        ret_item->kind = text_copy("recover");
        ret_item->state = text_copy(state_name(&request_states, (int)row->state));
        ret_item->user = TAKE(terms.user);
        ret_item->name = TAKE(terms.name);
        ret_item->reason = text_copy(msg_text(row->reason));
        ret_item->requester = text_copy(msg_text(row->requester));
        ret_item->created = row->created;
        ret_item->expires = row->expires;
        ret_item->keys = terms.items.count;
        ret_item->quorum = engine->trust.quorum;
        for (size_t i = 0; i < approvals.count; i++) {
                if (approvals.items[i].verdict == APPROVAL_GIVEN)
                        msg_texts_add(&ret_item->approved_by, approvals.items[i].officer);
                if (approvals.items[i].verdict == APPROVAL_REFUSED)
                        msg_texts_add(&ret_item->refused_by, approvals.items[i].officer);
        }
        return 0;
}

/* ---- request_create */

/* Whose keys they are is what their certificates say, which the keeper compares; the directory, which a registrar may
 * change, only adds to it. */
static int terms_certified(const struct certificate_row *row, struct msg_terms *terms)
{
        CLEANUP(certificate_done) struct certificate certificate = {0};
        CLEANUP(buf_done) struct buf name = BUF_NONE;

        TRY(certificate_parse(buf_view(&row->der), &certificate));
        for (size_t i = 0; i < certificate.address_count; i++)
                if (!msg_texts_have(&terms->addresses, certificate_address(&certificate, i)))
                        msg_texts_add(&terms->addresses, certificate_address(&certificate, i));
        if (terms->addresses.count > TERMS_ADDRESSES)
                return refuse(PROBLEM_TOO_LARGE, "The keys are for more than %d mail addresses.", TERMS_ADDRESSES);
        if (terms->name)
                return 0;
        TRY(name_common_name(certificate.subject, &name));
        terms->name = text_copy(buf_text(&name));
        return 0;
}

static int terms_item(struct engine *engine, const struct archive_row *row, struct msg_terms *terms)
{
        struct msg_recovery_item *item = MSG_LIST_ADD(terms->items);
        CLEANUP(certificate_row_done) struct certificate_row certificate = {0};
        CLEANUP(buf_done) struct buf serial = BUF_NONE;
        struct archive_record record;
        struct digest hash = sha256(buf_view(&row->record));

        TRY(archive_parse(buf_view(&row->record), &record));
        TRY(store_certificate_find(engine->store, row->serial, &certificate));
        hex_add(&serial, bytes_of(row->serial, SERIAL_SIZE));
        TRY(terms_certified(&certificate, terms));
        item->record_id = record_id_wire(&row->id);
        item->serial = text_copy(buf_text(&serial));
        item->not_before = certificate.not_before;
        item->not_after = certificate.not_after;
        buf_add(&item->spki_hash, row->spki_hash, HASH_SIZE);
        buf_add_bytes(&item->point, point_view(&record.r));
        buf_add_bytes(&item->record_hash, digest_view(&hash));
        return 0;
}

static int terms_items(struct engine *engine, const struct user_row *user, struct msg_terms *terms)
{
        CLEANUP(archive_rows_done) struct archive_rows rows = {0};

        TRY(archives_of(engine, &user->id, &rows));
        if (!rows.count)
                return refuse(PROBLEM_STATE, "No key of %s is archived.", msg_text(user->cn));
        if (rows.count > 4096)
                return refuse(PROBLEM_TOO_LARGE, "%s has %zu archived keys; a request takes 4096.",
                              msg_text(user->cn), rows.count);
        for (size_t i = 0; i < rows.count; i++)
                TRY(terms_item(engine, &rows.items[i], terms));
        return 0;
}

/* What the directory says now, where it differs. */
static void terms_directory(const char *name, const struct msg_texts *addresses, struct msg_terms *terms)
{
        for (size_t i = 0; i < addresses->count && terms->addresses.count < TERMS_ADDRESSES; i++)
                if (!msg_texts_have(&terms->addresses, addresses->at[i]))
                        msg_texts_add(&terms->addresses, addresses->at[i]);
        if (strcmp(msg_text(terms->name), name) != 0) {
                char *both = text_format("%s, in the directory now: %s", msg_text(terms->name), name);

                if (strlen(both) <= TERMS_NAME) {
                        free(terms->name);
                        terms->name = TAKE(both);
                }
                free(both);
        }
}

static int terms_build(struct request *request, const struct user_row *user, struct request_row *row)
{
        struct engine *engine = request->engine;
        MSG_OWN(terms) terms = {0};
        MSG_OWN(subject) subject = {0};
        char text[ID_TEXT_SIZE];
        struct digest digest;
        int r = subject_of(engine, user, &subject);

        /* Who has left may be gone from the directory; then it is the name and address that he had. */
        if (r && r != PROBLEM_STATE)
                return PASS(r);
        terms.server_id = text_copy(msg_text(engine->trust.server_id));
        terms.request = text_copy(id_text(&row->id, text));
        terms.kind = text_copy("recover");
        terms.user = text_copy(id_text(&user->id, text));
        TRY(terms_items(engine, user, &terms));
        terms_directory(r ? msg_text(user->cn) : msg_text(subject.name), &subject.addresses, &terms);
        terms.reason = text_copy(msg_text(row->reason));
        terms.requester = text_copy(msg_text(row->requester));
        buf_add_bytes(&terms.recipient, buf_view(&row->recipient));
        terms.created = row->created;
        terms.expires = row->expires;
        buf_add_bytes(&terms.transport, buf_view(&engine->trust.transport_key));
        TRY(msg_encode(terms, &terms, &row->records));
        digest = terms_digest(buf_view(&row->records));
        memcpy(row->digest, digest.data, sizeof(row->digest));
        return 0;
}

static int open_find(void *context, struct request_row *row)
{
        struct id *found = context;

        if (row->kind == REQUEST_RECOVER && row->state == REQUEST_OPEN)
                *found = row->id;
        return 0;
}

static int none_open(struct engine *engine, const struct user_row *user)
{
        struct id found = ID_NONE;
        char text[ID_TEXT_SIZE];

        TRY(store_request_list(engine->store, REQUEST_OPEN, &user->id, NULL, 100, &found, open_find));
        if (id_is_none(&found))
                return 0;
        return refuse(PROBLEM_EXISTS,
                      "The recovery of %s is asked already, in request %s; withdraw that with 'vouchsafe request "
                      "refuse' first.",
                      msg_text(user->cn), id_text(&found, text));
}

static int create_check(struct request *request, const struct msg_request_create *ask, const struct user_row *user)
{
        CLEANUP(token_row_done) struct token_row taken = {0};
        struct point recipient;
        int r;

        TRY(selector_check(bytes_text(msg_text(ask->selector))));
        TRY(point_parse(buf_view(&ask->recipient), &recipient));
        if (ask->auth.len != KEY_SIZE)
                return refuse(PROBLEM_MALFORMED, "The token's MAC key has %zu bytes in place of %d.", ask->auth.len,
                              KEY_SIZE);
        if (!ask->reason)
                return refuse(PROBLEM_MALFORMED,
                              "A recovery needs a reason: the officers decide by it, and the audit trail keeps it.");
        if (!state_permits(&user_states, (int)user->state, USER_RECOVERY_GRANTED))
                return refuse(PROBLEM_STATE, "%s is %s, and has nothing to be recovered.", msg_text(user->cn),
                              state_name(&user_states, (int)user->state));
        r = store_token_find(request->engine->store, ask->selector, &taken);
        if (r == 0)
                return refuse(PROBLEM_EXISTS, "The token is taken; make another one.");
        if (r != PROBLEM_NOT_FOUND)
                return PASS(r);
        return PASS(none_open(request->engine, user));
}

/* The requester's machine has made both parts; this is the one that the server mails. */
static int mail_part_check(struct engine *engine, const struct msg_request_create *ask, const struct user_row *user)
{
        CLEANUP(token_done) struct token part = TOKEN_NONE;
        MSG_OWN(subject) subject = {0};
        enum token_delivery delivery;
        int r;

        if (!ask->mail_part.len)
                return 0;
        TRY(delivery_of(engine, delivery_name(DELIVER_SPLIT), &delivery));
        if (token_add(secret_view(&ask->mail_part), &part) != 0 || part.secret.len)
                return refuse(PROBLEM_MALFORMED, "What is to be mailed is not the part by mail of a token.");
        r = subject_of(engine, user, &subject);
        return r ? report_prefix(PASS(r), "The part by mail can be sent to nobody; ask for a token by hand. ") : 0;
}

/* Not to be redeemed before the request is done; it lives as long as the request until then. */
static int recovery_token_add(struct request *request, const struct msg_request_create *ask,
                              const struct request_row *row)
{
        struct engine *engine = request->engine;
        CLEANUP(token_row_done) struct token_row token = {0};

        memcpy(token.selector, ask->selector, sizeof(token.selector));
        token.kind = TOKEN_RECOVER;
        token.user = row->user;
        token.request = row->id;
        token.state = TOKEN_ISSUED;
        token.auth = secret_copy(secret_view(&ask->auth));
        token.recipient = buf_copy_of(buf_view(&ask->recipient));
        token.created = row->created;
        token.expires = row->expires;
        token.attempts_most = (int64_t)engine->config.token_attempts;
        token.issuer = text_copy(request_operator(request));
        token.delivery = ask->mail_part.len ? DELIVER_SPLIT : DELIVER_HAND;
        token.mail = secret_copy(secret_view(&ask->mail_part));
        return PASS(store_token_add(engine->store, &token));
}

/* Each new request takes the place of what was granted before, and was not redeemed. */
static int former_end(struct engine *engine, struct user_row *user)
{
        TRY(token_cancel(engine, &user->id, TOKEN_RECOVER));
        if (!state_permits(&user_states, (int)user->state, USER_RECOVERY_LOST))
                return 0;
        TRY(user_recovery_end(engine, user, USER_RECOVERY_LOST));
        return PASS(store_user_put(engine->store, user));
}

int request_create_handle(struct request *request)
{
        const struct msg_request_create *ask = request->message;
        struct msg_request_created *reply = request->reply;
        struct engine *engine = request->engine;
        CLEANUP(user_row_done) struct user_row user = {0};
        CLEANUP(request_row_done) struct request_row row = {0};
        char text[ID_TEXT_SIZE];

        request_subject(request, "%s", msg_text(ask->user));
        TRY(user_named(engine, msg_text(ask->user), &user));
        TRY(create_check(request, ask, &user));
        TRY(mail_part_check(engine, ask, &user));
        TRY(former_end(engine, &user));
        row.id = id_new();
        row.kind = REQUEST_RECOVER;
        row.user = user.id;
        row.state = REQUEST_OPEN;
        row.requester = text_copy(request_operator(request));
        row.reason = text_copy(ask->reason);
        row.recipient = buf_copy_of(buf_view(&ask->recipient));
        row.created = engine_now(engine);
        row.expires = row.created + engine->config.request_lifetime;
        memcpy(row.selector, ask->selector, sizeof(row.selector));
        TRY(terms_build(request, &user, &row));
        TRY(store_request_add(engine->store, &row));
        TRY(recovery_token_add(request, ask, &row));
        request_details(request, "request %s: %s", id_text(&row.id, text), ask->reason);
        return PASS(request_item_fill(engine, &row, MSG_LIST_ADD(reply->request)));
}

/* ---- request_list, request_show */

struct listing {
        struct request *request;
        struct msg_request_listed *reply;
        size_t seen;
        struct id last;
};

static int list_add(void *context, struct request_row *row)
{
        struct listing *listing = context;

        listing->seen++;
        listing->last = row->id;
        return PASS(request_item_fill(listing->request->engine, row, MSG_LIST_ADD(listing->reply->requests)));
}

int request_list_handle(struct request *request)
{
        const struct msg_request_list *ask = request->message;
        struct listing listing = {.request = request, .reply = request->reply};
        size_t limit = ask->limit ? (size_t)ask->limit : 100;
        struct id after = ID_NONE;
        char text[ID_TEXT_SIZE];
        int state = 0;

        if (!ask->cursor)
                TRY(startup_list(request, listing.reply));
        if (store_sealed(request->engine->store))
                return 0;
        if (ask->state)
                TRY(state_parse(&request_states, bytes_text(ask->state), &state));
        if (ask->cursor)
                TRY(id_parse(bytes_text(ask->cursor), &after));
        TRY(store_request_list(request->engine->store, state, NULL, ask->cursor ? &after : NULL, limit, &listing,
                               list_add));
        if (listing.seen == limit)
                listing.reply->cursor = text_copy(id_text(&listing.last, text));
        return 0;
}

static void approval_item_fill(const struct approval_row *row, const uint8_t *digest, struct msg_approval_item *item)
{
        item->officer = text_copy(msg_text(row->officer));
        item->time = row->created;
        buf_add(&item->digest, digest, HASH_SIZE);
        buf_add_bytes(&item->signature, buf_view(&row->signature));
}

static int not_while_sealed(const struct request *request)
{
        if (!store_sealed(request->engine->store))
                return 0;
        return refuse(PROBLEM_SEALED,
                      "The server is sealed; until it is unsealed, only startup requests can be seen and decided.");
}

int request_show_handle(struct request *request)
{
        const struct msg_request_show *ask = request->message;
        struct msg_request_shown *reply = request->reply;
        CLEANUP(request_row_done) struct request_row row = {0};
        CLEANUP(approval_rows_done) struct approval_rows approvals = {0};

        request_subject(request, "%s", msg_text(ask->request));
        if (startup_is(msg_text(ask->request)))
                return PASS(startup_show(request));
        TRY(not_while_sealed(request));
        TRY(request_named(request->engine, msg_text(ask->request), &row));
        TRY(approvals_of(request->engine, &row.id, &approvals));
        TRY(request_item_fill(request->engine, &row, MSG_LIST_ADD(reply->request)));
        buf_add_bytes(&reply->terms, buf_view(&row.records));
        for (size_t i = 0; i < approvals.count; i++)
                if (approvals.items[i].verdict == APPROVAL_GIVEN)
                        approval_item_fill(&approvals.items[i], row.digest, MSG_LIST_ADD(reply->approvals));
        return 0;
}

/* ---- request_refuse */

static int refusal_add(struct request *request, const struct request_row *row, const char *note)
{
        CLEANUP(approval_rows_done) struct approval_rows approvals = {0};
        struct approval_row fresh = {0}, *verdict = &fresh;
        int r;

        TRY(approvals_of(request->engine, &row->id, &approvals));
        for (size_t i = 0; i < approvals.count; i++)
                if (strcmp(approvals.items[i].officer, request_operator(request)) == 0)
                        verdict = &approvals.items[i];
        if (verdict == &fresh) {
                fresh.request = row->id;
                fresh.officer = text_copy(request_operator(request));
                fresh.created = engine_now(request->engine);
        }
        verdict->verdict = APPROVAL_REFUSED;
        buf_done(&verdict->partials);
        free(verdict->comment);
        verdict->comment = text_copy(note);
        r = verdict == &fresh ? store_approval_add(request->engine->store, verdict)
                              : store_approval_put(request->engine->store, verdict);
        approval_row_done(&fresh);
        return PASS(r);
}

int request_refuse_handle(struct request *request)
{
        const struct msg_request_refuse *ask = request->message;
        struct msg_request_refused *reply = request->reply;
        CLEANUP(request_row_done) struct request_row row = {0};
        bool own;

        request_subject(request, "%s", msg_text(ask->request));
        request_details(request, "%s", msg_text(ask->note));
        if (startup_is(msg_text(ask->request)))
                return PASS(startup_refuse(request));
        TRY(not_while_sealed(request));
        TRY(request_named(request->engine, msg_text(ask->request), &row));
        own = strcmp(msg_text(row.requester), request_operator(request)) == 0;
        if (!own && !request_has_role(request, ROLE_OFFICER))
                return refuse(PROBLEM_FORBIDDEN,
                              "Only officers refuse requests, and only who made one withdraws it.");
        TRY(row_advance(&request_states, &row.state, own ? REQUEST_CANCEL : REQUEST_REFUSE));
        if (!own)
                TRY(refusal_add(request, &row, msg_text(ask->note)));
        TRY(approvals_forget(request->engine, &row.id));
        row.decided = engine_now(request->engine);
        TRY(store_request_put(request->engine->store, &row));
        TRY(token_cancel(request->engine, &row.user, TOKEN_RECOVER));
        return PASS(request_item_fill(request->engine, &row, MSG_LIST_ADD(reply->request)));
}
