/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * An HTTP client on libcurl: one handle for the life of the process, so that connections are used again. Redirects
 * are not followed. Other protocols than http and https are refused.
 *
 * A request marked `repeatable` is sent again (three times, backing off from a quarter of a second) when the
 * connection fails before the answer is whole; it is then byte for byte the same, nonce included.
 */
#include "base/buf.h"
#include "base/fault.h"

struct http;

struct http *http_new(void);
void http_free(struct http *http);
DEFINE_CLEANUP(struct http *, http_free)

struct http_request {
        const char *url;
        const char *method;        /* GET, POST */
        struct bytes body;         /* sent as application/json when there is any */
        const char *authorization; /* value of the header, or NULL */
        struct bytes ca; /* PEM: trusted, and nothing else; none: any server is believed, as only an exchange that is
                            authenticated by itself may be */
        bool public_trust; /* without `ca`: the system's certificates decide, as for web sites */
        bool repeatable;
        size_t limit;         /* of the answer; 0: 64 MiB */
        unsigned timeout_s;   /* in all; 0: 60 */
        unsigned connect_s;   /* for the connection; 0: 10 */
        unsigned stall_s;     /* without a byte; 0: as long as all may take */
        int64_t unless_since; /* 0, or: status 304 and no body when it was not modified since */
};

struct http_answer {
        long status;
        char *media_type; /* without parameters, or NULL */
        struct buf body;
        int64_t modified; /* Last-Modified, 0 if absent */
        bool again;       /* a try before broke off; the server may have done that one */
};
void http_answer_done(struct http_answer *answer);

/* PROBLEM_UNREACHABLE (with host and reason), PROBLEM_TIMEOUT, PROBLEM_TOO_LARGE, PROBLEM_UNAUTHENTICATED (the
 * server's certificate is not of this CA), PROBLEM_USAGE (no URL that can be used). Any status is success. */
int http_call(struct http *http, const struct http_request *request, struct http_answer *ret_answer) must_check;
