/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/server.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/certificate.h"
#include "crypto/kdf.h"
#include "crypto/operation.h"
#include "protocol/authorization.h"
#include "protocol/json.h"
#include "protocol/problem.h"
#include "protocol/routes.h"

enum { ANSWER_MOST = 64 << 20, SECONDS_MOST = 120 };

void server_init(struct server *server, const char *url, struct bytes root, struct bytes issuer)
{
        size_t len = strlen(url);

        while (len && url[len - 1] == '/')
                len--;
        *server = (struct server){.http = http_new(), .url = text_copy_n(url, len)};
        if (root.len)
                certificate_add_pem(&server->ca, root);
        if (issuer.len)
                certificate_add_pem(&server->ca, issuer);
}

void server_done(struct server *server)
{
        if (server->http)
                http_free(server->http);
        free(server->url);
        free(server->server_id);
        free(server->operator_name);
        buf_done(&server->ca);
        buf_done(&server->ticket);
        secret_done(&server->signing);
        *server = (struct server){0};
}

int server_host(const char *url, char **ret_host)
{
        const char *host = url + strlen("https://");
        const char *at;

        if (strncasecmp(url, "https://", strlen("https://")) != 0 || !*host)
                return refuse(PROBLEM_USAGE,
                              "\"%s\" is no URL of a server; it looks like https://keys.example.org:8443.", url);
        at = host + strcspn(host, "/?#");
        *ret_host = text_copy_n(host, (size_t)(at - host));
        return 0;
}

static int sign(const struct server *server, const struct msg_record *record, const void *request, struct buf *out)
{
        MSG_OWN(authorization) authorization = {.operator = text_copy(server->operator_name), .created = clock_now()};
        CLEANUP(secret_done) struct secret encoded = SECRET_NONE;
        uint8_t nonce[OPERATION_NONCE_SIZE], signature[SIGNATURE_SIZE];

        TRY(message_encode_secret(record, request, &encoded));
        if (server->nonce.len == sizeof(nonce))
                memcpy(nonce, server->nonce.data, sizeof(nonce));
        else
                random_fill(nonce, sizeof(nonce));
        TRY(operation_sign(&(struct operation){.server_id = bytes_text(msg_text(server->server_id)),
                                               .created = authorization.created,
                                               .nonce = bytes_of(nonce, sizeof(nonce)),
                                               .kind = bytes_text(record->name),
                                               .message = secret_view(&encoded)},
                           &server->signing, signature));
        buf_add(&authorization.nonce, nonce, sizeof(nonce));
        buf_add(&authorization.signature, signature, sizeof(signature));
        authorization_operator_add(out, &authorization);
        return 0;
}

static int authorize(const struct server *server, const struct route *route, const void *request, struct buf *out)
{
        bool may_sign = route->who == ROUTE_OPERATOR || route->who == ROUTE_TICKET;

        if (may_sign && server->operator_name)
                return PASS(sign(server, route->request(), request, out));
        if (route->who == ROUTE_TICKET && server->ticket.len) {
                authorization_ticket_add(out, buf_view(&server->ticket));
                return 0;
        }
        if (may_sign)
                return refuse(
                    PROBLEM_UNAUTHENTICATED,
                    "The server must know who asks for this: enroll, or accept an invitation as operator, first.");
        return 0;
}

static int raise_problem(const struct server *server, const struct http_answer *answer)
{
        MSG_OWN(problem) problem = {0};

        if (problem_json_parse(buf_view(&answer->body), &problem) == 0)
                return problem_raise(&problem);
        return refuse(
            PROBLEM_UNREACHABLE,
            "What answers at %s is no Vouchsafe server, or one behind a proxy that failed (HTTP status %ld).",
            server->url, answer->status);
}

/* The limits of messages are far beyond what anybody means to type. */
static int check_size(int result)
{
        char *what CLEANUP(mem_freep) = NULL;

        if (result != -EMSGSIZE)
                return PASS(result);
        what = text_copy(report_text());
        return refuse(PROBLEM_TOO_LARGE, "Something that was given is too long, and nothing was sent: %s.", what);
}

int server_call_message(struct server *server, unsigned kind, const void *request, void *ret_reply)
{
        const struct route *route = route_of_kind(kind);
        CLEANUP(buf_done) struct buf target = BUF_NONE, url = BUF_NONE, authorization = BUF_NONE;
        CLEANUP(json_buf_done) struct buf body = BUF_NONE;
        CLEANUP(http_answer_done) struct http_answer answer = {0};
        int r;

        if (!route)
                return fault(0, "the API has no message of kind %u", kind);
        server->uncertain = false;
        TRY(check_size(route_encode(route, request, &target, &body)));
        TRY(check_size(authorize(server, route, request, &authorization)));
        buf_add_text(&url, server->url);
        buf_add_bytes(&url, buf_view(&target));
        TRY(http_call(server->http,
                      &(struct http_request){.url = buf_text(&url),
                                             .method = route_method_text(route->method),
                                             .body = buf_view(&body),
                                             .authorization = authorization.len ? buf_text(&authorization) : NULL,
                                             .ca = buf_view(&server->ca),
                                             .public_trust = server->public_trust,
                                             .repeatable = route->method == ROUTE_GET || route->who != ROUTE_ANYONE,
                                             .limit = ANSWER_MOST,
                                             .timeout_s = SECONDS_MOST},
                      &answer));
        server->uncertain = answer.again || (answer.status >= 200 && answer.status <= 299);
        if (answer.status < 200 || answer.status > 299)
                return raise_problem(server, &answer);
        r = json_message_parse(route->reply(), buf_view(&answer.body), ret_reply);
        if (r > 0)
                return report_prefix(r, "The answer of %s cannot be read; is it of another version? ", server->url);
        return PASS(r);
}
