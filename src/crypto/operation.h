/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Signatures of operators over what they ask: ECDSA P-256 with SHA-256 over
 *
 *   "vouchsafe operation 1" ‖ server id ‖ created ‖ nonce ‖ kind ‖ message
 *
 * each with its length before it (8 bytes big endian), `created` as a number of 8 bytes. `message` is the exact
 * wire encoding. The nonce (16 bytes, random) is the idempotency key. Whether `created` is near enough to now is
 * the caller's to judge.
 */
#include "crypto/curve.h"

enum { OPERATION_NONCE_SIZE = 16 };

struct operation {
        struct bytes server_id;
        int64_t created;
        struct bytes nonce;
        struct bytes kind;
        struct bytes message;
};

int operation_sign(const struct operation *operation, const struct secret *private_scalar,
                   uint8_t ret_signature[static SIGNATURE_SIZE]) must_check;
/* PROBLEM_UNAUTHENTICATED when the signature is not this key's over this. */
int operation_verify(const struct operation *operation, const struct point *public_key,
                     struct bytes signature) must_check;
