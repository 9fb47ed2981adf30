/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Arithmetic on P-256 (FIPS 186-5, SEC 1), under OpenSSL's EC_POINT. A scalar is 32 bytes big endian in a struct
 * secret, from 1 to n−1; a point is 33 bytes compressed, on the curve, never infinity. point_parse() is the only
 * way in from outside, and each encoding of a point is the only one. Multiplications by a secret scalar take
 * constant time.
 *
 * The group and its scratch memory are made once per thread and kept. Faults mean that libcrypto failed.
 */
#include "base/buf.h"
#include "base/secret.h"

enum { SCALAR_SIZE = 32, POINT_SIZE = 33, SIGNATURE_SIZE = 64 };

struct point {
        uint8_t data[POINT_SIZE];
};

static inline struct bytes point_view(const struct point *point)
{
        return bytes_of(point->data, POINT_SIZE);
}
static inline bool point_equal(const struct point *a, const struct point *b)
{
        return memcmp(a->data, b->data, POINT_SIZE) == 0;
}

/* PROBLEM_MALFORMED for another length or form, infinity, x ≥ p, or no such point. */
int point_parse(struct bytes bytes, struct point *ret_point) must_check;
/* The same for somebody's public key that is about to be used: what it took to read it is kept. */
int point_parse_key(struct bytes bytes, struct point *ret_point) must_check;
/* 65 bytes, for what wants it uncompressed (SubjectPublicKeyInfo). */
int point_uncompressed(const struct point *point, uint8_t ret_bytes[static 65]) must_check;
/* From 65 bytes uncompressed or 33 compressed; PROBLEM_MALFORMED as above. */
int point_parse_any(struct bytes bytes, struct point *ret_point) must_check;

/* From a SubjectPublicKeyInfo of a P-256 key (RFC 5480, named curve, uncompressed) in its one DER form of 91 bytes;
 * PROBLEM_MALFORMED for any other form or another curve. The other way is point_to_spki() (pkey.h). */
enum { POINT_SPKI_SIZE = 91 };
int point_spki_parse(struct bytes spki, struct point *ret_point) must_check;

/* A uniform scalar. */
int scalar_random(struct secret *ret_scalar) must_check;
/* PROBLEM_MALFORMED unless 32 bytes from 1 to n−1. */
int scalar_parse(struct bytes bytes, struct secret *ret_scalar) must_check;
/* 48 uniform bytes modulo n−1, plus 1 (FIPS 186-5 A.2.1): deterministic and without visible bias. */
int scalar_from_uniform(const struct secret *uniform48, struct secret *ret_scalar) must_check;

/* scalar·G */
int point_of_scalar(const struct secret *scalar, struct point *ret_point) must_check;
/* The x coordinate of scalar·point: the shared secret of ECDH (SP 800-56A). */
int point_agree(const struct secret *scalar, const struct point *point, struct secret *ret_x) must_check;

/* ECDSA with SHA-256 over `message`; the signature is r ‖ s, 32 bytes each (as WebCrypto has it). */
int signature_make(const struct secret *scalar, struct bytes message,
                   uint8_t ret_signature[static SIGNATURE_SIZE]) must_check;
/* True only if it is right; any other length than 64 is false. */
bool signature_right(const struct point *public_key, struct bytes message, struct bytes signature);
