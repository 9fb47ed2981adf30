/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PostgreSQL through libpq: one connection, prepared statements, binary values. Writers take turns by an
 * advisory lock, as they do in SQLite by its own: the audit chain has one end. A connection that was lost is
 * made again at the next statement outside a transaction.
 *
 * Statements whose answer nobody needs at once are posted: they leave in pipeline mode, and are looked at together before
 * whatever comes next, which saves most of the round trips of a transaction.
 */
#include <endian.h>
#include <libpq-fe.h>
#include <stdio.h>

#include "base/fault.h"
#include "base/mem.h"
#include "store/db.h"

enum { OID_BYTEA = 17, OID_INT8 = 20, OID_TEXT = 25, WRITE_LOCK = 0x56436846, POSTED_MOST = 32 };

struct session {
        PGconn *connection;
        unsigned generation; /* one more with every connection: statements are prepared anew */
        unsigned names;
        bool in_transaction;
        unsigned posted; /* so many answers are still to come, in pipeline mode */
        int64_t rows[POSTED_MOST];
};

struct statement {
        struct session *session;
        char *sql;
        char name[16];
        unsigned generation; /* in which it is prepared; 0 = not yet */
        unsigned parameters;
        Oid types[DB_PARAMETERS_MOST];
        const char *values[DB_PARAMETERS_MOST];
        int lengths[DB_PARAMETERS_MOST], formats[DB_PARAMETERS_MOST];
        uint64_t numbers[DB_PARAMETERS_MOST];
        PGresult *result;
        int row;
};

static int pgsql_lost(struct db *db, const char *why)
{
        db->broken = ((struct session *)db->connection)->in_transaction;
        return refuse(PROBLEM_STORAGE, "PostgreSQL cannot be reached, or ended the connection: %.300s", why);
}

/* The SQLSTATE decides, as appendix A of its manual lists them. */
static int pgsql_result(struct db *db, const PGresult *result)
{
        struct session *session = db->connection;
        const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
        const char *text = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;

        if (!text)
                text = PQerrorMessage(session->connection);
        if (PQstatus(session->connection) != CONNECTION_OK || !state)
                return pgsql_lost(db, text);
        if (strncmp(state, "53", 2) == 0 || strncmp(state, "58", 2) == 0)
                return refuse(PROBLEM_STORAGE, "PostgreSQL has no room, or its disk fails: %s", text);
        if (strcmp(state, "25006") == 0)
                return refuse(PROBLEM_STORAGE, "PostgreSQL is read-only: %s", text);
        if (strncmp(state, "57", 2) == 0 || strncmp(state, "08", 2) == 0)
                return pgsql_lost(db, text);
        if (strncmp(state, "40", 2) == 0 || strncmp(state, "55", 2) == 0)
                return refuse(PROBLEM_BUSY, "The database was locked by another server for too long: %s",
                              text);
        if (strncmp(state, "XX", 2) == 0)
                return refuse(PROBLEM_TAMPERED, "The database is damaged: %s", text);
        if (strncmp(state, "42501", 5) == 0 || strncmp(state, "28", 2) == 0)
                return refuse(PROBLEM_CONFIGURATION, "PostgreSQL refuses: %s", text);
        return fault(0, "PostgreSQL: %s (%s)", text, state);
}

static int result_check(struct db *db, const PGresult *result)
{
        ExecStatusType status = PQresultStatus(result);

        return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? 0 : PASS(pgsql_result(db, result));
}

static int posted_check(struct db *db, PGresult *result, int64_t rows)
{
        TRY(result_check(db, result));
        if (rows >= 0 && strtoll(PQcmdTuples(result), NULL, 10) != rows)
                return refuse(PROBLEM_STALE, "Somebody else has changed meanwhile what is changed here; try again");
        return 0;
}

