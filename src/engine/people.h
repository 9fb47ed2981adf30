/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Users and entries of the directory, as requests name and show them. */
#include "engine/engine.h"

/* By address or id. PROBLEM_NOT_FOUND. */
int user_named(struct engine *engine, const char *name, struct user_row *ret_user) must_check;
/* Whom a certificate names: the entry of the user as it is now. PROBLEM_STATE when it is gone, disabled, or has no
 * address. */
int subject_of(struct engine *engine, const struct user_row *user, struct msg_subject *ret_subject) must_check;
int user_item_fill(struct engine *engine, const struct user_row *user, const struct entry_row *entry,
                   struct msg_user_item *ret_item) must_check;
int certificate_item_fill(const struct certificate_row *row, bool with_der,
                          struct msg_certificate_item *ret_item) must_check;
/* CRLReason names of RFC 5280 5.3.1 and back. */
enum { REASON_COMPROMISE = 1, REASON_CESSATION = 5 };
const char *reason_name(int64_t reason); /* "" when there is no such */
int reason_parse(const char *name, int64_t *ret_reason) must_check;
void texts_to_message(const struct texts *texts, struct msg_texts *out);

/* Replace what a field of a row holds. */
void buf_set(struct buf *buf, struct bytes content);

/* Next state of a row, by its table; PROBLEM_STATE. */
int row_advance(const struct state_table *table, int64_t *state, int event) must_check;
/* A token that was issued to the user is none any more. */
int token_cancel(struct engine *engine, const struct id *user, int kind) must_check;
/* It was never used, and is not to be: its user is what he was before it. */
int user_lose(struct engine *engine, const struct token_row *token) must_check;
/* USER_RECOVERS or USER_RECOVERY_LOST: who has nothing valid after it is revoked again. The row is not stored. */
int user_recovery_end(struct engine *engine, struct user_row *user, int event) must_check;

/* Certificates of a user, loaded. */
struct certificate_rows {
        struct certificate_row *items;
        size_t count;
};
int certificates_of(struct engine *engine, const struct id *user, int kind, int state,
                    struct certificate_rows *ret_rows) must_check;
void certificate_rows_done(struct certificate_rows *rows);
struct archive_rows {
        struct archive_row *items;
        size_t count;
};
/* Newest first. */
int archives_of(struct engine *engine, const struct id *user, struct archive_rows *ret_rows) must_check;
void archive_rows_done(struct archive_rows *rows);
/* Revoke all that are in time, take tokens away; publish. The user is stored; what was revoked is given back. For
 * keyCompromise also what was revoked for something else, and who is revoked already: the reason becomes this one, the
 * time stays. */
int user_revoke(struct engine *engine, struct user_row *user, int64_t reason,
                struct certificate_rows *ret_revoked) must_check;
/* Put it on the revocation list. */
int certificate_revoke(struct engine *engine, struct certificate_row *row, int64_t reason) must_check;

/* Certificates and keys that a keeper made enter the database (issue.c). */
struct issued {
        struct certificate_row certificate;
        struct buf spki;
};
void issued_done(struct issued *issued);
int issued_read(struct engine *engine, struct bytes der, const struct id *user, int kind,
                struct issued *ret_issued) must_check;
/* The record id as the wire has it, and as the store has it. */
uint64_t record_id_new(struct engine *engine);
struct id record_id_store(uint64_t record_id);
uint64_t record_id_wire(const struct id *id);
