/* SPDX-License-Identifier: Apache-2.0 */
#include "base/loop.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"

int loop_init(struct loop *loop)
{
        *loop = (struct loop){.epoll = epoll_create1(EPOLL_CLOEXEC)};
        list_init(&loop->timers);
        list_init(&loop->deferred);
        list_init(&loop->once);
        if (loop->epoll < 0)
                return fault(errno, "cannot make an event loop");
        return 0;
}

void loop_done(struct loop *loop)
{
        if (loop->epoll >= 0)
                close(loop->epoll);
        loop->epoll = -1;
}

void loop_stop(struct loop *loop)
{
        loop->stopping = true;
}

int loop_source_init(struct loop_source *source, struct loop *loop, int fd, uint32_t events,
                     int (*ready)(void *context, uint32_t events), void *context)
{
        struct epoll_event event = {.events = events, .data.ptr = source};

        *source = (struct loop_source){.fd = fd, .events = events, .ready = ready, .context = context};
        if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
                return fault(errno, "cannot watch a descriptor");
        source->loop = loop;
        return 0;
}

int loop_source_events(struct loop_source *source, uint32_t events)
{
        struct epoll_event event = {.events = events, .data.ptr = source};

        if (!source->loop || source->events == events)
                return 0;
        if (epoll_ctl(source->loop->epoll, EPOLL_CTL_MOD, source->fd, &event) < 0)
                return fault(errno, "cannot watch a descriptor");
        source->events = events;
        return 0;
}

/* What epoll has already reported for a source that goes must not be delivered: strike it from this round. */
void loop_source_done(struct loop_source *source)
{
        if (!source->loop)
                return;
        epoll_ctl(source->loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
        for (int i = 0; i < source->loop->event_count; i++)
                if (source->loop->events[i].data.ptr == source)
                        source->loop->events[i].data.ptr = NULL;
        source->loop = NULL;
}

void loop_timer_init(struct loop_timer *timer, struct loop *loop, int (*expired)(void *context), void *context)
{
        *timer = (struct loop_timer){.loop = loop, .expired = expired, .context = context};
        list_append(&loop->timers, &timer->link);
}

void loop_timer_arm(struct loop_timer *timer, uint64_t in_ms)
{
        timer->due_ms = clock_monotonic_ms() + in_ms;
}

void loop_timer_disarm(struct loop_timer *timer)
{
        timer->due_ms = 0;
}

void loop_timer_done(struct loop_timer *timer)
{
        if (timer->link.next)
                list_remove(&timer->link);
        timer->due_ms = 0;
}

void loop_deferred_init(struct loop_deferred *deferred, struct loop *loop, int (*run)(void *context), void *context)
{
        *deferred = (struct loop_deferred){.run = run, .context = context};
        list_append(&loop->deferred, &deferred->link);
}

void loop_deferred_done(struct loop_deferred *deferred)
{
        if (deferred->link.next)
                list_remove(&deferred->link);
}

void loop_once_init(struct loop_once *once, int (*run)(void *context), void *context)
{
        *once = (struct loop_once){.run = run, .context = context};
        list_init(&once->link);
}

void loop_once_schedule(struct loop_once *once, struct loop *loop)
{
        if (list_empty(&once->link))
                list_append(&loop->once, &once->link);
}

void loop_once_done(struct loop_once *once)
{
        if (once->link.next)
                list_remove(&once->link);
}

static int loop_wait_ms(struct loop *loop, int timeout_ms)
{
        uint64_t now = clock_monotonic_ms();

        if (!list_empty(&loop->once))
                return 0;
        LIST_EACH(timer, &loop->timers, struct loop_timer, link) {
                uint64_t left = timer->due_ms > now ? timer->due_ms - now : 0;

                if (timer->due_ms && (timeout_ms < 0 || left < (uint64_t)timeout_ms))
                        timeout_ms = (int)MIN(left, (uint64_t)3600000);
        }
        return timeout_ms;
}

/* A timer may end itself or any other, so the walk starts anew after each that ran. */
static int loop_run_timers(struct loop *loop)
{
        uint64_t now = clock_monotonic_ms();
        bool again = true;

        while (again) {
                again = false;
                LIST_EACH(timer, &loop->timers, struct loop_timer, link) {
                        if (!timer->due_ms || timer->due_ms > now)
                                continue;
                        timer->due_ms = 0;
                        TRY(timer->expired(timer->context));
                        again = true;
                        break;
                }
        }
        return 0;
}

int loop_step(struct loop *loop, int timeout_ms)
{
        loop->event_count = epoll_wait(loop->epoll, loop->events, ARRAY_LEN(loop->events), loop_wait_ms(loop, timeout_ms));
        if (loop->event_count < 0 && errno != EINTR)
                return fault(errno, "waiting for events failed");
        for (int i = 0; i < loop->event_count; i++) {
                struct loop_source *source = loop->events[i].data.ptr;

                if (source)
                        TRY(source->ready(source->context, loop->events[i].events));
        }
        loop->event_count = 0;
        TRY(loop_run_timers(loop));
        LIST_EACH(deferred, &loop->deferred, struct loop_deferred, link)
                TRY(deferred->run(deferred->context));
        while (!list_empty(&loop->once)) {
                struct loop_once *once = CONTAINER_OF(loop->once.next, struct loop_once, link);

                list_remove(&once->link);
                TRY(once->run(once->context));
        }
        return 0;
}

int loop_run(struct loop *loop)
{
        while (!loop->stopping)
                TRY(loop_step(loop, -1));
        return 0;
}
