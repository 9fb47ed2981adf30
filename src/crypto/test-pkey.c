/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/der.h"
#include "crypto/oid.h"
#include "crypto/pkey.h"

static void from_hex(const char *text, struct buf *ret)
{
        assert_int_equal(hex_parse(bytes_text(text), ret), 0);
}

static void every_type_round_trips(void **state)
{
        for (enum pkey_type type = PKEY_P256; type <= PKEY_RSA2048; type++) {
                CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL, *private = NULL, *public = NULL;
                CLEANUP(secret_done) struct secret pkcs8 = SECRET_NONE, again = SECRET_NONE;
                CLEANUP(buf_done) struct buf spki = BUF_NONE, spki_again = BUF_NONE, signature = BUF_NONE;
                enum pkey_type told;
                unsigned char *theirs = NULL;

                assert_int_equal(pkey_type_from_name(pkey_type_name(type)), type);
                assert_int_equal(pkey_generate(type, &key), 0);
                assert_int_equal(pkey_type_of(key), type);
                assert_int_equal(pkey_to_spki(key, &spki), 0);
                assert_int_equal(spki_type(buf_view(&spki), &told), 0);
                assert_int_equal(told, type);
                /* The same encodings as OpenSSL's own. */
                assert_int_equal(i2d_PUBKEY(key, &theirs), (int)spki.len);
                assert_memory_equal(theirs, spki.data, spki.len);
                OPENSSL_free(theirs);
                assert_int_equal(pkey_to_pkcs8(key, &pkcs8), 0);
                theirs = NULL;
                PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
                assert_int_equal(i2d_PKCS8_PRIV_KEY_INFO(info, &theirs), (int)pkcs8.len);
                assert_memory_equal(theirs, pkcs8.data, pkcs8.len);
                OPENSSL_free(theirs);
                PKCS8_PRIV_KEY_INFO_free(info);

                assert_int_equal(pkey_from_spki(buf_view(&spki), &public), 0);
                assert_int_equal(pkey_from_pkcs8(secret_view(&pkcs8), &private), 0);
                assert_int_equal(EVP_PKEY_eq(key, public), 1);
                assert_int_equal(EVP_PKEY_eq(key, private), 1);
                assert_int_equal(pkey_to_pkcs8(private, &again), 0);
                assert_true(bytes_equal(secret_view(&again), secret_view(&pkcs8)));
                assert_int_equal(pkey_to_spki(private, &spki_again), 0);
                assert_true(bytes_equal(buf_view(&spki_again), buf_view(&spki)));

                assert_int_equal(pkey_sign(private, bytes_text("message"), &signature), 0);
                assert_int_equal(pkey_verify(public, bytes_text("message"), buf_view(&signature)), 0);
                assert_int_equal(pkey_verify(public, bytes_text("massage"), buf_view(&signature)),
                                 PROBLEM_UNAUTHENTICATED);
                signature.data[signature.len - 1] ^= 1;
                assert_int_equal(pkey_verify(public, bytes_text("message"), buf_view(&signature)),
                                 PROBLEM_UNAUTHENTICATED);
                assert_int_equal(pkey_verify(public, bytes_text("message"), BYTES_NONE), PROBLEM_UNAUTHENTICATED);
        }
}

/* RFC 6979 A.2.5: the pair of P-256. */
static void scalars_and_points_belong_together(void **state)
{
        CLEANUP(buf_done) struct buf x = BUF_NONE, ux = BUF_NONE, spki = BUF_NONE, spki_of_point = BUF_NONE;
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE, back = SECRET_NONE;
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL, *public = NULL;
        struct point point;
        uint8_t id[KEY_ID_SIZE];

        from_hex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721", &x);
        from_hex("60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6", &ux);
        scalar = secret_copy(buf_view(&x));
        assert_int_equal(pkey_from_scalar(&scalar, &key), 0);
        assert_int_equal(pkey_to_point(key, &point), 0);
        assert_memory_equal(point.data + 1, ux.data, 32);
        assert_int_equal(pkey_to_scalar(key, &back), 0);
        assert_true(bytes_equal(secret_view(&back), secret_view(&scalar)));
        assert_int_equal(pkey_to_spki(key, &spki), 0);
        assert_int_equal(point_to_spki(&point, &spki_of_point), 0);
        assert_true(bytes_equal(buf_view(&spki), buf_view(&spki_of_point)));
        assert_int_equal(spki_key_id(buf_view(&spki), id), 0);
        assert_memory_equal(id, sha256(bytes_of(spki.data + 26, 65)).data, KEY_ID_SIZE);
        memset(scalar.data, 0xff, scalar.len);
        assert_int_equal(pkey_from_scalar(&scalar, &public), PROBLEM_MALFORMED);
        memset(scalar.data, 0, scalar.len);
        assert_int_equal(pkey_from_scalar(&scalar, &public), PROBLEM_MALFORMED);
}

static int spki_result(struct bytes spki)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;

        return pkey_from_spki(spki, &key);
}

