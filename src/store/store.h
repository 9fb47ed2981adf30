/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The store: everything the server remembers, in SQLite or PostgreSQL. Speaks the domain (model/rows.h), never SQL.
 * One store is one connection, of one thread; it never waits but for the disk (PostgreSQL: the network) and for a
 * lock, with a limit.
 *
 * Transactions. store_begin() opens one, cheaply: until something is written it costs nothing. Changes need one. Each
 * request of a round stands between store_savepoint() and store_release(), or store_rollback_to() when it fails.
 * store_commit() makes all of it durable at once. Whoever changes rows describes that with store_audit_append()
 * before he releases or commits: otherwise these refuse (a fault). A failed commit is rolled back entirely. So is a
 * transaction in which the storage failed (PROBLEM_STORAGE), whatever is rolled back to a savepoint: its other
 * changes and its commit fail alike. Rows in memory that were put in what is rolled back have a version that never
 * was: load them anew.
 *
 * Integrity. Each row is under a MAC that is checked whenever it is read: PROBLEM_TAMPERED names table and key. Each
 * audit record lists the rows changed with it, by version and digest; store_verify finds what was altered, removed,
 * swapped or replayed.
 *
 * Results. Finders: PROBLEM_NOT_FOUND. Adding what exists: PROBLEM_EXISTS. Putting a row that somebody else has
 * changed or removed since it was loaded: PROBLEM_STALE. Any: PROBLEM_STORAGE (disk full, read-only, PostgreSQL gone:
 * nothing of the transaction remains, and the store works again once the cause is gone), PROBLEM_BUSY (lock),
 * PROBLEM_SEALED (no keys yet), PROBLEM_TAMPERED. ret_ structs are filled on success only and are then the caller's
 * to release with x_row_done().
 *
 * Lists are read in slices: a cursor is the last key of the slice before ("" or NULL to start), `most` bounds the
 * slice. `each` gets rows that it may move out of (take fields and zero them); the rest is released after it returns.
 * It may use the store, but not start the same list of audit records or heads again. When it returns non-zero the
 * slice ends with that result.
 */
#include "base/secret.h"
#include "model/audit.h"
#include "model/rows.h"

struct store;

/* ---- life ---- */

enum store_flags { STORE_CREATE = 1 /* make it if it is not there */, STORE_READ_ONLY = 2 };

/* `location`: the path of a SQLite file, or a PostgreSQL connection string ("postgresql://…", or "host=… dbname=…").
 * Brings the schema up to date.
 * PROBLEM_NOT_FOUND, PROBLEM_STORAGE, PROBLEM_UNSUPPORTED (made by a newer version, or not a Vouchsafe database). */
int store_open(const char *location, unsigned flags, struct store **ret_store) must_check;
void store_free(struct store *store); /* rolls an open transaction back */
DEFINE_CLEANUP(struct store *, store_free)

/* Row MACs and audit records under `row`, sealed columns under `column`; 32 bytes each, copied. Also reads server id
 * and chain head. NULL, NULL takes
 * them away: sealed again. PROBLEM_TAMPERED when the keys are not those of this database. */
int store_set_keys(struct store *store, const struct secret *row, const struct secret *column) must_check;
bool store_sealed(const struct store *store);

int store_begin(struct store *store) must_check;     /* a fault when one is open */
int store_commit(struct store *store) must_check;    /* also without anything written */
void store_rollback(struct store *store);            /* idempotent */
int store_savepoint(struct store *store) must_check; /* one level */
int store_release(struct store *store) must_check;
void store_rollback_to(struct store *store);         /* also forgets the changes' audit records */
bool store_in_transaction(const struct store *store);

/* Something was written: the commit costs a sync. */
bool store_dirty(const struct store *store);

/* ---- what is there before the keys are: sealed by the keeper itself, or public ---- */

/*
 * Records by name and number: "server" (number 1: the server's id), "wrap", "trust", "database-key" (its archive
 * record), "startup" (requests and approvals while sealed), and what the engine adds to that. The first three are put
 * at creation, before keys are set, and become part of the chain with the first audit record (store_bootstrap_adopt);
 * later changes need keys and a record as everything does. "startup" is always writable and never chained. number −1:
 * the largest.
 */
