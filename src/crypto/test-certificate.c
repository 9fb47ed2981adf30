/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "crypto/der.h"
#include "crypto/oid.h"
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

static X509 *x509_of(const struct certificate *certificate)
{
        X509 *x509 = NULL;

        assert_int_equal(certificate_to_x509(certificate, &x509), 0);
        return x509;
}

/* OpenSSL's verification with X509_V_FLAG_X509_STRICT, which checks RFC 5280's rules for extensions. */
static void assert_strict(const struct certificate *leaf)
{
        X509 *root = x509_of(&ca.root.items[0]), *issuing = x509_of(&ca.issuing.items[0]), *x509 = x509_of(leaf);
        X509_STORE *store = X509_STORE_new();
        X509_STORE_CTX *ctx = X509_STORE_CTX_new();
        STACK_OF(X509) *untrusted = sk_X509_new_null();

        sk_X509_push(untrusted, issuing);
        X509_STORE_add_cert(store, root);
        X509_STORE_CTX_init(ctx, store, x509, untrusted);
        X509_STORE_CTX_set_flags(ctx,
                                 X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE | X509_V_FLAG_POLICY_CHECK);
        X509_STORE_CTX_set_time(ctx, 0, TEST_NOW);
        if (X509_verify_cert(ctx) != 1)
                fail_msg("%s", X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
        X509_STORE_CTX_free(ctx);
        X509_STORE_free(store);
        sk_X509_free(untrusted);
        X509_free(root);
        X509_free(issuing);
        X509_free(x509);
}

static void assert_extension(X509 *x509, int nid, bool critical)
{
        int at = X509_get_ext_by_NID(x509, nid, -1);

        assert_true(at >= 0);
        assert_int_equal(X509_EXTENSION_get_critical(X509_get_ext(x509, at)), critical);
        assert_int_equal(X509_get_ext_by_NID(x509, nid, at), -1);
}

/* What RFC 5280 and RFC 8550 demand of every certificate here. */
static void lint(const struct certificate *certificate, unsigned usage, uint32_t ext_usage)
{
        X509 *x509 = x509_of(certificate);
        const ASN1_OBJECT *inner, *outer;
        unsigned char *again = NULL;

        assert_int_equal(X509_get_version(x509), 2);
        assert_int_equal(ASN1_INTEGER_get_int64(&(int64_t){0}, X509_get0_serialNumber(x509)),
                         0); /* longer than 64 bits */
        assert_int_equal(certificate->serial.len, 16);
        X509_ALGOR_get0(&inner, NULL, NULL, X509_get0_tbs_sigalg(x509));
        const X509_ALGOR *outside;
        X509_get0_signature(NULL, &outside, x509);
        X509_ALGOR_get0(&outer, NULL, NULL, outside);
        assert_int_equal(OBJ_cmp(inner, outer), 0);
        assert_false(X509_get_extension_flags(x509) & (EXFLAG_INVALID | EXFLAG_CRITICAL));
        assert_int_equal(X509_get_key_usage(x509), usage);
        assert_extension(x509, NID_key_usage, true);
        assert_int_equal(X509_get_extended_key_usage(x509), ext_usage);
        assert_extension(x509, NID_subject_key_identifier, false);
        if (X509_get_extension_flags(x509) & EXFLAG_CA)
                assert_extension(x509, NID_basic_constraints, true);
        if (!(X509_get_extension_flags(x509) & EXFLAG_SI))
                assert_extension(x509, NID_authority_key_identifier, false);
        /* Read and written again by OpenSSL it is the same: no BER, no superfluous default. */
        assert_int_equal(i2d_re_X509_tbs(x509, &again), (int)certificate->tbs.len);
        assert_memory_equal(again, certificate->tbs.data, certificate->tbs.len);
        OPENSSL_free(again);
        X509_free(x509);
}

static void profiles_are_correct(void **state)
{
        static const struct {
                enum cert_profile profile;
                enum pkey_type type;
                unsigned usage;
                uint32_t ext_usage;
        } cases[] = {
                {CERT_USER_SIGNATURE, PKEY_P256, KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION, XKU_SMIME},
                {CERT_USER_SIGNATURE, PKEY_ED25519, KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION, XKU_SMIME},
                {CERT_USER_ENCRYPTION, PKEY_P256, KU_KEY_AGREEMENT, XKU_SMIME},
                {CERT_USER_ENCRYPTION, PKEY_P384, KU_KEY_AGREEMENT, XKU_SMIME},
                {CERT_USER_ENCRYPTION, PKEY_RSA2048, KU_KEY_ENCIPHERMENT, XKU_SMIME},
                {CERT_AUDIT, PKEY_P256, KU_DIGITAL_SIGNATURE, UINT32_MAX},
                {CERT_OCSP, PKEY_P256, KU_DIGITAL_SIGNATURE, XKU_OCSP_SIGN},
        };

        lint(&ca.root.items[0], KU_KEY_CERT_SIGN | KU_CRL_SIGN, UINT32_MAX);
        lint(&ca.issuing.items[0], KU_KEY_CERT_SIGN | KU_CRL_SIGN, UINT32_MAX);
        assert_true(ca.root.items[0].is_ca && ca.root.items[0].path_len == -1);
        assert_true(ca.issuing.items[0].is_ca && ca.issuing.items[0].path_len == 0);
        assert_strict(&ca.issuing.items[0]);
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                CLEANUP(cert_list_done) struct cert_list list = {0};
                CLEANUP(EVP_PKEY_freep)
                EVP_PKEY *key = test_user(&ca, cases[i].profile, cases[i].type, "zoe@example.org", &list);
                const struct certificate *c = &list.items[0];

                lint(c, cases[i].usage, cases[i].ext_usage);
                assert_strict(c);
                assert_false(c->is_ca);
                assert_true(c->has_key_usage);
                assert_string_equal(c->crl_url, TEST_CRL);
                assert_string_equal(c->ca_issuers_url, TEST_CA);
                assert_null(c->ocsp_url);
                assert_true(bytes_equal(c->issuer, ca.issuing.items[0].subject));
                assert_true(bytes_equal(c->authority_key_id, ca.issuing.items[0].subject_key_id));
                assert_int_equal(c->address_count, 1);
                assert_string_equal(certificate_address(c, 0), "zoe@example.org");
                assert_int_equal(certificate_may_encrypt(c), cases[i].profile == CERT_USER_ENCRYPTION);
                assert_int_equal(certificate_may_sign(c),
                                 cases[i].profile == CERT_USER_SIGNATURE || cases[i].profile == CERT_AUDIT);
                X509 *x509 = x509_of(c);
                assert_int_equal(X509_check_email(x509, "zoe@example.org", 0, 0), 1);
                X509_free(x509);
        }
}

