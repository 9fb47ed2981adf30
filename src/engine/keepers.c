/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/keepers.h"

#include <errno.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/engine.h"

void keepers_init(struct engine *engine)
{
        list_init(&engine->keepers.all);
        list_init(&engine->keepers.waiting);
}

void keepers_done(struct engine *engine)
{
        keepers_fail_waiting(engine, PROBLEM_BUSY, "The engine stops.");
        LIST_EACH (keeper, &engine->keepers.all, struct keeper_link, link)
                keeper_lost(keeper);
        keepers_fail_waiting(engine, PROBLEM_BUSY, "The engine stops.");
}

/* ---- calls */

static void call_finish(struct keeper_call *call, int result, struct bytes reply)
{
        if (call->keeper) {
                call->keeper->call_count--;
                if (call->keeper->engine->keepers.background == call)
                        call->keeper->engine->keepers.background = NULL;
        }
        call->keeper = NULL;
        list_remove(&call->link);
        buf_done(&call->payload);
        call->done(call->context, result, reply);
}

static void call_wait(struct engine *engine, struct keeper_call *call)
{
        list_append(&engine->keepers.waiting, &call->link);
        engine->keepers.waiting_count++;
}

static void call_unwait(struct engine *engine, struct keeper_call *call)
{
        list_remove(&call->link);
        engine->keepers.waiting_count--;
}

int keeper_ask(struct engine *engine, struct keeper_call *call, enum msg_kind kind, const void *message)
{
        CLEANUP(buf_done) struct buf payload = BUF_NONE;

        if (engine->keepers.waiting_count >= KEEPER_WAITING_MOST)
                return refuse(PROBLEM_BUSY, "Too many requests wait for a keeper; try again.");
        TRY(message_encode(msg_record_of_kind(kind), message, &payload));
        call->kind = (uint16_t)kind;
        call->payload = buf_take(&payload);
        call->keeper = NULL;
        call->tries = 0;
        call->since_ms = clock_monotonic_ms();
        call_wait(engine, call);
        return 0;
}

void keeper_call_cancel(struct engine *engine, struct keeper_call *call)
{
        if (!call->link.next || list_empty(&call->link))
                return;
        if (call->keeper) {
                channel_call_cancel(&call->wire);
                call->keeper->call_count--;
                if (engine->keepers.background == call)
                        engine->keepers.background = NULL;
                call->keeper = NULL;
                list_remove(&call->link);
        } else {
                call_unwait(engine, call);
        }
        buf_done(&call->payload);
}

/* The keeper that has it is gone: another one may do it, unless it seems that this very call kills keepers. */
static void call_again(struct engine *engine, struct keeper_call *call)
{
        call->keeper->call_count--;
        if (engine->keepers.background == call)
                engine->keepers.background = NULL;
        call->keeper = NULL;
        list_remove(&call->link);
        if (call->tries < KEEPER_TRIES) {
                /* It has waited already: it goes before the others. */
                list_append(engine->keepers.waiting.next, &call->link);
                engine->keepers.waiting_count++;
                return;
        }
        buf_done(&call->payload);
        call->done(call->context, refuse(PROBLEM_BUSY, "Keepers were lost over this request; try again later."),
                   BYTES_NONE);
}

void keeper_answered(struct keeper_call *call, int result, uint16_t kind, struct bytes payload)
{
        if (result) {
                call_again(call->keeper->engine, call);
                return;
        }
        if (kind == MSG_problem) {
                call_finish(call, peer_problem("a keeper", payload), BYTES_NONE);
                return;
        }
        if (kind != call->kind + 1) {
                call_finish(call, fault(EPROTO, "a keeper answered with kind %u to kind %u", kind, call->kind),
                            BYTES_NONE);
                return;
        }
        call_finish(call, 0, payload);
}

static void wire_replied(void *context, int result, struct channel_message *reply)
{
        struct keeper_call *call = context;

        if (result)
                keeper_answered(call, result, 0, BYTES_NONE);
        else
                keeper_answered(call, 0, reply->kind, reply->payload);
}

static int channel_keeper_send(struct keeper_link *keeper, struct keeper_call *call)
{
        call->wire.replied = wire_replied;
        call->wire.context = call;
        return PASS(channel_call(keeper->channel, &call->wire, call->kind, buf_view(&call->payload)));
}

/* ---- choosing */

static bool keeper_is_at(const struct keeper_link *keeper, const struct point *transport)
{
        return bytes_equal(buf_view(&keeper->transport), point_view(transport));
}

