/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The durable queue of work for the outbound process that works it: claimed, sent, done or tried again later.
 *
 * Each kind of job goes to a target: a folder, the directory, a mail server. A target that cannot be reached is no fault of
 * its jobs: they go back as they were, and the target is tried with one job now and then until it answers, however long that
 * takes and however many wait.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/deliver.h"
#include "engine/engine.h"

enum { MAILS_AT_ONCE = 4 }; /* more than one for the way, few enough for any mail server */
enum {
        SLOTS = 32,
        TRIES_MOST = 1000,
        /* A day: what is wrong here and is not put right by then has to be seen by somebody. The attempts that failed at
         * the other side count, too: what has been waiting for longer fails at once. */
        REFUSED_MOST = 34,
        DELAY_MOST = 3600,
        IDLE_MS = 1000,
        PROBE_LEAST_MS = 2000,
        PROBE_MOST_MS = 60000,
        ADRIFT_MOST = 1000,
};

static const struct job_kind {
        const char *name;
        enum outbound_target target;
        unsigned most; /* given out at once */
        /* What the job is to do as things stand now, in place of what was stored with it. PROBLEM_NOT_FOUND: nothing any more. */
        int (*fill)(struct engine *engine, struct job_row *job, struct buf *ret_content);
        bool mail; /* handed over is not delivered: it stays as sent, and what is refused for good has bounced */
} kinds[] = {
    {"publish-user", TARGET_DIRECTORY, SLOTS, publication_fill, false},
    {"publish-file", TARGET_FOLDER, 1, NULL, false},
    {"remove-file", TARGET_FOLDER, 1, NULL, false},
    {"mail-token", TARGET_MAIL, MAILS_AT_ONCE, token_mail_fill, true},
};
_Static_assert(ARRAY_LEN(kinds) <= JOB_KINDS_MOST, "engine.h has a place for each kind");

struct outbound_peer;
struct slot {
        struct outbound_peer *peer;
        struct channel_call call;
        struct round_after claimed;
        struct buf message; /* until the claim is durable; it may hold a token */
        struct job_row job; /* that is done; version 0: none */
        const struct job_kind *kind;
        bool nothing; /* there was nothing to do any more */
        bool refused; /* it cannot be given out as things are */
};
struct outbound_peer {
        struct list link;
        struct engine *engine;
        uint64_t index;
        struct channel *channel;
        struct slot slots[SLOTS];
};

static int job_commit(struct engine *engine, int r)
{
        if (r)
                round_undo(engine);
        else
                r = round_release(engine);
        return PASS(r);
}

/* ---- targets */

/* Of many jobs that were under way when it went away, one makes the next attempt wait longer. */
static void target_failed(struct target_state *target)
{
        uint64_t now = clock_monotonic_ms();

        if (now < target->until_ms)
                return;
        target->until_ms = now + MIN((uint64_t)PROBE_LEAST_MS << MIN(target->failures, 10u), (uint64_t)PROBE_MOST_MS);
        target->failures++;
}

static unsigned target_room(const struct engine *engine, const struct job_kind *kind)
{
        const struct target_state *target = &engine->outbound.targets[kind->target];
        unsigned most = target->failures ? 1 : kind->most;

        if (clock_monotonic_ms() < target->until_ms)
                return 0;
        return target->running < most ? most - target->running : 0;
}

bool outbound_target_reachable(const struct engine *engine, enum outbound_target target)
{
        return engine->outbound.targets[target].failures == 0;
}

/* ---- what became of a job */

/* 5, 10, 20 … seconds, at most an hour. */
static int64_t job_delay(const struct job_row *job)
{
        return job->attempts < 10 ? MIN((int64_t)5 << job->attempts, DELAY_MOST) : DELAY_MOST;
}

static int job_store(struct slot *slot, const struct msg_job_done *done)
{
        struct engine *engine = slot->peer->engine;
        int64_t until = engine_now(engine) + engine->config.mail_keep;

        free(slot->job.error);
        slot->job.error = text_copy(msg_text(done->detail));
        if (done->success && slot->kind->mail && !slot->nothing)
                return PASS(store_job_sent(engine->store, &slot->job, until));
        if (done->success)
                return PASS(store_job_done(engine->store, &slot->job));
        /* Behind the others: should it be this one alone that gets no answer, it does not stand in their way. */
        if (done->unreachable)
                return PASS(store_job_return(engine->store, &slot->job, engine_now(engine)));
        if (done->permanent && slot->kind->mail)
                return PASS(store_job_bounce(engine->store, &slot->job, until));
        if (done->permanent || slot->job.attempts >= (slot->refused ? REFUSED_MOST : TRIES_MOST))
                return PASS(store_job_fail(engine->store, &slot->job));
        return PASS(store_job_retry(engine->store, &slot->job, engine_now(engine) + job_delay(&slot->job)));
}

