/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/writer.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/secret.h"
#include "base/text.h"

void json_buf_done(struct buf *buf)
{
        memory_wipe(buf->data, buf->len);
        buf_done(buf);
}

static void writer_add(struct json_writer *writer, const void *data, size_t len)
{
        struct buf *out = writer->out;

        if (out->cap - out->len <= len) {
                struct buf larger = BUF_NONE;

                buf_reserve(&larger, MAX(out->len + len, out->cap * 2));
                buf_add_bytes(&larger, buf_view(out));
                json_buf_done(out);
                *out = larger;
        }
        buf_add(out, data, len);
}

static void writer_quoted(struct json_writer *writer, struct bytes text)
{
        size_t start = 0;

        writer_add(writer, "\"", 1);
        for (size_t i = 0; i < text.len; i++) {
                uint8_t c = text.data[i];
                char escape[8];

                if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
                        continue;
                writer_add(writer, text.data + start, i - start);
                start = i + 1;
                if (c == '"' || c == '\\')
                        writer_add(writer, (char[]){'\\', (char)c}, 2);
                else
                        writer_add(writer, escape, (size_t)snprintf(escape, sizeof(escape), "\\u%04x", c));
        }
        if (start < text.len)
                writer_add(writer, text.data + start, text.len - start);
        writer_add(writer, "\"", 1);
}

static void writer_begin(struct json_writer *writer, const char *name)
{
        if (writer->comma)
                writer_add(writer, ",", 1);
        writer->comma = true;
        if (!name)
                return;
        writer_quoted(writer, bytes_text(name));
        writer_add(writer, ":", 1);
}

void json_open(struct json_writer *writer, const char *name, char bracket)
{
        writer_begin(writer, name);
        writer_add(writer, &bracket, 1);
        writer->comma = false;
}

void json_close(struct json_writer *writer, char bracket)
{
        writer_add(writer, &bracket, 1);
        writer->comma = true;
}

void json_text(struct json_writer *writer, const char *name, struct bytes text)
{
        struct buf clean = BUF_NONE;

        writer_begin(writer, name);
        if (!text_is_utf8(text)) {
                text_add_printable(&clean, text, text.len * 3);
                text = buf_view(&clean);
        }
        writer_quoted(writer, text);
        json_buf_done(&clean);
}

void json_base64(struct json_writer *writer, const char *name, struct bytes bytes)
{
        struct buf text = BUF_NONE;

        writer_begin(writer, name);
        base64_add(&text, bytes);
        writer_add(writer, "\"", 1);
        writer_add(writer, text.data, text.len);
        writer_add(writer, "\"", 1);
        json_buf_done(&text);
}

void json_number(struct json_writer *writer, const char *name, uint64_t number)
{
        const char *quote = number > JSON_NUMBER_MAX ? "\"" : "";
        char text[24];

        writer_begin(writer, name);
        writer_add(writer, text, (size_t)snprintf(text, sizeof(text), "%s%" PRIu64 "%s", quote, number, quote));
}

void json_flag(struct json_writer *writer, const char *name, bool flag)
{
        writer_begin(writer, name);
        writer_add(writer, flag ? "true" : "false", flag ? 4 : 5);
}