struct keeper_link *keeper_find(struct engine *engine, const struct point *transport)
{
        LIST_EACH (keeper, &engine->keepers.all, struct keeper_link, link)
                if (keeper->known && keeper->transport.len && (!transport || keeper_is_at(keeper, transport)))
                        return keeper;
        return NULL;
}

/* The one with the least to do; one that makes a pool key is asked only when no other is there. */
static struct keeper_link *keeper_choose(struct engine *engine, const struct keeper_call *call)
{
        struct keeper_link *best = NULL;
        struct keeper_link *pooling = engine->keepers.background ? engine->keepers.background->keeper : NULL;
        size_t best_weight = SIZE_MAX;

        LIST_EACH (keeper, &engine->keepers.all, struct keeper_link, link) {
                size_t weight = keeper->call_count + (keeper == pooling ? KEEPER_CALLS_MOST : 0);

                if (keeper->channel && !channel_is_open(keeper->channel))
                        continue;
                if (!keeper->known || keeper->call_count >= KEEPER_CALLS_MOST)
                        continue;
                if (call->pinned ? !keeper_is_at(keeper, &call->transport) : keeper->sealed)
                        continue;
                if (call->background && keeper->call_count)
                        continue;
                if (weight < best_weight) {
                        best = keeper;
                        best_weight = weight;
                }
        }
        return best;
}

static bool foreground_waits(const struct engine *engine)
{
        LIST_EACH (call, &engine->keepers.waiting, struct keeper_call, link)
                if (!call->background)
                        return true;
        return false;
}

static void call_send(struct engine *engine, struct keeper_link *keeper, struct keeper_call *call)
{
        int r;

        call_unwait(engine, call);
        call->keeper = keeper;
        call->tries++;
        keeper->call_count++;
        list_append(&keeper->calls, &call->link);
        if (call->background)
                engine->keepers.background = call;
        r = keeper->send(keeper, call);
        if (r == PROBLEM_UNREACHABLE)
                call_again(engine, call);
        else if (r)
                call_finish(call, r, BYTES_NONE);
}

static void give_up_old(struct engine *engine)
{
        uint64_t now = clock_monotonic_ms();

        LIST_EACH (call, &engine->keepers.waiting, struct keeper_call, link) {
                if (now - call->since_ms < KEEPER_PATIENCE_MS || call->background)
                        continue;
                call_unwait(engine, call);
                buf_done(&call->payload);
                call->done(call->context, refuse(PROBLEM_BUSY, "No keeper answered in time; try again."), BYTES_NONE);
                return;
        }
}

void keepers_pump(struct engine *engine)
{
        bool again = true;

        give_up_old(engine);
        while (again) {
                again = false;
                LIST_EACH (call, &engine->keepers.waiting, struct keeper_call, link) {
                        struct keeper_link *keeper;

                        if (call->background && (engine->keepers.background || foreground_waits(engine)))
                                continue;
                        keeper = keeper_choose(engine, call);
                        if (!keeper)
                                continue;
                        call_send(engine, keeper, call);
                        again = true;
                        break;
                }
        }
}

void keepers_pump_early(struct engine *engine)
{
        /* In their order, so that nothing else waits longer for it. */
        while (!list_empty(&engine->keepers.waiting)) {
                struct keeper_call *call = CONTAINER_OF(engine->keepers.waiting.next, struct keeper_call, link);
                struct keeper_link *keeper = call->kind == MSG_keeper_enroll ? keeper_choose(engine, call) : NULL;

                if (!keeper)
                        break;
                call_send(engine, keeper, call);
        }
        LIST_EACH (keeper, &engine->keepers.all, struct keeper_link, link)
                if (keeper->channel)
                        channel_push(keeper->channel);
}

void keepers_fail_waiting(struct engine *engine, int problem, const char *sentence)
{
        while (!list_empty(&engine->keepers.waiting)) {
                struct keeper_call *call = CONTAINER_OF(engine->keepers.waiting.next, struct keeper_call, link);

                call_unwait(engine, call);
                buf_done(&call->payload);
                call->done(call->context, refuse((enum problem)problem, "%s", sentence), BYTES_NONE);
        }
}

/* ---- keepers */

bool keepers_all_sealed(const struct engine *engine)
{
        bool any = false;

        LIST_EACH (keeper, &engine->keepers.all, struct keeper_link, link) {
                if (keeper->known && !keeper->sealed)
                        return false;
                any = any || keeper->known;
        }
        return any;
}

