/* SPDX-License-Identifier: Apache-2.0 */
/* The durable queue of work for outbound processes: claimed, sent, done or tried again later. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/engine.h"

enum { TRIES_MOST = 1000, DELAY_MOST = 3600 };

struct outbound_peer {
        struct list link;
        struct engine *engine;
        uint64_t index;
        struct channel *channel;
        struct channel_call call;
        struct job_row job; /* that it does; version 0: none */
        uint64_t retry_ms;
};

static int job_commit(struct engine *engine, int r)
{
        if (r)
                round_undo(engine);
        else
                r = round_release(engine);
        return PASS(r);
}

/* 5, 10, 20 … seconds, at most an hour. */
static int64_t job_delay(const struct job_row *job)
{
        return job->attempts < 10 ? MIN((int64_t)5 << job->attempts, DELAY_MOST) : DELAY_MOST;
}

static int job_settle(struct outbound_peer *peer, const struct msg_job_done *done)
{
        struct engine *engine = peer->engine;
        int r;

        TRY(round_savepoint(engine));
        free(peer->job.error);
        peer->job.error = text_copy(msg_text(done->detail));
        if (done->success)
                r = store_job_done(engine->store, &peer->job);
        else if (done->permanent || peer->job.attempts >= TRIES_MOST)
                r = store_job_fail(engine->store, &peer->job);
        else
                r = store_job_retry(engine->store, &peer->job, engine_now(engine) + job_delay(&peer->job));
        return PASS(job_commit(engine, r));
}

static void job_replied(void *context, int result, struct channel_message *reply)
{
        struct outbound_peer *peer = context;
        MSG_OWN(job_done) done = {0};

        if (!result && reply->kind == MSG_job_done)
                result = msg_decode(job_done, reply->payload, &done);
        else
                done.detail = text_copy("The outbound process was lost.");
        if (result != PROBLEM_SEALED && peer->engine->state == ENGINE_UNSEALED) {
                int r = job_settle(peer, &done);

                if (r)
                        log_report(r, "job %lld", (long long)peer->job.number);
        }
        job_row_done(&peer->job);
}

static int job_claim(struct outbound_peer *peer)
{
        struct engine *engine = peer->engine;
        int r;

        TRY(round_savepoint(engine));
        r = store_job_claim(engine->store, engine_now(engine), &peer->job);
        return r == PROBLEM_NOT_FOUND ? (round_undo(engine), r) : PASS(job_commit(engine, r));
}

static int job_send(struct outbound_peer *peer)
{
        MSG_OWN(job) job = {0};
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;

        job.id = (uint64_t)peer->job.number;
        job.kind = text_copy(msg_text(peer->job.kind));
        job.subject = text_copy(msg_text(peer->job.subject));
        buf_add_bytes(&job.content, secret_view(&peer->job.payload));
        TRY(msg_encode(job, &job, &encoded));
        peer->call.replied = job_replied;
        peer->call.context = peer;
        return PASS(channel_call(peer->channel, &peer->call, MSG_job, buf_view(&encoded)));
}

void outbound_pump(struct engine *engine)
{
        uint64_t now = clock_monotonic_ms();
        struct store_counts counts;

        if (engine->state != ENGINE_UNSEALED || list_empty(&engine->outbounds))
                return;
        store_counts(engine->store, &counts);
        if (!counts.jobs[JOB_WAITING])
                return;
        LIST_EACH (peer, &engine->outbounds, struct outbound_peer, link) {
                int r;

                if (peer->job.row.version || now < peer->retry_ms)
                        continue;
                r = job_claim(peer);
                if (!r)
                        r = job_send(peer);
                /* Nothing is due, or something is wrong: not in every round. */
                if (r)
                        peer->retry_ms = now + 1000;
                if (r && r != PROBLEM_NOT_FOUND)
                        log_report(r, "a job could not be given out");
        }
}

/* Not from the queue: only the newest matters, and it is sent again whenever an outbound process comes. */
void outbounds_publish(struct engine *engine, const struct msg_publish *publication)
{
        if (!engine->config.publish)
                return;
        LIST_EACH (peer, &engine->outbounds, struct outbound_peer, link) {
                CLEANUP(buf_done) struct buf encoded = BUF_NONE;
                int r = msg_encode(publish, publication, &encoded);

                if (!r)
                        r = channel_send(peer->channel, MSG_publish, buf_view(&encoded));
                if (r && r != PROBLEM_UNREACHABLE)
                        log_report(r, "the outbound process could not be told");
        }
}

static int outbound_received(void *context, struct channel *channel, struct channel_message *message)
{
        return refuse(PROBLEM_MALFORMED, "An outbound process sent a message of kind %u.", message->kind);
}

static void outbound_free(struct outbound_peer *peer)
{
        list_remove(&peer->link);
        channel_call_cancel(&peer->call);
        channel_unref(peer->channel);
        job_row_done(&peer->job);
        free(peer);
}

static int outbound_closed(void *context, struct channel *channel, int result)
{
        if (result)
                log_report(result, "an outbound process was cut");
        outbound_free(context);
        return 0;
}

static const struct channel_handler outbound_handler = {
    .received = outbound_received,
    .closed = outbound_closed,
    .frame_limit = 128 << 20,
};

int outbound_add(struct engine *engine, uint64_t index, int fd)
{
        struct outbound_peer *peer = NEW(struct outbound_peer);
        int r;

        peer->engine = engine;
        peer->index = index;
        r = channel_new(engine->loop, fd, &outbound_handler, peer, &peer->channel);
        if (r) {
                free(peer);
                return PASS(r);
        }
        list_append(&engine->outbounds, &peer->link);
        fronts_authority(engine); /* everybody gets it again: it is seldom, and the same */
        crl_publish(engine);
        return 0;
}

void outbound_done(struct engine *engine)
{
        LIST_EACH (peer, &engine->outbounds, struct outbound_peer, link)
                outbound_free(peer);
}
