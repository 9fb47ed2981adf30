/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is there before the keys are. While the chain has no record yet, and for "startup" always, rows have
 * version 0 and no MAC; adopting gives all others one and puts them into the first audit record. From then on
 * they are rows like any.
 */
#include "store/internal.h"

static bool is_startup(const char *name)
{
        return strcmp(name, "startup") == 0;
}

/* Whether the chain was begun, also without keys. */
static int chain_begun(struct store *store, bool *ret_begun)
{
        int64_t records = 0;

        TRY(db_number(&store->db, "SELECT count(*) FROM chain", VALUES_NONE, &records));
        *ret_begun = records > 0;
        return 0;
}

bool store_is_new(const struct store *store)
{
        bool begun = true;

        /* The lookup keeps a statement in the cache, nothing more. */
        if (chain_begun((struct store *)store, &begun) != 0)
                report_clear();
        return !begun;
}

static void bootstrap_done(struct bootstrap_row *row)
{
        table_row_done(&table_bootstrap, row);
}

static int bootstrap_find(struct store *store, const char *name, int64_t number,
                          struct bootstrap_row *ret_row)
{
        if (number < 0)
                return PASS(row_find(store, &table_bootstrap, "WHERE name = $1 ORDER BY number DESC LIMIT 1",
                                     VALUES(TEXT(name)), ret_row));
        return PASS(row_find(store, &table_bootstrap, "WHERE name = $1 AND number = $2",
                             VALUES(TEXT(name), NUMBER(number)), ret_row));
}

int store_bootstrap_get(struct store *store, const char *name, int64_t number, struct buf *ret_record)
{
        CLEANUP(bootstrap_done) struct bootstrap_row row = {0};
        int r = bootstrap_find(store, name, number, &row);

        if (r == PROBLEM_NOT_FOUND)
                return refuse(PROBLEM_NOT_FOUND, "The database has no record \"%s\"%s", name,
                              number < 0 ? "" : " of this number");
        TRY(r);
        *ret_record = buf_take(&row.record);
        return 0;
}

int store_bootstrap_list(struct store *store, const char *name, void *context,
                         int (*each)(void *context, int64_t number, struct bytes record))
{
        CLEANUP(rows_done) struct rows rows = {0};

        TRY(rows_select(store, &table_bootstrap, "WHERE name = $1 ORDER BY number", VALUES(TEXT(name)),
                        &rows));
        for (size_t i = 0; i < rows.count; i++) {
                const struct bootstrap_row *row =
                    &((const struct bootstrap_row *)(const void *)rows.items)[i];
                int r = each(context, row->number, buf_view(&row->record));

                if (r != 0)
                        return PASS(r);
        }
        return 0;
}

static int bootstrap_put_loose(struct store *store, const char *name, int64_t number, struct bytes record)
{
        return PASS(
            db_change(&store->db,
                      "INSERT INTO bootstrap (name, number, record, version, mac) VALUES ($1, $2, $3, 0, $4) "
                      "ON CONFLICT (name, number) DO UPDATE SET record = excluded.record",
                      VALUES(TEXT(name), NUMBER(number), BYTES(record), BYTES(BYTES_NONE)), NULL));
}

static int bootstrap_put_row(struct store *store, const char *name, int64_t number, struct bytes record)
{
        CLEANUP(bootstrap_done) struct bootstrap_row row = {0};
        int r = bootstrap_find(store, name, number, &row);

        if (r != 0 && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        if (r == PROBLEM_NOT_FOUND)
                row = (struct bootstrap_row){.name = text_copy(name), .number = number};
        buf_done(&row.record);
        row.record = buf_copy_of(record);
        return PASS(r == 0 ? row_update(store, &table_bootstrap, &row)
                           : row_insert(store, &table_bootstrap, &row));
}

int store_bootstrap_put(struct store *store, const char *name, int64_t number, struct bytes record)
{
        bool begun = true;

        if (number < 0)
                return fault(0, "A record of the database has the number %lld", (long long)number);
        TRY(store_write_unsealed(store));
        TRY(chain_begun(store, &begun));
        /* A chain that was begun in this transaction is not in the database yet. */
        if (is_startup(name) || (!begun && store->chain.seq == 0))
                return PASS(bootstrap_put_loose(store, name, number, record));
        TRY(store_need_keys(store));
        return PASS(bootstrap_put_row(store, name, number, record));
}

int store_bootstrap_remove(struct store *store, const char *name, int64_t number)
{
        CLEANUP(bootstrap_done) struct bootstrap_row row = {0};

        TRY(store_write_unsealed(store));
        TRY(bootstrap_find(store, name, number, &row));
        if (row.row.version == 0)
                return PASS(db_change(&store->db,
                                      "DELETE FROM bootstrap WHERE name = $1 AND number = $2 AND version = 0",
                                      VALUES(TEXT(row.name), NUMBER(row.number)), NULL));
        return PASS(row_remove(store, &table_bootstrap, &row));
}

int store_bootstrap_adopt(struct store *store)
{
        CLEANUP(rows_done) struct rows rows = {0};

        TRY(store_write(store));
        if (store->chain.seq != 0)
                return refuse(PROBLEM_STATE, "The records of the set-up are in the audit chain already");
        TRY(rows_select(store, &table_bootstrap,
                        "WHERE version = 0 AND name <> 'startup' ORDER BY name, number", VALUES_NONE, &rows));
        for (size_t i = 0; i < rows.count; i++) {
                struct bootstrap_row *row = &((struct bootstrap_row *)(void *)rows.items)[i];

                TRY(db_change(&store->db, "DELETE FROM bootstrap WHERE name = $1 AND number = $2",
                              VALUES(TEXT(row->name), NUMBER(row->number)), NULL));
                TRY(row_insert(store, &table_bootstrap, row));
        }
        return 0;
}

int store_operator_find_unverified(struct store *store, const char *name, struct operator_row *ret_row)
{
        return PASS(row_find(store, &table_operators, "WHERE name = $1", VALUES(TEXT(name)), ret_row));
}
