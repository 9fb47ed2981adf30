/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Entries of the directory: what a source (an operator's import, or an LDAP directory) says of a person or group
 * becomes a row.
 *
 * Keys belong to the id, never to an address or a name. So a person who is renamed or moved keeps his; and an address
 * is taken from whoever left, but never from somebody who is there, unless the source itself has said that he gave it
 * up (`yields`).
 */
#include "engine/engine.h"

struct entry_taking {
        struct engine *engine;
        int64_t source; /* enum entry_source */
        bool dry_run;
        /* Whether the present holder of an address or DN (its store_name_key()) does not have it any more, though his
         * row still says so; NULL: never. */
        bool (*yields)(void *context, const struct entry_row *holder, const char *key);
        void *context;
};

enum entry_outcome { ENTRY_UNCHANGED, ENTRY_ADDED, ENTRY_CHANGED, ENTRY_RETURNED };

/* PROBLEM_MALFORMED: cannot be taken; PROBLEM_EXISTS: somebody who is there has an address or the DN. Nothing is written
 * then. */
int entry_take(const struct entry_taking *taking, const struct msg_person *person,
               enum entry_outcome *ret_outcome) must_check;
/* It is in the directory no more: nothing happens to it when it has left already, or is another source's (0: any). */
int entry_leave(struct engine *engine, const struct id *guid, int64_t source, struct entry_row *ret_left,
                bool *ret_done) must_check;
/* An id that is no UUID is hashed to 16 bytes. */
struct id entry_guid(const char *guid);
/* An address, an id or a DN. PROBLEM_NOT_FOUND. */
int entry_named(struct engine *engine, const char *name, struct entry_row *ret_entry) must_check;
void entry_to_person(const struct entry_row *entry, struct msg_person *person);
/* Names that people give groups become DNs, where one group alone is called so: then groups within groups are found. */
int entry_resolve_groups(struct engine *engine, struct texts *groups) must_check;
/* Take what holders of them lose: addresses and the name of `entry` from everybody else. */
int entry_claim(const struct entry_taking *taking, const struct entry_row *entry) must_check;
/* Fields of a person into a row, checked. */
int entry_fill(const struct msg_person *person, struct entry_row *entry) must_check;
