/* SPDX-License-Identifier: Apache-2.0 */
/* Life and transactions of a store, and the chain row: where the audit chain ends, what was counted. */
#include "store/internal.h"
#include "store/migrate.h"

enum { COUNTS = sizeof(struct store_counts) / sizeof(int64_t) };

/* ---- life ---- */

int store_open(const char *location, unsigned flags, struct store **ret_store)
{
        CLEANUP(store_freep) struct store *store = NEW(struct store);

        store->read_only = flags & STORE_READ_ONLY;
        hasher_init(&store->plain);
        TRY(db_open(&store->db, location, flags & STORE_CREATE, store->read_only));
        TRY(db_migrate(&store->db, store->read_only));
        *ret_store = TAKE(store);
        return 0;
}

static void forget_keys(struct store *store)
{
        secret_done(&store->column);
        hasher_done(&store->row);
        store->row = HASHER_NONE;
        store->chain_loaded = false;
}

void store_free(struct store *store)
{
        if (!store)
                return;
        store_rollback(store);
        forget_keys(store);
        hasher_done(&store->plain);
        db_close(&store->db);
        buf_done(&store->server_id);
        buf_done(&store->changes);
        buf_done(&store->chain.counts);
        buf_done(&store->scratch);
        buf_done(&store->canonical);
        free(store);
}

bool store_sealed(const struct store *store)
{
        return store->column.len == 0;
}

int store_need_keys(const struct store *store)
{
        return store_sealed(store)
                   ? refuse(PROBLEM_SEALED, "The database is sealed: its keys are not there yet")
                   : 0;
}

/* The chain row and the last record say the same: otherwise somebody removed or added some. */
static int chain_check(struct store *store)
{
        struct audit_head head = {0};
        CLEANUP(query_done)
        struct query query =
            query_of(&store->db, "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", VALUES_NONE);
        bool row;

        TRY(query_step(&query, &row));
        if (row) {
                struct bytes hash = query_bytes(&query, 1);
                head.seq = query_number(&query, 0);
                memcpy(head.hash, hash.data, MIN(hash.len, HASH_SIZE));
        }
        if (head.seq != store->chain.seq || (row && memcmp(head.hash, store->chain.hash, HASH_SIZE) != 0))
                return refuse(
                    PROBLEM_TAMPERED,
                    "The audit chain ends with record %lld, and the last record in the database is %lld",
                    (long long)store->chain.seq, (long long)head.seq);
        return 0;
}

int store_set_keys(struct store *store, const struct secret *row, const struct secret *column)
{
        int r;

        if (store->open)
                return fault(0, "The keys of the store were changed within a transaction");
        forget_keys(store);
        if (!row)
                return 0;
        if (row->len != KEY_SIZE || column->len != KEY_SIZE)
                return fault(0, "A key of the store has not %d bytes", KEY_SIZE);
        hasher_init_keyed(&store->row, row);
        store->column = secret_copy(secret_view(column));
        r = db_begin(&store->db, false); /* one view of both, while another server may be writing */
        if (r == 0) {
                r = chain_load(store);
                if (r == 0)
                        r = chain_check(store);
                db_rollback(&store->db);
        }
        if (r != 0)
                forget_keys(store);
        return PASS(r);
}

void store_sha256(void *context, struct bytes data, uint8_t ret_hash[static HASH_SIZE])
{
        struct store *store = context;
        struct digest digest;

        hasher_add(&store->plain, data);
        digest = hasher_end(&store->plain);
        memcpy(ret_hash, digest.data, HASH_SIZE);
}

/* ---- the chain row ---- */

static void counts_encode(struct store *store)
{
        const int64_t *numbers = (const int64_t *)&store->counts;

        buf_clear(&store->chain.counts);
        for (size_t i = 0; i < COUNTS; i++)
                buf_add_u64(&store->chain.counts, (uint64_t)numbers[i]);
}

static int counts_decode(struct bytes bytes, struct store_counts *ret_counts)
{
        int64_t *numbers = (int64_t *)ret_counts;

        if (bytes.len != COUNTS * 8)
                return refuse(PROBLEM_TAMPERED, "The kept counts are %zu bytes instead of %d", bytes.len,
                              COUNTS * 8);
        for (size_t i = 0; i < COUNTS; i++)
                numbers[i] = (int64_t)u64_of(bytes.data + 8 * i);
        return 0;
}

int chain_load(struct store *store)
{
        struct chain_row chain = {0};
        CLEANUP(buf_done) struct buf server = BUF_NONE;
        struct store_counts counts = {0};
        int r;

        if (store->chain_loaded)
                return 0;
        r = row_find(store, &table_chain, "WHERE number = 1", VALUES_NONE, &chain);
        if (r == 0) {
                r = counts_decode(buf_view(&chain.counts), &counts);
        } else if (r == PROBLEM_NOT_FOUND) {
                chain.number = 1;
                r = 0;
        }
        if (r != 0) {
                buf_done(&chain.counts);
                return PASS(r);
        }
        buf_done(&store->chain.counts);
        store->chain = chain;
        store->counts = counts;
        store->chain_changed = false;
        store->chain_loaded = true;
        if (store->server_id.len == 0) {
                r = store_bootstrap_get(store, "server", 1, &server);
                if (r == 0)
                        store->server_id = buf_take(&server);
                else if (r != PROBLEM_NOT_FOUND)
                        return PASS(r);
        }
        return 0;
}

