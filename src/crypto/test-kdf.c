/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/fault.h"
#include "base/text.h"
#include "crypto/kdf.h"

static void assert_hex(struct bytes bytes, const char *expected)
{
        CLEANUP(buf_done) struct buf hex = BUF_NONE;

        hex_add(&hex, bytes);
        assert_string_equal(buf_text(&hex), expected);
}

static void digests_are_those_of_fips_180(void **state)
{
        CLEANUP(hasher_done) struct hasher hasher = HASHER_NONE;
        struct digest digest = sha256(bytes_text("abc"));

        assert_hex(digest_view(&digest), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        hasher_init(&hasher);
        for (int round = 0; round < 2; round++) {
                hasher_add(&hasher, bytes_text("a"));
                hasher_add(&hasher, bytes_text("bc"));
                digest = hasher_end(&hasher);
                assert_hex(digest_view(&digest), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        }
        digest = sha256(BYTES_NONE);
        assert_hex(digest_view(&digest), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* RFC 4231, test case 2; twice with the key that was kept. */
static void macs_are_those_of_rfc_4231(void **state)
{
        CLEANUP(hasher_done) struct hasher hasher = HASHER_NONE;
        CLEANUP(secret_done) struct secret key = secret_copy(bytes_text("Jefe"));
        struct digest digest = hmac_sha256(&key, bytes_text("what do ya want for nothing?")), again;

        assert_hex(digest_view(&digest), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        hasher_init_keyed(&hasher, &key);
        for (int round = 0; round < 3; round++) {
                hasher_add(&hasher, bytes_text("what do ya want "));
                hasher_add(&hasher, bytes_text("for nothing?"));
                again = hasher_end(&hasher);
                assert_true(digest_equal(&digest, &again));
        }
        hasher_add_part(&hasher, bytes_text("ab"));
        hasher_add_part(&hasher, bytes_text("c"));
        digest = hasher_end(&hasher);
        hasher_add_part(&hasher, bytes_text("a"));
        hasher_add_part(&hasher, bytes_text("bc"));
        again = hasher_end(&hasher);
        assert_false(digest_equal(&digest, &again));
}

/* RFC 5869, test cases 1 and 3. */
static void keys_are_those_of_rfc_5869(void **state)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE, salt = BUF_NONE, info = BUF_NONE;
        CLEANUP(secret_done) struct secret out = SECRET_NONE, other = SECRET_NONE;

        assert_int_equal(hex_parse(bytes_text("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"), &key), 0);
        assert_int_equal(hex_parse(bytes_text("000102030405060708090a0b0c"), &salt), 0);
        assert_int_equal(hex_parse(bytes_text("f0f1f2f3f4f5f6f7f8f9"), &info), 0);
        out = hkdf(buf_view(&key), buf_view(&salt), buf_view(&info), 42);
        assert_hex(secret_view(&out),
                   "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
        secret_done(&out);
        out = hkdf(buf_view(&key), BYTES_NONE, BYTES_NONE, 42);
        assert_hex(secret_view(&out),
                   "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
        secret_done(&out);
        out = secret_random(KEY_SIZE);
        other = key_derive(&out, "row");
        secret_done(&out);
        out = key_derive(&other, "column");
        assert_false(bytes_equal(secret_view(&out), secret_view(&other)));
}

/* RFC 9106 has its vector with a key and associated data; this one is of the reference implementation's test.c, for
 * version 0x13. */
static void passwords_are_those_of_argon2id(void **state)
{
        CLEANUP(secret_done) struct secret key = SECRET_NONE;
        struct password_cost cost = {256, 2, 1};

        assert_int_equal(password_derive(bytes_text("password"), bytes_text("somesalt"), &cost, &key), 0);
        assert_hex(secret_view(&key), "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe");
}

static void costs_are_bounded(void **state)
{
        static const struct password_cost bad[] = {
            {0, 1, 1},
            {64, 0, 1},
            {64, 1, 0},
            {7, 1, 1},
            {15, 1, 2},
            {PASSWORD_MEMORY_MOST_KIB + 1, 1, 1},
            {64, PASSWORD_PASSES_MOST + 1, 1},
            {1024, 1, PASSWORD_LANES_MOST + 1},
            {UINT32_MAX, UINT32_MAX, UINT32_MAX},
        };

        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                assert_int_equal(password_cost_check(&bad[i]), PROBLEM_UNSUPPORTED);
        assert_int_equal(password_cost_check(&PASSWORD_COST_DEFAULT), 0);
        assert_int_equal(password_cost_check(&PASSWORD_COST_TESTS), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(digests_are_those_of_fips_180), cmocka_unit_test(macs_are_those_of_rfc_4231),
                cmocka_unit_test(keys_are_those_of_rfc_5869),    cmocka_unit_test(passwords_are_those_of_argon2id),
                cmocka_unit_test(costs_are_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
