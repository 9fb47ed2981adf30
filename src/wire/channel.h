/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A channel: framed messages both ways over a connected Unix stream socket, on an event loop.
 *
 * A frame is u32 length of what follows (little-endian, as all numbers here), u16 kind, u64 id, payload. What a kind
 * means and how its payload is encoded is message.h's; a channel moves bytes and gives a reply to the call that asked
 * for it. Three sorts:
 *
 *   notice    id 0; nobody answers it
 *   request   id 1, 2, 3 … counted by the side that asks; sent by channel_call()
 *   reply     the request's id with CHANNEL_REPLY set; sent by channel_reply(), once, in any order
 *
 * CHANNEL_DESCRIPTOR is set in the id of a message that carries one file descriptor (SCM_RIGHTS). Only a channel that
 * was made with `descriptors` takes any.
 *
 * A peer that sends what is no frame, a frame above the limit, a reply to what was never asked or a descriptor that is
 * not expected is cut at once. When the channel ends, every outstanding call is answered with PROBLEM_UNREACHABLE, then
 * `closed` runs. All callbacks run from the loop, or from channel_close() for the outstanding calls; never from
 * sending.
 *
 * Ownership: channels are counted. channel_new() gives its caller one reference. Whoever keeps a channel to reply later
 * takes another; a closed channel takes sends and replies and drops them (PROBLEM_UNREACHABLE). It is safe to close and
 * to unref within callbacks.
 *
 * Buffers are wiped as they are consumed, since requests may carry passwords. Still, a private key crosses a channel
 * only wrapped or enveloped.
 */
#include <stdbool.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/loop.h"
#include "base/secret.h"

#define CHANNEL_REPLY      (UINT64_C(1) << 63)
#define CHANNEL_DESCRIPTOR (UINT64_C(1) << 62)

enum {
        CHANNEL_HEADER_SIZE = 14,       /* length, kind, id */
        CHANNEL_FRAME_LIMIT = 16 << 20, /* default for the whole frame, its length field included */
        CHANNEL_HIGH_WATER = 1 << 20,   /* bytes waiting to be sent at which channel_congested() begins to be true */
        CHANNEL_DESCRIPTORS_MAX = 16,   /* received ones that wait for their message */
};

struct channel;

struct channel_message {
        uint16_t kind;
        uint64_t id;          /* give it to channel_reply(); 0 for a notice */
        struct bytes payload; /* valid during the callback only */
        int fd;               /* -1, or closed after the callback unless taken by setting -1 here */
};

/* What one side does with a channel, a constant; all functions with the context of channel_new(). `drained` may be
 * NULL. */
struct channel_handler {
        /* A notice or a request. A result other than 0 cuts the peer, with that result in `closed`. */
        int (*received)(void *context, struct channel *channel, struct channel_message *message);
        /* The channel ended: 0 the peer closed it; otherwise why it was cut (see report_text()). At most once; not
         * after channel_close(). A result other than 0 ends the loop. */
        int (*closed)(void *context, struct channel *channel, int result);
        /* It was congested, and is no longer. */
        void (*drained)(void *context, struct channel *channel);
        size_t frame_limit; /* 0 = CHANNEL_FRAME_LIMIT */
        bool descriptors;   /* accept them */
};

/*
 * A call that waits for its reply; embedded in what asked, which sets `replied` and `context`. Runs `replied` exactly
 * once: with 0 and the reply, or with PROBLEM_UNREACHABLE and NULL; never after channel_call_cancel(). The call may be
 * used again, or freed, within it.
 */
struct channel_call {
        void (*replied)(void *context, int result, struct channel_message *reply);
        void *context;
        struct channel *channel; /* while it waits; the rest is the channel's own */
        struct list link;
        uint64_t id;
};

/* Takes `fd` (also on failure) and makes it non-blocking. */
int channel_new(struct loop *loop, int fd, const struct channel_handler *handler, void *context,
                struct channel **ret_channel) must_check;
struct channel *channel_ref(struct channel *channel);
/* The last one closes it, even within a callback; no callback but those of outstanding calls runs then. NULL is
 * nothing. Who made it and shares references closes it before the context goes. */
void channel_unref(struct channel *channel);
DEFINE_CLEANUP(struct channel *, channel_unref)
/* Close now, after one attempt to send what is queued. Idempotent. */
void channel_close(struct channel *channel);
bool channel_is_open(const struct channel *channel);

/*
 * Queue a message; it leaves at the end of this round of the loop. The payload is copied. PROBLEM_TOO_LARGE above the
 * frame limit; PROBLEM_BUSY when the peer does not read (four frame limits are queued); PROBLEM_UNREACHABLE when it is
 * gone. Nothing is sent then.
 */
int channel_send(struct channel *channel, uint16_t kind, struct bytes payload) must_check;
/* The same with a descriptor, which is taken (also on failure). */
int channel_send_descriptor(struct channel *channel, uint16_t kind, struct bytes payload, int fd) must_check;
int channel_call(struct channel *channel, struct channel_call *call, uint16_t kind, struct bytes payload) must_check;
/* What is queued leaves now, as far as the peer has room for it: before something that takes long. */
void channel_push(struct channel *channel);
/* `id` as it came in the request. */
int channel_reply(struct channel *channel, uint64_t id, uint16_t kind, struct bytes payload) must_check;
/* No longer wait: the reply will be dropped. Idempotent, also on a zeroed call. */
void channel_call_cancel(struct channel_call *call);

/* More than CHANNEL_HIGH_WATER waits to be sent: take on no new work for this peer until `drained`. While a channel
 * without outstanding calls of its own is congested it also stops reading, so that a peer which asks without reading
 * answers waits. */
bool channel_congested(const struct channel *channel);
size_t channel_queued(const struct channel *channel);
size_t channel_calls(const struct channel *channel); /* outstanding */

/* One round of pure parsing. */
struct frame {
        uint16_t kind;
        uint64_t id; /* with its flags */
        struct bytes payload;
};
/* *ret_used is 0 when the frame is not complete yet. PROBLEM_MALFORMED, PROBLEM_TOO_LARGE: the peer is not sane. */
int frame_parse(struct bytes input, size_t limit, struct frame *ret_frame, size_t *ret_used) must_check;
/* The same for the header alone: exactly CHANNEL_HEADER_SIZE bytes. */
int frame_header_parse(const uint8_t header[static CHANNEL_HEADER_SIZE], size_t limit, struct frame *ret_frame,
                       size_t *ret_payload_len) must_check;
void frame_header_add(struct buf *out, uint16_t kind, uint64_t id, size_t payload_len);

/*
 * For programs without a loop (the CLI): ask and wait, on a blocking socket with no other traffic. Notices are skipped.
 * PROBLEM_UNREACHABLE when the peer goes, PROBLEM_TIMEOUT after `timeout_ms` (-1 for ever) without the whole reply,
 * PROBLEM_MALFORMED when it is no reply to this.
 */
struct channel_answer {
        uint16_t kind;
        struct secret payload;
};
int channel_call_blocking(int fd, uint16_t kind, struct bytes payload, int timeout_ms,
                          struct channel_answer *ret_answer) must_check;
/* Connect to a Unix socket. PROBLEM_UNREACHABLE with a sentence when nobody listens or it may not be used. */
int channel_connect(const char *path, int *ret_fd) must_check;