int store_bootstrap_get(struct store *store, const char *name, int64_t number, struct buf *ret_record) must_check;
/* or replace */
int store_bootstrap_put(struct store *store, const char *name, int64_t number, struct bytes record) must_check;
int store_bootstrap_remove(struct store *store, const char *name, int64_t number) must_check;
int store_bootstrap_list(struct store *store, const char *name, void *context,
                         int (*each)(void *context, int64_t number, struct bytes record)) must_check;
/* Take all that was put at creation into the changes of the first audit record; PROBLEM_STATE once there is one. */
int store_bootstrap_adopt(struct store *store) must_check;
/* Whether it was never adopted. */
bool store_is_new(const struct store *store);
/* While sealed the MAC cannot be checked: what this gives is a hint until the keeper has checked it against its trust
 * records. */
int store_operator_find_unverified(struct store *store, const char *name, struct operator_row *ret_row) must_check;

/* ---- audit ---- */

/* Chains the record: seq, changes are filled in, `time` never runs back (the later of it and the last one's). ret_seq
 * may be NULL. */
int store_audit_append(struct store *store, const struct audit_record *record, int64_t *ret_seq) must_check;
/* The last record, within the transaction if one is open. seq 0: none. */
int store_audit_head(struct store *store, struct audit_head *ret_head) must_check;
struct store_audit_filter {
        int64_t from, until;               /* instants; 0 = open */
        const char *actor, *action, *subject; /* equal; an action ending in "." is a prefix; NULL = any */
        bool refusals;                     /* only what is not "done" */
        bool newest_first;
};
/* From `seq` on (exclusive; 0 = from the start, or from the end with newest_first). The views are valid during the
 * call. What was altered by something other than the server is shown as what it is: it may hold anything, its hash too. */
int store_audit_list(struct store *store, const struct store_audit_filter *filter, int64_t seq, size_t most,
                     void *context,
                     int (*each)(void *context, const struct audit_record *record, struct bytes hash,
                                 bool altered)) must_check;
/* A head signed by the keeper; needs a transaction but no record. PROBLEM_STATE when the chain has another hash
 * there. */
int store_head_add(struct store *store, const struct audit_head *head, struct bytes signature) must_check;
int store_head_last(struct store *store, struct audit_head *ret_head, struct buf *ret_signature) must_check;
int store_head_list(struct store *store, int64_t seq, size_t most, void *context,
                    int (*each)(void *context, const struct audit_head *head, struct bytes signature)) must_check;

/* ---- directory ---- */

/* Add or, when row.version > 0, put. Addresses and the name belong to one entry: PROBLEM_EXISTS names the other. */
int store_entry_put(struct store *store, struct entry_row *row) must_check;
int store_entry_find(struct store *store, const struct id *guid, struct entry_row *ret_row) must_check;
int store_entry_find_address(struct store *store, const char *address, struct entry_row *ret_row) must_check;
int store_entry_find_name(struct store *store, const char *name, struct entry_row *ret_row) must_check;
/* What names of the directory are compared by: case, blanks and the spelling of escapes of a DN do not count
 * (RFC 4514); of another name, case and how accents are composed (base/fold.h). Long ones are digests. free()
 * it. */
char *store_name_key(const char *name);
enum store_entry_presence { ENTRY_PRESENT, ENTRY_LEFT /* gone */, ENTRY_EITHER };
struct store_entry_filter {
        const char *text; /* start of common name, given name, surname (fold_search_beginning()) or address */
        /* Its members, and those of groups in it: the DN of a group, the common name that only one group has,
         * or a name that entries were imported with. PROBLEM_NOT_FOUND: no group; PROBLEM_EXISTS: several of
         * this common name, which the sentence lists. */
        const char *group;
        const char *unit;   /* this and everything under it */
        const char *server;
        int kind;           /* enum entry_kind; 0 = any */
        bool enabled;       /* only these */
        enum store_entry_presence presence;
};
/* In the order of guid. At most one of group, unit, server and text. Those who left are in the order of guid too. */
int store_entry_list(struct store *store, const struct store_entry_filter *filter, const struct id *after,
                     size_t most, void *context,
                     int (*each)(void *context, struct entry_row *row)) must_check;
/* The group that is there, by its DN or by a common name that no other one has. PROBLEM_EXISTS: several have it. */
int store_group_find(struct store *store, const char *name, struct entry_row *ret_row) must_check;
/* The ids of all in a group (as in the filter), 16 bytes each, in their order: persons, groups, also those who left. For
 * many pages of a large group: a page of store_entry_list() looks at all of its members. */
