/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Streams that are pushed: whoever has bytes writes them into a sink, which hands them on changed. Each stage is a structure that
 * embeds a struct sink and points to the next; it does not own the next, and sink_finish() ends this stage only and
 * then the next one. Stages keep a bounded amount of memory, whatever goes through them.
 */
#include "base/buf.h"
#include "base/fault.h"

struct sink {
        int (*write)(struct sink *sink, const uint8_t *data, size_t len);
        int (*finish)(struct sink *sink); /* the end of the data; may be NULL */
};

enum { STREAM_BLOCK = 128 * 1024 }; /* what is read at a time */

static inline int must_check sink_write(struct sink *sink, const void *data, size_t len)
{
        return len > 0 ? sink->write(sink, data, len) : 0;
}
static inline int must_check sink_write_bytes(struct sink *sink, struct bytes bytes)
{
        return sink_write(sink, bytes.data, bytes.len);
}
static inline int must_check sink_write_text(struct sink *sink, const char *text)
{
        return sink_write(sink, text, strlen(text));
}
static inline int must_check sink_finish(struct sink *sink)
{
        return sink->finish ? sink->finish(sink) : 0;
}

/* Read `fd` to its end into the sink, and finish the sink. */
int stream_pump(int fd, struct sink *to) must_check;

/* Into a descriptor, in large writes; -1 drops everything. */
struct fd_sink {
        struct sink sink;
        int fd;
        struct buf buffer;
        uint64_t total;
};
void fd_sink_init(struct fd_sink *sink, int fd);
void fd_sink_done(struct fd_sink *sink);

/* Into memory, at most `limit` bytes: PROBLEM_TOO_LARGE beyond. */
struct buf_sink {
        struct sink sink;
        struct buf buf;
        size_t limit;
};
void buf_sink_init(struct buf_sink *sink, size_t limit);
void buf_sink_done(struct buf_sink *sink);

/*
 * Line ends. "binary" below: once a line "Content-Transfer-Encoding: binary" went by, the bytes that follow
 * are left alone, because line ends mean nothing in them. ADD_ALL and STRIP are inverse to each other for every input.
 */
enum line_ends {
        LINE_ENDS_KEEP,
        LINE_ENDS_COMPLETE, /* LF without CR becomes CRLF: the canonical form */
        LINE_ENDS_ADD_ALL,  /* every LF becomes CRLF, until binary */
        LINE_ENDS_STRIP,    /* every CRLF becomes LF, until binary */
};
struct line_filter {
        struct sink sink;
        struct sink *next;
        enum line_ends mode;
        bool after_cr;   /* the byte before was a CR (COMPLETE); or a CR is held back (STRIP) */
        uint8_t head[64];
        size_t line_len; /* bytes of this line so far */
        uint8_t *out;
        size_t out_len;
};
void line_filter_init(struct line_filter *filter, enum line_ends mode, struct sink *next);
void line_filter_done(struct line_filter *filter);

/*
 * What may not go out yet: small things in memory, larger ones in an unlinked file, encrypted under a key of its own. Written as
 * a sink; read back, any number of times, by spool_replay(), which does not finish `to`.
 */
struct evp_cipher_ctx_st;
struct spool {
        struct sink sink;
        const char *folder;
        int fd;
        bool drops; /* nobody will read it */
        struct buf memory;
        struct evp_cipher_ctx_st *cipher;
        uint8_t key[32];
        uint8_t *scratch;
        uint64_t total;
};
void spool_init(struct spool *spool, const char *folder);
void spool_done(struct spool *spool);
static inline void spool_drop(struct spool *spool)
{
        spool->drops = true;
}
int spool_replay(struct spool *spool, struct sink *to) must_check;