static void servers_have_names(void **state)
{
        CLEANUP(cert_list_done) struct cert_list list = {0};
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        const char *hosts[] = {"kms.example.org", "127.0.0.1", "::1"};

        assert_int_equal(pkey_generate(PKEY_P256, &key), 0);
        struct cert_template tmpl = {.profile = CERT_TLS_SERVER,
                                     .subject = bytes_of("\x30\x00", 2),
                                     .hosts = hosts,
                                     .host_count = 3,
                                     .ocsp_url = "http://ocsp.example.org/",
                                     .policy = "2.23.140.1.5.1.3"};
        test_cert(&ca, &tmpl, key, ca.key, &list);
        lint(&list.items[0], KU_DIGITAL_SIGNATURE, XKU_SSL_SERVER);
        assert_strict(&list.items[0]);
        assert_string_equal(list.items[0].ocsp_url, "http://ocsp.example.org/");
        X509 *x509 = x509_of(&list.items[0]);
        assert_int_equal(X509_check_host(x509, "kms.example.org", 0, 0, NULL), 1);
        assert_int_equal(X509_check_host(x509, "other.example.org", 0, 0, NULL), 0);
        assert_int_equal(X509_check_ip_asc(x509, "127.0.0.1", 0), 1);
        assert_int_equal(X509_check_ip_asc(x509, "::1", 0), 1);
        assert_true(certificate_has_host(&list.items[0], "kms.example.org"));
        assert_true(certificate_has_host(&list.items[0], "::1"));
        assert_false(certificate_has_host(&list.items[0], "other.example.org"));
        assert_false(certificate_has_host(&list.items[0], ""));
        assert_extension(x509, NID_subject_alt_name, true); /* the subject is empty */
        X509_free(x509);
        struct chain_query query = {&list.items[0], &ca.issuing, &ca.root, TEST_NOW, CHAIN_TLS_SERVER};
        assert_int_equal(chain_verify(&query, NULL), 0);
        query.purpose = CHAIN_MAIL_SIGNER;
        assert_int_equal(chain_verify(&query, NULL), PROBLEM_MAIL_UNVERIFIED);
}

