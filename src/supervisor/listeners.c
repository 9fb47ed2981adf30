/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervisor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

/*
 * Each front, and each LDAP process, has sockets of its own on the same addresses (SO_REUSEPORT), so that the kernel spreads
 * connections over them. They stay open here while a process is away: who connects then waits, and is not refused.
 */

const char *const purpose_names[PURPOSE_COUNT] = {
        [PURPOSE_HTTPS] = "https",
        [PURPOSE_HTTP] = "http",
        [PURPOSE_METRICS] = "metrics",
        [PURPOSE_LDAP] = "ldap",
        [PURPOSE_LDAPS] = "ldaps",
};

static const char *const options[PURPOSE_COUNT] = {
        [PURPOSE_HTTPS] = "[listen] https",
        [PURPOSE_HTTP] = "[listen] http",
        [PURPOSE_METRICS] = "[listen] metrics",
        [PURPOSE_LDAP] = "[ldap] listen",
        [PURPOSE_LDAPS] = "[ldap] listen-tls",
};

static enum role role_of(int purpose)
{
        return purpose == PURPOSE_LDAP || purpose == PURPOSE_LDAPS ? ROLE_LDAP : ROLE_FRONT;
}

/* The configuration has checked the form. */
static void address_of(const char *text, struct sockaddr_in6 *ret_address)
{
        const char *colon = strrchr(text, ':');
        CLEANUP(mem_freep) char *host = text_copy_n(text, (size_t)(colon - text));
        in_port_t port = htons((uint16_t)strtoul(colon + 1, NULL, 10));

        *ret_address = (struct sockaddr_in6){0};
        if (host[0] == '[') {
                host[strlen(host) - 1] = 0;
                ret_address->sin6_family = AF_INET6;
                ret_address->sin6_port = port;
                inet_pton(AF_INET6, host + 1, &ret_address->sin6_addr);
        } else {
                struct sockaddr_in *four = (struct sockaddr_in *)(void *)ret_address;

                four->sin_family = AF_INET;
                four->sin_port = port;
                inet_pton(AF_INET, host, &four->sin_addr);
        }
}

static socklen_t address_len(const struct sockaddr_in6 *address)
{
        return address->sin6_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

void listener_text(const struct listener *listener, struct buf *out)
{
        const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)&listener->address;
        char host[INET6_ADDRSTRLEN];

        if (listener->address.sin6_family == AF_INET6)
                buf_add_format(out, "[%s]:%u", inet_ntop(AF_INET6, &listener->address.sin6_addr, host, sizeof(host)),
                               ntohs(listener->address.sin6_port));
        else
                buf_add_format(out, "%s:%u", inet_ntop(AF_INET, &four->sin_addr, host, sizeof(host)),
                               ntohs(four->sin_port));
}

static int listen_refused(const struct listener *listener)
{
        CLEANUP(buf_done) struct buf text = BUF_NONE;
        const char *option = options[listener->purpose];

        listener_text(listener, &text);
        switch (errno) {
        case EADDRINUSE:
                return refuse(PROBLEM_CONFIGURATION,
                              "%s: another program already listens on %s. Stop it, or choose another port.",
                              option, buf_text(&text));
        case EACCES:
                return refuse(PROBLEM_CONFIGURATION,
                              "%s: only root may listen on %s. Choose a port from 1024, or give the service "
                              "CAP_NET_BIND_SERVICE.",
                              option, buf_text(&text));
        case EADDRNOTAVAIL:
                return refuse(PROBLEM_CONFIGURATION, "%s: this machine has no such address as in %s.", option,
                              buf_text(&text));
        default:
                return fault(errno, "cannot listen on %s", buf_text(&text));
        }
}

/* One socket, bound; `shared` lets the sockets of the other fronts bind there too. */
static int socket_bind(struct listener *listener, bool shared, int *ret_fd)
{
        int family = listener->address.sin6_family, yes = 1, no = 0;
        CLEANUP(fd_closep) int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
            (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)) < 0) ||
            (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)) < 0) ||
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) < 0 ||
            bind(fd, (struct sockaddr *)(void *)&listener->address, address_len(&listener->address)) < 0)
                return PASS(listen_refused(listener));
        *ret_fd = fd;
        fd = -1;
        return 0;
}

