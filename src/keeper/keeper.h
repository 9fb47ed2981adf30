/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The keeper: the one process that ever has the database key, the CA's key or a user's private key in the clear. It
 * generates, wraps, opens, signs and packages; it has no file, no network and no database.
 *
 * It takes the engine to be hostile. What it must trust are records that it sealed itself: the wrap record (the
 * database key under the startup secret), the trust record (trust.h), the CA's keys. It lets a private key out only
 * wrapped for the archive, sealed for the pool, or enveloped for its recipient, and an archived one only with a
 * quorum of approvals that it has verified itself, down to the bytes.
 *
 *   unset     no records yet
 *   sealed    records, and no database key
 *   unsealed  the database key and all that derives from it
 *
 * Twelve kinds of requests, in one table (keeper.c) that says from whom and in which state each is taken. Here is
 * everything but the channels (main.c): a request goes in as bytes, an answer comes out, and `changed` says what
 * others are to be told. So tests and fuzzers play the engine by calling keeper_handle().
 */
#include "crypto/certificate.h"
#include "keeper/trust.h"
#include "model/id-set.h"

enum keeper_state { KEEPER_UNSET = 1, KEEPER_SEALED = 2, KEEPER_UNSEALED = 4 }; /* bits, for the table */

/* Who asks. A setup peer is the one that started a keeper for nothing but keeper_init. */
enum keeper_peer { PEER_ENGINE = 1, PEER_SIBLING = 2, PEER_LOCAL = 4, PEER_SETUP = 8 };

/* What changed while a request was handled, and is to be told. */
enum keeper_change { CHANGE_STATE = 1 /* to the engine and the supervisor */, CHANGE_SIBLINGS = 2, CHANGE_POOL = 4 };

/* Keys derived from the database key; those of the engine are in `engine`. */
struct keeper_keys {
        struct secret database, archive, ca, trust, transport;
        struct point transport_public;
        struct msg_engine_keys engine;
};

struct authority {
        EVP_PKEY *issuer_key, *audit_key;
        struct certificate issuer;
        uint8_t issuer_key_id[KEY_ID_SIZE];
};

struct keeper {
        enum keeper_state state;
        unsigned changed;                  /* enum keeper_change; main.c clears it */
        struct msg_keeper_records records; /* as the engine loaded them */
        struct secret startup_secret;      /* configured; used and wiped when the records come */
        struct secret adopted;             /* a sibling's database key that came before the records */
        uint64_t trust_seen;               /* the highest number of a trust record seen here or by a sibling */
        bool ordered;                      /* sealed by an administrator: siblings are to be too, and stay so */
        struct secret transport;           /* of startup requests, while not unsealed */
        struct point transport_public;
        uint64_t transport_since;
        /*
         * What seals the pool. It is in keepers' memory only, the same in all siblings, and not derived from the database
         * key: a pair of the pool becomes a user's, and then a copy of the database from before must open it no more than
         * an archive record, whoever has the startup secret.
         */
        struct secret pool;
        uint64_t pool_since;
        /*
         * What came from it already: a pair that is somebody's must not be enveloped a second time, to whomever an engine
         * names that found it in a copy, or in what a database leaves behind. `pool_untold`: since siblings were told.
         */
        struct id_set pool_used;
        struct buf pool_untold;
        char detail[512];                  /* why unsealing by itself failed; "" if it did not */
        char *url;                         /* base of CDP and AIA; NULL leaves them out */
        struct password_cost cost;         /* of wrap records to be made */
        /* when unsealed */
        struct keeper_keys keys;
        struct trust trust;
        struct authority authority;
};

/* An answer: its encoding is in `plain`, or in `private` if it has secrets. */
struct keeper_reply {
        uint16_t kind;
        struct buf plain;
        struct secret private;
};

int keeper_init(struct keeper *keeper) must_check;
void keeper_done(struct keeper *keeper); /* wipes everything */

/*
 * Answer one request. Always gives an answer: what is refused or fails is MSG_problem. A result other than 0 says
 * that the peer sent what none of its sort ever sends (a kind that is unknown or not its own) and is to be cut;
 * then there is no answer.
 */
int keeper_handle(struct keeper *keeper, enum keeper_peer peer, uint16_t kind, struct bytes payload,
                  struct keeper_reply *ret_reply) must_check;
void keeper_reply_done(struct keeper_reply *reply);
struct bytes keeper_reply_view(const struct keeper_reply *reply);

/* Unseal by a sibling's database key or the configured startup secret, if there is one and there are records. Why it
 * failed goes into `detail` and is told with the state. */
void keeper_unseal_at_hand(struct keeper *keeper);

/* MSG_keeper_state, and MSG_adopt, as they are to be told now. */
int keeper_describe(const struct keeper *keeper, struct keeper_reply *ret_reply) must_check;
int keeper_describe_to_sibling(const struct keeper *keeper, struct keeper_reply *ret_reply) must_check;
int keeper_describe_pool_use(struct keeper *keeper, struct keeper_reply *ret_reply) must_check; /* what was untold */
const char *keeper_state_name(const struct keeper *keeper);
