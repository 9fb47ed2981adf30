/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Writes one JSON value (RFC 8259) as compact UTF-8 into a buffer: what is written cannot be ill-formed as long as
 * every opening has its closing. Members and elements get their commas by themselves.
 *
 * The buffer may come to hold tokens: when it grows, what it leaves behind is wiped, and its owner ends it with
 * json_buf_done().
 */
#include "base/buf.h"

#define JSON_NUMBER_MAX ((UINT64_C(1) << 53) - 1)

struct json_writer {
        struct buf *out;
        bool comma; /* before the next member or element */
};

static inline struct json_writer json_writer_of(struct buf *out)
{
        return (struct json_writer){.out = out};
}
/* Wipe and release; for CLEANUP. */
void json_buf_done(struct buf *buf);

/* `name` is NULL for an element of a list and for the whole. */
void json_open(struct json_writer *writer, const char *name, char bracket); /* '{' or '[' */
void json_close(struct json_writer *writer, char bracket);                  /* '}' or ']' */
/* What is not UTF-8 is replaced by U+FFFD. */
void json_text(struct json_writer *writer, const char *name, struct bytes text);
void json_base64(struct json_writer *writer, const char *name, struct bytes bytes);
/* As a number up to 2^53 - 1, else as text, since many readers would round it. */
void json_number(struct json_writer *writer, const char *name, uint64_t number);
void json_flag(struct json_writer *writer, const char *name, bool flag);
