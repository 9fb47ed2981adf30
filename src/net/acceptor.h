/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Accepting connections from listening sockets that other processes accept from too. Nothing is accepted
 * while there is no place: connections then wait in the kernel. When descriptors run out, accepting pauses
 * and goes on by itself.
 */
#include <stdbool.h>
#include <sys/socket.h>

#include "base/loop.h"

/* With the context of acceptors_init(). What a purpose means is the owner's. */
struct acceptor_handler {
        /* There is no place for another connection of this purpose. */
        bool (*full)(void *context, int purpose);
        /* A new one, non-blocking; `fd` is taken. */
        void (*accepted)(void *context, int purpose, int fd, const struct sockaddr *address, socklen_t len);
        /* No descriptor was left. */
        void (*starved)(void *context);
};

struct acceptors {
        struct loop *loop;
        const struct acceptor_handler *handler;
        void *context;
        struct list all;
        struct loop_timer pause;
        bool paused;
};

void acceptors_init(struct acceptors *acceptors, struct loop *loop, const struct acceptor_handler *handler,
                    void *context);
/* Stop listening for good; idempotent. */
void acceptors_done(struct acceptors *acceptors);
/* Accept from a listening socket, which is taken. */
int acceptors_listen(struct acceptors *acceptors, int purpose, int fd) must_check;
/* A place became free, or none is left. */
void acceptors_watch(struct acceptors *acceptors);

/* Raise the limit of descriptors as far as it goes; how many there are for connections, besides those for all
 * else. */
int descriptors_raise(size_t *ret_connections) must_check;
