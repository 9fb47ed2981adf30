/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Who is in a directory, and in which groups: what must be kept of a reading so that changes can be followed.
 * Names are kept as digests, so that 100,000 people with three groups each take about 30 MB. Pure.
 *
 * Groups list their members by DN; the roster turns that round. Names that nobody has (yet) may be listed.
 */
#include "model/id.h"
#include "wire/message.h"

/* Ids or names, growing. */
struct id_list {
        struct id *at;
        size_t count, room;
};

struct roster_entry {
        struct id id;
        struct id name;
        bool group;
};

struct roster {
        void *by_id, *by_name; /* of struct roster_entry, owned by by_id */
        void *members;         /* of struct membership */
        void *groups;          /* of struct roster_group, by id */
        size_t count;
        size_t size; /* bytes of memory, about */
};

enum roster_outcome {
        ROSTER_NEW,   /* it was not there */
        ROSTER_KNOWN, /* it was, under this name */
        ROSTER_MOVED, /* it was, under another */
        ROSTER_TAKEN, /* it is new, but somebody else has the name: who had it has it no longer */
};

void id_list_add(struct id_list *list, const struct id *id);
void id_list_done(struct id_list *list);
/* In order, each once. */
void id_list_sort(struct id_list *list);
/* Of a list that was sorted. */
bool id_list_has(const struct id_list *list, const struct id *id);

/* A DN as the roster knows it: spelling does not count. PROBLEM_MALFORMED, TOO_LARGE. */
int roster_name(struct bytes dn, struct id *ret_name) must_check;

void roster_done(struct roster *roster);
enum roster_outcome roster_put(struct roster *roster, const struct id *id, const struct id *name, bool group);
/* NULL when there is none. */
const struct roster_entry *roster_find(const struct roster *roster, const struct id *id);
const struct roster_entry *roster_find_name(const struct roster *roster, const struct id *name);
/* Add the ids of everybody who is not in the (sorted) list. */
void roster_absent(const struct roster *roster, const struct id_list *present, struct id_list *ret_absent);
/* Nothing when it is not there. A group is taken out of its members' groups too. */
void roster_remove(struct roster *roster, const struct id *id, struct id_list *changed);

/* The group has this DN, and exactly these members (names; taken over, sorted). Whose groups that changes is
 * added to `changed`, as names. */
void roster_group_put(struct roster *roster, const struct id *id, const char *dn, struct id_list *members,
                      struct id_list *changed);
/* The DNs of the groups that hold this name, at most `most`; false when there are more. */
bool roster_groups_of(const struct roster *roster, const struct id *name, size_t most,
                      struct msg_texts *ret_dns);
