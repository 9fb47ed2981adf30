/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* AES-256-GCM with everything given: what seal.c, archive.c and their formats are made of. Within this folder only. */
#include "base/buf.h"
#include "base/secret.h"

enum { AEAD_NONCE_SIZE = 12, AEAD_TAG_SIZE = 16 };

/* Appends ciphertext ‖ tag. */
int aead_encrypt(const struct secret *key, const uint8_t nonce[static AEAD_NONCE_SIZE], struct bytes associated,
                 struct bytes plain, struct buf *out) must_check;
/* `sealed` is ciphertext ‖ tag. PROBLEM_TAMPERED when it does not verify. */
int aead_decrypt(const struct secret *key, const uint8_t nonce[static AEAD_NONCE_SIZE], struct bytes associated,
                 struct bytes sealed, struct secret *ret_plain) must_check;
