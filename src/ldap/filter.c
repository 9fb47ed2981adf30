/* SPDX-License-Identifier: Apache-2.0 */
#include "ldap/filter.h"

#include <ctype.h>

struct scanner {
        struct bytes text;
        size_t at;
};

void filter_value_add(struct buf *out, struct bytes value)
{
        for (size_t i = 0; i < value.len; i++) {
                uint8_t c = value.data[i];

                /* RFC 4515 3 wants NUL ( ) * \ escaped; what is not plain ASCII may be, and then charsets do
                 * not matter. */
                if (c <= 0x20 || c >= 0x7f || c == '(' || c == ')' || c == '*' || c == '\\')
                        buf_add_format(out, "\\%02x", c);
                else
                        buf_add_byte(out, c);
        }
}

void filter_equal_add(struct buf *out, const char *attribute, struct bytes value)
{
        buf_add_format(out, "(%s=", attribute);
        filter_value_add(out, value);
        buf_add_byte(out, ')');
}

static int peek(const struct scanner *s)
{
        return s->at < s->text.len ? s->text.data[s->at] : -1;
}

static int wrong(const struct scanner *s, const char *what)
{
        return refuse(PROBLEM_MALFORMED,
                      "The filter has no %s at character %zu; a filter is of the form "
                      "(&(objectClass=person)(mail=*@example.org)).",
                      what, s->at + 1);
}

static int expect(struct scanner *s, char c, const char *what)
{
        if (peek(s) != c)
                return wrong(s, what);
        s->at++;
        return 0;
}

/* attribute "=" | "~=" | ">=" | "<=", or an extensible match, whose parts are separated by colons. */
static int scan_type(struct scanner *s)
{
        size_t begin = s->at;

        while (peek(s) >= 0 && (isalnum(peek(s)) || strchr("-.;_:", peek(s))))
                s->at++;
        if (s->at == begin)
                return wrong(s, "attribute");
        if (strchr("~<>", peek(s) < 0 ? 'x' : peek(s)))
                s->at++;
        return PASS(expect(s, '=', "\"=\""));
}

static int scan_value(struct scanner *s)
{
        for (;; s->at++) {
                int c = peek(s);

                if (c < 0 || c == ')')
                        return 0;
                if (c == '(' || c == 0)
                        return wrong(s, "\")\"");
                if (c != '\\')
                        continue;
                for (int i = 0; i < 2; i++) {
                        s->at++;
                        if (peek(s) < 0 || !isxdigit(peek(s)))
                                return wrong(s, "hexadecimal digit after the backslash");
                }
        }
}

/* Between the filters of a list libldap takes blanks, as does whoever folds a long one. */
static void skip_blanks(struct scanner *s)
{
        while (peek(s) == ' ')
                s->at++;
}

static int scan_filter(struct scanner *s, unsigned depth)
{
        if (depth > FILTER_DEPTH_MOST)
                return refuse(PROBLEM_TOO_LARGE, "The filter is nested more than %d deep.",
                              FILTER_DEPTH_MOST);
        TRY(expect(s, '(', "\"(\""));
        if (peek(s) == '&' || peek(s) == '|') {
                s->at++;
                do {
                        skip_blanks(s);
                        TRY(scan_filter(s, depth + 1));
                        skip_blanks(s);
                } while (peek(s) == '(');
        } else if (peek(s) == '!') {
                s->at++;
                TRY(scan_filter(s, depth + 1));
        } else {
                TRY(scan_type(s));
                TRY(scan_value(s));
        }
        return PASS(expect(s, ')', "\")\""));
}

int filter_check(struct bytes text)
{
        struct scanner s = {.text = text};

        if (text.len > FILTER_MOST)
                return refuse(PROBLEM_TOO_LARGE, "The filter is longer than %d bytes.", FILTER_MOST);
        TRY(scan_filter(&s, 0));
        return s.at == text.len ? 0 : wrong(&s, "end");
}
