/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Somebody with the database but not the keys alters, removes, exchanges or puts back rows of each protected
 * table, columns of each kind, audit records, heads and the directory's index: verify names what he did, and
 * nothing else. For both engines.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/fault.h"
#include "base/mem.h"
#include "store/table.h"
#include "store/test-help.h"

/* Two rows or more in each table, the first two of them changed once. */
static void fill(struct store *store)
{
        must(store_begin(store));
        for (unsigned i = 1; i <= 3; i++) {
                CLEANUP(user_row_done) struct user_row user = help_user(i);
                CLEANUP(entry_row_done) struct entry_row entry = help_entry(i);
                CLEANUP(token_row_done) struct token_row token = help_token(i, &user.id);
                CLEANUP(certificate_row_done)
                struct certificate_row certificate = help_certificate(i, &user.id, CERTIFICATE_ENCRYPTION);
                CLEANUP(archive_row_done) struct archive_row archive = help_archive(i, &user.id);
                CLEANUP(pool_row_done) struct pool_row pool = help_pool(i);
                CLEANUP(operator_row_done) struct operator_row operator_row = help_operator(i);
                CLEANUP(request_row_done) struct request_row request = help_request(i, &user.id);
                CLEANUP(approval_row_done)
                struct approval_row approval = {.request = request.id,
                                                .officer = text_format("o%u", i),
                                                .verdict = 1,
                                                .partials = help_bytes(i, 50)};
                CLEANUP(setting_row_done)
                struct setting_row setting = {.name = text_format("s%u", i), .value = help_bytes(i, 5)};
                CLEANUP(operation_row_done)
                struct operation_row operation = {
                    .operator_name = text_format("o%u", i), .created = i, .answer = help_secret(i, 40)};
                CLEANUP(reply_row_done) struct reply_row reply = {.created = i, .answer = help_secret(i, 90)};
                CLEANUP(job_row_done)
                struct job_row job = {.subject = text_format("u%u", i),
                                      .kind = text_copy("mail"),
                                      .payload = help_secret(i, 40)};
                CLEANUP(smime_row_done)
                struct smime_row smime = {.user = user.id, .created = i, .value = help_bytes(i, 70)};
                struct revocation_row revocation = {.time = i, .reason = 1, .not_after = 9};

                memcpy(reply.selector, help_selector(i), SELECTOR_SIZE);
                memcpy(revocation.serial, certificate.serial, SERIAL_SIZE);
                must(texts_add(&entry.groups, "cn=all"));
                must(store_user_add(store, &user));
                must(store_entry_put(store, &entry));
                must(store_token_add(store, &token));
                must(store_certificate_add(store, &certificate));
                must(store_archive_add(store, &archive));
                must(store_pool_add(store, &pool));
                must(store_operator_add(store, &operator_row));
                must(store_request_add(store, &request));
                must(store_approval_add(store, &approval));
                must(store_setting_put(store, &setting));
                must(store_operation_add(store, &operation));
                must(store_reply_add(store, &reply));
                must(store_job_push(store, &job));
                must(store_smime_put(store, &smime));
                must(store_revocation_add(store, &revocation));
                help_audit(store, "test.fill", user.address);
        }
        must(store_commit(store));
}

static int set_up(void **state)
{
        *state = help_new();
        fill(STORE);
        return 0;
}

static int tear_down(void **state)
{
        help_free(*state);
        return 0;
}

/* ---- running verify ---- */

struct findings {
        size_t count;
        size_t by_kind[FINDING_COUNT + 1];
        struct buf text;
};

static int see_finding(void *context, const struct store_finding *finding)
{
        struct findings *findings = context;

        findings->count++;
        findings->by_kind[finding->kind]++;
        buf_add_format(&findings->text, "%s %s: %s\n", finding->table, finding->key, finding->sentence);
        return 0;
}

static int check_head(void *context, const struct audit_head *head, struct bytes signature)
{
        return bytes_equal(signature, bytes_text("right")) ? 0 : refuse(PROBLEM_TAMPERED, "not the keeper's");
}

static void findings_done(struct findings *findings)
{
        buf_done(&findings->text);
}

