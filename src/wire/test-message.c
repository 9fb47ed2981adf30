/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "wire/message.h"

static void fill_terms(struct msg_terms *terms)
{
        terms->server_id = text_copy("server");
        terms->name = text_copy("Zoë, \"the\" O'Neil 😀");
        msg_texts_add(&terms->addresses, "zoe@example.org");
        msg_texts_add(&terms->addresses, "");
        terms->created = 1795000000;
        for (int i = 0; i < 5; i++) {
                struct msg_recovery_item *item = MSG_LIST_ADD(terms->items);
                item->record_id = (uint64_t)i;
                buf_add(&item->point, "0123456789abcdef0123456789abcdef!", 33);
        }
}

static void kinds_are_distinct_and_ordered(void **state)
{
        unsigned last = 0;

        for (size_t i = 0; msg_record_at(i); i++) {
                assert_true(msg_record_at(i)->kind > last);
                last = msg_record_at(i)->kind;
                assert_ptr_equal(msg_record_of_kind(last), msg_record_at(i));
        }
        assert_null(msg_record_of_kind(9999));
}

static void what_is_encoded_decodes_to_the_same(void **state)
{
        MSG_OWN(terms) terms = {0}, back = {0};
        CLEANUP(buf_done) struct buf once = BUF_NONE, twice = BUF_NONE;
        CLEANUP(secret_done) struct secret secret = SECRET_NONE;

        fill_terms(&terms);
        assert_int_equal(msg_encode(terms, &terms, &once), 0);
        assert_int_equal(msg_decode(terms, buf_view(&once), &back), 0);
        assert_string_equal(back.name, terms.name);
        assert_int_equal(back.items.count, 5);
        assert_int_equal(back.items.at[4].record_id, 4);
        assert_int_equal(msg_encode(terms, &back, &twice), 0);
        assert_true(bytes_equal(buf_view(&once), buf_view(&twice)));
        assert_int_equal(message_encode_secret(msg_record_terms(), &terms, &secret), 0);
        assert_true(bytes_equal(buf_view(&once), secret_view(&secret)));
}

static void every_truncation_and_extension_is_refused(void **state)
{
        MSG_OWN(terms) terms = {0};
        CLEANUP(buf_done) struct buf whole = BUF_NONE;
        struct msg_terms untouched = {.created = 7};

        fill_terms(&terms);
        assert_int_equal(msg_encode(terms, &terms, &whole), 0);
        for (size_t len = 0; len < whole.len; len++)
                assert_int_equal(msg_decode(terms, bytes_of(whole.data, len), &untouched), PROBLEM_MALFORMED);
        buf_add_byte(&whole, 0);
        assert_int_equal(msg_decode(terms, buf_view(&whole), &untouched), PROBLEM_MALFORMED);
        assert_int_equal(untouched.created, 7);
}

static void limits_hold_in_both_directions(void **state)
{
        MSG_OWN(problem) problem = {.code = text_copy("a code that is longer than thirty-two bytes")};
        MSG_OWN(job_done) job = {0};
        CLEANUP(buf_done) struct buf out = BUF_NONE;
        static const uint8_t lying_count[] = {0xff, 0xff, 0xff, 0xff}, flag[] = {0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0};
        static const uint8_t many_people[] = {0, 0, 3, 0xe8};
        struct msg_directory_import import = {0};

        assert_true(msg_encode(problem, &problem, &out) < 0);
        assert_int_equal(out.len, 0);
        assert_int_equal(msg_decode(directory_import, bytes_of(lying_count, 4), &import), PROBLEM_MALFORMED);
        assert_int_equal(msg_decode(directory_import, bytes_of(many_people, 4), &import), PROBLEM_MALFORMED);
        assert_int_equal(msg_decode(job_done, bytes_of(flag, sizeof(flag)), &job), PROBLEM_MALFORMED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(kinds_are_distinct_and_ordered),
                cmocka_unit_test(what_is_encoded_decodes_to_the_same),
                cmocka_unit_test(every_truncation_and_extension_is_refused),
                cmocka_unit_test(limits_hold_in_both_directions),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
