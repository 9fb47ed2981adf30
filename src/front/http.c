/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "front/front.h"

enum {
        CONNECTION_MEMORY = 16 << 10, /* for the headers of a request, and pieces of its body */
        ROUNDS = 8,                   /* of MHD_run() before others have their turn */
        STILL_ROUNDS = 2,             /* that moved nothing, and it waits */
        STILL_MS = 5,
};

static struct connection *connection_of(struct MHD_Connection *mhd)
{
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

        return info ? info->socket_context : NULL;
}

/* ---- callbacks of libmicrohttpd ---- */

static void on_connection(void *context, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
        struct http *http = context;
        const union MHD_ConnectionInfo *info;

        http->moved = true;
        if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
                if (*socket_context)
                        connection_ended(TAKE(*socket_context));
                return;
        }
        info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        *socket_context = info ? connection_of_fd(http->front, info->connect_fd) : NULL;
        if (*socket_context)
                ((struct connection *)*socket_context)->taken = true;
}

static void *on_target(void *context, const char *target, struct MHD_Connection *mhd)
{
        struct connection *connection = connection_of(mhd);

        ((struct http *)context)->moved = true;
        return connection ? request_begin(connection, mhd, target) : NULL;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *mhd, const char *url, const char *method,
                                  const char *version, const char *data, size_t *len, void **request)
{
        ((struct http *)context)->moved = true;
        return *request ? request_continue(*request, method, version, data, len) : MHD_NO;
}

static void on_completed(void *context, struct MHD_Connection *mhd, void **request,
                         enum MHD_RequestTerminationCode code)
{
        struct connection *connection = connection_of(mhd);

        ((struct http *)context)->moved = true;
        if (connection && *request && connection->request == *request)
                request_end(*request);
        *request = NULL;
}

static void on_log(void *context, const char *format, va_list arguments)
{
        char line[512];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        vsnprintf(line, sizeof(line), format, arguments);
#pragma GCC diagnostic pop
        line[strcspn(line, "\n")] = 0;
        log_debug("%s", line); /* mostly about clients that went away */
}

/* The target is taken as it came; what libmicrohttpd would make of it is not looked at. */
static size_t on_unescape(void *context, struct MHD_Connection *mhd, char *text)
{
        return strlen(text);
}

/* ---- running ---- */

/*
 * libmicrohttpd says that there is more to do as long as a TLS handshake waits for its client, and tries it again each
 * time. Whoever sent half a greeting would keep us running; so it is left alone until a descriptor or some time tells.
 */
static int http_run(struct http *http)
{
        MHD_UNSIGNED_LONG_LONG wait = 0;
        int still = 0;

        if (!http->daemon)
                return 0;
        for (int i = 0; i < ROUNDS && still < STILL_ROUNDS; i++) {
                http->moved = false;
                if (MHD_run(http->daemon) != MHD_YES)
                        return fault(EIO, "the HTTP library failed");
                if (MHD_get_timeout(http->daemon, &wait) != MHD_YES)
                        return 0;
                if (wait)
                        break;
                still = http->moved ? 0 : still + 1;
        }
        loop_timer_arm(&http->timer, still == STILL_ROUNDS ? MAX(wait, STILL_MS) : wait);
        return 0;
}

static int http_ready(void *context, uint32_t events)
{
        return PASS(http_run(context));
}

static int http_expired(void *context)
{
        return PASS(http_run(context));
}

void http_wake(struct http *http)
{
        loop_once_schedule(&http->again, &http->front->loop);
}

struct http *http_of(struct connection *connection)
{
        return connection->purpose == PURPOSE_HTTPS ? &connection->front->https : &connection->front->plain;
}

/* Connections come from us, so that their number, age and peers are ours to count; deadlines are ours too. */
static struct MHD_Daemon *daemon_start(struct http *http, bool tls)
{
        unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
        struct MHD_OptionItem options[] = {
                {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, http},
                {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, http},
                {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_target, http},
                {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)on_unescape, http},
                {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL},
                {MHD_OPTION_CONNECTION_LIMIT, INT32_MAX, NULL},
                {MHD_OPTION_CONNECTION_TIMEOUT, 0, NULL},
                {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
                {tls ? MHD_OPTION_HTTPS_CERT_CALLBACK : MHD_OPTION_END, 0, (void *)(uintptr_t)tls_retrieve},
                {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES},
                {MHD_OPTION_END, 0, NULL},
        };

        return MHD_start_daemon(flags | (tls ? MHD_USE_TLS : 0u), 0, NULL, NULL, on_request, http,
                                MHD_OPTION_EXTERNAL_LOGGER, on_log, http, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
}

static int http_again(void *context)
{
        return PASS(http_run(context));
}

int http_start(struct http *http, struct front *front, bool tls)
{
        const union MHD_DaemonInfo *info;

        http->front = front;
        loop_timer_init(&http->timer, &front->loop, http_expired, http);
        loop_once_init(&http->again, http_again, http);
        http->daemon = daemon_start(http, tls);
        info = http->daemon ? MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
        if (!info)
                return fault(EIO, "the HTTP library does not start");
        return PASS(loop_source_init(&http->source, &front->loop, info->epoll_fd, EPOLLIN, http_ready, http));
}

void http_stop(struct http *http)
{
        if (!http->front)
                return;
        loop_source_done(&http->source);
        loop_timer_done(&http->timer);
        loop_once_done(&http->again);
        if (http->daemon)
                MHD_stop_daemon(TAKE(http->daemon));
}

void http_add(struct http *http, struct connection *connection, const struct sockaddr *address, socklen_t len)
{
        struct front *front = http->front;
        int fd = connection->fd;

        /* It closes the socket when it fails, with or without having told of it. */
        if (!http->daemon || MHD_add_connection(http->daemon, fd, address, len) != MHD_YES) {
                connection = connection_of_fd(front, fd);
                if (connection && !connection->taken)
                        connection_ended(connection);
                return;
        }
        http_wake(http);
}