static struct findings verify_by(struct store *store, size_t most)
{
        struct findings findings = {0};
        struct store_verify_options options = {&findings, see_finding, check_head};
        CLEANUP(store_verify_freep) struct store_verify *verify = NULL;
        struct store_verify_progress progress;
        bool finished = false;

        must(store_verify_new(store, &options, &verify));
        for (int steps = 0; !finished; steps++) {
                assert_in_range(steps, 0, 1000);
                must(store_verify_step(verify, most, &finished));
        }
        store_verify_progress(verify, &progress);
        assert_int_equal(progress.findings, findings.count);
        return findings;
}

static void expect_clean(struct store *store)
{
        CLEANUP(findings_done) struct findings findings = verify_by(store, 7);

        if (findings.count)
                fprintf(stderr, "%s", buf_text(&findings.text));
        assert_int_equal(findings.count, 0);
}

/* Findings of this kind in this number, and no others but counts. */
static void expect(struct store *store, enum store_finding_kind kind, size_t count, const char *text)
{
        CLEANUP(findings_done) struct findings findings = verify_by(store, 7);

        if (findings.by_kind[kind] != count || findings.count - findings.by_kind[FINDING_COUNT] != count ||
            !strstr(buf_text(&findings.text), text))
                fprintf(stderr, "expected %zu of kind %d with \"%s\", found:\n%s", count, (int)kind, text,
                        buf_text(&findings.text));
        assert_int_equal(findings.by_kind[kind], count);
        assert_int_equal(findings.count - (kind == FINDING_COUNT ? 0 : findings.by_kind[FINDING_COUNT]),
                         count);
        assert_non_null(strstr(buf_text(&findings.text), text));
}

/* ---- behind the store's back ---- */

