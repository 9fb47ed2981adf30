/* SPDX-License-Identifier: Apache-2.0 */
#include "store/ledger.h"

#include "base/mem.h"

void ledger_init(struct ledger *ledger)
{
        *ledger = (struct ledger){.size = 1024};
        ledger->slots = mem_array(ledger->size, sizeof(*ledger->slots));
        random_fill(ledger->seed, sizeof(ledger->seed));
        hasher_init(&ledger->hasher);
}

void ledger_done(struct ledger *ledger)
{
        free(ledger->slots);
        hasher_done(&ledger->hasher);
        ledger->slots = NULL;
}

uint64_t ledger_digest(const uint8_t *digest)
{
        uint64_t number;

        memcpy(&number, digest, sizeof(number));
        return number;
}

uint64_t ledger_fingerprint(struct ledger *ledger, unsigned table, struct bytes key)
{
        struct digest digest;
        uint64_t fingerprint;

        hasher_add(&ledger->hasher, bytes_of(ledger->seed, sizeof(ledger->seed)));
        hasher_add_number(&ledger->hasher, table);
        hasher_add(&ledger->hasher, key);
        digest = hasher_end(&ledger->hasher);
        fingerprint = ledger_digest(digest.data);
        return fingerprint ? fingerprint : 1;
}

static struct ledger_slot *slot_of(const struct ledger *ledger, uint64_t fingerprint)
{
        size_t i = fingerprint & (ledger->size - 1);

        while (ledger->slots[i].fingerprint && ledger->slots[i].fingerprint != fingerprint)
                i = (i + 1) & (ledger->size - 1);
        return &ledger->slots[i];
}

struct ledger_slot *ledger_find(struct ledger *ledger, uint64_t fingerprint)
{
        struct ledger_slot *slot = slot_of(ledger, fingerprint);

        return slot->fingerprint ? slot : NULL;
}

static void ledger_grow(struct ledger *ledger)
{
        struct ledger_slot *old = ledger->slots;
        size_t size = ledger->size;

        if (ledger->count < size / 4 * 3)
                return;
        ledger->size = 2 * size;
        ledger->slots = mem_array(ledger->size, sizeof(*ledger->slots));
        for (size_t i = 0; i < size; i++)
                if (old[i].fingerprint)
                        *slot_of(ledger, old[i].fingerprint) = old[i];
        free(old);
}

void ledger_put(struct ledger *ledger, const struct audit_change *change, int64_t seq)
{
        struct ledger_slot *slot;
        uint64_t fingerprint = ledger_fingerprint(ledger, change->table, change->key);

        ledger_grow(ledger);
        slot = slot_of(ledger, fingerprint);
        ledger->count += slot->fingerprint == 0;
        slot->fingerprint = fingerprint;
        slot->digest = ledger_digest(change->digest);
        slot->version = change->version;
        slot->seq = (uint32_t)seq;
        slot->table = (uint8_t)change->table;
}
