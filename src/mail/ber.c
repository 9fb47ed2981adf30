/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/ber.h"

static const uint64_t UNBOUNDED = UINT64_MAX / 2;

void ber_begin(struct ber *ber, const struct ber_events *events, void *context)
{
        *ber = (struct ber){.events = events, .context = context};
}

static int ber_wrong(const char *what)
{
        return refuse(PROBLEM_MALFORMED, "The cryptographic part of the message is not well-formed BER: %s.", what);
}

/* Close what is complete after an element ended. */
static int ber_unwind(struct ber *ber)
{
        while (ber->depth > 0) {
                struct ber_frame *frame = &ber->frames[ber->depth - 1];

                if (frame->indefinite || frame->left > 0)
                        return 0;
                ber->depth--;
                TRY(ber->events->end(ber->context));
        }
        ber->done = true;
        return 0;
}

static int ber_end_of_contents(struct ber *ber)
{
        struct ber_frame *frame = ber->depth > 0 ? &ber->frames[ber->depth - 1] : NULL;

        if (!frame || !frame->indefinite)
                return ber_wrong("an end marker where nothing is open");
        if (frame->left < 2)
                return ber_wrong("an element reaches beyond the one around it");
        ber->depth--;
        if (ber->depth > 0)
                ber->frames[ber->depth - 1].left = frame->left - 2;
        TRY(ber->events->end(ber->context));
        return PASS(ber_unwind(ber));
}

static int ber_open(struct ber *ber, uint8_t tag, uint64_t len, bool indefinite)
{
        struct ber_frame *parent = ber->depth > 0 ? &ber->frames[ber->depth - 1] : NULL;
        uint64_t room = parent ? parent->left : UNBOUNDED;

        if (room < ber->head_len || (!indefinite && room - ber->head_len < len))
                return ber_wrong("an element reaches beyond the one around it");
        if (parent)
                parent->left = room - ber->head_len - (indefinite ? 0 : len);
        TRY(ber->events->begin(ber->context, tag, indefinite ? UINT64_MAX : len));
        if (!(tag & 0x20)) {
                ber->in_primitive = true;
                ber->primitive_left = len;
                return 0;
        }
        if (ber->depth == BER_DEPTH)
                return ber_wrong("too many elements inside each other");
        ber->frames[ber->depth++] = (struct ber_frame){indefinite ? room - ber->head_len : len, indefinite};
        return indefinite ? 0 : PASS(ber_unwind(ber));
}

/* The length octets, once enough of them are there; *ret_complete tells. */
static int ber_length(const struct ber *ber, uint64_t *ret_len, bool *ret_indefinite, bool *ret_complete)
{
        uint8_t first = ber->head[1];
        unsigned count = first & 0x7f;
        uint64_t len = 0;

        if (first < 0x80 || first == 0x80) {
                *ret_len = first & 0x7f;
                *ret_indefinite = first == 0x80;
                *ret_complete = true;
                return 0;
        }
        if (count > 8)
                return ber_wrong("a length of more than eight bytes");
        *ret_complete = ber->head_len == 2 + count;
        for (unsigned i = 2; i < ber->head_len; i++)
                len = len << 8 | ber->head[i];
        if (len > UNBOUNDED)
                return ber_wrong("a length beyond all bounds");
        *ret_len = len;
        *ret_indefinite = false;
        return 0;
}

/* One more byte of tag or length. */
static int ber_head(struct ber *ber, uint8_t byte)
{
        uint64_t len = 0;
        bool indefinite = false, complete = false;
        uint8_t tag;

        ber->head[ber->head_len++] = byte;
        if (ber->head_len == 1)
                return (byte & 0x1f) == 0x1f ? ber_wrong("a tag number above 30") : 0;
        TRY(ber_length(ber, &len, &indefinite, &complete));
        if (!complete)
                return 0;
        tag = ber->head[0];
        if (tag == 0) {
                if (len != 0 || ber->head_len != 2 || indefinite)
                        return ber_wrong("an end marker with content");
                ber->head_len = 0;
                return PASS(ber_end_of_contents(ber));
        }
        if (indefinite && !(tag & 0x20))
                return ber_wrong("a primitive element without length");
        TRY(ber_open(ber, tag, len, indefinite));
        ber->head_len = 0;
        return 0;
}

int ber_feed(struct ber *ber, const uint8_t *data, size_t len)
{
        while (len > 0 && !ber->done) {
                if (ber->in_primitive) {
                        size_t take = (size_t)MIN((uint64_t)len, ber->primitive_left);

                        TRY(ber->events->data(ber->context, data, take));
                        ber->primitive_left -= take;
                        data += take;
                        len -= take;
                } else {
                        TRY(ber_head(ber, *data));
                        data++;
                        len--;
                }
                if (ber->in_primitive && ber->primitive_left == 0) {
                        ber->in_primitive = false;
                        TRY(ber->events->end(ber->context));
                        TRY(ber_unwind(ber));
                }
        }
        if (len > 0)
                ber->trailing = true;
        return 0;
}
