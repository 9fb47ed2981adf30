/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"

enum { READ_SIZE = 64 << 10, BUCKETS = 64, QUEUE_FRAMES = 4, QUEUE_DESCRIPTORS = 1024 };

/* A descriptor that leaves with the byte at `position` of all that was ever queued. */
struct outgoing_descriptor {
        uint64_t position;
        int fd;
};

struct channel {
        unsigned references; /* of others; none left closes it */
        unsigned holds;      /* of functions here that are running; the memory goes when both are none */
        struct loop *loop;
        struct loop_source source;
        struct loop_once flush;
        const struct channel_handler *handler;
        void *context;
        size_t frame_limit;
        int fd; /* -1 once it is closed */
        bool congested;
        struct buf in; /* lives until the last reference goes: a callback may still look at its message */
        struct buf out;
        size_t out_sent;       /* bytes at the start of `out` that are gone, and wiped */
        uint64_t out_position; /* of all that was ever queued, at the start of what is not sent */
        struct outgoing_descriptor *out_descriptors;
        size_t out_descriptor_count;
        int in_descriptors[CHANNEL_DESCRIPTORS_MAX];
        size_t in_descriptor_count;
        uint64_t last_id;
        size_t call_count;
        struct list calls[BUCKETS]; /* by id */
};

static int channel_ready(void *context, uint32_t events);
static int channel_flush_run(void *context);

/* Room for `more` bytes, without leaving copies of the content behind. */
static void buffer_reserve(struct buf *buf, size_t more)
{
        struct buf larger = BUF_NONE;

        if (buf->cap > buf->len && buf->cap - buf->len > more)
                return;
        buf_reserve(&larger, MAX(buf->len + more, buf->cap * 2));
        buf_add(&larger, buf->data, buf->len);
        memory_wipe(buf->data, buf->len);
        buf_done(buf);
        *buf = larger;
}

/* Drop the first `len` bytes and wipe what they leave. A buffer that held something large is given back. */
static void buffer_drop(struct buf *buf, size_t len)
{
        size_t rest = buf->len - len;

        if (!len)
                return;
        memmove(buf->data, buf->data + len, rest);
        memory_wipe(buf->data + rest, len);
        buf_truncate(buf, rest);
        if (!rest && buf->cap > 4 * READ_SIZE)
                buf_done(buf);
}

static void buffer_wipe(struct buf *buf)
{
        memory_wipe(buf->data, buf->len);
        buf_done(buf);
}

int channel_new(struct loop *loop, int fd, const struct channel_handler *handler, void *context,
                struct channel **ret_channel)
{
        struct channel *channel = NEW(struct channel);
        int flags = fcntl(fd, F_GETFL);

        channel->references = 1;
        channel->loop = loop;
        channel->handler = handler;
        channel->context = context;
        channel->frame_limit = handler->frame_limit ? handler->frame_limit : CHANNEL_FRAME_LIMIT;
        channel->fd = fd;
        loop_once_init(&channel->flush, channel_flush_run, channel);
        for (int i = 0; i < BUCKETS; i++)
                list_init(&channel->calls[i]);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
                int r = fault(errno, "cannot prepare a channel");
                channel_unref(channel);
                return r;
        }
        int r = loop_source_init(&channel->source, loop, fd, EPOLLIN, channel_ready, channel);
        if (r) {
                channel_unref(channel);
                return PASS(r);
        }
        *ret_channel = channel;
        return 0;
}

struct channel *channel_ref(struct channel *channel)
{
        channel->references++;
        return channel;
}

static void channel_release(struct channel *channel)
{
        if (channel->references || channel->holds)
                return;
        buffer_wipe(&channel->in);
        free(channel->out_descriptors);
        free(channel);
}

static struct channel *channel_hold(struct channel *channel)
{
        channel->holds++;
        return channel;
}

static void channel_let_go(struct channel *channel)
{
        channel->holds--;
        channel_release(channel);
}

void channel_unref(struct channel *channel)
{
        if (!channel)
                return;
        channel_hold(channel);
        if (--channel->references == 0)
                channel_close(channel);
        channel_let_go(channel);
}

bool channel_is_open(const struct channel *channel)
{
        return channel->fd >= 0;
}

size_t channel_queued(const struct channel *channel)
{
        return channel->out.len - channel->out_sent;
}

