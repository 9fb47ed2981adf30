/* SPDX-License-Identifier: Apache-2.0 */
#include "net/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

enum {
        ACCEPT_BATCH = 32, /* so that a flood of connections does not starve requests */
        PAUSE_MS = 200,
        DESCRIPTORS_OWN = 64, /* for everything but connections */
};

struct acceptor {
        struct list link;
        struct acceptors *acceptors;
        int purpose;
        struct loop_source source;
        int fd;
};

int descriptors_raise(size_t *ret_connections)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return fault(errno, "cannot learn the limit of descriptors");
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
                return fault(errno, "cannot raise the limit of descriptors");
        *ret_connections = (size_t)MAX(limit.rlim_max, (rlim_t)2 * DESCRIPTORS_OWN) - DESCRIPTORS_OWN;
        return 0;
}

/* A level-triggered listening socket that is not accepted from would turn the loop without end. */
void acceptors_watch(struct acceptors *acceptors)
{
        LIST_EACH (acceptor, &acceptors->all, struct acceptor, link) {
                bool wanted =
                    !acceptors->paused && !acceptors->handler->full(acceptors->context, acceptor->purpose);

                if (loop_source_events(&acceptor->source, wanted ? EPOLLIN : 0))
                        log_report(-1, "a listening socket is lost");
        }
}

static int pause_expired(void *context)
{
        struct acceptors *acceptors = context;

        acceptors->paused = false;
        acceptors_watch(acceptors);
        return 0;
}

static void pause_accepting(struct acceptors *acceptors)
{
        acceptors->handler->starved(acceptors->context);
        acceptors->paused = true;
        loop_timer_arm(&acceptors->pause, PAUSE_MS);
}

static int acceptor_ready(void *context, uint32_t events)
{
        struct acceptor *acceptor = context;
        struct acceptors *acceptors = acceptor->acceptors;
        const struct acceptor_handler *handler = acceptors->handler;

        for (int i = 0; i < ACCEPT_BATCH && !handler->full(acceptors->context, acceptor->purpose); i++) {
                struct sockaddr_storage address = {0};
                socklen_t len = sizeof(address);
                int fd =
                    accept4(acceptor->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

                if (fd >= 0) {
                        handler->accepted(acceptors->context, acceptor->purpose, fd,
                                          (struct sockaddr *)&address, len);
                        continue;
                }
                if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                        pause_accepting(acceptors);
                if (errno != EINTR && errno != ECONNABORTED)
                        break;
        }
        acceptors_watch(acceptors);
        return 0;
}

static void acceptor_free(struct acceptor *acceptor)
{
        loop_source_done(&acceptor->source);
        list_remove(&acceptor->link);
        fd_closep(&acceptor->fd);
        free(acceptor);
}

void acceptors_init(struct acceptors *acceptors, struct loop *loop, const struct acceptor_handler *handler,
                    void *context)
{
        *acceptors = (struct acceptors){.loop = loop, .handler = handler, .context = context};
        list_init(&acceptors->all);
        loop_timer_init(&acceptors->pause, loop, pause_expired, acceptors);
}

void acceptors_done(struct acceptors *acceptors)
{
        if (!acceptors->loop)
                return;
        LIST_EACH (acceptor, &acceptors->all, struct acceptor, link)
                acceptor_free(acceptor);
        loop_timer_done(&acceptors->pause);
}

int acceptors_listen(struct acceptors *acceptors, int purpose, int fd)
{
        struct acceptor *acceptor = NEW(struct acceptor);
        int flags = fcntl(fd, F_GETFL);
        int r = 0;

        *acceptor = (struct acceptor){.acceptors = acceptors, .purpose = purpose, .fd = fd};
        list_append(&acceptors->all, &acceptor->link);
        /* Other processes accept from it too, and may be quicker. */
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                r = fault(errno, "cannot prepare a listening socket");
        if (!r)
                r = loop_source_init(&acceptor->source, acceptors->loop, fd, EPOLLIN, acceptor_ready,
                                     acceptor);
        if (r)
                acceptor_free(acceptor);
        return PASS(r);
}
