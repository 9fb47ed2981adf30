/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Text: UTF-8 (RFC 3629) checks, encodings of bytes as text, mail addresses as keys, and showing what may not be shown raw.
 */
#include "base/buf.h"

/* Well-formed UTF-8 without NUL, surrogates or overlong forms. */
bool text_is_utf8(struct bytes text);
/* Also without control characters (C0, DEL, C1) and bidirectional controls: safe on one line of a terminal. */
bool text_is_printable(struct bytes text);
/* Append, replacing whatever is not printable by U+FFFD, at most `limit` bytes. */
void text_add_printable(struct buf *out, struct bytes text, size_t limit);
/* Terminal columns it takes, after wcwidth(3) for UTF-8 whatever the locale. */
size_t text_columns(const char *text);

/* RFC 4648. Decoders are strict: no other characters, correct padding, no trailing bits. PROBLEM_MALFORMED otherwise. */
void base64_add(struct buf *out, struct bytes bytes);      /* section 4, padded, one line */
void base64url_add(struct buf *out, struct bytes bytes);   /* section 5, unpadded */
int base64_parse(struct bytes text, struct buf *ret_bytes) must_check;
int base64url_parse(struct bytes text, struct buf *ret_bytes) must_check;
void hex_add(struct buf *out, struct bytes bytes);         /* lower case */
int hex_parse(struct bytes text, struct buf *ret_bytes) must_check;
/* A decimal number without sign, blanks or leading zeros. */
int number_parse(struct bytes text, uint64_t max, uint64_t *ret_number) must_check;

/*
 * A mail address (addr-spec of RFC 5321, 6531) as the key under which it is stored and compared: the domain in
 * lower case, the local part in lower case too (ASCII letters only): directories compare so, though RFC 5321 would permit
 * otherwise. PROBLEM_MALFORMED for what is no single address, has control characters, or is over 320 bytes.
 */
int address_parse(struct bytes text, struct buf *ret_key) must_check;
bool address_is_ascii(const char *address);
bool text_equal_ignoring_case(const char *a, const char *b); /* ASCII only; names are compared with base/fold.h */
static inline uint8_t text_lower(uint8_t c)                 /* likewise */
{
        return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}
