/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the tests and the benchmark of the store share: a new database each, and rows to put in. */
#include <stdio.h>

#include "base/secret.h"
#include "store/db.h"
#include "store/store.h"

enum { TEST_TIME = 1800000000 };

struct help {
        char *folder;   /* NULL for PostgreSQL */
        char *location;
        struct store *store;
        struct secret row, column;
};

/* A new database, set up and unsealed: PostgreSQL at $VOUCHSAFE_TEST_DATABASE, which is emptied, or SQLite in a new
 * folder. Aborts on failure,
 * as everything here does, with the report. */
struct help *help_new(void);
struct help *help_new_unset(void); /* not set up, no keys */
void help_keys(struct help *help); /* make them again */
void help_free(struct help *help);
void help_reopen(struct help *help); /* as after a restart */
void help_raw(struct help *help, const char *sql); /* behind the store's back */
bool help_pgsql(void);

void must(int result); /* 0, or the end */
void help_audit(struct store *store, const char *action, const char *subject);
/* Rows that are filled in every field; number tells them apart. */
struct user_row help_user(unsigned number);
struct entry_row help_entry(unsigned number);
struct token_row help_token(unsigned number, const struct id *user);
struct certificate_row help_certificate(unsigned number, const struct id *user, int kind);
struct archive_row help_archive(unsigned number, const struct id *user);
struct pool_row help_pool(unsigned number);
struct operator_row help_operator(unsigned number);
struct request_row help_request(unsigned number, const struct id *user);
struct id help_id(unsigned table, unsigned number);
/* The name of an address, "user7@example.org", in a ring of static buffers. */
const char *help_address(unsigned number);
const char *help_selector(unsigned number);
struct secret help_secret(unsigned number, size_t len);
struct buf help_bytes(unsigned number, size_t len);

/* In a test: put within a transaction of its own, with its record. */
#define STORE (((struct help *)*state)->store)
/* Put within a transaction of its own, with its record. */
#define CHANGE(...)                                                                                          \
        do {                                                                                                 \
                must(store_begin(STORE));                                                                    \
                __VA_ARGS__;                                                                                 \
                help_audit(STORE, "test.change", "something");                                               \
                must(store_commit(STORE));                                                                   \
        } while (0)

/* What a list gave, in words. */
struct seen {
        size_t count;
        char text[4096];
};
static inline void see(struct seen *seen, const char *text)
{
        seen->count++;
        snprintf(seen->text + strlen(seen->text), sizeof(seen->text) - strlen(seen->text), "%s ", text);
}
#define SEEN(list, ...)                                                                                      \
        ({                                                                                                   \
                seen = (struct seen){0};                                                                     \
                must(list(STORE, __VA_ARGS__));                                                              \
                seen.text;                                                                                   \
        })
