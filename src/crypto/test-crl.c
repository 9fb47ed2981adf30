/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/crl.h"
#include "crypto/der.h"
#include "crypto/test-pki.h"

static struct test_ca ca;

static int setup(void **state)
{
        ca = test_ca_new(PKEY_P256);
        return 0;
}

static int teardown(void **state)
{
        test_ca_done(&ca);
        return 0;
}

static struct crl_template template_of(const struct crl_entry *entries, size_t count)
{
        return (struct crl_template){.issuer = ca.issuing.items[0].subject,
                                     .issuer_key_id = ca.key_id,
                                     .issuer_type = PKEY_P256,
                                     .this_update = TEST_NOW,
                                     .next_update = TEST_NOW + 86400,
                                     .number = 4711,
                                     .entries = entries,
                                     .entry_count = count};
}

static void lists_are_read_by_openssl(void **state)
{
        struct crl_entry entries[5] = {{.serial = {0x7f, [15] = 1}, .time = TEST_NOW - 5, .reason = 1},
                                       {.serial = {0x80, [15] = 2}, .time = 2524608000},
                                       {.serial = {[15] = 3}, .time = 0, .reason = 4},
                                       {.serial = {0}, .time = 1, .reason = 9}};
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        CLEANUP(buf_done) struct buf der = BUF_NONE;
        struct crl_template tmpl;

        serial_random(entries[4].serial);
        for (size_t count = 0; count <= 5; count++) {
                const unsigned char *at;
                unsigned char *again = NULL;
                X509_CRL *theirs;

                tmpl = template_of(entries, count);
                tmpl.distribution_url = count % 2 ? TEST_CRL : NULL;
                tmpl.keeps_expired = count % 2;
                buf_done(&der);
                assert_int_equal(crl_make(&tmpl, ca.key, &der), 0);
                at = der.data;
                theirs = d2i_X509_CRL(NULL, &at, (long)der.len);
                assert_non_null(theirs);
                assert_int_equal(X509_CRL_verify(theirs, ca.key), 1);
                assert_int_equal(X509_CRL_get_version(theirs), 1);
                /* Written again by OpenSSL it is the same (before it sorts the entries, to find one). */
                struct crl crl;
                assert_int_equal(crl_parse(buf_view(&der), &crl), 0);
                assert_true(crl.expired_since == (tmpl.keeps_expired ? 0 : INT64_MAX));
                assert_int_equal(crl.tbs.len, i2d_re_X509_CRL_tbs(theirs, &again));
                assert_memory_equal(crl.tbs.data, again, crl.tbs.len);
                OPENSSL_free(again);
                STACK_OF(X509_REVOKED) *revoked = X509_CRL_get_REVOKED(theirs);
                assert_int_equal(sk_X509_REVOKED_num(revoked) < 0 ? 0 : sk_X509_REVOKED_num(revoked), count);
                for (size_t i = 0; i < count; i++) {
                        BIGNUM *serial = BN_bin2bn(entries[i].serial, SERIAL_SIZE, NULL);
                        ASN1_INTEGER *number = BN_to_ASN1_INTEGER(serial, NULL);
                        X509_REVOKED *found = NULL;
                        assert_int_equal(X509_CRL_get0_by_serial(theirs, &found, number), 1);
                        ASN1_INTEGER_free(number);
                        BN_free(serial);
                }
                X509_CRL_free(theirs);
        }
}

static void entries_are_found(void **state)
{
        enum { COUNT = 1000 };
        CLEANUP(mem_freep) struct crl_entry *entries = mem_array(COUNT, sizeof(*entries));
        CLEANUP(buf_done) struct buf der = BUF_NONE;
        struct crl_template tmpl;
        struct crl_entry entry;
        struct bytes cursor;
        struct crl crl;
        size_t seen = 0;

        for (size_t i = 0; i < COUNT; i++) {
                serial_random(entries[i].serial);
                entries[i].time = TEST_NOW - (int64_t)i;
                entries[i].reason = (uint8_t)(i % 6);
        }
        tmpl = template_of(entries, COUNT);
        assert_int_equal(crl_make(&tmpl, ca.key, &der), 0);
        assert_int_equal(crl_parse(buf_view(&der), &crl), 0);
        assert_int_equal(crl_verify(&crl, &ca.issuing.items[0]), 0);
        assert_int_equal(crl_verify(&crl, &ca.root.items[0]), PROBLEM_UNAUTHENTICATED);
        assert_int_equal(crl.number, 4711);
        assert_true(crl.this_update == TEST_NOW && crl.next_update == TEST_NOW + 86400);
        assert_int_equal(crl.entry_count, COUNT);
        for (size_t i = 0; i < COUNT; i += 37) {
                assert_int_equal(crl_find(&crl, bytes_of(entries[i].serial, SERIAL_SIZE), &entry), 0);
                assert_memory_equal(&entry, &entries[i], sizeof(entry));
                entries[i].serial[7] ^= 1;
                assert_int_equal(crl_find(&crl, bytes_of(entries[i].serial, SERIAL_SIZE), &entry), PROBLEM_NOT_FOUND);
                entries[i].serial[7] ^= 1;
                /* A part of a serial number is no serial number. */
                assert_int_equal(crl_find(&crl, bytes_of(entries[i].serial, SERIAL_SIZE - 1), &entry),
                                 PROBLEM_NOT_FOUND);
                assert_int_equal(crl_find(&crl, bytes_of(entries[i].serial + 1, SERIAL_SIZE - 1), &entry),
                                 PROBLEM_NOT_FOUND);
        }
        for (cursor = crl.entries; crl_each(&cursor, &entry); seen++)
                assert_memory_equal(&entry, &entries[seen], sizeof(entry));
        assert_int_equal(seen, COUNT);
        assert_int_equal(crl_tbs_parse(crl.tbs, &crl), 0);
        assert_int_equal(crl.entry_count, COUNT);
}

