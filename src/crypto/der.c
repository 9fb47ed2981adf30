/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/der.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/fault.h"

/* ---- writing */

static size_t length_size(size_t len)
{
        size_t size = 1;

        if (len >= 0x80)
                for (size_t rest = len; rest; rest >>= 8)
                        size++;
        return size;
}

static void length_put(uint8_t *place, size_t len)
{
        size_t size = length_size(len);

        if (size == 1) {
                place[0] = (uint8_t)len;
                return;
        }
        place[0] = (uint8_t)(0x80 | (size - 1));
        for (size_t i = size - 1; i > 0; i--, len >>= 8)
                place[i] = (uint8_t)len;
}

/* One byte is left for the length; a longer one makes der_end() move the content, which is cheaper than measuring
 * first. */
size_t der_begin(struct buf *out, uint8_t tag)
{
        buf_add_byte(out, tag);
        buf_add_byte(out, 0);
        return out->len;
}

size_t der_begin_bits(struct buf *out)
{
        size_t mark = der_begin(out, DER_BIT_STRING);

        buf_add_byte(out, 0);
        return mark;
}

void der_end(struct buf *out, size_t mark)
{
        size_t len = out->len - mark, size = length_size(len);

        if (size > 1) {
                buf_reserve(out, size - 1);
                memmove(out->data + mark + size - 1, out->data + mark, len);
                buf_extend(out, size - 1);
        }
        length_put(out->data + mark - 1, len);
}

void der_add_head(struct buf *out, uint8_t tag, size_t len)
{
        uint8_t head[2 + sizeof(size_t)];

        head[0] = tag;
        length_put(head + 1, len);
        buf_add(out, head, 1 + length_size(len));
}

void der_add(struct buf *out, uint8_t tag, struct bytes content)
{
        der_add_head(out, tag, content.len);
        buf_add_bytes(out, content);
}

void der_add_unsigned(struct buf *out, struct bytes magnitude)
{
        while (magnitude.len > 0 && magnitude.data[0] == 0) {
                magnitude.data++;
                magnitude.len--;
        }
        bool sign = magnitude.len == 0 || magnitude.data[0] >= 0x80;

        der_add_head(out, DER_INTEGER, magnitude.len + sign);
        if (sign)
                buf_add_byte(out, 0);
        buf_add_bytes(out, magnitude);
}

void der_add_small(struct buf *out, uint64_t value)
{
        uint8_t bytes[8];

        for (size_t i = 8; i-- > 0; value >>= 8)
                bytes[i] = (uint8_t)value;
        der_add_unsigned(out, bytes_of(bytes, sizeof(bytes)));
}

void der_add_boolean(struct buf *out, bool value)
{
        uint8_t byte = value ? 0xff : 0;

        der_add(out, DER_BOOLEAN, bytes_of(&byte, 1));
}

void der_add_null(struct buf *out)
{
        der_add(out, DER_NULL, BYTES_NONE);
}

void der_add_bits(struct buf *out, struct bytes bytes)
{
        der_add_head(out, DER_BIT_STRING, bytes.len + 1);
        buf_add_byte(out, 0);
        buf_add_bytes(out, bytes);
}

void der_add_named_bits(struct buf *out, unsigned bits)
{
        uint8_t content[3] = {0};
        size_t len = 1;

        for (unsigned i = 0; i < 16; i++)
                if (bits & (1u << i)) {
                        content[1 + i / 8] |= (uint8_t)(0x80 >> (i % 8));
                        content[0] = (uint8_t)(7 - i % 8);
                        len = 2 + i / 8;
                }
        der_add(out, DER_BIT_STRING, bytes_of(content, len));
}

static void digits_put(char *place, unsigned value, int count)
{
        while (count-- > 0) {
                place[count] = (char)('0' + value % 10);
                value /= 10;
        }
}

/* Written by hand: a list of a million entries has a million of them. */
void der_add_time(struct buf *out, int64_t instant)
{
        const int64_t year_0 = -62167219200, year_10000 = 253402300800;
        struct calendar c = calendar_of(MIN(MAX(instant, year_0), year_10000 - 1));
        bool general = c.year < 1950 || c.year > 2049;
        char text[16], *at = text;

        if (general) {
                digits_put(at, (unsigned)c.year / 100, 2);
                at += 2;
        }
        digits_put(at, (unsigned)c.year % 100, 2);
        digits_put(at + 2, (unsigned)c.month, 2);
        digits_put(at + 4, (unsigned)c.day, 2);
        digits_put(at + 6, (unsigned)c.hour, 2);
        digits_put(at + 8, (unsigned)c.minute, 2);
        digits_put(at + 10, (unsigned)c.second, 2);
        at[12] = 'Z';
        der_add(out, general ? DER_GENERALIZED_TIME : DER_UTC_TIME, bytes_of(text, (size_t)(at + 13 - text)));
}

