/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Approvals, and the opening of a request that has its quorum. The engine checks what it can and stores the approval;
 * with the last one that is needed the keeper gets all, and checks it all again. Everything that this needs is in the
 * database: after a crash it is done again. An approval whose partials do not verify is struck, and the request stays
 * open.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/statement.h"
#include "engine/authorize.h"
#include "engine/deliver.h"
#include "engine/recover.h"

enum { OPEN_MOST = 10000 };

struct opening {
        struct list link;
        struct engine *engine;
        struct id request;
        struct keeper_call call;
};

/* ---- request_approve */

int approval_check(struct request *request, const struct msg_approval_item *approval, struct bytes terms)
{
        struct digest digest = terms_digest(terms);
        CLEANUP(buf_done) struct buf statement = BUF_NONE;
        struct point key;

        if (strcmp(msg_text(approval->officer), request_operator(request)) != 0)
                return refuse(PROBLEM_FORBIDDEN, "%s cannot approve in the name of %s.", request_operator(request),
                              msg_text(approval->officer));
        if (!bytes_equal_constant_time(buf_view(&approval->digest), digest_view(&digest)))
                return refuse(PROBLEM_STALE,
                              "The approval is for other terms than this request has; look at the request again.");
        TRY(operator_point(buf_view(&request->operator_row.public_key), &key));
        approval_statement(&digest, buf_view(&approval->box), &statement);
        if (!signature_right(&key, buf_view(&statement), buf_view(&approval->signature)))
                return refuse(PROBLEM_UNAUTHENTICATED, "The approval is not signed with the key of %s.",
                              request_operator(request));
        return 0;
}

char *approval_sentence(size_t given, size_t quorum)
{
        if (given < quorum)
                return text_format(
                    "The server holds %zu of %zu approvals and cannot open anything; it takes %zu more.", given,
                    quorum, quorum - given);
        return text_format("The server holds all %zu approvals, and the keys are opened.", quorum);
}

static struct approval_row *approval_by(struct approval_rows *rows, const char *officer)
{
        for (size_t i = 0; i < rows->count; i++)
                if (strcmp(msg_text(rows->items[i].officer), officer) == 0)
                        return &rows->items[i];
        return NULL;
}

static void approval_fill(struct request *request, const struct msg_approval_item *approval, struct approval_row *row)
{
        row->verdict = APPROVAL_GIVEN;
        row->created = engine_now(request->engine);
        buf_set(&row->partials, buf_view(&approval->box));
        buf_set(&row->signature, buf_view(&approval->signature));
}

static int approval_store(struct request *request, const struct request_row *row,
                          const struct msg_approval_item *approval, size_t *ret_given)
{
        struct store *store = request->engine->store;
        CLEANUP(approval_rows_done) struct approval_rows rows = {0};
        CLEANUP(approval_row_done) struct approval_row fresh = {0};
        struct approval_row *mine;

        TRY(approvals_of(request->engine, &row->id, &rows));
        mine = approval_by(&rows, request_operator(request));
        *ret_given = rows.given;
        if (mine && mine->verdict == APPROVAL_GIVEN)
                return 0; /* again: it is as it was */
        *ret_given += 1;
        if (mine) {
                approval_fill(request, approval, mine);
                return PASS(store_approval_put(store, mine));
        }
        fresh.request = row->id;
        fresh.officer = text_copy(request_operator(request));
        approval_fill(request, approval, &fresh);
        return PASS(store_approval_add(store, &fresh));
}

static int approved_reply(struct request *request, const struct request_row *row)
{
        struct msg_request_approved *reply = request->reply;
        CLEANUP(approval_rows_done) struct approval_rows rows = {0};

        TRY(approvals_of(request->engine, &row->id, &rows));
        TRY(request_item_fill(request->engine, row, MSG_LIST_ADD(reply->request)));
        if (row->state == REQUEST_DONE)
                reply->detail = text_format(
                    "The keys are opened and enveloped for the holder of the recovery token, who can redeem it now.");
        else
                reply->detail = approval_sentence(rows.given, request->engine->trust.quorum);
        return 0;
}

int approval_late(void)
{
        return refuse(PROBLEM_STATE, "The request is done: others have approved it, and your approval was not taken.");
}

