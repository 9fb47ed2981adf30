/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * CMS as it is written: BER with indefinite lengths around the content, which comes as a chain of octet strings, and DER everywhere else.
 */
#include "crypto/certificate.h"
#include "mail/mail.h"
#include "crypto/oid.h"
#include "mail/stream.h"

/* The front of a structure up to its content, and what closes the content and then all of it. */
void cms_begin_info(struct buf *out, struct bytes type);          /* ContentInfo and the SEQUENCE in it */
void cms_begin_encapsulated(struct buf *out);                     /* id-data, up to the octets */
void cms_end_encapsulated(struct buf *out);
void cms_begin_encrypted(struct buf *out, struct bytes algorithm); /* id-data, the algorithm (whole), up to the octets */
void cms_end_encrypted(struct buf *out);
void cms_end_info(struct buf *out);

/* Cuts what comes into octet strings. sink_finish() writes the last one and does not finish the next stage. */
struct octet_writer {
        struct sink sink;
        struct sink *next;
        struct buf buffer;
};
void octet_writer_init(struct octet_writer *writer, struct sink *next);
void octet_writer_done(struct octet_writer *writer);

void der_add_issuer_and_serial(struct buf *out, uint8_t tag, const struct certificate *certificate);

/* ---- signatures */

/* The digest that goes with a signer's key, as RFC 5754, 5753 and 8419 have it. PROBLEM_UNSUPPORTED for a key that cannot sign. */
struct signer_digest {
        enum pkey_type key_type;
        const EVP_MD *md;
        struct bytes oid;
        const char *micalg;
};
int signer_digest_choose(const struct mail_own_key *signer, struct signer_digest *ret_digest) must_check;
void signer_digests_add(struct buf *out, const struct signer_digest *digest); /* DigestAlgorithmIdentifiers: this one */
/* Append SignedData without its content, in DER; `tail` is signer_tail_add()'s. */
void cms_detached_add(struct buf *out, const struct signer_digest *digest, struct bytes tail);
/* Append what follows the content in SignedData: certificates and the SET of one SignerInfo, with signed attributes for this digest. */
int signer_tail_add(struct buf *out, const struct mail_keys *keys, const struct signer_digest *digest, struct bytes hash,
                    int64_t now) must_check;

/* ---- encryption */

/* One RecipientInfo for the content encryption key. PROBLEM_MAIL_NO_RECIPIENT. */
int recipient_info_add(struct buf *out, const struct mail_recipient *recipient, const struct secret *key) must_check;
/* Will it be a KeyAgreeRecipientInfo? */
bool recipient_agrees(const struct mail_recipient *recipient);

/* ECC-CMS-SharedInfo of RFC 5753 7.2 for a wrap algorithm (whole AlgorithmIdentifier) and `key_len` bytes; ukm may be empty. */
void shared_info_add(struct buf *out, struct bytes wrap_algorithm, struct bytes ukm, size_t key_len);
/* The key-encryption key: ECDH between the two, then X9.63 KDF with `md`. */
int agreed_key(EVP_PKEY *own, EVP_PKEY *peer, const EVP_MD *md, struct bytes shared_info, size_t len, struct secret *ret_key) must_check;
