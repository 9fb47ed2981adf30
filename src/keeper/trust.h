/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The trust record: what a keeper believes of its server beyond its keys: who the officers are and what their
 * shares are committed to, the quorum, the certificates. It is public, and numbered; the engine keeps it.
 *
 *   suite 1 ‖ HMAC-SHA256 32 ‖ trust_public, encoded
 *
 * The MAC is under the `trust` key, over "vouchsafe trust 1" and the encoding, each with its length before it.
 * It is authenticated and not encrypted because a sealed keeper must read it, unverified, to combine the
 * contributions to a startup request: they give the database key, and only that tells if the record was ours.
 */
#include "crypto/shares.h"
#include "wire/message.h"

struct officer {
        const char *name; /* in trust.public */
        unsigned index;
        bool admitted;
        struct point key; /* of operation signatures, when admitted */
        struct point archive_share, startup_share;
};

struct trust {
        struct msg_trust_public public;
        struct commitments archive, startup;
        struct officer officers[SHARES_MOST];
        size_t officer_count;
};

/* Append the record. */
int trust_write(const struct msg_trust_public *public, const struct secret *key, struct buf *out) must_check;
/* Strict, of the form alone. PROBLEM_MALFORMED, PROBLEM_UNSUPPORTED (suite). */
int trust_parse(struct bytes record, struct trust *ret_trust) must_check;
/* PROBLEM_TAMPERED unless the record was written under this key. */
int trust_verify(struct bytes record, const struct secret *key) must_check;
void trust_done(struct trust *trust);
/* NULL if there is no such officer. */
const struct officer *trust_officer(const struct trust *trust, const char *name);
