/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/control.h"

#include "base/file.h"

static int control_configure(struct control *control, struct bytes payload)
{
        MSG_OWN(configure) configure = {0};

        TRY(msg_decode(configure, payload, &configure));
        return control->handler->configure ? PASS(control->handler->configure(control->context, &configure)) : 0;
}

static int control_peer(struct control *control, struct channel_message *message)
{
        MSG_OWN(peer) peer = {0};
        int fd = message->fd;

        TRY(msg_decode(peer, message->payload, &peer));
        if (fd < 0 || !control->handler->peer)
                return 0;
        message->fd = -1;
        return PASS(control->handler->peer(control->context, &peer, fd));
}

static int control_listen(struct control *control, struct channel_message *message)
{
        MSG_OWN(listen) listen = {0};
        int fd = message->fd;

        TRY(msg_decode(listen, message->payload, &listen));
        if (fd < 0 || !control->handler->listen)
                return 0;
        message->fd = -1;
        return PASS(control->handler->listen(control->context, &listen, fd));
}

static int control_stop(struct control *control)
{
        if (control->handler->stop)
                return PASS(control->handler->stop(control->context));
        loop_stop(control->loop);
        return 0;
}

static int control_received(void *context, struct channel *channel, struct channel_message *message)
{
        struct control *control = context;

        switch (message->kind) {
        case MSG_configure:
                return PASS(control_configure(control, message->payload));
        case MSG_peer:
                return PASS(control_peer(control, message));
        case MSG_listen:
                return PASS(control_listen(control, message));
        case MSG_stop:
                return PASS(control_stop(control));
        case MSG_ping:
                return PASS(channel_reply(channel, message->id, MSG_done, BYTES_NONE));
        default:
                return 0; /* of a later version */
        }
}

/* The supervisor is gone, or a handler above failed: either way this process has no business any more. */
static int control_closed(void *context, struct channel *channel, int result)
{
        if (result)
                return result;
        return refuse(PROBLEM_UNREACHABLE, "The supervisor is gone.");
}

int control_init(struct control *control, struct loop *loop, int fd, const struct control_handler *handler,
                 void *context)
{
        static const struct channel_handler channel_handler = {control_received, control_closed, .descriptors = true};

        *control = (struct control){.loop = loop, .handler = handler, .context = context};
        return PASS(channel_new(loop, fd, &channel_handler, control, &control->channel));
}

void control_done(struct control *control)
{
        channel_unref(TAKE(control->channel));
}

int control_ready(struct control *control, const char *state)
{
        return PASS(control_ready_keeper(control, state, false));
}

int control_ready_keeper(struct control *control, const char *state, bool ordered)
{
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        struct msg_ready ready = {.state = (char *)(uintptr_t)state, .ordered = ordered};

        TRY(msg_encode(ready, &ready, &encoded));
        return PASS(channel_send(control->channel, MSG_ready, buf_view(&encoded)));
}

int control_tls_renewed(struct control *control, struct bytes chain)
{
        MSG_OWN(tls_renewed) renewed = {0};
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;

        buf_add_bytes(&renewed.tls_chain, chain);
        TRY(msg_encode(tls_renewed, &renewed, &encoded));
        return PASS(channel_send(control->channel, MSG_tls_renewed, buf_view(&encoded)));
}
