/* SPDX-License-Identifier: Apache-2.0 */
#include "base/dn.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

enum { VALUE_MOST = 4096 };

struct scanner {
        struct bytes text;
        size_t at;
};

void dn_done(struct dn *dn)
{
        for (size_t i = 0; i < dn->count; i++) {
                free(dn->parts[i].type);
                free(dn->parts[i].value);
        }
        *dn = (struct dn){0};
}

static bool at_end(const struct scanner *s)
{
        return s->at >= s->text.len;
}

static uint8_t peek(const struct scanner *s)
{
        return at_end(s) ? 0 : s->text.data[s->at];
}

/* Not by strchr(): a zero byte would be one. */
static bool is_separator(uint8_t c)
{
        return c == ',' || c == ';' || c == '+';
}

static void skip_blanks(struct scanner *s)
{
        while (peek(s) == ' ')
                s->at++;
}

static int refuse_dn(const struct scanner *s, const char *what)
{
        return refuse(PROBLEM_MALFORMED, "The name has %s at character %zu.", what, s->at + 1);
}

static int hex_digit(uint8_t c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int scan_type(struct scanner *s, char **ret_type)
{
        CLEANUP(buf_done) struct buf type = BUF_NONE;

        skip_blanks(s);
        for (;;) {
                uint8_t c = peek(s);
                bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
                if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '.' && c != '_')
                        break;
                buf_add_byte(&type, (uint8_t)(letter ? c | 0x20 : c));
                s->at++;
        }
        skip_blanks(s);
        if (!type.len || peek(s) != '=')
                return refuse_dn(s, "no \"type=value\"");
        s->at++;
        skip_blanks(s);
        *ret_type = text_copy(buf_text(&type));
        return 0;
}

static int scan_escape(struct scanner *s, struct buf *value)
{
        int high, low;

        s->at++;
        if (at_end(s))
                return refuse_dn(s, "an escape without a character");
        high = hex_digit(peek(s));
        low = s->at + 1 < s->text.len ? hex_digit(s->text.data[s->at + 1]) : -1;
        if (high >= 0 && low >= 0) {
                buf_add_byte(value, (uint8_t)(high << 4 | low));
                s->at += 2;
                return 0;
        }
        buf_add_byte(value, peek(s));
        s->at++;
        return 0;
}

/* Up to an unescaped "," ";" or "+"; blanks at the end that are not escaped do not belong to it. A quote in the
 * middle should be escaped (RFC 4514 2.4) but is clear enough: nobody is left out because of it. */
static int scan_plain(struct scanner *s, struct buf *value)
{
        size_t keep = 0;

        while (!at_end(s) && !is_separator(peek(s))) {
                if (peek(s) == '\\') {
                        TRY(scan_escape(s, value));
                        keep = value->len;
                        continue;
                }
                buf_add_byte(value, peek(s));
                if (peek(s) != ' ')
                        keep = value->len;
                s->at++;
        }
        buf_truncate(value, keep);
        return 0;
}

static int scan_quoted(struct scanner *s, struct buf *value)
{
        s->at++;
        while (!at_end(s) && peek(s) != '"') {
                if (peek(s) == '\\') {
                        TRY(scan_escape(s, value));
                        continue;
                }
                buf_add_byte(value, peek(s));
                s->at++;
        }
        if (at_end(s))
                return refuse_dn(s, "a quote that is not closed");
        s->at++;
        skip_blanks(s);
        return 0;
}

static int scan_part(struct scanner *s, struct dn *dn)
{
        CLEANUP(buf_done) struct buf value = BUF_NONE;
        struct dn_part *part;

        if (dn->count == DN_PARTS_MOST)
                return refuse(PROBLEM_TOO_LARGE, "The name has more than %d parts.", DN_PARTS_MOST);
        part = &dn->parts[dn->count];
        TRY(scan_type(s, &part->type));
        dn->count++;
        if (peek(s) == '"')
                TRY(scan_quoted(s, &value));
        else
                TRY(scan_plain(s, &value));
        if (value.len > VALUE_MOST)
                return refuse(PROBLEM_TOO_LARGE, "A part of the name is longer than %d bytes.", VALUE_MOST);
        /* A zero byte would end the value here, and make one name of two. */
        if (!text_is_utf8(buf_view(&value)) || strlen(buf_text(&value)) != value.len)
                return refuse_dn(s, "a value that is not UTF-8, or has a zero byte");
        part->value = text_copy(buf_text(&value));
        return 0;
}

int dn_parse(struct bytes text, struct dn *ret_dn)
{
        CLEANUP(dn_done) struct dn dn = {0};
        struct scanner s = {.text = text};

        for (bool joined = false;; s.at++) {
                TRY(scan_part(&s, &dn));
                dn.parts[dn.count - 1].joined = joined;
                if (at_end(&s))
                        break;
                if (!is_separator(peek(&s)))
                        return refuse_dn(&s, "something after a value");
                joined = peek(&s) == '+';
        }
        *ret_dn = dn;
        dn = (struct dn){0};
        return 0;
}

void dn_value_add(struct buf *out, struct bytes value)
{
        for (size_t i = 0; i < value.len; i++) {
                uint8_t c = value.data[i];
                bool edge = (i == 0 && (c == ' ' || c == '#')) || (i + 1 == value.len && c == ' ');

                if (c < ' ' || c == 0x7f)
                        buf_add_format(out, "\\%02X", c);
                else if (edge || strchr("\"+,;<>\\=", c))
                        buf_add_format(out, "\\%c", c);
                else
                        buf_add_byte(out, c);
        }
}
