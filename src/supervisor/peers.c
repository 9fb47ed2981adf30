/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/fault.h"

static const struct {
        enum role a, b;
} links[] = {
        {ROLE_FRONT, ROLE_ENGINE},
        {ROLE_LDAP, ROLE_ENGINE},
        {ROLE_ENGINE, ROLE_KEEPER},
        {ROLE_KEEPER, ROLE_KEEPER},
        {ROLE_ENGINE, ROLE_OUTBOUND},
};

static bool linked(enum role a, enum role b)
{
        for (size_t i = 0; i < ARRAY_LEN(links); i++)
                if ((links[i].a == a && links[i].b == b) || (links[i].a == b && links[i].b == a))
                        return true;
        return false;
}

/* Tell `child` that `fd` leads to `peer`. */
static int peer_give(struct child *child, const struct child *peer, int fd)
{
        struct msg_peer message = {.role = (char *)(uintptr_t)role_table[peer->role].name, .index = peer->index};

        return PASS(child_send(child, msg_record_peer(), &message, fd));
}

static int peers_pair(struct child *child, struct child *peer)
{
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return fault(errno, "cannot make a connection between processes");
        /* A peer that cannot take it is broken or on its way out; it comes back, and then connects to this child. */
        if (peer_give(peer, child, fds[1]))
                child_kill(peer);
        return PASS(peer_give(child, peer, fds[0]));
}

int peers_connect(struct child *child)
{
        CHILD_EACH(peer, child->supervisor)
        if (peer != child && peer->pid && peer->channel && channel_is_open(peer->channel) &&
            linked(child->role, peer->role))
                TRY(peers_pair(child, peer));
        return 0;
}