static void addresses_come_back_as_keys(void **state)
{
        CLEANUP(cert_list_done) struct cert_list list = {0};
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        CLEANUP(buf_done) struct buf name = BUF_NONE;
        const char *addresses[] = {"zoe@example.org", "zoë@bücher.example", "info@bücher.example"};

        assert_int_equal(pkey_generate(PKEY_P256, &key), 0);
        name_write(&name, &(struct name_attributes){.common_name = "Zoë"});
        test_cert(&ca,
                  &(struct cert_template){.profile = CERT_USER_SIGNATURE,
                                          .subject = buf_view(&name),
                                          .addresses = addresses,
                                          .address_count = 3},
                  key, ca.key, &list);
        assert_int_equal(list.items[0].address_count, 3);
        for (size_t i = 0; i < 3; i++)
                assert_string_equal(certificate_address(&list.items[0], i), addresses[i]);
        assert_true(certificate_has_address(&list.items[0], "info@xn--bcher-kva.example"));
        assert_true(certificate_has_address(&list.items[0], "zoë@bücher.example"));
        assert_false(certificate_has_address(&list.items[0], "zoe@example.com"));
        assert_strict(&list.items[0]);
}

static void impossible_templates_are_refused(void **state)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        CLEANUP(buf_done) struct buf name = BUF_NONE, spki = BUF_NONE;
        struct buf none = BUF_NONE;
        uint8_t serial[SERIAL_SIZE] = {1};

        assert_int_equal(pkey_generate(PKEY_ED25519, &key), 0);
        assert_int_equal(pkey_to_spki(key, &spki), 0);
        name_write(&name, &(struct name_attributes){.common_name = "x"});
        const struct cert_template good = {.profile = CERT_USER_SIGNATURE,
                                           .serial = serial,
                                           .not_before = 0,
                                           .not_after = 1,
                                           .subject = buf_view(&name),
                                           .spki = buf_view(&spki),
                                           .issuer = buf_view(&name),
                                           .issuer_key_id = ca.key_id};
        struct cert_template t = good;
        assert_int_equal(certificate_make(&t, ca.key, &none), 0);
        buf_done(&none);
        t.not_after = 0;
        assert_int_equal(certificate_make(&t, ca.key, &none), PROBLEM_MALFORMED);
        t = good;
        t.profile = CERT_USER_ENCRYPTION;
        assert_int_equal(certificate_make(&t, ca.key, &none), PROBLEM_MALFORMED);
        t = good;
        t.policy = "1.2.x";
        assert_int_equal(certificate_make(&t, ca.key, &none), PROBLEM_MALFORMED);
        t = good;
        t.subject = bytes_of("\x30\x00", 2);
        assert_int_equal(certificate_make(&t, ca.key, &none), PROBLEM_MALFORMED);
        t = good;
        t.spki = bytes_of(spki.data, spki.len - 1);
        assert_int_equal(certificate_make(&t, ca.key, &none), PROBLEM_MALFORMED);
        assert_null(none.data);
}

/* No prefix, no altered byte and no additional byte crashes; what still parses is the same certificate but for its
 * values. */
