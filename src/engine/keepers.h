/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the engine asks of keepers. A call goes to the keeper with the least to do and waits in a queue while all have
 * enough; when its keeper is lost it goes to another, which is safe because nothing of an answer is committed before
 * it is there. Calls in the background (the pool) are made one at a time, and only when nothing else waits.
 *
 * Each call runs `done` exactly once, unless keeper_call_cancel(): 0 and the reply's payload, or a problem whose
 * sentence is in report_text(): the keeper's own, PROBLEM_BUSY when none answered in time, PROBLEM_SEALED when they
 * were sealed meanwhile. `done` never runs from within keeper_ask().
 */
#include "base/buf.h"
#include "base/list.h"
#include "crypto/curve.h"
#include "wire/channel.h"
#include "wire/message.h"

struct engine;
struct keeper_link;

enum {
        KEEPER_CALLS_MOST = 8, /* at one keeper at a time: enough that it never waits for us */
        KEEPER_WAITING_MOST = 4096,
        KEEPER_TRIES = 3,
        KEEPER_PATIENCE_MS = 30 * 1000,
};

struct keeper_call {
        struct list link;           /* in keepers.waiting, or its keeper's calls */
        struct keeper_link *keeper; /* NULL: waits */
        uint16_t kind;
        bool background;
        bool pinned; /* only for the keeper with this transport point, sealed or not: startup requests */
        struct point transport;
        unsigned tries;
        uint64_t since_ms;
        struct buf payload;
        struct channel_call wire;
        void (*done)(void *context, int result, struct bytes reply);
        void *context;
};

/* One keeper. `send` and `load` go over a channel; unit tests put something of their own in their place. */
struct keeper_link {
        struct list link;
        struct engine *engine;
        uint64_t index;
        struct channel *channel;
        struct list calls;
        size_t call_count;
        bool sealed, known;   /* known: it has said what state it is in */
        struct buf transport; /* point to which partials are boxed for it */
        int (*send)(struct keeper_link *keeper, struct keeper_call *call);
        int (*load)(struct keeper_link *keeper, struct bytes records);
        struct channel_call load_call;
};

struct keepers {
        struct list all;
        size_t count;
        struct list waiting;
        size_t waiting_count;
        struct keeper_call *background; /* at most one in all */
};

void keepers_init(struct engine *engine);
void keepers_done(struct engine *engine);
/* The supervisor's connection to a keeper; takes `fd`. One of the same index takes the place of the former. */
int keeper_add_channel(struct engine *engine, uint64_t index, int fd) must_check;
void keeper_add(struct engine *engine, struct keeper_link *keeper);
void keeper_lost(struct keeper_link *keeper);
/* Send the records to every keeper (again): at start, and when the trust record changed. */
void keepers_load(struct engine *engine);
/* What a keeper says of its state. */
int keeper_state_received(struct keeper_link *keeper, struct bytes payload) must_check;
/* One that has this transport point, or any that has one (NULL). */
struct keeper_link *keeper_find(struct engine *engine, const struct point *transport);
bool keepers_all_sealed(const struct engine *engine);

/* The message is encoded here. PROBLEM_BUSY when too many wait. */
int keeper_ask(struct engine *engine, struct keeper_call *call, enum msg_kind kind, const void *message) must_check;
void keeper_call_cancel(struct engine *engine, struct keeper_call *call); /* idempotent, also on a zeroed one */
/* A keeper answered `call` with this message (MSG_problem is turned into its problem). */
void keeper_answered(struct keeper_call *call, int result, uint16_t kind, struct bytes payload);
/* Send what waits as far as keepers are free; and give up what waited too long. Called once a round and once a
 * second. */
void keepers_pump(struct engine *engine);
/* The same before a commit, so that keepers work while the disk does: only what a keeper answers from its question alone,
 * and keeps nothing of. Whoever asked is told when the commit fails. */
void keepers_pump_early(struct engine *engine);
void keepers_fail_waiting(struct engine *engine, int problem, const char *sentence);
