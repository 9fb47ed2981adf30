/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/mem.h"

enum { TEMPORARY = 6 /* letters that mkostemp() puts in */ };

void fd_closep(int *fd)
{
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

int fd_write_all(int fd, const void *data, size_t len)
{
        const uint8_t *from = data;

        while (len) {
                ssize_t written = write(fd, from, len);

                if (written < 0 && errno == EINTR)
                        continue;
                if (written < 0)
                        return fault(errno, "writing failed");
                from += written;
                len -= (size_t)written;
        }
        return 0;
}

int fd_read(int fd, void *data, size_t len, size_t *ret_len)
{
        for (;;) {
                ssize_t got = read(fd, data, len);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return fault(errno, "reading failed");
                *ret_len = (size_t)got;
                return 0;
        }
}

int file_read_checked(const char *path, size_t limit, int (*check)(const char *path, const struct stat *st),
                      struct buf *ret_content)
{
        /* What it is not to read must not hold it up either. */
        CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | (check ? O_NONBLOCK : 0));
        CLEANUP(buf_done) struct buf content = BUF_NONE;
        struct stat st;

        if (fd < 0 && errno == ENOENT)
                return refuse(PROBLEM_NOT_FOUND, "There is no file %s.", path);
        if (fd < 0 && errno == EACCES)
                return refuse(PROBLEM_FORBIDDEN, "The file %s cannot be read: %s.", path, strerror(errno));
        if (fd < 0)
                return fault(errno, "cannot open %s", path);
        if (fstat(fd, &st) < 0)
                return fault(errno, "cannot look at %s", path);
        if (S_ISDIR(st.st_mode))
                return refuse(PROBLEM_MALFORMED, "%s is a folder, not a file.", path);
        if (check)
                TRY(check(path, &st));
        if (check && fcntl(fd, F_SETFL, 0) < 0)
                return fault(errno, "cannot read %s", path);
        for (;;) {
                size_t len;

                buf_reserve(&content, 65536);
                int r = fd_read(fd, content.data + content.len, 65536, &len);
                if (r)
                        return report_prefix(PASS(r), "%s: ", path);
                if (!len)
                        break;
                buf_extend(&content, len);
                if (content.len > limit)
                        return refuse(PROBLEM_TOO_LARGE, "%s is larger than %zu bytes.", path, limit);
        }
        *ret_content = buf_take(&content);
        return 0;
}

int file_read(const char *path, size_t limit, struct buf *ret_content)
{
        return PASS(file_read_checked(path, limit, NULL, ret_content));
}

static int storage_result(const char *path)
{
        if (errno == ENOSPC || errno == EDQUOT || errno == EROFS)
                return refuse(PROBLEM_STORAGE, "%s cannot be written: %s. Make room, then try again.", path,
                              errno == EROFS ? "the file system is read-only" : "the disk is full");
        if (errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == EPERM || errno == ENAMETOOLONG)
                return refuse(PROBLEM_STORAGE, "%s cannot be written: %s.", path, strerror(errno));
        return fault(errno, "cannot write %s", path);
}

int file_replaceable(const char *path)
{
        char target[sizeof("/proc/")] = "";
        struct stat st;
        bool other = stat(path, &st) == 0 && !S_ISREG(st.st_mode);

        /* /dev/stdout is a link there, to whatever the standard output is. */
        if (!other && (readlink(path, target, sizeof(target) - 1) < 0 || strcmp(target, "/proc/") != 0))
                return 0;
        return refuse(PROBLEM_EXISTS, "%s is no ordinary file, and is not replaced by one. Name a file.", path);
}

static int folder_sync(const char *path)
{
        CLEANUP(mem_freep) char *folder = text_copy(path);
        char *slash = strrchr(folder, '/');

        if (slash && slash != folder)
                *slash = 0;
        CLEANUP(fd_closep) int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fsync(fd) < 0)
                return storage_result(path);
        return 0;
}

static int file_fill(int fd, const char *path, struct bytes content, mode_t mode)
{
        while (content.len) {
                ssize_t written = write(fd, content.data, content.len);

                if (written < 0 && errno == EINTR)
                        continue;
                if (written < 0)
                        return storage_result(path);
                content.data += written;
                content.len -= (size_t)written;
        }
        if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
                return storage_result(path);
        return 0;
}

int file_write(const char *path, struct bytes content, mode_t mode)
{
        CLEANUP(mem_freep) char *temporary = text_format("%s.XXXXXX", path);
        CLEANUP(fd_closep) int fd = -1;
        int r;

        TRY(file_replaceable(path));
        fd = mkostemp(temporary, O_CLOEXEC);
        if (fd < 0)
                return storage_result(path);
        r = file_fill(fd, path, content, mode);
        if (!r && rename(temporary, path) < 0)
                r = storage_result(path);
        if (r) {
                unlink(temporary);
                return PASS(r);
        }
        return PASS(folder_sync(path));
}

void file_write_clear(const char *path)
{
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        CLEANUP(mem_freep) char *folder = slash ? text_copy_n(path, (size_t)(slash + 1 - path)) : text_copy(".");
        size_t len = strlen(name);
        DIR *entries = opendir(folder);

        for (struct dirent *entry; entries && (entry = readdir(entries));)
                if (strncmp(entry->d_name, name, len) == 0 && entry->d_name[len] == '.' &&
                    strlen(entry->d_name + len + 1) == TEMPORARY && !strchr(entry->d_name + len + 1, '.'))
                        (void)unlinkat(dirfd(entries), entry->d_name, 0);
        if (entries)
                closedir(entries);
}

int folder_make(const char *path, mode_t mode)
{
        CLEANUP(mem_freep) char *part = text_copy(path);

        for (char *slash = part + 1; (slash = strchr(slash, '/')); slash++) {
                *slash = 0;
                if (mkdir(part, mode) < 0 && errno != EEXIST)
                        return storage_result(part);
                *slash = '/';
        }
        if (mkdir(part, mode) < 0 && errno != EEXIST)
                return storage_result(part);
        return 0;
}