int store_group_members(struct store *store, const char *group, struct buf *ret_guids) must_check;
/* How many left; how many of a kind are present. Reads them all. */
int store_entry_count_left(struct store *store, int64_t *ret_count) must_check;
/* People of an LDAP directory who left after an instant. */
int store_entry_count_left_since(struct store *store, int64_t since, int64_t *ret_count) must_check;
int store_entry_count_present(struct store *store, int kind, int64_t *ret_count) must_check;

/* ---- users ---- */

int store_user_add(struct store *store, struct user_row *row) must_check;
int store_user_put(struct store *store, struct user_row *row) must_check;
int store_user_find(struct store *store, const struct id *id, struct user_row *ret_row) must_check;
int store_user_find_guid(struct store *store, const struct id *guid, struct user_row *ret_row) must_check;
/* Through the entry that has the address now. */
int store_user_find_address(struct store *store, const char *address, struct user_row *ret_row) must_check;
/* Those in this state whose entry left at or before `before`. */
int store_user_list_left(struct store *store, int state, int64_t before, size_t most, void *context,
                         int (*each)(void *context, struct user_row *row)) must_check;
/* In the order of id; state 0 = any. */
int store_user_list(struct store *store, int state, const struct id *after, size_t most, void *context,
                    int (*each)(void *context, struct user_row *row)) must_check;

/* ---- tokens and the answers to them ---- */

int store_token_add(struct store *store, struct token_row *row) must_check;
int store_token_put(struct store *store, struct token_row *row) must_check;
int store_token_find(struct store *store, const char *selector, struct token_row *ret_row) must_check;
/* The issued one of a user; there is at most one of a kind if each new one cancels the old. */
int store_token_find_issued(struct store *store, const struct id *user, int kind,
                            struct token_row *ret_row) must_check;
/* Issued ones that expired at or before `now`, at most `most`. */
int store_token_list_due(struct store *store, int64_t now, size_t most, void *context,
                         int (*each)(void *context, struct token_row *row)) must_check;
int store_reply_add(struct store *store, struct reply_row *row) must_check;
int store_reply_find(struct store *store, const char *selector, const uint8_t *digest,
                     struct reply_row *ret_row) must_check;
/* Remove those made before `before`; the audit record lists them. *ret_count < most: that was all. */
int store_reply_purge(struct store *store, int64_t before, size_t most, size_t *ret_count) must_check;

/* ---- certificates and revocations ---- */

int store_certificate_add(struct store *store, struct certificate_row *row) must_check;
int store_certificate_put(struct store *store, struct certificate_row *row) must_check;
int store_certificate_find(struct store *store, const uint8_t *serial, struct certificate_row *ret_row) must_check;
/* Any one of this key (SHA-256 of its SubjectPublicKeyInfo) that is not for encryption: those are archived. */
int store_certificate_find_key(struct store *store, const uint8_t *spki_hash,
                               struct certificate_row *ret_row) must_check;
/* Of a user, newest first; kind and state 0 = any. */
int store_certificate_list(struct store *store, const struct id *user, int kind, int state, void *context,
                           int (*each)(void *context, struct certificate_row *row)) must_check;
/* The encryption certificates to be used for an address at `now`: of the user who has it, valid, in time, naming it. */
int store_certificate_list_address(struct store *store, const char *address, int64_t now, void *context,
                                   int (*each)(void *context, struct certificate_row *row)) must_check;
/* Valid ones that expired before `now`, in the order of expiry, after a place where this was read up to before. */
struct store_certificate_place {
        int64_t not_after;
        uint8_t serial[SERIAL_SIZE];
};
int store_certificate_list_expired(struct store *store, const struct store_certificate_place *after, int64_t now,
                                   size_t most, void *context,
                                   int (*each)(void *context, struct certificate_row *row)) must_check;
/* What a user's client made for the directory; add, or put when row.version > 0. */
int store_smime_put(struct store *store, struct smime_row *row) must_check;
int store_smime_find(struct store *store, const struct id *user, struct smime_row *ret_row) must_check;
/* Number is given; the certificate's own row is the caller's to put. */
int store_revocation_add(struct store *store, struct revocation_row *row) must_check;
/* For another reason: the same, at its own time, under a new number, so that it shows as new. */
int store_revocation_again(struct store *store, const uint8_t *serial, int64_t reason) must_check;
/* Those with a number above `after`, in order: what a CRL has to add. */
int store_revocation_list(struct store *store, int64_t after, size_t most, void *context,
                          int (*each)(void *context, const struct revocation_row *row)) must_check;
