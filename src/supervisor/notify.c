/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervisor.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

/* sd_notify(3): one datagram to the socket that systemd names; "@" at the start means the abstract name space. */
void notify_systemd(const char *state)
{
        const char *path = getenv("NOTIFY_SOCKET");
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        size_t len = path ? strlen(path) : 0;
        CLEANUP(fd_closep) int fd = -1;

        if (len < 2 || len >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
                return;
        memcpy(address.sun_path, path, len);
        if (path[0] == '@')
                address.sun_path[0] = 0;
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return;
        /* Nothing depends on its arrival here, and systemd acts on its absence. */
        if (sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
                return;
}

uint64_t notify_watchdog_ms(void)
{
        const char *interval = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
        uint64_t us, number;

        if (!interval || number_parse(bytes_text(interval), INT64_MAX, &us))
                return 0;
        if (pid && (number_parse(bytes_text(pid), INT32_MAX, &number) || number != (uint64_t)getpid()))
                return 0;
        return MAX(us / 2000, (uint64_t)1);
}
