/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <wchar.h>

#include "base/fault.h"

/* Decode one character of RFC 3629 UTF-8; 0 when what stands there is none. */
static size_t utf8_decode(struct bytes text, uint32_t *ret_character)
{
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        uint32_t c = text.data[0];
        size_t len = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;

        if (!len || len > text.len)
                return 0;
        if (len > 1)
                c &= 0x7fu >> len;
        for (size_t i = 1; i < len; i++) {
                if ((text.data[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (text.data[i] & 0x3f);
        }
        if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
                return 0;
        *ret_character = c;
        return len;
}

/* Controls, and the marks that turn the direction of what follows: they let a text look like another. */
static bool character_deceives(uint32_t c)
{
        return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
               c == 0x200e || c == 0x200f || c == 0x061c || c == 0x2028 || c == 0x2029;
}

static bool text_check(struct bytes text, bool printable)
{
        for (size_t at = 0, len; at < text.len; at += len) {
                uint32_t c;

                len = utf8_decode(bytes_of(text.data + at, text.len - at), &c);
                if (!len || c == 0 || (printable && character_deceives(c)))
                        return false;
        }
        return true;
}

bool text_is_utf8(struct bytes text)
{
        return text_check(text, false);
}

bool text_is_printable(struct bytes text)
{
        return text_check(text, true);
}

void text_add_printable(struct buf *out, struct bytes text, size_t limit)
{
        size_t start = out->len;

        for (size_t at = 0, len; at < text.len; at += len) {
                uint32_t c;
                struct bytes piece;

                len = utf8_decode(bytes_of(text.data + at, text.len - at), &c);
                piece = bytes_of(text.data + at, len);
                if (!len || character_deceives(c)) {
                        piece = bytes_text("\xef\xbf\xbd");
                        len = len ? len : 1;
                }
                if (out->len - start + piece.len > limit)
                        return;
                buf_add_bytes(out, piece);
        }
}

/* Wide East Asian and emoji blocks; combining marks take none. wcwidth(3) knows only the locale's characters. */
static size_t character_columns(uint32_t c)
{
        if ((c >= 0x300 && c <= 0x36f) || c == 0x200d || (c >= 0xfe00 && c <= 0xfe0f) || (c >= 0x20d0 && c <= 0x20ff))
                return 0;
        if ((c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) ||
            (c >= 0xf900 && c <= 0xfaff) || (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
            (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x1f300 && c <= 0x1faff) || (c >= 0x20000 && c <= 0x3fffd))
                return 2;
        return 1;
}

size_t text_columns(const char *text)
{
        struct bytes rest = bytes_text(text);
        size_t columns = 0;

        while (rest.len) {
                uint32_t c;
                size_t len = utf8_decode(rest, &c);

                columns += len ? character_columns(c) : 1;
                len = len ? len : 1;
                rest = bytes_of(rest.data + len, rest.len - len);
        }
        return columns;
}

static const char base64_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void base64_write(struct buf *out, struct bytes bytes, const char *alphabet, bool pad)
{
        char *to;

        buf_reserve(out, bytes.len / 3 * 4 + 4);
        to = (char *)out->data + out->len;
        for (size_t at = 0; at < bytes.len; at += 3) {
                size_t rest = MIN(bytes.len - at, (size_t)3);
                uint32_t group = (uint32_t)bytes.data[at] << 16;

                group |= rest > 1 ? (uint32_t)bytes.data[at + 1] << 8 : 0;
                group |= rest > 2 ? bytes.data[at + 2] : 0;
                for (size_t i = 0; i <= rest; i++)
                        *to++ = alphabet[group >> (18 - 6 * i) & 63];
                for (size_t i = rest; pad && i < 3; i++)
                        *to++ = '=';
        }
        buf_extend(out, (size_t)((uint8_t *)to - out->data) - out->len);
}

void base64_add(struct buf *out, struct bytes bytes)
{
        base64_write(out, bytes, base64_alphabet, true);
}

void base64url_add(struct buf *out, struct bytes bytes)
{
        base64_write(out, bytes, base64url_alphabet, false);
}

/* The value of each character, or 64. */
static void base64_values(const char *alphabet, uint8_t values[static 256])
{
        memset(values, 64, 256);
        for (uint8_t i = 0; i < 64; i++)
                values[(uint8_t)alphabet[i]] = i;
}

static int base64_read(struct bytes text, const char *alphabet, struct buf *ret_bytes)
{
        CLEANUP(buf_done) struct buf out = BUF_NONE;
        uint8_t values[256], *to;
        uint32_t group = 0;
        unsigned bits = 0;

        if (text.len % 4 == 1)
                return refuse(PROBLEM_MALFORMED, "The base64 text is cut off.");
        base64_values(alphabet, values);
        buf_reserve(&out, text.len / 4 * 3 + 3);
        to = out.data;
        for (size_t i = 0; i < text.len; i++) {
                uint8_t value = values[text.data[i]];

                if (value > 63)
                        return refuse(PROBLEM_MALFORMED, "Character %zu of the base64 text is none of its alphabet.", i + 1);
                group = group << 6 | value;
                bits += 6;
                if (bits >= 8) {
                        bits -= 8;
                        *to++ = (uint8_t)(group >> bits);
                        group &= (1u << bits) - 1;
                }
        }
        if (group)
                return refuse(PROBLEM_MALFORMED, "The base64 text has bits after its end.");
        buf_extend(&out, (size_t)(to - out.data));
        *ret_bytes = buf_take(&out);
        return 0;
}

int base64_parse(struct bytes text, struct buf *ret_bytes)
{
        size_t pad = 0;

        while (pad < 2 && pad < text.len && text.data[text.len - 1 - pad] == '=')
                pad++;
        if (text.len % 4)
                return refuse(PROBLEM_MALFORMED, "The base64 text is not a multiple of four characters.");
        return PASS(base64_read(bytes_of(text.data, text.len - pad), base64_alphabet, ret_bytes));
}

int base64url_parse(struct bytes text, struct buf *ret_bytes)
{
        return PASS(base64_read(text, base64url_alphabet, ret_bytes));
}

void hex_add(struct buf *out, struct bytes bytes)
{
        static const char digits[] = "0123456789abcdef";

        buf_reserve(out, bytes.len * 2);
        for (size_t i = 0; i < bytes.len; i++) {
                buf_add_byte(out, (uint8_t)digits[bytes.data[i] >> 4]);
                buf_add_byte(out, (uint8_t)digits[bytes.data[i] & 15]);
        }
}

static int hex_digit(uint8_t c)
{
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int hex_parse(struct bytes text, struct buf *ret_bytes)
{
        CLEANUP(buf_done) struct buf out = BUF_NONE;

        if (text.len % 2)
                return refuse(PROBLEM_MALFORMED, "The hexadecimal text has an odd number of digits.");
        buf_reserve(&out, text.len / 2);
        for (size_t i = 0; i < text.len; i += 2) {
                int high = hex_digit(text.data[i]), low = hex_digit(text.data[i + 1]);

                if (high < 0 || low < 0)
                        return refuse(PROBLEM_MALFORMED, "Character %zu is not a hexadecimal digit.", i + 1);
                buf_add_byte(&out, (uint8_t)(high << 4 | low));
        }
        *ret_bytes = buf_take(&out);
        return 0;
}

int number_parse(struct bytes text, uint64_t max, uint64_t *ret_number)
{
        uint64_t number = 0;

        if (!text.len || text.len > 20 || (text.len > 1 && text.data[0] == '0'))
                return refuse(PROBLEM_MALFORMED, "A number is written in decimal digits.");
        for (size_t i = 0; i < text.len; i++) {
                if (text.data[i] < '0' || text.data[i] > '9')
                        return refuse(PROBLEM_MALFORMED, "A number is written in decimal digits.");
                if (__builtin_mul_overflow(number, 10, &number) ||
                    __builtin_add_overflow(number, (uint64_t)(text.data[i] - '0'), &number))
                        number = UINT64_MAX;
        }
        if (number > max)
                return refuse(PROBLEM_MALFORMED, "The number is greater than %llu.", (unsigned long long)max);
        *ret_number = number;
        return 0;
}

bool address_is_ascii(const char *address)
{
        for (; *address; address++)
                if ((uint8_t)*address >= 0x80)
                        return false;
        return true;
}

bool text_equal_ignoring_case(const char *a, const char *b)
{
        for (; *a && *b; a++, b++)
                if (text_lower((uint8_t)*a) != text_lower((uint8_t)*b))
                        return false;
        return *a == *b;
}

static bool local_part_valid(struct bytes local)
{
        static const char specials[] = " ()<>[]:;@\\,\"";

        for (size_t i = 0; i < local.len; i++)
                if (strchr(specials, local.data[i]) ||
                    (local.data[i] == '.' && (i == 0 || i + 1 == local.len || local.data[i + 1] == '.')))
                        return false;
        return local.len > 0 && local.len <= 64;
}

static bool domain_valid(struct bytes domain)
{
        size_t label = 0;

        for (size_t i = 0; i < domain.len; i++) {
                uint8_t c = domain.data[i];

                if (c == '.' || c == '-') {
                        if (label == 0 || (c == '.' && domain.data[i - 1] == '-'))
                                return false;
                        label = c == '.' ? 0 : label + 1;
                } else if (!(c >= 0x80 || (c >= '0' && c <= '9') || (text_lower(c) >= 'a' && text_lower(c) <= 'z') ||
                             c == '_')) {
                        return false;
                } else {
                        label++;
                }
                if (label > 63)
                        return false;
        }
        return domain.len > 0 && domain.len <= 255 && label > 0 && domain.data[domain.len - 1] != '-';
}

int address_parse(struct bytes text, struct buf *ret_key)
{
        const uint8_t *at = text.len ? memrchr(text.data, '@', text.len) : NULL;
        CLEANUP(buf_done) struct buf key = BUF_NONE;

        if (!at || text.len > 320 || !text_is_printable(text) ||
            !local_part_valid(bytes_of(text.data, (size_t)(at - text.data))) ||
            !domain_valid(bytes_of(at + 1, text.len - (size_t)(at - text.data) - 1))) {
                struct buf shown = BUF_NONE;
                text_add_printable(&shown, text, 100);
                int r = refuse(PROBLEM_MALFORMED, "\"%s\" is not a mail address of the form name@domain.", buf_text(&shown));
                buf_done(&shown);
                return r;
        }
        for (size_t i = 0; i < text.len; i++)
                buf_add_byte(&key, text_lower(text.data[i]));
        *ret_key = buf_take(&key);
        return 0;
}
