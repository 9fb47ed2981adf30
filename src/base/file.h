/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Files, whole: read with a limit, written so that a crash leaves the old or the new, never half. */
#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"

void fd_closep(int *fd); /* for CLEANUP; -1 is none */
/* Write all, whatever the number of calls it takes; EINTR and short writes are handled. */
int fd_write_all(int fd, const void *data, size_t len) must_check;
/* Read up to `len`; *ret_len is 0 at the end only. */
int fd_read(int fd, void *data, size_t len, size_t *ret_len) must_check;
/* PROBLEM_NOT_FOUND, PROBLEM_FORBIDDEN by its mode, PROBLEM_MALFORMED for a folder, PROBLEM_TOO_LARGE. */
int file_read(const char *path, size_t limit, struct buf *ret_content) must_check;
/* The same when `check` says 0 to the very file that is read, whatever bears its name meanwhile. */
int file_read_checked(const char *path, size_t limit, int (*check)(const char *path, const struct stat *st),
                      struct buf *ret_content) must_check;
/* PROBLEM_EXISTS when a device, a pipe or a folder has this name, which a file must not take. */
int file_replaceable(const char *path) must_check;
/* Temporary file in the same folder, fsync, rename, fsync of the folder. PROBLEM_STORAGE when the disk is full or read-only, or the
 * folder is not there or closed; PROBLEM_EXISTS as above. */
int file_write(const char *path, struct bytes content, mode_t mode) must_check;
/* Remove the temporary files that file_write() of this path left when it was killed. Only while nobody else writes it. */
void file_write_clear(const char *path);
/* Make the folder and its parents. */
int folder_make(const char *path, mode_t mode) must_check;
