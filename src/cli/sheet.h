/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Sheets with tokens to be given by hand: drawn by vouchsafe-sheet, written to files that only their owner can read. */
#include "cli/session.h"

/* A file of sheets is PDF or text, by its name. PROBLEM_USAGE. */
int sheet_form(const char *path, const char **ret_form) must_check;
/* What all sheets of a session have in common. */
void sheet_fill(const struct session *session, struct msg_sheet *sheet);
/* A line of the file that "user enroll --out" writes: token, address, name, expiry, language. PROBLEM_MALFORMED, PROBLEM_TOKEN_TYPO.
 */
int sheet_line_read(struct bytes line, struct msg_sheet *ret_sheet) must_check;
/* All lines of such a file; "-" is standard input. `language` NULL: each person's. PROBLEM_NOT_FOUND: there is none. */
int sheets_read(const char *path, const struct session *session, const char *language,
                struct msg_sheet_print *ret_sheets) must_check;
/* Whether this machine can print any. */
int sheets_check(void) must_check;
/* To a new file; of more than fit into one, more files are written beside it: FILE-2.pdf and so on. Empties the list. */
int sheets_write(const char *path, struct msg_sheet_print *sheets) must_check;
