/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What curve.c and shares.c have in common: numbers and points in libcrypto's form. BIGNUMs made here are in the
 * secure heap when there is one, are flagged for constant time, and are cleared when freed.
 */
#include <errno.h>
#include <openssl/ecdsa.h>

#include "crypto/crypto.h"
#include "crypto/curve.h"

DEFINE_CLEANUP(ECDSA_SIG *, ECDSA_SIG_free)

/* One per thread. */
struct curve {
        EC_GROUP *group;
        const BIGNUM *order;
        BN_CTX *scratch;
};
struct curve *curve(void);

/* 32 bytes big endian, any value. */
int number_read(const uint8_t *bytes, BIGNUM **ret_number) must_check;
int number_write(const BIGNUM *number, uint8_t *ret_bytes) must_check;
int point_read(const struct point *point, EC_POINT **ret_point) must_check;
/* PROBLEM_MALFORMED at infinity. */
int point_write(const EC_POINT *point, struct point *ret_point) must_check;
/* The x coordinate; PROBLEM_MALFORMED at infinity. */
int point_x(const EC_POINT *point, struct secret *ret_x) must_check;