static void altered_certificates_are_handled(void **state)
{
        CLEANUP(buf_done) struct buf der = buf_copy_of(buf_view(&ca.issuing.items[0].der));

        for (size_t len = 0; len < der.len; len++) {
                struct certificate certificate;
                assert_int_equal(certificate_parse(bytes_of(der.data, len), &certificate), PROBLEM_MALFORMED);
        }
        for (size_t i = 0; i < der.len; i++)
                for (unsigned bit = 0; bit < 8; bit++) {
                        struct certificate certificate = {0};

                        der.data[i] ^= (uint8_t)(1u << bit);
                        int result = certificate_parse(buf_view(&der), &certificate);
                        assert_true(result == 0 || result == PROBLEM_MALFORMED || result == PROBLEM_UNSUPPORTED);
                        if (result == 0) {
                                struct chain_query query = {&certificate, NULL, &ca.root, TEST_NOW, CHAIN_ANY};
                                if (i % 16 == 0)
                                        assert_true(chain_verify(&query, NULL) > 0);
                        }
                        certificate_done(&certificate);
                        der.data[i] ^= (uint8_t)(1u << bit);
                }
        buf_add_byte(&der, 0);
        struct certificate certificate;
        assert_int_equal(certificate_parse(buf_view(&der), &certificate), PROBLEM_MALFORMED);
}

static int verify_at(const struct certificate *leaf, int64_t at, enum chain_purpose purpose,
                     const struct certificate **ret_issuer)
{
        return chain_verify(&(struct chain_query){leaf, &ca.issuing, &ca.root, at, purpose}, ret_issuer);
}

static void chains_are_verified(void **state)
{
        CLEANUP(cert_list_done) struct cert_list list = {0}, none = {0};
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *sign = test_user(&ca, CERT_USER_SIGNATURE, PKEY_P256, "a@b.example", &list);
        CLEANUP(EVP_PKEY_freep)
        EVP_PKEY *encrypt = test_user(&ca, CERT_USER_ENCRYPTION, PKEY_P256, "a@b.example", &list);
        const struct certificate *issuer = NULL, *signer = &list.items[0], *recipient = &list.items[1];

        assert_int_equal(verify_at(signer, TEST_NOW, CHAIN_MAIL_SIGNER, &issuer), 0);
        assert_ptr_equal(issuer, &ca.issuing.items[0]);
        assert_int_equal(verify_at(recipient, TEST_NOW, CHAIN_MAIL_RECIPIENT, NULL), 0);
        assert_int_equal(verify_at(signer, TEST_NOW, CHAIN_MAIL_RECIPIENT, NULL), PROBLEM_MAIL_UNVERIFIED);
        assert_int_equal(verify_at(recipient, TEST_NOW, CHAIN_MAIL_SIGNER, NULL), PROBLEM_MAIL_UNVERIFIED);
        assert_int_equal(verify_at(signer, TEST_NOW + 400 * 86400, CHAIN_MAIL_SIGNER, NULL), PROBLEM_MAIL_EXPIRED);
        assert_int_equal(verify_at(signer, TEST_NOW - 2 * 86400, CHAIN_MAIL_SIGNER, NULL), PROBLEM_MAIL_EXPIRED);
        assert_int_equal(chain_verify(&(struct chain_query){signer, NULL, &ca.root, TEST_NOW, CHAIN_MAIL_SIGNER}, NULL),
                         PROBLEM_MAIL_UNVERIFIED);
        assert_int_equal(
                chain_verify(&(struct chain_query){signer, &ca.issuing, &none, TEST_NOW, CHAIN_MAIL_SIGNER}, NULL),
                PROBLEM_MAIL_UNVERIFIED);
        /* Another CA of the same name, and a chain that is expired and wrong: wrong is what counts. */
        struct test_ca other = test_ca_new(PKEY_P256);
        struct chain_query query = {signer, &other.issuing, &other.root, TEST_NOW + 400 * 86400, CHAIN_MAIL_SIGNER};
        assert_int_equal(chain_verify(&query, NULL), PROBLEM_MAIL_UNVERIFIED);
        test_ca_done(&other);
        /* A user's certificate is no CA's. */
        CLEANUP(cert_list_done) struct cert_list forged = {0};
        struct cert_template tmpl = {.profile = CERT_USER_SIGNATURE,
                                     .subject = signer->subject,
                                     .issuer = signer->subject,
                                     .issuer_key_id = signer->subject_key_id.data};
        test_cert(&ca, &tmpl, encrypt, sign, &forged);
        CLEANUP(cert_list_done) struct cert_list hints = {0};
        assert_int_equal(cert_list_add(&hints, buf_view(&signer->der)), 0);
        assert_int_equal(cert_list_add(&hints, buf_view(&ca.issuing.items[0].der)), 0);
        query = (struct chain_query){&forged.items[0], &hints, &ca.root, TEST_NOW, CHAIN_MAIL_SIGNER};
        assert_int_equal(chain_verify(&query, NULL), PROBLEM_MAIL_UNVERIFIED);
}

