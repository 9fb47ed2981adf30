/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The directory, as the engine has it. The entries of the database are a mirror: selections, look-ups and lists work
 * from it, also while the directory is away. Two things feed it: imports and edits by operators (embedded), or the
 * outbound process that follows an LDAP server ([directory] kind = ldap).
 *
 * Runs. A run reads the whole directory: the process is asked for it (directory_follow), sends pages, and ends it
 * (directory_end); then it follows what changes, in pages too. Each page is one transaction and one audit record, and
 * is answered when that is durable. Who was not seen in a run that was complete has left: his entry says since when, and
 * everything else stays. A run in which more than [directory] left-most of the people would leave, with those who left
 * within a day, makes nobody leave; an operator can accept that. Whatever cuts a run off, the next one mends it: a run compares, it does not count on what
 * was before.
 *
 * Two who claim one address or DN. Pages come in any order, so who has an address now may be about to give it up: who
 * claims it is told back as a conflict, is sent again at the end of the run, and gets it unless the holder was seen to
 * have it in this very run; then that is a finding.
 *
 * Questions. What the mirror cannot answer (a search filter, a password) is asked of the directory itself. A handler
 * asks with directory_ask_search() or directory_ask_bind() and returns 0; `resume` runs later, as after a keeper's
 * answer, in a savepoint of its own: with 0 and the reply's payload, or with a problem whose sentence is in
 * report_text(). PROBLEM_UNREACHABLE: the process or the directory is away, or did not answer in time.
 * PROBLEM_UNSUPPORTED, at once: the server has its own address book. PROBLEM_BUSY, at once: too many questions wait.
 */
#include "base/list.h"
#include "base/loop.h"
#include "base/secret.h"
#include "model/id-set.h"
#include "model/rows.h"
#include "wire/channel.h"
#include "wire/message.h"

struct engine;
struct request;

enum {
        DIRECTORY_QUESTIONS_MOST = 256,
        DIRECTORY_PATIENCE_MS = 60 * 1000,
        DIRECTORY_FINDINGS_MOST = 1000,
        DIRECTORY_CONFLICTS_MOST = 10000, /* in memory until the end of the run; more are findings at once */
};

/* A question that a request asks, embedded there; one at a time. */
struct directory_question {
        struct list link;
        struct channel_call wire;
        uint16_t reply; /* the kind that answers it */
        uint64_t since_ms;
};

/* Runs when the round that it was given to is over. */
struct round_after {
        struct list link;
        void (*run)(struct round_after *after, bool stored);
};

enum directory_phase {
        DIRECTORY_WAITING,   /* for the process, the database key, or the time of the next try */
        DIRECTORY_READING,   /* pages of a run come */
        DIRECTORY_LEAVING,   /* all were seen; who was not is looked for, and leaves */
        DIRECTORY_FOLLOWING, /* what changes comes */
};

/* Somebody who could not be taken as yet, and what he claims (addresses, store_name_key() of the DN). */
struct directory_conflict {
        struct id guid;
        struct texts claims;
};

/* A page or end that came and is not answered yet; the process waits for that before it sends another. */
struct directory_answer {
        struct engine *engine;
        bool waits;
        uint64_t id; /* of the message */
        uint16_t kind;
        struct msg_directory_taken taken;
        struct round_after after;
};

struct directory {
        struct channel *channel; /* to the process; NULL while there is none */
        struct list questions;
        size_t question_count;

        enum directory_phase phase;
        struct channel_call follow;
        struct msg_directory_runs runs; /* as the database has them */
        bool loaded;
        struct msg_directory_run run; /* the one under way, or the last one */
        uint64_t accepted;            /* the run that may make everybody leave; 0: none */
        uint64_t next_ms;             /* when another is due, on the monotonic clock */
        uint64_t heard_ms;            /* when the process last said something */
        uint64_t delay_ms;            /* after a run that failed */
        char *wrong;                  /* a sentence; NULL: nothing */

        struct id_set seen; /* in this run */
        struct directory_conflict *conflicts;
        size_t conflict_count;
        struct directory_answer answer;
        struct buf leaving; /* ids */
        size_t leaving_done;
        bool looked; /* `leaving` has all of them */
        struct id cursor;
        int64_t present, present_people; /* entries of the directory before anybody leaves */
        size_t leaving_people;
        int64_t followed_left; /* since the last complete run */
        int64_t accepted_at;   /* who left until then does not count any more */
        struct loop_timer step;

