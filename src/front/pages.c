/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/log.h"
#include "front/front.h"
#include "protocol/openapi.h"

#define HEALTH  "/healthz"
#define READY   "/readyz"
#define METRICS "/metrics"

/* The API's description is a document like others. */
void pages_init(struct front *front)
{
        struct msg_publish publish = {.path = (char *)(uintptr_t)OPENAPI_PATH,
                                      .media_type = (char *)(uintptr_t) "application/json"};

        openapi_add(&publish.content);
        if (documents_put(&front->documents, &publish))
                log_report(-1, "there will be no %s", OPENAPI_PATH);
}

static bool is_page(const struct request *request, const char *page)
{
        return strcmp(buf_text(&request->target), page) == 0;
}

static bool is_metrics(const struct request *request)
{
        return request->connection->purpose == PURPOSE_METRICS && is_page(request, METRICS);
}

bool pages_have(struct request *request)
{
        if (documents_find(&request->connection->front->documents, buf_view(&request->target))) {
                request->page = METRICS_DOCUMENT;
                return true;
        }
        if (is_page(request, HEALTH) || is_page(request, READY) || is_metrics(request)) {
                request->page = METRICS_HEALTH;
                return true;
        }
        return false;
}

int pages_begin(struct request *request)
{
        if (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0)
                return 0;
        return refuse(PROBLEM_METHOD, "This address does not take the method %s.", request->method);
}

static struct bytes header_of(const struct request *request, const char *name)
{
        return bytes_text(MHD_lookup_connection_value(request->mhd, MHD_HEADER_KIND, name));
}

static void document_answer(struct request *request, struct document *document)
{
        bool current = document_is_current(document, header_of(request, MHD_HTTP_HEADER_IF_NONE_MATCH),
                                           header_of(request, MHD_HTTP_HEADER_IF_MODIFIED_SINCE));

        request->answer.document = document_ref(document);
        request->answer.media_type = document->media_type;
        request->answer.status = current ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK;
}

static void text_answer(struct request *request, const char *media_type, const char *text)
{
        request->answer.status = MHD_HTTP_OK;
        request->answer.media_type = media_type;
        buf_add_text(&request->answer.content, text);
}

static void metrics_answer(struct request *request)
{
        const struct front *front = request->connection->front;

        text_answer(request, "text/plain; version=0.0.4; charset=utf-8", "");
        metrics_add(&front->metrics, front->connections.count, front->engine.channel != NULL, &request->answer.content);
        buf_add_text(&request->answer.content, msg_text(front->engine.metrics));
}

int pages_answer(struct request *request)
{
        struct document *document = documents_find(&request->connection->front->documents, buf_view(&request->target));

        if (document) {
                document_answer(request, document);
        } else if (is_page(request, HEALTH)) {
                text_answer(request, "application/json", "{\"status\":\"alive\"}\n");
        } else if (is_page(request, READY)) {
                TRY(engine_readiness(request->connection->front));
                text_answer(request, "application/json", "{\"status\":\"ready\"}\n");
        } else if (is_metrics(request)) {
                metrics_answer(request);
        } else {
                return refuse(PROBLEM_NOT_FOUND, "There is nothing at this address any more.");
        }
        request->stage = STAGE_READY;
        return 0;
}
