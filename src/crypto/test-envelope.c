/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/cms.h>

#include "crypto/envelope.h"

static struct secret scalar;
static struct point point;

static int setup(void **state)
{
        return scalar_random(&scalar) || point_of_scalar(&scalar, &point);
}

static int teardown(void **state)
{
        secret_done(&scalar);
        return 0;
}

static void envelopes_open(void **state)
{
        static const size_t lengths[] = {1, 15, 16, 17, 138, 1794, 70000};

        for (size_t i = 0; i < 2 * ARRAY_LEN(lengths); i++) {
                CLEANUP(secret_done) struct secret plain = secret_random(lengths[i / 2]), back = SECRET_NONE;
                CLEANUP(buf_done) struct buf der = BUF_NONE;

                assert_int_equal(envelope_seal(&point, &plain, i % 2 ? ENVELOPE_CBC : ENVELOPE_GCM, &der), 0);
                assert_int_equal(envelope_open(&scalar, buf_view(&der), &back), 0);
                assert_true(bytes_equal(secret_view(&back), secret_view(&plain)));
        }
        struct buf none = BUF_NONE;
        CLEANUP(secret_done) struct secret large = secret_new(ENVELOPE_MOST);
        assert_int_equal(envelope_seal(&point, &large, ENVELOPE_GCM, &none), PROBLEM_TOO_LARGE);
        assert_int_equal(envelope_seal(&point, &SECRET_NONE, ENVELOPE_GCM, &none), PROBLEM_TOO_LARGE);
}

/* OpenSSL opens both kinds, with the key and no certificate. */
static void openssl_opens_them(void **state)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;

        assert_int_equal(pkey_from_scalar(&scalar, &key), 0);
        for (enum envelope_kind kind = ENVELOPE_GCM; kind <= ENVELOPE_CBC; kind++) {
                CLEANUP(secret_done) struct secret plain = secret_random(1794);
                CLEANUP(BIO_free_allp) BIO *out = BIO_new(BIO_s_mem());
                CLEANUP(buf_done) struct buf der = BUF_NONE;
                const unsigned char *at;
                CMS_ContentInfo *cms;
                char *content;

                assert_int_equal(envelope_seal(&point, &plain, kind, &der), 0);
                at = der.data;
                cms = d2i_CMS_ContentInfo(NULL, &at, (long)der.len);
                assert_non_null(cms);
                assert_ptr_equal(at, der.data + der.len);
                assert_int_equal(CMS_decrypt(cms, key, NULL, NULL, out, 0), 1);
                assert_int_equal(BIO_get_mem_data(out, &content), plain.len);
                assert_memory_equal(content, plain.data, plain.len);
                CMS_ContentInfo_free(cms);
        }
}

static void other_keys_do_not_open(void **state)
{
        CLEANUP(secret_done) struct secret plain = secret_random(100), other = SECRET_NONE, none = SECRET_NONE;
        CLEANUP(buf_done) struct buf der = BUF_NONE;

        assert_int_equal(scalar_random(&other), 0);
        assert_int_equal(envelope_seal(&point, &plain, ENVELOPE_GCM, &der), 0);
        assert_int_equal(envelope_open(&other, buf_view(&der), &none), PROBLEM_MALFORMED);
        assert_null(none.data);
}

/* Of an authenticated one no bit can be altered unseen. */
static void altered_envelopes_do_not_open(void **state)
{
        CLEANUP(secret_done) struct secret plain = secret_random(100);
        CLEANUP(buf_done) struct buf der = BUF_NONE;

        assert_int_equal(envelope_seal(&point, &plain, ENVELOPE_GCM, &der), 0);
        for (size_t i = 0; i < der.len; i++) {
                CLEANUP(secret_done) struct secret none = SECRET_NONE;

                assert_int_equal(envelope_open(&scalar, bytes_of(der.data, i), &none), PROBLEM_MALFORMED);
                der.data[i] ^= (uint8_t)(1u << i % 8);
                int result = envelope_open(&scalar, buf_view(&der), &none);
                assert_true(result == PROBLEM_MALFORMED || result == PROBLEM_UNSUPPORTED);
                assert_null(none.data);
                der.data[i] ^= (uint8_t)(1u << i % 8);
        }
        CLEANUP(secret_done) struct secret none = SECRET_NONE;
        buf_add_byte(&der, 0);
        assert_int_equal(envelope_open(&scalar, buf_view(&der), &none), PROBLEM_MALFORMED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(envelopes_open),
                cmocka_unit_test(openssl_opens_them),
                cmocka_unit_test(other_keys_do_not_open),
                cmocka_unit_test(altered_envelopes_do_not_open),
        };
        return cmocka_run_group_tests(tests, setup, teardown);
}
