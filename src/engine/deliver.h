/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How tokens reach their users. What is to be mailed waits in the row of the token, sealed, while the token is good;
 * a job of the queue only names it. When the job is given out the engine looks again: what is used, void or expired is
 * mailed to nobody, and the address is the directory's of that moment.
 */
#include "crypto/token.h"
#include "engine/people.h"

/* What `asked` ("" : as configured) means for a token to enroll. PROBLEM_STATE when mail is wanted and none is
 * configured; PROBLEM_MALFORMED. */
int delivery_of(const struct engine *engine, const char *asked, enum token_delivery *ret_delivery) must_check;
const char *delivery_name(int64_t delivery);
/* The same for recovery: what is configured. */
enum token_delivery delivery_of_recovery(const struct engine *engine);
/* A token to enroll for this way, and what of it is to be mailed. */
struct token delivery_token(enum token_delivery delivery, struct secret *ret_mail);

/* In the transaction that makes the token good for use: queue the mail. Nothing for a token by hand. */
int token_deliver(struct engine *engine, const struct token_row *token) must_check;
/* The content of the job (outbound.c), which gets its recipient. PROBLEM_NOT_FOUND: there is nothing to be mailed any more. */
int token_mail_fill(struct engine *engine, struct job_row *job, struct buf *ret_content) must_check;

/* The Message-ID of a job's mail, which strangers cannot guess, and the job back from it. PROBLEM_NOT_FOUND for any
 * other text. */
int message_id_make(struct engine *engine, const struct job_row *job, char **ret_message_id) must_check;
int message_id_find(struct engine *engine, const char *message_id, struct job_row *ret_job) must_check;
/* What a mail system says of a message may repeat the message: then it is left out. */
int token_mail_clean(struct engine *engine, const struct job_row *job, const char *words, char **ret_words) must_check;
/* Where a job's mail went or, while it is still to go, goes as the directory is now; the address of the user whom another job is
 * about; "": there is none. */
int job_address(struct engine *engine, const struct job_row *job, char **ret_address) must_check;