/* A certificate that has nothing but distribution points, in `out`: each one with the names of a line, and perhaps reasons. */
static struct certificate certificate_at(const char *const points[][2], size_t count, bool reasons, struct buf *out)
{
        for (size_t i = 0; i < count; i++) {
                size_t point = der_begin(out, DER_SEQUENCE), name = der_begin(out, DER_CONTEXT_CONSTRUCTED(0));
                size_t full = der_begin(out, DER_CONTEXT_CONSTRUCTED(0));

                for (size_t j = 0; j < 2 && points[i][j]; j++)
                        general_name_add_uri(out, points[i][j]);
                der_end(out, full);
                der_end(out, name);
                if (reasons)
                        der_add(out, DER_CONTEXT(1), bytes_text("\x06\x40"));
                der_end(out, point);
        }
        return (struct certificate){.crl_points = buf_view(out)};
}

static void lists_are_for_whom_they_name(void **state)
{
        CLEANUP(buf_done) struct buf at = BUF_NONE, elsewhere = BUF_NONE, together = BUF_NONE, apart = BUF_NONE, some = BUF_NONE;
        const struct certificate here = certificate_at((const char *const[][2]){{TEST_CRL}}, 1, false, &at);
        const struct certificate there = certificate_at((const char *const[][2]){{TEST_CRL "2"}}, 1, false, &elsewhere);
        const struct certificate both = certificate_at((const char *const[][2]){{TEST_CRL "2", TEST_CRL}}, 1, false, &together);
        const struct certificate either = certificate_at((const char *const[][2]){{"ldap:///x"}, {TEST_CRL}}, 2, false, &apart);
        const struct certificate partly = certificate_at((const char *const[][2]){{TEST_CRL}}, 1, true, &some);
        const struct certificate nowhere = {0};
        CLEANUP(buf_done) struct buf everybodys = BUF_NONE, der = BUF_NONE;
        struct crl_template tmpl = template_of(NULL, 0);
        struct crl crl;

        assert_int_equal(crl_make(&tmpl, ca.key, &everybodys), 0);
        assert_int_equal(crl_parse(buf_view(&everybodys), &crl), 0);
        assert_true(crl_is_for(&crl, &nowhere));
        tmpl.distribution_url = TEST_CRL;
        assert_int_equal(crl_make(&tmpl, ca.key, &der), 0);
        assert_int_equal(crl_parse(buf_view(&der), &crl), 0);
        assert_true(crl_is_for(&crl, &here));
        assert_true(crl_is_for(&crl, &both));
        assert_true(crl_is_for(&crl, &either));
        assert_false(crl_is_for(&crl, &there));
        assert_false(crl_is_for(&crl, &partly));
        assert_false(crl_is_for(&crl, &nowhere));
}

static void altered_lists_are_refused(void **state)
{
        struct crl_entry entries[2] = {{.serial = {0x40, [15] = 1}, .time = TEST_NOW, .reason = 1},
                                       {.serial = {0x41, [15] = 2}, .time = TEST_NOW}};
        CLEANUP(buf_done) struct buf der = BUF_NONE;
        struct crl_template tmpl = template_of(entries, 2);
        struct crl crl;

        tmpl.distribution_url = TEST_CRL;
        assert_int_equal(crl_make(&tmpl, ca.key, &der), 0);
        for (size_t len = 0; len < der.len; len++)
                assert_int_equal(crl_parse(bytes_of(der.data, len), &crl), PROBLEM_MALFORMED);
        for (size_t i = 0; i < der.len; i++) {
                der.data[i] ^= 1;
                int result = crl_parse(buf_view(&der), &crl);
                if (result == 0)
                        result = crl_verify(&crl, &ca.issuing.items[0]);
                assert_true(result > 0);
                der.data[i] ^= 1;
        }
        buf_add_byte(&der, 0);
        assert_int_equal(crl_parse(buf_view(&der), &crl), PROBLEM_MALFORMED);
}

