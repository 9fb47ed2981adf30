/* SPDX-License-Identifier: Apache-2.0 */
/* The conformance suite: transactions, keys, whose database it is. For both engines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/fault.h"
#include "base/mem.h"
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

static int see_bootstrap(void *context, int64_t number, struct bytes record)
{
        buf_add_format(context, "%lld ", (long long)number);
        buf_add_bytes(context, record);
        buf_add_byte(context, ' ');
        return 0;
}

static void changes_need_a_transaction_and_a_record(void **state)
{
        CLEANUP(user_row_done) struct user_row user = help_user(1), found = {0};

        assert_true(store_user_add(STORE, &user) < 0);
        must(store_begin(STORE));
        assert_true(store_begin(STORE) < 0);
        must(store_user_add(STORE, &user));
        assert_int_equal(user.row.version, 1);
        assert_true(store_commit(STORE) < 0);
        assert_string_equal(report_text(), "Rows were changed and no audit record says so");
        assert_false(store_in_transaction(STORE));
        assert_int_equal(store_user_find(STORE, &user.id, &found), PROBLEM_NOT_FOUND);
        CHANGE(must(store_user_add(STORE, &user)));
        must(store_user_find(STORE, &user.id, &found));
        assert_string_equal(found.address, user.address);
        assert_int_equal(found.row.version, 1);
}

static void transactions_are_whole_or_nothing(void **state)
{
        CLEANUP(user_row_done) struct user_row a = help_user(1), b = help_user(2), found = {0};
        struct store_counts counts;
        struct audit_head before, after;

        must(store_audit_head(STORE, &before));
        must(store_begin(STORE));
        assert_false(store_dirty(STORE));
        must(store_user_add(STORE, &a));
        assert_true(store_dirty(STORE));
        help_audit(STORE, "user.add", "1");
        store_rollback(STORE);
        store_rollback(STORE);
        assert_int_equal(store_user_find(STORE, &a.id, &found), PROBLEM_NOT_FOUND);
        must(store_audit_head(STORE, &after));
        assert_memory_equal(&before, &after, sizeof(before));
        store_counts(STORE, &counts);
        assert_int_equal(counts.users[USER_NEW], 0);
        must(store_begin(STORE));
        must(store_commit(STORE));
        CHANGE(must(store_user_add(STORE, &b)));
        help_reopen(*state);
        must(store_user_find(STORE, &b.id, &found));
        store_counts(STORE, &counts);
        assert_int_equal(counts.users[USER_NEW], 1);
        assert_int_equal(counts.audit, before.seq + 1);
}

static void one_failing_request_does_not_undo_others(void **state)
{
        CLEANUP(user_row_done)
        struct user_row a = help_user(1), b = help_user(2), c = help_user(3), again = help_user(1),
                        found = {0};
        struct store_counts counts;

        must(store_begin(STORE));
        must(store_savepoint(STORE));
        assert_true(store_savepoint(STORE) < 0);
        must(store_user_add(STORE, &a));
        assert_true(store_release(STORE) < 0);
        help_audit(STORE, "user.add", "1");
        must(store_release(STORE));

        must(store_savepoint(STORE)); /* fails after a change and its record */
        must(store_user_add(STORE, &b));
        help_audit(STORE, "user.add", "2");
        assert_int_equal(store_user_add(STORE, &again), PROBLEM_EXISTS);
        store_rollback_to(STORE);
        must(store_savepoint(STORE)); /* and its refusal is audited */
        help_audit(STORE, "user.add", "refused");
        must(store_release(STORE));

        must(store_savepoint(STORE));
        must(store_user_add(STORE, &c));
        help_audit(STORE, "user.add", "3");
        must(store_release(STORE));
        must(store_savepoint(STORE)); /* nothing written */
        must(store_release(STORE));
        must(store_commit(STORE));
        assert_int_equal(store_user_find(STORE, &b.id, &found), PROBLEM_NOT_FOUND);
        must(store_user_find(STORE, &a.id, &found));
        user_row_done(&found);
        must(store_user_find(STORE, &c.id, &found));
        store_counts(STORE, &counts);
        assert_int_equal(counts.users[USER_NEW], 2);
        assert_int_equal(counts.audit, 4);
}

/* That a row is stale may come out only when the savepoint is released; it is still there then. */
static int put_and_release(struct store *store, struct user_row *row)
{
        TRY(store_user_put(store, row));
        help_audit(store, "user.put", row->address);
        return PASS(store_release(store));
}

static void stale_rows_do_not_undo_others(void **state)
{
        CLEANUP(user_row_done) struct user_row user = help_user(1), other = help_user(2), stale = {0}, found = {0};

        CHANGE(must(store_user_add(STORE, &user)));
        must(store_user_find(STORE, &user.id, &stale));
        must(store_begin(STORE));
        must(store_savepoint(STORE));
        user.state = USER_ENROLLED;
        must(put_and_release(STORE, &user));
        must(store_savepoint(STORE));
        stale.state = USER_REVOKED;
        assert_int_equal(put_and_release(STORE, &stale), PROBLEM_STALE);
        store_rollback_to(STORE);
        must(store_savepoint(STORE));
        must(store_user_add(STORE, &other));
        help_audit(STORE, "user.add", "2");
        must(store_release(STORE));
        must(store_commit(STORE));
        must(store_user_find(STORE, &user.id, &found));
        assert_int_equal(found.state, USER_ENROLLED);
        user_row_done(&found);
        must(store_user_find(STORE, &other.id, &found));
}

