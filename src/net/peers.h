/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Network addresses of peers and how many connections each has. An IPv4 address counts by itself, however it is
 * written; IPv6 addresses count by their network of 64 bits, since whoever has one address there has them all.
 */
#include <sys/socket.h>

#include "base/list.h"

#include <stdint.h>
#include <stdbool.h>

enum { PEER_TEXT_SIZE = 64, PEER_BUCKETS = 1024 };

struct peer {
        struct list link;
        uint8_t network[16];
        size_t count;
};

struct peers {
        struct list buckets[PEER_BUCKETS];
};

void peers_init(struct peers *peers);
void peers_done(struct peers *peers);
/* Count one more, unless it has `limit` already: then NULL. */
struct peer *peers_enter(struct peers *peers, const struct sockaddr *address, size_t limit);
void peers_leave(struct peer *peer);
/* The whole address, without port: "192.0.2.1", "2001:db8::1". */
const char *peer_text(const struct sockaddr *address, char text[static PEER_TEXT_SIZE]);
/* From this machine, so that nobody else reads along. */
bool peer_is_loopback(const struct sockaddr *address);
