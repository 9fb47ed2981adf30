/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "front/front.h"
#include "protocol/writer.h"

enum { SLOWEST_BYTES_PER_MS = 32 }; /* a reader slower than 32 kB a second is cut */

void answer_done(struct answer *answer)
{
        if (answer->document)
                document_unref(answer->document);
        json_buf_done(&answer->content);
        buf_done(&answer->allow);
        *answer = (struct answer){0};
}

static void content_free(void *content)
{
        struct buf *buf = content;

        json_buf_done(buf);
        free(buf);
}

static void document_free(void *document)
{
        document_unref(document);
}

/* The content moves into the response, which gives it back when the last byte is sent. */
static struct MHD_Response *response_new(struct answer *answer)
{
        if (answer->document && answer->status == MHD_HTTP_OK)
                return MHD_create_response_from_buffer_with_free_callback_cls(
                        answer->document->content.len, answer->document->content.data, document_free,
                        document_ref(answer->document));
        struct buf *content = NEW(struct buf);

        *content = buf_take(&answer->content);
        return MHD_create_response_from_buffer_with_free_callback_cls(
                content->len, content->data ? content->data : (uint8_t *)"", content_free, content);
}

static void header_add(struct MHD_Response *response, const char *name, const char *value)
{
        (void)MHD_add_response_header(response, name, value); /* fails only for names and values that are none */
}

static void document_headers(struct MHD_Response *response, const struct document *document)
{
        int64_t now = clock_now(), age = document_max_age(document, now);
        char date[HTTP_DATE_SIZE], cache[64];

        snprintf(cache, sizeof(cache), "public, max-age=%" PRId64, age);
        header_add(response, MHD_HTTP_HEADER_CACHE_CONTROL, cache);
        header_add(response, MHD_HTTP_HEADER_EXPIRES, http_date(now + age, date));
        header_add(response, MHD_HTTP_HEADER_ETAG, document->etag);
        if (document->modified)
                header_add(response, MHD_HTTP_HEADER_LAST_MODIFIED, http_date(document->modified, date));
}

static void status_headers(struct MHD_Response *response, const struct answer *answer)
{
        if (answer->status == MHD_HTTP_UNAUTHORIZED)
                header_add(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Vouchsafe, Bearer");
        if (answer->status == MHD_HTTP_METHOD_NOT_ALLOWED)
                header_add(response, MHD_HTTP_HEADER_ALLOW, buf_text(&answer->allow));
        if (answer->status == MHD_HTTP_SERVICE_UNAVAILABLE)
                header_add(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
        if (answer->status == MHD_HTTP_TOO_MANY_REQUESTS)
                header_add(response, MHD_HTTP_HEADER_RETRY_AFTER, "60");
}

static void headers_add(struct MHD_Response *response, const struct request *request)
{
        const struct answer *answer = &request->answer;

        if (answer->media_type && answer->status != MHD_HTTP_NOT_MODIFIED)
                header_add(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->media_type);
        header_add(response, "X-Content-Type-Options", "nosniff");
        header_add(response, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
        if (request->connection->purpose == PURPOSE_HTTPS)
                header_add(response, MHD_HTTP_HEADER_STRICT_TRANSPORT_SECURITY, "max-age=31536000");
        if (answer->document)
                document_headers(response, answer->document);
        else
                header_add(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
        status_headers(response, answer);
        if (answer->close || connection_is_last_answer(request->connection))
                header_add(response, MHD_HTTP_HEADER_CONNECTION, "close");
}

enum MHD_Result reply_queue(struct request *request)
{
        struct answer *answer = &request->answer;
        size_t len = answer->document ? answer->document->content.len : answer->content.len;
        uint64_t deadline = (uint64_t)request->connection->front->config.limits.request_deadline * 1000;
        struct MHD_Response *response = response_new(answer);
        enum MHD_Result queued = MHD_NO;

        if (response) {
                headers_add(response, request);
                queued = MHD_queue_response(request->mhd, answer->status, response);
                MHD_destroy_response(response);
        }
        request->stage = STAGE_ANSWERED;
        connection_deadline(request->connection, deadline + len / SLOWEST_BYTES_PER_MS);
        return queued;
}
