/* SPDX-License-Identifier: Apache-2.0 */
#include "letter/bounce.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "base/text.h"

#include <gmime/gmime.h> /* last: GLib undefines MIN and MAX before it defines its own */

enum { FIELD_MOST = 500, PART_MOST = 64 * 1024 };

void bounce_done(struct bounce *bounce)
{
        free(bounce->message_id);
        free(bounce->action);
        free(bounce->status);
        free(bounce->detail);
        *bounce = (struct bounce){0};
}

/* ---- fields */

/* The value of the first field of this name in lines as a header has them, unfolded; NULL: there is none. */
static char *field_find(struct bytes text, const char *name)
{
        CLEANUP(buf_done) struct buf value = BUF_NONE, shown = BUF_NONE;
        size_t name_len = strlen(name);
        bool found = false;

        for (size_t at = 0; at < text.len;) {
                const uint8_t *end = memchr(text.data + at, '\n', text.len - at);
                size_t len = end ? (size_t)(end - text.data) - at : text.len - at;
                const char *line = (const char *)text.data + at;
                bool folded = len && (*line == ' ' || *line == '\t');

                at += len + 1;
                if (found && !folded)
                        break;
                if (found)
                        buf_add(&value, (const uint8_t *)line, len);
                else if (len > name_len && strncasecmp(line, name, name_len) == 0 && line[name_len] == ':') {
                        found = true;
                        buf_add(&value, (const uint8_t *)line + name_len + 1, len - name_len - 1);
                }
        }
        if (!found)
                return NULL;
        for (size_t i = 0; i < value.len; i++)
                if (value.data[i] == '\r' || value.data[i] == '\t')
                        value.data[i] = ' ';
        text_add_printable(&shown, buf_view(&value), FIELD_MOST);
        return text_copy(buf_text(&shown));
}

/* "smtp; 550 5.1.1 …" and "rfc822; bob@example.org": what comes after the type. */
static void type_strip(char *value)
{
        char *semicolon = value ? strchr(value, ';') : NULL;

        if (semicolon)
                memmove(value, semicolon + 1, strlen(semicolon + 1) + 1);
}

static void blanks_strip(char *value)
{
        size_t begin = value ? strspn(value, " ") : 0, len = value ? strlen(value) : 0;

        while (len > begin && value[len - 1] == ' ')
                len--;
        if (!value)
                return;
        memmove(value, value + begin, len - begin);
        value[len - begin] = 0;
}

/* The identifier in "<…>"; NULL. */
static char *identifier_of(const char *value)
{
        const char *begin = value ? strchr(value, '<') : NULL, *end = begin ? strchr(begin, '>') : NULL;

        return end && end > begin + 1 ? text_copy_n(begin + 1, (size_t)(end - begin - 1)) : NULL;
}

/* ---- parts */

static bool type_is(GMimeObject *part, const char *type, const char *subtype)
{
        return g_mime_content_type_is_type(g_mime_object_get_content_type(part), type, subtype);
}

static void content_add(GMimeObject *part, struct buf *out)
{
        GMimeDataWrapper *content = GMIME_IS_PART(part) ? g_mime_part_get_content(GMIME_PART(part)) : NULL;
        GMimeStream *stream;
        GByteArray *bytes;

        if (!content)
                return;
        stream = g_mime_stream_mem_new();
        g_mime_data_wrapper_write_to_stream(content, stream);
        bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream));
        buf_add(out, bytes->data, bytes->len < PART_MOST ? bytes->len : PART_MOST);
        g_object_unref(stream);
}

/* Fields of the message come first, then of each recipient, after an empty line (RFC 3464 2.1): the first that failed counts. */
static void status_read(GMimeObject *part, struct bounce *bounce)
{
        CLEANUP(buf_done) struct buf text = BUF_NONE;

        if (bounce->action)
                return;
        content_add(part, &text);
        bounce->action = field_find(buf_view(&text), "Action");
        if (!bounce->action)
                return;
        bounce->status = field_find(buf_view(&text), "Status");
        bounce->detail = field_find(buf_view(&text), "Diagnostic-Code");
        type_strip(bounce->detail);
        blanks_strip(bounce->action);
        blanks_strip(bounce->status);
        blanks_strip(bounce->detail);
        if (bounce->status)
                bounce->status[strcspn(bounce->status, " (")] = 0;
}

