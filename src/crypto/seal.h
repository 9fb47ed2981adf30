/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Sealing: authenticated encryption (AES-256-GCM) under a key, under a password, and to a public key. All of it
 * carries a suite byte first, so that other suites can be added; what is sealed is bound to `context`, associated
 * data that is not stored: the opener must know it (table, row and column; name and host; request digest…).
 *
 *   seal      suite 1 ‖ nonce 12 ‖ ciphertext ‖ tag 16
 *   password  suite 1 ‖ memory KiB 4 ‖ passes 4 ‖ lanes 4 ‖ salt 16 ‖ nonce 12 ‖ ciphertext ‖ tag 16
 *   box       suite 1 ‖ ephemeral point 33 ‖ ciphertext ‖ tag 16
 *
 * All that stands before the nonce is authenticated too. A box is ECIES: ephemeral P-256, HKDF-SHA256 over x(S) and
 * both points. Nonces are random: one key seals at most 2^32 times. Numbers are big endian. Inputs are views; results
 * are owned by the caller.
 */
#include "base/buf.h"
#include "base/secret.h"
#include "crypto/curve.h"
#include "crypto/kdf.h"

enum { SEAL_OVERHEAD = 1 + 12 + 16, PASSWORD_OVERHEAD = 1 + 12 + 16 + 12 + 16, BOX_OVERHEAD = 1 + 33 + 16 };

/* Appends to `out`. */
int seal(const struct secret *key, struct bytes context, struct bytes plain, struct buf *out) must_check;
/* PROBLEM_MALFORMED (too short), PROBLEM_UNSUPPORTED (suite), PROBLEM_TAMPERED (does not verify under this key and
 * context). */
int seal_open(const struct secret *key, struct bytes context, struct bytes sealed, struct secret *ret_plain) must_check;

int password_seal(struct bytes password, const struct password_cost *cost, struct bytes context, struct bytes plain,
                  struct buf *out) must_check;
/* PROBLEM_MALFORMED, PROBLEM_UNSUPPORTED (suite or cost out of bounds), PROBLEM_PASSWORD (does not verify: the
 * password is wrong, or the content was altered; the two cannot be told apart). */
int password_open(struct bytes password, struct bytes context, struct bytes sealed,
                  struct secret *ret_plain) must_check;

int box_seal(const struct point *to, struct bytes context, struct bytes plain, struct buf *out) must_check;
/* PROBLEM_MALFORMED (form, point, or does not open with this key and context), PROBLEM_UNSUPPORTED (suite). */
int box_open(const struct secret *private_scalar, struct bytes context, struct bytes boxed,
             struct secret *ret_plain) must_check;
