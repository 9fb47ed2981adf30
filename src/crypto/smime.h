/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * userSMIMECertificate (RFC 2798 2.8): a SignedData without content, whose certificates and signed capabilities are
 * what it is for. Read strictly, in the one form that we write (mail/mail.h: mail_smime_value()): DER, one signer,
 * named by issuer and serial number, with signed attributes. What other programs have put into a directory may be
 * otherwise and is then PROBLEM_MALFORMED or PROBLEM_UNSUPPORTED: nothing of ours.
 */
#include "crypto/certificate.h"

enum { SMIME_MOST = 32 * 1024, SMIME_CERTIFICATES_MOST = 8 };

/* Views into the input. */
struct smime {
        struct bytes certificates[SMIME_CERTIFICATES_MOST]; /* whole */
        size_t certificate_count;
        struct bytes issuer, serial; /* of the signer's certificate: whole Name; magnitude */
        struct bytes digest_oid, message_digest;
        struct bytes attributes; /* whole [0] */
        struct bytes algorithm, signature;
};

/* Pure. PROBLEM_MALFORMED, PROBLEM_UNSUPPORTED, PROBLEM_TOO_LARGE. Says nothing about the signature. */
int smime_parse(struct bytes der, struct smime *ret_smime) must_check;
/* The signer's certificate, of those in it. PROBLEM_NOT_FOUND. */
int smime_signer(const struct smime *smime, struct certificate *ret_certificate) must_check;
/* Is the signature by this key, and over no content? PROBLEM_UNAUTHENTICATED, PROBLEM_UNSUPPORTED. */
int smime_verify(const struct smime *smime, EVP_PKEY *key) must_check;