static int job_settle(struct slot *slot, const struct msg_job_done *done)
{
        struct engine *engine = slot->peer->engine;

        outbound_wake(engine, slot->kind->name); /* the next of its subject may be due */
        TRY(round_savepoint(engine));
        return PASS(job_commit(engine, job_store(slot, done)));
}

static void slot_empty(struct slot *slot)
{
        list_remove(&slot->claimed.link);
        buf_wipe(&slot->message);
        slot->peer->engine->outbound.targets[slot->kind->target].running--;
        job_row_done(&slot->job);
}

static void job_replied(void *context, int result, struct channel_message *reply)
{
        struct slot *slot = context;
        struct engine *engine = slot->peer->engine;
        struct target_state *target = &engine->outbound.targets[slot->kind->target];
        MSG_OWN(job_done) done = {0};

        if (!result && reply->kind == MSG_job_done)
                result = msg_decode(job_done, reply->payload, &done);
        else
                done.detail = text_copy("The outbound process was lost.");
        if (done.unreachable)
                target_failed(target);
        else if (done.success)
                *target = (struct target_state){.running = target->running};
        if (result != PROBLEM_SEALED && engine->state == ENGINE_UNSEALED) {
                int r = job_settle(slot, &done);

                if (r) {
                        log_report(r, "job %lld", (long long)slot->job.number);
                        engine->outbound.adrift = true;
                }
        }
        slot_empty(slot);
}

/* ---- giving out */

static int job_claim(struct slot *slot)
{
        struct engine *engine = slot->peer->engine;
        int r;

        TRY(round_savepoint(engine));
        r = store_job_claim(engine->store, slot->kind->name, engine_now(engine), &slot->job);
        if (r == PROBLEM_NOT_FOUND) {
                round_undo(engine);
                return r;
        }
        r = job_commit(engine, r);
        if (r)
                return PASS(r);
        engine->outbound.targets[slot->kind->target].running++;
        return 0;
}

static int job_encode(struct slot *slot)
{
        struct engine *engine = slot->peer->engine;
        MSG_OWN(job) job = {.id = (uint64_t)slot->job.number};
        int r;

        job.kind = text_copy(msg_text(slot->job.kind));
        job.subject = text_copy(msg_text(slot->job.subject));
        if (slot->kind->fill)
                TRY(slot->kind->fill(engine, &slot->job, &job.content));
        else
                buf_add_bytes(&job.content, secret_view(&slot->job.payload));
        r = msg_encode(job, &job, &slot->message);
        buf_wipe(&job.content); /* it may be a token */
        return PASS(r);
}

/* It could not be sent: there is nothing to do any more, or it is tried again. */
static void job_unsent(struct slot *slot, int result)
{
        struct msg_job_done done = {.success = result == PROBLEM_NOT_FOUND};
        int r;

        slot->nothing = done.success;
        slot->refused = result > 0 && result != PROBLEM_STORAGE && result != PROBLEM_BUSY;
        if (!done.success) {
                log_report(result, "job %lld could not be given out", (long long)slot->job.number);
                done.detail = text_copy(report_text());
        }
        r = job_settle(slot, &done);
        if (r)
                log_report(r, "job %lld", (long long)slot->job.number);
        msg_done(job_done, &done);
        slot_empty(slot);
}

/* A job leaves when it is durable that it does: mail would be sent again and again while the disk is full. */
static void job_claimed(struct round_after *after, bool stored)
{
        struct slot *slot = CONTAINER_OF(after, struct slot, claimed);
        struct engine *engine = slot->peer->engine;
        int r;

        if (!stored) {
                engine->outbound.idle_until_ms[slot->kind - kinds] = clock_monotonic_ms() + IDLE_MS;
                slot_empty(slot);
                return;
        }
        slot->call.replied = job_replied;
        slot->call.context = slot;
        r = channel_call(slot->peer->channel, &slot->call, MSG_job, buf_view(&slot->message));
        buf_wipe(&slot->message);
        if (r)
                job_unsent(slot, r);
}

static void job_send_after(struct slot *slot)
{
        slot->claimed.run = job_claimed;
        list_append(&slot->peer->engine->round.after, &slot->claimed.link);
}

static struct slot *slot_free(struct outbound_peer *peer)
{
        for (size_t i = 0; i < SLOTS; i++)
                if (!peer->slots[i].job.row.version)
                        return &peer->slots[i];
        return NULL;
}

