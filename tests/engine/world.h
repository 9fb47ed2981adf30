/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * An engine with a new database in a folder of its own, a real keeper beside it (as a library, without processes or
 * channels), and the people around: officers ada, ben and cyd, registrar rob, directory entries, users. Whatever
 * fails here aborts the test; what a test looks for it asks with world_ask(), which gives back the problem.
 */
#include "crypto/token.h"
#include "engine/engine.h"
#include "keeper/fixture.h"

struct client;

struct person {
        char name[16];
        struct secret signing;
        struct client *acceptance;
        unsigned nonce; /* of the next request; the same again repeats it */
};

struct world {
        char folder[64];
        char *database;
        struct loop loop;
        struct engine engine;
        struct fixture fixture;
        struct keeper_link stub;
        bool keeper_holds;       /* calls stay in the queue until world_keeper() */
        struct person people[4]; /* ada, ben, cyd, rob */
        const char *address;     /* from where requests come */
        struct bytes ticket;
        int64_t sign_ahead; /* an operator's clock is off by that */
};

enum { ADA, BEN, CYD, ROB };

/* The database is made, the keeper is sealed. `encryption_profile` "p256" for speed. */
void world_init(struct world *world);
void world_done(struct world *world);
/* The keeper is unsealed, and everybody has accepted. */
void world_open(struct world *world);
/* Crash: the engine is gone without a word, and a new one is started on the same database. */
void world_crash(struct world *world);

/* Rounds until nothing moves any more. */
void world_run(struct world *world);
/* The keeper answers what it has. */
void world_keeper(struct world *world);
/* Its connection is lost, and comes again. */
void world_keeper_lost(struct world *world);

/* Ask as an operator (an index, or −1: nobody). 0 and the reply, decoded into ret_reply; or the problem. */
int world_ask(struct world *world, int operator, enum msg_kind kind, const void *message, void *ret_reply);
/* The same, not waiting: `pending` is filled in once the answer comes. */
struct world_answer {
        bool there;
        int result;
        uint16_t kind;
        struct buf payload;
};
void world_send(struct world *world, int operator, enum msg_kind kind, const void *message,
                struct world_answer *answer);
void world_send_raw(struct world *world, int operator, enum msg_kind kind, struct bytes payload, struct world_answer *answer);
void world_answer_done(struct world_answer *answer);

void world_import(struct world *world, const char *guid, const char *name, const char *address);
/* user_enroll; the token's text */
struct token world_token(struct world *world, const char *address);

/* A user's machine: what it keeps between tries. */
struct client {
        struct token token;
        EVP_PKEY *key;
        struct secret recipient_scalar;
        struct buf request;
        struct digest mac;
        struct msg_token_answer answer;
};
void client_init(struct client *client, const struct token *token, const char *purpose);
void client_init_key(struct client *client, const struct token *token, const char *purpose, EVP_PKEY *key);
/* It asks this from now on. */
void client_request(struct client *client, const struct msg_token_request *ask);
void client_done(struct client *client);
/* token_use; checks the MAC of the answer. */
int client_use(struct world *world, struct client *client);
/* An operator accepts his invitation on his machine. */
int operator_accept(struct world *world, int operator);
int operator_accept_again(struct world *world, int operator); /* the same request once more */
/* An officer's approval of a request, honest but for `false_partial`. */
void officer_approval(struct world *world, int officer, struct bytes terms, bool false_partial,
                      struct msg_approval_item *ret_approval);
int64_t audit_count(struct world *world, const char *action, const char *outcome);
/* Everything in the database verifies. */
void world_verify(struct world *world);
void must(int result);