/* ---- reading */

static int malformed(const char *what)
{
        return refuse(PROBLEM_MALFORMED, "The DER encoding is wrong: %s.", what);
}

static int head_read(struct bytes input, uint8_t *ret_tag, size_t *ret_head, size_t *ret_len)
{
        size_t head = 2, len;

        if (input.len < 2)
                return malformed("it ends where an element should begin");
        if ((input.data[0] & 0x1f) == 0x1f)
                return malformed("a tag number is over 30");
        len = input.data[1];
        if (len >= 0x80) {
                size_t size = len & 0x7f;

                if (size == 0 || size > 4)
                        return malformed(size ? "a length has more than four bytes" : "a length is indefinite");
                if (input.len < 2 + size)
                        return malformed("it ends within a length");
                len = 0;
                for (; head < 2 + size; head++)
                        len = len << 8 | input.data[head];
                if (length_size(len) != 1 + size)
                        return malformed("a length is not in its shortest form");
        }
        if (len > input.len - head)
                return malformed("an element is longer than what is there");
        *ret_tag = input.data[0];
        *ret_head = head;
        *ret_len = len;
        return 0;
}

static void cursor_advance(struct bytes *cursor, size_t len)
{
        cursor->data += len;
        cursor->len -= len;
}

int der_read_any(struct bytes *cursor, uint8_t *ret_tag, struct bytes *ret_content)
{
        size_t head, len;
        uint8_t tag;

        TRY(head_read(*cursor, &tag, &head, &len));
        *ret_tag = tag;
        *ret_content = bytes_of(cursor->data + head, len);
        cursor_advance(cursor, head + len);
        return 0;
}

static int tag_expect(struct bytes cursor, uint8_t tag)
{
        if (der_is(cursor, tag))
                return 0;
        if (!cursor.len)
                return refuse(PROBLEM_MALFORMED, "The DER encoding is wrong: an element with tag %02x is missing.",
                              tag);
        return refuse(PROBLEM_MALFORMED, "The DER encoding is wrong: there is tag %02x where %02x is expected.",
                      cursor.data[0], tag);
}

int der_read(struct bytes *cursor, uint8_t tag, struct bytes *ret_content)
{
        uint8_t found;

        TRY(tag_expect(*cursor, tag));
        return der_read_any(cursor, &found, ret_content);
}

int der_read_whole(struct bytes *cursor, uint8_t tag, struct bytes *ret_element)
{
        size_t head, len;
        uint8_t found;

        TRY(tag_expect(*cursor, tag));
        TRY(head_read(*cursor, &found, &head, &len));
        *ret_element = bytes_of(cursor->data, head + len);
        cursor_advance(cursor, head + len);
        return 0;
}

/* Reads on a copy of the cursor, so that it stays untouched when the content turns out to be wrong. */
int der_read_unsigned(struct bytes *cursor, struct bytes *ret_magnitude)
{
        struct bytes rest = *cursor, content;

        TRY(der_read(&rest, DER_INTEGER, &content));
        if (!content.len)
                return malformed("an INTEGER is empty");
        if (content.data[0] & 0x80)
                return malformed("an INTEGER is negative that may not be");
        if (content.len > 1 && content.data[0] == 0) {
                if (!(content.data[1] & 0x80))
                        return malformed("an INTEGER is not in its shortest form");
                cursor_advance(&content, 1);
        }
        *ret_magnitude = content;
        *cursor = rest;
        return 0;
}

int der_read_small(struct bytes *cursor, uint64_t most, uint64_t *ret_value)
{
        struct bytes rest = *cursor, magnitude;
        uint64_t value = 0;

        TRY(der_read_unsigned(&rest, &magnitude));
        if (magnitude.len > 8)
                return malformed("an INTEGER is too large");
        for (size_t i = 0; i < magnitude.len; i++)
                value = value << 8 | magnitude.data[i];
        if (value > most)
                return malformed("an INTEGER is too large");
        *ret_value = value;
        *cursor = rest;
        return 0;
}

int der_read_boolean(struct bytes *cursor, bool *ret_value)
{
        struct bytes rest = *cursor, content;

        TRY(der_read(&rest, DER_BOOLEAN, &content));
        if (content.len != 1 || (content.data[0] != 0 && content.data[0] != 0xff))
                return malformed("a BOOLEAN is neither true nor false");
        *ret_value = content.data[0] != 0;
        *cursor = rest;
        return 0;
}

int der_read_null(struct bytes *cursor)
{
        struct bytes rest = *cursor, content;

        TRY(der_read(&rest, DER_NULL, &content));
        if (content.len)
                return malformed("a NULL has content");
        *cursor = rest;
        return 0;
}

