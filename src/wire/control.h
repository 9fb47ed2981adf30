/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a child hears from its supervisor, over the channel that it is started with (descriptor 3).
 *
 * The supervisor sends `configure` first, then the descriptors: `listen` (front, ldapd: listening sockets) and `peer` (a
 * channel to another process: role and index say to which). When a peer dies its channel closes; a new one comes by
 * itself as soon as the supervisor has started that process again, with the same role and index. So whoever holds a
 * peer replaces the old one by it.
 *
 *   front      engine 0
 *   ldapd      engine 0
 *   engine     front 0…, ldapd 0…, keeper 0…, outbound 0 (the queue), outbound 1 (follows the directory, when that is LDAP)
 *   keeper     engine 0, keeper (every sibling), local (a connection to the local socket, handed over unread; many)
 *   outbound   engine 0; number 0 works the queue, number 1 (with [directory] kind = ldap) has the directory
 *
 * Reload is another `configure`; a child that cannot take it live says so in the log and keeps the old. `stop` means:
 * take no new work, finish what is begun, then leave the loop; after a deadline the child is killed. When the
 * supervisor itself is gone the child is killed by the kernel (PR_SET_PDEATHSIG), and the loop ends with
 * PROBLEM_UNREACHABLE where it is not.
 *
 * Liveness: the supervisor asks `ping` now and then, answered here. A child whose loop does not turn for a minute is
 * killed.
 */
#include "wire/channel.h"
#include "wire/message.h"

enum { CONTROL_FD = 3 };
/* Which outbound process does what, by its index. */
enum { OUTBOUND_QUEUE, OUTBOUND_DIRECTORY };

/* Any may be NULL: then what comes is dropped. `peer` and `listen` take the descriptor. A result other than 0 ends the
 * loop with it. */
struct control_handler {
        int (*configure)(void *context, struct msg_configure *configure);
        int (*peer)(void *context, const struct msg_peer *peer, int fd);
        int (*listen)(void *context, const struct msg_listen *listen, int fd);
        int (*stop)(void *context); /* NULL: leave the loop at once */
};

struct control {
        struct loop *loop;
        struct channel *channel;
        const struct control_handler *handler;
        void *context;
};

int control_init(struct control *control, struct loop *loop, int fd, const struct control_handler *handler,
                 void *context) must_check;
void control_done(struct control *control);
/* Engine: the TLS certificate was renewed; the supervisor stores it, and gives it to the fronts and back to the engine.
 */
int control_tls_renewed(struct control *control, struct bytes chain) must_check;
/* Tell the supervisor that this process serves, and in what state ("sealed", "unsealed"; shown in status). Repeat when
 * it changes. */
int control_ready(struct control *control, const char *state) must_check;
/* The same of a keeper, which an administrator may have sealed. */
int control_ready_keeper(struct control *control, const char *state, bool ordered) must_check;
