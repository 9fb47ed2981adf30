/* SPDX-License-Identifier: Apache-2.0 */
/* The disk is full, the file is read-only, another holds the lock, the server goes away: a clear sentence,
 * nothing half, and on it goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/mem.h"
#include "store/internal.h"
#include "store/test-help.h"

static int set_up(void **state)
{
        *state = help_new();
        return 0;
}

static int tear_down(void **state)
{
        help_free(*state);
        return 0;
}

/* Put users until it fails; how many were put. */
static unsigned put_until(struct store *store, unsigned from, int expected)
{
        for (unsigned i = from; i < from + 100000; i++) {
                CLEANUP(user_row_done) struct user_row user = help_user(i);
                CLEANUP(archive_row_done) struct archive_row archive = help_archive(i, &user.id);
                struct audit_record record = {.actor = bytes_text("test"), .outcome = bytes_text("done")};
                int r;

                must(store_begin(store));
                r = store_user_add(store, &user);
                if (r == 0)
                        r = store_archive_add(store, &archive);
                if (r == 0)
                        r = store_audit_append(store, &record, NULL);
                if (r == 0)
                        r = store_commit(store);
                else
                        store_rollback(store);
                if (r != 0) {
                        if (r != expected)
                                fprintf(stderr, "%d: %s\n", r, report_text());
                        assert_int_equal(r, expected);
                        return i;
                }
        }
        fail_msg("it never failed");
        return 0;
}

static void expect_whole(struct store *store, unsigned users)
{
        struct store_counts counts;
        struct store_verify_options options = {0};
        CLEANUP(store_verify_freep) struct store_verify *verify = NULL;
        struct store_verify_progress progress;
        bool finished = false;

        store_counts(store, &counts);
        assert_int_equal(counts.users[USER_NEW], users);
        assert_int_equal(counts.archives[ARCHIVE_CURRENT], users);
        must(store_verify_new(store, &options, &verify));
        while (!finished)
                must(store_verify_step(verify, 1000, &finished));
        store_verify_progress(verify, &progress);
        assert_int_equal(progress.findings, 0);
}

static void a_full_database_goes_on_once_there_is_room(void **state)
{
        if (help_pgsql())
                skip();

        unsigned put, again;

        must(db_run(&STORE->db, "PRAGMA max_page_count = 120"));
        put = put_until(STORE, 0, PROBLEM_STORAGE);
        assert_non_null(strstr(report_text(), "disk is full"));
        expect_whole(STORE, put);
        must(db_run(&STORE->db, "PRAGMA max_page_count = 240"));
        again = put_until(STORE, put, PROBLEM_STORAGE);
        assert_true(again > put);
        help_reopen(*state);
        expect_whole(STORE, again);
}

/* As when the file system refuses to let a file grow. */
static void a_file_that_may_not_grow_is_a_full_disk(void **state)
{
        if (help_pgsql())
                skip();

        struct rlimit before, limit;
        struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
        unsigned put;

        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        limit = before;
        limit.rlim_cur = 1 << 20;
        sigaction(SIGXFSZ, &ignore, &old);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        put = put_until(STORE, 0, PROBLEM_STORAGE);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        sigaction(SIGXFSZ, &old, NULL);
        expect_whole(STORE, put);
        CHANGE({
                CLEANUP(user_row_done) struct user_row user = help_user(put);
                CLEANUP(archive_row_done) struct archive_row archive = help_archive(put, &user.id);
                must(store_user_add(STORE, &user));
                must(store_archive_add(STORE, &archive));
        });
        expect_whole(STORE, put + 1);
}

/* One request of a batch meets the full disk. SQLite then gives the whole transaction up: so it must be for
 * all of them. */
static void a_batch_that_met_the_full_disk_is_undone_whole(void **state)
{
        if (help_pgsql())
                skip();

        CLEANUP(user_row_done) struct user_row a = help_user(1), b = help_user(2);
        CLEANUP(setting_row_done)
        struct setting_row big = {.name = text_copy("big"), .value = help_bytes(1, 3000000)};

        must(db_run(&STORE->db, "PRAGMA max_page_count = 200"));
        must(store_begin(STORE));
        must(store_savepoint(STORE));
        must(store_user_add(STORE, &a));
        help_audit(STORE, "user.add", "1");
        must(store_release(STORE));
        must(store_savepoint(STORE));
        assert_int_equal(store_setting_put(STORE, &big), PROBLEM_STORAGE);
        assert_int_equal(store_user_add(STORE, &b), PROBLEM_STORAGE); /* broken until it is undone */
        store_rollback_to(STORE);
        must(store_savepoint(STORE));
        assert_int_equal(store_user_add(STORE, &b), PROBLEM_STORAGE);
        store_rollback_to(STORE);
        assert_int_equal(store_commit(STORE), PROBLEM_STORAGE);
        expect_whole(STORE, 0);
        CHANGE({
                CLEANUP(archive_row_done) struct archive_row archive = help_archive(2, &b.id);
                must(store_user_add(STORE, &b));
                must(store_archive_add(STORE, &archive));
        });
        expect_whole(STORE, 1);
}

