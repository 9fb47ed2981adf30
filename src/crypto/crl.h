/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Certificate revocation lists (RFC 5280 5), version 2, written and read as DER directly: with a million entries,
 * objects of OpenSSL's take seconds and hundreds of megabytes.
 *
 * Extensions written: authorityKeyIdentifier, cRLNumber, issuingDistributionPoint (critical) if a URL is given, and
 * expiredCertsOnCRL (X.509 9.5.2.8) if what is revoked stays on the list when it has expired; entries have reasonCode unless it is unspecified (0). Lists that are read must be complete (no delta), direct (no
 * indirect entries) and for all reasons.
 */
#include "crypto/certificate.h"

struct crl_entry {
        uint8_t serial[SERIAL_SIZE]; /* leading zeros if shorter */
        int64_t time;
        uint8_t reason; /* CRLReason: 0 unspecified, 1 keyCompromise, 3 affiliationChanged, 4 superseded, 5
                           cessationOfOperation, … */
};

/* Everything is borrowed. */
struct crl_template {
        struct bytes issuer;          /* Name */
        const uint8_t *issuer_key_id; /* KEY_ID_SIZE bytes */
        enum pkey_type issuer_type;
        int64_t this_update, next_update;
        uint64_t number;
        const char *distribution_url; /* NULL: no issuingDistributionPoint */
        bool keeps_expired;
        const struct crl_entry *entries;
        size_t entry_count;
};

void crl_tbs_write(const struct crl_template *tmpl, struct buf *ret_tbs);
/* Joins; the signature is pkey_sign() over tbs. */
void crl_join(struct bytes tbs, enum pkey_type issuer_type, struct bytes signature, struct buf *ret_der);
/* Both, and the signature. */
int crl_make(const struct crl_template *tmpl, EVP_PKEY *issuer_key, struct buf *ret_der) must_check;

/* Views into the input, which must outlive it. */
struct crl {
        struct bytes tbs, signature_algorithm, signature;
        struct bytes issuer, authority_key_id;
        struct bytes point;   /* DistributionPointName: only for certificates that name this place; empty: for all */
        struct bytes entries; /* content of revokedCertificates */
        size_t entry_count;
        int64_t this_update, next_update;
        uint64_t number; /* 0 if absent or over 64 bits */
        int64_t expired_since; /* certificates that expired since then are still on the list; INT64_MAX: it does not say */
};

enum { CRL_MOST = 256 * 1024 * 1024 };

/* Pure and strict, every entry is looked at. PROBLEM_MALFORMED, PROBLEM_UNSUPPORTED, PROBLEM_TOO_LARGE. */
int crl_parse(struct bytes der, struct crl *ret_crl) must_check;
/* Only a TBSCertList: what a signer checks before it signs what somebody else wrote. Signature fields are left
 * empty. */
int crl_tbs_parse(struct bytes tbs, struct crl *ret_crl) must_check;
/* Issuer name, cRLSign and signature. PROBLEM_UNAUTHENTICATED. */
int crl_verify(const struct crl *crl, const struct certificate *issuer) must_check;
/* Would the certificate be on the list if it was revoked? One that had expired before need not be (RFC 5280 3.3). */
bool crl_covers(const struct crl *crl, const struct certificate *certificate);
/* Is it the list for the certificate, by where that says that its list is? Else nothing follows from what it does not name. */
bool crl_is_for(const struct crl *crl, const struct certificate *certificate);
/* PROBLEM_NOT_FOUND when not listed. `serial` is a magnitude, as certificate.serial. For more than a few use
 * crl_each(). */
int crl_find(const struct crl *crl, struct bytes serial, struct crl_entry *ret_entry) must_check;
/* Each entry in the order of the list, with a cursor that starts as crl.entries; false at the end. Of a serial longer
 * than 16 bytes the last 16. */
bool crl_each(struct bytes *cursor, struct crl_entry *ret_entry);
