/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A set of ids in memory, about 24 bytes each: what was seen in a long run. Owns its memory; grows as needed. */
#include "model/id.h"

struct id_set {
        struct id *slots; /* none: free */
        size_t size, count; /* size is a power of two */
        uint64_t seed;      /* so that nobody who chooses ids can make them collide */
};

#define ID_SET_NONE ((struct id_set){0})

void id_set_done(struct id_set *set); /* leaves ID_SET_NONE */
bool id_set_has(const struct id_set *set, const struct id *id);
/* False: it was there. ID_NONE is never taken. */
bool id_set_add(struct id_set *set, const struct id *id);
