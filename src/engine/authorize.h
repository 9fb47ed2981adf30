/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Who asks, and may he: the kind of a request, its message, the seal, signatures of operators, tickets of users,
 * roles; and answers that are kept for who repeats a signed request.
 */
#include "engine/request.h"

/* *ret_answered: the answer was kept from before and is in place. */
int request_authorize(struct request *request, bool *ret_answered) must_check;
/* Keep request->answer under the operator's nonce. */
int answer_keep(struct request *request) must_check;

/* Tickets: version 1 ‖ user id 16 ‖ made 8 ‖ expiry 8 ‖ HMAC 32. They end when their user is revoked, too: whoever
 * has stolen his keys has his ticket. */
int ticket_make(struct engine *engine, const struct id *user, int64_t expires, struct buf *ret_ticket) must_check;
/* PROBLEM_UNAUTHENTICATED */
int ticket_check(struct engine *engine, struct bytes ticket, struct id *ret_user) must_check;
/* The point of an operation-signing key. PROBLEM_UNSUPPORTED for other keys. */
int operator_point(struct bytes spki, struct point *ret_point) must_check;
/* A key that no operator has, so that the time tells nobody who is one. */
int operator_decoy_init(struct engine *engine) must_check;
