/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The keys under which an entry is found (table entry_keys): a function of the entry, also for verify. */
#include "store/internal.h"

enum { ENTRY_KEY_ADDRESS = 1, ENTRY_KEY_GROUP, ENTRY_KEY_SEARCH, ENTRY_KEY_NAME, ENTRY_KEY_CALLED };

struct entry_key {
        int kind;
        char *text;
};
struct entry_keys {
        struct entry_key *items;
        size_t count;
};
struct entry_keys entry_keys_of(const struct entry_row *row);
void entry_keys_done(struct entry_keys *keys);
