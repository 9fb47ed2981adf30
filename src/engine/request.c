/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/request.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/authorize.h"
#include "engine/engine.h"

/* ---- words for the record */

__attribute__((format(printf, 2, 0))) static void words_set(struct buf *words, const char *format, va_list arguments)
{
        char text[2048];

        vsnprintf(text, sizeof(text), format, arguments);
        buf_clear(words);
        text_add_printable(words, bytes_text(text), sizeof(text) - 1);
}

void request_subject(struct request *request, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        words_set(&request->subject, format, arguments);
        va_end(arguments);
}

void request_details(struct request *request, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        words_set(&request->details, format, arguments);
        va_end(arguments);
}

void request_actor(struct request *request, const char *format, ...)
{
        CLEANUP(buf_done) struct buf actor = BUF_NONE;
        va_list arguments;

        va_start(arguments, format);
        words_set(&actor, format, arguments);
        va_end(arguments);
        free(request->actor);
        request->actor = text_copy(buf_text(&actor));
}

const char *request_operator(const struct request *request)
{
        return request->is_operator ? msg_text(request->operator_row.name) : "";
}

bool request_has_role(const struct request *request, unsigned roles)
{
        return request->is_operator && ((unsigned)request->operator_row.roles & roles) != 0;
}

/* ---- records */

enum { OPERATION_KEPT_MOST = 64 * 1024 };

/* What the operator signed, so that it can be verified again: his signature, the kind, and the message unless it
 * holds a secret. */
static int operation_words(struct request *request, struct buf *out)
{
        if (!request->is_operator)
                return 0;
        TRY(msg_encode(authorization, &request->api.authorization.at[0], out));
        buf_add_text(out, request->message_record->name);
        buf_add_byte(out, 0);
        if (!(request->kind->flags & REQUEST_SECRET) && request->api.payload.len <= OPERATION_KEPT_MOST)
                buf_add_bytes(out, buf_view(&request->api.payload));
        return 0;
}

int request_record(struct request *request, const char *outcome)
{
        CLEANUP(buf_done) struct buf operation = BUF_NONE;

        TRY(operation_words(request, &operation));
        TRY(engine_audit(request->engine, &(struct audit_words){
                                              .actor = msg_text(request->actor),
                                              .action = request->kind ? request->kind->action : "request",
                                              .subject = buf_text(&request->subject),
                                              .outcome = outcome,
                                              .details = buf_view(&request->details),
                                              .operation = buf_view(&operation),
                                              .digest = digest_view(&request->digest),
                                          }));
        request->recorded = true;
        return 0;
}

/* ---- answers */

static int answer_encode(struct request *request)
{
        CLEANUP(secret_done) struct secret payload = SECRET_NONE;
        struct msg_api_reply reply = {.kind = request->reply_record->kind};
        int r;

        TRY(message_encode_secret(request->reply_record, request->reply, &payload));
        /* Of the right size at once, so that no copy of a token stays behind. */
        buf_reserve(&reply.payload, payload.len);
        buf_add_bytes(&reply.payload, secret_view(&payload));
        buf_reserve(&request->answer, payload.len + 32);
        r = msg_encode(api_reply, &reply, &request->answer);
        buf_wipe(&reply.payload);
        request->answer_kind = MSG_api_reply;
        return PASS(r);
}

static void answer_problem(struct request *request, int result, const char *detail)
{
        MSG_OWN(problem) problem = {0};
        CLEANUP(buf_done) struct buf text = BUF_NONE;

        text_add_printable(&text, bytes_text(result > 0 ? detail : "The server failed at this; its log says why."),
                           1000);
        problem.code = text_copy(result > 0 ? problem_info(result)->code : "fault");
        problem.detail = text_copy(buf_text(&text));
        buf_wipe(&request->answer);
        request->answer_kind = MSG_problem;
        if (msg_encode(problem, &problem, &request->answer))
                request->answer = BUF_NONE;
}

/* ---- the end of a request */

