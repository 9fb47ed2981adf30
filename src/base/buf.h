/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Bytes. `struct bytes` is a view: it owns nothing, and is passed by value. `struct buf` owns what it holds, grows, and is
 * released with buf_done(). Neither is for private material; that is `struct secret` (secret.h).
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/macro.h"

struct bytes {
        const uint8_t *data;
        size_t len;
};

struct buf {
        uint8_t *data; /* data[len] is always 0 once anything was added */
        size_t len;    /* changed by the functions below alone, or that would not be so */
        size_t cap;
};

#define BYTES_NONE ((struct bytes){0})
#define BUF_NONE   ((struct buf){0})

static inline struct bytes bytes_of(const void *data, size_t len)
{
        return (struct bytes){data, len};
}
static inline struct bytes bytes_text(const char *text)
{
        return (struct bytes){(const uint8_t *)text, text ? strlen(text) : 0};
}
static inline struct bytes buf_view(const struct buf *buf)
{
        return (struct bytes){buf->data, buf->len};
}
static inline bool bytes_equal(struct bytes a, struct bytes b)
{
        return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}
/* Equal without telling by time where they differ; lengths are public. */
bool bytes_equal_constant_time(struct bytes a, struct bytes b);

void buf_done(struct buf *buf); /* releases; leaves BUF_NONE */
void buf_clear(struct buf *buf); /* forgets the content, keeps the memory */
void buf_reserve(struct buf *buf, size_t more);
void buf_add(struct buf *buf, const void *data, size_t len);
void buf_add_bytes(struct buf *buf, struct bytes bytes);
void buf_add_byte(struct buf *buf, uint8_t byte);
/* Eight bytes, big endian; and back. */
void buf_add_u64(struct buf *buf, uint64_t number);
uint64_t u64_of(const uint8_t bytes[static 8]);
void buf_add_text(struct buf *buf, const char *text);
void buf_add_format(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Forget the first `len` bytes; all but the first `len` bytes. */
void buf_consume(struct buf *buf, size_t len);
void buf_truncate(struct buf *buf, size_t len);
/* So many bytes were written behind the content, into what buf_reserve() made room for. */
void buf_extend(struct buf *buf, size_t more);
/* The content as text (ends in 0); "" when empty. Valid until the next change. */
const char *buf_text(const struct buf *buf);
/* Move content out, leaving BUF_NONE. */
struct buf buf_take(struct buf *buf);
struct buf buf_copy_of(struct bytes bytes); /* of no bytes: BUF_NONE */
