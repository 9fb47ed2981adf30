/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The engine: owns the database, decides, records, and asks keepers for what takes private keys. One thread, one
 * event loop. It has no listeners: fronts, keepers and outbound processes are connections that the supervisor hands
 * in.
 *
 * Rounds. Everything that one round of the loop brings shares one transaction. Answers are held back until it is
 * durable; when the commit fails (disk full), everybody in that round is told PROBLEM_STORAGE, and so is whoever waits for
 * a keeper, since he may have read what is undone; nothing of it remains, and the engine goes on. The pairs of enrollments
 * are asked of the keepers before the commit, so that they work while the disk does.
 *
 * What is kept in memory is either configuration, or can be had again from the database, or is a limit that may be
 * forgotten.
 */
#include "base/loop.h"
#include "config/config.h"
#include "crypto/certificate.h"
#include "crypto/pkey.h"
#include "engine/directory.h"
#include "engine/keepers.h"
#include "engine/limits.h"
#include "engine/request.h"
#include "store/store.h"
#include "wire/message.h"

/* The engine's part of the configuration. Durations in seconds. Owned texts. */
struct engine_config {
        char *database;           /* location, for store_open() */
        char *encryption_profile; /* "rsa3072" */
        int64_t signature_lifetime, encryption_lifetime;
        int64_t token_lifetime, recovery_lifetime, invitation_lifetime, request_lifetime;
        int64_t backdate;                   /* of notBefore, for clients with slow clocks */
        int64_t crl_lifetime, crl_interval; /* nextUpdate − thisUpdate; age at which a new one is made anyhow */
        int64_t audit_interval, clock_tolerance;
        int64_t answer_lifetime; /* of kept answers */
        int64_t attempts_window; /* in which so many attempts of an address, and of all, may be refused */
        uint64_t token_attempts, address_attempts, total_attempts;
        uint64_t pool_size;
        int64_t tls_lifetime;
        struct msg_texts host_names;
        enum token_delivery delivery; /* to enroll, unless asked otherwise */
        bool mail, recovery_split;    /* mail can be sent; recovery tokens are in two parts then */
        char *mail_domain;            /* of Message-IDs */
        int64_t mail_keep;
        bool publish, publish_users; /* to a folder, by the outbound process */
        bool self_enroll; /* by the directory's password */
        char *self_group;
        bool directory_ldap;         /* entries are those of an LDAP directory */
        uint64_t left_most;          /* percent of them that may leave at once */
        int64_t revoke_left_after, reconcile;
        bool publish_directory;      /* to the LDAP directory */
};
void engine_config_from(const struct config *config, struct engine_config *ret_config);
void engine_config_done(struct engine_config *config);

enum engine_state { ENGINE_STARTING, ENGINE_SEALED, ENGINE_UNSEALED };

struct round {
        struct list answers; /* of struct request */
        struct list after;   /* of struct round_after */
        bool open;           /* a transaction is */
        bool notified;       /* after the commit: changes that others look at */
        struct loop_deferred deferred;
};

/* The revocation list: entries in memory, sorted by serial, as the keeper takes them; one signing at a time. */
enum { CRL_ENTRY_SIZE = SERIAL_SIZE + 8 + 1 };
struct crl_state {
        struct buf entries;
        int64_t loaded;  /* number of the last revocation in `entries` */
        uint64_t number; /* of the last published list */
        int64_t this_update, next_update;
        int64_t published; /* loaded, when that was made */
        bool known, signing;
        uint64_t retry_ms;
        uint64_t signing_number;
        int64_t signing_this, signing_next, signing_loaded;
        struct keeper_call call;
        struct buf der;
};

struct pool_state {
        bool asked;
        uint64_t retry_ms;
        bool full;            /* as far as is known: nothing was taken since it was */
        struct list stock;    /* keys at hand */
        struct list reserved; /* keys in use by requests that wait */
        struct id loaded;     /* the last one that came into the stock */
        char *name;           /* of the key that seals it, as keepers tell */
        struct keeper_call call;
};

struct heads_state {
        int64_t signed_seq;
        bool known, asked;
        uint64_t due_ms;
        struct audit_head asked_head;
        struct keeper_call call;
};

/* The server's own TLS certificate, when the built-in CA makes it. */
struct tls_state {
        bool known, asked;
        struct certificate leaf; /* the one in use */
        uint64_t retry_ms;
        struct keeper_call call;
        int (*renewed)(void *context, struct bytes chain); /* PEM; NULL: nobody takes it */
        void *context;
};

struct verification {
        struct store_verify *verify; /* NULL: does not run */
        struct msg_verify_reply result;
        struct loop_timer timer;
        EVP_PKEY *audit_key;
};

