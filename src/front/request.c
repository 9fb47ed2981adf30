/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "front/front.h"
#include "front/strict.h"
#include "protocol/json.h"
#include "protocol/problem.h"

static uint64_t deadline_ms(const struct request *request)
{
        return (uint64_t)request->connection->front->config.limits.request_deadline * 1000;
}

struct request *request_begin(struct connection *connection, struct MHD_Connection *mhd, const char *target)
{
        struct request *request = NEW(struct request);

        if (connection->request) /* one that was never presented to us as complete */
                request_end(connection->request);
        connection->request = request;
        request->connection = connection;
        request->mhd = mhd;
        request->page = METRICS_OTHER;
        buf_add_text(&request->target, target);
        clock_gettime(CLOCK_MONOTONIC, &request->started);
        connection_deadline(connection, deadline_ms(request));
        return request;
}

static double seconds_since(const struct timespec *start)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

static void request_count(struct request *request)
{
        struct metrics *metrics = &request->connection->front->metrics;

        if (request->stage != STAGE_ANSWERED)
                return;
        metrics_request(metrics, request->page, request->answer.status);
        if (request->route)
                metrics_latency(metrics, seconds_since(&request->started));
}

void request_end(struct request *request)
{
        struct connection *connection = request->connection;

        channel_call_cancel(&request->call);
        request_count(request);
        connection->request = NULL;
        connection_deadline(connection, deadline_ms(request)); /* for the next one to begin */
        authorization_done(&request->authorization);
        answer_done(&request->answer);
        json_buf_done(&request->body);
        buf_done(&request->target);
        free(request);
}

/* ---- answers that are problems ---- */

void request_problem(struct request *request, const struct msg_problem *problem)
{
        answer_done(&request->answer);
        request->answer.status = problem_status(problem);
        request->answer.media_type = PROBLEM_MEDIA_TYPE;
        problem_json_add(&request->answer.content, problem);
        request->stage = STAGE_READY;
}

void request_refuse(struct request *request, int result)
{
        MSG_OWN(problem) problem = {0};
        bool close = request->answer.close;

        if (result < 0)
                log_report(result, "a request failed");
        problem_of_result(result, &problem);
        request_problem(request, &problem);
        request->answer.close = close;
        if (result == PROBLEM_METHOD && api_has(buf_view(&request->target)))
                route_methods(buf_view(&request->target), &request->answer.allow);
        if (result == PROBLEM_METHOD && !request->answer.allow.len)
                buf_add_text(&request->answer.allow, "GET, HEAD");
}

void request_expired(struct request *request)
{
        channel_call_cancel(&request->call);
        request_refuse(request,
                       refuse(PROBLEM_BUSY, "The server did not answer in time. The same request may be sent again."));
        connection_deadline(request->connection, deadline_ms(request));
        MHD_resume_connection(request->mhd);
        http_wake(http_of(request->connection));
}

/* ---- headers ---- */

static enum MHD_Result header_collect(void *context, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                      const char *value, size_t value_len)
{
        struct strict_request *strict = context;

        strict->too_many = strict->header_count == STRICT_HEADERS_MOST;
        if (strict->too_many)
                return MHD_NO;
        strict->headers[strict->header_count++] = (struct strict_header){name, value ? value : "", name_len, value_len};
        return MHD_YES;
}

static int headers_check(struct request *request, const char *version, struct strict_request *strict)
{
        const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
        struct bytes length = BYTES_NONE;

        *strict = (struct strict_request){.method = request->method,
                                          .version = version,
                                          .target = buf_view(&request->target),
                                          .section_len = info ? info->header_size : 0};
        MHD_get_connection_values_n(request->mhd, MHD_HEADER_KIND, header_collect, strict);
        TRY(strict_check(strict));
        TRY(strict_header(strict, "Content-Length", &length));
        if (length.len && number_parse(length, INT64_MAX, &request->length))
                return refuse(PROBLEM_MALFORMED, "The HTTP request has a Content-Length that is no number.");
        if (request->length > request->connection->front->config.limits.body)
                return refuse(PROBLEM_TOO_LARGE,
                              "The body of the request is larger than the %llu bytes that are taken.",
                              (unsigned long long)request->connection->front->config.limits.body);
        return 0;
}

static int dispatch(struct request *request, const struct strict_request *strict)
{
        struct bytes target = buf_view(&request->target);

        if (pages_have(request))
                return PASS(pages_begin(request));
        if (!api_has(target))
                return refuse(PROBLEM_NOT_FOUND, "There is nothing at this address.");
        if (request->connection->purpose != PURPOSE_HTTPS)
                return refuse(PROBLEM_FORBIDDEN,
                              "The API is reached by HTTPS only; use the https:// address of this server.");
        return PASS(api_begin(request, strict));
}

/*
 * An answer before the body has come makes libmicrohttpd close the connection, and the client may lose the answer; so
 * the body is read first, except when it is too large or the request was not understood: then nothing after it would be
 * either.
 */
static enum MHD_Result request_head(struct request *request, const char *version)
{
        struct strict_request strict;
        int r = headers_check(request, version, &strict);

        if (r) {
                request->answer.close = true;
                request_refuse(request, r);
                return reply_queue(request);
        }
        request->stage = STAGE_BODY;
        r = dispatch(request, &strict);
        if (r)
                request_refuse(request, r);
        else if (request->length)
                buf_reserve(&request->body, (size_t)request->length);
        return MHD_YES;
}

static void request_body(struct request *request, const char *data, size_t len)
{
        if (request->stage == STAGE_BODY && request->body.len + len <= request->length)
                buf_add(&request->body, data, len); /* reserved: no copies stay behind */
}

static enum MHD_Result request_complete(struct request *request)
{
        int r = 0;

        if (request->stage == STAGE_BODY)
                r = request->route ? api_ask(request) : pages_answer(request);
        if (r)
                request_refuse(request, r);
        return request->stage == STAGE_READY ? reply_queue(request) : MHD_YES;
}

enum MHD_Result request_continue(struct request *request, const char *method, const char *version, const char *data,
                                 size_t *len)
{
        if (request->stage == STAGE_HEAD) {
                request->method = method;
                return request_head(request, version);
        }
        if (!*len)
                return request_complete(request);
        request_body(request, data, *len);
        *len = 0;
        return MHD_YES;
}
