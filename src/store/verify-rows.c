/* SPDX-License-Identifier: Apache-2.0 */
/* Verify: each row against its MAC and the ledger; the index of the directory; what the ledger knows and
 * nobody saw. */
#include "store/entry.h"
#include "store/verify.h"

/* ---- rows ---- */

static int found_row(struct store_verify *verify, enum store_finding_kind kind, const struct table *table,
                     struct bytes key, const char *sentence)
{
        CLEANUP(buf_done) struct buf text = BUF_NONE;

        table_key_text(table, key, &text);
        return PASS(verify_found(verify, kind, table->name, buf_text(&text), "In table %s, the %s %s %s",
                                 table->name, table->noun, buf_text(&text), sentence));
}

static bool is_startup_row(const struct table *table, const struct value *values, int64_t version)
{
        return table == &table_bootstrap && version == 0 &&
               bytes_equal(values[0].bytes, bytes_text("startup"));
}

/* A row with the right MAC is one the server wrote; the ledger says whether it is the last. */
static int verify_against_ledger(struct store_verify *verify, const struct table *table, struct bytes key,
                                 int64_t version, const struct digest *digest)
{
        struct ledger_slot *slot =
            ledger_find(&verify->ledger, ledger_fingerprint(&verify->ledger, table->number, key));

        if (!slot)
                return PASS(found_row(verify, FINDING_UNKNOWN, table, key,
                                      "is genuine, but no audit record knows it"));
        slot->seen = true;
        if (slot->version == 0)
                return PASS(found_row(verify, FINDING_REPLAYED, table, key,
                                      "was removed by the server, and is there again"));
        if (version < slot->version)
                return PASS(found_row(verify, FINDING_REPLAYED, table, key,
                                      "is genuine, but an older one than the last: it was put back"));
        if (version > slot->version || ledger_digest(digest->data) != slot->digest)
                return PASS(found_row(verify, FINDING_UNKNOWN, table, key,
                                      "is genuine, but not the one that the audit chain has"));
        return 0;
}

/* The keys that an entry must have in the index, and no others. */
static int verify_entry_keys(struct store_verify *verify, const struct value *values)
{
        CLEANUP(entry_row_done) struct entry_row row = {0};
        CLEANUP(entry_keys_done) struct entry_keys keys = {0};
        CLEANUP(query_done) struct query query = {0};
        size_t found = 0, rows = 0;
        bool more;

        if (table_fill(&table_entries, values, &verify->store->column, &row) != 0)
                return PASS(
                    found_row(verify, FINDING_ALTERED, &table_entries, values[0].bytes, "cannot be read"));
        keys = entry_keys_of(&row);
        query = query_of(&verify->store->db, "SELECT kind, key FROM entry_keys WHERE guid = $1",
                         VALUES(BYTES(id_view(&row.guid))));
        for (;;) {
                TRY(query_step(&query, &more));
                if (!more)
                        break;
                rows++;
                for (size_t i = 0; i < keys.count; i++)
                        found += keys.items[i].kind == query_number(&query, 0) &&
                                 bytes_equal(bytes_text(keys.items[i].text), query_bytes(&query, 1));
        }
        if (rows == keys.count && found == keys.count)
                return 0;
        return PASS(found_row(verify, FINDING_INDEX, &table_entries, id_view(&row.guid),
                              "is not found under its addresses, names and groups, or under others too"));
}

static int verify_row(struct store_verify *verify, const struct table *table, const struct value *values,
                      int64_t version, struct bytes mac)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE;
        struct ledger_slot *slot;
        struct digest digest;
        uint8_t right[MAC_SIZE];

        if (is_startup_row(table, values, version))
                return 0;
        table_key(table, values, &key);
        row_seals(verify->store, table, version, values, &digest, right);
        if (bytes_equal_constant_time(mac, bytes_of(right, MAC_SIZE))) {
                if (table == &table_entries)
                        TRY(verify_entry_keys(verify, values));
                return table->chained
                           ? PASS(verify_against_ledger(verify, table, buf_view(&key), version, &digest))
                           : 0;
        }
        slot =
            ledger_find(&verify->ledger, ledger_fingerprint(&verify->ledger, table->number, buf_view(&key)));
        if (slot)
                slot->seen = true;
        if (!slot && table->chained)
                return PASS(found_row(verify, FINDING_ALTERED, table, buf_view(&key),
                                      "was put in by something other than the server"));
        return PASS(found_row(verify, FINDING_ALTERED, table, buf_view(&key),
                              "was altered by something other than the server, or exchanged with another"));
}

