/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * BER (X.690) in pieces of any size: definite and indefinite lengths, without recursion and without keeping anything of the content.
 * Low tag numbers only, at most BER_DEPTH elements inside each other. Events come in the order of the bytes; a result that is not 0
 * ends the reading. After the first element is complete, `done` is set; bytes after that set `trailing` and are dropped.
 */
#include "base/buf.h"
#include "base/fault.h"

enum { BER_DEPTH = 24 };

struct ber_events {
        /* `len` is that of the content; UINT64_MAX when it is indefinite. Bit 0x20 of the tag tells constructed ones. */
        int (*begin)(void *context, uint8_t tag, uint64_t len);
        int (*data)(void *context, const uint8_t *data, size_t len); /* of primitive elements */
        int (*end)(void *context);
};

struct ber_frame {
        uint64_t left; /* bytes of content to come; in an indefinite one what the elements around it leave */
        bool indefinite;
};

struct ber {
        const struct ber_events *events;
        void *context;
        struct ber_frame frames[BER_DEPTH];
        unsigned depth;
        uint8_t head[10]; /* tag and length so far */
        unsigned head_len;
        uint64_t primitive_left;
        bool in_primitive, done, trailing;
};

void ber_begin(struct ber *ber, const struct ber_events *events, void *context);
/* PROBLEM_MALFORMED, or what an event returned. */
int ber_feed(struct ber *ber, const uint8_t *data, size_t len) must_check;
