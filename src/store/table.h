/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Tables as constant descriptions: which member of which row (model/rows.h) is which column. From a description come
 * the SQL to insert, update, delete and select, the canonical encoding of a row, its digest and MAC, sealing, and
 * release. Key columns come first.
 *
 *   canonical   table 1, version 8, then each column in order: a number as 8 bytes, all else as length 4 and bytes;
 *   big endian
 *   digest      SHA-256(canonical); the audit record has its first 16 bytes
 *   mac         HMAC-SHA256(row key, digest), the first 16 bytes
 *
 * Sealed columns go into this as they are stored, sealed; they are bound to table, key and column (associated data).
 * Table numbers are part of all this and are never given to another table.
 */
#include "base/buf.h"
#include "store/db.h"
#include "store/store.h"

enum column_type {
        COLUMN_NUMBER = 1, /* int64_t */
        COLUMN_TEXT,       /* char * */
        COLUMN_CHARS,      /* char[], ends in 0 */
        COLUMN_FIXED,      /* uint8_t[] or struct id: stored whole */
        COLUMN_BYTES,      /* struct buf */
        COLUMN_TEXTS,      /* struct texts, joined */
        COLUMN_SEALED,     /* struct secret; empty is stored empty */
};

struct column {
        const char *name;
        enum column_type type;
        size_t offset, size;
};

enum { COLUMNS_MOST = 24, MAC_SIZE = 16 };

struct table {
        const char *name;
        unsigned number;
        const char *noun; /* "certificate" */
        size_t row_size;
        const struct column *columns;
        unsigned column_count, key_count;
        bool chained;        /* its changes are in the audit chain */
        bool made;           /* its keys are random or made of what is: that there is one already is a fault */
        size_t count_offset; /* of its numbers in struct store_counts, */
        int count_states;    /* by state up to this; 0 = one number; −1 = not counted */
        size_t state_offset; /* of the state in the row */
};

extern const struct table table_chain, table_bootstrap, table_entries, table_users, table_tokens, table_replies,
        table_certificates, table_revocations, table_archives, table_pool, table_requests, table_approvals,
                table_operators,
        table_operations, table_settings, table_jobs, table_smime;
/* All of them, ending in NULL; and by number, NULL if there is none. */
extern const struct table *const tables[];
const struct table *table_of(unsigned number);

/* Rows that are the store's own. */
struct chain_row {
        struct row row;
        int64_t number; /* key, 1: there is one chain */
        int64_t seq, time;
        uint8_t hash[HASH_SIZE];
        int64_t revocations, jobs; /* the last numbers given */
        int64_t heads;             /* how many are signed */
        struct buf counts;
};
struct bootstrap_row {
        struct row row;
        char *name;
        int64_t number;
        struct buf record;
};

static inline void *column_at(const struct column *column, const void *row)
{
        return (char *)row + column->offset;
}

/* SQL, made once per (table, clause) by query_make(). */
void table_insert_sql(const void *table, const char *clause, struct buf *out);
void table_update_sql(const void *table, const char *clause, struct buf *out);
void table_remove_sql(const void *table, const char *clause, struct buf *out);
/* "SELECT all columns, version, mac FROM table " ‖ clause */
void table_select_sql(const void *table, const char *clause, struct buf *out);

/* The values of a row's columns as they are stored. `scratch` keeps what they point to; sealing needs the column key.
 * */
int table_values(const struct table *table, const void *row, const struct secret *column_key,
                 struct value ret_values[static COLUMNS_MOST], struct buf *scratch) must_check;
/* The inverse into a zeroed row; releases what it filled when it fails. PROBLEM_TAMPERED */
int table_fill(const struct table *table, const struct value *values, const struct secret *column_key,
               void *row) must_check;
void table_row_done(const struct table *table, void *row);

void table_canonical(const struct table *table, int64_t version, const struct value *values, struct buf *out);
/* The key as audit records have it: one column as it is, several each with its length in two bytes; numbers as 8
 * bytes. */
void table_key(const struct table *table, const struct value *values, struct buf *out);
/* … and as people read it: "a/b", ids in hexadecimal. From an audit record's key. */
void table_key_text(const struct table *table, struct bytes key, struct buf *out);
/* The key columns' values from an audit record's key, views into it; false when it is not of that form. */
bool table_key_values(const struct table *table, struct bytes key, struct value *ret_values);
