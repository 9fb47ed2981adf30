/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/limits.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/macro.h"
#include "base/mem.h"
#include "crypto/kdf.h"

void limits_init(struct limits *limits, uint64_t address, uint64_t total, int64_t window)
{
        *limits = (struct limits){
            .total = {.level = (double)total},
            .entries = mem_array(LIMIT_ADDRESSES, sizeof(struct limit_entry)),
        };
        limits_change(limits, address, total, window);
        random_fill(&limits->seed, sizeof(limits->seed));
}

void limits_change(struct limits *limits, uint64_t address, uint64_t total, int64_t window)
{
        limits->address_most = (double)address;
        limits->address_per_second = (double)address / (double)window;
        limits->total_most = (double)total;
        limits->total_per_second = (double)total / (double)window;
}

void limits_done(struct limits *limits)
{
        free(limits->entries);
        limits->entries = NULL;
}

static void bucket_fill(struct bucket *bucket, double most, double per_second, uint64_t now_ms)
{
        if (now_ms > bucket->changed_ms)
                bucket->level = MIN(most, bucket->level + per_second * (double)(now_ms - bucket->changed_ms) / 1000);
        bucket->changed_ms = now_ms;
}

/* Who has an IPv6 address has at least 2^64 of them: they count as one. */
static void address_key(const char *address, char key[static LIMIT_KEY_SIZE])
{
        struct in6_addr six;

        memset(key, 0, LIMIT_KEY_SIZE);
        if (inet_pton(AF_INET6, address, &six) == 1 && !IN6_IS_ADDR_V4MAPPED(&six)) {
                memset(six.s6_addr + 8, 0, 8);
                inet_ntop(AF_INET6, &six, key, LIMIT_KEY_SIZE);
        } else {
                snprintf(key, LIMIT_KEY_SIZE, "%s", address);
        }
}

static uint64_t key_hash(const struct limits *limits, const char *key)
{
        uint64_t hash = limits->seed ^ UINT64_C(14695981039346656037);

        for (; *key; key++)
                hash = (hash ^ (uint8_t)*key) * UINT64_C(1099511628211);
        return hash;
}

/* The entry of this address: its own, or the quietest near its place. */
static struct limit_entry *entry_find(struct limits *limits, const char *address, uint64_t now_ms)
{
        char key[LIMIT_KEY_SIZE];
        uint64_t hash;
        struct limit_entry *quietest = NULL;

        address_key(address, key);
        hash = key_hash(limits, key);
        for (unsigned i = 0; i < LIMIT_PROBES; i++) {
                struct limit_entry *entry = &limits->entries[(hash + i) % LIMIT_ADDRESSES];

                if (memcmp(entry->key, key, LIMIT_KEY_SIZE) == 0)
                        return entry;
                if (!quietest || entry->bucket.changed_ms < quietest->bucket.changed_ms)
                        quietest = entry;
        }
        memcpy(quietest->key, key, LIMIT_KEY_SIZE);
        quietest->bucket = (struct bucket){now_ms, limits->address_most};
        return quietest;
}

bool limits_permit(struct limits *limits, const char *address, uint64_t now_ms)
{
        struct limit_entry *entry = entry_find(limits, address, now_ms);

        bucket_fill(&entry->bucket, limits->address_most, limits->address_per_second, now_ms);
        bucket_fill(&limits->total, limits->total_most, limits->total_per_second, now_ms);
        return entry->bucket.level >= 1 && limits->total.level >= 1;
}

void limits_charge(struct limits *limits, const char *address, uint64_t now_ms)
{
        struct limit_entry *entry = entry_find(limits, address, now_ms);

        /* Who is beyond his own limit is not heard any more, and takes nothing from what all others share: one address
         * cannot lock everybody out. */
        if (entry->bucket.level >= 1)
                limits->total.level = MAX(0, limits->total.level - 1);
        entry->bucket.level = MAX(0, entry->bucket.level - 1);
        entry->bucket.changed_ms = now_ms;
}

void limits_credit(struct limits *limits, const char *address, uint64_t now_ms)
{
        struct limit_entry *entry = entry_find(limits, address, now_ms);

        entry->bucket.level = MIN(limits->address_most, entry->bucket.level + 1);
        limits->total.level = MIN(limits->total_most, limits->total.level + 1);
}
