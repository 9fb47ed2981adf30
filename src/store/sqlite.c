/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite: write-ahead log, every commit synced, one writer at a time. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/mem.h"
#include "store/db.h"

enum { APPLICATION_ID = 0x56436846 /* "VChF" */, BUSY_MS = 5000 };

struct statement {
        sqlite3_stmt *handle;
        sqlite3 *connection;
        /* $n is a name to SQLite, numbered by where it stands first. */
        uint8_t index[DB_PARAMETERS_MOST + 1];
        int64_t changes;
};

static int sqlite_result(sqlite3 *connection, int code)
{
        const char *text = connection ? sqlite3_errmsg(connection) : sqlite3_errstr(code);
        int error = connection ? sqlite3_system_errno(connection) : 0;

        switch (code & 0xff) {
        case SQLITE_FULL:
                return refuse(PROBLEM_STORAGE,
                              "The database cannot grow: the disk is full, or a limit is reached. Make room; "
                              "the server goes on by itself");
        case SQLITE_READONLY:
                return refuse(PROBLEM_STORAGE,
                              "The database cannot be written: the file or its folder is read-only (%s)",
                              text);
        case SQLITE_IOERR:
        case SQLITE_CANTOPEN:
        case SQLITE_PERM:
        case SQLITE_AUTH:
                return refuse(PROBLEM_STORAGE, "The database cannot be read or written: %s%s%s", text,
                              error ? ": " : "", error ? strerror(error) : "");
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return refuse(PROBLEM_BUSY, "The database was locked by another program for %d seconds",
                              BUSY_MS / 1000);
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return refuse(PROBLEM_TAMPERED, "The database file is damaged: %s", text);
        default:
                return fault(0, "SQLite: %s (%d)", text, code);
        }
}

static int sqlite_run(struct db *db, const char *sql)
{
        int code = sqlite3_exec(db->connection, sql, NULL, NULL, NULL);

        return code == SQLITE_OK ? 0 : PASS(sqlite_result(db->connection, code));
}

static int sqlite_pragma(struct db *db, const char *sql, int64_t *ret_number)
{
        sqlite3_stmt *handle = NULL;
        int code = sqlite3_prepare_v2(db->connection, sql, -1, &handle, NULL);

        if (code == SQLITE_OK)
                code = sqlite3_step(handle);
        if (code == SQLITE_ROW)
                *ret_number = sqlite3_column_int64(handle, 0);
        sqlite3_finalize(handle);
        return code == SQLITE_ROW ? 0 : PASS(sqlite_result(db->connection, code));
}

/* Whose file is it? An empty one is ours to fill; another program's is left alone. */
static int sqlite_version(struct db *db, int64_t *ret_version)
{
        int64_t application = 0, version = 0, tables = 0;

        TRY(sqlite_pragma(db, "PRAGMA application_id", &application));
        TRY(sqlite_pragma(db, "PRAGMA user_version", &version));
        TRY(sqlite_pragma(db, "SELECT count(*) FROM sqlite_schema", &tables));
        if (application != APPLICATION_ID && (application || version || tables))
                return refuse(PROBLEM_UNSUPPORTED, "This SQLite database was not made by Vouchsafe");
        if (application == APPLICATION_ID && version == 0)
                return refuse(PROBLEM_TAMPERED, "The database has lost the version of its schema");
        *ret_version = version;
        return 0;
}

static int sqlite_set_version(struct db *db, int64_t version)
{
        char sql[96];

        snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %lld", APPLICATION_ID,
                 (long long)version);
        return PASS(sqlite_run(db, sql));
}

/* Made with its mode before SQLite sees it, so that there is no moment in which others can read it. */
static int sqlite_touch(const char *path)
{
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0)
                return refuse(PROBLEM_STORAGE, "The database %s cannot be made: %s", path, strerror(errno));
        close(fd);
        return 0;
}