static int finish_well(struct request *request)
{
        unsigned flags = request->kind->flags;

        TRY(answer_encode(request));
        if (!store_sealed(request->engine->store) && !request->repeated) {
                if (flags & REQUEST_CHANGES && request->is_operator)
                        TRY(answer_keep(request));
                if ((flags & (REQUEST_CHANGES | REQUEST_REVEALS) || flags & REQUEST_OWN_WAY) && !request->recorded)
                        TRY(request_record(request, "done"));
        }
        return PASS(round_release(request->engine));
}

/* A token, a password or a Message-ID that was not right. Others who share the address are locked out by too many of
 * these, so it must be nothing that befalls who has what it takes: his ticket has expired, the directory is down. */
static bool refusal_is_guess(const struct request *request, int result)
{
        return request->kind && request->kind->who == WHO_TOKEN && !request->proven &&
               (result == PROBLEM_TOKEN_REFUSED || result == PROBLEM_PASSWORD || result == PROBLEM_NOT_FOUND ||
                result == PROBLEM_TOO_MANY);
}

/* A refusal is recorded too, but strangers cannot fill the disk with them: beyond their limit they are only counted.
 */
static void record_refusal(struct request *request, int result, const char *detail)
{
        struct engine *engine = request->engine;
        const char *code = result > 0 ? problem_info(result)->code : "fault";
        bool beyond = false;
        int r;

        if (store_sealed(engine->store) || result == PROBLEM_SEALED || result == PROBLEM_STORAGE)
                return;
        if (!request->is_operator) {
                struct limits *limits = refusal_is_guess(request, result) ? &engine->limits : &engine->records;
                uint64_t now = clock_monotonic_ms();

                beyond = !limits_permit(limits, msg_text(request->api.address), now);
                limits_charge(limits, msg_text(request->api.address), now);
        }
        if (beyond && !request->keep_refusal) {
                engine->refused_unrecorded++;
                return;
        }
        buf_clear(&request->details);
        text_add_printable(&request->details, bytes_text(detail), 1000);
        r = request->keep_refusal ? 0 : round_savepoint(engine);
        if (!r)
                r = request_record(request, code);
        if (!r)
                r = round_release(engine);
        if (r) {
                log_report(r, "a refusal could not be recorded");
                round_undo(engine);
        }
}

static void requests_unpark(struct engine *engine, const char *guard);

static void request_finish(struct request *request, int result)
{
        struct engine *engine = request->engine;
        char *guard;

        if (!result)
                result = finish_well(request);
        if (result) {
                CLEANUP(mem_freep) char *detail = text_copy(report_text());

                if (result < 0) {
                        engine->faults++;
                        log_report(result, "%s failed", request->kind ? request->kind->action : "a request");
                }
                engine->refused++;
                request->keep_refusal = request->keep_refusal && result == PROBLEM_TOKEN_REFUSED;
                if (!request->keep_refusal)
                        round_undo(engine);
                record_refusal(request, result, detail);
                answer_problem(request, result, detail);
        }
        guard = TAKE(request->guard);
        round_answer(engine, request);
        if (guard)
                requests_unpark(engine, guard);
        free(guard);
}

/* ---- steps */

static void request_step(struct request *request, int (*step)(struct request *, int, struct bytes), int result,
                         struct bytes reply)
{
        int r = round_savepoint(request->engine);

        request->waiting = false;
        if (!r)
                r = step(request, result, reply);
        if (!r && (request->waiting || request->parked))
                r = round_release(request->engine);
        else
                request->waiting = false;
        if (!r && (request->waiting || request->parked))
                return;
        keeper_call_cancel(request->engine, &request->call);
        directory_question_cancel(request);
        request->waiting = request->parked = false;
        request_finish(request, r);
}

static int step_abort(struct request *request, int result, struct bytes reply)
{
        return result;
}

void request_abort(struct request *request, int problem)
{
        request->parked = false;
        request_step(request, step_abort, problem, BYTES_NONE);
}

static int step_begin(struct request *request, int result, struct bytes reply)
{
        bool answered = false;

        (void)result;
        (void)reply;
        TRY(request_authorize(request, &answered));
        if (answered)
                return 0;
        return PASS(request->kind->handle(request));
}

static int step_resume(struct request *request, int result, struct bytes reply)
{
        return PASS(request->resume(request, result, reply));
}

void request_continue(struct request *request, int result, struct bytes reply)
{
        request_step(request, step_resume, result, reply);
}

