/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Setting up a server. A keeper that is started for this alone makes all keys; an engine that is started for this
 * alone makes the database. The engine never sees the secrets of set-up, and this program has them only between the
 * keeper's answer and where the operator wants them.
 *
 * Whatever is written goes under a name ending in ".new" first; the database is last of these. Then the database gets
 * its name: from that moment there is a server. Then all others get theirs, after a list (init.pending in the data
 * folder). So: cut off before that moment    there is no server; run again, all is made anew cut off after it run
 * again, the names on the list are given, nothing else is touched a server is there             PROBLEM_EXISTS
 */
#include <sys/types.h>

#include "config/config.h"
#include "wire/message.h"

struct setup {
        struct config config;
        char *config_path;
        char *config_text; /* to be written; NULL: the file is there */
        struct msg_keeper_init request;
        const char *root_out;             /* PKCS#12 of the root */
        const char *startup_out;          /* NULL: shown on the terminal */
        const char *codes_folder;         /* NULL: shown on the terminal */
        struct msg_keeper_init_done done; /* the keeper's answer */
        struct secret tls_key;            /* PKCS#8; none when the configuration names a certificate of its own */
        struct secret pending;            /* the list of renames, "from\nto\n" … */
};

void setup_done(struct setup *setup);
/* PROBLEM_EXISTS when there is a server; *ret_completed when a cut-off set-up was completed just now. */
int setup_check(const struct setup *setup, bool *ret_completed) must_check;
int setup_make_keys(struct setup *setup) must_check; /* TLS key, and what the keeper makes */
int setup_write(struct setup *setup) must_check;     /* everything but the database, under new names */
int setup_database(struct setup *setup) must_check;  /* the database, under its new name */
int setup_commit(struct setup *setup) must_check;    /* names */
void setup_discard(const struct setup *setup);       /* what was written, after a failure before setup_commit() */

/* program.c: a helper of the server, with a connection on its descriptor 3. */
struct program {
        pid_t pid;
        int fd;
};
/* Is it there? Known before other work is done for it. */
int program_check(const char *folder, const char *name) must_check;
int program_start(const char *folder, const char *name, const char *const *options,
                  struct program *ret_program) must_check;
/* Ask, and take the answer of kind `wanted`; problems are the program's own. */
int program_call(const struct program *program, unsigned kind, const struct msg_record *record, const void *request,
                 unsigned wanted, struct secret *ret_answer) must_check;
void program_done(struct program *program); /* closes, and waits for it to end */