/* Lists of changes, of some reasons, of user certificates only, or with entries of others must not pass for the whole
 * list. */
static void partial_lists_are_refused(void **state)
{
        static const struct {
                int nid;
                const char *value;
                int result;
        } cases[] = {
                {NID_delta_crl, NULL, PROBLEM_UNSUPPORTED},
                {NID_issuing_distribution_point, "onlyuser:TRUE", PROBLEM_UNSUPPORTED},
                {NID_issuing_distribution_point, "onlysomereasons:keyCompromise", PROBLEM_UNSUPPORTED},
                {NID_issuing_distribution_point, "indirectCRL:TRUE", PROBLEM_UNSUPPORTED},
                {NID_issuing_distribution_point, "fullname:URI:http://a.example/", 0},
        };
        CLEANUP(buf_done) struct buf der = BUF_NONE;
        struct crl_template tmpl = template_of(NULL, 0);

        assert_int_equal(crl_make(&tmpl, ca.key, &der), 0);
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                const unsigned char *at = der.data;
                X509_CRL *theirs = d2i_X509_CRL(NULL, &at, (long)der.len);
                ASN1_INTEGER *base = ASN1_INTEGER_new();
                X509_EXTENSION *extension = cases[i].value
                                                    ? X509V3_EXT_conf_nid(NULL, NULL, cases[i].nid, cases[i].value)
                                                    : X509V3_EXT_i2d(cases[i].nid, 0, base);
                unsigned char *again = NULL;
                struct crl crl;

                assert_non_null(extension);
                assert_int_equal(X509_CRL_add_ext(theirs, extension, -1), 1);
                assert_true(X509_CRL_sign(theirs, ca.key, EVP_sha256()) > 0);
                int len = i2d_X509_CRL(theirs, &again);
                assert_int_equal(crl_parse(bytes_of(again, (size_t)len), &crl), cases[i].result);
                OPENSSL_free(again);
                ASN1_INTEGER_free(base);
                X509_EXTENSION_free(extension);
                X509_CRL_free(theirs);
        }
}

static void a_user_signs_no_list(void **state)
{
        CLEANUP(cert_list_done) struct cert_list list = {0};
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = test_user(&ca, CERT_USER_SIGNATURE, PKEY_P256, "a@b.example", &list);
        CLEANUP(buf_done) struct buf der = BUF_NONE;
        struct crl_template tmpl = template_of(NULL, 0);
        struct crl crl;

        tmpl.issuer = list.items[0].subject;
        tmpl.issuer_key_id = list.items[0].subject_key_id.data;
        assert_int_equal(crl_make(&tmpl, key, &der), 0);
        assert_int_equal(crl_parse(buf_view(&der), &crl), 0);
        assert_int_equal(crl_verify(&crl, &list.items[0]), PROBLEM_UNAUTHENTICATED);
}

static void a_large_list_is_quick(void **state)
{
        enum { COUNT = 200000 };
        CLEANUP(mem_freep) struct crl_entry *entries = mem_array(COUNT, sizeof(*entries));
        CLEANUP(buf_done) struct buf der = BUF_NONE;
        struct crl_template tmpl;
        struct crl_entry entry;
        struct crl crl;
        uint64_t start;

        for (size_t i = 0; i < COUNT; i++) {
                memcpy(entries[i].serial, &(uint64_t[2]){0x40 | i << 8, i * 0x9e3779b97f4a7c15u}, SERIAL_SIZE);
                entries[i].time = TEST_NOW;
                entries[i].reason = 1;
        }
        tmpl = template_of(entries, COUNT);
        start = clock_monotonic_ms();
        assert_int_equal(crl_make(&tmpl, ca.key, &der), 0);
        assert_int_equal(crl_parse(buf_view(&der), &crl), 0);
        assert_int_equal(crl_find(&crl, bytes_of(entries[COUNT - 1].serial, SERIAL_SIZE), &entry), 0);
        assert_true(clock_monotonic_ms() - start <
                    3000); /* even under valgrind's eyes or a loaded machine; 50 ms is usual */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lists_are_read_by_openssl), cmocka_unit_test(entries_are_found),
                cmocka_unit_test(lists_are_for_whom_they_name),
                cmocka_unit_test(altered_lists_are_refused), cmocka_unit_test(a_user_signs_no_list),
                cmocka_unit_test(partial_lists_are_refused),
                cmocka_unit_test(a_large_list_is_quick),
        };
        return cmocka_run_group_tests(tests, setup, teardown);
}