static void stale_rows_are_refused(void **state)
{
        CLEANUP(user_row_done) struct user_row user = help_user(1), first = {0}, second = {0};

        CHANGE(must(store_user_add(STORE, &user)));
        must(store_user_find(STORE, &user.id, &first));
        must(store_user_find(STORE, &user.id, &second));
        first.state = USER_ENROLLED;
        CHANGE(must(store_user_put(STORE, &first)));
        second.state = USER_REVOKED;
        must(store_begin(STORE));
        assert_int_equal(store_user_put(STORE, &second), PROBLEM_STALE);
        store_rollback(STORE);
        second.row.version = 0;
        must(store_begin(STORE));
        assert_true(store_user_put(STORE, &second) < 0);
        store_rollback(STORE);
}

static void sealed_stores_give_and_take_nothing(void **state)
{
        struct help *help = *state;
        CLEANUP(operator_row_done) struct operator_row row = help_operator(1), found = {0};
        CLEANUP(buf_done) struct buf record = BUF_NONE;
        CLEANUP(secret_done) struct secret other = help_secret(9, 32);
        struct user_row user;
        CLEANUP(buf_done) struct buf seen = BUF_NONE;

        CHANGE(must(store_operator_add(STORE, &row)));
        must(store_set_keys(STORE, NULL, NULL));
        assert_true(store_sealed(STORE));
        assert_int_equal(store_user_find(STORE, &ID_NONE, &user), PROBLEM_SEALED);
        assert_int_equal(store_operator_find(STORE, "officer1", &found), PROBLEM_SEALED);
        must(store_operator_find_unverified(STORE, "officer1", &found));
        assert_int_equal(found.public_key.len, 33);
        assert_int_equal(found.invitation_auth.len, 0);
        must(store_bootstrap_get(STORE, "wrap", -1, &record));
        assert_string_equal(buf_text(&record), "wrapped");
        must(store_begin(STORE));
        must(store_bootstrap_put(STORE, "startup", 1, bytes_text("a request")));
        must(store_bootstrap_put(STORE, "startup", 2, bytes_text("an approval")));
        must(store_bootstrap_put(STORE, "startup", 1, bytes_text("a later request")));
        must(store_commit(STORE));
        must(store_begin(STORE));
        assert_int_equal(store_bootstrap_put(STORE, "trust", 2, bytes_text("false")), PROBLEM_SEALED);
        store_rollback(STORE);
        must(store_bootstrap_list(STORE, "startup", &seen, see_bootstrap));
        assert_string_equal(buf_text(&seen), "1 a later request 2 an approval ");
        assert_int_equal(store_set_keys(STORE, &other, &other), PROBLEM_TAMPERED);
        assert_true(store_sealed(STORE));
        must(store_set_keys(STORE, &help->row, &help->column));
        must(store_begin(STORE));
        must(store_bootstrap_remove(STORE, "startup", 1));
        must(store_commit(STORE));
        assert_int_equal(store_bootstrap_get(STORE, "startup", 1, &record), PROBLEM_NOT_FOUND);
        CHANGE(must(store_bootstrap_put(STORE, "trust", 2, bytes_text("newer"))));
        buf_done(&record);
        must(store_bootstrap_get(STORE, "trust", -1, &record));
        assert_string_equal(buf_text(&record), "newer");
        CHANGE(assert_int_equal(store_bootstrap_adopt(STORE), PROBLEM_STATE));
        assert_false(store_is_new(STORE));
}

static void databases_of_others_are_left_alone(void **state)
{
        struct help *help = *state;
        struct store *store = NULL;

        if (help_pgsql()) {
                help_raw(help, "INSERT INTO schema_version VALUES (999)");
                assert_int_equal(store_open(help->location, 0, &store), PROBLEM_UNSUPPORTED);
                help_raw(help,
                         "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE other (a BIGINT)");
        } else {
                assert_int_equal(store_open("/nonexistent/db", 0, &store), PROBLEM_NOT_FOUND);
                help_raw(help, "PRAGMA user_version = 999");
                assert_int_equal(store_open(help->location, 0, &store), PROBLEM_UNSUPPORTED);
                help_raw(help, "PRAGMA application_id = 7");
        }
        assert_int_equal(store_open(help->location, 0, &store), PROBLEM_UNSUPPORTED);
        assert_non_null(strstr(report_text(), "not made by Vouchsafe"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
            TEST(changes_need_a_transaction_and_a_record),  TEST(transactions_are_whole_or_nothing),
            TEST(one_failing_request_does_not_undo_others), TEST(stale_rows_are_refused),
            TEST(stale_rows_do_not_undo_others),
            TEST(sealed_stores_give_and_take_nothing),      TEST(databases_of_others_are_left_alone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