size_t channel_calls(const struct channel *channel)
{
        return channel->call_count;
}

bool channel_congested(const struct channel *channel)
{
        return channel->congested;
}

/* Sending */

static bool channel_pauses(const struct channel *channel)
{
        return channel->congested && !channel->call_count;
}

static void channel_watch(struct channel *channel)
{
        uint32_t events = (channel_pauses(channel) ? 0 : EPOLLIN) | (channel_queued(channel) ? EPOLLOUT : 0);

        if (channel_is_open(channel) && loop_source_events(&channel->source, events))
                shutdown(channel->fd,
                         SHUT_RDWR); /* cannot happen to a descriptor that is watched; then the peer is lost */
}

static void outgoing_sent(struct channel *channel, size_t len, bool descriptor)
{
        memory_wipe(channel->out.data + channel->out_sent, len);
        channel->out_sent += len;
        channel->out_position += len;
        if (descriptor) {
                close(channel->out_descriptors[0].fd);
                channel->out_descriptor_count--;
                memmove(channel->out_descriptors, channel->out_descriptors + 1,
                        channel->out_descriptor_count * sizeof(channel->out_descriptors[0]));
        }
        if (channel->out_sent > channel->out.len / 2) {
                buffer_drop(&channel->out, channel->out_sent);
                channel->out_sent = 0;
        }
}

static void descriptor_attach(struct msghdr *header, struct cmsghdr *control, int fd)
{
        header->msg_control = control;
        header->msg_controllen = CMSG_SPACE(sizeof(int));
        control->cmsg_level = SOL_SOCKET;
        control->cmsg_type = SCM_RIGHTS;
        control->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(control), &fd, sizeof(fd));
}

/* One sendmsg(): up to the next message that carries a descriptor, which goes with that message's first byte. */
static ssize_t outgoing_send(struct channel *channel)
{
        struct outgoing_descriptor *next = channel->out_descriptors;
        size_t left = channel_queued(channel), count = channel->out_descriptor_count;
        struct iovec piece = {.iov_base = channel->out.data + channel->out_sent, .iov_len = left};
        struct msghdr header = {.msg_iov = &piece, .msg_iovlen = 1};
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
        bool attach = count && next->position == channel->out_position;
        struct outgoing_descriptor *stop = attach ? next + 1 : next;
        ssize_t sent;

        if (count > (size_t)attach)
                piece.iov_len = MIN(left, stop->position - channel->out_position);
        if (attach)
                descriptor_attach(&header, (struct cmsghdr *)(void *)control, next->fd);
        sent = sendmsg(channel->fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0)
                outgoing_sent(channel, (size_t)sent, attach);
        return sent;
}

/* What cannot be sent because the peer is gone is forgotten here; that the peer is gone is noticed by reading. */
static void channel_flush(struct channel *channel)
{
        while (channel_queued(channel)) {
                if (outgoing_send(channel) >= 0 || errno == EINTR)
                        continue;
                if (errno == EAGAIN)
                        return;
                shutdown(channel->fd, SHUT_RDWR);
                buffer_wipe(&channel->out);
                channel->out_sent = 0;
                return;
        }
}

void channel_push(struct channel *channel)
{
        if (channel_is_open(channel))
                channel_flush(channel);
}

static int channel_flush_run(void *context)
{
        struct channel *channel = channel_hold(context);
        bool drained;

        channel_flush(channel);
        drained = channel->congested && channel_queued(channel) < CHANNEL_HIGH_WATER / 2;
        if (drained)
                channel->congested = false;
        channel_watch(channel);
        if (drained && channel->handler->drained && channel_is_open(channel))
                channel->handler->drained(channel->context, channel);
        channel_let_go(channel);
        return 0;
}

static int channel_queue(struct channel *channel, uint16_t kind, uint64_t id, struct bytes payload)
{
        if (!channel_is_open(channel))
                return refuse(PROBLEM_UNREACHABLE, "The process on the other side is gone.");
        if (payload.len > channel->frame_limit - CHANNEL_HEADER_SIZE)
                return refuse(PROBLEM_TOO_LARGE, "A message of %zu bytes is above what a channel carries (%zu).",
                              payload.len, channel->frame_limit);
        if (channel_queued(channel) > QUEUE_FRAMES * channel->frame_limit)
                return refuse(PROBLEM_BUSY, "The process on the other side does not keep up; try again.");
        buffer_reserve(&channel->out, payload.len + CHANNEL_HEADER_SIZE);
        frame_header_add(&channel->out, kind, id, payload.len);
        buf_add_bytes(&channel->out, payload);
        channel->congested = channel->congested || channel_queued(channel) > CHANNEL_HIGH_WATER;
        loop_once_schedule(&channel->flush, channel->loop);
        return 0;
}

