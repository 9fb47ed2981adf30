/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sandbox.h"

enum { DESCRIPTORS_MOST = 524288 }; /* a hard limit of a thousand million, as containers have, helps nobody */

static int limit_raise(int resource, rlim_t most)
{
        struct rlimit limit;

        if (getrlimit(resource, &limit) < 0)
                return fault(errno, "cannot read a resource limit");
        limit.rlim_cur = MIN(limit.rlim_max, most);
        if (setrlimit(resource, &limit) < 0)
                return fault(errno, "cannot set a resource limit");
        return 0;
}

/* The startup secret and the TLS key come through here; the other processes run as the same user. */
static int process_hide(void)
{
        struct rlimit none = {0, 0};

        if ((!SANITIZED && prctl(PR_SET_DUMPABLE, 0) < 0) || setrlimit(RLIMIT_CORE, &none) < 0)
                return fault(errno, "cannot forbid core dumps");
        return 0;
}

/* All of it is inherited by the children. */
int process_limits(void)
{
        TRY(process_hide());
        TRY(limit_raise(RLIMIT_NOFILE, DESCRIPTORS_MOST));
        TRY(limit_raise(RLIMIT_MEMLOCK, RLIM_INFINITY));
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return fault(errno, "cannot give up new privileges");
        umask(0077);
        return 0;
}

static int user_find(const struct config *config, struct passwd **ret_user)
{
        struct passwd *user = getpwnam(config->process.user);

        if (!user)
                return refuse(PROBLEM_CONFIGURATION,
                              "[process] user: there is no user \"%s\". Make one (adduser --system --group %s), or "
                              "start "
                              "vouchsafed as the user that is to run it.",
                              config->process.user, config->process.user);
        if (user->pw_uid == 0)
                return refuse(PROBLEM_CONFIGURATION, "[process] user: the server does not run as root. Name another "
                                                     "user.");
        *ret_user = user;
        return 0;
}

/* Made by root for the user that the server is to run as; what exists keeps its owner. */
static int folder_prepare(const char *path, const struct passwd *user)
{
        struct stat info;

        if (stat(path, &info) == 0)
                return 0;
        TRY(folder_make(path, 0700));
        if (user && chown(path, user->pw_uid, user->pw_gid) < 0)
                return fault(errno, "cannot give %s to %s", path, user->pw_name);
        return 0;
}

int process_folders(const struct config *config)
{
        struct passwd *user = NULL;

        if (geteuid() == 0)
                TRY(user_find(config, &user));
        TRY(folder_prepare(config->server.data, user));
        return PASS(folder_prepare(config->server.run, user));
}

/* The first folder on the way to a path that this user does not come through; NULL when there is none. */
static char *folder_closed(const char *path)
{
        for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
                char *parent = text_format("%.*s", (int)(slash == path ? 1 : slash - path), path);

                if (access(parent, X_OK) < 0)
                        return parent;
                free(parent);
        }
        return NULL;
}

static int folder_check(const char *key, const char *path)
{
        struct passwd *user = getpwuid(geteuid());
        CLEANUP(mem_freep) char *closed = NULL;

        if (access(path, R_OK | W_OK | X_OK) == 0)
                return 0;
        if (errno == EROFS) {
                log_warning("[server] %s: %s is on a read-only file system; nothing can be changed until that ends",
                            key, path);
                return 0;
        }
        closed = folder_closed(path);
        if (closed)
                return refuse(PROBLEM_CONFIGURATION,
                              "[server] %s: the server's user (%s) does not come through %s to %s. Permit it with \"chmod a+x %s\", or choose "
                              "another folder.",
                              key, user ? user->pw_name : "unknown", closed, path, closed);
        return refuse(PROBLEM_CONFIGURATION,
                      "[server] %s: the server's user (%s) may not write in %s. Correct it with \"chown -R\".", key,
                      user ? user->pw_name : "unknown", path);
}

int process_privileges_drop(const struct config *config)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct none[2] = {0};
        struct passwd *user;

        if (geteuid() == 0) {
                TRY(user_find(config, &user));
                if (initgroups(user->pw_name, user->pw_gid) < 0 ||
                    setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
                    setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0)
                        return fault(errno, "cannot become %s", user->pw_name);
                /* Once more: with the user it became what fs.suid_dumpable says, which systemd-coredump sets to 2. */
                TRY(process_hide());
        }
        /* What systemd gave for binding to a low port is needed no longer. */
        (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* there are kernels without */
        if (syscall(SYS_capset, &header, none) < 0)
                return fault(errno, "cannot give up capabilities");
        TRY(folder_check("data", config->server.data));
        return PASS(folder_check("run", config->server.run));
}

/* The folder itself is locked, so that a disk that is full or read-only now does not keep the server from starting and
 * waiting. */
int process_lock(const struct config *config, int *ret_fd)
{
        CLEANUP(fd_closep) int fd = open(config->server.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0 && (errno == EACCES || errno == EPERM))
                return refuse(PROBLEM_CONFIGURATION,
                              "[server] data: the server's user may not read %s. Correct it with \"chown -R\".",
                              config->server.data);
        if (fd < 0)
                return fault(errno, "cannot open %s", config->server.data);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? refuse(PROBLEM_STATE, "A server already runs on %s. Stop it first.",
                                                     config->server.data)
                                            : fault(errno, "cannot lock %s", config->server.data);
        *ret_fd = fd;
        fd = -1;
        return 0;
}
