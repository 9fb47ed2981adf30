/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <stdio.h>

#include "base/mem.h"
#include "model/audit.h"
#include "model/rows.h"

#define TEXT(s) bytes_of(s, sizeof(s) - 1)

static void ids_have_one_text(void **state)
{
        char text[ID_TEXT_SIZE], again[ID_TEXT_SIZE];
        struct id a = id_new(), b = id_new(), c = ID_NONE;

        assert_false(id_equal(&a, &b));
        assert_true(memcmp(a.data, b.data, 6) <= 0);
        assert_true(id_is_none(&c) && !id_is_none(&a));
        assert_int_equal(id_parse(bytes_text(id_text(&a, text)), &b), 0);
        assert_string_equal(id_text(&b, again), text);
        assert_int_equal(id_parse(TEXT("00112233-4455-6677-8899-AABBCCDDEEFF"), &c), 0);
        assert_string_equal(id_text(&c, text), "00112233445566778899aabbccddeeff");
        assert_int_equal(id_parse(TEXT("0011223-34455-6677-8899-AABBCCDDEEFF"), &c), PROBLEM_MALFORMED);
        assert_int_equal(id_parse(TEXT("00112233445566778899aabbccddeef"), &c), PROBLEM_MALFORMED);
        assert_int_equal(id_parse(TEXT("00112233445566778899aabbccddeefg"), &c), PROBLEM_MALFORMED);
        assert_int_equal(id_parse(BYTES_NONE, &c), PROBLEM_MALFORMED);
}

static void texts_are_a_set_in_order(void **state)
{
        CLEANUP(texts_done) struct texts texts = TEXTS_NONE, again = TEXTS_NONE;
        CLEANUP(buf_done) struct buf joined = BUF_NONE;

        assert_int_equal(texts_split(BYTES_NONE, &again), 0);
        assert_int_equal(again.count, 0);
        assert_int_equal(texts_add(&texts, "b"), 0);
        assert_int_equal(texts_add(&texts, "a"), 0);
        assert_int_equal(texts_add(&texts, "b"), 0);
        assert_int_equal(texts_add(&texts, ""), 0);
        assert_int_equal(texts_add(&texts, "a\nb"), PROBLEM_MALFORMED);
        texts_join(&texts, &joined);
        assert_string_equal(buf_text(&joined), "b\na");
        assert_int_equal(texts_split(buf_view(&joined), &again), 0);
        assert_int_equal(again.count, 2);
        assert_true(texts_have(&again, "a") && !texts_have(&again, "c"));
        texts_done(&again);
        assert_int_equal(texts_split(TEXT("a\n"), &again), PROBLEM_MALFORMED);
        assert_int_equal(texts_split(TEXT("\na"), &again), PROBLEM_MALFORMED);
        assert_int_equal(texts_split(TEXT("a\nb\na"), &again), PROBLEM_MALFORMED);
        assert_int_equal(texts_split(TEXT("a\tb"), &again), PROBLEM_MALFORMED);
}

/* Each table leads only to its own states, each state is reached or first, and each has a name that parses
 * back. */
static void state_tables_are_closed(void **state)
{
        static const struct state_table *const tables[] = {
            &user_states, &token_states, &request_states, &certificate_states, &operator_states, &job_states,
        };

        for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
                const struct state_table *table = tables[t];
                bool reached[16] = {[1] = true};
                for (int s = 0; s < table->state_count; s++)
                        for (int e = 0; e < table->event_count; e++) {
                                int next = table->next[s * table->event_count + e];
                                assert_in_range(next, 0, table->state_count - 1);
                                assert_true(next == 0 || (s > 0 && e > 0));
                                reached[next] = true;
                        }
                for (int s = 1; s < table->state_count; s++) {
                        int parsed = 0;
                        assert_true(reached[s]);
                        assert_int_equal(state_parse(table, bytes_text(state_name(table, s)), &parsed), 0);
                        assert_int_equal(parsed, s);
                }
                for (int e = 1; e < table->event_count; e++)
                        assert_non_null(table->event_names[e]);
        }
}

