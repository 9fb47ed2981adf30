/* SPDX-License-Identifier: Apache-2.0 */
/* The message around a letter's text: built by GMime, so that no name or address writes a line of the header. */
#include "base/fault.h"
#include "base/mem.h"
#include "base/text.h"
#include "letter/letter.h"

#include <gmime/gmime.h> /* last: GLib undefines MIN and MAX before it defines its own */

static char *clean(const char *text)
{
        CLEANUP(buf_done) struct buf out = BUF_NONE;

        text_add_printable(&out, bytes_text(text ? text : ""), 1024);
        return text_copy(buf_text(&out));
}

static void mailbox_add(GMimeMessage *message, GMimeAddressType type, const char *name, const char *address)
{
        CLEANUP(mem_freep) char *shown = clean(name);

        g_mime_message_add_mailbox(message, type, *shown ? shown : NULL, address);
}

static GMimeObject *text_part(const char *subtype, const struct secret *content, const char *language)
{
        GMimeTextPart *part = g_mime_text_part_new_with_subtype(subtype);
        CLEANUP(secret_done) struct secret text = secret_new(content->len + 1);

        memcpy(text.data, content->data, content->len);
        g_mime_text_part_set_charset(part, "utf-8");
        g_mime_text_part_set_text(part, (const char *)text.data);
        g_mime_object_set_header(GMIME_OBJECT(part), "Content-Language", language, NULL);
        g_mime_part_set_content_encoding(GMIME_PART(part), GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE);
        return GMIME_OBJECT(part);
}

static GMimeObject *body_make(const struct letter_text *text)
{
        GMimeObject *plain = text_part("plain", &text->text, text->language), *html;
        GMimeMultipart *both;

        if (!text->html.len)
                return plain;
        html = text_part("html", &text->html, text->language);
        both = g_mime_multipart_new_with_subtype("alternative");
        g_mime_multipart_add(both, plain); /* RFC 2046 5.1.4: the one that is preferred comes last */
        g_mime_multipart_add(both, html);
        g_object_unref(plain);
        g_object_unref(html);
        return GMIME_OBJECT(both);
}

static void header_make(GMimeMessage *message, const struct letter *letter, const struct letter_text *text)
{
        GDateTime *date = g_date_time_new_from_unix_utc(letter->date);

        mailbox_add(message, GMIME_ADDRESS_TYPE_FROM, letter->from_name, letter->from_address);
        mailbox_add(message, GMIME_ADDRESS_TYPE_TO, letter->name, letter->address);
        if (letter->reply_to_address && *letter->reply_to_address)
                mailbox_add(message, GMIME_ADDRESS_TYPE_REPLY_TO, letter->reply_to_name, letter->reply_to_address);
        g_mime_message_set_subject(message, text->subject, "utf-8");
        g_mime_message_set_date(message, date);
        g_mime_message_set_message_id(message, letter->message_id);
        /* RFC 3834 5: nobody's absence is to answer this; Exchange wants to be told in its own words. */
        g_mime_object_set_header(GMIME_OBJECT(message), "Auto-Submitted", "auto-generated", NULL);
        g_mime_object_set_header(GMIME_OBJECT(message), "X-Auto-Response-Suppress", "All", NULL);
        g_date_time_unref(date);
}

static void message_write(GMimeMessage *message, struct secret *ret_message)
{
        GMimeFormatOptions *format = g_mime_format_options_new();
        GMimeStream *stream = g_mime_stream_mem_new();
        GByteArray *bytes;

        g_mime_format_options_set_newline_format(format, GMIME_NEWLINE_FORMAT_DOS);
        g_mime_object_write_to_stream(GMIME_OBJECT(message), format, stream);
        bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream));
        *ret_message = secret_copy(bytes_of(bytes->data, bytes->len));
        memory_wipe(bytes->data, bytes->len);
        g_object_unref(stream);
        g_mime_format_options_free(format);
}

int letter_compose(const struct letter *letter, struct secret *ret_message)
{
        CLEANUP(letter_text_done) struct letter_text text = {0};
        CLEANUP(buf_done) struct buf key = BUF_NONE;
        GMimeMessage *message;
        GMimeObject *body;

        TRY(address_parse(bytes_text(letter->address), &key));
        TRY(letter_render(letter, &text));
        g_mime_init(); /* once, however often it is called */
        message = g_mime_message_new(FALSE);
        header_make(message, letter, &text);
        body = body_make(&text);
        g_mime_message_set_mime_part(message, body);
        message_write(message, ret_message);
        g_object_unref(body);
        g_object_unref(message);
        return 0;
}
