/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Filters: whether an entry matches, and what the index of people can be asked so that none that matches is
 * missed. Pure. Names are compared as RFC 4518 prepares them (base/fold.h), addresses without case of ASCII
 * letters.
 */
#include "ldapd/entry.h"
#include "ldapd/request.h"

/* RFC 4511 section 4.5.1.7: what is not known is neither true nor false, and does not become true by
 * negation. */
enum truth { TRUTH_FALSE, TRUTH_TRUE, TRUTH_UNDEFINED };
enum truth filter_match(const struct filter *filter, const struct entry *entry);

/* One question to the index: whose address is this, whose address or name begins so, or everybody. */
struct ask {
        enum { ASK_ADDRESS, ASK_PREFIX, ASK_ALL } kind;
        char *text; /* as addresses are compared by it */
        char *name; /* and names; the store makes the same of the text */
};

struct plan {
        struct ask *asks;
        size_t count; /* 0: nobody can match */
        size_t room;
        size_t work; /* asks that were moved or compared to make it */
};

/* Into a plan that is empty. Asks may find the same person; plan_finds() says whether one does. */
void plan_make(const struct filter *filter, struct plan *plan);
void plan_address(const char *address, struct plan *plan);
void plan_done(struct plan *plan);
/* Whether one of the first `count` asks finds the person: then he was seen already. */
bool plan_finds(const struct plan *plan, size_t count, const struct msg_lookup_person *person);
