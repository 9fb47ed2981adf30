/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How often strangers may be refused: a token bucket for each address (IPv6: each /64) and one for all, in memory.
 * Only what was refused is charged, so that who has a right token is never slowed by his own use; and only what may have
 * been a guess (request.c), so that he does not lock out others who share his address. The table of
 * addresses is of fixed size; when it is full the one that was longest quiet makes place.
 */
#include <stdbool.h>
#include <stdint.h>

enum { LIMIT_ADDRESSES = 8192, LIMIT_KEY_SIZE = 48, LIMIT_PROBES = 16 };

struct bucket {
        uint64_t changed_ms;
        double level; /* attempts left */
};

struct limit_entry {
        char key[LIMIT_KEY_SIZE];
        struct bucket bucket;
};

struct limits {
        double address_most, address_per_second;
        double total_most, total_per_second;
        struct bucket total;
        struct limit_entry *entries;
        uint64_t seed;
};

/* So many refusals in each window of seconds. */
void limits_init(struct limits *limits, uint64_t address, uint64_t total, int64_t window);
/* Other figures; who was refused is not forgotten. */
void limits_change(struct limits *limits, uint64_t address, uint64_t total, int64_t window);
void limits_done(struct limits *limits);
/* `address` is any text that stands for who tries, up to LIMIT_KEY_SIZE - 1 bytes. */
/* May somebody at this address try (again)? */
bool limits_permit(struct limits *limits, const char *address, uint64_t now_ms);
/* He tried, and was refused. */
void limits_charge(struct limits *limits, const char *address, uint64_t now_ms);
/* What was charged before it was known how it ends, and ended well. */
void limits_credit(struct limits *limits, const char *address, uint64_t now_ms);
