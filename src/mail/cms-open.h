/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Reading the fields that struct cms_reader collected: who a message is encrypted for, with what, and who signed it.
 */
#include "mail/cms-read.h"
#include "mail/mail.h"

/* AlgorithmIdentifier: whole element in, OID content and whole parameters (empty if absent) out. */
int algorithm_read(struct bytes *cursor, struct bytes *ret_oid, struct bytes *ret_params) must_check;
/* PROBLEM_UNSUPPORTED. `ret_weak` for those that are no longer strong. */
int digest_find(struct bytes oid, const EVP_MD **ret_md, bool *ret_weak) must_check;

/* IssuerAndSerialNumber, or a subject key identifier. */
struct cms_id {
        struct bytes issuer, serial; /* whole Name, magnitude */
        struct bytes key_id;         /* used if issuer is empty */
};
int cms_id_read_issuer(struct bytes *cursor, struct cms_id *ret_id) must_check; /* the SEQUENCE */
bool cms_id_matches(const struct cms_id *id, const struct certificate *certificate);

struct cms_cipher {
        const EVP_CIPHER *(*cipher)(void);
        size_t key_len;
        bool authenticated, weak;
        uint8_t iv[64];
        size_t iv_len, tag_len;
        const char *name;
};
/* From a whole AlgorithmIdentifier. PROBLEM_UNSUPPORTED, PROBLEM_MALFORMED. */
int cms_cipher_read(struct bytes algorithm, struct cms_cipher *ret_cipher) must_check;

/*
 * The content encryption key of `key_len` bytes, through whichever of the own keys the recipients (a whole SET OF RecipientInfo) name.
 * A key transported by RSA that does not decrypt gives a random key, so that nobody learns the difference (RFC 3218, RFC 8551 6). PROBLEM_MAIL_NO_KEY;
 * PROBLEM_MAIL_ALTERED.
 */
int recipients_open(struct bytes recipients, const struct mail_keys *keys, size_t key_len, struct secret *ret_key,
                    const struct mail_own_key **ret_own) must_check;

/* ---- signatures */

enum { SIGNERS_MOST = 16 };

struct signer_info {
        struct cms_id id;
        struct bytes digest_oid;
        const EVP_MD *md;
        bool weak;
        struct bytes attributes; /* whole [0]; empty if absent */
        struct bytes algorithm, params, signature;
        /* from the attributes */
        struct bytes message_digest;
        struct bytes certificate_hash, certificate_hash_oid; /* of signingCertificateV2; empty if absent */
        int64_t signing_time;
        unsigned capabilities;
        bool capabilities_known;
};
/* One SignerInfo off the front of the content of the SET. PROBLEM_MALFORMED, PROBLEM_UNSUPPORTED. */
int signer_info_read(struct bytes *cursor, struct signer_info *ret_info) must_check;
/* Is the signature by this key? `hash` is that of the content under info->md. PROBLEM_MAIL_ALTERED, PROBLEM_UNSUPPORTED. */
int signer_info_verify(const struct signer_info *info, EVP_PKEY *key, struct bytes hash) must_check;
