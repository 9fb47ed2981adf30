/* SPDX-License-Identifier: Apache-2.0 */
/* Fronts: their requests in, answers, public data and the server's state out. */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "wire/paths.h"

int peer_problem(const char *who, struct bytes payload)
{
        MSG_OWN(problem) problem = {0};
        enum problem code;

        TRY(msg_decode(problem, payload, &problem));
        code = problem_from_code(msg_text(problem.code));
        return code ? refuse(code, "%s", msg_text(problem.detail))
                    : fault(EPROTO, "%s failed: %s", who, msg_text(problem.detail));
}

struct front_peer {
        struct list link;
        struct engine *engine;
        struct channel *channel;
};

/* Where the answer to one request goes. */
struct return_path {
        struct channel *channel;
        uint64_t id;
};

static void front_answer(void *context, uint16_t kind, struct bytes payload)
{
        struct return_path *path = context;
        int r = channel_reply(path->channel, path->id, kind, payload);

        if (r && r != PROBLEM_UNREACHABLE)
                log_report(r, "an answer could not be sent");
        channel_unref(path->channel);
        free(path);
}

static int front_received(void *context, struct channel *channel, struct channel_message *message)
{
        struct front_peer *front = context;
        MSG_OWN(api) api = {0};
        struct return_path *path;

        if (message->kind != MSG_api || !message->id)
                return refuse(PROBLEM_MALFORMED, "A front sent a message of kind %u.", message->kind);
        TRY(msg_decode(api, message->payload, &api));
        path = NEW(struct return_path);
        path->channel = channel_ref(channel);
        path->id = message->id;
        request_receive(front->engine, &api, (struct request_sink){front_answer, path});
        return 0;
}

static void front_free(struct front_peer *front)
{
        list_remove(&front->link);
        channel_unref(front->channel);
        free(front);
}

static int front_closed(void *context, struct channel *channel, int result)
{
        if (result)
                log_report(result, "a front was cut");
        front_free(context);
        return 0;
}

static const struct channel_handler front_handler = {
    .received = front_received,
    .closed = front_closed,
    .frame_limit = 128 << 20, /* a revocation list of millions of entries */
};

static void front_send(struct front_peer *front, enum msg_kind kind, const void *message)
{
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        int r = message_encode(msg_record_of_kind(kind), message, &encoded);

        if (!r)
                r = channel_send(front->channel, (uint16_t)kind, buf_view(&encoded));
        if (r && r != PROBLEM_UNREACHABLE)
                log_report(r, "a front could not be told");
}

void fronts_publish(struct engine *engine, const struct msg_publish *publication)
{
        LIST_EACH (front, &engine->fronts, struct front_peer, link)
                front_send(front, MSG_publish, publication);
        outbounds_publish(engine, publication);
}

static void certificate_publish(struct engine *engine, const char *path, struct buf certificate)
{
        struct msg_publish publication = {
            .path = (char *)path,
            .media_type = (char[]){"application/pkix-cert"},
            .modified = engine_now(engine),
            .expires = engine_now(engine) + 86400,
            .content = certificate,
        };

        if (certificate.len)
                fronts_publish(engine, &publication);
}

void fronts_authority(struct engine *engine)
{
        if (!engine->trust_known)
                return;
        certificate_publish(engine, PATH_ISSUER, engine->trust.issuer);
        certificate_publish(engine, PATH_ROOT, engine->trust.root);
}

void fronts_state(struct engine *engine, bool always)
{
        MSG_OWN(engine_state) state = {0};
        CLEANUP(buf_done) struct buf metrics = BUF_NONE;

        (void)always;
        if (list_empty(&engine->fronts) || engine_metrics(engine, &metrics))
                return;
        state.state = text_copy(engine->state == ENGINE_UNSEALED ? "unsealed"
                                : engine->state == ENGINE_SEALED ? "sealed"
                                                                 : "starting");
        state.metrics = text_copy(buf_text(&metrics));
        LIST_EACH (front, &engine->fronts, struct front_peer, link)
                front_send(front, MSG_engine_state, &state);
}

int front_add(struct engine *engine, int fd)
{
        struct front_peer *front = NEW(struct front_peer);
        int r;

        front->engine = engine;
        r = channel_new(engine->loop, fd, &front_handler, front, &front->channel);
        if (r) {
                free(front);
                return PASS(r);
        }
        list_append(&engine->fronts, &front->link);
        /* Everybody gets everything again: it is seldom, and the same. */
        fronts_state(engine, true);
        fronts_authority(engine);
        crl_publish(engine);
        return 0;
}

void peers_done(struct engine *engine)
{
        LIST_EACH (front, &engine->fronts, struct front_peer, link) {
                channel_close(front->channel);
                front_free(front);
        }
}
