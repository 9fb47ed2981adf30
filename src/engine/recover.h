/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Requests that need officers: their rows as others see them, and the approvals of a request, loaded. */
#include "engine/people.h"

struct approval_rows {
        struct approval_row *items;
        size_t count, given; /* given: that count for the quorum */
};
int approvals_of(struct engine *engine, const struct id *request, struct approval_rows *ret_rows) must_check;
void approval_rows_done(struct approval_rows *rows);

int request_named(struct engine *engine, const char *name, struct request_row *ret_row) must_check;
int request_item_fill(struct engine *engine, const struct request_row *row,
                      struct msg_request_item *ret_item) must_check;
/* Their pieces go from the database as soon as nobody needs them: with the database key and the rest of a quorum they
 * would open what was asked for. */
int approvals_forget(struct engine *engine, const struct id *request) must_check;
/* What this officer approved, and is not opened yet, counts no more. */
int approvals_withdraw(struct engine *engine, const char *officer) must_check;
/* What an officer's approval must be, whatever the kind of request: his own, of these terms, signed with his key. */
int approval_check(struct request *request, const struct msg_approval_item *approval, struct bytes terms) must_check;
/* What to say to who approves after others have done so: PROBLEM_STATE. */
int approval_late(void) must_check;
/* "the server holds 1 of 2 approvals …" */
char *approval_sentence(size_t given, size_t quorum);
