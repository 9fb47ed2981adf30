/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "ldapd/ldapd.h"

enum {
        SEARCHES_MOST = 8, /* of one client at once; then what it sends waits */
        CONGESTED = 64 << 10,
        READS_MOST = 4, /* before others have their turn */
        SWEEP_MS = 250,
        YIELD_MS = 2000, /* idle, when there is no place for others */
};

static bool is_full(const struct ldapd *ldapd)
{
        size_t count = (size_t)ldapd->state.connections;

        return count >= MIN((size_t)ldapd->config.limits.connections, ldapd->descriptor_limit);
}

static void connection_free(struct connection *connection)
{
        struct ldapd *ldapd = connection->ldapd;

        LIST_EACH (search, &connection->searches, struct search, link)
                search_free(search);
        loop_source_done(&connection->source);
        loop_once_done(&connection->again);
        stream_done(&connection->stream);
        buf_done(&connection->paged.body);
        peers_leave(connection->peer);
        list_remove(&connection->link);
        free(connection);
        ldapd->state.connections--;
        acceptors_watch(&ldapd->acceptors);
        if (ldapd->stopping && !ldapd->state.connections)
                loop_stop(&ldapd->loop);
}

bool connection_congested(const struct connection *connection)
{
        return connection->stream.out.len >= CONGESTED;
}

/* ---- what it sends ---- */

/* Nothing that comes now would be looked at. */
static bool is_held(const struct connection *connection)
{
        return connection->closing || connection->secure_next || connection->refused_bind.id ||
               connection->search_count >= SEARCHES_MOST || connection_congested(connection);
}

/* The rest of the connection cannot be understood: RFC 4511 section 4.1.1. */
static void malformed(struct connection *connection)
{
        char text[512];
        struct outcome outcome = {.code = RESULT_PROTOCOL_ERROR, .text = text};

        snprintf(text, sizeof(text), "%s", report_text());
        LIST_EACH (search, &connection->searches, struct search, link)
                search_free(search);
        connection->ldapd->state.malformed++;
        reply_disconnection(&connection->stream.out, &outcome);
        connection->closing = true;
}

/* Passwords may lie in what is consumed. */
static void input_consume(struct buf *in, size_t len)
{
        size_t before = in->len;

        buf_consume(in, len);
        memory_wipe(in->data + in->len, before - in->len);
}

static int message_do(struct connection *connection, size_t len)
{
        CLEANUP(ldap_request_done) struct ldap_request request = {0};
        struct buf message = buf_copy_of(bytes_of(connection->stream.in.data, len));
        int r;

        input_consume(&connection->stream.in, len);
        r = ldap_request_parse(buf_view(&message), &request);
        if (!r)
                r = operation_do(connection, &message, &request);
        if (message.data)
                memory_wipe(message.data, message.len);
        buf_done(&message);
        return r;
}

static void input_do(struct connection *connection)
{
        size_t len = 0;
        int r = 0;

        while (!is_held(connection) && !r) {
                r = ldap_frame(buf_view(&connection->stream.in), &len);
                if (r || !len || connection->stream.in.len < len)
                        break;
                r = message_do(connection, len);
                connection->active_ms = clock_monotonic_ms();
                connection->input_ms = 0;
        }
        if (r == PROBLEM_STATE)
                connection->closing = true;
        else if (r)
                malformed(connection);
        if (!connection->stream.in.len || is_held(connection))
                connection->input_ms = 0;
        else if (!connection->input_ms)
                connection->input_ms = clock_monotonic_ms();
}

/* ---- its turn ---- */

static int connection_read(struct connection *connection)
{
        bool more = true;

        input_do(connection);
        for (int i = 0; more && !is_held(connection) && (i < READS_MOST || connection->stream.tls); i++) {
                if (i >= READS_MOST && !gnutls_record_check_pending(connection->stream.tls))
                        break;
                TRY(stream_read(&connection->stream, &more));
                if (more)
                        input_do(connection);
        }
        return 0;
}

