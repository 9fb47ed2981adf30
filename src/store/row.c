/* SPDX-License-Identifier: Apache-2.0 */
/* Protected rows: writing them with MAC, version, counts and the note for the audit; reading them with the
 * check. */
#include "store/internal.h"

void row_seals(struct store *store, const struct table *table, int64_t version, const struct value *values,
               struct digest *ret_digest, uint8_t ret_mac[static MAC_SIZE])
{
        struct digest mac;

        buf_clear(&store->canonical);
        table_canonical(table, version, values, &store->canonical);
        hasher_add(&store->plain, buf_view(&store->canonical));
        *ret_digest = hasher_end(&store->plain);
        hasher_add(&store->row, digest_view(ret_digest));
        mac = hasher_end(&store->row);
        memcpy(ret_mac, mac.data, MAC_SIZE);
}

/* ---- counts and changes ---- */

static int row_state(const struct table *table, const void *row)
{
        if (table->count_states <= 0)
                return 0;
        return (int)*(const int64_t *)(const void *)((const char *)row + table->state_offset);
}

static int check_state(const struct table *table, const void *row)
{
        int state = row_state(table, row);

        if (state < 0 || state > table->count_states)
                return table->count_states > 0 ? fault(0, "A %s has the state %d", table->noun, state) : 0;
        return 0;
}

static void count(struct store *store, const struct table *table, int state, int64_t by)
{
        int64_t *counts = (int64_t *)(void *)((char *)&store->counts + table->count_offset);

        if (table->count_states < 0)
                return;
        counts[state] += by;
        store->chain_changed = true;
}

/* digest NULL: removed */
static void note_change(struct store *store, const struct table *table, const struct value *values,
                        int64_t version, const struct digest *digest)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE;
        struct audit_change change = {.table = table->number, .version = version};

        if (!table->chained)
                return;
        table_key(table, values, &key);
        change.key = buf_view(&key);
        if (digest)
                memcpy(change.digest, digest->data, AUDIT_DIGEST_SIZE);
        audit_change_add(&store->changes, &change);
}

/* ---- writing ---- */

static int row_name(const struct table *table, const struct value *values, int result)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE, text = BUF_NONE;

        table_key(table, values, &key);
        table_key_text(table, buf_view(&key), &text);
        return report_prefix(result, "%s %s: ", table->noun, buf_text(&text));
}

/* Exactly one row is written. Within a savepoint it may be posted: that it was so is then known when that is released. */
static int row_write(struct store *store, struct query *query, bool may_post, int *ret_changed)
{
        bool more;

        *ret_changed = 1;
        if (may_post && store->savepoint && db_posts(&store->db))
                return PASS(query_post(query, 1));
        TRY(query_step(query, &more));
        *ret_changed = (int)store->db.driver->changes(query->statement);
        return 0;
}

int row_insert(struct store *store, const struct table *table, void *row)
{
        struct value values[COLUMNS_MOST];
        CLEANUP(query_done) struct query query = {0};
        struct digest digest;
        uint8_t mac[MAC_SIZE];
        int changed;

        TRY(store_write(store));
        TRY(check_state(table, row));
        buf_clear(&store->scratch);
        TRY(table_values(table, row, &store->column, values, &store->scratch));
        row_seals(store, table, 1, values, &digest, mac);
        query = query_make(&store->db, table, "insert", table_insert_sql);
        query_bind(&query, (struct values){values, table->column_count}, 1);
        query_bind(&query, VALUES(NUMBER(1), BYTES(bytes_of(mac, MAC_SIZE))), table->column_count + 1);
        TRY(row_write(store, &query, table->made, &changed));
        if (changed != 1)
                return row_name(
                    table, values,
                    refuse(PROBLEM_EXISTS, "There is one already, or one with the same unique part"));
        note_change(store, table, values, 1, &digest);
        ((struct row *)row)->version = 1;
        ((struct row *)row)->counted = row_state(table, row);
        count(store, table, row_state(table, row), 1);
        return 0;
}

int row_update(struct store *store, const struct table *table, void *row)
{
        struct row *head = row;
        int64_t version = head->version + 1;
        struct value values[COLUMNS_MOST];
        CLEANUP(query_done) struct query query = {0};
        struct digest digest;
        uint8_t mac[MAC_SIZE];
        int changed;

        if (head->version < 1)
                return fault(0, "A %s that was never stored cannot be put", table->noun);
        TRY(store_write(store));
        TRY(check_state(table, row));
        buf_clear(&store->scratch);
        TRY(table_values(table, row, &store->column, values, &store->scratch));
        row_seals(store, table, version, values, &digest, mac);
        query = query_make(&store->db, table, "update", table_update_sql);
        query_bind(&query, (struct values){values, table->column_count}, 1);
        query_bind(&query, VALUES(NUMBER(version), BYTES(bytes_of(mac, MAC_SIZE)), NUMBER(head->version)),
                   table->column_count + 1);
        TRY(row_write(store, &query, true, &changed));
        if (changed != 1)
                return row_name(table, values,
                                refuse(PROBLEM_STALE, "Somebody else has changed it meanwhile"));
        note_change(store, table, values, version, &digest);
        count(store, table, head->counted, -1);
        head->version = version;
        head->counted = row_state(table, row);
        count(store, table, head->counted, 1);
        return 0;
}

