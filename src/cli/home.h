/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The client's folder: --home, $VOUCHSAFE_HOME, or $XDG_CONFIG_HOME/vouchsafe, or ~/.config/vouchsafe. All of it is
 * the person's own (0700, 0600).
 *
 *   users/ADDRESS/keys       key store (keystore.h)        operators/NAME@HOST   operator_file, encoded
 *   users/ADDRESS/config     client_config, encoded        cache/                certificates, revocation lists
 *   pending/WHAT-SELECTOR    a use of a token that was begun, to "enroll" or "recover"
 *
 * Names from outside become file names by home_name_add(): percent-encoding of what has a meaning to the file system, and
 * a digest in place of the rest of one that would be too long.
 */
#include "base/buf.h"
#include "base/fault.h"
#include "base/mem.h"

/* Paths are owned by the caller. Faults when there is no home. */
int home_path(char **ret_path, const char *format, ...) __attribute__((format(printf, 2, 3))) must_check;
/* Append the file name that stands for `name`. Different names have different file names. */
void home_name_add(struct buf *out, const char *name);
/* Make the folder that the file `path` lies in. */
int home_make_parent(const char *path) must_check;

/* The entries of a folder (not those that begin with a dot), sorted; a folder that does not exist has none. */
struct home_entries {
        char **names;
        size_t count;
};
int home_list(const char *path, struct home_entries *ret_entries) must_check;
void home_entries_done(struct home_entries *entries);

/* The exclusive lock of a folder, made when missing; waits up to ten seconds. PROBLEM_BUSY. Released by closing
 * `ret_fd`. */
int home_lock(const char *folder, int *ret_fd) must_check;

/* Read and write an encoded record. PROBLEM_NOT_FOUND; PROBLEM_MALFORMED names the file. */
struct msg_record;
int home_record_read(const char *path, const struct msg_record *record, void *ret_message) must_check;
int home_record_write(const char *path, const struct msg_record *record, const void *message) must_check;