static int pgsql_flush(struct db *db)
{
        struct session *session = db->connection;
        unsigned posted = session->posted;
        int r = 0;

        session->posted = 0;
        if (posted && PQpipelineSync(session->connection) != 1)
                return pgsql_lost(db, PQerrorMessage(session->connection));
        for (unsigned i = 0; i < posted; i++) {
                PGresult *result = PQgetResult(session->connection);

                if (r == 0) /* those after the first that failed were not run */
                        r = posted_check(db, result, session->rows[i]);
                PQclear(result);
                PQclear(PQgetResult(session->connection)); /* the end of this one */
        }
        if (posted)
                PQclear(PQgetResult(session->connection)); /* the end of all */
        if (posted && PQexitPipelineMode(session->connection) != 1 && r == 0)
                r = pgsql_lost(db, PQerrorMessage(session->connection));
        return PASS(r);
}

/* Whatever becomes of what was posted, it is rolled back. */
static void pgsql_forget(struct db *db)
{
        if (pgsql_flush(db) != 0)
                report_clear();
}

static int pgsql_simple(struct db *db, const char *sql)
{
        struct session *session = db->connection;
        PGresult *result;
        int r;

        TRY(pgsql_flush(db));
        result = PQexec(session->connection, sql);
        r = result_check(db, result);
        PQclear(result);
        return PASS(r);
}

static int pgsql_setup(struct db *db)
{
        struct session *session = db->connection;

        session->generation++;
        session->in_transaction = false;
        return PASS(pgsql_simple(
            db, "SET client_encoding = 'UTF8'; SET lock_timeout = '5s'; SET statement_timeout = '60s';"
                "SET idle_in_transaction_session_timeout = '60s'; SET synchronous_commit = on;"
                "SET client_min_messages = warning; SET standard_conforming_strings = on"));
}

/* Only outside a transaction: what was in one is lost with its connection. */
static int pgsql_connected(struct db *db)
{
        struct session *session = db->connection;

        if (PQstatus(session->connection) == CONNECTION_OK)
                return 0;
        if (session->in_transaction)
                return pgsql_lost(db, "it was lost within a transaction");
        PQreset(session->connection);
        if (PQstatus(session->connection) != CONNECTION_OK)
                return pgsql_lost(db, PQerrorMessage(session->connection));
        return PASS(pgsql_setup(db));
}

static int pgsql_run(struct db *db, const char *sql)
{
        struct session *session = db->connection;

        TRY(pgsql_connected(db));
        if (strncmp(sql, "ROLLBACK", 8) == 0)
                pgsql_forget(db);
        TRY(pgsql_flush(db));
        if (strcmp(sql, "COMMIT") == 0) {
                PGresult *result = PQexec(session->connection, sql);
                bool done =
                    PQresultStatus(result) == PGRES_COMMAND_OK && strcmp(PQcmdStatus(result), "COMMIT") == 0;
                int r = 0;

                if (!done && PQresultStatus(result) == PGRES_COMMAND_OK)
                        r = refuse(PROBLEM_STORAGE,
                                   "PostgreSQL rolled the transaction back, since part of it had failed");
                else if (!done)
                        r = pgsql_result(db, result);
                PQclear(result);
                session->in_transaction = session->in_transaction && !done;
                return PASS(r);
        }
        return PASS(pgsql_simple(db, sql));
}

static void pgsql_notice(void *context, const PGresult *result)
{
}

static int pgsql_open(struct db *db, const char *location, bool create, bool read_only)
{
        static const char *const keywords[] = {
            "dbname", "connect_timeout", "application_name", "keepalives_idle", "tcp_user_timeout", "options",
            NULL,
        };
        const char *const values[] = {
            location, "5", "vouchsafe", "30", "10000", read_only ? "-c default_transaction_read_only=on" : "",
            NULL,
        };
        struct session *session = NEW(struct session);

        db->connection = session;
        session->connection = PQconnectdbParams(keywords, values, 1);
        if (!session->connection || PQstatus(session->connection) != CONNECTION_OK)
                return pgsql_lost(db,
                                  session->connection ? PQerrorMessage(session->connection) : "no memory");
        PQsetNoticeReceiver(session->connection, pgsql_notice, NULL);
        return PASS(pgsql_setup(db));
}

