/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast src/crypto makes and reads certificates, requests, lists and envelopes, and next to each how fast OpenSSL's
 * own objects do the same, in a second of processor time. With --json an object a line, as bench/run.py wants it.
 */
#include <stdio.h>

#include <openssl/cms.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "bench.h"
#include "crypto/crl.h"
#include "crypto/csr.h"
#include "crypto/envelope.h"
#include "crypto/test-pki.h"

enum { ENTRIES = 1000000, PEER_ENTRIES = 50000 };

static struct {
        struct test_ca ca;
        EVP_PKEY *user_key;
        struct buf spki, name, csr, list, envelope, cms;
        struct cert_list user; /* certified for encryption by key agreement */
        X509 *user_x509, *issuer_x509;
        struct secret scalar, plain;
        struct point point;
        struct crl_entry *entries;
        bool json;
} b;

static void check(bool good)
{
        if (!good) {
                fprintf(stderr, "bench-crypto: %s\n", report_text());
                exit(3);
        }
}

static void print(const char *name, const char *unit, double value, double peer)
{
        if (b.json)
                printf("{\"name\": \"%s\", \"value\": %.0f, \"unit\": \"%s\", \"peer\": \"OpenSSL's objects\", "
                       "\"ratio\": %.2f}\n",
                       name, value, unit, value / peer);
        else
                printf("%-48s %12.0f %-16s %8.2f × OpenSSL's objects\n", name, value, unit, value / peer);
        fflush(stdout);
}

/* ---- certificates */

static void cert_ours(void)
{
        CLEANUP(buf_done) struct buf der = BUF_NONE;
        const char *address = "zoe@example.org";
        uint8_t serial[SERIAL_SIZE];

        serial_random(serial);
        check(certificate_make(&(struct cert_template){.profile = CERT_USER_SIGNATURE,
                                                       .serial = serial,
                                                       .not_before = TEST_NOW,
                                                       .not_after = TEST_NOW + 86400,
                                                       .subject = buf_view(&b.name),
                                                       .spki = buf_view(&b.spki),
                                                       .issuer = b.ca.issuing.items[0].subject,
                                                       .issuer_key_id = b.ca.key_id,
                                                       .addresses = &address,
                                                       .address_count = 1,
                                                       .crl_url = TEST_CRL,
                                                       .ca_issuers_url = TEST_CA},
                               b.ca.key, &der) == 0);
}

static void cert_openssl(void)
{
        static const struct {
                int nid;
                const char *value;
        } extensions[] = {{NID_key_usage, "critical,digitalSignature,nonRepudiation"},
                          {NID_ext_key_usage, "emailProtection"},
                          {NID_subject_key_identifier, "hash"},
                          {NID_authority_key_identifier, "keyid"},
                          {NID_subject_alt_name, "email:zoe@example.org"},
                          {NID_crl_distribution_points, "URI:" TEST_CRL},
                          {NID_info_access, "caIssuers;URI:" TEST_CA}};
        CLEANUP(X509_freep) X509 *x509 = X509_new();
        uint8_t serial[SERIAL_SIZE];
        unsigned char *der = NULL;
        BIGNUM *number;
        X509V3_CTX ctx;

        serial_random(serial);
        number = BN_bin2bn(serial, SERIAL_SIZE, NULL);
        X509_set_version(x509, 2);
        BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509));
        BN_free(number);
        X509_set_issuer_name(x509, X509_get_subject_name(b.issuer_x509));
        X509_set_subject_name(x509, X509_get_subject_name(b.user_x509));
        ASN1_TIME_set(X509_getm_notBefore(x509), TEST_NOW);
        ASN1_TIME_set(X509_getm_notAfter(x509), TEST_NOW + 86400);
        X509_set_pubkey(x509, b.user_key);
        X509V3_set_ctx(&ctx, b.issuer_x509, x509, NULL, NULL, 0);
        for (size_t i = 0; i < ARRAY_LEN(extensions); i++) {
                X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, extensions[i].nid, extensions[i].value);
                check(X509_add_ext(x509, extension, -1) == 1);
                X509_EXTENSION_free(extension);
        }
        check(X509_sign(x509, b.ca.key, crypto_sha256()) > 0 && i2d_X509(x509, &der) > 0);
        OPENSSL_free(der);
}

static void cert_parse_ours(void)
{
        CLEANUP(certificate_done) struct certificate certificate = {0};
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;

        check(certificate_parse(buf_view(&b.user.items[0].der), &certificate) == 0 &&
              pkey_from_spki(certificate.spki, &key) == 0);
}

static void cert_parse_openssl(void)
{
        const unsigned char *at = b.user.items[0].der.data;
        CLEANUP(X509_freep) X509 *x509 = d2i_X509(NULL, &at, (long)b.user.items[0].der.len);

        check(x509 && X509_get0_pubkey(x509) && X509_check_purpose(x509, -1, 0) == 1);
}