/* The certificate with one more extension, without a new signature. */
static int parse_with(const struct certificate *certificate, struct bytes extension, struct bytes outer_algorithm)
{
        CLEANUP(buf_done) struct buf der = BUF_NONE;
        CLEANUP(certificate_done) struct certificate parsed = {0};
        struct bytes cursor, part, wrapper, extensions;
        size_t all = der_begin(&der, DER_SEQUENCE), tbs = der_begin(&der, DER_SEQUENCE), outer, inner;
        uint8_t tag;

        assert_int_equal(der_read_only(certificate->tbs, DER_SEQUENCE, &cursor), 0);
        while (!der_is(cursor, DER_CONTEXT_CONSTRUCTED(3))) {
                assert_int_equal(der_read_any(&cursor, &tag, &part), 0);
                der_add(&der, tag, part);
        }
        assert_int_equal(der_read(&cursor, DER_CONTEXT_CONSTRUCTED(3), &wrapper), 0);
        assert_int_equal(der_read(&wrapper, DER_SEQUENCE, &extensions), 0);
        outer = der_begin(&der, DER_CONTEXT_CONSTRUCTED(3));
        inner = der_begin(&der, DER_SEQUENCE);
        buf_add_bytes(&der, extensions);
        buf_add_bytes(&der, extension);
        der_end(&der, inner);
        der_end(&der, outer);
        der_end(&der, tbs);
        buf_add_bytes(&der, outer_algorithm);
        der_add_bits(&der, certificate->signature);
        der_end(&der, all);
        return certificate_parse(buf_view(&der), &parsed);
}

static void strange_extensions_are_refused(void **state)
{
        static const char unknown[] = "\x30\x0a\x06\x03\x2a\x03\x04\x04\x03\x04\x01\x00";
        static const char critical[] = "\x30\x0d\x06\x03\x2a\x03\x04\x01\x01\xff\x04\x03\x04\x01\x00";
        static const char not_critical[] = "\x30\x0d\x06\x03\x2a\x03\x04\x01\x01\x01\x04\x03\x04\x01\x00";
        static const char second_usage[] = "\x30\x0b\x06\x03\x55\x1d\x0f\x04\x04\x03\x02\x05\xa0";
        const struct certificate *c = &ca.issuing.items[0];
        CLEANUP(buf_done) struct buf rsa = BUF_NONE;

        assert_int_equal(parse_with(c, BYTES_NONE, c->signature_algorithm), 0);
        assert_int_equal(parse_with(c, bytes_of(unknown, sizeof(unknown) - 1), c->signature_algorithm), 0);
        assert_int_equal(parse_with(c, bytes_of(critical, sizeof(critical) - 1), c->signature_algorithm),
                         PROBLEM_UNSUPPORTED);
        assert_int_equal(parse_with(c, bytes_of(not_critical, sizeof(not_critical) - 1), c->signature_algorithm),
                         PROBLEM_MALFORMED);
        assert_int_equal(parse_with(c, bytes_of(second_usage, sizeof(second_usage) - 1), c->signature_algorithm),
                         PROBLEM_MALFORMED);
        der_add_signature_algorithm(&rsa, PKEY_RSA2048);
        assert_int_equal(parse_with(c, BYTES_NONE, buf_view(&rsa)), PROBLEM_MALFORMED);
}

