/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The process that has the directory ([directory] kind = ldap): it reads everybody when the engine asks it
 * to, sends pages and waits for the answer to each, then follows what changes; and it answers the engine's
 * questions in between. messages.def, from kind 72 on, says how the two talk.
 *
 * It keeps nothing: whatever fails ends the run with directory_end, and the engine asks again, with back-off.
 * Nor can a server make it keep much: while a full page waits for the engine nothing more is read, and the roster and
 * the groups have a limit (directory_room()).
 * A new directory_follow, or another number in directory_taken, drops the run that is under way.
 */
#include "base/loop.h"
#include "config/config.h"
#include "ldap/roster.h"
#include "ldap/schema.h"
#include "ldap/settings.h"
#include "outbound/follow.h"
#include "wire/channel.h"

enum directory_phase {
        DIRECTORY_IDLE,
        DIRECTORY_GROUPS,      /* are read */
        DIRECTORY_GROUPS_SENT, /* are sent, with the groups that hold them */
        DIRECTORY_PEOPLE,
        DIRECTORY_CONFLICTS, /* who could not be taken the first time */
        DIRECTORY_END,
        DIRECTORY_FOLLOWING,
};

/* Pages that wait to be sent, each after the answer to the one before. */
struct directory_page {
        struct list link;
        struct msg_directory_page content;
        size_t size; /* about */
};

struct directory {
        struct loop *loop;
        const struct config *config;
        const struct ldap_secrets *secrets;
        struct channel *engine;
        struct ldap_options options;
        struct schema schema;
        bool prepared;

        uint64_t run;
        enum directory_phase phase;
        struct ldap_connection *connection;
        struct ldap_reading reading;
        struct buf filter; /* of the reading */
        struct roster roster;
        struct follower follower;
        struct loop_timer step;
        struct list pages;
        struct channel_call call;
        struct id_list conflicts;
        struct id_list again; /* conflicts of the run that are yet to be sent a second time */
        bool repeated;        /* those that came up first were, of the run or of followed changes */
        struct {
                struct msg_person *at;
                size_t count, sent;
                size_t size; /* bytes, about */
        } groups; /* that were read */
        uint64_t people, without_address;

        struct ldap_connection *asking; /* for questions */
};

/* The configuration and the secrets are borrowed; the first stays as it is once directory_configure() was
 * called. */
void directory_init(struct directory *directory, struct loop *loop, const struct config *config,
                    const struct ldap_secrets *secrets);
void directory_done(struct directory *directory);
/* There is a configuration; later, new secrets. */
int directory_configure(struct directory *directory) must_check;
/* The engine's channel; NULL when it is gone. */
void directory_engine(struct directory *directory, struct channel *engine);
/* A message of the engine. PROBLEM_MALFORMED: it is none of these. */
int directory_received(struct directory *directory, struct channel *channel,
                       const struct channel_message *message) must_check;

/* PROBLEM_DIRECTORY_LOGIN when the account is not taken, and those of connections. */
int directory_connect(struct directory *directory, struct ldap_connection **ret_connection) must_check;

/* directory-run.c */
int directory_step(void *context);
void directory_run_begin(struct directory *directory, uint64_t run);
void directory_run_drop(struct directory *directory);
/* Something of the run failed: tell the engine, whose turn it is then. */
void directory_run_failed(struct directory *directory, int result);
int directory_news(void *context, int result);

/* directory-page.c */
void directory_pages_done(struct directory *directory);
/* Send what waits; when nothing does and no answer is awaited, go on. */
int directory_pages_pump(struct directory *directory) must_check;
/* A page is full: what is read next should wait. */
bool directory_page_full(const struct directory *directory);
/* To the page that is being filled. The person is taken over. */
void directory_person_add(struct directory *directory, bool whole, struct msg_person *person);
void directory_gone_add(struct directory *directory, const struct id *id);
/* Where findings go. */
struct msg_directory_page *directory_page_open(struct directory *directory, bool whole);
/* `problem` is why, 0: it is complete. */
int directory_end_send(struct directory *directory, int problem, const char *detail) must_check;

/* directory-entry.c: what is read becomes people and groups. */
int directory_group_found(void *context, struct ldap_entry *entry);
int directory_person_found(void *context, struct ldap_entry *entry);
/* PROBLEM_TOO_LARGE: there are more entries and memberships than this process keeps in memory. */
int directory_room(const struct directory *directory) must_check;
/* Read these, and send what they are now; who is not there any more is gone. Sorted, some hundreds. Others whom that
 * concerns are added to what is to be followed. */
int directory_read_again(struct directory *directory, const struct id_list *ids, bool whole) must_check;

/* directory-question.c */
/* Search on the connection for questions, which is made anew when it was lost. */
int directory_ask(struct directory *directory, const struct ldap_search *search, ldap_found *found,
                  void *context) must_check;
int directory_search(struct directory *directory, struct channel *channel,
                     const struct channel_message *message) must_check;
int directory_bind(struct directory *directory, struct channel *channel,
                   const struct channel_message *message) must_check;