static void pgsql_close(struct db *db)
{
        struct session *session = db->connection;

        if (!session)
                return;
        PQfinish(session->connection);
        free(session);
}

static int pgsql_begin(struct db *db, bool write)
{
        struct session *session = db->connection;
        char sql[96];
        int r;

        snprintf(sql, sizeof(sql),
                 write ? "BEGIN; SELECT pg_advisory_xact_lock(%d)" : "BEGIN ISOLATION LEVEL REPEATABLE READ",
                 WRITE_LOCK);
        /* The server may have been restarted since the last round: that shows only now, and costs nobody
         * anything. */
        for (int attempt = 0; attempt < 2; attempt++) {
                session->in_transaction = false;
                TRY(pgsql_connected(db));
                r = pgsql_simple(db, sql);
                if (r == 0) {
                        session->in_transaction = true;
                        return 0;
                }
                if (PQstatus(session->connection) == CONNECTION_OK) {
                        (void)pgsql_simple(db, "ROLLBACK");
                        return PASS(r);
                }
        }
        return PASS(r);
}

static void pgsql_rollback(struct db *db)
{
        struct session *session = db->connection;

        pgsql_forget(db);
        if (PQstatus(session->connection) == CONNECTION_OK &&
            PQtransactionStatus(session->connection) != PQTRANS_IDLE)
                PQclear(PQexec(session->connection, "ROLLBACK"));
        session->in_transaction = false;
}

/* The types of the parameters are known when they are bound, so PostgreSQL sees the statement at its first
 * run. */
static int pgsql_prepare(struct db *db, const char *sql, struct statement **ret_statement)
{
        struct session *session = db->connection;
        struct statement *statement = NEW(struct statement);

        statement->session = session;
        statement->sql = text_copy(sql);
        snprintf(statement->name, sizeof(statement->name), "s%u", ++session->names);
        *ret_statement = statement;
        return 0;
}

static void pgsql_finalize(struct statement *statement)
{
        PQclear(statement->result);
        free(statement->sql);
        free(statement);
}

static void pgsql_bind(struct statement *statement, unsigned number, const struct value *value)
{
        unsigned i = number - 1;

        statement->parameters = MAX(statement->parameters, number);
        statement->formats[i] = 1;
        if (value->type == VALUE_NUMBER) {
                statement->numbers[i] = htobe64((uint64_t)value->number);
                statement->types[i] = OID_INT8;
                statement->values[i] = (const char *)&statement->numbers[i];
                statement->lengths[i] = 8;
                return;
        }
        statement->types[i] = value->type == VALUE_TEXT ? OID_TEXT : OID_BYTEA;
        statement->values[i] = value->bytes.data ? (const char *)value->bytes.data : "";
        statement->lengths[i] = (int)value->bytes.len;
}

static int pgsql_known(struct db *db, struct statement *statement)
{
        struct session *session = db->connection;
        PGresult *result;
        int r;

        if (statement->generation == session->generation)
                return 0;
        TRY(pgsql_flush(db));
        result = PQprepare(session->connection, statement->name, statement->sql, (int)statement->parameters,
                           statement->types);
        r = result_check(db, result);
        PQclear(result);
        if (r != 0)
                return PASS(report_prefix(r, "%.60s…: ", statement->sql));
        statement->generation = session->generation;
        return 0;
}

static int pgsql_post(struct db *db, struct statement *statement, int64_t rows)
{
        struct session *session = db->connection;

        TRY(pgsql_connected(db));
        TRY(pgsql_known(db, statement));
        if (session->posted == POSTED_MOST)
                TRY(pgsql_flush(db));
        if ((!session->posted && PQenterPipelineMode(session->connection) != 1) ||
            PQsendQueryPrepared(session->connection, statement->name, (int)statement->parameters, statement->values,
                                statement->lengths, statement->formats, 1) != 1)
                return pgsql_lost(db, PQerrorMessage(session->connection));
        session->rows[session->posted++] = rows;
        return 0;
}

