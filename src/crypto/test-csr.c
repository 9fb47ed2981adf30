/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/csr.h"
#include "crypto/der.h"
#include "crypto/name.h"

static void requests_prove_possession(void **state)
{
        static const enum pkey_type types[] = {PKEY_P256, PKEY_P384, PKEY_ED25519, PKEY_RSA2048};

        for (size_t i = 0; i < ARRAY_LEN(types); i++) {
                CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL, *back = NULL;
                CLEANUP(buf_done) struct buf der = BUF_NONE, name = BUF_NONE;
                struct csr csr;
                X509_REQ *theirs;
                const unsigned char *at;

                assert_int_equal(pkey_generate(types[i], &key), 0);
                name_write(&name, &(struct name_attributes){.common_name = "Bob"});
                assert_int_equal(csr_make(key, i % 2 ? buf_view(&name) : BYTES_NONE, &der), 0);
                assert_int_equal(csr_verify(buf_view(&der), &csr, &back), 0);
                assert_int_equal(EVP_PKEY_eq(key, back), 1);
                assert_int_equal(name_is_empty(csr.subject), i % 2 == 0);
                at = der.data;
                theirs = d2i_X509_REQ(NULL, &at, (long)der.len);
                assert_non_null(theirs);
                assert_int_equal(X509_REQ_verify(theirs, key), 1);
                X509_REQ_free(theirs);
        }
}

static void requests_of_openssl_are_read(void **state)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        X509_REQ *theirs = X509_REQ_new();
        STACK_OF(X509_EXTENSION) *extensions = NULL;
        unsigned char *der = NULL;
        struct csr csr;

        assert_int_equal(pkey_generate(PKEY_RSA2048, &key), 0);
        X509_REQ_set_version(theirs, 0);
        X509_REQ_set_pubkey(theirs, key);
        X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(theirs), "CN", MBSTRING_UTF8, (const unsigned char *)"é",
                                   -1, -1, 0);
        ASN1_OCTET_STRING *nothing = ASN1_OCTET_STRING_new();
        X509_EXTENSION *extension = X509_EXTENSION_create_by_NID(NULL, NID_key_usage, 1, nothing);
        X509v3_add_ext(&extensions, extension, -1);
        X509_EXTENSION_free(extension);
        ASN1_OCTET_STRING_free(nothing);
        X509_REQ_add_extensions(theirs, extensions);
        assert_true(X509_REQ_sign(theirs, key, EVP_sha512()) > 0);
        int len = i2d_X509_REQ(theirs, &der);
        assert_int_equal(csr_verify(bytes_of(der, (size_t)len), &csr, NULL), 0);
        OPENSSL_free(der);
        sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
        X509_REQ_free(theirs);
}

static void altered_requests_are_refused(void **state)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        CLEANUP(buf_done) struct buf der = BUF_NONE, large = BUF_NONE;
        struct csr csr;

        assert_int_equal(pkey_generate(PKEY_P256, &key), 0);
        assert_int_equal(csr_make(key, BYTES_NONE, &der), 0);
        for (size_t len = 0; len < der.len; len++)
                assert_int_equal(csr_parse(bytes_of(der.data, len), &csr), PROBLEM_MALFORMED);
        for (size_t i = 0; i < der.len; i++) {
                der.data[i] ^= 1;
                assert_true(csr_verify(buf_view(&der), &csr, NULL) > 0);
                der.data[i] ^= 1;
        }
        buf_add_byte(&der, 0);
        assert_int_equal(csr_parse(buf_view(&der), &csr), PROBLEM_MALFORMED);
        buf_reserve(&large, CSR_MOST + 1);
        buf_extend(&large, CSR_MOST + 1);
        assert_int_equal(csr_parse(buf_view(&large), &csr), PROBLEM_TOO_LARGE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(requests_prove_possession),
                cmocka_unit_test(requests_of_openssl_are_read),
                cmocka_unit_test(altered_requests_are_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
