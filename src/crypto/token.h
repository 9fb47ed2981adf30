/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Tokens and invitation codes: what a person carries from one machine to another by hand, once.
 *
 *   SSSSSSX-XXXXXXX-XXXXXXX-XXXXXCC    symbols of 23456789ABCDEFGHJKLMNPQRSTUVWXYZ, 5 bits each
 *
 * S: the selector, public, finds the row. X: 100 bits, secret, never sent. C: two check symbols of a Reed–Solomon
 * code over GF(32), by which any one or two wrong symbols, and any two exchanged, are found before anything is
 * sent. Reading ignores case, blanks and dashes. From the secret come `auth`, a MAC key the server knows, and
 * `recipient`, a P-256 key whose private part it does not.
 */
#include "crypto/curve.h"
#include "crypto/kdf.h"

enum { TOKEN_SELECTOR_SIZE = 6, TOKEN_TEXT_SIZE = 31 };

struct token {
        char selector[TOKEN_SELECTOR_SIZE + 1]; /* upper case */
        struct secret secret;                   /* 13 bytes, of which the last four bits are zero */
};

#define TOKEN_NONE ((struct token){0})

struct token token_new(void);
void token_done(struct token *token); /* idempotent */
/* PROBLEM_TOKEN_TYPO, with a sentence that says which symbol, group or the whole. */
int token_parse(struct bytes text, struct token *ret_token) must_check;
/* TOKEN_TEXT_SIZE bytes with dashes, for secret_write(). */
struct secret token_text(const struct token *token);
/* PROBLEM_MALFORMED unless 6 symbols of the alphabet, upper case. */
int selector_check(struct bytes text) must_check;

/* KEY_SIZE bytes. */
struct secret token_auth(const struct token *token);
int token_recipient(const struct token *token, struct secret *ret_scalar, struct point *ret_public) must_check;