/* Who brought the request to its end may ask again; nobody's approval is recorded as given afterwards. */
static int approved_before(struct request *request, const struct request_row *row)
{
        CLEANUP(approval_rows_done) struct approval_rows rows = {0};
        const struct approval_row *mine;

        TRY(approvals_of(request->engine, &row->id, &rows));
        mine = approval_by(&rows, request_operator(request));
        return mine && mine->verdict == APPROVAL_GIVEN ? PASS(approved_reply(request, row)) : PASS(approval_late());
}

/* The opening has ended, well or not. */
static int approve_opened(struct request *request, int result, struct bytes reply)
{
        const struct msg_request_approve *ask = request->message;
        CLEANUP(request_row_done) struct request_row row = {0};

        TRY(result);
        TRY(request_named(request->engine, msg_text(ask->request), &row));
        return PASS(approved_reply(request, &row));
}

int request_approve_handle(struct request *request)
{
        const struct msg_request_approve *ask = request->message;
        struct engine *engine = request->engine;
        CLEANUP(request_row_done) struct request_row row = {0};
        size_t given = 0;

        request_subject(request, "%s", msg_text(ask->request));
        if (!ask->approval.count)
                return refuse(PROBLEM_MALFORMED, "The approval is missing.");
        if (startup_is(msg_text(ask->request)))
                return PASS(startup_approve(request));
        if (store_sealed(engine->store))
                return refuse(PROBLEM_SEALED,
                              "The server is sealed; until it is unsealed, only startup requests can be approved.");
        TRY(request_named(engine, msg_text(ask->request), &row));
        TRY(approval_check(request, &ask->approval.at[0], buf_view(&row.records)));
        if (row.state == REQUEST_DONE)
                return PASS(approved_before(request, &row));
        if (row.expires <= engine_now(engine))
                return refuse(PROBLEM_STATE, "The request has expired; a new one can be made.");
        if (!state_permits(&request_states, (int)row.state, REQUEST_QUORUM))
                return refuse(PROBLEM_STATE, "The request is %s.", state_name(&request_states, (int)row.state));
        TRY(approval_store(request, &row, &ask->approval.at[0], &given));
        request_details(request, "%zu of %u approvals", given, (unsigned)engine->trust.quorum);
        if (given < engine->trust.quorum)
                return PASS(approved_reply(request, &row));
        /* Recorded now: it stays, whatever becomes of the opening. */
        TRY(request_record(request, "done"));
        TRY(opening_start(engine, &row.id));
        request_wait(request, approve_opened);
        return 0;
}

/* ---- opening */

static struct opening *opening_find(struct engine *engine, const struct id *request)
{
        LIST_EACH (opening, &engine->openings, struct opening, link)
                if (id_equal(&opening->request, request))
                        return opening;
        return NULL;
}

static void opening_free(struct opening *opening)
{
        keeper_call_cancel(opening->engine, &opening->call);
        list_remove(&opening->link);
        free(opening);
}

void openings_done(struct engine *engine)
{
        while (!list_empty(&engine->openings))
                opening_free(CONTAINER_OF(engine->openings.next, struct opening, link));
}

/* Who waits for this request is answered with what became of it. */
static void waiters_continue(struct engine *engine, const struct id *id, int result)
{
        char text[ID_TEXT_SIZE];
        bool again = true;

        id_text(id, text);
        while (again) {
                again = false;
                LIST_EACH (request, &engine->requests, struct request, link) {
                        const struct msg_request_approve *ask = request->message;
                        struct id waits;

                        if (request->resume != approve_opened || !request->waiting ||
                            id_parse(bytes_text(msg_text(ask->request)), &waits) || !id_equal(&waits, id))
                                continue;
                        request_continue(request, result, BYTES_NONE);
                        again = true;
                        break;
                }
        }
}

int approvals_forget(struct engine *engine, const struct id *id)
{
        CLEANUP(approval_rows_done) struct approval_rows rows = {0};

        TRY(approvals_of(engine, id, &rows));
        for (size_t i = 0; i < rows.count; i++) {
                if (!rows.items[i].partials.len)
                        continue;
                buf_done(&rows.items[i].partials);
                TRY(store_approval_put(engine->store, &rows.items[i]));
        }
        return 0;
}

/* It counts no more, and what it brought is gone. */
static int approval_strike(struct engine *engine, struct approval_row *row)
{
        row->verdict = APPROVAL_STRUCK;
        buf_done(&row->partials);
        return PASS(store_approval_put(engine->store, row));
}

struct strike {
        struct engine *engine;
        const char *officer;
};

