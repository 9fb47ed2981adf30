/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the audit chain says that there is: for each row its last version and digest, and the record that said so. One
 * open-addressing table of 32 bytes a row, keys by a seeded fingerprint of 64 bits, so that a million rows take 64 MB
 * at most.
 */
#include "base/buf.h"
#include "crypto/kdf.h"
#include "model/audit.h"

struct ledger_slot {
        uint64_t fingerprint; /* 0 = free */
        uint64_t digest;      /* the first 8 bytes */
        int64_t version;      /* 0 = removed */
        uint32_t seq;         /* of the audit record */
        uint8_t table;
        bool seen;
};
struct ledger {
        struct ledger_slot *slots;
        size_t size, count; /* size: a power of two */
        uint8_t seed[16];
        struct hasher hasher;
};

void ledger_init(struct ledger *ledger);
void ledger_done(struct ledger *ledger);
uint64_t ledger_fingerprint(struct ledger *ledger, unsigned table, struct bytes key);
/* NULL when the chain does not know it. */
struct ledger_slot *ledger_find(struct ledger *ledger, uint64_t fingerprint);
/* As the latest word about the row; `seen` is kept. */
void ledger_put(struct ledger *ledger, const struct audit_change *change, int64_t seq);
uint64_t ledger_digest(const uint8_t *digest);
