/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the files of the store share: its state, and protected rows. Every change to a protected row goes through
 * row_insert(), row_update() or row_remove(), which check the state, keep MAC, version and counts, and note the
 * change for the next audit record.
 */
#include "base/fault.h"
#include "base/mem.h"
#include "crypto/kdf.h"
#include "store/db.h"
#include "store/store.h"
#include "store/table.h"

struct store {
        struct db db;
        bool read_only;

        struct secret column; /* empty while sealed */
        struct hasher row;    /* keyed */
        struct hasher plain;
        struct buf server_id;

        bool open;            /* store_begin() was called */
        bool writing;         /* … and the database's transaction begun, at the first change */
        bool savepoint;       /* store_savepoint() was called */
        bool savepoint_begun; /* … and the database's made */
        struct buf changes;   /* made since the last audit record, as audit_change_add() has them */

        struct chain_row chain;    /* within a transaction as it will be; version 0: there is none yet */
        struct store_counts counts; /* goes with it */
        bool chain_loaded;         /* chain and counts are those of the database */
        bool chain_changed;        /* … and to be written at the commit */
        struct chain_row chain_before; /* at the savepoint; without the counts' buffer */
        struct store_counts counts_before;
        bool changed_before;

        struct buf scratch, canonical; /* reused */
};

/* Begin the database's own transaction if it is not, and the savepoint. Every function that writes calls it first.
 * PROBLEM_SEALED. */
int store_write(struct store *store) must_check;
/* The same without keys: bootstrap. */
int store_write_unsealed(struct store *store) must_check;
int store_need_keys(const struct store *store) must_check;
/* Read chain and counts if they are not current. */
int chain_load(struct store *store) must_check;
int chain_save(struct store *store) must_check;
/* The store's SHA-256 for audit.h; the context is the store. */
void store_sha256(void *context, struct bytes data, uint8_t ret_hash[static HASH_SIZE]);

/* digest and MAC of values, as table.h has them */
void row_seals(struct store *store, const struct table *table, int64_t version, const struct value *values,
               struct digest *ret_digest, uint8_t ret_mac[static MAC_SIZE]);

int row_insert(struct store *store, const struct table *table, void *row) must_check;
int row_update(struct store *store, const struct table *table, void *row) must_check;
/* By key and version; the row stays the caller's. */
int row_remove(struct store *store, const struct table *table, const void *row) must_check;
/* The first row of a SELECT with this clause ("WHERE …", a literal). */
int row_find(struct store *store, const struct table *table, const char *clause, struct values values,
             void *ret_row) must_check;

/* All rows of a SELECT, checked, in memory, so that whoever sees them may use the store. */
struct rows {
        const struct table *table;
        uint8_t *items; /* count × table->row_size */
        size_t count;
};
void rows_done(struct rows *rows);
int rows_select(struct store *store, const struct table *table, const char *clause, struct values values,
                struct rows *ret_rows) must_check;
/* The values, version and MAC of the current row of a SELECT; views. */
void row_columns(struct query *query, const struct table *table, struct value ret_values[static COLUMNS_MOST],
                 int64_t *ret_version, struct bytes *ret_mac);

/* Select, then call `each(context, row)` with the row's own type until it returns non-zero. An expression with that
 * result. */
#define ROWS_EACH(store, table, type, context, each, clause, ...)                                            \
        ({                                                                                                   \
                CLEANUP(rows_done) struct rows rows_ = {0};                                                  \
                int each_result_ = rows_select(store, table, clause, VALUES(__VA_ARGS__), &rows_);           \
                for (size_t row_ = 0; each_result_ == 0 && row_ < rows_.count; row_++)                       \
                        each_result_ = (each)(context, &((struct type *)(void *)rows_.items)[row_]);         \
                PASS(each_result_);                                                                          \
        })

/* Read rows older than `before`, at most `most`, and remove them: purging. The clause has them as $1 and $2. */
int rows_purge(struct store *store, const struct table *table, const char *clause, struct values values,
               size_t *ret_count) must_check;