static void serial_numbers_have_one_length(void **state)
{
        for (int i = 0; i < 200; i++) {
                uint8_t serial[SERIAL_SIZE];

                serial_random(serial);
                assert_int_equal(serial[0] & 0xc0, 0x40);
        }
}

/* The list with `x509`, signed anew. */
static void resigned(X509 *x509, EVP_PKEY *key, struct cert_list *list)
{
        unsigned char *der = NULL;

        assert_true(X509_sign(x509, key, EVP_sha256()) > 0);
        int len = i2d_X509(x509, &der);
        assert_int_equal(cert_list_add(list, bytes_of(der, (size_t)len)), 0);
        OPENSSL_free(der);
        X509_free(x509);
}

static void weak_and_misused_chains_are_refused(void **state)
{
        CLEANUP(cert_list_done) struct cert_list list = {0}, weak = {0}, servers = {0};
        CLEANUP(EVP_PKEY_freep)
        EVP_PKEY *key = test_user(&ca, CERT_USER_SIGNATURE, PKEY_P256, "a@b.example", &list),
                 *small = EVP_RSA_gen(1024);
        X509 *x509 = x509_of(&list.items[0]);

        X509_set_pubkey(x509, small);
        resigned(x509, ca.key, &weak);
        assert_int_equal(verify_at(&weak.items[0], TEST_NOW, CHAIN_MAIL_SIGNER, NULL), PROBLEM_MAIL_UNVERIFIED);
        /* An issuer that is for servers only does not vouch for mail. */
        x509 = x509_of(&ca.issuing.items[0]);
        X509_EXTENSION *usage = X509V3_EXT_conf_nid(NULL, NULL, NID_ext_key_usage, "serverAuth");
        X509_add_ext(x509, usage, -1);
        X509_EXTENSION_free(usage);
        resigned(x509, ca.root_key, &servers);
        struct chain_query query = {&list.items[0], &servers, &ca.root, TEST_NOW, CHAIN_MAIL_SIGNER};
        assert_int_equal(chain_verify(&query, NULL), PROBLEM_MAIL_UNVERIFIED);
        query.purpose = CHAIN_ANY;
        assert_int_equal(chain_verify(&query, NULL), 0);
}

static void pem_lists_are_read(void **state)
{
        CLEANUP(cert_list_done) struct cert_list list = {0};
        CLEANUP(buf_done) struct buf pem = BUF_NONE;

        certificate_add_pem(&pem, buf_view(&ca.root.items[0].der));
        buf_add_text(&pem, "between\n");
        certificate_add_pem(&pem, buf_view(&ca.issuing.items[0].der));
        assert_int_equal(cert_list_add_pem(&list, buf_view(&pem)), 0);
        assert_int_equal(list.count, 2);
        assert_true(bytes_equal(buf_view(&list.items[1].der), buf_view(&ca.issuing.items[0].der)));
        assert_int_equal(cert_list_add_pem(&list, buf_view(&ca.root.items[0].der)), 0);
        assert_int_equal(cert_list_add_pem(&list, bytes_text("")), PROBLEM_MALFORMED);
        assert_int_equal(
                cert_list_add_pem(&list, bytes_text("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")),
                PROBLEM_MALFORMED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(profiles_are_correct),
                cmocka_unit_test(servers_have_names),
                cmocka_unit_test(addresses_come_back_as_keys),
                cmocka_unit_test(impossible_templates_are_refused),
                cmocka_unit_test(altered_certificates_are_handled),
                cmocka_unit_test(chains_are_verified),
                cmocka_unit_test(strange_extensions_are_refused),
                cmocka_unit_test(serial_numbers_have_one_length),
                cmocka_unit_test(weak_and_misused_chains_are_refused),
                cmocka_unit_test(pem_lists_are_read),
        };
        return cmocka_run_group_tests(tests, setup, teardown);
}
