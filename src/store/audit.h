/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Rows of the audit table, for the files that read them: its MAC is over all of it, its hash too
 * (model/audit.h). */
#include "store/internal.h"

struct audit_row {
        struct audit_record record; /* views, until the query goes on */
        struct bytes hash, mac;
};

/* The current row of a query that selects seq, time, actor, action, subject, outcome, details, operation, digest,
 * changes, hash, mac. */
void audit_row_columns(struct query *query, struct audit_row *ret_row);
/* Whether its MAC is right. */
bool audit_row_right(struct store *store, const struct audit_row *row);
/* What its hash must be after `previous`. */
void audit_row_hash(struct store *store, const struct audit_record *record, const uint8_t previous[static HASH_SIZE],
                   uint8_t ret_hash[static HASH_SIZE]);
/* The current row of a query that selects seq, time, hash, signature. */
void head_columns(struct query *query, struct audit_head *ret_head, struct bytes *ret_signature);