int chain_save(struct store *store)
{
        if (!store->chain_changed)
                return 0;
        store->counts.audit = store->chain.seq;
        counts_encode(store);
        TRY(store->chain.row.version ? row_update(store, &table_chain, &store->chain)
                                     : row_insert(store, &table_chain, &store->chain));
        store->chain_changed = false;
        return 0;
}

void store_counts(struct store *store, struct store_counts *ret_counts)
{
        /* After a rollback those in memory are of what did not happen. Without a database the last known must
         * do. */
        if (!store->writing && !store_sealed(store) && chain_load(store) != 0)
                report_clear();
        *ret_counts = store->counts;
        ret_counts->audit = store->chain.seq;
}

/* ---- transactions ---- */

int store_begin(struct store *store)
{
        if (store->open)
                return fault(0, "A transaction of the store is open already");
        store->open = true;
        return 0;
}

bool store_in_transaction(const struct store *store)
{
        return store->open;
}

bool store_dirty(const struct store *store)
{
        return store->writing;
}

int store_write_unsealed(struct store *store)
{
        if (!store->open)
                return fault(0, "The store is changed outside a transaction");
        if (store->read_only)
                return refuse(PROBLEM_STORAGE, "The database was opened for reading only");
        if (!store->writing) {
                /* Another server may have written since, so the end of the chain is read under the lock. */
                TRY(db_begin(&store->db, true));
                store->writing = true;
                store->chain_loaded = false;
        }
        /* Whoever comes next in the round must not go on with what is in memory from before. */
        if (!store_sealed(store))
                TRY(chain_load(store));
        if (store->savepoint && !store->savepoint_begun) {
                TRY(db_change(&store->db, "SAVEPOINT request", VALUES_NONE, NULL));
                store->savepoint_begun = true;
                store->chain_before = store->chain;
                store->counts_before = store->counts;
                store->changed_before = store->chain_changed;
        }
        return 0;
}

int store_write(struct store *store)
{
        TRY(store_need_keys(store));
        if (likely(store->writing && store->chain_loaded && (!store->savepoint || store->savepoint_begun)))
                return 0;
        return PASS(store_write_unsealed(store));
}

static int check_described(const struct store *store)
{
        return store->changes.len == 0 ? 0 : fault(0, "Rows were changed and no audit record says so");
}

int store_savepoint(struct store *store)
{
        if (!store->open || store->savepoint)
                return fault(0, "A savepoint outside a transaction, or within another");
        TRY(check_described(store));
        store->savepoint = true;
        return 0;
}

int store_release(struct store *store)
{
        bool begun = store->savepoint_begun;

        if (!store->savepoint)
                return fault(0, "There is no savepoint to release");
        TRY(check_described(store));
        /* While the savepoint is there, so that what was wrong is undone to it. */
        if (begun) {
                TRY(db_flush(&store->db));
                TRY(db_change(&store->db, "RELEASE SAVEPOINT request", VALUES_NONE, NULL));
        }
        store->savepoint = store->savepoint_begun = false;
        return 0;
}

void store_rollback_to(struct store *store)
{
        if (store->savepoint_begun) {
                struct buf counts = store->chain.counts;

                /* When even this fails the whole transaction is lost: it stays broken until it is rolled
                 * back. */
                store->db.broken = store->db.driver->run(&store->db, "ROLLBACK TO SAVEPOINT request") != 0 ||
                                   store->db.driver->run(&store->db, "RELEASE SAVEPOINT request") != 0;
                store->chain = store->chain_before;
                store->chain.counts = counts;
                store->counts = store->counts_before;
                store->chain_changed = store->changed_before;
        }
        buf_clear(&store->changes);
        store->savepoint = store->savepoint_begun = false;
}

void store_rollback(struct store *store)
{
        if (store->writing) {
                db_rollback(&store->db);
                store->chain_loaded = false;
                store->chain_changed = false;
        }
        buf_clear(&store->changes);
        store->open = store->writing = store->savepoint = store->savepoint_begun = false;
}

static int commit_written(struct store *store)
{
        TRY(check_described(store));
        if (!store_sealed(store))
                TRY(chain_save(store));
        return PASS(db_commit(&store->db));
}

int store_commit(struct store *store)
{
        int r = 0;

        if (!store->open)
                return fault(0, "There is no transaction to commit");
        if (store->savepoint)
                r = fault(0, "A transaction was committed within a savepoint");
        else if (store->writing)
                r = commit_written(store);
        if (r != 0) {
                store_rollback(store);
                return PASS(r);
        }
        store->open = store->writing = false;
        return 0;
}
