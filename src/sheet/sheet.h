/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Sheets that bring tokens by hand, a page for each user: his name, the token large and in groups, what to type, until when; as a
 * QR code too. In the language of the user where it is English or German, else in English.
 *
 * Whoever draws is a program of its own (main.c), which reads the tokens from a channel and answers with the file: so the command
 * stays small, and what draws text has neither keys nor a network.
 */
#include "base/secret.h"
#include "wire/message.h"

/* A PDF of A4 pages. */
int sheet_pdf(const struct msg_sheet_print *ask, struct buf *ret_file) must_check;
/* The same to read: pages end in form feeds. */
int sheet_text(const struct msg_sheet_print *ask, struct buf *ret_file) must_check;

/* What a page says, in order. */
struct sheet_words {
        char *title, *intro, *token_label, *run, *command, *typed, *until, *secret, *other;
};
void sheet_words_fill(const struct msg_sheet *sheet, struct sheet_words *ret_words);
void sheet_words_done(struct sheet_words *words);
