/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A small PKI for tests: a root, an issuing CA, and certificates of it. Aborts when something does not work. */
#include <stdlib.h>

#include "crypto/certificate.h"
#include "crypto/name.h"

#define TEST_NOW   ((int64_t)1800000000) /* 2027-01-15 */
#define TEST_CRL   "http://kms.example.org/crl/1.crl"
#define TEST_CA    "http://kms.example.org/ca/1.cer"

struct test_ca {
        EVP_PKEY *root_key, *key;
        struct cert_list root, issuing; /* one each */
        uint8_t key_id[KEY_ID_SIZE];
};

static inline void test_must(int result)
{
        if (result)
                abort();
}

static inline void test_cert(const struct test_ca *ca, struct cert_template *tmpl, EVP_PKEY *subject_key,
                             EVP_PKEY *issuer_key, struct cert_list *list)
{
        CLEANUP(buf_done) struct buf spki = BUF_NONE, der = BUF_NONE;
        uint8_t serial[SERIAL_SIZE];

        serial_random(serial);
        test_must(pkey_to_spki(subject_key, &spki));
        tmpl->spki = buf_view(&spki);
        tmpl->serial = serial;
        if (!tmpl->not_after) {
                tmpl->not_before = TEST_NOW - 86400;
                tmpl->not_after = TEST_NOW + 365 * 86400;
        }
        if (!tmpl->issuer.len) {
                tmpl->issuer = ca->issuing.items[0].subject;
                tmpl->issuer_key_id = ca->key_id;
        }
        test_must(certificate_make(tmpl, issuer_key, &der));
        test_must(cert_list_add(list, buf_view(&der)));
}

static inline struct test_ca test_ca_new(enum pkey_type type)
{
        struct test_ca ca = {0};
        CLEANUP(buf_done) struct buf root_name = BUF_NONE, name = BUF_NONE, spki = BUF_NONE;
        uint8_t root_id[KEY_ID_SIZE];

        test_must(pkey_generate(type, &ca.root_key));
        test_must(pkey_generate(type, &ca.key));
        name_write(&root_name, &(struct name_attributes){.common_name = "Example Root", .organization = "Example"});
        name_write(&name, &(struct name_attributes){.common_name = "Example CA 1", .organization = "Example"});
        test_cert(&ca,
                  &(struct cert_template){
                          .profile = CERT_ROOT, .subject = buf_view(&root_name), .issuer = buf_view(&root_name)},
                  ca.root_key, ca.root_key, &ca.root);
        test_must(pkey_to_spki(ca.root_key, &spki));
        test_must(spki_key_id(buf_view(&spki), root_id));
        test_cert(&ca,
                  &(struct cert_template){.profile = CERT_ISSUING,
                                          .subject = buf_view(&name),
                                          .issuer = buf_view(&root_name),
                                          .issuer_key_id = root_id,
                                          .crl_url = TEST_CRL,
                                          .ca_issuers_url = TEST_CA},
                  ca.key, ca.root_key, &ca.issuing);
        buf_done(&spki);
        test_must(pkey_to_spki(ca.key, &spki));
        test_must(spki_key_id(buf_view(&spki), ca.key_id));
        return ca;
}

/* A certificate for a user's new key, appended to the list. */
static inline EVP_PKEY *test_user(const struct test_ca *ca, enum cert_profile profile, enum pkey_type type,
                                  const char *address, struct cert_list *list)
{
        CLEANUP(buf_done) struct buf name = BUF_NONE;
        EVP_PKEY *key = NULL;

        test_must(pkey_generate(type, &key));
        name_write(&name, &(struct name_attributes){.common_name = "Zoë Ångström, 😀"});
        test_cert(ca,
                  &(struct cert_template){.profile = profile,
                                          .subject = buf_view(&name),
                                          .addresses = &address,
                                          .address_count = 1,
                                          .crl_url = TEST_CRL,
                                          .ca_issuers_url = TEST_CA},
                  key, ca->key, list);
        return key;
}

static inline void test_ca_done(struct test_ca *ca)
{
        EVP_PKEY_free(ca->root_key);
        EVP_PKEY_free(ca->key);
        cert_list_done(&ca->root);
        cert_list_done(&ca->issuing);
}