static void output_note(struct connection *connection, size_t before)
{
        size_t now = connection->stream.out.len;

        /* A client that reads makes room for another page now and then. */
        if (!now || (before >= CONGESTED && now < CONGESTED))
                connection->output_ms = 0;
        if (now && !connection->output_ms)
                connection->output_ms = clock_monotonic_ms();
}

static struct search *stalled_of(struct connection *connection)
{
        LIST_EACH (search, &connection->searches, struct search, link)
                if (search->stalled)
                        return search;
        return NULL;
}

/* Any of them may end others, so the walk starts anew. */
static void searches_resume(struct connection *connection)
{
        struct search *search;

        while (!connection_congested(connection) && (search = stalled_of(connection))) {
                search->stalled = false;
                search_continue(search);
        }
}

static int connection_write(struct connection *connection)
{
        size_t before = connection->stream.out.len;

        TRY(stream_write(&connection->stream));
        output_note(connection, before);
        searches_resume(connection);
        if (connection->secure_next && !connection->stream.out.len) {
                connection->secure_next = false;
                connection->opened_ms = clock_monotonic_ms();
                TRY(stream_secure(&connection->stream, connection->ldapd->credentials));
        }
        return 0;
}

static int connection_turn(struct connection *connection)
{
        TRY(connection_read(connection));
        TRY(connection_write(connection));
        if (connection->closing && !connection->stream.out.len)
                return refuse(PROBLEM_UNREACHABLE, "It is closed here.");
        return PASS(loop_source_events(&connection->source,
                                       stream_events(&connection->stream, !is_held(connection))));
}

/* A connection that fails is closed, and nothing else happens: networks and clients do that. */
static int connection_run(void *context)
{
        struct connection *connection = context;
        int r = connection_turn(connection);

        if (r < 0)
                log_report(r, "a connection is lost");
        if (r)
                connection_free(connection);
        return 0;
}

void connection_wake(struct connection *connection)
{
        loop_once_schedule(&connection->again, &connection->ldapd->loop);
}

static int connection_ready(void *context, uint32_t events)
{
        struct connection *connection = context;

        if (events & (EPOLLERR | EPOLLHUP) && is_held(connection)) /* nobody would see it by reading */
                connection_free(connection);
        else
                return PASS(connection_run(connection));
        return 0;
}

/* ---- accepting ---- */

static int connection_open(struct connection *connection, enum purpose purpose)
{
        struct ldapd *ldapd = connection->ldapd;

        TRY(loop_source_init(&connection->source, &ldapd->loop, connection->stream.fd, EPOLLIN,
                             connection_ready, connection));
        if (purpose == PURPOSE_LDAPS)
                TRY(stream_secure(&connection->stream, ldapd->credentials));
        return 0;
}

static void accepted(void *context, int purpose, int fd, const struct sockaddr *address, socklen_t len)
{
        struct ldapd *ldapd = context;
        struct peer *peer =
            peers_enter(&ldapd->peers, address, (size_t)ldapd->config.limits.connections_address);
        struct connection *connection;
        uint64_t now = clock_monotonic_ms();

        if (!peer || (purpose == PURPOSE_LDAPS && !ldapd->tls.loaded)) {
                if (peer)
                        peers_leave(peer);
                ldapd->state.connections_refused++;
                close(fd);
                return;
        }
        connection = NEW(struct connection);
        *connection = (struct connection){
            .ldapd = ldapd, .peer = peer, .stream.fd = fd, .opened_ms = now, .active_ms = now};
        connection->loopback = peer_is_loopback(address);
        list_init(&connection->searches);
        loop_once_init(&connection->again, connection_run, connection);
        list_append(&ldapd->connections, &connection->link);
        ldapd->state.connections++;
        ldapd->state.connections_total++;
        if (!ldapd->sweep.due_ms)
                loop_timer_arm(&ldapd->sweep, SWEEP_MS);
        int r = connection_open(connection, (enum purpose)purpose);
        if (r) {
                log_report(r, "a connection cannot be served");
                connection_free(connection);
        }
}