static int pgsql_execute(struct db *db, struct statement *statement)
{
        struct session *session = db->connection;
        int r;

        TRY(pgsql_connected(db));
        TRY(pgsql_flush(db));
        TRY(pgsql_known(db, statement));
        statement->result = PQexecPrepared(session->connection, statement->name, (int)statement->parameters,
                                           statement->values, statement->lengths, statement->formats, 1);
        statement->row = -1;
        r = result_check(db, statement->result);
        if (r != 0) {
                PQclear(statement->result);
                statement->result = NULL;
        }
        return PASS(r);
}

static int pgsql_step(struct db *db, struct statement *statement, bool *ret_row)
{
        if (!statement->result) {
                struct session *session = db->connection;
                bool alone = !session->in_transaction;
                int r = pgsql_execute(db, statement);

                /* A read outside a transaction is repeated once on a new connection. */
                if (r != 0 && alone && PQstatus(session->connection) != CONNECTION_OK)
                        r = pgsql_execute(db, statement);
                if (r != 0)
                        return PASS(r);
        }
        *ret_row = ++statement->row < PQntuples(statement->result);
        return 0;
}

static void pgsql_reset(struct statement *statement)
{
        PQclear(statement->result);
        statement->result = NULL;
}

static int64_t pgsql_changes(struct statement *statement)
{
        return statement->result ? strtoll(PQcmdTuples(statement->result), NULL, 10) : 0;
}

static struct bytes pgsql_bytes(struct statement *statement, unsigned column)
{
        return bytes_of(PQgetvalue(statement->result, statement->row, (int)column),
                        (size_t)PQgetlength(statement->result, statement->row, (int)column));
}

static int64_t pgsql_number(struct statement *statement, unsigned column)
{
        struct bytes bytes = pgsql_bytes(statement, column);
        int64_t number = bytes.len && bytes.data[0] & 0x80 ? -1 : 0;

        for (size_t i = 0; i < bytes.len && i < 8; i++)
                number = (int64_t)((uint64_t)number << 8 | bytes.data[i]);
        return number;
}

static int pgsql_version(struct db *db, int64_t *ret_version)
{
        int64_t there = 0;

        TRY(db_number(db,
                      "SELECT count(*) FROM pg_catalog.pg_tables WHERE tablename = 'schema_version' AND "
                      "schemaname = current_schema()",
                      VALUES_NONE, &there));
        if (there)
                return PASS(
                    db_number(db, "SELECT max(version) FROM schema_version", VALUES_NONE, ret_version));
        TRY(db_number(db, "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = current_schema()",
                      VALUES_NONE, &there));
        if (there)
                return refuse(PROBLEM_UNSUPPORTED, "This PostgreSQL database was not made by Vouchsafe");
        *ret_version = 0;
        return 0;
}

static int pgsql_set_version(struct db *db, int64_t version)
{
        char sql[160];

        snprintf(sql, sizeof(sql),
                 "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY);"
                 "INSERT INTO schema_version VALUES (%lld)",
                 (long long)version);
        return PASS(pgsql_run(db, sql));
}

const struct db_driver db_pgsql = {
    .open = pgsql_open,
    .close = pgsql_close,
    .run = pgsql_run,
    .begin = pgsql_begin,
    .rollback = pgsql_rollback,
    .prepare = pgsql_prepare,
    .finalize = pgsql_finalize,
    .bind = pgsql_bind,
    .step = pgsql_step,
    .post = pgsql_post,
    .flush = pgsql_flush,
    .reset = pgsql_reset,
    .changes = pgsql_changes,
    .number = pgsql_number,
    .bytes = pgsql_bytes,
    .version = pgsql_version,
    .set_version = pgsql_set_version,
    .pgsql = true,
};
