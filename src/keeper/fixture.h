/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A server for tests and fuzzers: a keeper that was set up with three officers (quorum two), and the engine,
 * officers, users and requesters around it, as far as a keeper sees them. Whatever fails here aborts the test.
 */
#include "keeper/keeper.h"

enum { OFFICERS = 3, KEYS_MOST = 8 };

struct fixture {
        struct keeper keeper;
        struct msg_keeper_init_done setup;
        struct msg_trust_public trust; /* as last told */
        struct secret archive_shares[OFFICERS], startup_shares[OFFICERS], signing[OFFICERS];
        struct secret recipient;       /* of the requester */
        struct point recipient_public;
        struct msg_archive_item keys[KEYS_MOST]; /* enrolled by fixture_enroll() */
        size_t key_count;
};

/* Set up; the keeper has loaded its records and is sealed. */
void fixture_init(struct fixture *fixture);
void fixture_done(struct fixture *fixture);
/* Another keeper, which knows only the records: the same server later, or a thief's. It is sealed. */
void fixture_restart(struct fixture *fixture);
/* Unseal with the startup secret of the set-up. */
void fixture_unseal(struct fixture *fixture);
/* Every officer accepts and is admitted, and the new trust records are loaded. */
void fixture_admit(struct fixture *fixture);
/* Enroll a user "user" with a P-256 pair; the archive record becomes the next of `keys`. */
void fixture_enroll(struct fixture *fixture);

/* Ask as the engine: 0 with the answer, or the problem that was answered (PROBLEM_COUNT for a fault), or what cut the
 * peer. */
int fixture_ask(struct fixture *fixture, enum msg_kind kind, const void *message, struct keeper_reply *ret_answer);
/* The same as another peer. */
int fixture_ask_as(struct fixture *fixture, enum keeper_peer peer, enum msg_kind kind, const void *message,
                   struct keeper_reply *ret_answer);

/* Terms over all keys for the requester, valid for an hour. */
void fixture_terms(const struct fixture *fixture, struct msg_terms *terms);
void fixture_startup_terms(const struct fixture *fixture, struct msg_terms *terms);
/* The approval of officer number 0… of these terms, honest in every part. */
void fixture_approve(const struct fixture *fixture, unsigned officer, const struct msg_terms *terms,
                     struct msg_approval_item *approval);
/* An open request with these terms and all keys, without approvals. */
void fixture_open(const struct fixture *fixture, const struct msg_terms *terms, struct msg_keeper_open *request);