static int strike_one(void *context, struct request_row *row)
{
        const struct strike *strike = context;
        CLEANUP(approval_rows_done) struct approval_rows rows = {0};
        struct approval_row *mine;

        TRY(approvals_of(strike->engine, &row->id, &rows));
        mine = approval_by(&rows, strike->officer);
        if (!mine || mine->verdict != APPROVAL_GIVEN)
                return 0;
        return PASS(approval_strike(strike->engine, mine));
}

int approvals_withdraw(struct engine *engine, const char *officer)
{
        struct strike strike = {engine, officer};

        return PASS(store_request_list(engine->store, REQUEST_OPEN, NULL, NULL, OPEN_MOST, &strike, strike_one));
}

/* Their partials are used up. When the round in which the last one came was lost, the approvals are not there: then
 * this is not done. */
static int approvals_clear(struct engine *engine, const struct id *id)
{
        CLEANUP(approval_rows_done) struct approval_rows rows = {0};

        TRY(approvals_of(engine, id, &rows));
        if (rows.given < engine->trust.quorum)
                return refuse(PROBLEM_QUORUM, "The approvals could not be stored; approve again.");
        return PASS(approvals_forget(engine, id));
}

static int opened_token(struct engine *engine, const struct request_row *row)
{
        CLEANUP(token_row_done) struct token_row token = {0};

        TRY(store_token_find(engine->store, row->selector, &token));
        TRY(row_advance(&token_states, &token.state, TOKEN_HOLD));
        token.expires = engine_now(engine) + engine->config.recovery_lifetime;
        TRY(store_token_put(engine->store, &token));
        return PASS(token_deliver(engine, &token));
}

static int opened_user(struct engine *engine, const struct request_row *row)
{
        CLEANUP(user_row_done) struct user_row user = {0};

        TRY(store_user_find(engine->store, &row->user, &user));
        TRY(row_advance(&user_states, &user.state, USER_RECOVERY_GRANTED));
        TRY(token_cancel(engine, &user.id, TOKEN_ENROLL)); /* he is not enrolled beside it */
        return PASS(store_user_put(engine->store, &user));
}

static int opened_store(struct engine *engine, const struct id *id, struct bytes result, size_t keys)
{
        CLEANUP(request_row_done) struct request_row row = {0};
        CLEANUP(mem_freep) char *details = text_format("%zu keys opened and enveloped for the recipient", keys);
        char text[ID_TEXT_SIZE];

        TRY(store_request_find(engine->store, id, &row));
        TRY(row_advance(&request_states, &row.state, REQUEST_QUORUM));
        TRY(row_advance(&request_states, &row.state, REQUEST_COMPLETE));
        row.decided = engine_now(engine);
        buf_set(&row.result, result);
        TRY(store_request_put(engine->store, &row));
        TRY(opened_token(engine, &row));
        TRY(opened_user(engine, &row));
        TRY(approvals_clear(engine, id));
        return PASS(engine_audit_server(engine, "request.open", id_text(id, text), "done", details));
}

static int opened_strike(struct engine *engine, const struct id *id, const struct msg_texts *officers)
{
        CLEANUP(approval_rows_done) struct approval_rows rows = {0};
        CLEANUP(buf_done) struct buf names = BUF_NONE;
        char text[ID_TEXT_SIZE];

        TRY(approvals_of(engine, id, &rows));
        for (size_t i = 0; i < officers->count; i++) {
                struct approval_row *row = approval_by(&rows, officers->at[i]);

                if (!row)
                        continue;
                TRY(approval_strike(engine, row));
                buf_add_format(&names, "%s%s", names.len ? ", " : "", officers->at[i]);
        }
        return PASS(engine_audit_server(engine, "request.open", id_text(id, text),
                                        problem_info(PROBLEM_PARTIAL_FALSE)->code, buf_text(&names)));
}

static int opened_apply(struct engine *engine, const struct id *id, struct bytes reply)
{
        MSG_OWN(keeper_opened) opened = {0};
        int r;

        TRY(msg_decode(keeper_opened, reply, &opened));
        TRY(round_savepoint(engine));
        if (opened.struck.count)
                r = opened_strike(engine, id, &opened.struck);
        else
                r = opened_store(engine, id, reply, opened.keys.count);
        TRY(round_settle(engine, r));
        if (opened.struck.count)
                return refuse(
                    PROBLEM_PARTIAL_FALSE,
                    "The contribution of %s does not verify. It was struck and recorded; the request stays open for "
                    "another approval.",
                    opened.struck.at[0]);
        return 0;
}