static void original_read(GMimeObject *part, struct bounce *bounce)
{
        if (bounce->message_id)
                return;
        if (GMIME_IS_MESSAGE_PART(part)) {
                GMimeMessage *message = g_mime_message_part_get_message(GMIME_MESSAGE_PART(part));
                const char *id = message ? g_mime_message_get_message_id(message) : NULL;

                bounce->message_id = id ? text_copy(id) : NULL;
                return;
        }
        CLEANUP(buf_done) struct buf text = BUF_NONE;
        CLEANUP(mem_freep) char *field = NULL;

        content_add(part, &text);
        field = field_find(buf_view(&text), "Message-ID");
        bounce->message_id = identifier_of(field);
}

static void part_read(GMimeObject *part, struct bounce *bounce)
{
        if (type_is(part, "message", "delivery-status") || type_is(part, "message", "global-delivery-status"))
                status_read(part, bounce);
        else if (GMIME_IS_MESSAGE_PART(part) || type_is(part, "text", "rfc822-headers") ||
                 type_is(part, "message", "global-headers"))
                original_read(part, bounce);
}

/* The parts of the report itself, not those of the message that it returns. */
static void report_read(GMimeObject *root, struct bounce *bounce)
{
        GMimeMultipart *report = GMIME_IS_MULTIPART(root) ? GMIME_MULTIPART(root) : NULL;
        int count = report && type_is(root, "multipart", "report") ? g_mime_multipart_get_count(report) : 0;

        for (int i = 0; i < count; i++)
                part_read(g_mime_multipart_get_part(report, i), bounce);
}

/* Some return nothing of the message but name it as what they answer. */
static void header_read(GMimeMessage *message, struct bounce *bounce)
{
        static const char *const names[] = {"In-Reply-To", "References"};

        for (size_t i = 0; i < ARRAY_LEN(names) && !bounce->message_id; i++) {
                const char *value = g_mime_object_get_header(GMIME_OBJECT(message), names[i]);

                bounce->message_id = identifier_of(value);
        }
}

static void message_read(GMimeMessage *message, struct bounce *bounce)
{
        GMimeObject *root = g_mime_message_get_mime_part(message);

        if (root)
                report_read(root, bounce);
        header_read(message, bounce);
}

int bounce_read(struct bytes message, struct bounce *ret_bounce)
{
        CLEANUP(bounce_done) struct bounce bounce = {0};
        GMimeStream *stream;
        GMimeParser *parser;
        GMimeMessage *parsed;

        if (!message.len)
                return refuse(PROBLEM_NOT_FOUND, "There is no message.");
        if (message.len > BOUNCE_SIZE_MOST)
                return refuse(PROBLEM_NOT_FOUND, "The message is larger than reports of failed delivery are.");
        g_mime_init(); /* once, however often it is called */
        stream = g_mime_stream_mem_new_with_buffer((const char *)message.data, message.len);
        parser = g_mime_parser_new_with_stream(stream);
        parsed = g_mime_parser_construct_message(parser, NULL);
        if (parsed)
                message_read(parsed, &bounce);
        g_clear_object(&parsed);
        g_object_unref(parser);
        g_object_unref(stream);
        if (!bounce.action)
                return refuse(PROBLEM_NOT_FOUND, "The message is no report of a delivery (RFC 3464).");
        if (!bounce.message_id || !text_is_printable(bytes_text(bounce.message_id)))
                return refuse(PROBLEM_NOT_FOUND, "The report does not say which message it is about.");
        *ret_bounce = bounce;
        bounce = (struct bounce){0};
        return 0;
}