/* The unused bits of a BIT STRING must be at most 7, zero, and none in an empty one. */
static int bits_check(struct bytes content)
{
        if (!content.len || content.data[0] > 7 || (content.len == 1 && content.data[0]))
                return malformed("a BIT STRING has no valid count of unused bits");
        if (content.data[content.len - 1] & ((1u << content.data[0]) - 1) && content.len > 1)
                return malformed("unused bits of a BIT STRING are set");
        return 0;
}

int der_read_bits(struct bytes *cursor, struct bytes *ret_bytes)
{
        struct bytes rest = *cursor, content;

        TRY(der_read(&rest, DER_BIT_STRING, &content));
        TRY(bits_check(content));
        if (content.data[0])
                return malformed("a BIT STRING is not of whole bytes");
        *ret_bytes = bytes_of(content.data + 1, content.len - 1);
        *cursor = rest;
        return 0;
}

int der_read_named_bits(struct bytes *cursor, unsigned *ret_bits)
{
        struct bytes rest = *cursor, content;
        unsigned bits = 0;

        TRY(der_read(&rest, DER_BIT_STRING, &content));
        TRY(bits_check(content));
        if (content.len > 1 && !(content.data[content.len - 1] >> content.data[0] & 1))
                return malformed("a BIT STRING of named bits ends in zeros");
        for (unsigned i = 0; i < 16 && 1 + i / 8 < content.len; i++)
                if (content.data[1 + i / 8] & (0x80 >> (i % 8)))
                        bits |= 1u << i;
        *ret_bits = bits;
        *cursor = rest;
        return 0;
}

int der_read_oid(struct bytes *cursor, struct bytes *ret_content)
{
        struct bytes rest = *cursor, content;
        bool first = true;

        TRY(der_read(&rest, DER_OID, &content));
        if (!content.len || content.len > 64 || content.data[content.len - 1] & 0x80)
                return malformed("an OBJECT IDENTIFIER is empty, too long, or cut off");
        for (size_t i = 0; i < content.len; i++) {
                if (first && content.data[i] == 0x80)
                        return malformed("an OBJECT IDENTIFIER is not in its shortest form");
                first = !(content.data[i] & 0x80);
        }
        *ret_content = content;
        *cursor = rest;
        return 0;
}

/* `count` digits off the front, as a number; false if they are none. */
static bool digits_take(struct bytes *text, size_t count, int *ret_number)
{
        int number = 0;

        if (text->len < count)
                return false;
        for (size_t i = 0; i < count; i++) {
                if (text->data[i] < '0' || text->data[i] > '9')
                        return false;
                number = number * 10 + text->data[i] - '0';
        }
        cursor_advance(text, count);
        *ret_number = number;
        return true;
}

/* `years`: how many digits the year has. */
static int calendar_read(struct bytes text, unsigned years, struct calendar *ret_calendar)
{
        struct calendar c = {0};

        if (!digits_take(&text, years, &c.year) || !digits_take(&text, 2, &c.month) || !digits_take(&text, 2, &c.day) ||
            !digits_take(&text, 2, &c.hour) || !digits_take(&text, 2, &c.minute) || !digits_take(&text, 2, &c.second) ||
            text.len != 1 || text.data[0] != 'Z')
                return malformed("a time is not of the form YYMMDDhhmmssZ or YYYYMMDDhhmmssZ");
        *ret_calendar = c;
        return 0;
}

static int instant_read(const struct calendar *c, int64_t *ret_instant)
{
        return calendar_instant(c, ret_instant) != 0 ? malformed("a time does not exist") : 0;
}

int der_read_time(struct bytes *cursor, int64_t *ret_instant)
{
        struct bytes rest = *cursor, text;
        struct calendar c;
        uint8_t tag;

        TRY(der_read_any(&rest, &tag, &text));
        if (tag != DER_UTC_TIME && tag != DER_GENERALIZED_TIME)
                return malformed("there is something else where a time is expected");
        TRY(calendar_read(text, tag == DER_UTC_TIME ? 2 : 4, &c));
        if (tag == DER_UTC_TIME)
                c.year += c.year < 50 ? 2000 : 1900;
        else if (c.year >= 1950 && c.year <= 2049)
                return malformed("a time before 2050 is not a UTCTime");
        TRY(instant_read(&c, ret_instant));
        *cursor = rest;
        return 0;
}

int der_read_generalized_time(struct bytes *cursor, int64_t *ret_instant)
{
        struct bytes rest = *cursor, text;
        struct calendar c;

        TRY(der_read(&rest, DER_GENERALIZED_TIME, &text));
        TRY(calendar_read(text, 4, &c));
        TRY(instant_read(&c, ret_instant));
        *cursor = rest;
        return 0;
}

int der_finish(struct bytes cursor)
{
        return cursor.len ? malformed("more follows where it should end") : 0;
}

int der_read_only(struct bytes input, uint8_t tag, struct bytes *ret_content)
{
        struct bytes content;

        TRY(der_read(&input, tag, &content));
        TRY(der_finish(input));
        *ret_content = content;
        return 0;
}
