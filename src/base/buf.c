/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

bool bytes_equal_constant_time(struct bytes a, struct bytes b)
{
        volatile uint8_t difference = 0;

        if (a.len != b.len)
                return false;
        for (size_t i = 0; i < a.len; i++)
                difference |= a.data[i] ^ b.data[i];
        return difference == 0;
}

void buf_done(struct buf *buf)
{
        free(buf->data);
        *buf = BUF_NONE;
}

void buf_clear(struct buf *buf)
{
        buf->len = 0;
        if (buf->data)
                buf->data[0] = 0;
}

void buf_reserve(struct buf *buf, size_t more)
{
        size_t need;

        if (__builtin_add_overflow(buf->len, more, &need) || __builtin_add_overflow(need, 1, &need))
                abort();
        if (need <= buf->cap)
                return;
        buf->cap = MAX(need, MAX(buf->cap * 2, (size_t)64));
        buf->data = mem_resize(buf->data, buf->cap, 1);
        buf->data[buf->len] = 0;
}

void buf_add(struct buf *buf, const void *data, size_t len)
{
        buf_reserve(buf, len);
        if (len)
                memcpy(buf->data + buf->len, data, len);
        buf->len += len;
        buf->data[buf->len] = 0;
}

void buf_add_bytes(struct buf *buf, struct bytes bytes)
{
        buf_add(buf, bytes.data, bytes.len);
}

void buf_add_byte(struct buf *buf, uint8_t byte)
{
        buf_add(buf, &byte, 1);
}

void buf_add_u64(struct buf *buf, uint64_t number)
{
        for (int shift = 56; shift >= 0; shift -= 8)
                buf_add_byte(buf, (uint8_t)(number >> shift));
}

uint64_t u64_of(const uint8_t bytes[static 8])
{
        uint64_t number = 0;

        for (size_t i = 0; i < 8; i++)
                number = number << 8 | bytes[i];
        return number;
}

void buf_add_text(struct buf *buf, const char *text)
{
        buf_add(buf, text, strlen(text));
}

void buf_add_format(struct buf *buf, const char *format, ...)
{
        va_list arguments, again;
        int len;

        va_start(arguments, format);
        va_copy(again, arguments);
        len = vsnprintf(NULL, 0, format, arguments);
        va_end(arguments);
        if (len > 0) {
                buf_reserve(buf, (size_t)len);
                vsnprintf((char *)buf->data + buf->len, (size_t)len + 1, format, again);
                buf->len += (size_t)len;
        }
        va_end(again);
}

void buf_consume(struct buf *buf, size_t len)
{
        len = MIN(len, buf->len);
        if (!len)
                return;
        memmove(buf->data, buf->data + len, buf->len - len + 1);
        buf->len -= len;
}

void buf_truncate(struct buf *buf, size_t len)
{
        if (len >= buf->len)
                return;
        buf->len = len;
        buf->data[len] = 0;
}

void buf_extend(struct buf *buf, size_t more)
{
        if (more >= buf->cap - buf->len) /* one byte is for the end */
                abort();
        buf->len += more;
        buf->data[buf->len] = 0;
}

const char *buf_text(const struct buf *buf)
{
        return buf->data ? (const char *)buf->data : "";
}

struct buf buf_take(struct buf *buf)
{
        struct buf taken = *buf;

        *buf = BUF_NONE;
        return taken;
}

struct buf buf_copy_of(struct bytes bytes)
{
        struct buf copy = BUF_NONE;

        /* Of nothing, nothing: so that a field that is empty can be given another value without releasing it. */
        if (bytes.len)
                buf_add_bytes(&copy, bytes);
        return copy;
}