static void count_row(struct store_verify *verify, const struct table *table, const struct value *values)
{
        int64_t *counts = (int64_t *)(void *)((char *)&verify->counted + table->count_offset);
        int64_t state = 0;

        if (table->count_states < 0)
                return;
        for (unsigned i = 0; table->count_states > 0 && i < table->column_count; i++)
                if (table->columns[i].offset == table->state_offset)
                        state = values[i].number;
        if (state >= 0 && state <= table->count_states)
                counts[state]++;
}

static void slice_sql(const void *context, const char *clause, struct buf *out)
{
        const struct table *table = context;
        CLEANUP(buf_done) struct buf text = BUF_NONE, names = BUF_NONE, parameters = BUF_NONE;

        for (unsigned i = 0; i < table->key_count; i++) {
                buf_add_format(&names, "%s%s", i ? ", " : "", table->columns[i].name);
                buf_add_format(&parameters, "%s$%u", i ? ", " : "", i + 2);
        }
        if (*clause == 'n')
                buf_add_format(&text, "WHERE (%s) > (%s) ", buf_text(&names), buf_text(&parameters));
        buf_add_format(&text, "ORDER BY %s LIMIT $1", buf_text(&names));
        table_select_sql(table, buf_text(&text), out);
}

static int verify_table(struct store_verify *verify, const struct table *table, size_t most,
                        size_t *ret_count)
{
        struct value values[COLUMNS_MOST], key[COLUMNS_MOST];
        CLEANUP(buf_done) struct buf cursor = buf_copy_of(buf_view(&verify->cursor));
        bool next = verify->started && table_key_values(table, buf_view(&cursor), key), more;
        CLEANUP(query_done)
        struct query query =
            query_make(&verify->store->db, table, next ? "next slice" : "first slice", slice_sql);
        struct bytes mac;
        int64_t version;
        size_t count = 0;

        query_bind(&query, VALUES(NUMBER((int64_t)most)), 1);
        if (next)
                query_bind(&query, (struct values){key, table->key_count}, 2);
        for (;; count++) {
                TRY(query_step(&query, &more));
                if (!more)
                        break;
                row_columns(&query, table, values, &version, &mac);
                TRY(verify_row(verify, table, values, version, mac));
                count_row(verify, table, values);
                buf_clear(&verify->cursor);
                table_key(table, values, &verify->cursor);
                verify->started = true;
                verify->progress.done++;
        }
        *ret_count = count;
        return 0;
}

/* Kept counts are compared when nothing was written from the first row to the last; a busy server may have to
 * be asked again. */
static int verify_counts(struct store_verify *verify, const struct table *table)
{
        const struct store *store = verify->store;
        const int64_t *kept =
            (const int64_t *)(const void *)((const char *)&store->counts + table->count_offset);
        const int64_t *counted =
            (const int64_t *)(const void *)((const char *)&verify->counted + table->count_offset);

        if (table->count_states < 0 || store->chain.row.version != verify->chain_version)
                return 0;
        for (int i = 0; i <= table->count_states; i++)
                if (kept[i] != counted[i])
                        return PASS(
                            verify_found(verify, FINDING_COUNT, table->name, "count",
                                         "Table %s has %lld rows in state %d, and the server counted %lld",
                                         table->name, (long long)counted[i], i, (long long)kept[i]));
        return 0;
}

int verify_tables(struct store_verify *verify, size_t most, bool *ret_done)
{
        size_t count = 0;

        while (tables[verify->table] && most > 0) {
                const struct table *table = tables[verify->table];

                if (!verify->started)
                        verify->chain_version = verify->store->chain.row.version;
                TRY(verify_table(verify, table, most, &count));
                if (count == most)
                        return 0;
                most -= count;
                TRY(verify_counts(verify, table));
                verify->table++;
                verify->started = false;
                buf_clear(&verify->cursor);
        }
        *ret_done = tables[verify->table] == NULL;
        return 0;
}

/* ---- the index of the directory: keys of entries that are not there ---- */

