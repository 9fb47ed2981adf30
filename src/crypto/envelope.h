/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A small secret (a PKCS#8 key) for the holder of one P-256 key that has no certificate, as CMS:
 *
 *   AuthEnvelopedData (RFC 5083, 5084) with AES-256-GCM, or EnvelopedData (RFC 5652) with AES-256-CBC, and one
 * KeyAgreeRecipientInfo: ephemeral-static ECDH dhSinglePass-stdDH-sha256kdf-scheme (RFC 5753), AES-256 key wrap,
 * recipient named by rKeyId = spki_key_id() of his key.
 *
 * Written and read by our DER code. EnvelopedData is not authenticated: use it only for peers that need it.
 */
#include "base/secret.h"
#include "crypto/pkey.h"

enum envelope_kind { ENVELOPE_GCM, ENVELOPE_CBC };
enum { ENVELOPE_MOST = 256 * 1024 };

int envelope_seal(const struct point *recipient, const struct secret *plain, enum envelope_kind kind,
                  struct buf *ret_der) must_check;
/* Only what envelope_seal() writes, of either kind: PROBLEM_UNSUPPORTED for other CMS. PROBLEM_MALFORMED also when it
 * is for another key or was altered: nobody can tell which. */
int envelope_open(const struct secret *scalar, struct bytes der, struct secret *ret_plain) must_check;
