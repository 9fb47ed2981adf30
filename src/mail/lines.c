/* SPDX-License-Identifier: Apache-2.0 */
#include <strings.h>

#include "base/mem.h"
#include "mail/stream.h"

enum { LINES_OUT = 64 * 1024 };

static int lines_flush(struct line_filter *filter)
{
        size_t len = filter->out_len;

        filter->out_len = 0;
        return PASS(sink_write(filter->next, filter->out, len));
}

/* Collect small pieces, hand on large ones as they are. */
static int lines_emit(struct line_filter *filter, const uint8_t *data, size_t len)
{
        if (unlikely(filter->out_len + len > LINES_OUT)) {
                TRY(lines_flush(filter));
                if (len > LINES_OUT / 4)
                        return PASS(sink_write(filter->next, data, len));
        }
        memcpy(filter->out + filter->out_len, data, len);
        filter->out_len += len;
        return 0;
}

/* Does the line whose first `len` bytes are `head` say that what follows is binary? */
static bool line_says_binary(const uint8_t *head, size_t len)
{
        static const char name[] = "content-transfer-encoding:";
        size_t at = sizeof(name) - 1;

        if (len < at + 6 || strncasecmp((const char *)head, name, at) != 0)
                return false;
        while (at < len && (head[at] == ' ' || head[at] == '\t'))
                at++;
        if (len - at < 6 || strncasecmp((const char *)head + at, "binary", 6) != 0)
                return false;
        at += 6;
        return at == len || head[at] == ' ' || head[at] == '\t' || head[at] == '\r' || head[at] == ';';
}

static inline void line_watch(struct line_filter *filter, const uint8_t *data, size_t len)
{
        size_t room = sizeof(filter->head) - filter->line_len;

        if (likely(filter->line_len == 0 ? (data[0] | 32) != 'c' : (filter->head[0] | 32) != 'c')) {
                if (filter->line_len == 0)
                        filter->head[0] = data[0];
                filter->line_len = sizeof(filter->head);
                return;
        }
        memcpy(filter->head + filter->line_len, data, MIN(len, room));
        filter->line_len += MIN(len, room);
}

/* Called at the LF that ends a line; afterwards a new line begins. */
static inline void line_ended(struct line_filter *filter)
{
        if (unlikely(filter->line_len > 0 && (filter->head[0] | 32) == 'c' &&
                     line_says_binary(filter->head, filter->line_len)))
                filter->mode = LINE_ENDS_KEEP;
        filter->line_len = 0;
}

static int lines_complete(struct line_filter *filter, const uint8_t *data, size_t len)
{
        const uint8_t *at = data, *end = data + len, *run = data, *newline;

        while ((newline = memchr(at, '\n', (size_t)(end - at)))) {
                bool has_cr = newline > data ? newline[-1] == '\r' : filter->after_cr;

                if (!has_cr) {
                        TRY(lines_emit(filter, run, (size_t)(newline - run)));
                        TRY(lines_emit(filter, (const uint8_t *)"\r", 1));
                        run = newline;
                }
                at = newline + 1;
        }
        filter->after_cr = end[-1] == '\r';
        if (run == data && filter->out_len == 0)
                return PASS(sink_write(filter->next, data, len));
        return PASS(lines_emit(filter, run, (size_t)(end - run)));
}

static int lines_add_all(struct line_filter *filter, const uint8_t *data, size_t len)
{
        const uint8_t *at = data, *end = data + len, *newline;

        while (at < end && filter->mode == LINE_ENDS_ADD_ALL) {
                newline = memchr(at, '\n', (size_t)(end - at));
                if (filter->line_len < sizeof(filter->head) && newline != at)
                        line_watch(filter, at, (size_t)((newline ? newline : end) - at));
                if (!newline)
                        break;
                TRY(lines_emit(filter, at, (size_t)(newline - at)));
                TRY(lines_emit(filter, (const uint8_t *)"\r\n", 2));
                line_ended(filter);
                at = newline + 1;
        }
        return PASS(lines_emit(filter, at, (size_t)(end - at)));
}

static int lines_strip(struct line_filter *filter, const uint8_t *data, size_t len)
{
        const uint8_t *at = data, *end = data + len, *newline;

        if (filter->after_cr && data[0] != '\n')
                TRY(lines_emit(filter, (const uint8_t *)"\r", 1));
        filter->after_cr = false;
        while (at < end && filter->mode == LINE_ENDS_STRIP) {
                newline = memchr(at, '\n', (size_t)(end - at));
                if (filter->line_len < sizeof(filter->head) && newline != at)
                        line_watch(filter, at, (size_t)((newline ? newline : end) - at));
                if (!newline)
                        break;
                TRY(lines_emit(filter, at, (size_t)(newline - at) - (newline > at && newline[-1] == '\r')));
                TRY(lines_emit(filter, (const uint8_t *)"\n", 1));
                line_ended(filter);
                at = newline + 1;
        }
        if (at < end && end[-1] == '\r' && filter->mode == LINE_ENDS_STRIP) {
                filter->after_cr = true;
                end--;
        }
        return PASS(lines_emit(filter, at, (size_t)(end - at)));
}

static int lines_write(struct sink *sink, const uint8_t *data, size_t len)
{
        struct line_filter *filter = CONTAINER_OF(sink, struct line_filter, sink);

        switch (filter->mode) {
        case LINE_ENDS_COMPLETE:
                TRY(lines_complete(filter, data, len));
                break;
        case LINE_ENDS_ADD_ALL:
                TRY(lines_add_all(filter, data, len));
                break;
        case LINE_ENDS_STRIP:
                TRY(lines_strip(filter, data, len));
                break;
        case LINE_ENDS_KEEP:
                if (filter->out_len > 0)
                        TRY(lines_flush(filter));
                return PASS(sink_write(filter->next, data, len));
        }
        return filter->out_len > LINES_OUT / 2 ? PASS(lines_flush(filter)) : 0;
}

static int lines_finish(struct sink *sink)
{
        struct line_filter *filter = CONTAINER_OF(sink, struct line_filter, sink);

        if (filter->mode == LINE_ENDS_STRIP && filter->after_cr)
                TRY(lines_emit(filter, (const uint8_t *)"\r", 1));
        TRY(lines_flush(filter));
        return PASS(sink_finish(filter->next));
}

void line_filter_init(struct line_filter *filter, enum line_ends mode, struct sink *next)
{
        *filter = (struct line_filter){.sink = {lines_write, lines_finish}, .next = next, .mode = mode};
        filter->out = mem_array(LINES_OUT, 1);
}

void line_filter_done(struct line_filter *filter)
{
        free(filter->out);
        filter->out = NULL;
}