int verify_keys(struct store_verify *verify, size_t most, bool *ret_done)
{
        CLEANUP(buf_done) struct buf text = buf_copy_of(buf_view(&verify->keys_text));
        CLEANUP(buf_done) struct buf guid = buf_copy_of(buf_view(&verify->keys_guid));
        CLEANUP(query_done)
        struct query query =
            query_of(&verify->store->db,
                     "SELECT kind, key, guid, (SELECT count(*) FROM entries WHERE entries.guid = "
                     "entry_keys.guid) FROM entry_keys "
                     "WHERE (kind, key, guid) > ($1, $2, $3) ORDER BY kind, key, guid LIMIT $4",
                     VALUES(NUMBER(verify->keys_kind), TEXT_VALUE(buf_view(&text)), BYTES(buf_view(&guid)),
                            NUMBER((int64_t)most)));
        size_t count = 0;
        bool more;

        for (;; count++) {
                TRY(query_step(&query, &more));
                if (!more)
                        break;
                verify->keys_kind = query_number(&query, 0);
                buf_clear(&verify->keys_text);
                buf_add_bytes(&verify->keys_text, query_bytes(&query, 1));
                buf_clear(&verify->keys_guid);
                buf_add_bytes(&verify->keys_guid, query_bytes(&query, 2));
                if (query_number(&query, 3) == 0)
                        TRY(verify_found(verify, FINDING_INDEX, "entry_keys", buf_text(&verify->keys_text),
                                         "The directory's index has \"%s\" for an entry that does not exist",
                                         buf_text(&verify->keys_text)));
        }
        *ret_done = count < most;
        return 0;
}

/* ---- what was removed ---- */

/* The key of a ledger's slot stands in the audit record that spoke of it last. */
static int slot_key(struct store_verify *verify, const struct ledger_slot *slot, struct buf *ret_key)
{
        CLEANUP(query_done)
        struct query query = query_of(&verify->store->db, "SELECT changes FROM audit WHERE seq = $1",
                                      VALUES(NUMBER(slot->seq)));
        struct audit_change change;
        struct bytes changes;
        bool row;

        TRY(query_step(&query, &row));
        changes = row ? query_bytes(&query, 0) : BYTES_NONE;
        while (changes.len && audit_change_next(&changes, &change) == 0)
                if (ledger_fingerprint(&verify->ledger, change.table, change.key) == slot->fingerprint) {
                        *ret_key = buf_copy_of(change.key);
                        return 0;
                }
        *ret_key = BUF_NONE;
        return 0;
}

static void key_sql(const void *context, const char *clause, struct buf *out)
{
        const struct table *table = context;
        CLEANUP(buf_done) struct buf text = BUF_NONE;

        for (unsigned i = 0; i < table->key_count; i++)
                buf_add_format(&text, "%s%s = $%u", i ? " AND " : "WHERE ", table->columns[i].name, i + 1);
        table_select_sql(table, buf_text(&text), out);
}

/* Rows that came while verify was past their place were not seen, but are there. */
static int verify_unseen(struct store_verify *verify, struct ledger_slot *slot)
{
        const struct table *table = table_of(slot->table);
        struct value values[COLUMNS_MOST], key_values[COLUMNS_MOST];
        CLEANUP(buf_done) struct buf key = BUF_NONE;
        CLEANUP(query_done) struct query query = {0};
        struct bytes mac;
        int64_t version;
        bool row;

        if (!table || !table->chained)
                return PASS(verify_found(verify, FINDING_CHAIN, "audit", "table",
                                         "Audit record %u speaks of a table %u, which there is not",
                                         slot->seq, slot->table));
        TRY(slot_key(verify, slot, &key));
        slot->seen = true;
        if (!table_key_values(table, buf_view(&key), key_values))
                return PASS(found_row(verify, FINDING_REMOVED, table, buf_view(&key),
                                      "cannot be named: its audit record was altered"));
        query = query_make(&verify->store->db, table, "by key", key_sql);
        query_bind(&query, (struct values){key_values, table->key_count}, 1);
        TRY(query_step(&query, &row));
        if (!row)
                return PASS(found_row(verify, FINDING_REMOVED, table, buf_view(&key),
                                      "was removed by something other than the server"));
        row_columns(&query, table, values, &version, &mac);
        return PASS(verify_row(verify, table, values, version, mac));
}

int verify_missing(struct store_verify *verify, size_t most, bool *ret_done)
{
        size_t looked = 0, end;

        /* The ledger was enlarged, and its slots are elsewhere now: those seen are passed over quickly. */
        if (verify->slot_size != verify->ledger.size)
                verify->slot = 0;
        verify->slot_size = verify->ledger.size;
        end = MIN(verify->ledger.size, verify->slot + 64 * most);
        for (; verify->slot < end && looked < most; verify->slot++) {
                struct ledger_slot *slot = &verify->ledger.slots[verify->slot];

                if (!slot->fingerprint || slot->seen || slot->version == 0)
                        continue;
                TRY(verify_unseen(verify, slot));
                looked++;
        }
        *ret_done = verify->slot >= verify->ledger.size;
        return 0;
}