/* Where jobs go, and whether that answers. */
enum outbound_target { TARGET_FOLDER, TARGET_DIRECTORY, TARGET_MAIL, TARGET_COUNT };
struct target_state {
        unsigned failures; /* since it was reached last; while there are any, one job at a time */
        uint64_t until_ms; /* not tried before */
        unsigned running;
};
enum { JOB_KINDS_MOST = 8 };
struct outbound_state {
        struct target_state targets[TARGET_COUNT];
        uint64_t idle_until_ms[JOB_KINDS_MOST]; /* nothing was due */
        struct msg_publish_state publishing;    /* what is published beside the queue */
        bool adrift; /* some may be running in the database only: a commit failed, or what became of one was lost */
        uint64_t commit_failures, adrift_until_ms;
};

/* Whom the filter or group of a selection selected last: sorted GUIDs (selection.c). */
struct selected {
        char *text; /* the selector; NULL: there was none */
        struct buf guids;
};

struct front_peer;

struct engine {
        struct loop *loop;
        struct engine_config config;
        struct store *store;
        enum engine_state state;
        int64_t clock_offset; /* for tests, as the next */
        bool fail_commits;

        struct msg_engine_keys keys;   /* while unsealed */
        struct msg_trust_public trust; /* the last one known; a hint while sealed */
        struct buf trust_encoded;
        bool trust_known;
        char *sealed_why;

        struct round round;
        struct list requests; /* that wait or are parked */
        struct list unparked; /* that begin anew in a moment */
        bool unparking;
        struct list openings; /* approved requests at a keeper */
        struct keepers keepers;
        struct list fronts, outbounds;
        struct list lookup_peers; /* LDAP processes */
        struct directory directory;
        struct outbound_state outbound;
        struct limits limits;    /* of what may have been guessed: beyond it nobody is heard */
        struct limits records;   /* of all else that strangers are refused: beyond it it is counted only */
        struct limits passwords; /* of the directory, for each mail address (self.c) */
        size_t selves;           /* people who enroll by password at this moment */
        uint64_t self_step_ms;   /* refusals of them leave in such steps; for tests */
        struct token_decoy *decoy;
        struct buf operator_decoy; /* SPKI: what requests of nobody are verified with */
        struct crl_state crl;
        struct pool_state pool;
        struct heads_state heads;
        struct tls_state tls;
        struct verification verification;
        struct selected selected;
        uint64_t last_record_id;
        uint64_t asked_ms; /* when anything but the state was asked last */
        uint64_t asked, refused, refused_unrecorded, faults, enrolled, commits, commit_failures, lookups; /* for the metrics */
        struct loop_timer second;
        bool stopping;
        bool keepers_reload; /* the trust record changed: keepers get it after the commit */
};

/* `config` is taken. PROBLEM_* of store_open(). */
int engine_init(struct engine *engine, struct loop *loop, struct engine_config *config) must_check;
void engine_done(struct engine *engine);
/* Take another configuration, live; `config` is taken. Where the database is stays as it was. */
void engine_reconfigure(struct engine *engine, struct engine_config *config);
int64_t engine_now(const struct engine *engine);
/* clock.c */
/* Is this instant, which was now once, so far ahead that the clock must have been set back? */
bool engine_clock_is_back(const struct engine *engine, int64_t last);
/* Every second: a clock that was set back is recorded, and what waited for a time of before waits no longer. */
int clock_watch(struct engine *engine) must_check;
static inline struct bytes engine_server_id(const struct engine *engine)
{
        return bytes_text(msg_text(engine->trust.server_id));
}

/* engine.c: keepers said what they are */
int engine_unsealed(struct engine *engine, const struct msg_keeper_state *state) must_check;
void engine_sealed(struct engine *engine, const char *why);
/* All that wait end, with this problem. */
void requests_end(struct engine *engine, int problem, const char *sentence);
int engine_trust_set(struct engine *engine, struct bytes encoded) must_check;

/* round.c */
void round_init(struct engine *engine);
void round_done(struct engine *engine);
/* A savepoint in the round's transaction, which is opened if none is. */
int round_savepoint(struct engine *engine) must_check;
int round_release(struct engine *engine) must_check;
void round_undo(struct engine *engine);
/* The end of a savepoint: released when r is 0, else undone; r, or why it could not be released. */
int round_settle(struct engine *engine, int r) must_check;
void round_answer(struct engine *engine, struct request *request);
int round_commit(struct engine *engine) must_check;

/* audit.c */
struct audit_words {
        const char *actor, *action, *subject, *outcome;
        struct bytes details, operation, digest;
};
int engine_audit(struct engine *engine, const struct audit_words *words) must_check;
/* For what the engine does of itself: actor "server". */
int engine_audit_server(struct engine *engine, const char *action, const char *subject, const char *outcome,
                        const char *details) must_check;
