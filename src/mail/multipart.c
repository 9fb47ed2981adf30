/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/multipart.h"

enum { PADDING_MOST = 100 }; /* white space behind a boundary */

enum boundary_line boundary_match(struct bytes line, const char *boundary, size_t boundary_len)
{
        enum boundary_line found = BOUNDARY_PART;
        size_t at = 2 + boundary_len;

        if (line.len < at || line.data[0] != '-' || line.data[1] != '-' || memcmp(line.data + 2, boundary, boundary_len) != 0)
                return BOUNDARY_NONE;
        if (line.len >= at + 2 && line.data[at] == '-' && line.data[at + 1] == '-') {
                found = BOUNDARY_CLOSE;
                at += 2;
        }
        for (; at < line.len; at++)
                if (line.data[at] != ' ' && line.data[at] != '\t' && line.data[at] != '\r' && line.data[at] != '\n')
                        return BOUNDARY_NONE;
        return found;
}

static bool is_blank(const uint8_t *data, size_t len)
{
        for (size_t i = 0; i < len; i++)
                if (data[i] != ' ' && data[i] != '\t' && data[i] != '\r' && data[i] != '\n')
                        return false;
        return true;
}

static int splitter_emit(struct splitter *splitter, const uint8_t *data, size_t len)
{
        if (splitter->to)
                return PASS(sink_write(splitter->to, data, len));
        if (!splitter->text_outside)
                splitter->text_outside = !is_blank(data, len);
        return 0;
}

static int splitter_release_held(struct splitter *splitter)
{
        unsigned len = splitter->held_len;

        splitter->held_len = 0;
        return PASS(splitter_emit(splitter, splitter->held, len));
}

static int splitter_boundary(struct splitter *splitter, enum boundary_line kind)
{
        struct sink *to = splitter->to;

        splitter->to = NULL;
        splitter->held_len = 0;
        if (to)
                TRY(sink_finish(to));
        splitter->closed = kind == BOUNDARY_CLOSE;
        if (splitter->closed)
                return 0;
        return PASS(splitter->part(splitter->context, splitter->parts++, &splitter->to));
}

/* Can this beginning of a line still become a boundary? */
static bool may_be_boundary(const struct splitter *splitter, struct bytes line)
{
        size_t dashes = MIN(line.len, (size_t)2), len = line.len > 2 ? MIN(line.len - 2, splitter->boundary_len) : 0;

        return memcmp(line.data, "--", dashes) == 0 && memcmp(line.data + dashes, splitter->boundary, len) == 0 &&
               line.len <= splitter->boundary_len + 2 + PADDING_MOST;
}

/* At the start of a line: collect it until it is known whether it is a boundary. Returns through *used what it took. */
static int splitter_line(struct splitter *splitter, struct bytes data, size_t *used)
{
        const uint8_t *newline = memchr(data.data, '\n', data.len);
        size_t len = newline ? (size_t)(newline - data.data) + 1 : data.len;
        size_t room = splitter->boundary_len + 4 + PADDING_MOST - splitter->line.len;
        enum boundary_line kind = BOUNDARY_NONE;
        struct bytes line;
        bool whole = newline && len <= room;

        buf_add(&splitter->line, data.data, MIN(len, room));
        *used = MIN(len, room);
        line = buf_view(&splitter->line);
        if (whole && !splitter->closed)
                kind = boundary_match(line, splitter->boundary, splitter->boundary_len);
        if (kind != BOUNDARY_NONE) {
                buf_clear(&splitter->line);
                return PASS(splitter_boundary(splitter, kind));
        }
        if (!whole && !splitter->closed && may_be_boundary(splitter, line))
                return 0;
        /* An ordinary line; its own line end is looked at again, for it may precede a boundary. */
        splitter->line_start = false;
        TRY(splitter_release_held(splitter));
        return 0;
}

static int splitter_scan(struct splitter *splitter, const uint8_t **at, const uint8_t *end)
{
        const uint8_t *begin = *at, *from = begin, *newline, *stop;

        while ((newline = memchr(from, '\n', (size_t)(end - from))) && newline + 1 < end && newline[1] != '-')
                from = newline + 1;
        stop = newline ? newline : end;
        /* A CR at the end of the piece may be the first half of a line end. */
        if (stop > begin && stop[-1] == '\r')
                stop--;
        TRY(splitter_emit(splitter, begin, (size_t)(stop - begin)));
        splitter->held_len = 0;
        *at = newline ? newline + 1 : end;
        while (stop < *at)
                splitter->held[splitter->held_len++] = *stop++;
        splitter->line_start = newline != NULL;
        return 0;
}

/* Bytes of which some were collected as the beginning of a line. */
static int splitter_feed(struct splitter *splitter, const uint8_t *data, size_t len)
{
        const uint8_t *at = data, *end = data + len;

        while (at < end) {
                if (splitter->line_start) {
                        size_t used;

                        TRY(splitter_line(splitter, bytes_of(at, (size_t)(end - at)), &used));
                        at += used;
                        if (!splitter->line_start && splitter->line.len > 0) {
                                CLEANUP(buf_done) struct buf line = buf_take(&splitter->line);
                                const uint8_t *inside = line.data;

                                while (inside < line.data + line.len && !splitter->line_start)
                                        TRY(splitter_scan(splitter, &inside, line.data + line.len));
                        }
                        continue;
                }
                if (splitter->held_len == 1 && splitter->held[0] == '\r') {
                        if (*at == '\n') {
                                splitter->held[splitter->held_len++] = *at++;
                                splitter->line_start = true;
                                continue;
                        }
                        TRY(splitter_release_held(splitter));
                }
                TRY(splitter_scan(splitter, &at, end));
        }
        return 0;
}

static int splitter_write(struct sink *sink, const uint8_t *data, size_t len)
{
        return PASS(splitter_feed(CONTAINER_OF(sink, struct splitter, sink), data, len));
}

static int splitter_finish(struct sink *sink)
{
        struct splitter *splitter = CONTAINER_OF(sink, struct splitter, sink);
        enum boundary_line kind = BOUNDARY_NONE;

        if (splitter->line_start && splitter->line.len > 0 && !splitter->closed)
                kind = boundary_match(buf_view(&splitter->line), splitter->boundary, splitter->boundary_len);
        if (kind != BOUNDARY_NONE) {
                TRY(splitter_boundary(splitter, kind));
        } else {
                TRY(splitter_release_held(splitter));
                TRY(splitter_emit(splitter, splitter->line.data, splitter->line.len));
        }
        if (splitter->to)
                TRY(sink_finish(splitter->to));
        splitter->to = NULL;
        return 0;
}

void splitter_init(struct splitter *splitter, const char *boundary,
                   int (*part)(void *context, unsigned index, struct sink **ret_sink), void *context)
{
        *splitter = (struct splitter){
                .sink = {splitter_write, splitter_finish},
                .part = part,
                .context = context,
                .boundary = boundary,
                .boundary_len = strlen(boundary),
                .line_start = true,
        };
}

void splitter_done(struct splitter *splitter)
{
        buf_done(&splitter->line);
}
