/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Using a token or an invitation code: what all purposes have in common. A stranger learns nothing from a refusal: a
 * wrong selector, a wrong MAC, and a token that has expired, was cancelled, was exhausted or was used by another
 * request give the same problem after the same work.
 */
#include "engine/people.h"

struct token_use {
        struct msg_token_request ask;
        struct bytes encoded; /* of ask; a view into the request's message */
        struct digest digest; /* of encoded */
        struct token_row token;
        struct operator_row operator;
        bool is_invitation;
        struct user_row user;
        struct msg_subject subject;
        struct buf spki; /* of the CSR, verified */
        uint64_t record_id;
        struct pool_key *pool;
};

/* The token is right, but something else is not: known only to who holds it. */
int token_refused(void) must_check;
const struct secret *token_use_auth(const struct token_use *use);
/* Verifies the CSR: proof of possession, a permitted kind of key, of nobody else. Sets use->spki. */
int token_use_csr(struct request *request, struct token_use *use) must_check;
/* What every answer says of the server. */
int token_answer_begin(struct engine *engine, struct msg_token_answer *answer) must_check;
/* MAC it, make it the reply, and (keep) store it for who repeats the request. */
int token_answer_finish(struct request *request, struct token_use *use, const struct msg_token_answer *answer,
                        bool keep) must_check;
/* The user of the token, which was just loaded. */
int token_use_user(struct request *request, struct token_use *use) must_check;
/* The token and its user as they are now, after a keeper's answer; PROBLEM_TOKEN_REFUSED when the token is none any
 * more. */
int token_use_reload(struct request *request, struct token_use *use) must_check;
int token_use_spend(struct request *request, struct token_use *use) must_check;

int enroll_begin(struct request *request, struct token_use *use) must_check;
int redeem_begin(struct request *request, struct token_use *use) must_check;
int invitation_show(struct request *request, struct token_use *use) must_check;
int accept_begin(struct request *request, struct token_use *use) must_check;

/* issue.c */
int issue_ask(struct request *request, struct token_use *use, bool signature_only,
              int (*resume)(struct request *request, int result, struct bytes reply)) must_check;
/* Certificates and archive of a keeper's answer into the database; the former ones are superseded or (signature,
 * `revoke`) revoked. */
int issue_store(struct request *request, struct token_use *use, const struct msg_keeper_enrolled *made,
                bool revoke) must_check;
