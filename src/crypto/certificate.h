/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * X.509 certificates (RFC 5280, RFC 8550, RFC 9598): made from a template, read strictly, and verified as a chain. The
 * DER is written and read here and not by OpenSSL's X509 objects, which cost more than the signature does; chains are
 * verified by OpenSSL.
 */
#include "base/secret.h"
#include "crypto/pkey.h"

enum cert_profile {
        CERT_ROOT,            /* self-signed CA: keyCertSign, cRLSign */
        CERT_ISSUING,         /* CA with pathLenConstraint 0 */
        CERT_USER_SIGNATURE,  /* digitalSignature, nonRepudiation; emailProtection */
        CERT_USER_ENCRYPTION, /* RSA: keyEncipherment; EC: keyAgreement; emailProtection */
        CERT_TLS_SERVER,      /* digitalSignature; serverAuth */
        CERT_AUDIT,           /* signs heads of the audit chain: digitalSignature */
        CERT_OCSP,            /* delegated responder: digitalSignature; OCSPSigning; ocsp-nocheck */
};

#define SERIAL_SIZE 16 /* as model/id.h has it */
/* A serial number of ours: 16 random bytes, positive and not zero (top bit clear, next bit set, so that the length
 * never varies). */
void serial_random(uint8_t ret_serial[static SERIAL_SIZE]);

/* Everything is borrowed. Texts are UTF-8; NULL leaves the extension out. */
struct cert_template {
        enum cert_profile profile;
        const uint8_t *serial;        /* SERIAL_SIZE bytes */
        int64_t not_before, not_after;
        struct bytes subject;         /* Name, from name_write() */
        struct bytes spki;            /* of the subject; was checked by pkey_from_spki() */
        struct bytes issuer;          /* Name; for CERT_ROOT the subject */
        const uint8_t *issuer_key_id; /* KEY_ID_SIZE bytes: spki_key_id() of the issuer; NULL for CERT_ROOT */
        const char *const *addresses; /* keys of address_parse(), for the user profiles */
        size_t address_count;
        const char *const *hosts;     /* DNS names and IP addresses, for CERT_TLS_SERVER */
        size_t host_count;
        const char *crl_url, *ca_issuers_url, *ocsp_url;
        const char *policy;           /* dotted OID */
};

/* Sign a new certificate. PROBLEM_MALFORMED for a template that cannot be certified (key, policy OID, validity). */
int certificate_make(const struct cert_template *tmpl, EVP_PKEY *issuer_key, struct buf *ret_der) must_check;
/* Only the TBSCertificate, for a signature by `issuer_type` that is made elsewhere, and joining the two. */
int certificate_tbs_write(const struct cert_template *tmpl, enum pkey_type issuer_type, struct buf *ret_tbs) must_check;
void certificate_join(struct bytes tbs, enum pkey_type issuer_type, struct bytes signature, struct buf *ret_der);

enum key_usage { /* bits of RFC 5280 4.2.1.3 */
        USAGE_DIGITAL_SIGNATURE = 1 << 0,
        USAGE_NON_REPUDIATION = 1 << 1,
        USAGE_KEY_ENCIPHERMENT = 1 << 2,
        USAGE_DATA_ENCIPHERMENT = 1 << 3,
        USAGE_KEY_AGREEMENT = 1 << 4,
        USAGE_KEY_CERT_SIGN = 1 << 5,
        USAGE_CRL_SIGN = 1 << 6,
};
enum ext_key_usage {
        EXT_USAGE_SERVER = 1 << 0,
        EXT_USAGE_CLIENT = 1 << 1,
        EXT_USAGE_EMAIL = 1 << 2,
        EXT_USAGE_OCSP = 1 << 3,
        EXT_USAGE_ANY = 1 << 4,
        EXT_USAGE_OTHER = 1 << 5,
};

/* Owns a copy of the DER; the views point into that. */
struct certificate {
        struct buf der;
        struct bytes tbs, signature_algorithm, signature; /* whole, whole, content */
        struct bytes serial;                              /* magnitude, no leading zeros, 1 to 20 bytes */
        struct bytes issuer, subject;                     /* Names */
        struct bytes spki;
        struct bytes subject_key_id, authority_key_id;    /* empty if absent */
        int64_t not_before, not_after;
        bool has_key_usage, has_ext_key_usage, is_ca;
        unsigned key_usage, ext_key_usage;
        int path_len;                                     /* -1: no limit */
        struct buf addresses; /* keys of address_parse(), each ended by 0; see certificate_address() */
        size_t address_count;
        char *crl_url, *ca_issuers_url, *ocsp_url;        /* the first http or https one of each, or NULL */
        struct bytes crl_points;                          /* content of CRLDistributionPoints; see certificate_has_crl_at() */
        struct digest fingerprint;                        /* SHA-256 of the DER */
};

enum { CERTIFICATE_MOST = 64 * 1024 };

/*
 * Strict and pure: version 3, DER throughout, equal signature algorithms inside and outside, no extension twice, no
 * unknown critical extension. PROBLEM_MALFORMED, PROBLEM_UNSUPPORTED (another version, unknown critical extension),
 * PROBLEM_TOO_LARGE. Says nothing about trust, and takes any kind of key: pkey_from_spki(certificate.spki) tells if it
 * is usable. Addresses that are none are left out.
 */
int certificate_parse(struct bytes der, struct certificate *ret_certificate) must_check;
void certificate_done(struct certificate *certificate);
struct certificate certificate_take(struct certificate *certificate);
/* The address key number `index` < address_count. */
const char *certificate_address(const struct certificate *certificate, size_t index);
bool certificate_has_address(const struct certificate *certificate, const char *address_key);
/* Can it sign or have mail encrypted for, by its key usages (absent ones permit)? */
bool certificate_may_sign(const struct certificate *certificate);
bool certificate_may_encrypt(const struct certificate *certificate);
/* Is the URI one of those where it says that its revocation list is, one for all reasons and of its issuer? */
bool certificate_has_crl_at(const struct certificate *certificate, struct bytes uri);
/* Is it for this DNS name or IP address (RFC 9525)? */
bool certificate_has_host(const struct certificate *certificate, const char *host);
/* As an object of OpenSSL's. */
int certificate_to_x509(const struct certificate *certificate, X509 **ret_x509) must_check;
/* One or more certificates in PEM, or one in DER, appended to the list. PROBLEM_MALFORMED. */
struct cert_list {
        struct certificate *items;
        size_t count;
};
int cert_list_add(struct cert_list *list, struct bytes der) must_check;
int cert_list_add_pem(struct cert_list *list, struct bytes pem) must_check;
void cert_list_done(struct cert_list *list);
void certificate_add_pem(struct buf *out, struct bytes der);

enum chain_purpose { CHAIN_MAIL_SIGNER, CHAIN_MAIL_RECIPIENT, CHAIN_TLS_SERVER, CHAIN_ANY };
struct chain_query {
        const struct certificate *leaf;
        const struct cert_list *intermediates; /* may be NULL; hints, not trusted */
        const struct cert_list *roots;         /* trusted */
        int64_t at;
        enum chain_purpose purpose;
};
/*
 * Does a chain lead from the leaf to a root? No network, no revocation (crl.h). PROBLEM_MAIL_UNVERIFIED with the reason
 * in a sentence, PROBLEM_MAIL_EXPIRED when only the time is wrong. `ret_issuer` (may be NULL) gets the leaf's issuer,
 * out of the lists.
 */
int chain_verify(const struct chain_query *query, const struct certificate **ret_issuer) must_check;