static int sqlite_open(struct db *db, const char *path, bool create, bool read_only)
{
        int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                    (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
        sqlite3 *connection = NULL;
        struct stat status;
        int code;

        if (strcmp(path, ":memory:") != 0 && stat(path, &status) < 0) {
                if (errno != ENOENT && errno != ENOTDIR)
                        return refuse(PROBLEM_STORAGE, "The database %s cannot be reached: %s", path,
                                      strerror(errno));
                if (!create || read_only)
                        return refuse(PROBLEM_NOT_FOUND, "There is no database %s", path);
                TRY(sqlite_touch(path));
        }
        code = sqlite3_open_v2(path, &connection, flags, NULL);
        db->connection = connection;
        if (code != SQLITE_OK)
                return PASS(report_prefix(sqlite_result(connection, code), "%s: ", path));
        sqlite3_busy_timeout(connection, BUSY_MS);
        sqlite3_limit(connection, SQLITE_LIMIT_ATTACHED, 0);
        sqlite3_db_config(connection, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        sqlite3_db_config(connection, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
        sqlite3_db_config(connection, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
        TRY(sqlite_run(db,
                       "PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = ON; PRAGMA cell_size_check = ON;"
                       "PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY;"
                       /* What is deleted is gone from the file too: pieces of officers, keys of the pool. */
                       "PRAGMA secure_delete = ON;"
                       /* Beyond the cache pages are read in place, not copied: looking up stays as fast with
                        * a database of gigabytes. Writing goes through the log and is not mapped. */
                       "PRAGMA mmap_size = 2147418112"));
        if (!read_only)
                TRY(sqlite_run(
                    db,
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;"
                    "PRAGMA journal_size_limit = 67108864"));
        return 0;
}

static void sqlite_close(struct db *db)
{
        sqlite3_close(db->connection);
}

static int sqlite_begin(struct db *db, bool write)
{
        return PASS(sqlite_run(db, write ? "BEGIN IMMEDIATE" : "BEGIN"));
}

static void sqlite_rollback(struct db *db)
{
        /* SQLite itself may have rolled back when the disk was full. */
        if (!sqlite3_get_autocommit(db->connection))
                (void)sqlite3_exec(db->connection, "ROLLBACK", NULL, NULL, NULL);
}

static int sqlite_prepare(struct db *db, const char *sql, struct statement **ret_statement)
{
        struct statement *statement;
        sqlite3_stmt *handle = NULL;
        char name[8];
        int code = sqlite3_prepare_v3(db->connection, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle, NULL);

        if (code != SQLITE_OK)
                return PASS(report_prefix(sqlite_result(db->connection, code), "%.60s…: ", sql));
        statement = NEW(struct statement);
        statement->handle = handle;
        statement->connection = db->connection;
        for (int i = 1; i <= DB_PARAMETERS_MOST; i++) {
                snprintf(name, sizeof(name), "$%d", i);
                statement->index[i] = (uint8_t)sqlite3_bind_parameter_index(handle, name);
        }
        *ret_statement = statement;
        return 0;
}

static void sqlite_finalize(struct statement *statement)
{
        sqlite3_finalize(statement->handle);
        free(statement);
}

/* Values are views that outlive the run of the statement, so SQLite need not copy them. Empty is never NULL.
 */
static void sqlite_bind(struct statement *statement, unsigned number, const struct value *value)
{
        int index = statement->index[number];
        const char *data = value->bytes.data ? (const char *)value->bytes.data : "";

        if (value->type == VALUE_NUMBER)
                sqlite3_bind_int64(statement->handle, index, value->number);
        else if (value->type == VALUE_TEXT)
                sqlite3_bind_text64(statement->handle, index, data, value->bytes.len, SQLITE_STATIC,
                                    SQLITE_UTF8);
        else
                sqlite3_bind_blob64(statement->handle, index, data, value->bytes.len, SQLITE_STATIC);
}

static int sqlite_step(struct db *db, struct statement *statement, bool *ret_row)
{
        int code = sqlite3_step(statement->handle);

        if (code != SQLITE_ROW && code != SQLITE_DONE) {
                int r = sqlite_result(db->connection, code);
                sqlite3_reset(statement->handle);
                return PASS(r);
        }
        if (code == SQLITE_DONE)
                statement->changes = sqlite3_changes64(db->connection);
        *ret_row = code == SQLITE_ROW;
        return 0;
}

static void sqlite_reset(struct statement *statement)
{
        sqlite3_reset(statement->handle);
        sqlite3_clear_bindings(statement->handle);
}

static int64_t sqlite_changes(struct statement *statement)
{
        return statement->changes;
}

static int64_t sqlite_number(struct statement *statement, unsigned column)
{
        return sqlite3_column_int64(statement->handle, (int)column);
}

static struct bytes sqlite_bytes(struct statement *statement, unsigned column)
{
        const void *data = sqlite3_column_blob(statement->handle, (int)column);

        return bytes_of(data, (size_t)sqlite3_column_bytes(statement->handle, (int)column));
}

const struct db_driver db_sqlite = {
    .open = sqlite_open,
    .close = sqlite_close,
    .run = sqlite_run,
    .begin = sqlite_begin,
    .rollback = sqlite_rollback,
    .prepare = sqlite_prepare,
    .finalize = sqlite_finalize,
    .bind = sqlite_bind,
    .step = sqlite_step,
    .reset = sqlite_reset,
    .changes = sqlite_changes,
    .number = sqlite_number,
    .bytes = sqlite_bytes,
    .version = sqlite_version,
    .set_version = sqlite_set_version,
};
