/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "front/front.h"

enum {
        SWEEP_MS = 250,
        METRICS_CONNECTIONS = 32,
        YIELD_MS = 2000, /* without a request, when there is no place for others */
};

#define CUT UINT64_MAX /* the deadline of a connection that is shut down already */

static int sweep_expired(void *context);
static const struct acceptor_handler acceptor_handler;

int connections_init(struct front *front)
{
        struct connections *connections = &front->connections;

        list_init(&connections->all);
        peers_init(&connections->peers);
        acceptors_init(&connections->acceptors, &front->loop, &acceptor_handler, front);
        loop_timer_init(&connections->sweep, &front->loop, sweep_expired, front);
        return PASS(descriptors_raise(&connections->descriptor_limit));
}

void connections_stop_listening(struct front *front)
{
        acceptors_done(&front->connections.acceptors);
}

static void connection_free(struct connection *connection)
{
        if (connection->request)
                request_end(connection->request);
        connection->front->connections.by_fd[connection->fd] = NULL;
        connection->front->connections.count--;
        list_remove(&connection->link);
        if (connection->peer)
                peers_leave(connection->peer);
        free(connection);
}

void connections_done(struct front *front)
{
        struct connections *connections = &front->connections;

        connections_stop_listening(front);
        LIST_EACH (connection, &connections->all, struct connection, link)
                connection_free(connection);
        peers_done(&connections->peers);
        loop_timer_done(&connections->sweep);
        free(connections->by_fd);
}

struct connection *connection_of_fd(struct front *front, int fd)
{
        return fd >= 0 && (size_t)fd < front->connections.by_fd_count ? front->connections.by_fd[fd] : NULL;
}

/* ---- limits ---- */

static size_t connection_limit(const struct front *front)
{
        return MIN((size_t)front->config.limits.connections, front->connections.descriptor_limit);
}

/* At the limit new connections wait in the kernel; those for metrics, which come from our own side, have room of their
 * own. */
static bool is_full(const struct front *front, enum purpose purpose)
{
        return front->connections.count >=
               connection_limit(front) + (purpose == PURPOSE_METRICS ? METRICS_CONNECTIONS : 0);
}

/* ---- accepting ---- */

static void by_fd_set(struct connections *connections, int fd, struct connection *connection)
{
        size_t need = (size_t)fd + 1;

        if (need > connections->by_fd_count) {
                size_t count = MAX(need, connections->by_fd_count * 2);

                connections->by_fd = mem_resize(connections->by_fd, count, sizeof(connections->by_fd[0]));
                memset(connections->by_fd + connections->by_fd_count, 0,
                       (count - connections->by_fd_count) * sizeof(connections->by_fd[0]));
                connections->by_fd_count = count;
        }
        connections->by_fd[fd] = connection;
}

static void connection_admit(struct front *front, enum purpose purpose, int fd, const struct sockaddr *address,
                             socklen_t len)
{
        size_t limit = purpose == PURPOSE_METRICS ? SIZE_MAX : (size_t)front->config.limits.connections_address;
        struct peer *peer = peers_enter(&front->connections.peers, address, limit);
        struct connection *connection;

        if (!peer) {
                front->metrics.connections_refused[REFUSED_ADDRESS]++;
                close(fd);
                return;
        }
        connection = NEW(struct connection);
        *connection = (struct connection){
                .front = front, .purpose = purpose, .fd = fd, .peer = peer, .opened_ms = clock_monotonic_ms()};
        peer_text(address, connection->address);
        list_append(&front->connections.all, &connection->link);
        by_fd_set(&front->connections, fd, connection);
        front->connections.count++;
        front->metrics.connections_total++;
        connection_deadline(connection, (uint64_t)front->config.limits.request_deadline * 1000);
        if (!front->connections.sweep.due_ms)
                loop_timer_arm(&front->connections.sweep, SWEEP_MS);
        http_add(purpose == PURPOSE_HTTPS ? &front->https : &front->plain, connection, address, len);
}

static bool acceptor_full(void *context, int purpose)
{
        return is_full(context, (enum purpose)purpose);
}

static void acceptor_accepted(void *context, int purpose, int fd, const struct sockaddr *address, socklen_t len)
{
        connection_admit(context, (enum purpose)purpose, fd, address, len);
}

static void acceptor_starved(void *context)
{
        struct front *front = context;

        if (!front->metrics.connections_refused[REFUSED_DESCRIPTORS]++)
                log_warning("no descriptor is left for connections; new ones wait (%s)", strerror(errno));
}

static const struct acceptor_handler acceptor_handler = {acceptor_full, acceptor_accepted, acceptor_starved};

int connections_listen(struct front *front, enum purpose purpose, int fd)
{
        return PASS(acceptors_listen(&front->connections.acceptors, (int)purpose, fd));
}

/* ---- deadlines ---- */

void connection_deadline(struct connection *connection, uint64_t in_ms)
{
        connection->due_ms = clock_monotonic_ms() + in_ms;
}

bool connection_is_last_answer(const struct connection *connection)
{
        uint64_t lifetime = (uint64_t)connection->front->config.limits.connection_lifetime * 1000;

        return connection->front->stopping || clock_monotonic_ms() - connection->opened_ms >= lifetime;
}

/* libmicrohttpd sees the end of the socket and closes it. */
static void connection_cut(struct connection *connection)
{
        connection->due_ms = CUT;
        (void)shutdown(connection->fd, SHUT_RDWR);
}

/* Whoever has begun no request for a while gives way to those who wait for a place. */
static bool must_yield(const struct front *front, const struct connection *connection, uint64_t now)
{
        uint64_t deadline = (uint64_t)front->config.limits.request_deadline * 1000;

        return !connection->request && is_full(front, PURPOSE_HTTP) &&
               now + deadline >= connection->due_ms + MIN(deadline, (uint64_t)YIELD_MS);
}

static int sweep_expired(void *context)
{
        struct front *front = context;
        uint64_t now = clock_monotonic_ms();

        LIST_EACH (connection, &front->connections.all, struct connection, link) {
                if (connection->due_ms == CUT || (connection->due_ms > now && !must_yield(front, connection, now)))
                        continue;
                if (connection->request && connection->request->stage == STAGE_WAITING) {
                        request_expired(connection->request);
                        continue;
                }
                front->metrics.connections_cut++;
                connection_cut(connection);
        }
        if (front->connections.count)
                loop_timer_arm(&front->connections.sweep, SWEEP_MS);
        return 0;
}

void connections_close_idle(struct front *front)
{
        LIST_EACH (connection, &front->connections.all, struct connection, link)
                if (!connection->request)
                        connection_cut(connection);
}

void connection_ended(struct connection *connection)
{
        struct front *front = connection->front;

        connection_free(connection);
        acceptors_watch(&front->connections.acceptors);
        if (front->stopping && !front->connections.count)
                loop_stop(&front->loop);
}
