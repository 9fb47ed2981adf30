/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One API request on its way through the engine: received, authorised, handled, recorded, committed with the others
 * of its round, answered.
 *
 * A handler fills request->reply and returns 0, or returns a problem. Between request_begin and its end stands a
 * savepoint: what a refused request has changed is undone, and the refusal recorded instead. A handler that needs a
 * keeper asks it with request_keeper() and returns 0; `resume` then runs in a savepoint of its own, later, in another
 * round: it must load again what it relies on.
 *
 * Whoever asked is told only once the round is durable.
 */
#include "crypto/kdf.h"
#include "engine/directory.h"
#include "engine/keepers.h"
#include "store/store.h"
#include "wire/message.h"

struct engine;
struct request;

enum request_who { WHO_ANYONE, WHO_TOKEN, WHO_TICKET, WHO_OPERATOR };

enum request_flags {
        REQUEST_SEALED = 1 << 0,  /* works while sealed */
        REQUEST_CHANGES = 1 << 1, /* recorded when done; the answer is kept for who repeats it */
        REQUEST_REVEALS = 1 << 2, /* recorded though it changes nothing */
        REQUEST_OWN_WAY = 1 << 3, /* changes, but is repeatable by its nature: no answer is kept */
        REQUEST_PUBLIC = 1 << 4,  /* nothing of it comes from the database: answered even when the commit fails */
        REQUEST_SECRET = 1 << 5,  /* its message holds private material: not kept in the audit record */
};

struct request_entry {
        uint16_t kind;
        uint8_t who;
        uint8_t roles; /* bits of enum operator_role, any of which will do */
        uint8_t flags;
        const char *action; /* in the audit trail */
        int (*handle)(struct request *request);
};

/* How an answer leaves: kind MSG_api_reply or MSG_problem. Called exactly once. */
struct request_sink {
        void (*answer)(void *context, uint16_t kind, struct bytes payload);
        void *context;
};

struct request {
        struct list link; /* engine->requests while it waits, engine->round.answers when it is answered */
        struct engine *engine;
        const struct request_entry *kind;
        struct request_sink sink;
        struct msg_api api;
        struct digest digest; /* of the payload */
        const struct msg_record *message_record, *reply_record;
        void *message, *reply;

        struct operator_row operator_row; /* WHO_OPERATOR; or WHO_TICKET with a signature */
        bool is_operator;
        struct id ticket_user;

        char *guard; /* one at a time: others with the same guard are parked until this one has ended */
        bool parked, waiting, recorded;
        bool proven;       /* who asks knows a secret: that he is refused all the same is no guess */
        bool keep_refusal; /* what was changed stays although it is refused: a wrong attempt that counts */
        bool repeated;     /* the answer was kept from before */
        struct keeper_call call;
        struct directory_question question;
        int (*resume)(struct request *request, int result, struct bytes reply);
        void *work; /* of the handler, for resume */
        void (*work_free)(void *work);

        char *actor; /* for the record: "operator:anna", "user:a@example.org", "stranger" */
        struct buf subject, details;

        uint16_t answer_kind;
        struct buf answer; /* encoded; wiped when released */
};

/* Takes `api`. */
void request_receive(struct engine *engine, struct msg_api *api, struct request_sink sink);
void request_free(struct request *request);
/* One that waits ends now, with this problem. */
void request_abort(struct request *request, int problem);
/* The rest of what a request began, after its keeper answered or another one ended. */
void request_continue(struct request *request, int result, struct bytes reply);
/* Ask a keeper; `resume` runs with the answer. */
int request_keeper(struct request *request, enum msg_kind kind, const void *message,
                   int (*resume)(struct request *request, int result, struct bytes reply)) must_check;
/* Keep it waiting for something else than a keeper; request_continue() ends that. */
void request_wait(struct request *request, int (*resume)(struct request *request, int result, struct bytes reply));
/* True: another one with this guard is under way, and this one is parked; the handler returns 0 at once. */
bool request_guard(struct request *request, const char *guard);
/* What the record of it will say. */
void request_subject(struct request *request, const char *format, ...) __attribute__((format(printf, 2, 3)));
void request_details(struct request *request, const char *format, ...) __attribute__((format(printf, 2, 3)));
void request_actor(struct request *request, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Record now what was changed so far, so that it stays when the rest is refused. */
int request_record(struct request *request, const char *outcome) must_check;
const char *request_operator(const struct request *request); /* "" when none */
bool request_has_role(const struct request *request, unsigned roles);

/* ---- the table and its handlers ---- */
const struct request_entry *request_entry_find(unsigned kind);
/* Actions in the audit trail that are no request's own begin with "server.". */

int status_handle(struct request *request);
int authority_handle(struct request *request);
int token_use_handle(struct request *request);
int certificate_find_handle(struct request *request);
int publish_check_handle(struct request *request);
int smime_put_handle(struct request *request);
int directory_import_handle(struct request *request);
int directory_list_handle(struct request *request);
int directory_edit_handle(struct request *request);
int directory_status_handle(struct request *request);
int directory_sync_handle(struct request *request);
int self_enroll_handle(struct request *request);
int user_enroll_handle(struct request *request);
int user_list_handle(struct request *request);
int user_show_handle(struct request *request);
int user_revoke_handle(struct request *request);
int request_create_handle(struct request *request);
int request_list_handle(struct request *request);
int request_show_handle(struct request *request);
int request_approve_handle(struct request *request);
int request_refuse_handle(struct request *request);
int request_startup_handle(struct request *request);
int operator_invite_handle(struct request *request);
int operator_list_handle(struct request *request);
int operator_disable_handle(struct request *request);
int queue_list_handle(struct request *request);
int queue_change_handle(struct request *request);
int queue_bounce_handle(struct request *request);
int audit_list_handle(struct request *request);
int verify_handle(struct request *request);
