/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

/* Who may speak to a keeper: root, and the server's own user. The socket's mode says so too. */
static bool peer_permitted(int fd)
{
        struct ucred peer;
        socklen_t len = sizeof(peer);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
                return false;
        if (peer.uid == 0 || peer.uid == geteuid())
                return true;
        log_warning("the local socket was used by another user and is closed to him uid=%u pid=%d", (unsigned)peer.uid,
                    (int)peer.pid);
        return false;
}

/* Any keeper will do: the siblings tell each other. One that serves is preferred, in turn. */
static struct child *keeper_choose(struct supervisor *supervisor)
{
        size_t count = supervisor->child_count;

        for (size_t i = 0; i < count; i++) {
                struct child *child = &supervisor->children[(supervisor->next_keeper + i) % count];

                if (child->role == ROLE_KEEPER && child->ready_at && !child->stopping) {
                        supervisor->next_keeper = (unsigned)((supervisor->next_keeper + i + 1) % count);
                        return child;
                }
        }
        return NULL;
}

static void connection_hand_over(struct child *keeper, int fd)
{
        struct msg_peer message = {.role = (char *)(uintptr_t) "local"};
        int r;

        if (!peer_permitted(fd)) {
                close(fd);
                return;
        }
        r = child_send(keeper, msg_record_peer(), &message, fd);
        if (r)
                log_report(r, "a local connection could not be handed to keeper %u", keeper->index);
}

/* Connections stay in the kernel's queue meanwhile; without this they would make the loop spin. */
static int local_wait(struct supervisor *supervisor, uint64_t ms)
{
        loop_timer_arm(&supervisor->local_pause, ms);
        return PASS(loop_source_events(&supervisor->local_source, 0));
}

static int local_ready(void *context, uint32_t events)
{
        struct supervisor *supervisor = context;
        struct child *keeper = keeper_choose(supervisor);
        int fd;

        if (!keeper) /* it is being started */
                return PASS(local_wait(supervisor, ACCEPT_PAUSE / 10));
        fd = accept4(supervisor->local, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
                connection_hand_over(keeper, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
                log_warning("the local socket pauses: too many open files");
                return PASS(local_wait(supervisor, ACCEPT_PAUSE));
        }
        return 0;
}

static int local_resume(void *context)
{
        struct supervisor *supervisor = context;

        return PASS(loop_source_events(&supervisor->local_source, EPOLLIN));
}

/* A socket file without a listener is left from a server that was killed. */
static int stale_remove(const char *path)
{
        CLEANUP(fd_closep) int fd = -1;
        struct stat info;

        if (lstat(path, &info) < 0)
                return 0;
        if (!S_ISSOCK(info.st_mode))
                return refuse(PROBLEM_CONFIGURATION,
                              "%s is no socket. Remove it, or set [server] run to another folder.", path);
        if (channel_connect(path, &fd) == 0)
                return refuse(PROBLEM_CONFIGURATION,
                              "Another server listens on %s. Set [server] run to another folder.", path);
        if (unlink(path) < 0)
                return fault(errno, "cannot remove %s", path);
        return 0;
}

int local_open(struct supervisor *supervisor)
{
        CLEANUP(mem_freep) char *path = config_run_path(&supervisor->config, "keeper.sock");
        CLEANUP(fd_closep) int fd = -1;
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        mode_t mask;
        int r;

        if (strlen(path) >= sizeof(address.sun_path))
                return refuse(PROBLEM_CONFIGURATION,
                              "[server] run: %s is longer than a socket's path may be (%zu bytes).", path,
                              sizeof(address.sun_path) - 1);
        TRY(stale_remove(path));
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return fault(errno, "cannot make the local socket");
        memcpy(address.sun_path, path, strlen(path) + 1);
        mask = umask(0177);
        r = bind(fd, (struct sockaddr *)&address, sizeof(address));
        umask(mask);
        if (r < 0 || listen(fd, 64) < 0)
                return fault(errno, "cannot listen on %s", path);
        TRY(loop_source_init(&supervisor->local_source, &supervisor->loop, fd, EPOLLIN, local_ready, supervisor));
        loop_timer_init(&supervisor->local_pause, &supervisor->loop, local_resume, supervisor);
        supervisor->local = fd;
        fd = -1;
        return 0;
}

void local_close(struct supervisor *supervisor)
{
        CLEANUP(mem_freep) char *path = NULL;

        if (supervisor->local < 0)
                return;
        path = config_run_path(&supervisor->config, "keeper.sock");
        loop_source_done(&supervisor->local_source);
        loop_timer_done(&supervisor->local_pause);
        fd_closep(&supervisor->local);
        unlink(path);
}
