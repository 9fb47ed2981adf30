/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The Authorization header (RFC 9110 section 11.6.2), two schemes and one spelling of each:
 *
 *   Vouchsafe operator="NAME", created="UNIX SECONDS", nonce="22 characters base64url", signature="base64url"
 *   Bearer TICKET                                                       (RFC 6750; the ticket in base64url)
 *
 * NAME is percent-encoded but for unreserved characters (RFC 3986), so that any name fits a header. The parameters come
 * in this order, with one comma and one blank between; the scheme's name is compared without case. What the values
 * prove is for the engine to say: here is syntax only, and PROBLEM_UNAUTHENTICATED for what has none.
 */
#include "base/buf.h"
#include "wire/message.h"

struct authorization {
        bool is_operator; /* else a ticket */
        struct msg_authorization operator;
        struct buf ticket; /* at most 256 bytes */
};

void authorization_done(struct authorization *authorization);
int authorization_parse(struct bytes header, struct authorization *ret_authorization) must_check;

/* Append the value of the header. */
void authorization_operator_add(struct buf *out, const struct msg_authorization *operator);
void authorization_ticket_add(struct buf *out, struct bytes ticket);
