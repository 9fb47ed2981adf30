/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The key store of a user: a file that his password opens (argon2id, AES-256-GCM) with a wire-encoded record in it.
 * Keys are added; none is ever taken out, also not when the file is replaced: a store that another password closes is
 * put aside, not written over.
 *
 * Files are replaced whole (temporary file, fsync, rename), so a process that is killed leaves the old or the new.
 * Whoever changes one holds the lock of its folder (home_lock()).
 */
#include "crypto/kdf.h"
#include "wire/message.h"

/* PROBLEM_NOT_FOUND, PROBLEM_PASSWORD; PROBLEM_MALFORMED names the file. `record` is the one that was sealed. */
int sealed_read(const char *path, const struct secret *password, const struct msg_record *record,
                void *ret_message) must_check;
int sealed_write(const char *path, const struct secret *password, const struct msg_record *record,
                 const void *message) must_check;

#define keystore_read(path, password, ret_store)                                                                     \
        ({                                                                                                           \
                struct msg_key_store *typed_ = (ret_store);                                                          \
                sealed_read((path), (password), msg_record_key_store(), typed_);                                     \
        })
#define keystore_write(path, password, store)                                                                        \
        ({                                                                                                           \
                const struct msg_key_store *typed_ = (store);                                                        \
                sealed_write((path), (password), msg_record_key_store(), typed_);                                    \
        })

/* Put a key in front; one whose certificate is there already is left as it is. */
void keystore_add(struct msg_key_store *store, const char *kind, struct bytes certificate,
                  const struct secret *pkcs8);
/* Add all keys of another store. */
void keystore_merge(struct msg_key_store *store, const struct msg_key_store *from);

/* Argon2id cost of new files; unit tests lower it. */
extern struct password_cost client_password_cost;