static bool full(void *context, int purpose)
{
        return is_full(context);
}

static void starved(void *context)
{
        struct ldapd *ldapd = context;

        if (!ldapd->state.connections_refused++)
                log_warning("no descriptor is left for connections; new ones wait (%s)", strerror(errno));
}

/* ---- deadlines ---- */

static bool is_past(uint64_t since_ms, uint64_t now, int64_t seconds)
{
        return since_ms && now - since_ms >= (uint64_t)seconds * 1000;
}

/* Too slow with TLS, with a request, or with reading answers; idle; or old. */
static bool is_due(const struct connection *connection, uint64_t now)
{
        const struct config *config = &connection->ldapd->config;
        bool idle = !connection->search_count && !connection->stream.in.len && !connection->stream.out.len;

        if (connection->stream.handshaking &&
            is_past(connection->opened_ms, now, config->limits.request_deadline))
                return true;
        if (is_past(connection->input_ms, now, config->limits.request_deadline) ||
            is_past(connection->output_ms, now, config->limits.request_deadline))
                return true;
        return idle && (is_past(connection->active_ms, now, config->ldap.idle_timeout) ||
                        is_past(connection->opened_ms, now, config->limits.connection_lifetime) ||
                        (is_full(connection->ldapd) && now - connection->active_ms >= YIELD_MS) ||
                        connection->ldapd->stopping);
}

static void searches_sweep(struct connection *connection, uint64_t now)
{
        static const struct outcome late = {.code = RESULT_TIME_LIMIT_EXCEEDED,
                                            .text = "The search took too long."};

        LIST_EACH (search, &connection->searches, struct search, link)
                if (search->due_ms <= now)
                        search_finish(search, &late);
        if (connection->refused_bind.id && connection->refused_bind.due_ms <= now) {
                operation_bind_refused(connection);
                connection_wake(connection);
        }
}

static int sweep_expired(void *context)
{
        struct ldapd *ldapd = context;
        uint64_t now = clock_monotonic_ms();

        LIST_EACH (connection, &ldapd->connections, struct connection, link) {
                searches_sweep(connection, now);
                if (!is_due(connection, now))
                        continue;
                ldapd->state.connections_cut++;
                connection_free(connection);
        }
        if (ldapd->state.connections)
                loop_timer_arm(&ldapd->sweep, SWEEP_MS);
        return 0;
}

/* ---- the process ---- */

int connections_init(struct ldapd *ldapd)
{
        static const struct acceptor_handler handler = {full, accepted, starved};

        list_init(&ldapd->connections);
        peers_init(&ldapd->peers);
        acceptors_init(&ldapd->acceptors, &ldapd->loop, &handler, ldapd);
        loop_timer_init(&ldapd->sweep, &ldapd->loop, sweep_expired, ldapd);
        return PASS(descriptors_raise(&ldapd->descriptor_limit));
}

/* What is being answered is answered; the sweep closes those that are idle. */
void connections_stop(struct ldapd *ldapd)
{
        static const struct outcome bye = {.code = RESULT_UNAVAILABLE, .text = "The server stops."};

        ldapd->stopping = true;
        acceptors_done(&ldapd->acceptors);
        LIST_EACH (connection, &ldapd->connections, struct connection, link) {
                if (connection->search_count || connection->stream.handshaking)
                        continue;
                reply_disconnection(&connection->stream.out, &bye);
                connection->closing = true;
                connection_wake(connection);
        }
        if (!ldapd->state.connections)
                loop_stop(&ldapd->loop);
}

void connections_done(struct ldapd *ldapd)
{
        acceptors_done(&ldapd->acceptors);
        LIST_EACH (connection, &ldapd->connections, struct connection, link)
                connection_free(connection);
        peers_done(&ldapd->peers);
        loop_timer_done(&ldapd->sweep);
}