int store_revocation_last(struct store *store, int64_t *ret_number) must_check; /* 0: none */

/* ---- archive ---- */

int store_archive_add(struct store *store, struct archive_row *row) must_check;
int store_archive_put(struct store *store, struct archive_row *row) must_check;
int store_archive_find(struct store *store, const struct id *id, struct archive_row *ret_row) must_check;
/* By the SHA-256 of its SubjectPublicKeyInfo. */
int store_archive_find_key(struct store *store, const uint8_t *spki_hash, struct archive_row *ret_row) must_check;
/* Of a user, oldest first; state 0 = any. */
int store_archive_list(struct store *store, const struct id *user, int state, void *context,
                       int (*each)(void *context, struct archive_row *row)) must_check;

/* ---- pool of encryption pairs ---- */

int store_pool_add(struct store *store, struct pool_row *row) must_check;
/* The oldest of the profile, which is removed by that, with the transaction. PROBLEM_NOT_FOUND: empty. */
int store_pool_take(struct store *store, const char *profile, struct pool_row *ret_row) must_check;
/* Of a profile, oldest first, after `after` (NULL: from the start); they stay. */
int store_pool_list(struct store *store, const char *profile, const struct id *after, size_t most, void *context,
                    int (*each)(void *context, struct pool_row *row)) must_check;
/* Remove it with the transaction that uses its key. PROBLEM_STALE when somebody else took it. */
int store_pool_remove(struct store *store, const struct pool_row *row) must_check;
/* Those of every other profile go, at most so many at once. */
int store_pool_purge(struct store *store, const char *profile, size_t most, size_t *ret_count) must_check;
int store_pool_count(struct store *store, const char *profile, int64_t *ret_count) must_check;

/* ---- operators, requests, approvals ---- */

int store_operator_add(struct store *store, struct operator_row *row) must_check;
int store_operator_put(struct store *store, struct operator_row *row) must_check;
int store_operator_find(struct store *store, const char *name, struct operator_row *ret_row) must_check;
int store_operator_find_invitation(struct store *store, const char *selector,
                                   struct operator_row *ret_row) must_check;
int store_operator_list(struct store *store, void *context, int (*each)(void *context,
                        struct operator_row *row)) must_check;
int store_request_add(struct store *store, struct request_row *row) must_check;
int store_request_put(struct store *store, struct request_row *row) must_check;
int store_request_find(struct store *store, const struct id *id, struct request_row *ret_row) must_check;
/* In the order of creation (id); state 0 = any; user NULL = any. */
int store_request_list(struct store *store, int state, const struct id *user, const struct id *after,
                       size_t most, void *context,
                       int (*each)(void *context, struct request_row *row)) must_check;
int store_approval_add(struct store *store, struct approval_row *row) must_check;
/* Its partials are erased once used; one that was struck may be given anew. */
int store_approval_put(struct store *store, struct approval_row *row) must_check;
int store_approval_list(struct store *store, const struct id *request, void *context,
                        int (*each)(void *context, struct approval_row *row)) must_check;

/* ---- operations, settings ---- */

int store_operation_add(struct store *store, struct operation_row *row) must_check;
int store_operation_find(struct store *store, const char *operator_name, const uint8_t *nonce,
                         struct operation_row *ret_row) must_check;
int store_operation_purge(struct store *store, int64_t before, size_t most, size_t *ret_count) must_check;
int store_setting_put(struct store *store, struct setting_row *row) must_check; /* add, or put when row.version > 0 */
int store_setting_find(struct store *store, const char *name, struct setting_row *ret_row) must_check;

/* ---- outbound queue: under a MAC, but outside the audit chain ---- */

int store_job_push(struct store *store, struct job_row *row) must_check; /* number is given; waiting, due as set */
/* The same, and the one that it would wait for, of its subject and kind, is due no later. */
int store_job_push_on(struct store *store, struct job_row *row) must_check;
/* For a kind whose job says only that something is to be brought up to date: one of subject and kind that waits already will do,
 * and is due no later than this; one that was given up is replaced. */
int store_job_push_once(struct store *store, struct job_row *row) must_check;
/* The next of a kind that is due, the first of its subject, and not running: it is running now, its attempts one more.
 * PROBLEM_NOT_FOUND: none. */