static void states_follow_their_tables(void **state)
{
        int next = 0;

        assert_int_equal(state_next(&user_states, USER_NEW, USER_ENROLLS, &next), 0);
        assert_int_equal(next, USER_ENROLLED);
        assert_int_equal(state_next(&user_states, USER_REVOKED, USER_ENROLLS, &next), PROBLEM_STATE);
        assert_string_equal(report_text(), "A user that is revoked cannot enroll.");
        assert_int_equal(next, USER_ENROLLED);
        assert_int_equal(state_next(&token_states, TOKEN_USED, TOKEN_USE, &next), PROBLEM_STATE);
        assert_int_equal(state_next(&request_states, REQUEST_OPEN, REQUEST_COMPLETE, &next), PROBLEM_STATE);
        assert_int_equal(state_next(&certificate_states, CERTIFICATE_REVOKED, CERTIFICATE_SUPERSEDE, &next),
                         PROBLEM_STATE);
        assert_true(state_permits(&certificate_states, CERTIFICATE_SUPERSEDED, CERTIFICATE_REVOKE));
        assert_true(state_next(&user_states, 0, 1, &next) < 0);
        assert_true(state_next(&user_states, USER_REVOKED + 1, 1, &next) < 0);
        assert_string_equal(state_name(&user_states, 77), "?");
        assert_int_equal(state_parse(&user_states, TEXT("enrolle"), &next), PROBLEM_MALFORMED);
}

static void roles_have_names(void **state)
{
        enum operator_role role = 0;

        assert_int_equal(role_parse(TEXT("auditor"), &role), 0);
        assert_int_equal(role, ROLE_AUDITOR);
        assert_string_equal(role_name(ROLE_REGISTRAR), "registrar");
        assert_int_equal(role_parse(TEXT("king"), &role), PROBLEM_MALFORMED);
}

/* ---- audit ---- */

static void test_sha256(void *context, struct bytes data, uint8_t ret_hash[static HASH_SIZE])
{
        assert_int_equal(EVP_Digest(data.data, data.len, ret_hash, NULL, EVP_sha256(), NULL), 1);
}

/* A signature here is the first four bytes of the hash of certificates and message. */
static void test_sign(struct bytes certificates, struct bytes message,
                      uint8_t ret_signature[static HASH_SIZE])
{
        CLEANUP(buf_done) struct buf all = buf_copy_of(certificates);

        buf_add_bytes(&all, message);
        test_sha256(NULL, buf_view(&all), ret_signature);
}

static int test_check(void *context, struct bytes certificates, struct bytes message, struct bytes signature)
{
        uint8_t right[HASH_SIZE];

        test_sign(certificates, message, right);
        if (!bytes_equal(signature, bytes_of(right, HASH_SIZE)))
                return refuse(PROBLEM_TAMPERED, "it is not by the audit key");
        return 0;
}

static const struct audit_crypto test_crypto = {.sha256 = test_sha256, .check = test_check};

struct piece {
        size_t start, end;
};

/* The record whose time runs back, and who wrote it; 0: none. */
static int back_at;
static const char *back_actor = "server";

/* Records from..to with a signed head after every second; pieces[i] is where record i stands. */
static struct buf test_file(int from, int to, struct piece *ret_pieces)
{
        struct buf file = BUF_NONE;
        struct audit_head head = {0};
        uint8_t signature[HASH_SIZE], previous[HASH_SIZE];

        audit_chain_start(&test_crypto, TEXT("server"), head.hash);
        audit_file_begin(&file, TEXT("server"));
        audit_file_certificate(&file, TEXT("certificate"));
        for (int i = 1; i <= to; i++) {
                CLEANUP(buf_done) struct buf encoded = BUF_NONE, changes = BUF_NONE, message = BUF_NONE;
                char subject[32];
                struct audit_change change = {.table = 3, .key = bytes_of(&i, 4), .version = i};
                struct audit_record record = {
                    .seq = i,
                    .time = 1000 + i,
                    .actor = TEXT("operator:a"),
                    .action = TEXT("user.enroll"),
                    .outcome = TEXT("done"),
                };
                if (back_at && i >= back_at)
                        record.time -= 500;
                if (i == back_at) {
                        record.actor = bytes_text(back_actor);
                        record.action = TEXT(AUDIT_CLOCK);
                }
                snprintf(subject, sizeof(subject), "user %d", i);
                record.subject = bytes_text(subject);
                audit_change_add(&changes, &change);
                record.changes = buf_view(&changes);
                audit_record_add(&encoded, &record);
                memcpy(previous, head.hash, HASH_SIZE);
                audit_record_hash(&test_crypto, previous, buf_view(&encoded), head.hash);
                head.seq = record.seq;
                head.time = record.time;
                if (i < from)
                        continue;
                if (i == from && from > 1)
                        audit_file_previous(&file, previous);
                ret_pieces[i].start = file.len;
                audit_file_record(&file, &record, head.hash);
                ret_pieces[i].end = file.len;
                if (i % 2 == 0) {
                        audit_head_message(TEXT("server"), &head, &message);
                        test_sign(TEXT("certificate"), buf_view(&message), signature);
                        audit_file_head(&file, &head, bytes_of(signature, HASH_SIZE));
                }
        }
        audit_file_end(&file, &head);
        return file;
}