/* ---- requests */

static void csr_ours(void)
{
        struct csr csr;

        check(csr_verify(buf_view(&b.csr), &csr, NULL) == 0);
}

static void csr_openssl(void)
{
        const unsigned char *at = b.csr.data;
        X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)b.csr.len);

        check(request && X509_REQ_verify(request, X509_REQ_get0_pubkey(request)) == 1);
        X509_REQ_free(request);
}

/* ---- keys */

static void key_ours(void)
{
        CLEANUP(secret_done) struct secret pkcs8 = SECRET_NONE;
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        CLEANUP(buf_done) struct buf spki = BUF_NONE;

        check(pkey_generate(PKEY_P256, &key) == 0 && pkey_to_pkcs8(key, &pkcs8) == 0 && pkey_to_spki(key, &spki) == 0);
}

static void key_openssl(void)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = EVP_EC_gen("P-256");
        CLEANUP(PKCS8_PRIV_KEY_INFO_freep) PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
        unsigned char *pkcs8 = NULL, *spki = NULL;

        check(i2d_PKCS8_PRIV_KEY_INFO(info, &pkcs8) > 0 && i2d_PUBKEY(key, &spki) > 0);
        OPENSSL_free(pkcs8);
        OPENSSL_free(spki);
}

/* ---- lists */

static void crl_ours(void)
{
        struct crl_template tmpl = {.issuer = b.ca.issuing.items[0].subject,
                                    .issuer_key_id = b.ca.key_id,
                                    .issuer_type = PKEY_P256,
                                    .this_update = TEST_NOW,
                                    .next_update = TEST_NOW + 86400,
                                    .number = 1,
                                    .entries = b.entries,
                                    .entry_count = ENTRIES};

        buf_done(&b.list);
        check(crl_make(&tmpl, b.ca.key, &b.list) == 0);
}

static void crl_openssl(void)
{
        X509_CRL *list = X509_CRL_new();
        unsigned char *der = NULL;
        ASN1_TIME *time = ASN1_TIME_set(NULL, TEST_NOW);

        X509_CRL_set_version(list, 1);
        X509_CRL_set_issuer_name(list, X509_get_subject_name(b.issuer_x509));
        X509_CRL_set1_lastUpdate(list, time);
        X509_CRL_set1_nextUpdate(list, time);
        for (size_t i = 0; i < PEER_ENTRIES; i++) {
                X509_REVOKED *revoked = X509_REVOKED_new();
                BIGNUM *number = BN_bin2bn(b.entries[i].serial, SERIAL_SIZE, NULL);
                ASN1_INTEGER *serial = BN_to_ASN1_INTEGER(number, NULL);
                ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();

                ASN1_ENUMERATED_set(reason, 1);
                X509_REVOKED_set_serialNumber(revoked, serial);
                X509_REVOKED_set_revocationDate(revoked, time);
                X509_REVOKED_add1_ext_i2d(revoked, NID_crl_reason, reason, 0, 0);
                X509_CRL_add0_revoked(list, revoked);
                ASN1_ENUMERATED_free(reason);
                ASN1_INTEGER_free(serial);
                BN_free(number);
        }
        check(X509_CRL_sign(list, b.ca.key, crypto_sha256()) > 0 && i2d_X509_CRL(list, &der) > 0);
        OPENSSL_free(der);
        ASN1_TIME_free(time);
        X509_CRL_free(list);
}

static void crl_read_ours(void)
{
        struct crl_entry found;
        struct crl crl;

        check(crl_parse(buf_view(&b.list), &crl) == 0 && crl_verify(&crl, &b.ca.issuing.items[0]) == 0 &&
              crl_find(&crl, bytes_of(b.entries[ENTRIES - 1].serial, SERIAL_SIZE), &found) == 0);
}

static void crl_read_openssl(void)
{
        static struct buf small;
        X509_REVOKED *found;

        if (!small.len) {
                struct crl_template tmpl = {.issuer = b.ca.issuing.items[0].subject,
                                            .issuer_key_id = b.ca.key_id,
                                            .issuer_type = PKEY_P256,
                                            .this_update = TEST_NOW,
                                            .next_update = TEST_NOW + 86400,
                                            .number = 1,
                                            .entries = b.entries,
                                            .entry_count = PEER_ENTRIES};
                check(crl_make(&tmpl, b.ca.key, &small) == 0);
        }
        const unsigned char *at = small.data;
        X509_CRL *list = d2i_X509_CRL(NULL, &at, (long)small.len);
        BIGNUM *number = BN_bin2bn(b.entries[PEER_ENTRIES - 1].serial, SERIAL_SIZE, NULL);
        ASN1_INTEGER *serial = BN_to_ASN1_INTEGER(number, NULL);

        check(list && X509_CRL_verify(list, b.ca.key) == 1 && X509_CRL_get0_by_serial(list, &found, serial) == 1);
        ASN1_INTEGER_free(serial);
        BN_free(number);
        X509_CRL_free(list);
}

