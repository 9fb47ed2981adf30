/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Certification requests, PKCS#10 (RFC 2986). A request proves that its maker holds the private key; the names in it
 * are wishes that the server does not need to grant, so only subject and key are given out.
 */
#include "crypto/pkey.h"

enum { CSR_MOST = 16 * 1024 };

struct csr {
        struct bytes info;                           /* CertificationRequestInfo: what is signed */
        struct bytes subject, spki;                  /* views into the input */
        struct bytes signature_algorithm, signature;
};

/* `subject` is a Name; empty bytes give the empty name. */
int csr_make(EVP_PKEY *key, struct bytes subject, struct buf *ret_der) must_check;
/* Pure and strict. PROBLEM_MALFORMED, PROBLEM_UNSUPPORTED, PROBLEM_TOO_LARGE. */
int csr_parse(struct bytes der, struct csr *ret_csr) must_check;
/* csr_parse(), the checks of pkey_from_spki(), and proof of possession: PROBLEM_UNAUTHENTICATED. `ret_key` may be
 * NULL. */
int csr_verify(struct bytes der, struct csr *ret_csr, EVP_PKEY **ret_key) must_check;
