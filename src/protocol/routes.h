/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The REST API: which HTTP request is which message (routes.def), both ways. Pure.
 *
 * Targets are the origin form of RFC 9112 section 3.2.1, path and query as they stand in the request line. Segments and
 * parameters are percent-encoded UTF-8 (RFC 3986); "+" means itself. A parameter may come once, unless its field is a
 * list of texts. An unknown or ill-formed parameter, a path field that is empty or ".", "..", and a field that comes
 * both in the path and in the body are refused with PROBLEM_MALFORMED and a sentence that names it.
 */
#include "base/buf.h"
#include "wire/message.h"

#define ROUTE_PREFIX "/api/v1"

enum route_method { ROUTE_GET, ROUTE_POST };
enum route_who { ROUTE_ANYONE, ROUTE_TOKEN, ROUTE_TICKET, ROUTE_OPERATOR };

struct route {
        enum route_method method;
        const char *path; /* below ROUTE_PREFIX */
        const char *query;
        const struct msg_record *(*request)(void);
        const struct msg_record *(*reply)(void);
        uint16_t kind, reply_kind;
        unsigned status;
        enum route_who who;
        bool sealed;
};

const struct route *route_at(size_t index);              /* NULL at the end */
const struct route *route_of_kind(unsigned kind);        /* of the request; NULL when the API has no such */
const char *route_method_text(enum route_method method); /* "GET" */

/* PROBLEM_NOT_FOUND: no such path. PROBLEM_METHOD: the path takes others (route_methods()). HEAD is not GET here. */
int route_find(const char *method, struct bytes target, const struct route **ret_route) must_check;
/* "GET, POST": what the path of `target` takes; "" when it does not exist. For the Allow header. */
void route_methods(struct bytes target, struct buf *out);

/* Where a field of the request stands. */
enum route_place { ROUTE_IN_BODY, ROUTE_IN_PATH, ROUTE_IN_QUERY };
enum route_place route_field_place(const struct route *route, const char *field);

/* The message that a request is: path, query and body together. An empty body is an empty object. */
int route_decode(const struct route *route, struct bytes target, struct bytes body, void *ret_message) must_check;

/* The request that a message is. `ret_body` stays empty for a GET; it may hold secrets: end it with json_buf_done(). A
 * fault when a path field is empty. */
int route_encode(const struct route *route, const void *message, struct buf *ret_target,
                 struct buf *ret_body) must_check;
