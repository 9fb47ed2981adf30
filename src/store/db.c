/* SPDX-License-Identifier: Apache-2.0 */
#include "store/db.h"

#include "base/fault.h"
#include "base/mem.h"

/* "postgresql://…", or keywords as libpq has them; a path with an equals sign in it can be given from ./ or /
 * on. */
static bool is_pgsql(const char *location)
{
        if (*location == '/' || *location == '.')
                return false;
        return strncmp(location, "postgresql://", 13) == 0 || strncmp(location, "postgres://", 11) == 0 ||
               strchr(location, '=');
}

int db_open(struct db *db, const char *location, bool create, bool read_only)
{
        int r;

        *db = (struct db){.driver = is_pgsql(location) ? &db_pgsql : &db_sqlite};
        r = db->driver->open(db, location, create, read_only);
        if (r != 0)
                db_close(db);
        return PASS(r);
}

static void cache_clear(struct db *db)
{
        for (size_t i = 0; i < db->cache_size; i++)
                if (db->cache[i].statement)
                        db->driver->finalize(db->cache[i].statement);
        free(db->cache);
        db->cache = NULL;
        db->cache_size = db->cache_count = 0;
}

void db_close(struct db *db)
{
        if (!db->driver)
                return;
        cache_clear(db);
        db->driver->close(db);
        *db = (struct db){0};
}

static int refuse_broken(void)
{
        return refuse(PROBLEM_STORAGE,
                      "The storage failed earlier in this transaction; nothing of it is kept");
}

int db_run(struct db *db, const char *sql)
{
        if (db->broken)
                return refuse_broken();
        return PASS(db->driver->run(db, sql));
}

int db_begin(struct db *db, bool write)
{
        TRY(db->driver->begin(db, write));
        db->open = true;
        return 0;
}

int db_commit(struct db *db)
{
        int r = db->broken ? refuse_broken() : db->driver->run(db, "COMMIT");

        if (r != 0)
                db_rollback(db);
        db->open = false;
        return PASS(r);
}

void db_rollback(struct db *db)
{
        db->driver->rollback(db);
        db->open = db->broken = false;
}

/* ---- statements ---- */

static size_t cache_slot(const struct db *db, const void *table, const char *text)
{
        uintptr_t mixed = ((uintptr_t)text ^ ((uintptr_t)table << 7)) * (uintptr_t)0x9e3779b97f4a7c15u;
        size_t slot = (size_t)(mixed >> 40) & (db->cache_size - 1);

        while (db->cache[slot].statement && (db->cache[slot].table != table || db->cache[slot].text != text))
                slot = (slot + 1) & (db->cache_size - 1);
        return slot;
}

static void cache_grow(struct db *db)
{
        struct cached *old = db->cache;
        size_t size = db->cache_size;

        if (2 * (db->cache_count + 1) < size)
                return;
        db->cache_size = size ? 2 * size : 64;
        db->cache = mem_array(db->cache_size, sizeof(*db->cache));
        for (size_t i = 0; i < size; i++)
                if (old[i].statement)
                        db->cache[cache_slot(db, old[i].table, old[i].text)] = old[i];
        free(old);
}

static int statement_get(struct db *db, const void *table, const char *text,
                         void (*make)(const void *table, const char *text, struct buf *out),
                         struct statement **ret_statement)
{
        CLEANUP(buf_done) struct buf made = BUF_NONE;
        struct cached *place;

        if (db->broken)
                return refuse_broken();
        cache_grow(db);
        place = &db->cache[cache_slot(db, table, text)];
        if (!place->statement) {
                if (make)
                        make(table, text, &made);
                TRY(db->driver->prepare(db, make ? buf_text(&made) : text, &place->statement));
                place->table = table;
                place->text = text;
                db->cache_count++;
        }
        *ret_statement = place->statement;
        return 0;
}

struct query query_make(struct db *db, const void *table, const char *text,
                        void (*make)(const void *table, const char *text, struct buf *out))
{
        struct query query = {.db = db};

        query.result = statement_get(db, table, text, make, &query.statement);
        return query;
}

void query_bind(struct query *query, struct values values, unsigned from)
{
        if (query->result == 0)
                for (size_t i = 0; i < values.count; i++)
                        query->db->driver->bind(query->statement, from + (unsigned)i, &values.items[i]);
}

struct query query_of(struct db *db, const char *text, struct values values)
{
        struct query query = query_make(db, NULL, text, NULL);

        query_bind(&query, values, 1);
        return query;
}

void query_done(struct query *query)
{
        if (query->statement)
                query->db->driver->reset(query->statement);
        query->statement = NULL;
}

static int break_at_storage(struct db *db, int result)
{
        if (result == PROBLEM_STORAGE)
                db->broken = db->open;
        return PASS(result);
}

int query_step(struct query *query, bool *ret_row)
{
        int r = query->result;

        if (r == 0)
                r = query->db->driver->step(query->db, query->statement, ret_row);
        return PASS(break_at_storage(query->db, r));
}

bool db_posts(const struct db *db)
{
        return db->driver->post && db->open;
}

int query_post(struct query *query, int64_t rows)
{
        int r = query->result;

        if (r == 0)
                r = query->db->driver->post(query->db, query->statement, rows);
        return PASS(break_at_storage(query->db, r));
}

int db_flush(struct db *db)
{
        return db_posts(db) ? PASS(break_at_storage(db, db->driver->flush(db))) : 0;
}

int64_t query_number(struct query *query, unsigned column)
{
        return query->db->driver->number(query->statement, column);
}

struct bytes query_bytes(struct query *query, unsigned column)
{
        return query->db->driver->bytes(query->statement, column);
}

int db_change(struct db *db, const char *text, struct values values, int64_t *ret_changes)
{
        CLEANUP(query_done) struct query query = query_of(db, text, values);
        bool row;

        if (!ret_changes && db_posts(db))
                return PASS(query_post(&query, -1));
        do
                TRY(query_step(&query, &row));
        while (row);
        if (ret_changes)
                *ret_changes = db->driver->changes(query.statement);
        return 0;
}

int db_number(struct db *db, const char *text, struct values values, int64_t *ret_number)
{
        CLEANUP(query_done) struct query query = query_of(db, text, values);
        bool row;

        TRY(query_step(&query, &row));
        if (!row)
                return refuse(PROBLEM_NOT_FOUND, "There is no such row");
        *ret_number = query_number(&query, 0);
        return 0;
}
