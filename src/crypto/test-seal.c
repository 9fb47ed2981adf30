/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/fault.h"
#include "crypto/seal.h"

#define TEXT bytes_text("what is to be kept")

static void what_is_sealed_opens_only_as_it_was(void **state)
{
        CLEANUP(secret_done)
        struct secret key = secret_random(KEY_SIZE),
                      other = secret_random(KEY_SIZE), plain = SECRET_NONE;
        CLEANUP(buf_done) struct buf sealed = BUF_NONE, again = BUF_NONE;
        struct bytes context = bytes_text("table row");

        assert_int_equal(seal(&key, context, TEXT, &sealed), 0);
        assert_int_equal(seal(&key, context, TEXT, &again), 0);
        assert_int_equal(sealed.len, TEXT.len + SEAL_OVERHEAD);
        assert_false(bytes_equal(buf_view(&sealed), buf_view(&again)));
        assert_int_equal(seal_open(&key, context, buf_view(&sealed), &plain), 0);
        assert_true(bytes_equal(secret_view(&plain), TEXT));
        secret_done(&plain);
        assert_int_equal(seal_open(&other, context, buf_view(&sealed), &plain), PROBLEM_TAMPERED);
        assert_int_equal(seal_open(&key, bytes_text("table ro"), buf_view(&sealed), &plain), PROBLEM_TAMPERED);
        for (size_t i = 0; i < sealed.len; i++) {
                sealed.data[i] ^= 1;
                assert_int_equal(seal_open(&key, context, buf_view(&sealed), &plain),
                                 i ? PROBLEM_TAMPERED : PROBLEM_UNSUPPORTED);
                sealed.data[i] ^= 1;
                assert_true(seal_open(&key, context, bytes_of(sealed.data, i), &plain) > 0);
        }
        buf_clear(&again);
        assert_int_equal(seal(&key, BYTES_NONE, BYTES_NONE, &again), 0);
        assert_int_equal(seal_open(&key, BYTES_NONE, buf_view(&again), &plain), 0);
        assert_int_equal(plain.len, 0);
}

static void passwords_open_what_they_sealed(void **state)
{
        CLEANUP(secret_done) struct secret plain = SECRET_NONE;
        CLEANUP(buf_done) struct buf sealed = BUF_NONE;
        struct password_cost tests = PASSWORD_COST_TESTS, excessive = {1u << 30, 1, 1};
        struct bytes password = bytes_text("correct horse"), context = bytes_text("officer@host");

        assert_int_equal(password_seal(password, &tests, context, TEXT, &sealed), 0);
        assert_int_equal(sealed.len, TEXT.len + PASSWORD_OVERHEAD);
        assert_int_equal(password_open(password, context, buf_view(&sealed), &plain), 0);
        assert_true(bytes_equal(secret_view(&plain), TEXT));
        secret_done(&plain);
        assert_int_equal(password_open(bytes_text("wrong"), context, buf_view(&sealed), &plain), PROBLEM_PASSWORD);
        assert_int_equal(password_open(password, bytes_text("else"), buf_view(&sealed), &plain), PROBLEM_PASSWORD);
        assert_int_equal(password_open(password, context, bytes_of(sealed.data, 40), &plain), PROBLEM_MALFORMED);
        sealed.data[1] = 0x40; /* more memory than is permitted: refused before it is taken */
        assert_int_equal(password_open(password, context, buf_view(&sealed), &plain), PROBLEM_UNSUPPORTED);
        assert_int_equal(password_seal(password, &excessive, context, TEXT, &sealed), PROBLEM_UNSUPPORTED);
}

static void boxes_open_for_their_recipient(void **state)
{
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE, other = SECRET_NONE, plain = SECRET_NONE;
        CLEANUP(buf_done) struct buf boxed = BUF_NONE;
        struct bytes context = bytes_text("digest");
        struct point to;

        assert_int_equal(scalar_random(&scalar), 0);
        assert_int_equal(scalar_random(&other), 0);
        assert_int_equal(point_of_scalar(&scalar, &to), 0);
        assert_int_equal(box_seal(&to, context, TEXT, &boxed), 0);
        assert_int_equal(boxed.len, TEXT.len + BOX_OVERHEAD);
        assert_int_equal(box_open(&scalar, context, buf_view(&boxed), &plain), 0);
        assert_true(bytes_equal(secret_view(&plain), TEXT));
        secret_done(&plain);
        assert_int_equal(box_open(&other, context, buf_view(&boxed), &plain), PROBLEM_MALFORMED);
        assert_int_equal(box_open(&scalar, bytes_text("digesu"), buf_view(&boxed), &plain), PROBLEM_MALFORMED);
        for (size_t i = 0; i < boxed.len; i++) {
                boxed.data[i] ^= 1;
                assert_int_equal(box_open(&scalar, context, buf_view(&boxed), &plain),
                                 i ? PROBLEM_MALFORMED : PROBLEM_UNSUPPORTED);
                boxed.data[i] ^= 1;
                assert_true(box_open(&scalar, context, bytes_of(boxed.data, i), &plain) > 0);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_sealed_opens_only_as_it_was),
                cmocka_unit_test(passwords_open_what_they_sealed),
                cmocka_unit_test(boxes_open_for_their_recipient),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
