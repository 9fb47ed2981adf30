/* SPDX-License-Identifier: Apache-2.0 */
#include "model/id-set.h"

#include <stdlib.h>

#include "base/mem.h"

void id_set_done(struct id_set *set)
{
        free(set->slots);
        *set = ID_SET_NONE;
}

/* Where it is, or would be. There is always a free slot. */
static size_t slot_of(const struct id_set *set, const struct id *id)
{
        uint64_t low, high, hash;

        memcpy(&low, id->data, 8);
        memcpy(&high, id->data + 8, 8);
        hash = ((low ^ set->seed) * UINT64_C(0x9e3779b97f4a7c15)) ^ high;
        hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
        for (size_t at = (size_t)(hash ^ hash >> 32);; at++) {
                const struct id *slot = &set->slots[at & (set->size - 1)];

                if (id_is_none(slot) || id_equal(slot, id))
                        return at & (set->size - 1);
        }
}

bool id_set_has(const struct id_set *set, const struct id *id)
{
        return set->size && !id_is_none(id) && id_equal(&set->slots[slot_of(set, id)], id);
}

static void set_grow(struct id_set *set)
{
        struct id_set larger = {.size = set->size ? 2 * set->size : 64, .seed = set->seed};

        if (!set->size) {
                struct id random = id_new();

                memcpy(&larger.seed, random.data + 8, 8);
        }
        larger.slots = mem_array(larger.size, sizeof(*larger.slots));
        for (size_t i = 0; i < set->size; i++)
                if (!id_is_none(&set->slots[i]))
                        (void)id_set_add(&larger, &set->slots[i]);
        id_set_done(set);
        *set = larger;
}

bool id_set_add(struct id_set *set, const struct id *id)
{
        size_t slot;

        if (id_is_none(id))
                return false;
        if (4 * (set->count + 1) > 3 * set->size)
                set_grow(set);
        slot = slot_of(set, id);
        if (!id_is_none(&set->slots[slot]))
                return false;
        set->slots[slot] = *id;
        set->count++;
        return true;
}