int row_remove(struct store *store, const struct table *table, const void *row)
{
        const struct row *head = row;
        struct value values[COLUMNS_MOST];
        CLEANUP(query_done) struct query query = {0};
        bool more;

        TRY(store_write(store));
        buf_clear(&store->scratch);
        TRY(table_values(table, row, &store->column, values, &store->scratch));
        query = query_make(&store->db, table, "remove", table_remove_sql);
        query_bind(&query, (struct values){values, table->key_count}, 1);
        query_bind(&query, VALUES(NUMBER(head->version)), table->key_count + 1);
        TRY(query_step(&query, &more));
        if (store->db.driver->changes(query.statement) != 1)
                return row_name(table, values,
                                refuse(PROBLEM_STALE, "Somebody else has changed or removed it meanwhile"));
        note_change(store, table, values, 0, NULL);
        count(store, table, head->counted, -1);
        return 0;
}

/* ---- reading ---- */

void row_columns(struct query *query, const struct table *table, struct value ret_values[static COLUMNS_MOST],
                 int64_t *ret_version, struct bytes *ret_mac)
{
        for (unsigned i = 0; i < table->column_count; i++)
                switch (table->columns[i].type) {
                case COLUMN_NUMBER:
                        ret_values[i] = NUMBER(query_number(query, i));
                        break;
                case COLUMN_FIXED:
                case COLUMN_BYTES:
                case COLUMN_SEALED:
                        ret_values[i] = BYTES(query_bytes(query, i));
                        break;
                default:
                        ret_values[i] = TEXT_VALUE(query_bytes(query, i));
                }
        *ret_version = query_number(query, table->column_count);
        *ret_mac = query_bytes(query, table->column_count + 1);
}

/* Rows without protection: what was put before there were keys, until the first audit record; and requests
 * while sealed. */
static bool is_loose(const struct store *store, const struct table *table, const struct value *values,
                     int64_t version)
{
        return table == &table_bootstrap && version == 0 &&
               (store->chain.seq == 0 || bytes_equal(values[0].bytes, bytes_text("startup")));
}

static int check_mac(struct store *store, const struct table *table, const struct value *values,
                     int64_t version, struct bytes mac)
{
        struct digest digest;
        uint8_t right[MAC_SIZE];

        if (is_loose(store, table, values, version) || store_sealed(store))
                return 0;
        row_seals(store, table, version, values, &digest, right);
        if (!bytes_equal_constant_time(mac, bytes_of(right, MAC_SIZE)))
                return row_name(table, values,
                                refuse(PROBLEM_TAMPERED,
                                       "The row in table %s was altered by something other than the server. "
                                       "Run verify, and restore it from a backup",
                                       table->name));
        return 0;
}

/* The current row of the query into a zeroed `row`. */
static int row_read(struct store *store, struct query *query, const struct table *table, void *row)
{
        struct value values[COLUMNS_MOST];
        struct bytes mac;
        int64_t version;
        int r;

        row_columns(query, table, values, &version, &mac);
        TRY(check_mac(store, table, values, version, mac));
        r = table_fill(table, values, &store->column, row);
        if (r != 0)
                return PASS(row_name(table, values, r));
        ((struct row *)row)->version = version;
        ((struct row *)row)->counted = row_state(table, row);
        return 0;
}

/* Bootstrap records are read before the keys are there. */
static int may_read(struct store *store, const struct table *table)
{
        return table == &table_bootstrap || table == &table_operators || table == &table_chain
                   ? 0
                   : PASS(store_need_keys(store));
}

int row_find(struct store *store, const struct table *table, const char *clause, struct values values,
             void *ret_row)
{
        CLEANUP(query_done) struct query query = {0};
        bool more;

        TRY(may_read(store, table));
        query = query_make(&store->db, table, clause, table_select_sql);
        query_bind(&query, values, 1);
        TRY(query_step(&query, &more));
        if (!more)
                return refuse(PROBLEM_NOT_FOUND, "There is no such %s", table->noun);
        memset(ret_row, 0, table->row_size);
        return PASS(row_read(store, &query, table, ret_row));
}

void rows_done(struct rows *rows)
{
        for (size_t i = 0; i < rows->count; i++)
                table_row_done(rows->table, rows->items + i * rows->table->row_size);
        free(rows->items);
        *rows = (struct rows){0};
}

int rows_select(struct store *store, const struct table *table, const char *clause, struct values values,
                struct rows *ret_rows)
{
        CLEANUP(rows_done) struct rows rows = {.table = table};
        CLEANUP(query_done) struct query query = {0};
        size_t room = 0;
        bool more;

        TRY(may_read(store, table));
        query = query_make(&store->db, table, clause, table_select_sql);
        query_bind(&query, values, 1);
        for (;;) {
                TRY(query_step(&query, &more));
                if (!more)
                        break;
                if (rows.count == room) {
                        room = room ? 2 * room : 8;
                        rows.items = mem_resize(rows.items, room, table->row_size);
                }
                memset(rows.items + rows.count * table->row_size, 0, table->row_size);
                TRY(row_read(store, &query, table, rows.items + rows.count * table->row_size));
                rows.count++;
        }
        *ret_rows = rows;
        rows = (struct rows){0};
        return 0;
}

int rows_purge(struct store *store, const struct table *table, const char *clause, struct values values,
               size_t *ret_count)
{
        CLEANUP(rows_done) struct rows rows = {0};

        TRY(store_write(store));
        TRY(rows_select(store, table, clause, values, &rows));
        for (size_t i = 0; i < rows.count; i++)
                TRY(row_remove(store, table, rows.items + i * table->row_size));
        *ret_count = rows.count;
        return 0;
}
