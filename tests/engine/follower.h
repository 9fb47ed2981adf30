/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The process that follows an LDAP directory, played: pages by hand over a real channel, and what the engine says to
 * them.
 */
#include "world.h"

struct follower {
        struct world *world;
        struct channel *channel;
        struct channel_call call;
        uint64_t run; /* that the engine asked for last */
        unsigned asked;
        bool answered;
        struct msg_directory_taken taken; /* the last answer to a page */
        struct msg_directory_page page;   /* being filled */
        struct msg_directory_search search; /* the last question */
        uint64_t search_id;
        const char *password; /* of everybody whose entry it has sent; NULL: binds are not answered */
        struct msg_directory_bind bind; /* the last one */
        uint64_t bind_id;
        unsigned binds;
};

/* The server of this world has an LDAP directory from now on. */
void follower_begin(struct follower *follower, struct world *world);
void follower_end(struct follower *follower);
/* It is lost with everything that it was doing, and comes again. */
void follower_lost(struct follower *follower);

/* Onto the page. "" for no address; further fields may be set in what is given back. */
struct msg_person *follower_person(struct follower *follower, const char *guid, const char *name,
                                   const char *address);
/* Send the page, and wait for the answer. */
void follower_send(struct follower *follower, bool whole);
/* End the run, and wait until the engine is through with it. */
void follower_complete(struct follower *follower, bool complete);
/* The answer to its search: so many ids, in order. */
void follower_found(struct follower *follower, const char *const *guids, size_t count);
/* The answer to its question about a password: it is the right one. */
void follower_bound(struct follower *follower);
/* A page, and, without a wait for the answer to it, the end of the run for some failure. */
void follower_fail(struct follower *follower);
/* The engine asks anew. */
void follower_sync(struct follower *follower, bool accept_departures);
