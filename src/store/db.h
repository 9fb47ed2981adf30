/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A database, SQLite or PostgreSQL, behind one table of functions: what the store needs of SQL and no more. One query
 * text serves both; parameters are $1, $2 … and values are 64-bit numbers, UTF-8 texts and bytes, never NULL.
 *
 * Statements are prepared once and kept by the address of their text (and of the table they were made for), so texts
 * are literals. A struct query is one run of one; nothing else may run the same statement until query_done().
 *
 * Results: PROBLEM_STORAGE (full, read-only, input/output, connection), PROBLEM_BUSY (locked by another for too
 * long), PROBLEM_TAMPERED (the file is damaged); all else is a fault. After PROBLEM_STORAGE within a transaction the
 * database is `broken`: everything is refused until the transaction, or the savepoint, is rolled back, so that the
 * rest of a broken transaction never stands alone.
 */
#include <stdbool.h>

#include "base/buf.h"

enum { DB_PARAMETERS_MOST = 32 };

enum value_type { VALUE_NUMBER = 1, VALUE_TEXT, VALUE_BYTES };
struct value {
        enum value_type type;
        int64_t number;
        struct bytes bytes; /* view */
};
struct values {
        const struct value *items;
        size_t count;
};
#define NUMBER(n)      ((struct value){.type = VALUE_NUMBER, .number = (n)})
#define TEXT_VALUE(b)  ((struct value){.type = VALUE_TEXT, .bytes = (b)})
#define TEXT(t)        TEXT_VALUE(bytes_text(t))
#define BYTES(b)       ((struct value){.type = VALUE_BYTES, .bytes = (b)})
#define VALUES(...)                                                                                          \
        ((struct values){(const struct value[]){__VA_ARGS__}, ARRAY_LEN(((const struct value[]){__VA_ARGS__}))})
#define VALUES_NONE    ((struct values){0})

struct db;
struct statement; /* the driver's */

struct db_driver {
        int (*open)(struct db *db, const char *location, bool create, bool read_only);
        void (*close)(struct db *db);
        /* One or more statements without parameters or results. */
        int (*run)(struct db *db, const char *sql);
        int (*begin)(struct db *db, bool write); /* `write`: alone; waits for other writers, with a limit */
        void (*rollback)(struct db *db);         /* never fails: a connection that cannot is dropped */
        int (*prepare)(struct db *db, const char *sql, struct statement **ret_statement);
        void (*finalize)(struct statement *statement);
        void (*bind)(struct statement *statement, unsigned number, const struct value *value);
        int (*step)(struct db *db, struct statement *statement, bool *ret_row);
        /* Run it within a transaction without waiting for the answer; `rows` is how many rows it has to change, −1 any number.
         * What went wrong is said by whatever comes next, at the latest by `flush` (PROBLEM_STALE: other than `rows`). NULL:
         * waiting costs nothing. */
        int (*post)(struct db *db, struct statement *statement, int64_t rows);
        int (*flush)(struct db *db);
        void (*reset)(struct statement *statement);
        int64_t (*changes)(struct statement *statement);
        int64_t (*number)(struct statement *statement, unsigned column);
        struct bytes (*bytes)(struct statement *statement, unsigned column); /* valid until the next step */
        /* 0: nothing there yet. */
        int (*version)(struct db *db, int64_t *ret_version);
        int (*set_version)(struct db *db, int64_t version);
        bool pgsql; /* which of the two texts of a migration */
};
extern const struct db_driver db_sqlite, db_pgsql;

struct cached {
        const void *table;
        const char *text;
        struct statement *statement;
};

struct db {
        const struct db_driver *driver;
        void *connection;
        bool open, broken; /* `open`: within a transaction */
        struct cached *cache; /* open addressing, a power of two */
        size_t cache_size, cache_count;
};

int db_open(struct db *db, const char *location, bool create, bool read_only) must_check;
void db_close(struct db *db); /* idempotent */
int db_run(struct db *db, const char *sql) must_check;
int db_begin(struct db *db, bool write) must_check;
int db_commit(struct db *db) must_check; /* rolled back when it fails */
void db_rollback(struct db *db);

struct query {
        struct db *db;
        struct statement *statement;
        int result; /* of the preparation; query_step() returns it */
};

/* `make` gives the text when the statement is not cached yet; NULL: `text` itself. Cached under (table, text). */
struct query query_make(struct db *db, const void *table, const char *text,
                        void (*make)(const void *table, const char *text, struct buf *out));
struct query query_of(struct db *db, const char *text, struct values values);
void query_bind(struct query *query, struct values values, unsigned from);
void query_done(struct query *query);
int query_step(struct query *query, bool *ret_row) must_check;
/* Whether query_post() saves a round trip now. */
bool db_posts(const struct db *db);
/* Only if so: driver's post. */
int query_post(struct query *query, int64_t rows) must_check;
/* What was posted is done and was right. */
int db_flush(struct db *db) must_check;
int64_t query_number(struct query *query, unsigned column);
struct bytes query_bytes(struct query *query, unsigned column);
/* Run to the end; the number of rows it changed. With NULL for that number it is posted, if that saves a round trip. */
int db_change(struct db *db, const char *text, struct values values, int64_t *ret_changes) must_check;
/* The number in the first column of the first row; PROBLEM_NOT_FOUND without a row. */
int db_number(struct db *db, const char *text, struct values values, int64_t *ret_number) must_check;
