/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/secret.h"
#include "ldapd/ldapd.h"

enum { PIECE = 16384 };

static bool is_again(ssize_t result)
{
        return result == GNUTLS_E_AGAIN || result == GNUTLS_E_INTERRUPTED;
}

static int ended(const char *why)
{
        return refuse(PROBLEM_UNREACHABLE, "The connection ended: %s.", why);
}

/* Passwords may lie there. */
static void wiped(struct buf *buf)
{
        if (buf->data)
                memory_wipe(buf->data, buf->cap);
        buf_done(buf);
}

void stream_done(struct stream *stream)
{
        if (stream->tls) {
                if (!stream->handshaking)
                        (void)gnutls_bye(stream->tls, GNUTLS_SHUT_WR);
                gnutls_deinit(TAKE(stream->tls));
        }
        wiped(&stream->in);
        wiped(&stream->out);
        fd_closep(&stream->fd);
}

int stream_secure(struct stream *stream, gnutls_certificate_credentials_t credentials)
{
        gnutls_session_t session;
        int r = gnutls_init(&session, GNUTLS_SERVER | GNUTLS_NONBLOCK);

        if (r < 0)
                return fault(ENOMEM, "TLS cannot begin: %s", gnutls_strerror(r));
        r = gnutls_priority_set_direct(session, TLS_PRIORITIES, NULL);
        if (r >= 0)
                r = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
        if (r < 0) {
                gnutls_deinit(session);
                return fault(EINVAL, "TLS cannot begin: %s", gnutls_strerror(r));
        }
        gnutls_transport_set_int(session, stream->fd);
        stream->tls = session;
        stream->handshaking = true;
        return 0;
}

static int handshake(struct stream *stream)
{
        int r = gnutls_handshake(stream->tls);

        if (is_again(r) || (r < 0 && !gnutls_error_is_fatal(r)))
                return 0;
        if (r < 0)
                return ended(gnutls_strerror(r));
        stream->handshaking = false;
        return 0;
}

static ssize_t receive(struct stream *stream, void *data, size_t len)
{
        ssize_t got;

        if (stream->tls) {
                got = gnutls_record_recv(stream->tls, data, len);
                return is_again(got) || got == GNUTLS_E_WARNING_ALERT_RECEIVED ? -EAGAIN
                       : got < 0                                               ? -EIO
                                                                               : got;
        }
        got = recv(stream->fd, data, len, 0);
        return got >= 0 ? got : errno == EINTR ? -EAGAIN : -errno;
}

int stream_read(struct stream *stream, bool *ret_more)
{
        ssize_t got;

        *ret_more = false;
        if (stream->handshaking)
                TRY(handshake(stream));
        if (stream->handshaking)
                return 0;
        buf_reserve(&stream->in, PIECE);
        got = receive(stream, stream->in.data + stream->in.len, PIECE);
        if (got == -EAGAIN)
                return 0;
        if (got <= 0)
                return ended(got ? "it was cut" : "the client closed it");
        buf_extend(&stream->in, (size_t)got);
        *ret_more = true;
        return 0;
}

static ssize_t transmit(struct stream *stream)
{
        ssize_t sent;

        if (!stream->tls) {
                sent = send(stream->fd, stream->out.data, stream->out.len, MSG_NOSIGNAL);
                return sent >= 0 ? sent : errno == EINTR ? -EAGAIN : -errno;
        }
        sent = stream->sending
                   ? gnutls_record_send(stream->tls, NULL, 0)
                   : gnutls_record_send(stream->tls, stream->out.data, MIN(stream->out.len, (size_t)PIECE));
        stream->sending = is_again(sent);
        return stream->sending ? -EAGAIN : sent < 0 ? -EIO : sent;
}

int stream_write(struct stream *stream)
{
        while (stream->out.len && !stream->handshaking) {
                ssize_t sent = transmit(stream);

                if (sent == -EAGAIN)
                        return 0;
                if (sent < 0)
                        return ended("it was cut");
                buf_consume(&stream->out, (size_t)sent);
        }
        return 0;
}

uint32_t stream_events(const struct stream *stream, bool reading)
{
        if (stream->handshaking)
                return gnutls_record_get_direction(stream->tls) ? EPOLLOUT : EPOLLIN;
        return (reading ? (uint32_t)EPOLLIN : 0) | (stream->out.len ? (uint32_t)EPOLLOUT : 0);
}