/* What durability and distrust of the file rest on. */
static void sqlite_is_set_as_it_must_be(void **state)
{
        static const struct {
                const char *sql;
                int64_t value;
        } settings[] = {
            {"PRAGMA synchronous", 2},
            {"PRAGMA trusted_schema", 0},
            {"PRAGMA foreign_keys", 1},
            {"PRAGMA secure_delete", 1},
            {"SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'", 1},
            {"PRAGMA application_id", 0x56436846},
        };
        struct stat status;

        if (help_pgsql())
                skip();
        for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
                int64_t value = -1;

                must(db_number(&STORE->db, settings[i].sql, VALUES_NONE, &value));
                assert_int_equal(value, settings[i].value);
        }
        assert_int_equal(stat(((struct help *)*state)->location, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
}

static void read_only_stores_read(void **state)
{
        struct help *help = *state;
        CLEANUP(user_row_done) struct user_row user = help_user(1), found = {0};
        struct store *store = NULL;

        CHANGE(must(store_user_add(STORE, &user)));
        must(store_open(help->location, STORE_READ_ONLY, &store));
        must(store_set_keys(store, &help->row, &help->column));
        must(store_user_find(store, &user.id, &found));
        must(store_begin(store));
        assert_int_equal(store_user_put(store, &found), PROBLEM_STORAGE);
        store_rollback(store);
        store_free(store);
}

static void a_database_that_turns_read_only_is_said_to(void **state)
{
        CLEANUP(user_row_done) struct user_row user = help_user(1);

        if (help_pgsql())
                must(db_run(&STORE->db, "SET default_transaction_read_only = on"));
        else
                must(db_run(&STORE->db, "PRAGMA query_only = on"));
        must(store_begin(STORE));
        assert_int_equal(store_user_add(STORE, &user), PROBLEM_STORAGE);
        assert_non_null(strstr(report_text(), "read-only"));
        store_rollback(STORE);
        if (help_pgsql())
                must(db_run(&STORE->db, "SET default_transaction_read_only = off"));
        else
                must(db_run(&STORE->db, "PRAGMA query_only = off"));
        CHANGE(must(store_user_add(STORE, &user)));
}

static void a_damaged_file_is_said_to_be(void **state)
{
        if (help_pgsql())
                skip();

        struct help *help = *state;
        struct store *store = NULL;
        FILE *file;
        int r;

        store_free(help->store);
        help->store = NULL;
        file = fopen(help->location, "r+");
        assert_non_null(file);
        fseek(file, 4096 + 100, SEEK_SET);
        for (int i = 0; i < 40000; i++)
                fputc(i * 7, file);
        fclose(file);
        r = store_open(help->location, 0, &store);
        if (r == 0)
                r = store_set_keys(store, &help->row, &help->column);
        assert_int_equal(r, PROBLEM_TAMPERED);
        store_free(store);
}

/* Batches of users, each acknowledged through the pipe once it is committed, until somebody kills this
 * process. */
static void write_for_ever(struct help *help, unsigned from, int acknowledge)
{
        struct store *store = NULL;

        help_keys(help); /* secrets are wiped on fork */
        must(store_open(help->location, 0, &store));
        must(store_set_keys(store, &help->row, &help->column));
        for (unsigned i = from;; i += 5) {
                unsigned last = i + 4;

                must(store_begin(store));
                for (unsigned k = i; k <= last; k++) {
                        CLEANUP(user_row_done) struct user_row user = help_user(k);
                        CLEANUP(archive_row_done) struct archive_row archive = help_archive(k, &user.id);
                        must(store_savepoint(store));
                        must(store_user_add(store, &user));
                        must(store_archive_add(store, &archive));
                        help_audit(store, "user.add", user.address);
                        must(store_release(store));
                }
                must(store_commit(store));
                if (write(acknowledge, &last, sizeof(last)) != sizeof(last))
                        _exit(1);
        }
}

static void killed_writers_lose_nothing_that_was_acknowledged(void **state)
{
        struct help *help = *state;
        unsigned acknowledged = 0;

        for (int round = 0; round < 15; round++) {
                struct store_counts counts;
                int ends[2];
                pid_t child;

                store_free(help->store);
                help->store = NULL;
                assert_int_equal(pipe(ends), 0);
                child = fork();
                if (child == 0)
                        write_for_ever(help, acknowledged + 1, ends[1]);
                close(ends[1]);
                for (int wait = round % 4 + 1; wait > 0; wait--)
                        assert_int_equal(read(ends[0], &acknowledged, sizeof(acknowledged)),
                                         sizeof(acknowledged));
                usleep((unsigned)(round * 137 % 1500));
                kill(child, SIGKILL);
                waitpid(child, NULL, 0);
                while (read(ends[0], &acknowledged, sizeof(acknowledged)) == sizeof(acknowledged))
                        ;
                close(ends[0]);
                must(store_open(help->location, 0, &help->store));
                must(store_set_keys(help->store, &help->row, &help->column));
                store_counts(help->store, &counts);
                /* The one that was being committed may be there too, whole. */
                assert_true(counts.users[USER_NEW] == acknowledged ||
                            counts.users[USER_NEW] == acknowledged + 5);
                acknowledged = (unsigned)counts.users[USER_NEW];
                expect_whole(help->store, acknowledged);
        }
}

/* PostgreSQL ends the connection: what was open is lost, what comes next is done on a new one. */
static void a_lost_connection_is_made_again(void **state)
{
        if (!help_pgsql())
                skip();

        static const char end_others[] = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid "
                                         "<> pg_backend_pid() AND application_name = 'vouchsafe'";
        CLEANUP(user_row_done) struct user_row a = help_user(1), b = help_user(2), found = {0};

        CHANGE(must(store_user_add(STORE, &a)));
        help_raw(*state, end_others);
        must(store_user_find(STORE, &a.id, &found)); /* a read is repeated */
        user_row_done(&found);
        help_raw(*state, end_others);
        CHANGE(must(store_user_add(STORE, &b))); /* a transaction begins on the new one */
        b.row.version = 2;
        must(store_begin(STORE));
        found = help_user(3);
        must(store_user_add(STORE, &found));
        help_audit(STORE, "user.add", "3");
        help_raw(*state, end_others);
        assert_int_equal(store_commit(STORE), PROBLEM_STORAGE);
        CHANGE(
            must(store_pool_add(STORE, &(struct pool_row){.id = help_id(1, 1), .profile = (char[]){"p"}})));
        assert_int_equal(store_user_find(STORE, &found.id, &a), PROBLEM_NOT_FOUND);
}

/* Two servers on one database take turns, and neither overwrites the other. */
static void two_stores_share_one_chain(void **state)
{
        struct help *help = *state;
        struct store *other = NULL;
        struct audit_head a, b;

        must(store_open(help->location, 0, &other));
        must(store_set_keys(other, &help->row, &help->column));
        for (unsigned i = 1; i <= 6; i++) {
                CLEANUP(user_row_done) struct user_row user = help_user(i);
                struct store *store = i % 2 ? other : STORE;

                must(store_begin(store));
                must(store_user_add(store, &user));
                help_audit(store, "user.add", user.address);
                must(store_commit(store));
        }
        must(store_begin(STORE));
        must(store_commit(STORE));
        help_reopen(help);
        must(store_audit_head(STORE, &a));
        must(store_begin(other));
        help_audit(other, "test", "last");
        must(store_commit(other));
        must(store_audit_head(other, &b));
        assert_int_equal(a.seq + 1, b.seq);
        store_free(other);
        help_reopen(help);
        {
                struct store_counts counts;
                store_counts(STORE, &counts);
                assert_int_equal(counts.users[USER_NEW], 6);
        }
}

int main(void)
{
#define TEST_(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
            TEST_(a_full_database_goes_on_once_there_is_room),
            TEST_(a_file_that_may_not_grow_is_a_full_disk),
            TEST_(a_batch_that_met_the_full_disk_is_undone_whole),
            TEST_(sqlite_is_set_as_it_must_be),
            TEST_(read_only_stores_read),
            TEST_(a_database_that_turns_read_only_is_said_to),
            TEST_(a_damaged_file_is_said_to_be),
            TEST_(killed_writers_lose_nothing_that_was_acknowledged),
            TEST_(a_lost_connection_is_made_again),
            TEST_(two_stores_share_one_chain),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