static void raw(void **state, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void raw(void **state, const char *format, ...)
{
        char text[4000];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        help_raw(*state, text);
}

static void save(void **state, const char *table, const char *copy)
{
        raw(state, "DROP TABLE IF EXISTS %s; CREATE TABLE %s AS SELECT * FROM %s", copy, copy, table);
}

static void restore(void **state, const char *table, const char *copy)
{
        raw(state, "DELETE FROM %s; INSERT INTO %s SELECT * FROM %s; DROP TABLE %s", table, table, copy,
            copy);
}

/* "k1 = (SELECT k1 FROM t ORDER BY k1, k2 LIMIT 1 OFFSET n) AND …": the row in place n. */
static const char *row_at(const struct table *table, unsigned place)
{
        static char texts[2][800];
        char *text = texts[place % 2], order[100] = "";

        for (unsigned i = 0; i < table->key_count; i++)
                snprintf(order + strlen(order), sizeof(order) - strlen(order), "%s%s", i ? ", " : "",
                         table->columns[i].name);
        *text = 0;
        for (unsigned i = 0; i < table->key_count; i++)
                snprintf(text + strlen(text), sizeof(texts[0]) - strlen(text),
                         "%s%s = (SELECT %s FROM %s ORDER BY %s LIMIT 1 OFFSET %u)", i ? " AND " : "",
                         table->columns[i].name, table->columns[i].name, table->name, order, place);
        return text;
}

static const char *altered(const struct column *column)
{
        static char text[120];

        switch (column->type) {
        case COLUMN_NUMBER:
                snprintf(text, sizeof(text), "%s + 1", column->name);
                break;
        case COLUMN_TEXT:
        case COLUMN_CHARS:
        case COLUMN_TEXTS:
                snprintf(text, sizeof(text), "%s || 'x'", column->name);
                break;
        default:
                snprintf(text, sizeof(text), help_pgsql() ? "%s || '\\x01'" : "CAST(%s || x'01' AS BLOB)",
                         column->name);
        }
        return text;
}

static void an_untouched_database_is_clean(void **state)
{
        CLEANUP(findings_done) struct findings once = verify_by(STORE, 100000);

        assert_int_equal(once.count, 0);
        expect_clean(STORE);
        help_reopen(*state);
        expect_clean(STORE);
}

static void altered_columns_are_named(void **state)
{
        for (size_t t = 0; tables[t]; t++)
                for (unsigned c = tables[t]->key_count; c < tables[t]->column_count; c++) {
                        const struct table *table = tables[t];

                        if (table == &table_chain)
                                continue;
                        save(state, table->name, "saved");
                        raw(state, "UPDATE %s SET %s = %s WHERE %s", table->name, table->columns[c].name,
                            altered(&table->columns[c]), row_at(table, 1));
                        expect(STORE, FINDING_ALTERED, 1, table->name);
                        restore(state, table->name, "saved");
                }
        expect_clean(STORE);
}

static void altered_rows_are_not_used(void **state)
{
        CLEANUP(user_row_done) struct user_row user = {0};
        struct id id = help_id(4, 2);

        raw(state, "UPDATE users SET state = 3 WHERE %s", row_at(&table_users, 1));
        assert_int_equal(store_user_find(STORE, &id, &user), PROBLEM_TAMPERED);
        assert_non_null(strstr(report_text(), "table users"));
        assert_non_null(strstr(report_text(), "user 04000000000000000000000000000002"));
}

static void removed_rows_are_named(void **state)
{
        for (size_t t = 0; tables[t]; t++) {
                const struct table *table = tables[t];

                if (!table->chained)
                        continue;
                save(state, table->name, "saved");
                raw(state, "DELETE FROM %s WHERE %s", table->name, row_at(table, 1));
                /* A removed entry also leaves its keys behind. */
                if (table == &table_entries) {
                        CLEANUP(findings_done) struct findings findings = verify_by(STORE, 7);
                        assert_int_equal(findings.by_kind[FINDING_REMOVED], 1);
                        assert_true(findings.by_kind[FINDING_INDEX] > 0);
                } else {
                        expect(STORE, FINDING_REMOVED, 1, table->name);
                }
                restore(state, table->name, "saved");
        }
        expect_clean(STORE);
}

/* All but the key of two rows change places: each is genuine, where it does not belong. */
static void exchanged_rows_are_named(void **state)
{
        for (size_t t = 0; tables[t]; t++) {
                const struct table *table = tables[t];
                CLEANUP(buf_done) struct buf columns = BUF_NONE;
                char key[2][900];

                if (table == &table_chain)
                        continue; /* one row */
                for (unsigned c = table->key_count; c < table->column_count; c++)
                        buf_add_format(&columns, "%s = (SELECT %s FROM other), ", table->columns[c].name,
                                       table->columns[c].name);
                buf_add_text(&columns,
                             "version = (SELECT version FROM other), mac = (SELECT mac FROM other)");
                snprintf(key[0], sizeof(key[0]), "%s", row_at(table, 0));
                snprintf(key[1], sizeof(key[1]), "%s", row_at(table, 1));
                save(state, table->name, "saved");
                /* In a copy, where no column is unique. */
                raw(state, "CREATE TABLE swapped AS SELECT * FROM saved");
                for (int i = 0; i < 2; i++) {
                        raw(state, "CREATE TABLE other AS SELECT * FROM saved WHERE %s", key[!i]);
                        raw(state, "UPDATE swapped SET %s WHERE %s", buf_text(&columns), key[i]);
                        raw(state, "DROP TABLE other");
                }
                restore(state, table->name, "swapped");
                {
                        CLEANUP(findings_done) struct findings findings = verify_by(STORE, 7);
                        assert_int_equal(findings.by_kind[FINDING_ALTERED], 2);
                }
                restore(state, table->name, "saved");
        }
        expect_clean(STORE);
}

/* An older state of a row is genuine: only the chain knows that it is old. */
static void rows_put_back_are_named(void **state)
{
        CLEANUP(user_row_done) struct user_row user = {0};
        CLEANUP(pool_row_done) struct pool_row taken = {0};
        struct id id = help_id(4, 2);
        size_t count;

        save(state, "users", "old_users");
        save(state, "pool", "old_pool");
        save(state, "replies", "old_replies");
        must(store_user_find(STORE, &id, &user));
        user.state = USER_REVOKED;
        CHANGE(must(store_user_put(STORE, &user)); must(store_pool_take(STORE, "default", &taken));
               must(store_reply_purge(STORE, 2, 9, &count)));
        expect_clean(STORE);
        save(state, "users", "new_users");
        restore(state, "users", "old_users"); /* revoked no more */
        expect(STORE, FINDING_REPLAYED, 1, "users 04000000000000000000000000000002");
        restore(state, "users", "new_users");
        save(state, "pool", "new_pool");
        restore(state, "pool", "old_pool"); /* a key given to two users */
        expect(STORE, FINDING_REPLAYED, 1, "pool");
        restore(state, "pool", "new_pool");
        restore(state, "replies", "old_replies");
        expect(STORE, FINDING_REPLAYED, 1, "replies");
}

static void rows_put_in_are_named(void **state)
{
        raw(state,
            "CREATE TABLE saved AS SELECT * FROM settings WHERE name = 's1'; UPDATE saved SET name = 's9';"
            "INSERT INTO settings SELECT * FROM saved; DROP TABLE saved");
        expect(STORE, FINDING_ALTERED, 1, "settings s9: In table settings, the setting s9 was put in");
}

static void altered_audit_records_are_named(void **state)
{
        static const char *const alterations[] = {
            "UPDATE audit SET actor = 'server' WHERE seq = 3",
            "UPDATE audit SET time = time + 1 WHERE seq = 3",
            "UPDATE audit SET hash = (SELECT hash FROM audit WHERE seq = 2) WHERE seq = 3",
            "UPDATE audit SET mac = (SELECT mac FROM audit WHERE seq = 2) WHERE seq = 3",
            "UPDATE audit SET details = 'x' WHERE seq = 3",
            "UPDATE audit SET outcome = 'forbidden' WHERE seq = 3",
            "UPDATE audit SET subject = '' WHERE seq = 3",
        };

        for (size_t i = 0; i < ARRAY_LEN(alterations); i++) {
                CLEANUP(findings_done) struct findings findings = {0};

                save(state, "audit", "saved");
                raw(state, "%s", alterations[i]);
                findings = verify_by(STORE, 2);
                assert_true(findings.by_kind[FINDING_CHAIN] >= 1);
                assert_non_null(strstr(buf_text(&findings.text), "audit 3: "));
                restore(state, "audit", "saved");
        }
        expect_clean(STORE);
}

static int see_altered(void *context, const struct audit_record *record, struct bytes hash, bool altered)
{
        *(int64_t *)context += altered ? 1000 * record->seq : 1;
        return 0;
}

static void altered_audit_records_are_shown_as_such(void **state)
{
        struct audit_head head = {0};
        int64_t seen = 0;

        must(store_audit_head(STORE, &head));
        raw(state, "UPDATE audit SET actor = 'operator:other' WHERE seq = 3");
        must(store_audit_list(STORE, NULL, 0, 900, &seen, see_altered));
        assert_int_equal(seen, 3000 + head.seq - 1);
}

static void removed_audit_records_are_named(void **state)
{
        save(state, "audit", "saved");
        raw(state, "DELETE FROM audit WHERE seq = 2");
        {
                CLEANUP(findings_done) struct findings findings = verify_by(STORE, 2);
                assert_non_null(strstr(buf_text(&findings.text),
                                       "Audit record 3 follows record 1: those between were removed"));
        }
        restore(state, "audit", "saved");
        raw(state, "DELETE FROM audit WHERE seq = 4");
        {
                CLEANUP(findings_done) struct findings findings = verify_by(STORE, 2);
                assert_non_null(
                    strstr(buf_text(&findings.text), "The last audit records, 4 to 4, were removed"));
        }
        store_free(STORE);
        must(store_open(((struct help *)*state)->location, 0, &STORE));
        assert_int_equal(
            store_set_keys(STORE, &((struct help *)*state)->row, &((struct help *)*state)->column),
            PROBLEM_TAMPERED);
}

static void false_heads_are_named(void **state)
{
        struct audit_head head;

        must(store_audit_head(STORE, &head));
        must(store_begin(STORE));
        must(store_head_add(STORE, &head, bytes_text("right")));
        must(store_commit(STORE));
        expect_clean(STORE);
        raw(state, "UPDATE heads SET hash = (SELECT hash FROM audit WHERE seq = 1)");
        expect(STORE, FINDING_HEAD, 1, "does not fit");
        raw(state, "UPDATE heads SET hash = (SELECT hash FROM audit WHERE seq = 4), signature = hash");
        expect(STORE, FINDING_HEAD, 1, "keeper's signature");
        raw(state, "DELETE FROM heads");
        expect(STORE, FINDING_HEAD, 1, "There are 0 signed heads, and the server put 1");
}

static void false_chain_ends_and_counts_are_named(void **state)
{
        save(state, "chain", "saved");
        raw(state, "UPDATE chain SET revocations = 0");
        {
                CLEANUP(findings_done) struct findings findings = verify_by(STORE, 9);
                assert_int_equal(findings.by_kind[FINDING_ALTERED],
                                 2); /* once as the end of the chain, once as a row */
        }
        must(store_begin(STORE));
        for (unsigned request = 0; request < 2; request++) { /* of one round */
                CLEANUP(user_row_done) struct user_row user = help_user(9);

                must(store_savepoint(STORE));
                assert_int_equal(store_user_add(STORE, &user), PROBLEM_TAMPERED);
                store_rollback_to(STORE);
        }
        store_rollback(STORE);
        restore(state, "chain", "saved");
        raw(state, "DELETE FROM tokens WHERE %s", row_at(&table_tokens, 0));
        expect(STORE, FINDING_REMOVED, 1, "Table tokens has 2 rows in state 1, and the server counted 3");
        raw(state, "DELETE FROM jobs WHERE number = 1"); /* not in the chain, but counted */
        {
                CLEANUP(findings_done) struct findings findings = verify_by(STORE, 9);
                assert_non_null(strstr(buf_text(&findings.text), "Table jobs has 2 rows"));
        }
}

static void false_index_rows_are_named_and_not_used(void **state)
{
        CLEANUP(entry_row_done) struct entry_row entry = {0};

        save(state, "entry_keys", "saved");
        raw(state, "DELETE FROM entry_keys WHERE key = 'user1@example.org';"
                   "UPDATE entry_keys SET key = 'user1@example.org' WHERE key = 'user2@example.org'");
        assert_int_equal(store_entry_find_address(STORE, "user1@example.org", &entry), PROBLEM_TAMPERED);
        expect(STORE, FINDING_INDEX, 2, "is not found under its addresses");
        restore(state, "entry_keys", "saved");
        raw(state, help_pgsql() ? "INSERT INTO entry_keys VALUES (2, 'ghosts', '\\x00')"
                                : "INSERT INTO entry_keys VALUES (2, 'ghosts', x'00')");
        expect(STORE, FINDING_INDEX, 1, "ghosts");
}

/* Verify runs in slices beside normal work, and is not misled by it. */
static void verify_keeps_up_with_changes(void **state)
{
        struct findings findings = {0};
        struct store_verify_options options = {&findings, see_finding, check_head};
        CLEANUP(store_verify_freep) struct store_verify *verify = NULL;
        bool finished = false;
        unsigned number = 100;

        must(store_verify_new(STORE, &options, &verify));
        while (!finished) {
                CLEANUP(user_row_done) struct user_row user = help_user(number), found = {0};
                CLEANUP(pool_row_done) struct pool_row pool = help_pool(number), taken = {0};
                struct id first = help_id(4, 1);

                must(store_verify_step(verify, 3, &finished));
                if (number++ > 140)
                        continue;
                CHANGE(must(store_user_add(STORE, &user)); must(store_pool_add(STORE, &pool));
                       must(store_pool_take(STORE, "default", &taken)));
                must(store_user_find(STORE, &first, &found));
                found.enrolled++;
                CHANGE(must(store_user_put(STORE, &found)));
        }
        if (findings.count)
                fprintf(stderr, "%s", buf_text(&findings.text));
        assert_int_equal(findings.count, 0);
        must(store_begin(STORE));
        assert_true(store_verify_step(verify, 1, &finished) < 0);
        store_rollback(STORE);
        findings_done(&findings);
}

int main(void)
{
#define TEST_(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
            TEST_(an_untouched_database_is_clean),
            TEST_(altered_columns_are_named),
            TEST_(altered_rows_are_not_used),
            TEST_(removed_rows_are_named),
            TEST_(exchanged_rows_are_named),
            TEST_(rows_put_back_are_named),
            TEST_(rows_put_in_are_named),
            TEST_(altered_audit_records_are_named),
            TEST_(altered_audit_records_are_shown_as_such),
            TEST_(removed_audit_records_are_named),
            TEST_(false_heads_are_named),
            TEST_(false_chain_ends_and_counts_are_named),
            TEST_(false_index_rows_are_named_and_not_used),
            TEST_(verify_keeps_up_with_changes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
