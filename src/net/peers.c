/* SPDX-License-Identifier: Apache-2.0 */
#include "net/peers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

/* As 16 bytes: IPv4 as an IPv4-mapped address (RFC 4291 section 2.5.5.2). */
static void whole_address(const struct sockaddr *address, uint8_t whole[static 16])
{
        memset(whole, 0, 16);
        if (address->sa_family == AF_INET6) {
                memcpy(whole, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
        } else if (address->sa_family == AF_INET) {
                memcpy(whole, mapped_prefix, sizeof(mapped_prefix));
                memcpy(whole + 12, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
        }
}

static bool is_mapped(const uint8_t whole[static 16])
{
        return memcmp(whole, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

const char *peer_text(const struct sockaddr *address, char text[static PEER_TEXT_SIZE])
{
        uint8_t whole[16];

        whole_address(address, whole);
        if (!inet_ntop(is_mapped(whole) ? AF_INET : AF_INET6, is_mapped(whole) ? whole + 12 : whole, text,
                       PEER_TEXT_SIZE))
                snprintf(text, PEER_TEXT_SIZE, "unknown");
        return text;
}

bool peer_is_loopback(const struct sockaddr *address)
{
        uint8_t whole[16];

        whole_address(address, whole);
        return is_mapped(whole) ? whole[12] == 127 : IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)(void *)whole);
}

void peers_init(struct peers *peers)
{
        for (size_t i = 0; i < PEER_BUCKETS; i++)
                list_init(&peers->buckets[i]);
}

void peers_done(struct peers *peers)
{
        for (size_t i = 0; i < PEER_BUCKETS; i++)
                LIST_EACH (peer, &peers->buckets[i], struct peer, link)
                        free(peer);
}

/* Collisions cost a walk over a bucket, which the total limit of connections bounds. */
static size_t bucket_of(const uint8_t network[static 16])
{
        uint32_t hash = 2166136261u;

        for (size_t i = 0; i < 16; i++)
                hash = (hash ^ network[i]) * 16777619u;
        return hash % PEER_BUCKETS;
}

struct peer *peers_enter(struct peers *peers, const struct sockaddr *address, size_t limit)
{
        uint8_t network[16];
        struct peer *found = NULL;

        whole_address(address, network);
        if (!is_mapped(network))
                memset(network + 8, 0, 8);
        struct list *bucket = &peers->buckets[bucket_of(network)];

        LIST_EACH (peer, bucket, struct peer, link)
                if (memcmp(peer->network, network, sizeof(network)) == 0)
                        found = peer;
        if (found && found->count >= limit)
                return NULL;
        if (!found) {
                found = NEW(struct peer);
                memcpy(found->network, network, sizeof(network));
                list_append(bucket, &found->link);
        }
        found->count++;
        return found;
}

void peers_leave(struct peer *peer)
{
        if (--peer->count)
                return;
        list_remove(&peer->link);
        free(peer);
}
