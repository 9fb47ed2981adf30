/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What all of src/crypto shares: reports of OpenSSL's failures, cleanup for its types, algorithms
 * fetched once. Digests and random bytes are in kdf.h. OpenSSL 3.0 and later; nothing deprecated.
 *
 * Fetched algorithms live as long as the process. They are fetched on first use, which must not be the first use by two
 * threads at once (the processes here have one).
 */
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "base/buf.h"
#include "base/fault.h"

/* Record a fault "what: OpenSSL's reason", empty OpenSSL's error queue, and return the (negative) fault. */
int crypto_fault(const char *what) must_check;
/* Forget what OpenSSL queued: where its failure was an answer ("does not verify") and no fault. */
void crypto_errors_clear(void);

/* The fetched algorithms; a name is fetched once. Aborts when OpenSSL lacks it: ask only for what 3.0's default
 * provider has. */
const EVP_MD *crypto_sha256(void);
const EVP_MD *crypto_sha384(void);

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
DEFINE_CLEANUP(EVP_MD *, EVP_MD_free)
DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)
DEFINE_CLEANUP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free)
DEFINE_CLEANUP(BIGNUM *, BN_clear_free)
DEFINE_CLEANUP(BN_CTX *, BN_CTX_free)
DEFINE_CLEANUP(EC_POINT *, EC_POINT_clear_free)
DEFINE_CLEANUP(EC_GROUP *, EC_GROUP_free)
DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(X509_STORE *, X509_STORE_free)
DEFINE_CLEANUP(X509_STORE_CTX *, X509_STORE_CTX_free)
DEFINE_CLEANUP(PKCS12 *, PKCS12_free)
DEFINE_CLEANUP(PKCS8_PRIV_KEY_INFO *, PKCS8_PRIV_KEY_INFO_free)
DEFINE_CLEANUP(BIO *, BIO_free_all)
