/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Following a directory: which entries changed since a mark that was made before everything was read. In this
 * order of preference, by what the server offers and the account may do: content synchronization (RFC 4533;
 * it tells at once), DirSync, uSNChanged, modifyTimestamp (it is asked now and then). Only the ids of entries
 * that changed, or are gone, come out; what became of them is read again by whoever hears of them.
 *
 * `news` runs from the loop: with 0 when something was added to `changed`, else with why the following is
 * over.
 */
#include "base/loop.h"
#include "config/config.h"
#include "ldap/connection.h"
#include "ldap/roster.h"
#include "ldap/schema.h"

enum follow_way { FOLLOW_SYNC, FOLLOW_DIRSYNC, FOLLOW_USN, FOLLOW_TIME };

struct follower {
        struct loop *loop;
        const struct config *config;
        const struct ldap_options *options;
        const struct schema *schema;
        const struct roster *roster;
        int (*news)(void *context, int result);
        void *context;
        struct id_list changed; /* taken by whoever hears of it, and added to */

        enum follow_way way;
        struct ldap_connection *connection; /* that asks; borrowed */
        struct buf mark;                    /* cookie, or modifyTimestamp */
        uint64_t usn;
        bool object_security;
        char *root; /* DN of the naming context */
        struct loop_timer timer;

        struct ldap_connection *watch; /* that is told */
        struct loop_source source;
        int search;
        bool refreshing;
        struct id_list present;
};

void follower_init(struct follower *follower, struct loop *loop, int (*news)(void *context, int result),
                   void *context);
void follower_done(struct follower *follower);
/* Add to `changed` or `present`. PROBLEM_TOO_LARGE: the server tells of more than there can be. */
int follower_note(struct follower *follower, struct id_list *list, const struct id *id) must_check;
/* Choose a way, and make the mark. */
int follower_mark(struct follower *follower, struct ldap_connection *connection) must_check;
/* Begin to tell what changed since. */
int follower_start(struct follower *follower) must_check;
/* In words, how changes are heard of. */
const char *follower_words(const struct follower *follower);