static void rsa_spki(struct buf *out, struct bytes n, struct bytes e)
{
        size_t spki, bits, numbers;

        buf_clear(out);
        spki = der_begin(out, DER_SEQUENCE);
        der_add_algorithm(out, oid_rsa_encryption, true);
        bits = der_begin_bits(out);
        numbers = der_begin(out, DER_SEQUENCE);
        der_add_unsigned(out, n);
        der_add_unsigned(out, e);
        der_end(out, numbers);
        der_end(out, bits);
        der_end(out, spki);
}

static void bad_public_keys_are_refused(void **state)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        CLEANUP(buf_done) struct buf spki = BUF_NONE, rsa = BUF_NONE;
        uint8_t n[257], e[] = {1, 0, 1}, wide[9] = {1, [8] = 1};

        assert_int_equal(pkey_generate(PKEY_P256, &key), 0);
        assert_int_equal(pkey_to_spki(key, &spki), 0);
        for (size_t len = 0; len < spki.len; len++)
                assert_int_equal(spki_result(bytes_of(spki.data, len)), PROBLEM_MALFORMED);
        for (size_t i = 0; i < spki.len; i++) { /* any altered byte: another algorithm, or no point of the curve */
                spki.data[i] ^= 1;
                assert_true(spki_result(buf_view(&spki)) > 0);
                spki.data[i] ^= 1;
        }
        assert_int_equal(spki_result(buf_view(&spki)), 0);
        buf_add_byte(&spki, 0);
        assert_int_equal(spki_result(buf_view(&spki)), PROBLEM_MALFORMED);

        /* A good modulus with each exponent that is none. */
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *good_key = NULL;
        CLEANUP(buf_done) struct buf good_spki = BUF_NONE;
        assert_int_equal(pkey_generate(PKEY_RSA2048, &good_key), 0);
        assert_int_equal(pkey_to_spki(good_key, &good_spki), 0);
        struct bytes modulus = bytes_of(good_spki.data + good_spki.len - 5 - 256, 256);
        rsa_spki(&rsa, modulus, bytes_of(e, 3));
        assert_true(bytes_equal(buf_view(&rsa), buf_view(&good_spki)));
        rsa_spki(&rsa, modulus, bytes_of("\x03", 1));
        assert_int_equal(spki_result(buf_view(&rsa)), PROBLEM_MALFORMED);
        rsa_spki(&rsa, modulus, bytes_of("\x01\x00\x02", 3));
        assert_int_equal(spki_result(buf_view(&rsa)), PROBLEM_MALFORMED);
        rsa_spki(&rsa, modulus, bytes_of(wide, 9));
        assert_int_equal(spki_result(buf_view(&rsa)), PROBLEM_UNSUPPORTED);

        /* 2^2048 - 2 + k for some k: without small factors, with them, even, too short. */
        memset(n, 0xff, sizeof(n));
        n[0] = 0;
        for (int k = 0, good = 0; k < 256; k++) {
                n[256] = (uint8_t)k;
                rsa_spki(&rsa, bytes_of(n, 257), bytes_of(e, 3));
                int result = spki_result(buf_view(&rsa));
                good += result == 0;
                assert_true(result == 0 || result == PROBLEM_MALFORMED);
                assert_true(k % 2 || result == PROBLEM_MALFORMED);
                if (k == 255)
                        assert_in_range(good, 10,
                                        60); /* the share without a factor under 100 is about 24 % of the odd ones */
        }
        rsa_spki(&rsa, bytes_of(n + 2, 255), bytes_of(e, 3));
        assert_int_equal(spki_result(buf_view(&rsa)), PROBLEM_UNSUPPORTED);
}

static void bad_private_keys_are_refused(void **state)
{
        static const enum pkey_type kinds[] = {PKEY_P256, PKEY_ED25519, PKEY_RSA2048};

        for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
                CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL, *none = NULL;
                CLEANUP(secret_done) struct secret pkcs8 = SECRET_NONE;

                assert_int_equal(pkey_generate(kinds[k], &key), 0);
                assert_int_equal(pkey_to_pkcs8(key, &pkcs8), 0);
                for (size_t len = 0; len < pkcs8.len; len += k == 2 ? 37 : 1)
                        assert_int_equal(pkey_from_pkcs8(bytes_of(pkcs8.data, len), &none), PROBLEM_MALFORMED);
                if (kinds[k] != PKEY_P256)
                        continue;
                for (size_t i = 0; i < pkcs8.len; i++) { /* the public key inside tells every alteration */
                        pkcs8.data[i] ^= 1;
                        assert_true(pkey_from_pkcs8(secret_view(&pkcs8), &none) > 0);
                        pkcs8.data[i] ^= 1;
                }
                assert_null(none);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_type_round_trips),
                cmocka_unit_test(scalars_and_points_belong_together),
                cmocka_unit_test(bad_public_keys_are_refused),
                cmocka_unit_test(bad_private_keys_are_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
