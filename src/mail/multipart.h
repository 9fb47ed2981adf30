/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Multipart bodies (RFC 2046 5.1) in pieces. The line end before a boundary belongs to the boundary. A boundary line
 * has nothing but white space behind it: where other programs disagree about what is one, we say that it is not.
 */
#include "mail/stream.h"

enum { BOUNDARY_MOST = 200 };

enum boundary_line { BOUNDARY_NONE, BOUNDARY_PART, BOUNDARY_CLOSE };
/* What this line (with or without its end) is for this boundary. */
enum boundary_line boundary_match(struct bytes line, const char *boundary, size_t boundary_len);

struct splitter {
        struct sink sink;
        /* A part begins (0, 1, …): gives the sink for its bytes, header and all. The sink is finished at the end of the part. */
        int (*part)(void *context, unsigned index, struct sink **ret_sink);
        void *context;
        const char *boundary;
        size_t boundary_len;
        struct sink *to;      /* the part that is open; NULL in preamble and epilogue */
        unsigned parts;
        bool closed;          /* the closing boundary was seen */
        bool text_outside;    /* something other than white space before the first or after the last boundary */
        bool line_start;
        uint8_t held[2];      /* a line end that may belong to a boundary */
        unsigned held_len;
        struct buf line;      /* the beginning of a line that may be a boundary */
};
/* `boundary` is borrowed. */
void splitter_init(struct splitter *splitter, const char *boundary,
                   int (*part)(void *context, unsigned index, struct sink **ret_sink), void *context);
void splitter_done(struct splitter *splitter);
