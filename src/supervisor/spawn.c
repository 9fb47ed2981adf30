/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"

/* What a child may know of our environment. A name that ends in a dash of its own kind, "_", or is PG, is a prefix. */
static bool environment_passes(enum role role, const char *variable)
{
        static const char *const names[] = {
                "PATH=", "LANG=", "TZ=", "JOURNAL_STREAM=", "VOUCHSAFE_", "ASAN_OPTIONS=", "UBSAN_OPTIONS="};

        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                if (strncmp(variable, names[i], strlen(names[i])) == 0)
                        return true;
        if (role == ROLE_ENGINE)
                return strncmp(variable, "PG", 2) == 0; /* of libpq */
        return role == ROLE_OUTBOUND && strncmp(variable, "KRB5_CONFIG=", 12) == 0;
}

static char **environment_new(enum role role)
{
        size_t count = 0;
        char **environment;

        while (environ[count])
                count++;
        environment = mem_array(count + 1, sizeof(char *));
        count = 0;
        for (char **from = environ; *from; from++)
                if (environment_passes(role, *from))
                        environment[count++] = *from;
        return environment;
}

static bool executable_there(char *path, char **ret_path)
{
        if (access(path, X_OK) == 0) {
                *ret_path = path;
                return true;
        }
        free(path);
        return false;
}

/* errno is that of the last place that was tried. */
static int executable_missing(const char *executable, const char *folder)
{
        if (errno == EACCES)
                return refuse(PROBLEM_CONFIGURATION,
                              "The server's user cannot reach the program %s from %s. Put the programs where everybody "
                              "may run them.",
                              executable, folder);
        return refuse(PROBLEM_CONFIGURATION, "The program %s is missing beside vouchsafed (%s). Install vouchsafe again.",
                      executable, folder);
}

/* In $VOUCHSAFE_LIBEXEC; else beside this program, in its sibling folder of the build, or where it is installed. */
static int executable_find(const struct child *child, char **ret_path)
{
        const struct role_info *role = &role_table[child->role];
        char self[PATH_MAX];
        ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
        char *slash;

        if (child->supervisor->libexec) {
                if (executable_there(text_format("%s/%s", child->supervisor->libexec, role->executable), ret_path))
                        return 0;
                return refuse(PROBLEM_CONFIGURATION, "VOUCHSAFE_LIBEXEC (%s) has no program %s.",
                              child->supervisor->libexec, role->executable);
        }
        if (len < 0)
                return fault(errno, "cannot tell where this program is");
        self[len] = 0;
        slash = strrchr(self, '/');
        if (slash)
                *slash = 0;
        if (executable_there(text_format("%s/%s", self, role->executable), ret_path) ||
            executable_there(text_format("%s/../%s/%s", self, role->name, role->executable), ret_path) ||
            executable_there(text_format("%s/../libexec/vouchsafe/%s", self, role->executable), ret_path))
                return 0;
        return PASS(executable_missing(role->executable, self));
}

/* In the child, between fork and exec: only what is safe there. */
static void child_become(int control, pid_t parent)
{
        int null = open("/dev/null", O_RDWR);
        sigset_t none;

        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
                _exit(126);
        /* What a terminal sends to its foreground is for the supervisor, which stops the others in their order. */
        if (setpgid(0, 0) < 0)
                _exit(126);
        sigemptyset(&none);
        if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || null < 0)
                _exit(126);
        for (int signal_number = 1; signal_number < NSIG; signal_number++)
                /* A log that is gone, or is a terminal, stops nobody. */
                signal(signal_number, signal_number == SIGPIPE || signal_number == SIGTTOU ? SIG_IGN : SIG_DFL);
        /* The control channel may sit on any number, and the numbers below it may be free. */
        control = fcntl(control, F_DUPFD, CONTROL_FD + 1);
        if (control < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ||
            dup2(control, CONTROL_FD) < 0 || close_range(CONTROL_FD + 1, UINT_MAX, 0) < 0)
                _exit(126);
}

int child_spawn(const struct child *child, pid_t *ret_pid, int *ret_fd)
{
        CLEANUP(mem_freep) char *path = NULL;
        CLEANUP(mem_freep) char **environment = environment_new(child->role);
        CLEANUP(mem_freep) char *name = text_format("%s %u", role_table[child->role].executable, child->index);
        char *const arguments[] = {name, NULL};
        CLEANUP(fd_closep) int ours = -1;
        CLEANUP(fd_closep) int theirs = -1;
        pid_t pid, self = getpid();
        int fds[2];

        TRY(executable_find(child, &path));
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return fault(errno, "cannot make a control channel");
        ours = fds[0];
        theirs = fds[1];
        pid = fork();
        if (pid < 0)
                return fault(errno, "cannot start a process");
        if (pid == 0) {
                child_become(theirs, self);
                execve(path, arguments, environment);
                _exit(127);
        }
        *ret_pid = pid;
        *ret_fd = ours;
        ours = -1;
        return 0;
}
