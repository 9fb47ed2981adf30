/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Tokens and invitation codes: what a person carries from one machine to another, once.
 *
 *   SSSSSSX-XXXXXXX-XXXXXXX-XXXXXCC    symbols of 23456789ABCDEFGHJKLMNPQRSTUVWXYZ, 5 bits each
 *   MMMMMMM-MMMMMCC                    the part by mail of a token in two parts; the other part looks as above
 *
 * S: the selector, public, finds the row. X: 100 bits, secret, never sent. M: 60 bits more. C: two check symbols of a
 * Reed–Solomon code over GF(32), by which any one or two wrong symbols of a part, and any two exchanged, are found
 * before anything is sent. Reading ignores case, blanks and dashes.
 *
 * The first symbol tells of how many parts a token is: of one when it is a digit or A to H, of two when it is J to Z.
 * So who types one part is told that there is another, and nothing is tried with half a token.
 *
 * From the secret, of both parts together, come `auth`, a MAC key the server knows, and `recipient`, a P-256 key whose
 * private part it does not.
 */
#include "crypto/curve.h"
#include "crypto/kdf.h"

enum { TOKEN_SELECTOR_SIZE = 6, TOKEN_TEXT_SIZE = 31, TOKEN_MAIL_TEXT_SIZE = 15 };

struct token {
        char selector[TOKEN_SELECTOR_SIZE + 1]; /* upper case; "" while only the part by mail is known */
        struct secret secret;                   /* 13 bytes, of which the last four bits are zero */
        struct secret mail;                     /* 8 bytes, likewise; none of a token in one part */
};

#define TOKEN_NONE ((struct token){0})

struct token token_new(void);
struct token token_new_split(void);      /* in two parts */
void token_done(struct token *token); /* idempotent */
bool token_is_split(const struct token *token);
/* A whole token: both parts, in any order, where it has two. PROBLEM_TOKEN_TYPO, with a sentence that says which
 * symbol, group or the whole; PROBLEM_TOKEN_PART when one is missing. */
int token_parse(struct bytes text, struct token *ret_token) must_check;
/* The same piece by piece: take the part or parts that `text` has into a token that began as TOKEN_NONE. The same part
 * once more is fine, another one of its kind is not (PROBLEM_TOKEN_PART). */
int token_add(struct bytes text, struct token *token) must_check;
/* PROBLEM_TOKEN_PART, with a sentence that says what is missing. */
int token_check_whole(const struct token *token) must_check;
/* TOKEN_TEXT_SIZE bytes with dashes, for secret_write(): the whole, or the part by hand. */
struct secret token_text(const struct token *token);
/* The part by mail, TOKEN_MAIL_TEXT_SIZE bytes; SECRET_NONE of a token in one part. */
struct secret token_mail_text(const struct token *token);
/* Does the text repeat a group of this text of a token? What others say of a message that holds it may do that. */
bool token_text_is_in(struct bytes text, const struct secret *token_text);
/* PROBLEM_MALFORMED unless 6 symbols of the alphabet, upper case. */
int selector_check(struct bytes text) must_check;

/* KEY_SIZE bytes. */
struct secret token_auth(const struct token *token);
int token_recipient(const struct token *token, struct secret *ret_scalar, struct point *ret_public) must_check;
