/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The server as its clients see it: a message of the API goes out over HTTPS, signed or with a ticket as its route
 * wants, and the reply or the problem comes back (protocol/routes.h). What is sent again after a lost connection is
 * the same to the byte, so the server does it once.
 */
#include "cli/http.h"
#include "crypto/curve.h"
#include "wire/message.h"

struct server {
        struct http *http;
        char *url;       /* without a slash at the end */
        char *server_id; /* for signatures; NULL before it is known */
        struct buf ca;   /* PEM; empty: whoever answers is believed, unless public_trust */
        bool public_trust;
        struct buf ticket;
        char *operator_name;   /* NULL: nobody who signs */
        struct secret signing; /* scalar */
        struct bytes nonce;    /* of the next requests that are signed, borrowed; none: a new one for each. What is asked
                                  again with the same nonce is answered as before */
        bool uncertain;        /* of the last request: it may have been done, although it failed */
};

/* `roots` are DER certificates to be trusted; empty ones are left out. */
void server_init(struct server *server, const char *url, struct bytes root, struct bytes issuer);
void server_done(struct server *server);

/* Problems are the server's own, with its sentence, and those of http_call(). `request` and `ret_reply` are messages
 * of `kind` and the next. */
int server_call_message(struct server *server, unsigned kind, const void *request, void *ret_reply) must_check;
#define server_call(server, name, request, reply_name, ret_reply)                                                    \
        ({                                                                                                           \
                const struct msg_##name *typed_request_ = (request);                                                 \
                struct msg_##reply_name *typed_reply_ = (ret_reply);                                                 \
                _Static_assert(MSG_##reply_name == MSG_##name + 1, "the reply is the next kind");                    \
                server_call_message((server), MSG_##name, typed_request_, typed_reply_);                             \
        })

/* "keys.example.org:8443" of a URL. PROBLEM_USAGE when it is none with https. */
int server_host(const char *url, char **ret_host) must_check;
