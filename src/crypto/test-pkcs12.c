/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/pkcs12.h"
#include "crypto/test-pki.h"

static struct test_ca ca;
static struct cert_list list;
static EVP_PKEY *keys[3];

static int setup(void **state)
{
        ca = test_ca_new(PKEY_P256);
        keys[0] = test_user(&ca, CERT_USER_SIGNATURE, PKEY_P256, "zoe@example.org", &list);
        keys[1] = test_user(&ca, CERT_USER_ENCRYPTION, PKEY_RSA2048, "zoe@example.org", &list);
        keys[2] = test_user(&ca, CERT_USER_ENCRYPTION, PKEY_P256, "zoe@example.org", &list);
        return 0;
}

static int teardown(void **state)
{
        for (size_t i = 0; i < ARRAY_LEN(keys); i++)
                EVP_PKEY_free(keys[i]);
        cert_list_done(&list);
        test_ca_done(&ca);
        return 0;
}

static void write_all(enum pkcs12_profile profile, const char *password, struct buf *ret_der)
{
        CLEANUP(secret_done) struct secret secret = secret_copy(bytes_text(password));
        const struct pkcs12_entry entries[] = {
                {keys[0], buf_view(&list.items[0].der), "Zoë Ångström 😀"},
                {keys[1], buf_view(&list.items[1].der), NULL},
                {keys[2], buf_view(&list.items[2].der), "old"},
                {NULL, buf_view(&ca.issuing.items[0].der), NULL},
                {NULL, buf_view(&ca.root.items[0].der), NULL},
        };

        assert_int_equal(pkcs12_write(entries, ARRAY_LEN(entries), profile, &secret, ret_der), 0);
}

static void files_round_trip(void **state)
{
        static const char *const passwords[] = {"correct horse", "", "pässwörd 😀"};

        for (size_t i = 0; i < 4; i++) {
                CLEANUP(secret_done)
                struct secret password = secret_copy(bytes_text(passwords[i % 3])),
                              wrong = secret_copy(bytes_text("x"));
                CLEANUP(pkcs12_content_done) struct pkcs12_content content = {0};
                CLEANUP(buf_done) struct buf der = BUF_NONE;

                write_all(i % 2 ? PKCS12_LEGACY : PKCS12_MODERN, passwords[i % 3], &der);
                assert_int_equal(pkcs12_read(buf_view(&der), &wrong, &content), PROBLEM_PASSWORD);
                assert_int_equal(pkcs12_read(buf_view(&der), &password, &content), 0);
                assert_int_equal(content.count, 5);
                for (size_t k = 0; k < 3; k++) {
                        assert_true(bytes_equal(buf_view(&content.items[k].certificate), buf_view(&list.items[k].der)));
                        assert_int_equal(EVP_PKEY_eq(content.items[k].key, keys[k]), 1);
                }
                assert_string_equal(content.items[0].friendly_name, "Zoë Ångström \xef\xbf\xbd");
                assert_null(content.items[1].friendly_name);
                assert_null(content.items[3].key);
                assert_null(content.items[4].key);
        }
}

static void openssl_reads_them(void **state)
{
        for (enum pkcs12_profile profile = PKCS12_MODERN; profile <= PKCS12_LEGACY; profile++) {
                CLEANUP(buf_done) struct buf der = BUF_NONE;
                CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
                CLEANUP(X509_freep) X509 *x509 = NULL;
                const ASN1_OBJECT *algorithm;
                const X509_ALGOR *mac;
                const unsigned char *at;
                PKCS12 *p12;

                write_all(profile, "secret", &der);
                at = der.data;
                p12 = d2i_PKCS12(NULL, &at, (long)der.len);
                assert_non_null(p12);
                PKCS12_get0_mac(NULL, &mac, NULL, NULL, p12);
                X509_ALGOR_get0(&algorithm, NULL, NULL, mac);
                assert_int_equal(OBJ_obj2nid(algorithm), profile == PKCS12_MODERN ? NID_sha256 : NID_sha1);
                assert_int_equal(PKCS12_parse(p12, "secret", &key, &x509, NULL), 1);
                assert_non_null(x509); /* which one it takes of several differs between versions */
                PKCS12_free(p12);
        }
}

static void wrong_input_is_refused(void **state)
{
        CLEANUP(secret_done)
        struct secret password = secret_copy(bytes_text("secret")),
                      zero = secret_copy(bytes_of("a\0b", 3));
        CLEANUP(buf_done) struct buf der = BUF_NONE;
        struct pkcs12_content none;
        struct pkcs12_entry mixed = {keys[1], buf_view(&list.items[0].der), NULL};

        write_all(PKCS12_LEGACY, "secret", &der);
        assert_int_equal(pkcs12_write(&mixed, 1, PKCS12_MODERN, &password, &(struct buf){0}), PROBLEM_MALFORMED);
        assert_int_equal(pkcs12_write(&mixed, 0, PKCS12_MODERN, &password, &(struct buf){0}), PROBLEM_TOO_LARGE);
        assert_int_equal(pkcs12_read(buf_view(&der), &zero, &none), PROBLEM_MALFORMED);
        for (size_t len = 0; len < der.len; len += 101)
                assert_int_equal(pkcs12_read(bytes_of(der.data, len), &password, &none), PROBLEM_MALFORMED);
        for (size_t i = 30; i < der.len; i += 997) {
                der.data[i] ^= 1;
                assert_true(pkcs12_read(buf_view(&der), &password, &none) > 0);
                der.data[i] ^= 1;
        }
        buf_add_byte(&der, 0);
        assert_int_equal(pkcs12_read(buf_view(&der), &password, &none), PROBLEM_MALFORMED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(files_round_trip),
                cmocka_unit_test(openssl_reads_them),
                cmocka_unit_test(wrong_input_is_refused),
        };
        return cmocka_run_group_tests(tests, setup, teardown);
}