static int count_record(void *context, const struct audit_record *record)
{
        ++*(int *)context;
        assert_true(bytes_equal(record->outcome, TEXT("done")));
        return 0;
}

static void whole_audit_files_verify(void **state)
{
        struct piece pieces[8];
        CLEANUP(buf_done) struct buf file = test_file(1, 5, pieces);
        CLEANUP(buf_done) struct buf later = test_file(3, 5, pieces);
        CLEANUP(buf_done) struct buf unsigned_later = test_file(5, 5, pieces);
        int count = 0;
        struct audit_visitor visitor = {&count, count_record};
        struct audit_summary summary;

        assert_int_equal(audit_verify(buf_view(&file), &test_crypto, &visitor, &summary), 0);
        assert_int_equal(count, 5);
        assert_int_equal(summary.records, 5);
        assert_int_equal(summary.heads, 2);
        assert_int_equal(summary.signed_head.seq, 4);
        assert_int_equal(summary.last.seq, 5);
        assert_int_equal(audit_verify(buf_view(&later), &test_crypto, NULL, &summary), 0);
        assert_int_equal(summary.first.seq, 3);
        assert_int_equal(audit_verify(buf_view(&unsigned_later), &test_crypto, NULL, &summary),
                         PROBLEM_TAMPERED);
}

static void expect_broken(struct buf *file, const char *sentence_part)
{
        struct audit_summary summary;
        int r = audit_verify(buf_view(file), &test_crypto, NULL, &summary);

        assert_true(r == PROBLEM_TAMPERED || r == PROBLEM_MALFORMED);
        if (sentence_part)
                assert_non_null(strstr(report_text(), sentence_part));
        buf_done(file);
}

static void altered_audit_files_are_named(void **state)
{
        struct piece p[8];
        struct buf file = test_file(1, 5, p);

        file.data[p[3].end - 40] ^= 1; /* in the changes of record 3 */
        expect_broken(&file, "Record 3 was altered");

        file = test_file(1, 5, p);
        memmove(file.data + p[3].start, file.data + p[3].end, file.len - p[3].end); /* removed */
        file.len -= p[3].end - p[3].start;
        expect_broken(&file, "After record 2 comes record 4");

        file = test_file(1, 5, p);
        assert_int_equal(p[3].end - p[3].start, p[5].end - p[5].start);
        for (size_t i = 0; i < p[3].end - p[3].start; i++) { /* exchanged */
                uint8_t byte = file.data[p[3].start + i];
                file.data[p[3].start + i] = file.data[p[5].start + i];
                file.data[p[5].start + i] = byte;
        }
        expect_broken(&file, "After record 2 comes record 5");

        file = test_file(1, 5, p);
        file.data[p[4].end + 40] ^= 1; /* the hash in the signed head after 4 */
        expect_broken(&file, "signed head 4");
}

static void time_runs_back_only_where_the_server_says_so(void **state)
{
        struct piece p[8];
        struct audit_summary summary;
        CLEANUP(buf_done) struct buf file = BUF_NONE;

        back_at = 4;
        file = test_file(1, 6, p);
        assert_int_equal(audit_verify(buf_view(&file), &test_crypto, NULL, &summary), 0);
        assert_int_equal(summary.last.time, 1006 - 500);
        buf_done(&file);
        back_actor = "operator:a";
        file = test_file(1, 6, p);
        expect_broken(&file, "Record 4 is older than the one before it");
        back_actor = "server";
        back_at = 0;
}

/* No prefix of a file and no file with one bit turned passes. */
static void every_bit_of_an_audit_file_counts(void **state)
{
        struct piece pieces[8];
        CLEANUP(buf_done) struct buf file = test_file(1, 4, pieces);
        struct audit_summary summary;

        for (size_t len = 0; len < file.len; len++)
                assert_true(audit_verify(bytes_of(file.data, len), &test_crypto, NULL, &summary) > 0);
        for (size_t bit = 0; bit < 8 * file.len; bit++) {
                file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_true(audit_verify(buf_view(&file), &test_crypto, NULL, &summary) > 0);
                file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        buf_add_byte(&file, 0);
        assert_int_equal(audit_verify(buf_view(&file), &test_crypto, NULL, &summary), PROBLEM_MALFORMED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(ids_have_one_text),
            cmocka_unit_test(texts_are_a_set_in_order),
            cmocka_unit_test(state_tables_are_closed),
            cmocka_unit_test(states_follow_their_tables),
            cmocka_unit_test(roles_have_names),
            cmocka_unit_test(whole_audit_files_verify),
            cmocka_unit_test(altered_audit_files_are_named),
            cmocka_unit_test(time_runs_back_only_where_the_server_says_so),
            cmocka_unit_test(every_bit_of_an_audit_file_counts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
