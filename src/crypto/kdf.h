/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Digests, MACs and key derivation: SHA-256, HMAC-SHA256, HKDF-SHA256 (RFC 5869), argon2id (RFC 9106), random bytes.
 *
 * What cannot fail but on a broken machine (no entropy, no SHA-256 in libcrypto) aborts, as memory does
 * (base/mem.h), so that no caller carries a path that no test could cover. Digests are values of 32 bytes and
 * public; keys are struct secret.
 *
 * Whatever is hashed from several parts goes through hasher_add_part(), which writes the length first: two different
 * lists of parts never give the same input.
 */
#include "base/buf.h"
#include "base/secret.h"

enum { DIGEST_SIZE = 32, KEY_SIZE = 32 };

struct digest {
        uint8_t data[DIGEST_SIZE];
};

static inline struct bytes digest_view(const struct digest *digest)
{
        return bytes_of(digest->data, DIGEST_SIZE);
}
static inline bool digest_equal(const struct digest *a, const struct digest *b)
{
        return memcmp(a->data, b->data, DIGEST_SIZE) == 0;
}

void random_fill(void *data, size_t len);
struct secret secret_random(size_t len);

/* SHA-256 at once. */
struct digest sha256(struct bytes bytes);

/* SHA-256 or HMAC-SHA256 in steps, on a context that is kept: about a microsecond for a short input. For CLEANUP:
 * hasher_done. hasher_end() gives the result and starts the next one with the same key. */
struct hasher {
        void *context;
        bool keyed;
};
#define HASHER_NONE ((struct hasher){0})
void hasher_init(struct hasher *hasher);
void hasher_init_keyed(struct hasher *hasher, const struct secret *key);
void hasher_done(struct hasher *hasher); /* idempotent */
void hasher_add(struct hasher *hasher, struct bytes bytes);
void hasher_add_part(struct hasher *hasher, struct bytes bytes); /* length as 8 bytes big endian, then the bytes */
void hasher_add_number(struct hasher *hasher, uint64_t number);  /* 8 bytes big endian */
struct digest hasher_end(struct hasher *hasher);

/* HMAC-SHA256 at once; for many under one key keep a hasher. */
struct digest hmac_sha256(const struct secret *key, struct bytes bytes);

/* HKDF-SHA256: extract and expand `len` (at most 8160) bytes; an empty salt is that of RFC 5869. */
struct secret hkdf(struct bytes key, struct bytes salt, struct bytes info, size_t len);
/* The sub-key of KEY_SIZE bytes of a key for one purpose: hkdf(key, "", "vouchsafe " ‖ label). */
struct secret key_derive(const struct secret *key, const char *label);

/* What a password costs. Kept with every record; `password_cost_check` bounds what comes from outside. */
struct password_cost {
        uint32_t memory_kib, passes, lanes;
};
#define PASSWORD_COST_DEFAULT ((struct password_cost){64 * 1024, 3, 1})
#define PASSWORD_COST_TESTS   ((struct password_cost){64, 1, 1})
enum { PASSWORD_MEMORY_MOST_KIB = 1024 * 1024, PASSWORD_PASSES_MOST = 16, PASSWORD_LANES_MOST = 8, SALT_SIZE = 16 };
/* PROBLEM_UNSUPPORTED when a number is zero, beyond its bound, or too small for its lanes. */
int password_cost_check(const struct password_cost *cost) must_check;
/* argon2id version 0x13, KEY_SIZE bytes, in one thread. Faults when the memory cannot be had. */
int password_derive(struct bytes password, struct bytes salt, const struct password_cost *cost,
                    struct secret *ret_key) must_check;