        struct {
                struct msg_finding *at;
                size_t count;
        } findings; /* the newest */
        uint64_t findings_total;
        int64_t people, groups, left; /* as they were counted last */
        uint64_t counted_ms;
        bool changed; /* entries were, since */
        uint64_t revoke_ms; /* when who left long ago is looked for again */
};

void directory_init(struct engine *engine);
void directory_done(struct engine *engine);
/* The supervisor's connection to the process that follows the directory; takes `fd`. */
int directory_peer_add(struct engine *engine, int fd) must_check;
/* Once a second. */
void directory_pump(struct engine *engine);
/* The database cannot be written any more. */
void directory_sealed(struct engine *engine);
/* Revoke some of those who left [directory] revoke-left-after ago. */
int directory_sweep(struct engine *engine) must_check;
/* PROBLEM_UNSUPPORTED when people come from an LDAP directory. */
int directory_embedded(const struct engine *engine) must_check;
void directory_metrics(struct engine *engine, struct buf *out);

/* ---- questions ---- */

/* Who matches an RFC 4515 filter: the reply is a directory_found. */
int directory_ask_search(struct request *request, const char *filter, uint64_t limit,
                         int (*resume)(struct request *request, int result, struct bytes reply)) must_check;
/* Whether this is the password of the entry; `dn` is where it was last. PROBLEM_PASSWORD: it is not, or the directory
 * lets this person not in. An empty password is refused here with the same: to LDAP it would be an anonymous bind,
 * which succeeds (RFC 4513 5.1.2); and so is one with a zero byte, which servers may take for its end. */
int directory_ask_bind(struct request *request, const struct id *guid, const char *dn, const struct secret *password,
                       int (*resume)(struct request *request, int result, struct bytes reply)) must_check;
/* Another question of messages.def: the payload of its reply goes to `resume`. */
int directory_ask(struct request *request, enum msg_kind kind, const void *message, enum msg_kind reply,
                  int (*resume)(struct request *request, int result, struct bytes payload)) must_check;
/* No longer wait; idempotent. */
void directory_question_cancel(struct request *request);

/* ---- among the files of the directory ---- */

/* directory-run.c */
void directory_run_init(struct engine *engine);
void directory_run_done(struct engine *engine);
/* `runs`, as the database has them. */
int directory_runs_load(struct engine *engine) must_check;
void directory_run_copy(struct msg_directory_run *to, const struct msg_directory_run *from);
int directory_received(struct engine *engine, struct channel_message *message) must_check;
void directory_lost(struct engine *engine); /* its process is */
void directory_run_pump(struct engine *engine);
/* Begin one as soon as possible; its number. */
uint64_t directory_run_soon(struct engine *engine, bool accept_departures);
/* It is over, and another one is tried later; what waits for an answer gets it. */
void directory_run_fail(struct engine *engine, int problem, const char *sentence);
/* `detail` NULL: what the process said at the end. */
void directory_run_end(struct engine *engine, const char *outcome, const char *detail);
void directory_finding(struct engine *engine, const char *severity, const char *subject, const char *detail);
/* Answer what the process waits for, once the round is durable. */
void directory_answer_after(struct engine *engine);
/* Change the database: 0, or what was wrong, and then nothing was changed. */
int directory_change(struct engine *engine, int (*change)(struct engine *engine, void *context),
                     void *context) must_check;
/* Whether so many of so many may leave at once. */
bool directory_may_leave(const struct engine *engine, int64_t leaving, int64_t present);
/* The same of people, and all who left within a day count: many small departures are a large one. */
int directory_people_may_leave(struct engine *engine, int64_t leaving, bool *ret_may) must_check;

/* directory-page.c */
int directory_page_take(struct engine *engine, const struct msg_directory_page *page) must_check;
void directory_conflicts_done(struct directory *directory);

/* directory-leave.c: in steps, so that others are served meanwhile */
void directory_leave_begin(struct engine *engine);
int directory_leave_step(void *engine);