int channel_send(struct channel *channel, uint16_t kind, struct bytes payload)
{
        return PASS(channel_queue(channel, kind, 0, payload));
}

int channel_send_descriptor(struct channel *channel, uint16_t kind, struct bytes payload, int fd)
{
        CLEANUP(fd_closep) int mine = fd;
        uint64_t position = channel->out_position + channel_queued(channel);

        if (channel->out_descriptor_count == QUEUE_DESCRIPTORS)
                return refuse(PROBLEM_BUSY, "The process on the other side does not take its descriptors; try again.");
        TRY(channel_queue(channel, kind, CHANNEL_DESCRIPTOR, payload));
        channel->out_descriptors = mem_resize(channel->out_descriptors, channel->out_descriptor_count + 1,
                                              sizeof(struct outgoing_descriptor));
        channel->out_descriptors[channel->out_descriptor_count++] = (struct outgoing_descriptor){position, mine};
        mine = -1;
        return 0;
}

int channel_reply(struct channel *channel, uint64_t id, uint16_t kind, struct bytes payload)
{
        if (!id)
                return fault(0, "a notice cannot be replied to");
        return PASS(channel_queue(channel, kind, id | CHANNEL_REPLY, payload));
}

int channel_call(struct channel *channel, struct channel_call *call, uint16_t kind, struct bytes payload)
{
        TRY(channel_queue(channel, kind, channel->last_id + 1, payload));
        call->id = ++channel->last_id;
        call->channel = channel;
        list_append(&channel->calls[call->id % BUCKETS], &call->link);
        channel->call_count++;
        return 0;
}

void channel_call_cancel(struct channel_call *call)
{
        if (!call->channel)
                return;
        list_remove(&call->link);
        call->channel->call_count--;
        call->channel = NULL;
}

/* Closing */

static void channel_fail_calls(struct channel *channel)
{
        for (int i = 0; i < BUCKETS; i++) {
                while (!list_empty(&channel->calls[i])) {
                        struct channel_call *call = CONTAINER_OF(channel->calls[i].next, struct channel_call, link);

                        channel_call_cancel(call);
                        call->replied(call->context,
                                      refuse(PROBLEM_UNREACHABLE, "The process on the other side ended before it "
                                                                  "answered."),
                                      NULL);
                }
        }
}

static void descriptors_close(struct channel *channel)
{
        for (size_t i = 0; i < channel->out_descriptor_count; i++)
                close(channel->out_descriptors[i].fd);
        for (size_t i = 0; i < channel->in_descriptor_count; i++)
                close(channel->in_descriptors[i]);
        channel->out_descriptor_count = channel->in_descriptor_count = 0;
}

void channel_close(struct channel *channel)
{
        if (!channel_is_open(channel))
                return;
        channel_hold(channel);
        channel_flush(channel);
        loop_source_done(&channel->source);
        loop_once_done(&channel->flush);
        fd_closep(&channel->fd);
        descriptors_close(channel);
        buffer_wipe(&channel->out);
        channel->out_sent = 0;
        channel_fail_calls(channel);
        channel_let_go(channel);
}

/* The calls that fail in channel_close() record reports of their own, so the reason is kept across. */
static int channel_cut(struct channel *channel, int result)
{
        CLEANUP(mem_freep) char *reason = text_copy(report_text());
        bool calls = channel->call_count;

        channel_close(channel);
        if (result && calls)
                (void)!refuse((enum problem)result, "%s", reason);
        return PASS(channel->handler->closed(channel->context, channel, result));
}

/* Receiving */

