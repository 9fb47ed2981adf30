/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a folder full of what src/crypto makes (certificates, requests, lists, PKCS#12, envelopes), for other programs
 * to read. */
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "crypto/crl.h"
#include "crypto/csr.h"
#include "crypto/envelope.h"
#include "crypto/pkcs12.h"
#include "crypto/test-pki.h"

enum { USERS = 4 };

static void put(const char *name, struct bytes content)
{
        test_must(file_write(name, content, 0600));
}

static void put_pem(const char *name, const struct certificate *certificate)
{
        CLEANUP(buf_done) struct buf pem = BUF_NONE;

        certificate_add_pem(&pem, buf_view(&certificate->der));
        put(name, buf_view(&pem));
}

static void put_key(const char *name, const EVP_PKEY *key)
{
        CLEANUP(secret_done) struct secret pkcs8 = SECRET_NONE;

        test_must(pkey_to_pkcs8(key, &pkcs8));
        put(name, secret_view(&pkcs8));
}

static void put_p12(const char *name, const struct pkcs12_entry *entries, size_t count, enum pkcs12_profile profile)
{
        CLEANUP(secret_done) struct secret password = secret_copy(bytes_text("secret"));
        CLEANUP(buf_done) struct buf der = BUF_NONE;

        test_must(pkcs12_write(entries, count, profile, &password, &der));
        put(name, buf_view(&der));
}

static void put_files(const struct test_ca *ca, EVP_PKEY **keys, const struct cert_list *list)
{
        struct bytes issuing = buf_view(&ca->issuing.items[0].der), root = buf_view(&ca->root.items[0].der);
        struct pkcs12_entry all[] = {{keys[0], buf_view(&list->items[0].der), "Zoë signature"},
                                     {keys[1], buf_view(&list->items[1].der), "Zoë encryption"},
                                     {keys[2], buf_view(&list->items[2].der), "Zoë former"},
                                     {NULL, issuing, NULL},
                                     {NULL, root, NULL}};
        struct pkcs12_entry rsa[] = {all[1], all[3], all[4]}, own_root = {ca->root_key, root, "Example Root"};

        put_p12("all-modern.p12", all, ARRAY_LEN(all), PKCS12_MODERN);
        put_p12("all-legacy.p12", all, ARRAY_LEN(all), PKCS12_LEGACY);
        put_p12("rsa-modern.p12", rsa, ARRAY_LEN(rsa), PKCS12_MODERN);
        put_p12("rsa-legacy.p12", rsa, ARRAY_LEN(rsa), PKCS12_LEGACY);
        put_p12("root.p12", &own_root, 1, PKCS12_MODERN);
}

static void put_list(const struct test_ca *ca, const struct certificate *revoked)
{
        CLEANUP(buf_done) struct buf der = BUF_NONE;
        struct crl_entry entry = {.time = TEST_NOW, .reason = 1};
        struct crl_template tmpl = {.issuer = ca->issuing.items[0].subject,
                                    .issuer_key_id = ca->key_id,
                                    .issuer_type = PKEY_P256,
                                    .this_update = TEST_NOW - 60,
                                    .next_update = TEST_NOW + 86400,
                                    .number = 12,
                                    .distribution_url = TEST_CRL,
                                    .entries = &entry,
                                    .entry_count = 1};

        memcpy(entry.serial, revoked->serial.data, SERIAL_SIZE);
        test_must(crl_make(&tmpl, ca->key, &der));
        put("list.crl", buf_view(&der));
}

static void put_envelopes(void)
{
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE, plain = secret_copy(bytes_text("a private key\n"));
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        struct point point;

        test_must(scalar_random(&scalar));
        test_must(point_of_scalar(&scalar, &point));
        test_must(pkey_from_scalar(&scalar, &key));
        put_key("recipient.key", key);
        for (enum envelope_kind kind = ENVELOPE_GCM; kind <= ENVELOPE_CBC; kind++) {
                CLEANUP(buf_done) struct buf der = BUF_NONE;

                test_must(envelope_seal(&point, &plain, kind, &der));
                put(kind == ENVELOPE_GCM ? "gcm.cms" : "cbc.cms", buf_view(&der));
        }
}

int main(int argc, char **argv)
{
        static const struct {
                enum cert_profile profile;
                enum pkey_type type;
                const char *address, *file;
        } users[USERS] = {
                {CERT_USER_SIGNATURE, PKEY_P256, "zoe@example.org", "signature.pem"},
                {CERT_USER_ENCRYPTION, PKEY_RSA3072, "zoe@example.org", "rsa.pem"},
                {CERT_USER_ENCRYPTION, PKEY_P256, "zoe@example.org", "ec.pem"},
                {CERT_USER_SIGNATURE, PKEY_P256, "zoë@bücher.example", "international.pem"},
        };
        CLEANUP(buf_done) struct buf csr = BUF_NONE;
        struct cert_list list = {0};
        struct test_ca ca;
        EVP_PKEY *keys[USERS];

        if (argc != 2 || chdir(argv[1]) != 0) {
                fprintf(stderr, "usage: pki-sample FOLDER\n");
                return 2;
        }
        ca = test_ca_new(PKEY_P256);
        put_pem("root.pem", &ca.root.items[0]);
        put_pem("issuing.pem", &ca.issuing.items[0]);
        for (size_t i = 0; i < USERS; i++) {
                keys[i] = test_user(&ca, users[i].profile, users[i].type, users[i].address, &list);
                put_pem(users[i].file, &list.items[i]);
        }
        put_key("signature.key", keys[0]);
        test_must(csr_make(keys[0], list.items[0].subject, &csr));
        put("request.csr", buf_view(&csr));
        put_files(&ca, keys, &list);
        put_list(&ca, &list.items[2]);
        put_envelopes();
        for (size_t i = 0; i < USERS; i++)
                EVP_PKEY_free(keys[i]);
        cert_list_done(&list);
        test_ca_done(&ca);
        return 0;
}
