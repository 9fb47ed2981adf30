/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Private material: keys, passwords, tokens, shares, plaintext of archived keys. The memory is locked, left out of core dumps
 * and of children, and wiped on release. There is no way from here into a log, a report or a text: whoever must show
 * a secret to a person (a new token) writes it to the descriptor itself with secret_write().
 *
 * When locking is refused (RLIMIT_MEMLOCK), secrets still work; secret_locked() tells, and a process says so at its edge.
 */
#include "base/buf.h"

struct secret {
        uint8_t *data;
        size_t len;
};

#define SECRET_NONE ((struct secret){0})

/* A zeroed secret of `len` bytes; len 0 gives SECRET_NONE. */
struct secret secret_new(size_t len);
struct secret secret_copy(struct bytes bytes);
void secret_done(struct secret *secret); /* wipes and releases; leaves SECRET_NONE */
struct secret secret_take(struct secret *secret);
/* Shorten, wiping the rest. */
void secret_truncate(struct secret *secret, size_t len);
static inline struct bytes secret_view(const struct secret *secret)
{
        return (struct bytes){secret->data, secret->len};
}
/* Read to the end of `fd`, at most `limit` bytes, without passing through ordinary memory; a last newline is dropped.
 * PROBLEM_TOO_LARGE beyond the limit. */
int secret_read(int fd, size_t limit, struct secret *ret_secret) must_check;
int secret_write(int fd, const struct secret *secret) must_check;
/* Wipe ordinary memory, in a way that the compiler keeps. */
void memory_wipe(void *data, size_t len);
/* Wipe and release what ordinary memory must hold for a moment. */
void buf_wipe(struct buf *buf);
bool secret_locked(void);
