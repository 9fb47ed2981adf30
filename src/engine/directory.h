/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The directory, as the engine has it. The entries of the database are a mirror: selections, look-ups and lists work
 * from it, also while the directory is away. Two things feed it: imports and edits by operators (embedded), or the
 * outbound process that follows an LDAP server ([directory] kind = ldap).
 *
 * Questions. What the mirror cannot answer (a search filter, a password) is asked of the directory itself. A handler
 * asks with directory_ask_search() or directory_ask_bind() and returns 0; `resume` runs later, as after a keeper's
 * answer, in a savepoint of its own: with 0 and the reply's payload, or with a problem whose sentence is in
 * report_text(). PROBLEM_UNREACHABLE: the process or the directory is away, or did not answer in time.
 * PROBLEM_UNSUPPORTED, at once: the server has its own address book. PROBLEM_BUSY, at once: too many questions wait.
 */
#include "base/list.h"
#include "base/secret.h"
#include "model/id.h"
#include "wire/channel.h"

struct engine;
struct request;

enum {
        DIRECTORY_QUESTIONS_MOST = 256,
        DIRECTORY_PATIENCE_MS = 60 * 1000,
};

/* A question that a request asks, embedded there; one at a time. */
struct directory_question {
        struct list link;
        struct channel_call wire;
        uint16_t reply; /* the kind that answers it */
        uint64_t since_ms;
};

struct directory {
        struct channel *channel; /* to the process; NULL while there is none */
        struct list questions;
        size_t question_count;
};

void directory_init(struct engine *engine);
void directory_done(struct engine *engine);
/* The supervisor's connection to the process that follows the directory; takes `fd`. */
int directory_peer_add(struct engine *engine, int fd) must_check;
/* Once a second. */
void directory_pump(struct engine *engine);

/* Who matches an RFC 4515 filter: the reply is a directory_found. */
int directory_ask_search(struct request *request, const char *filter, uint64_t limit,
                         int (*resume)(struct request *request, int result, struct bytes reply)) must_check;
/* Whether this is the password of the entry; `dn` is where it was last. PROBLEM_PASSWORD: it is not, or the directory
 * lets this person not in. An empty password is refused here with the same: to LDAP it would be an anonymous bind,
 * which succeeds (RFC 4513 5.1.2). */
int directory_ask_bind(struct request *request, const struct id *guid, const char *dn, const struct secret *password,
                       int (*resume)(struct request *request, int result, struct bytes reply)) must_check;
/* No longer wait; idempotent. */
void directory_question_cancel(struct request *request);