/* In a savepoint of its own. */
int engine_audit_alone(struct engine *engine, const char *action, const char *subject, const char *outcome,
                       const char *details) must_check;
void heads_pump(struct engine *engine, bool now);
bool heads_settled(struct engine *engine); /* the last record is under a signed head */

/* state.c */
int engine_metrics(struct engine *engine, struct buf *out) must_check;
void metric(struct buf *out, const char *name, const char *type, const char *help, long long value);
int second_tick(void *context);

/* crl.c */
void crl_pump(struct engine *engine); /* sign and publish when something was revoked or time is near */
int crl_load(struct engine *engine) must_check;
void crl_publish(struct engine *engine);

/* tls.c: the certificate in use, PEM; empty when it is not ours to renew */
void tls_set(struct engine *engine, struct bytes chain);
void tls_pump(struct engine *engine);
void tls_done(struct engine *engine);

/* selection.c */
void selected_forget(struct engine *engine);

/* verify.c */
void verification_init(struct engine *engine);
void verification_stop(struct engine *engine);
void verification_done(struct engine *engine);

/* use.c: what a wrong selector is checked against, so that it takes the same work as a right one */
int decoy_init(struct engine *engine) must_check;
void decoy_done(struct engine *engine);

/* open.c: requests that have their quorum, at a keeper */
void openings_resume(struct engine *engine); /* all that have; after unsealing */
void openings_done(struct engine *engine);
int opening_start(struct engine *engine, const struct id *request) must_check; /* nothing when it is there already */

/* pool.c */
struct pool_key {
        struct list link;
        struct pool_row row;
        struct engine *engine;
        bool consumed;
};
/* NULL when the pool has none to give. */
int pool_reserve(struct engine *engine, const char *profile, struct pool_key **ret_key) must_check;
int pool_consume(struct pool_key *key) must_check; /* in the transaction that archives it */
void pool_key_free(struct pool_key *key);          /* it stays in the pool unless consumed */
void pool_reset(struct engine *engine);            /* forget what is at hand: sealed, or a commit failed */
void pool_pump(struct engine *engine);
/* A keeper tells which key seals the pool; what another one sealed is of no use any more. */
void pool_key_named(struct engine *engine, const char *name);
int pool_purge(struct engine *engine, size_t most, size_t *ret_count) must_check;

/* peers.c: the sentence of a peer that answered with a problem, as its result; a fault when it failed itself */
int peer_problem(const char *who, struct bytes payload) must_check;
int front_add(struct engine *engine, int fd) must_check;
void fronts_publish(struct engine *engine, const struct msg_publish *publication);
void fronts_state(struct engine *engine, bool always);
void fronts_authority(struct engine *engine);
void peers_done(struct engine *engine);

/* lookup.c: look-ups by the LDAP service */
int lookup_add(struct engine *engine, uint64_t index, int fd) must_check;
void lookups_metrics(const struct engine *engine, struct buf *out);
void lookups_done(struct engine *engine);

/* outbound.c */
void outbounds_publish(struct engine *engine, const struct msg_publish *publication);
int outbound_add(struct engine *engine, uint64_t index, int fd) must_check;
void outbound_pump(struct engine *engine);
void outbound_done(struct engine *engine);
/* Somebody wants this kind of job tried now, whatever is known of where it goes to. */
void outbound_hasten(struct engine *engine, const char *kind);
/* A job of this kind was pushed: it need not wait for the next look. */
void outbound_wake(struct engine *engine, const char *kind);
bool outbound_target_reachable(const struct engine *engine, enum outbound_target target);

/* publication.c: the content of a job "publish-user" as things stand now. */
int publication_fill(struct engine *engine, struct job_row *job, struct buf *ret_content) must_check;

/* startup.c, open.c: requests */
int startup_show(struct request *request) must_check;
int startup_approve(struct request *request) must_check;
int startup_refuse(struct request *request) must_check;
int startup_list(struct request *request, struct msg_request_listed *reply) must_check;
/* Once unsealed: what was done while sealed enters the chain. */
int startup_adopt(struct engine *engine) must_check;
/* The wrap record of a startup request that is done and not adopted yet; PROBLEM_NOT_FOUND. */
int startup_wrap(struct engine *engine, struct buf *ret_wrap) must_check;
bool startup_is(const char *request);

/* The keeper's records as the store has them. */
int records_load(struct engine *engine, struct msg_keeper_records *ret_records) must_check;
/* The largest number of a bootstrap record; 0: none. */
int bootstrap_last(struct store *store, const char *name, uint64_t *ret_number) must_check;
/* Expired tokens, requests, kept answers. */
void sweep_pump(struct engine *engine);
