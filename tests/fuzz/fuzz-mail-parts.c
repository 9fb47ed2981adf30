/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first line is a boundary, the rest a multipart body: split whole and in pieces it gives the same parts; each part's header is parsed, and
 * the structure looked through. Line ends, too, are the same in pieces, and come back.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "mail/base64.h"
#include "mail/header.h"
#include "mail/multipart.h"
#include "mail/structure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct parts {
        struct splitter splitter;
        struct buf_sink all; /* the parts, one after another, each after its number */
};

static int parts_part(void *context, unsigned index, struct sink **ret_sink)
{
        struct parts *parts = context;

        buf_add_format(&parts->all.buf, "\n[%u]", index);
        *ret_sink = &parts->all.sink;
        return 0;
}

static void pump(struct sink *sink, struct bytes body, size_t piece)
{
        for (size_t at = 0; at < body.len; at += piece)
                if (sink_write(sink, body.data + at, MIN(piece, body.len - at)) != 0)
                        abort();
        if (sink_finish(sink) != 0)
                abort();
}

static struct buf split(const char *boundary, struct bytes body, size_t piece)
{
        struct parts parts;

        buf_sink_init(&parts.all, 1 << 24);
        splitter_init(&parts.splitter, boundary, parts_part, &parts);
        pump(&parts.splitter.sink, body, piece);
        buf_add_format(&parts.all.buf, "[%u%d%d]", parts.splitter.parts, parts.splitter.closed, parts.splitter.text_outside);
        splitter_done(&parts.splitter);
        return parts.all.buf;
}

static struct buf ends(enum line_ends mode, struct bytes body, size_t piece)
{
        struct line_filter filter;
        struct buf_sink out;

        buf_sink_init(&out, 1 << 24);
        line_filter_init(&filter, mode, &out.sink);
        pump(&filter.sink, body, piece);
        line_filter_done(&filter);
        return out.buf;
}

static struct buf decoded(struct bytes body, size_t piece)
{
        struct base64_decoder decoder;
        struct buf_sink out;

        buf_sink_init(&out, 1 << 24);
        base64_decoder_init(&decoder, &out.sink);
        pump(&decoder.sink, body, piece);
        buf_add_byte(&out.buf, decoder.bad);
        base64_decoder_done(&decoder);
        return out.buf;
}

static void same(struct buf a, struct buf b)
{
        if (!bytes_equal(buf_view(&a), buf_view(&b)))
                abort();
        buf_done(&a);
        buf_done(&b);
}

static void header_look(struct bytes body, const char *boundary)
{
        CLEANUP(header_cutter_done) struct header_cutter cutter = {0};
        CLEANUP(header_done) struct header header = {0};
        CLEANUP(content_done) struct content content = {0};
        const struct header_field *from;
        struct structure structure;
        struct mailboxes mailboxes;
        int64_t date;
        size_t used;

        if (header_cutter_feed(&cutter, body, &used) != 0 || header_parse(&cutter.block, false, &header) != 0)
                return;
        content_parse(&header, &content);
        from = header_find(&header, "From", NULL);
        if (from) {
                mailboxes_parse(from, &mailboxes);
                mailboxes_done(&mailboxes);
                (void)!header_date(from, &date);
        }
        if (!content.boundary)
                content.boundary = text_copy(boundary);
        structure_init(&structure, &content);
        for (size_t at = used; at < body.len; at += 7)
                if (sink_write(&structure.sink, body.data + at, MIN((size_t)7, body.len - at)) != 0)
                        break;
        (void)!sink_finish(&structure.sink);
        structure_done(&structure);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;
        CLEANUP(mem_freep) char *boundary = NULL;
        CLEANUP(buf_done) struct buf there = BUF_NONE;
        struct bytes body;
        size_t piece = 1 + size % 11;

        if (!newline || newline == data || size > 100000)
                return 0;
        boundary = text_copy_n((const char *)data, (size_t)(newline - data));
        body = bytes_of(newline + 1, size - (size_t)(newline + 1 - data));
        if (boundary[0] == 0 || body.len == 0)
                return 0;
        same(split(boundary, body, body.len), split(boundary, body, piece));
        same(ends(LINE_ENDS_COMPLETE, body, body.len), ends(LINE_ENDS_COMPLETE, body, piece));
        there = ends(LINE_ENDS_ADD_ALL, body, piece);
        same(ends(LINE_ENDS_STRIP, buf_view(&there), 1 + piece % 5), buf_copy_of(body));
        same(decoded(body, body.len), decoded(body, piece));
        header_look(body, boundary);
        return 0;
}
