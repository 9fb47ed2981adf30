/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe-front: TLS, HTTP, JSON. Started by vouchsafed, which it hears on descriptor 3; opens no files. */
#include <seccomp.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "front/front.h"
#include "net/service.h"
#include "protocol/json.h"

#define NAME "front"

static int on_configure(void *context, struct msg_configure *configure)
{
        struct front *front = context;

        TRY(service_configure(NAME, &front->config, &front->tls, configure));
        if (front->configured)
                return 0;
        front->configured = true;
        TRY(http_start(&front->plain, front, false));
        TRY(http_start(&front->https, front, true));
        return PASS(control_ready(&front->control, "serving"));
}

static int on_peer(void *context, const struct msg_peer *peer, int fd)
{
        if (strcmp(msg_text(peer->role), "engine") == 0)
                return PASS(engine_connect(context, fd));
        close(fd);
        return 0;
}

static int on_listen(void *context, const struct msg_listen *listen, int fd)
{
        static const char *const names[] = {
                [PURPOSE_HTTPS] = "https", [PURPOSE_HTTP] = "http", [PURPOSE_METRICS] = "metrics"};

        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                if (strcmp(msg_text(listen->purpose), names[i]) == 0)
                        return PASS(connections_listen(context, (enum purpose)i, fd));
        close(fd);
        return 0;
}

/* What is being answered is answered; what waits for a request is closed. */
static int on_stop(void *context)
{
        struct front *front = context;

        front->stopping = true;
        connections_stop_listening(front);
        connections_close_idle(front);
        if (!front->connections.count)
                loop_stop(&front->loop);
        return 0;
}

/* Beside the common calls: accepting and tuning connections, and what libmicrohttpd and GnuTLS ask for. */
static const int calls[] = {
        SCMP_SYS(accept4),  SCMP_SYS(setsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(epoll_create1),
        SCMP_SYS(eventfd2), SCMP_SYS(getrusage),  SCMP_SYS(uname),       SCMP_SYS(sendmmsg),
};

static int front_run(void *process)
{
        static const struct control_handler handler = {on_configure, on_peer, on_listen, on_stop};
        struct front *front = process;

        json_setup();
        TRY(sandbox_hide());
        TRY(loop_init(&front->loop));
        TRY(connections_init(front));
        documents_init(&front->documents);
        config_init(&front->config);
        pages_init(front);
        TRY(control_init(&front->control, &front->loop, CONTROL_FD, &handler, front));
        TRY(sandbox_restrict(calls, ARRAY_LEN(calls)));
        return PASS(loop_run(&front->loop));
}

static void front_done(void *process)
{
        struct front *front = process;

        connections_stop_listening(front);
        http_stop(&front->https);
        http_stop(&front->plain);
        engine_done(front);
        connections_done(front);
        control_done(&front->control);
        documents_done(&front->documents);
        config_done(&front->config);
        tls_done(&front->tls);
        loop_done(&front->loop);
}

int main(void)
{
        static struct front front;

        return service_main(NAME, front_run, front_done, &front);
}