static int incoming_descriptors(struct channel *channel, struct msghdr *header)
{
        for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control; control = CMSG_NXTHDR(header, control)) {
                size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);

                if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t i = 0; i < count; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(control) + i * sizeof(int), sizeof(fd));
                        if (channel->in_descriptor_count < CHANNEL_DESCRIPTORS_MAX)
                                channel->in_descriptors[channel->in_descriptor_count++] = fd;
                        else
                                close(fd); /* the message that it belongs to will be missing one */
                }
        }
        if (header->msg_flags & MSG_CTRUNC)
                return refuse(PROBLEM_MALFORMED, "A descriptor came that was not expected, or that this process has no "
                                                 "room for.");
        return 0;
}

/* One recvmsg(). *ret_len is 0 at the end; nothing to read is -EAGAIN without a report. */
static int channel_read(struct channel *channel, size_t *ret_len)
{
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(CHANNEL_DESCRIPTORS_MAX * sizeof(int))];
        struct iovec piece;
        struct msghdr header = {.msg_iov = &piece, .msg_iovlen = 1};
        ssize_t len;

        buffer_reserve(&channel->in, READ_SIZE);
        piece = (struct iovec){.iov_base = channel->in.data + channel->in.len,
                               .iov_len = channel->in.cap - channel->in.len - 1};
        if (channel->handler->descriptors) {
                header.msg_control = control;
                header.msg_controllen = sizeof(control);
        }
        do
                len = recvmsg(channel->fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        while (len < 0 && errno == EINTR);
        if (len < 0 && errno == EAGAIN)
                return -EAGAIN;
        if (len < 0)
                return refuse(PROBLEM_UNREACHABLE, "The process on the other side is gone.");
        channel->in.len += (size_t)len;
        *ret_len = (size_t)len;
        return incoming_descriptors(channel, &header);
}

static int incoming_reply(struct channel *channel, struct channel_message *message)
{
        if (message->id > channel->last_id)
                return refuse(PROBLEM_MALFORMED, "A reply came to a request that was never made.");
        LIST_EACH(call, &channel->calls[message->id % BUCKETS], struct channel_call, link) {
                if (call->id != message->id)
                        continue;
                channel_call_cancel(call);
                call->replied(call->context, 0, message);
                break;
        }
        return 0; /* also when nobody waits any longer */
}

static int incoming_frame(struct channel *channel, const struct frame *frame)
{
        struct channel_message message = {frame->kind, frame->id & ~(CHANNEL_REPLY | CHANNEL_DESCRIPTOR),
                                          frame->payload, -1};
        int r;

        if (frame->id & CHANNEL_DESCRIPTOR) {
                if (!channel->in_descriptor_count)
                        return refuse(PROBLEM_MALFORMED, "A message came without the descriptor that it announces.");
                message.fd = channel->in_descriptors[0];
                memmove(channel->in_descriptors, channel->in_descriptors + 1,
                        --channel->in_descriptor_count * sizeof(int));
        }
        if (frame->id & CHANNEL_REPLY)
                r = incoming_reply(channel, &message);
        else
                r = channel->handler->received(channel->context, channel, &message);
        fd_closep(&message.fd);
        return PASS(r);
}

static int channel_deliver(struct channel *channel)
{
        size_t start = 0;
        int r = 0;

        while (channel_is_open(channel)) {
                struct frame frame;
                size_t used;

                r = frame_parse(bytes_of(channel->in.data + start, channel->in.len - start), channel->frame_limit,
                                &frame, &used);
                if (r || !used)
                        break;
                r = incoming_frame(channel, &frame);
                start += used;
                if (r)
                        break;
        }
        buffer_drop(&channel->in, start);
        return PASS(r);
}

static int channel_receive(struct channel *channel)
{
        size_t len = 0;
        int r = channel_read(channel, &len);

        if (r == -EAGAIN)
                return 0;
        if (!r && !len && channel->in.len)
                r = refuse(PROBLEM_MALFORMED, "The process on the other side ended in the middle of a message.");
        else if (!r && !len)
                return PASS(channel_cut(channel, 0));
        else if (!r)
                r = channel_deliver(channel);
        return r && channel_is_open(channel) ? PASS(channel_cut(channel, r)) : 0;
}

static int channel_ready(void *context, uint32_t events)
{
        struct channel *channel = channel_hold(context);
        int r = 0;

        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                r = channel_receive(channel);
        if (!r && channel_is_open(channel))
                r = channel_flush_run(channel);
        channel_let_go(channel);
        return PASS(r);
}