void keeper_add(struct engine *engine, struct keeper_link *keeper)
{
        LIST_EACH (other, &engine->keepers.all, struct keeper_link, link)
                if (other->index == keeper->index)
                        keeper_lost(other);
        keeper->engine = engine;
        list_init(&keeper->calls);
        list_append(&engine->keepers.all, &keeper->link);
        engine->keepers.count++;
}

static void keeper_free(struct keeper_link *keeper)
{
        channel_call_cancel(&keeper->load_call);
        channel_unref(keeper->channel);
        free(keeper);
}

void keeper_lost(struct keeper_link *keeper)
{
        struct engine *engine = keeper->engine;

        list_remove(&keeper->link);
        engine->keepers.count--;
        /* Closing answers its calls, which go to others from there; with a keeper that has no channel they do so
         * here. */
        if (keeper->channel)
                channel_close(keeper->channel);
        while (!list_empty(&keeper->calls))
                call_again(engine, CONTAINER_OF(keeper->calls.next, struct keeper_call, link));
        buf_done(&keeper->transport);
        if (keeper->channel)
                keeper_free(keeper);
        else
                buf_done(&keeper->transport);
}

int keeper_state_received(struct keeper_link *keeper, struct bytes payload)
{
        MSG_OWN(keeper_state) state = {0};

        TRY(msg_decode(keeper_state, payload, &state));
        keeper->known = true;
        keeper->sealed = strcmp(msg_text(state.state), "unsealed") != 0;
        buf_done(&keeper->transport);
        keeper->transport = buf_take(&state.transport);
        if (!keeper->sealed)
                return PASS(engine_unsealed(keeper->engine, &state));
        if (keepers_all_sealed(keeper->engine))
                engine_sealed(keeper->engine, msg_text(state.detail));
        return 0;
}

static int keeper_received(void *context, struct channel *channel, struct channel_message *message)
{
        struct keeper_link *keeper = context;
        int r;

        if (message->kind != MSG_keeper_state || message->id)
                return refuse(PROBLEM_MALFORMED, "A keeper sent a message of kind %u.", message->kind);
        r = keeper_state_received(keeper, message->payload);
        if (r)
                log_report(r, "keeper %u: its state was not taken", (unsigned)keeper->index);
        return r < 0 ? 0 : r;
}

static int keeper_closed(void *context, struct channel *channel, int result)
{
        struct keeper_link *keeper = context;

        if (result)
                log_report(result, "keeper %u was cut", (unsigned)keeper->index);
        else
                log_notice("keeper %u is gone", (unsigned)keeper->index);
        keeper_lost(keeper);
        return 0;
}

static const struct channel_handler keeper_handler = {
    .received = keeper_received,
    .closed = keeper_closed,
    .frame_limit = 128 << 20, /* a revocation list of millions of entries */
};

static void load_replied(void *context, int result, struct channel_message *reply)
{
        struct keeper_link *keeper = context;
        int r = 0;

        if (result)
                return;
        if (reply->kind == MSG_keeper_state)
                r = keeper_state_received(keeper, reply->payload);
        else if (reply->kind == MSG_problem)
                r = refuse(PROBLEM_STATE, "A keeper refused the records of the database.");
        if (r)
                log_report(r, "keeper %u", (unsigned)keeper->index);
}

static int channel_keeper_load(struct keeper_link *keeper, struct bytes records)
{
        channel_call_cancel(&keeper->load_call);
        keeper->load_call.replied = load_replied;
        keeper->load_call.context = keeper;
        return PASS(channel_call(keeper->channel, &keeper->load_call, MSG_keeper_load, records));
}

static int keeper_load_one(struct keeper_link *keeper)
{
        MSG_OWN(keeper_load) load = {0};
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;

        TRY(records_load(keeper->engine, MSG_LIST_ADD(load.records)));
        TRY(msg_encode(keeper_load, &load, &encoded));
        return PASS(keeper->load(keeper, buf_view(&encoded)));
}

void keepers_load(struct engine *engine)
{
        LIST_EACH (keeper, &engine->keepers.all, struct keeper_link, link) {
                int r = keeper_load_one(keeper);

                if (r)
                        log_report(r, "keeper %u cannot be given its records", (unsigned)keeper->index);
        }
}

int keeper_add_channel(struct engine *engine, uint64_t index, int fd)
{
        struct keeper_link *keeper = NEW(struct keeper_link);
        int r;

        keeper->index = index;
        keeper->send = channel_keeper_send;
        keeper->load = channel_keeper_load;
        r = channel_new(engine->loop, fd, &keeper_handler, keeper, &keeper->channel);
        if (r) {
                free(keeper);
                return PASS(r);
        }
        keeper_add(engine, keeper);
        return PASS(keeper_load_one(keeper));
}
