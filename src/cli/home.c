/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/home.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "crypto/kdf.h"
#include "wire/message.h"

enum { NAME_KEPT = 150, RECORD_MOST = 4 << 20, LOCK_WAIT_MS = 10000, LOCK_STEP_US = 20000 };

static int home_root(char **ret_root)
{
        const char *home = getenv("VOUCHSAFE_HOME"), *config = getenv("XDG_CONFIG_HOME"), *user = getenv("HOME");

        if (home && *home)
                *ret_root = text_copy(home);
        else if (config && *config == '/')
                *ret_root = text_format("%s/vouchsafe", config);
        else if (user && *user)
                *ret_root = text_format("%s/.config/vouchsafe", user);
        else
                return refuse(PROBLEM_USAGE,
                              "There is no home folder to keep keys in; set VOUCHSAFE_HOME or use --home DIR.");
        return 0;
}

int home_path(char **ret_path, const char *format, ...)
{
        char *root CLEANUP(mem_freep) = NULL, *rest CLEANUP(mem_freep) = NULL;
        va_list arguments;
        int n;

        TRY(home_root(&root));
        va_start(arguments, format);
        n = vasprintf(&rest, format, arguments);
        va_end(arguments);
        if (n < 0)
                abort();
        *ret_path = text_format("%s/%s", root, rest);
        return 0;
}

void home_name_add(struct buf *out, const char *name)
{
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;

        for (const char *c = name; *c; c++) {
                if (*c == '/' || *c == '%' || *c == '~' || (unsigned char)*c < 0x21 || *c == 0x7f ||
                    (c == name && *c == '.'))
                        buf_add_format(&encoded, "%%%02X", (unsigned char)*c);
                else
                        buf_add_byte(&encoded, (uint8_t)*c);
        }
        if (encoded.len <= NAME_KEPT) {
                buf_add_bytes(out, buf_view(&encoded));
                return;
        }
        struct digest digest = sha256(bytes_text(name));
        size_t keep = NAME_KEPT;
        /* Not within a character. */
        while (keep && (encoded.data[keep] & 0xc0) == 0x80)
                keep--;
        buf_add(out, encoded.data, keep);
        buf_add_byte(out, '~');
        hex_add(out, bytes_of(digest.data, 16));
}

int home_make_parent(const char *path)
{
        char *folder CLEANUP(mem_freep) = text_copy(path);
        char *slash = strrchr(folder, '/');

        if (!slash || slash == folder)
                return 0;
        *slash = 0;
        return PASS(folder_make(folder, 0700));
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

int home_list(const char *path, struct home_entries *ret_entries)
{
        struct home_entries entries = {0};
        DIR *folder = opendir(path);

        if (!folder && errno != ENOENT)
                return fault(errno, "The folder %s cannot be read", path);
        for (struct dirent *entry; folder && (entry = readdir(folder));) {
                if (entry->d_name[0] == '.')
                        continue;
                entries.names = mem_resize(entries.names, entries.count + 1, sizeof(char *));
                entries.names[entries.count++] = text_copy(entry->d_name);
        }
        if (folder)
                closedir(folder);
        if (entries.count)
                qsort(entries.names, entries.count, sizeof(char *), compare_names);
        *ret_entries = entries;
        return 0;
}

void home_entries_done(struct home_entries *entries)
{
        for (size_t i = 0; i < entries->count; i++)
                free(entries->names[i]);
        free(entries->names);
        *entries = (struct home_entries){0};
}

int home_lock(const char *folder, int *ret_fd)
{
        char *path CLEANUP(mem_freep) = text_format("%s/.lock", folder);
        CLEANUP(fd_closep) int fd = -1;
        uint64_t until = clock_monotonic_ms() + LOCK_WAIT_MS;

        TRY(folder_make(folder, 0700));
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return fault(errno, "The lock %s cannot be opened", path);
        while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                if (errno != EWOULDBLOCK && errno != EINTR)
                        return fault(errno, "The folder %s cannot be locked", folder);
                if (clock_monotonic_ms() > until)
                        return refuse(PROBLEM_BUSY, "Another vouchsafe is at work in %s; wait until it has ended.",
                                      folder);
                usleep(LOCK_STEP_US);
        }
        *ret_fd = fd;
        fd = -1;
        return 0;
}

int home_record_read(const char *path, const struct msg_record *record, void *ret_message)
{
        CLEANUP(buf_done) struct buf content = BUF_NONE;
        int r;

        TRY(file_read(path, RECORD_MOST, &content));
        r = message_decode(record, buf_view(&content), ret_message);
        if (r > 0)
                return refuse(PROBLEM_MALFORMED, "The file %s is damaged or of another version.", path);
        return PASS(r);
}

int home_record_write(const char *path, const struct msg_record *record, const void *message)
{
        CLEANUP(buf_done) struct buf content = BUF_NONE;

        TRY(message_encode(record, message, &content));
        TRY(home_make_parent(path));
        return PASS(file_write(path, buf_view(&content), 0600));
}