/* ---- envelopes */

static void seal_ours(void)
{
        buf_done(&b.envelope);
        check(envelope_seal(&b.point, &b.plain, ENVELOPE_GCM, &b.envelope) == 0);
}

static void seal_openssl(void)
{
        static EVP_CIPHER *cipher;
        CLEANUP(BIO_free_allp) BIO *in = BIO_new_mem_buf(b.plain.data, (int)b.plain.len);
        CMS_ContentInfo *cms =
                CMS_encrypt(NULL, in, cipher ? cipher : (cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL)),
                            CMS_BINARY | CMS_PARTIAL);
        unsigned char *der = NULL;
        int len;

        check(cms && CMS_add1_recipient_cert(cms, b.user_x509, CMS_KEY_PARAM) &&
              CMS_final(cms, in, NULL, CMS_BINARY) == 1);
        len = i2d_CMS_ContentInfo(cms, &der);
        check(len > 0);
        buf_done(&b.cms);
        b.cms = buf_copy_of(bytes_of(der, (size_t)len));
        OPENSSL_free(der);
        CMS_ContentInfo_free(cms);
}

static void open_ours(void)
{
        CLEANUP(secret_done) struct secret plain = SECRET_NONE;

        check(envelope_open(&b.scalar, buf_view(&b.envelope), &plain) == 0);
}

static void open_openssl(void)
{
        CLEANUP(BIO_free_allp) BIO *out = BIO_new(BIO_s_mem());
        const unsigned char *at = b.cms.data;
        CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &at, (long)b.cms.len);

        check(cms && CMS_decrypt(cms, b.user_key, b.user_x509, NULL, out, 0) == 1);
        CMS_ContentInfo_free(cms);
}

static void prepare(void)
{
        b.ca = test_ca_new(PKEY_P256);
        b.user_key = test_user(&b.ca, CERT_USER_ENCRYPTION, PKEY_P256, "zoe@example.org", &b.user);
        name_write(&b.name, &(struct name_attributes){.common_name = "Zoë Ångström", .organization = "Example"});
        check(pkey_to_spki(b.user_key, &b.spki) == 0 && csr_make(b.user_key, buf_view(&b.name), &b.csr) == 0);
        check(certificate_to_x509(&b.user.items[0], &b.user_x509) == 0 &&
              certificate_to_x509(&b.ca.issuing.items[0], &b.issuer_x509) == 0);
        check(pkey_to_scalar(b.user_key, &b.scalar) == 0 && point_of_scalar(&b.scalar, &b.point) == 0);
        b.plain = secret_random(1794); /* RSA-3072 as PKCS#8 */
        b.entries = mem_array(ENTRIES, sizeof(*b.entries));
        for (size_t i = 0; i < ENTRIES; i++) {
                memcpy(b.entries[i].serial, &(uint64_t[2]){0x40 | i << 8, i * 0x9e3779b97f4a7c15u}, SERIAL_SIZE);
                b.entries[i].time = TEST_NOW - (int64_t)i;
                b.entries[i].reason = 1;
        }
}

int main(int argc, char **argv)
{
        b.json = argc > 1 && strcmp(argv[1], "--json") == 0;
        prepare();
        print("certificate, P-256: make and sign", "certificates/s", rate(cert_ours, 1), rate(cert_openssl, 1));
        print("certificate, P-256: read with its key", "certificates/s", rate(cert_parse_ours, 1),
              rate(cert_parse_openssl, 1));
        print("request, P-256: read and verify", "requests/s", rate(csr_ours, 1), rate(csr_openssl, 1));
        print("key pair, P-256: make, PKCS#8, SPKI", "keys/s", rate(key_ours, 1), rate(key_openssl, 1));
        print("revocation list of 1,000,000: make and sign", "entries/s", rate(crl_ours, ENTRIES),
              rate(crl_openssl, PEER_ENTRIES));
        print("revocation list of 1,000,000: verify and find", "entries/s", rate(crl_read_ours, ENTRIES),
              rate(crl_read_openssl, PEER_ENTRIES));
        print("envelope, GCM, RSA-3072 key: seal", "envelopes/s", rate(seal_ours, 1), rate(seal_openssl, 1));
        print("envelope, GCM, RSA-3072 key: open", "envelopes/s", rate(open_ours, 1), rate(open_openssl, 1));
        return 0;
}
