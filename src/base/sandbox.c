/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

int sandbox_hide(void)
{
        struct rlimit none = {0, 0};

        if ((!SANITIZED && prctl(PR_SET_DUMPABLE, 0) < 0) || setrlimit(RLIMIT_CORE, &none) < 0)
                return fault(errno, "forbid core dumps");
        return 0;
}

/* A rule set without rules: nothing of any file system, whatever the descriptor or path. Older kernels have none of
 * it. */
static int landlock_enter(void)
{
        struct landlock_ruleset_attr attributes = {
                /* what the first version knew: there on every kernel with Landlock, and enough to open nothing */
                .handled_access_fs = (1ull << 13) - 1,
        };
        long ruleset = syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes.handled_access_fs), 0);

        if (ruleset < 0)
                return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : fault(errno, "make a Landlock rule set");
        if (syscall(SYS_landlock_restrict_self, (int)ruleset, 0) < 0)
                return fault(errno, "enter Landlock");
        close((int)ruleset);
        return 0;
}

#define CALL(name) SCMP_SYS(name)
static const int common[] = {
        /* memory (without PROT_EXEC: below) */
        CALL(munmap), CALL(mremap), CALL(madvise), CALL(brk), CALL(mlock), CALL(mlock2), CALL(munlock),
        /* the descriptors that it has */
        CALL(read), CALL(readv), CALL(write), CALL(writev), CALL(recvmsg), CALL(sendmsg), CALL(recvfrom), CALL(sendto),
        CALL(shutdown), CALL(close), CALL(fcntl), CALL(getsockopt), CALL(epoll_ctl), CALL(epoll_wait),
        CALL(epoll_pwait), CALL(poll), CALL(ppoll), CALL(fstat), CALL(newfstatat), CALL(lseek),
        /* time, randomness, signals, the end */
        CALL(clock_gettime), CALL(gettimeofday), CALL(time), CALL(getrandom), CALL(futex), CALL(getpid), CALL(gettid),
        CALL(tgkill), CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigreturn), CALL(sigaltstack),
        CALL(restart_syscall), CALL(sched_yield), CALL(sched_getaffinity), CALL(exit), CALL(exit_group),
};

static int calls_allow(scmp_filter_ctx filter, const int *calls, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0) < 0)
                        return -1;
        return 0;
}

static int calls_add(scmp_filter_ctx filter, const int *more, size_t count)
{
        struct scmp_arg_cmp not_executable = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);

        if (calls_allow(filter, common, ARRAY_LEN(common)) < 0 || calls_allow(filter, more, count) < 0)
                return -1;
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, not_executable) < 0 ||
            seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, not_executable) < 0)
                return -1;
        /* What a library may look for and do without: told so instead of killed. */
        return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOENT), SCMP_SYS(openat), 0) < 0 ||
               seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 0) < 0 ? -1 : 0;
}

static int calls_enter(const int *more, size_t count)
{
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
        int r = filter ? calls_add(filter, more, count) : -1;

        if (r == 0)
                r = seccomp_load(filter);
        if (filter)
                seccomp_release(filter);
        return r < 0 ? fault(r == -1 ? EINVAL : -r, "enter the system call filter") : 0;
}

int sandbox_restrict(const int *more, size_t count)
{
        if (SANITIZED)
                return 0;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return fault(errno, "give up new privileges");
        TRY(landlock_enter());
        return PASS(calls_enter(more, count));
}

/* ---- what has files and network */

enum {
        READ_FILES = LANDLOCK_ACCESS_FS_READ_FILE,
        READ_FOLDERS = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
        WRITE_FOLDERS = READ_FOLDERS | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
                        LANDLOCK_ACCESS_FS_MAKE_DIR,
};

static int rule_add(int ruleset, int fd, uint64_t access, const char *path)
{
        struct landlock_path_beneath_attr beneath = {.allowed_access = access, .parent_fd = fd};

        if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
                return fault(errno, "cannot keep %s open", path);
        return 0;
}

static int folder_allow(int ruleset, const char *folder)
{
        CLEANUP(fd_closep) int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return fault(errno, "cannot open the folder %s", folder);
        return PASS(rule_add(ruleset, fd, WRITE_FOLDERS, folder));
}

struct reading {
        int ruleset;
        char *hidden[SANDBOX_HIDDEN_MOST]; /* real paths */
        size_t hidden_count;
};

static void reading_done(struct reading *reading)
{
        for (size_t i = 0; i < reading->hidden_count; i++)
                free(reading->hidden[i]);
}

