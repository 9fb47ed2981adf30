/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Threshold keys on P-256: Shamir sharing of a scalar e with threshold t = quorum, shares e_i = f(i) for i =
 * 1…count, and Feldman commitments to the coefficients of f (the first is E = e·G), by which anyone checks a share
 * and computes e_i·G.
 *
 * For a point R, the officer i contributes the partial P_i = e_i·R with a Chaum–Pedersen proof that log_G(e_i·G) =
 * log_R(P_i), bound to `context` (the digest of what he approved) by Fiat–Shamir over everything: suite, context,
 * i, G, e_i·G, R, P_i and the commitments of the proof. Exactly `quorum` right partials of distinct indexes give S
 * = e·R, and fewer nothing. Each partial has its own proof, so a false one is named: verifying costs three
 * multiplications, proving two.
 */
#include "crypto/curve.h"
#include "crypto/kdf.h"

enum { SHARES_MOST = 64, PROOF_SIZE = 2 * SCALAR_SIZE };

/* quorum points; compares and copies as a value. */
struct commitments {
        unsigned quorum;
        struct point points[SHARES_MOST];
};

/* Encoding: the points one after the other. PROBLEM_MALFORMED on a length that is no multiple, none or too many, or a
 * bad point. */
int commitments_parse(struct bytes bytes, struct commitments *ret_commitments) must_check;
void commitments_add(struct buf *out, const struct commitments *commitments);
/* E */
static inline const struct point *commitments_key(const struct commitments *commitments)
{
        return &commitments->points[0];
}

/* Deal `secret` to shares[0…count−1], the share of index i at i−1. PROBLEM_UNSUPPORTED unless 1 ≤ quorum ≤ count ≤
 * SHARES_MOST; a fault when a share comes out zero (once in 2^256). */
int shares_deal(const struct secret *secret, unsigned quorum, unsigned count, struct secret *ret_shares,
                struct commitments *ret_commitments) must_check;
/* e_i·G; PROBLEM_MALFORMED for an index out of range. */
int share_public(const struct commitments *commitments, unsigned index, struct point *ret_public) must_check;
/* PROBLEM_TAMPERED when the share is not the one committed to at this index. */
int share_verify(const struct commitments *commitments, unsigned index, const struct secret *share) must_check;

/* On the wire a list of partials is the points one after the other, and the proofs (challenge ‖ response) one after
 * the other. */
struct partial {
        struct point point;
        uint8_t challenge[SCALAR_SIZE], response[SCALAR_SIZE];
};
/* The one of `position` in the lists. PROBLEM_MALFORMED when they are too short, on a bad point, on a response ≥ n. */
int partial_parse(struct bytes points, struct bytes proofs, size_t position, struct partial *ret_partial) must_check;
void partial_add(const struct partial *partial, struct buf *points, struct buf *proofs);

/* What all partials of one officer for one approval have in common. */
struct partial_context {
        unsigned index;
        struct point public_share;
        struct digest context;
};
int partial_make(const struct partial_context *context, const struct secret *share, const struct point *r,
                 struct partial *ret_partial) must_check;
/* PROBLEM_PARTIAL_FALSE */
int partial_verify(const struct partial_context *context, const struct point *r,
                   const struct partial *partial) must_check;

/* The Lagrange coefficients at zero of a set of indexes, for combining many. */
struct combiner {
        unsigned count;
        uint8_t coefficients[SHARES_MOST][SCALAR_SIZE];
};
/* PROBLEM_QUORUM on no index, PROBLEM_MALFORMED on one that is zero, out of range or there twice. */
int combiner_init(struct combiner *combiner, const unsigned *indexes, unsigned count) must_check;
/* x(S) from the points of the combiner's indexes in its order; verify them before. */
int combiner_agree(const struct combiner *combiner, const struct point *partials, struct secret *ret_x) must_check;
