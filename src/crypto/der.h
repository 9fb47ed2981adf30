/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * DER (X.690): a writer into struct buf and a strict reader over struct bytes.
 *
 * The writer cannot fail. Constructed values are opened and closed:
 *
 *         size_t seq = der_begin(out, DER_SEQUENCE);
 *         der_add_small(out, 1);
 *         der_end(out, seq);
 *
 * The reader is pure. A cursor is a struct bytes: each call takes one element off its front and gives a view into the
 * input. Only DER passes: definite, minimal lengths; low tag numbers (under 31; nothing that we read has others);
 * minimal integers; booleans of 0 or 255; no unused bits that are set. Anything else is PROBLEM_MALFORMED, with the
 * cursor untouched. Whoever reads a constructed value to its end says so with der_finish(). Nesting costs the reader
 * nothing: there is no recursion here.
 */
#include "base/buf.h"

enum der_tag {
        DER_BOOLEAN = 0x01,
        DER_INTEGER = 0x02,
        DER_BIT_STRING = 0x03,
        DER_OCTET_STRING = 0x04,
        DER_NULL = 0x05,
        DER_OID = 0x06,
        DER_ENUMERATED = 0x0a,
        DER_UTF8_STRING = 0x0c,
        DER_PRINTABLE_STRING = 0x13,
        DER_TELETEX_STRING = 0x14,
        DER_IA5_STRING = 0x16,
        DER_UTC_TIME = 0x17,
        DER_GENERALIZED_TIME = 0x18,
        DER_BMP_STRING = 0x1e,
        DER_SEQUENCE = 0x30,
        DER_SET = 0x31,
};
/* [n] IMPLICIT of a primitive type; [n] EXPLICIT, or IMPLICIT of a constructed one. */
#define DER_CONTEXT(n)             (0x80 | (n))
#define DER_CONTEXT_CONSTRUCTED(n) (0xa0 | (n))

/* ---- writing */

size_t der_begin(struct buf *out, uint8_t tag); /* returns the mark for der_end() */
void der_end(struct buf *out, size_t mark);
/* An OCTET STRING or BIT STRING (no unused bits) that contains DER; closed by der_end() too. */
size_t der_begin_bits(struct buf *out);
/* Tag and length of a value whose `len` bytes the caller adds next. */
void der_add_head(struct buf *out, uint8_t tag, size_t len);
void der_add(struct buf *out, uint8_t tag, struct bytes content);
void der_add_unsigned(struct buf *out,
                      struct bytes magnitude); /* INTEGER from big-endian bytes, leading zeros dropped */
void der_add_small(struct buf *out, uint64_t value);            /* INTEGER */
void der_add_boolean(struct buf *out, bool value);
void der_add_null(struct buf *out);
void der_add_bits(struct buf *out, struct bytes bytes);                 /* BIT STRING of whole bytes */
void der_add_named_bits(struct buf *out, unsigned bits); /* bit 0 is value 1; trailing zeros dropped; under 16 */
/* RFC 5280 4.1.2.5: UTCTime for 1950 to 2049, else GeneralizedTime. Instants outside the years 0 to 9999 are moved to
 * that limit. */
void der_add_time(struct buf *out, int64_t instant);

/* ---- reading */

static inline bool der_is(struct bytes cursor, uint8_t tag)
{
        return cursor.len > 0 && cursor.data[0] == tag;
}
/* The content of the next element, which must have this tag. */
int der_read(struct bytes *cursor, uint8_t tag, struct bytes *ret_content) must_check;
int der_read_any(struct bytes *cursor, uint8_t *ret_tag, struct bytes *ret_content) must_check;
/* The whole next element, head and all, which must have this tag. */
int der_read_whole(struct bytes *cursor, uint8_t tag, struct bytes *ret_element) must_check;
/* Non-negative INTEGER as big-endian bytes without leading zeros; zero gives one zero byte. */
int der_read_unsigned(struct bytes *cursor, struct bytes *ret_magnitude) must_check;
int der_read_small(struct bytes *cursor, uint64_t most, uint64_t *ret_value) must_check;
int der_read_boolean(struct bytes *cursor, bool *ret_value) must_check;
int der_read_null(struct bytes *cursor) must_check;
int der_read_bits(struct bytes *cursor, struct bytes *ret_bytes) must_check; /* whole bytes only */
int der_read_named_bits(struct bytes *cursor, unsigned *ret_bits) must_check; /* bits beyond 15 are dropped */
int der_read_oid(struct bytes *cursor, struct bytes *ret_content) must_check;
/* UTCTime or GeneralizedTime in the form of RFC 5280 4.1.2.5: to the second, ending in Z. Each in its own years. */
int der_read_time(struct bytes *cursor, int64_t *ret_instant) must_check;
/* One that is never a UTCTime, whatever the year. */
int der_read_generalized_time(struct bytes *cursor, int64_t *ret_instant) must_check;
/* PROBLEM_MALFORMED when anything is left. */
int der_finish(struct bytes cursor) must_check;
/* The input as exactly one element with this tag. */
int der_read_only(struct bytes input, uint8_t tag, struct bytes *ret_content) must_check;