/* Is something hidden in this folder, at whatever depth? *ret_self: it is itself. */
static bool hides(const struct reading *reading, const char *path, bool *ret_self)
{
        size_t len = strlen(path);
        bool inside = false;

        *ret_self = false;
        for (size_t i = 0; i < reading->hidden_count; i++) {
                *ret_self = *ret_self || strcmp(reading->hidden[i], path) == 0;
                inside = inside || (strncmp(reading->hidden[i], path, len) == 0 && reading->hidden[i][len] == '/');
        }
        return inside;
}

static int folder_read(const struct reading *reading, const char *folder);

static int entry_read(const struct reading *reading, const char *path)
{
        CLEANUP(fd_closep) int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        struct stat info;
        bool self, inside = hides(reading, path, &self);

        /* What a link leads to is named where it is. */
        if (self || fd < 0 || fstat(fd, &info) < 0 || S_ISLNK(info.st_mode))
                return 0;
        if (inside)
                return PASS(folder_read(reading, path));
        return PASS(rule_add(reading->ruleset, fd, S_ISDIR(info.st_mode) ? READ_FOLDERS : READ_FILES, path));
}

/* Landlock only permits: all but what is hidden is each entry of the folders on the way to it, but the next one of these. What is
 * put into them later is not seen. */
static int folder_read(const struct reading *reading, const char *folder)
{
        DIR *entries = opendir(*folder ? folder : "/");
        int r = 0;

        for (struct dirent *entry; !r && entries && (entry = readdir(entries));) {
                CLEANUP(mem_freep) char *path = text_format("%s/%s", folder, entry->d_name);

                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        r = entry_read(reading, path);
        }
        if (entries)
                closedir(entries);
        return PASS(r);
}

static int reading_allow(int ruleset, const char *const *hidden)
{
        CLEANUP(reading_done) struct reading reading = {.ruleset = ruleset};

        for (size_t i = 0; i < SANDBOX_HIDDEN_MOST; i++) {
                char *real = hidden[i] && *hidden[i] ? realpath(hidden[i], NULL) : NULL;

                /* What is closed to this user anyway must not cost it sight of what is put beside that later: a file of
                 * root's in /etc would, of a new /etc/resolv.conf. */
                if (real && access(real, R_OK) == 0)
                        reading.hidden[reading.hidden_count++] = real;
                else
                        free(real);
        }
        return PASS(folder_read(&reading, ""));
}

static int files_enter(const struct sandbox_bounds *bounds)
{
        struct landlock_ruleset_attr attributes = {.handled_access_fs = (1ull << 13) - 1};
        CLEANUP(fd_closep) int ruleset =
                (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes.handled_access_fs), 0);

        if (ruleset < 0)
                return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : fault(errno, "make a Landlock rule set");
        if (bounds->folder)
                TRY(folder_allow(ruleset, bounds->folder));
        if (bounds->reads)
                TRY(reading_allow(ruleset, bounds->hidden));
        if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
                return fault(errno, "enter Landlock");
        return 0;
}

/* What no part of it has any use for. */
static const int forbidden[] = {
        CALL(execve), CALL(execveat), CALL(ptrace), CALL(process_vm_readv), CALL(process_vm_writev), CALL(mount), CALL(umount2),
        CALL(pivot_root), CALL(chroot), CALL(unshare), CALL(setns), CALL(bpf), CALL(init_module), CALL(finit_module),
        CALL(delete_module), CALL(kexec_load), CALL(keyctl), CALL(add_key), CALL(request_key), CALL(userfaultfd),
        CALL(perf_event_open), CALL(listen), CALL(accept), CALL(accept4), CALL(setuid), CALL(setgid),
        CALL(mknod), CALL(mknodat), CALL(swapon), CALL(reboot), CALL(settimeofday), CALL(clock_settime),
        /* what makes other calls unseen by the filter, and what takes descriptors out of other processes */
        CALL(io_uring_setup), CALL(io_uring_enter), CALL(io_uring_register), CALL(pidfd_getfd), CALL(process_madvise),
};
static const int sockets[] = {CALL(socket), CALL(connect), CALL(bind)};

static int calls_forbid(scmp_filter_ctx filter, const int *calls, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), calls[i], 0) < 0)
                        return -1;
        return 0;
}

static int confine_calls(bool network)
{
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
        int r = filter ? calls_forbid(filter, forbidden, ARRAY_LEN(forbidden)) : -1;

        if (r == 0 && !network)
                r = calls_forbid(filter, sockets, ARRAY_LEN(sockets));
        if (r == 0)
                r = seccomp_load(filter);
        if (filter)
                seccomp_release(filter);
        return r < 0 ? fault(r == -1 ? EINVAL : -r, "enter the system call filter") : 0;
}

int sandbox_confine(const struct sandbox_bounds *bounds)
{
        if (SANITIZED)
                return 0;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return fault(errno, "give up new privileges");
        TRY(files_enter(bounds));
        return PASS(confine_calls(bounds->network));
}
