/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The use of a token or invitation code: what is sent and what comes back is MACed with a key that only the holder of
 * the token and the server have, so it is authentic in both directions before any certificate of the server is known.
 * The secret itself is never sent.
 */
#include "cli/command.h"
#include "cli/server.h"
#include "crypto/token.h"

/* From --NAME, from the first lines of --NAME-file, or asked for. Of a token in two parts both options may be given
 * twice, a file may have a part in each of two lines, and who typed one part is asked for the other. PROBLEM_TOKEN_TYPO,
 * PROBLEM_TOKEN_PART before anything is sent. */
int token_get(const struct arguments *arguments, const char *name, const char *prompt,
              struct token *ret_token) must_check;
/* clang-format off */
#define OPTIONS_TOKEN(name, what)                                                                            \
        {name, "TOKEN", what " (asked for if absent); of one in two parts give both, each with this option", 0, true}, \
        {name "-file", "FILE", "read it from the first line of FILE (- is standard input), or its two parts from two lines or files", 0, true}
/* clang-format on */

/* `request` is a token_request, encoded. PROBLEM_UNAUTHENTICATED when the answer is not of a server that knows the
 * token. */
int exchange_send(struct server *server, const struct token *token, struct bytes request,
                  struct msg_token_answer *ret_answer) must_check;

/* Write a token where it is to go: to the file of --NAME-out (0600, never over another), or once to standard output.
 */
int token_show(const char *path, const struct token *token, const char *label) must_check;
int token_to_file(const char *path, const struct secret *text) must_check;

/* "ab12 cd34 ef56 7890 …": what people read to each other to see that they mean the same key (80 bits of SHA-256). */
enum { FINGERPRINT_TEXT_SIZE = 32 };
const char *fingerprint_short(struct bytes public_key, char text[static FINGERPRINT_TEXT_SIZE]);