/* SO_REUSEPORT would also let a second server of the same user share the port: so first see that nobody is there. */
static int listener_probe(struct listener *listener)
{
        CLEANUP(fd_closep) int fd = -1;

        TRY(socket_bind(listener, false, &fd));
        if (listen(fd, 1) < 0)
                return PASS(listen_refused(listener));
        return 0;
}

static int listener_open(struct listener *listener)
{
        socklen_t len = sizeof(listener->address);

        for (unsigned i = 0; i < listener->count; i++) {
                TRY(socket_bind(listener, true, &listener->fds[i]));
                if (listen(listener->fds[i], SOMAXCONN) < 0)
                        return PASS(listen_refused(listener));
                /* Port 0 became a real one with the first, which the others share. */
                if (getsockname(listener->fds[i], (struct sockaddr *)(void *)&listener->address, &len) < 0)
                        return fault(errno, "cannot tell the address of a socket");
        }
        return 0;
}

static bool address_family_missing(const struct listener *listener)
{
        int fd = socket(listener->address.sin6_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd >= 0)
                close(fd);
        return fd < 0 && errno == EAFNOSUPPORT;
}

static int listener_add(struct supervisor *supervisor, int purpose, const char *text)
{
        unsigned count = role_of(purpose) == ROLE_LDAP ? supervisor->ldaps : supervisor->fronts;
        struct listener *listener;

        supervisor->listeners =
                mem_resize(supervisor->listeners, supervisor->listener_count + 1, sizeof(struct listener));
        listener = &supervisor->listeners[supervisor->listener_count++];
        *listener = (struct listener){.purpose = purpose, .fds = mem_array(count, sizeof(int)), .count = count};
        for (unsigned i = 0; i < count; i++)
                listener->fds[i] = -1;
        address_of(text, &listener->address);
        if (strncmp(text, "[::]:", 5) == 0 && address_family_missing(listener)) {
                CLEANUP(mem_freep) char *four = text_format("0.0.0.0:%s", text + 5);

                log_notice("this machine has no IPv6: listening on %s instead of %s", four, text);
                address_of(four, &listener->address);
        }
        if (listener->address.sin6_port) /* at the same place in both families */
                TRY(listener_probe(listener));
        return PASS(listener_open(listener));
}

int listeners_open(struct supervisor *supervisor)
{
        const struct config_texts *addresses[PURPOSE_COUNT] = {
                [PURPOSE_HTTPS] = &supervisor->config.listen.https,
                [PURPOSE_HTTP] = &supervisor->config.listen.http,
                [PURPOSE_METRICS] = &supervisor->config.listen.metrics,
                [PURPOSE_LDAP] = &supervisor->config.ldap.listen,
                [PURPOSE_LDAPS] = &supervisor->config.ldap.listen_tls,
        };

        for (int purpose = 0; purpose < PURPOSE_COUNT; purpose++)
                for (size_t i = 0; i < addresses[purpose]->count; i++)
                        TRY(listener_add(supervisor, purpose, addresses[purpose]->at[i]));
        return 0;
}

int listeners_give(struct child *child)
{
        struct supervisor *supervisor = child->supervisor;

        for (size_t i = 0; i < supervisor->listener_count; i++) {
                const struct listener *listener = &supervisor->listeners[i];
                struct msg_listen message = {.purpose = (char *)(uintptr_t)purpose_names[listener->purpose]};
                int fd;

                if (role_of(listener->purpose) != child->role)
                        continue;
                fd = fcntl(listener->fds[child->index], F_DUPFD_CLOEXEC, 0);
                if (fd < 0)
                        return fault(errno, "cannot hand over a listening socket");
                TRY(child_send(child, msg_record_listen(), &message, fd));
        }
        return 0;
}

void listeners_close(struct supervisor *supervisor)
{
        for (size_t i = 0; i < supervisor->listener_count; i++) {
                for (unsigned k = 0; k < supervisor->listeners[i].count; k++)
                        fd_closep(&supervisor->listeners[i].fds[k]);
                free(supervisor->listeners[i].fds);
        }
        free(supervisor->listeners);
        supervisor->listeners = NULL;
        supervisor->listener_count = 0;
}