static void kind_pump(struct outbound_peer *peer, const struct job_kind *kind)
{
        struct engine *engine = peer->engine;
        uint64_t *idle_until_ms = &engine->outbound.idle_until_ms[kind - kinds];

        if (clock_monotonic_ms() < *idle_until_ms)
                return;
        for (unsigned room = target_room(engine, kind); room; room--) {
                struct slot *slot = slot_free(peer);
                int r;

                if (!slot)
                        return;
                slot->kind = kind;
                slot->nothing = slot->refused = false;
                r = job_claim(slot);
                if (r) { /* nothing is due, or something is wrong: not in every round */
                        *idle_until_ms = clock_monotonic_ms() + IDLE_MS;
                        if (r != PROBLEM_NOT_FOUND)
                                log_report(r, "a job could not be given out");
                        return;
                }
                r = job_encode(slot);
                if (r)
                        job_unsent(slot, r);
                else
                        job_send_after(slot);
        }
}

/* ---- jobs that run in the database only */

static bool is_under_way(const struct engine *engine, int64_t number)
{
        LIST_EACH (peer, &engine->outbounds, struct outbound_peer, link)
                for (size_t i = 0; i < SLOTS; i++)
                        if (peer->slots[i].job.row.version && peer->slots[i].job.number == number)
                                return true;
        return false;
}

static int adrift_one(void *context, struct job_row *row)
{
        struct engine *engine = context;

        return is_under_way(engine, row->number) ? 0 : PASS(store_job_return(engine->store, row, engine_now(engine)));
}

/* They would run for good, and hold up those behind them: they are given out again. */
static void adrift_return(struct engine *engine)
{
        struct outbound_state *outbound = &engine->outbound;
        int r;

        outbound->adrift = outbound->adrift || outbound->commit_failures != engine->commit_failures;
        if (!outbound->adrift || clock_monotonic_ms() < outbound->adrift_until_ms)
                return;
        outbound->commit_failures = engine->commit_failures;
        outbound->adrift_until_ms = clock_monotonic_ms() + IDLE_MS;
        r = round_savepoint(engine);
        if (!r)
                r = round_settle(engine, store_job_list(engine->store, JOB_RUNNING, 0, ADRIFT_MOST, engine,
                                                        adrift_one));
        outbound->adrift = r != 0;
        if (r)
                log_report(r, "jobs that nobody has could not be taken back");
}

void outbound_hasten(struct engine *engine, const char *kind)
{
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
                if (strcmp(kinds[i].name, kind) == 0)
                        engine->outbound.targets[kinds[i].target].until_ms = 0;
        outbound_wake(engine, kind);
}

void outbound_wake(struct engine *engine, const char *kind)
{
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
                if (strcmp(kinds[i].name, kind) == 0)
                        engine->outbound.idle_until_ms[i] = 0;
}

void outbound_pump(struct engine *engine)
{
        struct store_counts counts;

        if (engine->state != ENGINE_UNSEALED || list_empty(&engine->outbounds))
                return;
        store_counts(engine->store, &counts);
        if (counts.jobs[JOB_RUNNING])
                adrift_return(engine);
        if (!counts.jobs[JOB_WAITING])
                return;
        LIST_EACH (peer, &engine->outbounds, struct outbound_peer, link)
                for (size_t i = 0; peer->index == 0 && i < ARRAY_LEN(kinds); i++)
                        kind_pump(peer, &kinds[i]);
}

/* Not from the queue: only the newest matters, and it is sent again whenever an outbound process comes. */
void outbounds_publish(struct engine *engine, const struct msg_publish *publication)
{
        if (!engine->config.publish && !engine->config.publish_directory)
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
        struct outbound_peer *peer = context;

        if (message->kind == MSG_publish_state && !message->id && peer->index == 0)
                return PASS(msg_decode(publish_state, message->payload, &peer->engine->outbound.publishing));
        return refuse(PROBLEM_MALFORMED, "An outbound process sent a message of kind %u.", message->kind);
}

static void outbound_free(struct outbound_peer *peer)
{
        list_remove(&peer->link);
        for (size_t i = 0; i < SLOTS; i++) {
                channel_call_cancel(&peer->slots[i].call);
                if (peer->slots[i].job.row.version)
                        slot_empty(&peer->slots[i]);
        }
        channel_unref(peer->channel);
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
        for (size_t i = 0; i < SLOTS; i++) {
                peer->slots[i].peer = peer;
                list_init(&peer->slots[i].claimed.link);
        }
        r = channel_new(engine->loop, fd, &outbound_handler, peer, &peer->channel);
        if (r) {
                free(peer);
                return PASS(r);
        }
        list_append(&engine->outbounds, &peer->link);
        if (index == 0)
                engine->outbound.publishing = (struct msg_publish_state){0};
        fronts_authority(engine); /* everybody gets it again: it is seldom, and the same */
        crl_publish(engine);
        return 0;
}

void outbound_done(struct engine *engine)
{
        LIST_EACH (peer, &engine->outbounds, struct outbound_peer, link)
                outbound_free(peer);
}
