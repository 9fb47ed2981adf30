/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Enrollment and recovery on the user's machine. The order of steps makes every interruption harmless:
 *
 *   1. keys and request are made and stored (pending/WHAT-SELECTOR, under the user's password)     nothing was sent yet
 *   2. the request is sent; the server answers a repetition with what it answered before
 *   3. the answer is checked: MAC, chain to the CA that it names, our own key in the certificate, addresses, keys
 * that fit
 *   4. users/ADDRESS/keys, then users/ADDRESS/config, then pending/WHAT-SELECTOR goes away
 *
 * Each step can be repeated; step 4 adds keys by certificate, so a repetition adds nothing twice.
 */
#include "cli/command.h"
#include "cli/exchange.h"

/* What an answer was checked to be. */
struct enrolled {
        struct msg_token_answer answer;
        struct msg_key_store store;
        size_t unchained; /* recovered keys whose certificates do not lead to the present CA (they are kept) */
};
void enrolled_done(struct enrolled *enrolled);

/* Step 1, without storing: the request and the keys for it. `key_type` is a name of pkey_type_from_name(). */
int enroll_prepare(const char *purpose, const char *url, const struct token *token, const char *key_type,
                   struct msg_pending_exchange *ret_pending) must_check;
/* Step 3. PROBLEM_UNAUTHENTICATED, PROBLEM_MALFORMED: the answer is not what was asked for. Takes over `answer`. */
int enroll_check(const struct msg_pending_exchange *pending, const struct token *token,
                 struct msg_token_answer *answer, struct enrolled *ret_enrolled) must_check;
/* Step 4 but for the last. */
int enroll_store(const struct msg_pending_exchange *pending, const struct secret *password,
                 const struct enrolled *enrolled) must_check;
