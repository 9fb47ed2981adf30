/* SPDX-License-Identifier: Apache-2.0 */
#include "letter/template.h"

#include <string.h>

#include "base/fault.h"
#include "base/text.h"

enum { NAME_MOST = 32, VALUE_MOST = 4096 };

/* Counts while there is nowhere to write to; so the second time fits exactly, and no copies are left behind. */
struct output {
        uint8_t *at;
        size_t len;
};

static void put(struct output *output, struct bytes bytes)
{
        if (output->at && bytes.len)
                memcpy(output->at + output->len, bytes.data, bytes.len);
        output->len += bytes.len;
}

static void put_html(struct output *output, struct bytes text)
{
        for (size_t i = 0; i < text.len; i++) {
                char c = (char)text.data[i];
                const char *reference = c == '<'    ? "&lt;"
                                        : c == '>'  ? "&gt;"
                                        : c == '&'  ? "&amp;"
                                        : c == '"'  ? "&quot;"
                                        : c == '\'' ? "&#39;"
                                                    : NULL;

                put(output, reference ? bytes_text(reference) : bytes_of(text.data + i, 1));
        }
}

static void put_value(struct output *output, struct bytes value, bool html)
{
        CLEANUP(buf_wipe) struct buf clean = BUF_NONE;

        buf_reserve(&clean, 4 * VALUE_MOST);
        text_add_printable(&clean, value, VALUE_MOST);
        if (html)
                put_html(output, buf_view(&clean));
        else
                put(output, buf_view(&clean));
}

/* The name of the placeholder that begins at `at`, or nothing. */
static struct bytes placeholder_at(struct bytes text, size_t at)
{
        size_t len = 0;

        while (at + 1 + len < text.len && len <= NAME_MOST &&
               ((text.data[at + 1 + len] >= 'A' && text.data[at + 1 + len] <= 'Z') || text.data[at + 1 + len] == '-'))
                len++;
        if (!len || len > NAME_MOST || at + 1 + len >= text.len || text.data[at + 1 + len] != '%')
                return BYTES_NONE;
        return bytes_of(text.data + at + 1, len);
}

static const struct template_value *value_find(const struct template_value *values, size_t count, struct bytes name)
{
        for (size_t i = 0; i < count; i++)
                if (bytes_equal(bytes_text(values[i].name), name))
                        return &values[i];
        return NULL;
}

static int unknown(const char *template, struct bytes text, size_t at, struct bytes name)
{
        unsigned line = 1;

        for (size_t i = 0; i < at; i++)
                line += text.data[i] == '\n';
        return refuse(PROBLEM_CONFIGURATION, "%s line %u: there is no placeholder %%%.*s%%.", template, line, (int)name.len,
                      (const char *)name.data);
}

static int render(const char *template, struct bytes text, bool html, const struct template_value *values, size_t count,
                  struct output *output)
{
        for (size_t at = 0; at < text.len;) {
                const uint8_t *percent = memchr(text.data + at, '%', text.len - at);
                size_t until = percent ? (size_t)(percent - text.data) : text.len;
                const struct template_value *value;
                struct bytes name;

                put(output, bytes_of(text.data + at, until - at));
                if (!percent)
                        break;
                name = placeholder_at(text, until);
                at = until + 1;
                if (!name.len) {
                        put(output, bytes_text("%"));
                        at += at < text.len && text.data[at] == '%';
                        continue;
                }
                value = value_find(values, count, name);
                if (!value)
                        return unknown(template, text, until, name);
                put_value(output, value->value, html);
                at += name.len + 1;
        }
        return 0;
}

int template_render(const char *name, struct bytes text, bool html, const struct template_value *values, size_t count,
                    struct secret *ret_text)
{
        struct output output = {0};
        CLEANUP(secret_done) struct secret rendered = SECRET_NONE;

        if (!text_is_utf8(text))
                return refuse(PROBLEM_CONFIGURATION, "%s is not UTF-8 text.", name);
        TRY(render(name, text, html, values, count, &output));
        rendered = secret_new(output.len);
        output = (struct output){.at = rendered.data};
        TRY(render(name, text, html, values, count, &output));
        *ret_text = secret_take(&rendered);
        return 0;
}

bool template_has(struct bytes text, const char *name)
{
        for (size_t at = 0; at < text.len; at++)
                if (text.data[at] == '%' && bytes_equal(placeholder_at(text, at), bytes_text(name)))
                        return true;
        return false;
}
