/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "front/front.h"

enum {
        FRAME_LIMIT = 112 << 20, /* a revocation list of millions */
        STALE_MS = 10000,        /* the engine tells every second how it is */
};

static void replace(char **place, char **from)
{
        free(*place);
        *place = TAKE(*from);
}

static int engine_told(struct front *front, struct bytes payload)
{
        MSG_OWN(engine_state) state = {0};

        TRY(msg_decode(engine_state, payload, &state));
        replace(&front->engine.state, &state.state);
        replace(&front->engine.metrics, &state.metrics);
        front->engine.heard_ms = clock_monotonic_ms();
        return 0;
}

static int engine_published(struct front *front, struct bytes payload)
{
        MSG_OWN(publish) publish = {0};

        TRY(msg_decode(publish, payload, &publish));
        return PASS(documents_put(&front->documents, &publish));
}

static int engine_received(void *context, struct channel *channel, struct channel_message *message)
{
        if (message->kind == MSG_engine_state)
                return PASS(engine_told(context, message->payload));
        if (message->kind == MSG_publish)
                return PASS(engine_published(context, message->payload));
        return 0;
}

static void engine_forget(struct front *front)
{
        channel_unref(TAKE(front->engine.channel));
        free(TAKE(front->engine.state));
        free(TAKE(front->engine.metrics));
}

/* The calls that waited were answered before this; a new connection comes from the supervisor. Documents stay: they are
 * public and true until others replace them. */
static int engine_closed(void *context, struct channel *channel, int result)
{
        struct front *front = context;

        if (result)
                log_report(result, "the engine's connection is cut");
        else
                log_notice("the engine is gone; waiting for the next");
        if (front->engine.channel == channel)
                engine_forget(front);
        return 0;
}

int engine_connect(struct front *front, int fd)
{
        static const struct channel_handler handler = {engine_received, engine_closed, .frame_limit = FRAME_LIMIT};
        struct channel *old = TAKE(front->engine.channel);

        if (old)
                channel_close(old);
        channel_unref(old);
        engine_forget(front);
        return PASS(channel_new(&front->loop, fd, &handler, front, &front->engine.channel));
}

void engine_done(struct front *front)
{
        struct channel *channel = TAKE(front->engine.channel);

        if (channel)
                channel_close(channel);
        channel_unref(channel);
        engine_forget(front);
}

int engine_readiness(const struct front *front)
{
        const char *state = msg_text(front->engine.state);

        if (!front->engine.channel || !*state)
                return refuse(PROBLEM_BUSY, "The engine is not running; it is started again by itself.");
        if (clock_monotonic_ms() - front->engine.heard_ms > STALE_MS)
                return refuse(PROBLEM_BUSY, "The engine has not been heard of for more than %d seconds.",
                              STALE_MS / 1000);
        if (strcmp(state, "sealed") == 0)
                return refuse(PROBLEM_SEALED, "The server is sealed; unseal it with \"vouchsafe unseal\".");
        if (strcmp(state, "unsealed") != 0)
                return refuse(PROBLEM_BUSY, "The engine is %s.", state);
        return 0;
}