static void keeper_replied(void *context, int result, struct bytes reply)
{
        request_continue(context, result, reply);
}

int request_keeper(struct request *request, enum msg_kind kind, const void *message,
                   int (*resume)(struct request *request, int result, struct bytes reply))
{
        request->call.done = keeper_replied;
        request->call.context = request;
        TRY(keeper_ask(request->engine, &request->call, kind, message));
        request_wait(request, resume);
        return 0;
}

void request_wait(struct request *request, int (*resume)(struct request *request, int result, struct bytes reply))
{
        request->resume = resume;
        request->waiting = true;
        list_remove(&request->link);
        list_append(&request->engine->requests, &request->link);
}

/* ---- one at a time */

bool request_guard(struct request *request, const char *guard)
{
        struct engine *engine = request->engine;

        LIST_EACH (other, &engine->requests, struct request, link) {
                if (other == request || other->parked || !other->guard || strcmp(other->guard, guard) != 0)
                        continue;
                request->parked = true;
                break;
        }
        free(request->guard);
        request->guard = text_copy(guard);
        if (request->parked) {
                list_remove(&request->link);
                list_append(&engine->requests, &request->link);
        }
        return request->parked;
}

/* It keeps its guard: should it end before it comes to request_guard() again, it is still to wake the next. */
static void request_anew(struct request *request)
{
        request->parked = false;
        if (request->work_free)
                request->work_free(request->work);
        request->work = NULL;
        request_step(request, step_begin, 0, BYTES_NONE);
}

/* The first that is parked begins anew; the others with this guard follow it, when that is done: not out of it, since
 * there may be as many of them as fronts have connections. */
static void requests_unpark(struct engine *engine, const char *guard)
{
        LIST_EACH (request, &engine->requests, struct request, link) {
                if (!request->parked || strcmp(request->guard, guard) != 0)
                        continue;
                list_remove(&request->link);
                list_append(&engine->unparked, &request->link);
                break;
        }
        if (engine->unparking)
                return;
        engine->unparking = true;
        while (!list_empty(&engine->unparked)) {
                struct request *request = CONTAINER_OF(engine->unparked.next, struct request, link);

                list_remove(&request->link);
                request_anew(request);
        }
        engine->unparking = false;
}

/* ---- life */

void request_free(struct request *request)
{
        list_remove(&request->link);
        keeper_call_cancel(request->engine, &request->call);
        directory_question_cancel(request);
        if (request->work_free)
                request->work_free(request->work);
        if (request->message_record)
                message_done(request->message_record, request->message);
        if (request->reply_record)
                message_done(request->reply_record, request->reply);
        free(request->message);
        free(request->reply);
        if (request->api.payload.len)
                memory_wipe(request->api.payload.data, request->api.payload.len);
        msg_done(api, &request->api);
        operator_row_done(&request->operator_row);
        free(request->guard);
        free(request->actor);
        buf_done(&request->subject);
        buf_done(&request->details);
        buf_wipe(&request->answer);
        free(request);
}

void request_receive(struct engine *engine, struct msg_api *api, struct request_sink sink)
{
        struct request *request = NEW(struct request);

        list_init(&request->link);
        list_init(&request->call.link);
        list_init(&request->question.link);
        request->engine = engine;
        request->sink = sink;
        request->api = *api;
        *api = (struct msg_api){0};
        request->digest = sha256(buf_view(&request->api.payload));
        request->kind = request_entry_find((unsigned)request->api.kind);
        request->message_record = request->kind ? msg_record_of_kind(request->kind->kind) : NULL;
        request->reply_record = request->kind ? msg_record_of_kind(request->kind->kind + 1u) : NULL;
        if (request->kind) {
                request->message = mem_new(request->message_record->size);
                request->reply = mem_new(request->reply_record->size);
        }
        request_actor(request, "stranger at %s", msg_text(request->api.address));
        engine->asked++;
        /* Who watches the server asks all the time; that is not work. */
        if (request->kind && !(request->kind->flags & REQUEST_PUBLIC))
                engine->asked_ms = clock_monotonic_ms();
        request_step(request, step_begin, 0, BYTES_NONE);
}
