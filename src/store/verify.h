/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of verify share. Its phases run one after the other, each in slices within one read transaction (one
 * view of the data). */
#include "store/audit.h"
#include "store/ledger.h"

enum verify_phase { VERIFY_CHAIN, VERIFY_HEADS, VERIFY_TABLES, VERIFY_KEYS, VERIFY_MISSING, VERIFY_DONE };

struct store_verify {
        struct store *store;
        struct store_verify_options options;
        enum verify_phase phase;
        struct store_verify_progress progress;
        struct ledger ledger;
        int64_t head_seq;            /* the last signed head seen */
        int64_t heads;               /* how many */
        bool end_named;              /* that the chain's end does not fit was reported */

        size_t table;                /* index in tables[] */
        struct buf cursor;           /* key of the last row seen, as table_key(); empty: the start */
        bool started;                /* the cursor means something */
        struct store_counts counted; /* so far */
        int64_t chain_version;       /* of the chain row, when the table was begun */

        int64_t keys_kind;           /* cursor in entry_keys */
        struct buf keys_text, keys_guid;
        size_t slot, slot_size;      /* cursor in the ledger, and its size then */
};

/* Report a finding; the sentence is made as by printf. */
int verify_found(struct store_verify *verify, enum store_finding_kind kind, const char *table, const char *key,
                 const char *format, ...) must_check __attribute__((format(printf, 5, 6)));

/* One slice of a phase; *ret_done: the phase is over. */
int verify_chain(struct store_verify *verify, size_t most, bool *ret_done) must_check;
int verify_heads(struct store_verify *verify, size_t most, bool *ret_done) must_check;
int verify_tables(struct store_verify *verify, size_t most, bool *ret_done) must_check;
int verify_keys(struct store_verify *verify, size_t most, bool *ret_done) must_check;
int verify_missing(struct store_verify *verify, size_t most, bool *ret_done) must_check;