int store_job_claim(struct store *store, const char *kind, int64_t now, struct job_row *ret_row) must_check;
int store_job_done(struct store *store, struct job_row *row) must_check;
/* Waits again until `due`; row.error is kept. */
int store_job_retry(struct store *store, struct job_row *row, int64_t due) must_check;
/* As if it had not been claimed, for what is no fault of the job's, but due at `due`: behind those that were due before; row.error
 * is kept. */
int store_job_return(struct store *store, struct job_row *row, int64_t due) must_check;
/* Given up: it stays, and no longer holds its subject back. */
int store_job_fail(struct store *store, struct job_row *row) must_check;
/* Handed over to a mail server: it stays until `until`, so that a later report finds it. */
int store_job_sent(struct store *store, struct job_row *row, int64_t until) must_check;
int store_job_bounce(struct store *store, struct job_row *row, int64_t until) must_check;
/* Waits again, as if it were new; or goes. PROBLEM_STATE while it runs. */
int store_job_repeat(struct store *store, struct job_row *row, int64_t due) must_check;
int store_job_cancel(struct store *store, struct job_row *row) must_check;
int store_job_find(struct store *store, int64_t number, struct job_row *ret_row) must_check;
/* Sent and bounced ones whose time is over go. *ret_count < most: that was all. */
int store_job_purge(struct store *store, int64_t now, size_t most, size_t *ret_count) must_check;
/* After a start: running ones wait again, since who ran them is gone. */
int store_job_reclaim(struct store *store) must_check;
/* Those that wait beyond `now` do so no longer: it was another clock that told them to. */
int store_job_hasten(struct store *store, int64_t now) must_check;
/* When the next is due; 0: nothing waits. */
int store_job_due(struct store *store, int64_t *ret_due) must_check;
int store_job_list(struct store *store, int state, int64_t after, size_t most, void *context,
                   int (*each)(void *context, struct job_row *row)) must_check;

/* ---- counts, kept up to date with each change, so that reading them costs nothing ---- */

struct store_counts {
        int64_t entries;
        int64_t users[USER_REVOKED + 1];          /* by state */
        int64_t tokens[TOKEN_EXHAUSTED + 1];
        int64_t certificates[CERTIFICATE_SUPERSEDED + 1];
        int64_t archives[ARCHIVE_FORMER + 1];
        int64_t requests[REQUEST_CANCELLED + 1];
        int64_t operators[OPERATOR_DISABLED + 1];
        int64_t jobs[JOB_BOUNCED + 1];
        int64_t pool, replies, revocations, audit;
};
void store_counts(struct store *store, struct store_counts *ret_counts);

/* ---- verify: the whole database against its audit chain, a bounded number of rows a step, beside normal work ---- */

enum store_finding_kind {
        FINDING_ALTERED = 1, /* without the MAC of its content in its place: changed, inserted, swapped with another */
        FINDING_REPLAYED,    /* genuine, but an older one than the chain's, or one that was removed */
        FINDING_REMOVED,
        FINDING_UNKNOWN,     /* genuine, but no audit record knows it */
        FINDING_CHAIN,       /* an audit record was altered, removed, or put elsewhere */
        FINDING_HEAD,        /* a signed head does not fit */
        FINDING_INDEX,       /* an address or group points to the wrong entry */
        FINDING_COUNT,       /* a kept count is wrong */
};
struct store_finding {
        enum store_finding_kind kind;
        const char *table; /* "certificates" */
        const char *key;   /* as a person finds it: an id, an address, a number */
        const char *sentence;
};
struct store_verify_options {
        void *context;
        /* Non-zero ends the step with that result. */
        int (*found)(void *context, const struct store_finding *finding);
        /* Whether the keeper's signature over this head is right; NULL: not checked. */
        int (*check_head)(void *context, const struct audit_head *head, struct bytes signature);
};
struct store_verify_progress {
        int64_t done, total; /* rows; total may grow meanwhile */
        int64_t findings;
        struct audit_head head; /* up to which the chain was checked */
};
struct store_verify;
/* The store must outlive it; the options are copied. */
int store_verify_new(struct store *store, const struct store_verify_options *options,
                     struct store_verify **ret_verify) must_check;
void store_verify_free(struct store_verify *verify);
DEFINE_CLEANUP(struct store_verify *, store_verify_free)
/* About `most` rows more; outside a transaction (a fault otherwise). */
int store_verify_step(struct store_verify *verify, size_t most, bool *ret_finished) must_check;
void store_verify_progress(const struct store_verify *verify, struct store_verify_progress *ret_progress);
