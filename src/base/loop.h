/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The event loop of every process: epoll, level-triggered, single-threaded. A callback's non-zero result ends
 * loop_run() with that result. Sources are owned by whoever made them and removed with loop_source_done() (safe inside their own
 * callback). Nothing is allocated: sources are embedded in what they belong to.
 */
#include <stdbool.h>
#include <stdint.h>
#include <signal.h>
#include <sys/epoll.h>

#include "base/list.h"

struct loop {
        int epoll;
        bool stopping;
        struct list timers;   /* of struct loop_timer, unordered: there are few */
        struct list deferred; /* of struct loop_deferred */
        struct list once;     /* of struct loop_once */
        struct epoll_event events[64];
        int event_count;
};

struct loop_source {
        struct loop *loop;
        int fd; /* not owned */
        uint32_t events;
        int (*ready)(void *context, uint32_t events);
        void *context;
};

struct loop_timer {
        struct list link;
        struct loop *loop;
        uint64_t due_ms; /* clock_monotonic_ms(); 0 = not armed */
        int (*expired)(void *context);
        void *context;
};

/* Runs after the callbacks of one round, before the loop waits again: where a batch is committed. */
struct loop_deferred {
        struct list link;
        int (*run)(void *context);
        void *context;
};

/* Runs once, at the end of the round in which it was scheduled, after what is deferred: where buffers are flushed. */
struct loop_once {
        struct list link;
        int (*run)(void *context);
        void *context;
};

int loop_init(struct loop *loop) must_check;
void loop_done(struct loop *loop);
int loop_run(struct loop *loop) must_check;
void loop_stop(struct loop *loop); /* loop_run() returns 0 after this round */
/* One round: waits at most `timeout_ms` (-1 for ever). */
int loop_step(struct loop *loop, int timeout_ms) must_check;

int loop_source_init(struct loop_source *source, struct loop *loop, int fd, uint32_t events,
                     int (*ready)(void *context, uint32_t events), void *context) must_check;
int loop_source_events(struct loop_source *source, uint32_t events) must_check;
void loop_source_done(struct loop_source *source); /* idempotent */

void loop_timer_init(struct loop_timer *timer, struct loop *loop, int (*expired)(void *context), void *context);
void loop_timer_arm(struct loop_timer *timer, uint64_t in_ms);
void loop_timer_disarm(struct loop_timer *timer); /* it may be armed again */
void loop_timer_done(struct loop_timer *timer); /* it may not; idempotent */

void loop_deferred_init(struct loop_deferred *deferred, struct loop *loop, int (*run)(void *context), void *context);
void loop_deferred_done(struct loop_deferred *deferred);

void loop_once_init(struct loop_once *once, int (*run)(void *context), void *context);
void loop_once_schedule(struct loop_once *once, struct loop *loop); /* nothing when it is scheduled already */
void loop_once_done(struct loop_once *once); /* will not run; idempotent */
