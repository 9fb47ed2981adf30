/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * PKCS#12 files (RFC 7292, RFC 9579's warnings heeded): private keys and certificates for other programs.
 *
 *   modern  PBES2 with PBKDF2-HMAC-SHA256 and AES-256-CBC, MAC with SHA-256: everything of today
 *   legacy  SHA1-3DES for keys and certificates, MAC with SHA-1: old Apple, gpgsm 2.2; needs no legacy provider
 *
 * Entries are written in the order given: the leaf and its key first. A key has the localKeyID of its certificate
 * (SHA-1 of the certificate, as all programs expect).
 */
#include "base/secret.h"
#include "crypto/pkey.h"

enum pkcs12_profile { PKCS12_MODERN, PKCS12_LEGACY };

/* Borrowed. A key goes with the certificate; without one it is a CA certificate. */
struct pkcs12_entry {
        EVP_PKEY *key;
        struct bytes certificate;
        const char *friendly_name; /* UTF-8 or NULL; what its UCS-2 cannot hold becomes U+FFFD */
};

enum { PKCS12_MOST = 16 * 1024 * 1024 };

int pkcs12_write(const struct pkcs12_entry *entries, size_t count, enum pkcs12_profile profile,
                 const struct secret *password, struct buf *ret_der) must_check;

struct pkcs12_item {
        EVP_PKEY *key; /* or NULL */
        struct buf certificate;
        char *friendly_name; /* or NULL */
};
struct pkcs12_content {
        struct pkcs12_item *items;
        size_t count;
};
/* PROBLEM_MALFORMED, PROBLEM_UNSUPPORTED, PROBLEM_PASSWORD (its MAC does not verify). Keys without a certificate are
 * left out. */
int pkcs12_read(struct bytes der, const struct secret *password, struct pkcs12_content *ret_content) must_check;
void pkcs12_content_done(struct pkcs12_content *content);
