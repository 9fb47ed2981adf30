/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/channel.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"

int channel_connect(const char *path, int *ret_fd)
{
        CLEANUP(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        if (fd < 0)
                return fault(errno, "cannot make a socket");
        if (strlen(path) >= sizeof(address.sun_path))
                return refuse(PROBLEM_CONFIGURATION, "The socket path %s is longer than %zu bytes.", path,
                              sizeof(address.sun_path) - 1);
        memcpy(address.sun_path, path, strlen(path) + 1);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
                *ret_fd = fd;
                fd = -1;
                return 0;
        }
        if (errno == EACCES || errno == EPERM)
                return refuse(PROBLEM_FORBIDDEN, "You may not use %s; run this as the user of the server, or as root.",
                              path);
        if (errno == ENOENT || errno == ECONNREFUSED)
                return refuse(PROBLEM_UNREACHABLE,
                              "No server listens on %s. Start it first (systemctl start vouchsafe).", path);
        return fault(errno, "cannot connect to %s", path);
}

static int socket_wait(int fd, short events, uint64_t deadline)
{
        for (;;) {
                struct pollfd poll_fd = {.fd = fd, .events = events};
                uint64_t now = clock_monotonic_ms();
                int left = deadline == UINT64_MAX ? -1
                           : now >= deadline      ? 0
                                                  : (int)MIN(deadline - now, (uint64_t)INT32_MAX);
                int r = poll(&poll_fd, 1, left);

                if (r > 0)
                        return 0;
                if (r == 0 && left == 0)
                        return refuse(PROBLEM_TIMEOUT, "The server did not answer in time.");
                if (r < 0 && errno != EINTR)
                        return fault(errno, "waiting for the server failed");
        }
}

static int socket_send(int fd, struct bytes data, uint64_t deadline)
{
        while (data.len) {
                ssize_t sent = send(fd, data.data, data.len, MSG_NOSIGNAL | MSG_DONTWAIT);

                if (sent < 0 && errno == EAGAIN)
                        TRY(socket_wait(fd, POLLOUT, deadline));
                else if (sent < 0 && errno != EINTR)
                        return refuse(PROBLEM_UNREACHABLE, "The server went away while it was asked.");
                if (sent > 0)
                        data = bytes_of(data.data + sent, data.len - (size_t)sent);
        }
        return 0;
}

static int socket_receive(int fd, uint8_t *data, size_t len, uint64_t deadline)
{
        while (len) {
                TRY(socket_wait(fd, POLLIN, deadline));
                ssize_t got = recv(fd, data, len, MSG_DONTWAIT);

                if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
                        return refuse(PROBLEM_UNREACHABLE, "The server went away before it answered.");
                if (got > 0) {
                        data += got;
                        len -= (size_t)got;
                }
        }
        return 0;
}

/* Any frame: the header first, to know how much secret memory the payload takes. */
static int frame_receive(int fd, uint64_t deadline, struct frame *ret_frame, struct secret *ret_payload)
{
        uint8_t header[CHANNEL_HEADER_SIZE];
        size_t len;

        TRY(socket_receive(fd, header, sizeof(header), deadline));
        TRY(frame_header_parse(header, CHANNEL_FRAME_LIMIT, ret_frame, &len));
        CLEANUP(secret_done) struct secret payload = secret_new(len);
        TRY(socket_receive(fd, payload.data, payload.len, deadline));
        *ret_payload = secret_take(&payload);
        return 0;
}

int channel_call_blocking(int fd, uint16_t kind, struct bytes payload, int timeout_ms,
                          struct channel_answer *ret_answer)
{
        uint64_t deadline = timeout_ms < 0 ? UINT64_MAX : clock_monotonic_ms() + (uint64_t)timeout_ms;
        CLEANUP(buf_done) struct buf header = BUF_NONE;

        if (payload.len > CHANNEL_FRAME_LIMIT - CHANNEL_HEADER_SIZE)
                return refuse(PROBLEM_TOO_LARGE, "The request is larger than the server takes.");
        frame_header_add(&header, kind, 1, payload.len);
        TRY(socket_send(fd, buf_view(&header), deadline));
        TRY(socket_send(fd, payload, deadline));
        for (;;) {
                CLEANUP(secret_done) struct secret answer = SECRET_NONE;
                struct frame frame;

                TRY(frame_receive(fd, deadline, &frame, &answer));
                if (frame.id == 0)
                        continue;
                if (frame.id != (CHANNEL_REPLY | 1))
                        return refuse(PROBLEM_MALFORMED, "The server sent something that is no answer to the request.");
                *ret_answer = (struct channel_answer){frame.kind, secret_take(&answer)};
                return 0;
        }
}
