/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Key pairs: plain EVP_PKEY (CLEANUP(EVP_PKEY_freep)), of the types below and no others. Whatever comes from outside
 * passes pkey_from_spki() or pkey_from_pkcs8(), which are strict and do not go through OpenSSL's generic decoders (slow
 * on 3.0, and they accept far more than this).
 *
 * Encodings: SPKI = SubjectPublicKeyInfo DER (RFC 5480, RFC 3279, RFC 8410); PKCS#8 = OneAsymmetricKey version 1 DER
 * (RFC 5958) with RFC 5915 (named curve outside, public key inside) or RFC 8017; points are SEC 1, uncompressed when
 * written.
 */
#include "base/secret.h"
#include "crypto/crypto.h"
#include "crypto/curve.h"
#include "crypto/kdf.h"

enum pkey_type {
        PKEY_NONE,
        PKEY_P256,
        PKEY_P384,
        PKEY_ED25519,
        PKEY_RSA2048,
        PKEY_RSA3072,
        PKEY_RSA4096,
        PKEY_RSA_OTHER, /* another size from 2048 to 8192, in foreign certificates; never generated */
};

enum { KEY_ID_SIZE = 20 };

const char *pkey_type_name(enum pkey_type type); /* "p256" "p384" "ed25519" "rsa2048" … as in the configuration */
enum pkey_type pkey_type_from_name(const char *name);      /* PKEY_NONE if there is no such */
enum pkey_type pkey_type_of(const EVP_PKEY *key);
static inline bool pkey_type_is_rsa(enum pkey_type type)
{
        return type >= PKEY_RSA2048 && type <= PKEY_RSA_OTHER;
}

int pkey_generate(enum pkey_type type, EVP_PKEY **ret_key) must_check;

int pkey_to_pkcs8(const EVP_PKEY *key, struct secret *ret_pkcs8) must_check;
/* PROBLEM_MALFORMED, PROBLEM_UNSUPPORTED. A public key that comes with the private one must belong to it. */
int pkey_from_pkcs8(struct bytes pkcs8, EVP_PKEY **ret_key) must_check;

int pkey_to_spki(const EVP_PKEY *key, struct buf *ret_spki) must_check;
/*
 * A public key from outside. PROBLEM_UNSUPPORTED for other types and sizes; PROBLEM_MALFORMED for what is not exactly
 * DER, a point that is not on the curve, an RSA modulus that is even or of small factors, an exponent that is even or
 * below 65537 or above 2^64.
 */
int pkey_from_spki(struct bytes spki, EVP_PKEY **ret_key) must_check;
/* The type that an SPKI claims, by its algorithm alone; PROBLEM_UNSUPPORTED, PROBLEM_MALFORMED. For choosing, not for
 * trusting. */
int spki_type(struct bytes spki, enum pkey_type *ret_type) must_check;
/* Key identifier: the leftmost 160 bits of SHA-256 over the content of subjectPublicKey (RFC 7093 method 1).
 * PROBLEM_MALFORMED. */
int spki_key_id(struct bytes spki, uint8_t ret_id[static KEY_ID_SIZE]) must_check;
static inline struct digest spki_hash(struct bytes spki)
{
        return sha256(spki);
}

/* P-256 as points and scalars (curve.h). */
int pkey_to_point(const EVP_PKEY *key, struct point *ret_point) must_check;
int point_to_spki(const struct point *point, struct buf *ret_spki) must_check;
int pkey_from_scalar(const struct secret *scalar, EVP_PKEY **ret_key) must_check;
int pkey_to_scalar(const EVP_PKEY *key, struct secret *ret_scalar) must_check;

/*
 * Signatures, one algorithm a type: P-256 ECDSA with SHA-256, P-384 ECDSA with SHA-384, RSA PKCS#1 v1.5 with SHA-256,
 * Ed25519.
 */
int pkey_sign(EVP_PKEY *key, struct bytes message, struct buf *ret_signature) must_check;
/* PROBLEM_UNAUTHENTICATED when the signature does not verify. */
int pkey_verify(EVP_PKEY *key, struct bytes message, struct bytes signature) must_check;
/*
 * What others may have signed with another digest: `algorithm` is a whole AlgorithmIdentifier: RSA PKCS#1 v1.5 or ECDSA
 * with SHA-256, SHA-384 or SHA-512, or Ed25519. PROBLEM_UNSUPPORTED for others and for one that is not for this key;
 * PROBLEM_UNAUTHENTICATED.
 */
int pkey_verify_as(EVP_PKEY *key, struct bytes algorithm, struct bytes message, struct bytes signature) must_check;
/* Append the AlgorithmIdentifier of pkey_sign() with this type of key. */
void der_add_signature_algorithm(struct buf *out, enum pkey_type type);