/* The keeper would not, or the request ended while it did: recorded, so that a malicious engine or officer leaves a
 * trace here too. */
static void opening_refused(struct engine *engine, const struct id *id, int result)
{
        CLEANUP(mem_freep) char *detail = text_copy(report_text());
        char text[ID_TEXT_SIZE];
        int r;

        if (store_sealed(engine->store) || result == PROBLEM_BUSY)
                return;
        r = engine_audit_alone(engine, "request.open", id_text(id, text), result > 0 ? problem_info(result)->code : "fault",
                               detail);
        if (r)
                log_report(r, "that a request was not opened could not be recorded");
}

static void opening_replied(void *context, int result, struct bytes reply)
{
        struct opening *opening = context;
        struct engine *engine = opening->engine;
        struct id id = opening->request;
        bool opened = !result;

        if (opened)
                result = opened_apply(engine, &id, reply);
        if (result && !(opened && result == PROBLEM_PARTIAL_FALSE)) /* which is recorded with whom it was struck of */
                opening_refused(engine, &id, result);
        if (result)
                log_report(result, "a request was not opened");
        opening_free(opening);
        waiters_continue(engine, &id, result);
}

static int open_archive(struct engine *engine, const struct msg_terms *terms, struct msg_keeper_open *ask)
{
        for (size_t i = 0; i < terms->items.count; i++) {
                struct msg_archive_item *item = MSG_LIST_ADD(ask->archive);
                CLEANUP(archive_row_done) struct archive_row row = {0};
                CLEANUP(certificate_row_done) struct certificate_row certificate = {0};
                struct id id = record_id_store(terms->items.at[i].record_id);
                char text[ID_TEXT_SIZE];

                TRY(store_archive_find(engine->store, &id, &row));
                TRY(store_certificate_find(engine->store, row.serial, &certificate));
                item->record_id = terms->items.at[i].record_id;
                item->user = text_copy(id_text(&row.user, text));
                item->certificate = buf_take(&certificate.der);
                item->record = buf_take(&row.record);
        }
        return 0;
}

static int open_message(struct engine *engine, const struct request_row *row, struct msg_keeper_open *ask)
{
        MSG_OWN(terms) terms = {0};
        CLEANUP(approval_rows_done) struct approval_rows rows = {0};

        TRY(msg_decode(terms, buf_view(&row->records), &terms));
        TRY(open_archive(engine, &terms, ask));
        buf_add_bytes(&ask->terms, buf_view(&row->records));
        TRY(approvals_of(engine, &row->id, &rows));
        for (size_t i = 0; i < rows.count; i++) {
                struct msg_approval_item *item;

                if (rows.items[i].verdict != APPROVAL_GIVEN)
                        continue;
                item = MSG_LIST_ADD(ask->approvals);
                item->officer = text_copy(msg_text(rows.items[i].officer));
                item->time = rows.items[i].created;
                buf_add(&item->digest, row->digest, HASH_SIZE);
                item->box = buf_take(&rows.items[i].partials);
                item->signature = buf_take(&rows.items[i].signature);
        }
        return 0;
}

int opening_start(struct engine *engine, const struct id *id)
{
        MSG_OWN(keeper_open) ask = {0};
        CLEANUP(request_row_done) struct request_row row = {0};
        struct opening *opening;
        int r;

        if (opening_find(engine, id))
                return 0;
        TRY(store_request_find(engine->store, id, &row));
        TRY(open_message(engine, &row, &ask));
        opening = NEW(struct opening);
        list_init(&opening->call.link);
        opening->engine = engine;
        opening->request = *id;
        opening->call.done = opening_replied;
        opening->call.context = opening;
        list_append(&engine->openings, &opening->link);
        r = keeper_ask(engine, &opening->call, MSG_keeper_open, &ask);
        if (r)
                opening_free(opening);
        return PASS(r);
}

static int resume_one(void *context, struct request_row *row)
{
        struct engine *engine = context;
        CLEANUP(approval_rows_done) struct approval_rows rows = {0};

        if (row->expires <= engine_now(engine))
                return 0;
        TRY(approvals_of(engine, &row->id, &rows));
        return rows.given >= engine->trust.quorum ? PASS(opening_start(engine, &row->id)) : 0;
}

void openings_resume(struct engine *engine)
{
        int r = store_request_list(engine->store, REQUEST_OPEN, NULL, NULL, OPEN_MOST, engine, resume_one);

        if (r)
                log_report(r, "requests that have their quorum could not be resumed");
}
