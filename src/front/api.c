/* SPDX-License-Identifier: Apache-2.0 */
#include <strings.h>

#include "base/mem.h"
#include "front/front.h"
#include "front/strict.h"
#include "protocol/json.h"
#include "protocol/problem.h"

bool api_has(struct bytes target)
{
        size_t len = strlen(ROUTE_PREFIX);

        return target.len >= len && memcmp(target.data, ROUTE_PREFIX, len) == 0 &&
               (target.len == len || target.data[len] == '/' || target.data[len] == '?');
}

/* ---- with the headers ---- */

/* RFC 9110 section 8.3.1; JSON is UTF-8 whether it is said or not. */
static bool is_json(struct bytes type)
{
        static const char *const forms[] = {"application/json", "application/json;charset=utf-8",
                                            "application/json; charset=utf-8", "application/json; charset=\"utf-8\""};

        for (size_t i = 0; i < ARRAY_LEN(forms); i++)
                if (type.len == strlen(forms[i]) && strncasecmp((const char *)type.data, forms[i], type.len) == 0)
                        return true;
        return false;
}

static int body_check(const struct request *request, const struct strict_request *headers)
{
        struct bytes type;

        TRY(strict_header(headers, MHD_HTTP_HEADER_CONTENT_TYPE, &type));
        if (request->length && !is_json(type))
                return refuse(PROBLEM_CONTENT_TYPE,
                              "The body is to be JSON in UTF-8, with \"Content-Type: application/json\".");
        return 0;
}

static int authorization_check(struct request *request, const struct strict_request *headers)
{
        struct bytes header;

        TRY(strict_header(headers, MHD_HTTP_HEADER_AUTHORIZATION, &header));
        return header.data ? PASS(authorization_parse(header, &request->authorization)) : 0;
}

int api_begin(struct request *request, const struct strict_request *headers)
{
        const struct route *route = NULL;

        TRY(route_find(request->method, buf_view(&request->target), &route));
        request->route = route;
        request->page = (unsigned)(route - route_at(0));
        if (!request->connection->front->engine.channel)
                return refuse(PROBLEM_BUSY, "The server's engine is starting; try again in a moment.");
        TRY(body_check(request, headers));
        return PASS(authorization_check(request, headers));
}

/* ---- the answer of the engine ---- */

static int answer_read(struct request *request, struct bytes payload)
{
        const struct msg_record *record = request->route->reply();
        CLEANUP(mem_freep) void *message = mem_new(record->size);
        MSG_OWN(api_reply) reply = {0};

        TRY(msg_decode(api_reply, payload, &reply));
        if (reply.kind != request->route->reply_kind)
                return refuse(PROBLEM_MALFORMED, "The engine answered something else than it was asked.");
        int r = message_decode(record, buf_view(&reply.payload), message);

        memory_wipe(reply.payload.data, reply.payload.len);
        TRY(r);
        r = json_message_add(record, message, &request->answer.content);
        message_done(record, message);
        TRY(r);
        request->answer.status = request->route->status;
        request->answer.media_type = "application/json";
        request->stage = STAGE_READY;
        return 0;
}

static int reply_read(struct request *request, struct channel_message *reply)
{
        MSG_OWN(problem) problem = {0};

        if (reply->kind == MSG_problem) {
                TRY(msg_decode(problem, reply->payload, &problem));
                request_problem(request, &problem);
                return 0;
        }
        if (reply->kind != MSG_api_reply)
                return refuse(PROBLEM_MALFORMED, "The engine answered with a message that is no answer.");
        return PASS(answer_read(request, reply->payload));
}

/* What the engine answers is ours to get right: a malformed answer is a fault, and no problem of the client. */
static void replied(void *context, int result, struct channel_message *reply)
{
        struct request *request = context;
        int r;

        if (result) {
                r = refuse(PROBLEM_BUSY,
                           "The server's engine was restarted before it answered. The same request may be sent again.");
        } else {
                r = reply_read(request, reply);
                if (r > 0)
                        r = fault(0, "the engine's answer cannot be used: %s", report_text());
        }
        if (r)
                request_refuse(request, r);
        MHD_resume_connection(request->mhd);
        http_wake(http_of(request->connection));
}

/* ---- with the body ---- */

/* The encoding of the request's message. It is reserved in one piece, so that growing leaves nothing behind. */
static int payload_make(const struct request *request, struct buf *ret_payload)
{
        const struct msg_record *record = request->route->request();
        CLEANUP(mem_freep) void *message = mem_new(record->size);
        CLEANUP(json_buf_done) struct buf payload = BUF_NONE;

        TRY(route_decode(request->route, buf_view(&request->target), buf_view(&request->body), message));
        buf_reserve(&payload, 2 * (request->body.len + request->target.len) + 4096);
        int r = message_encode(record, message, &payload);

        message_done(record, message);
        TRY(r);
        *ret_payload = buf_take(&payload);
        return 0;
}

/* The authorization and ticket are lent to the message, and taken back by clearing it. */
static int question_encode(struct request *request, struct buf *payload, struct buf *question)
{
        struct msg_api api = {.address = request->connection->address,
                              .ticket = request->authorization.ticket,
                              .kind = request->route->kind,
                              .payload = *payload};

        if (request->authorization.is_operator) {
                api.authorization.at = &request->authorization.operator;
                api.authorization.count = 1;
        }
        buf_reserve(question, payload->len + 2048);
        return PASS(msg_encode(api, &api, question));
}

int api_ask(struct request *request)
{
        CLEANUP(json_buf_done) struct buf payload = BUF_NONE;
        CLEANUP(json_buf_done) struct buf question = BUF_NONE;
        struct front *front = request->connection->front;

        TRY(payload_make(request, &payload));
        json_buf_done(&request->body);
        TRY(question_encode(request, &payload, &question));
        if (!front->engine.channel)
                return refuse(PROBLEM_BUSY, "The server's engine is starting; try again in a moment.");
        request->call = (struct channel_call){.replied = replied, .context = request};
        int r = channel_call(front->engine.channel, &request->call, MSG_api, buf_view(&question));

        if (r)
                return refuse(PROBLEM_BUSY,
                              "The server has more to do than it can take on now; try again in a moment.");
        request->stage = STAGE_WAITING;
        connection_deadline(request->connection, (uint64_t)front->config.limits.request_deadline * 1000);
        MHD_suspend_connection(request->mhd);
        return 0;
}
