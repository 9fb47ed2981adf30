/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/stream.h"

#include "base/file.h"
#include "base/mem.h"

int stream_pump(int fd, struct sink *to)
{
        CLEANUP(mem_freep) uint8_t *block = mem_array(STREAM_BLOCK, 1);
        size_t len;

        for (;;) {
                TRY(fd_read(fd, block, STREAM_BLOCK, &len));
                if (len == 0)
                        break;
                TRY(sink_write(to, block, len));
        }
        return PASS(sink_finish(to));
}

enum { FD_SINK_BUFFER = 128 * 1024 };

static int fd_sink_flush(struct fd_sink *out)
{
        if (out->buffer.len > 0 && out->fd >= 0)
                TRY(fd_write_all(out->fd, out->buffer.data, out->buffer.len));
        buf_clear(&out->buffer);
        return 0;
}

static int fd_sink_write(struct sink *sink, const uint8_t *data, size_t len)
{
        struct fd_sink *out = CONTAINER_OF(sink, struct fd_sink, sink);

        out->total += len;
        if (out->buffer.len + len > FD_SINK_BUFFER)
                TRY(fd_sink_flush(out));
        if (len < FD_SINK_BUFFER)
                buf_add(&out->buffer, data, len);
        else if (out->fd >= 0)
                TRY(fd_write_all(out->fd, data, len));
        return 0;
}

static int fd_sink_finish(struct sink *sink)
{
        return PASS(fd_sink_flush(CONTAINER_OF(sink, struct fd_sink, sink)));
}

void fd_sink_init(struct fd_sink *sink, int fd)
{
        *sink = (struct fd_sink){.sink = {fd_sink_write, fd_sink_finish}, .fd = fd};
        buf_reserve(&sink->buffer, FD_SINK_BUFFER);
}

void fd_sink_done(struct fd_sink *sink)
{
        buf_done(&sink->buffer);
}

static int buf_sink_write(struct sink *sink, const uint8_t *data, size_t len)
{
        struct buf_sink *out = CONTAINER_OF(sink, struct buf_sink, sink);

        if (len > out->limit - out->buf.len)
                return refuse(PROBLEM_TOO_LARGE, "A part of the message is larger than the %zu bytes that are accepted.",
                              out->limit);
        buf_add(&out->buf, data, len);
        return 0;
}

void buf_sink_init(struct buf_sink *sink, size_t limit)
{
        *sink = (struct buf_sink){.sink = {buf_sink_write, NULL}, .limit = limit};
}

void buf_sink_done(struct buf_sink *sink)
{
        buf_done(&sink->buf);
}
