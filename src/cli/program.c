/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/local.h"
#include "wire/channel.h"
#include "wire/control.h"

enum { WAIT_MS = 120000, OPTIONS_MOST = 4 };

static bool is_there(char *path, char **ret_path)
{
        if (access(path, X_OK) == 0) {
                *ret_path = path;
                return true;
        }
        free(path);
        return false;
}

/* In $VOUCHSAFE_LIBEXEC; else beside this program, in its sibling folder of the build, or where it is installed. */
static int find_program(const char *folder, const char *name, char **ret_path)
{
        const char *libexec = getenv("VOUCHSAFE_LIBEXEC");
        char self[PATH_MAX];
        ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
        char *slash;

        if (libexec && *libexec && is_there(text_format("%s/%s", libexec, name), ret_path))
                return 0;
        if (len < 0)
                return fault(errno, "cannot tell where this program is");
        self[len] = 0;
        slash = strrchr(self, '/');
        if (slash)
                *slash = 0;
        if (is_there(text_format("%s/%s", self, name), ret_path) ||
            is_there(text_format("%s/../%s/%s", self, folder, name), ret_path) ||
            is_there(text_format("%s/../libexec/vouchsafe/%s", self, name), ret_path))
                return 0;
        return refuse(PROBLEM_NOT_FOUND,
                      "The program %s is missing beside this one (%s); is the server installed on this machine?",
                      name, self);
}

int program_check(const char *folder, const char *name)
{
        char *path CLEANUP(mem_freep) = NULL;

        return PASS(find_program(folder, name, &path));
}

/* In the child, between fork and exec: only what is safe there. */
static void become(int fd, pid_t parent)
{
        int null = open("/dev/null", O_RDWR);

        fd = fcntl(fd, F_DUPFD, CONTROL_FD + 1);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent || null < 0 || fd < 0 ||
            dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0 || dup2(fd, CONTROL_FD) < 0 ||
            close_range(CONTROL_FD + 1, UINT_MAX, 0) < 0)
                _exit(126);
}

int program_start(const char *folder, const char *name, const char *const *options, struct program *ret_program)
{
        char *path CLEANUP(mem_freep) = NULL;
        const char *arguments[OPTIONS_MOST + 2] = {name};
        CLEANUP(fd_closep) int ours = -1, theirs = -1;
        pid_t parent = getpid(), pid;
        int fds[2];

        for (size_t i = 0; i < OPTIONS_MOST && options[i]; i++)
                arguments[i + 1] = options[i];
        TRY(find_program(folder, name, &path));
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return fault(errno, "cannot make a connection to %s", name);
        ours = fds[0];
        theirs = fds[1];
        pid = fork();
        if (pid < 0)
                return fault(errno, "cannot start %s", name);
        if (pid == 0) {
                become(theirs, parent);
                execv(path, (char *const *)(const void *)arguments);
                _exit(127);
        }
        *ret_program = (struct program){.pid = pid, .fd = ours};
        ours = -1;
        return 0;
}

int program_call(const struct program *program, unsigned kind, const struct msg_record *record, const void *request,
                 unsigned wanted, struct secret *ret_answer)
{
        CLEANUP(secret_done) struct secret encoded = SECRET_NONE;
        struct channel_answer answer = {0};
        int r;

        TRY(message_encode_secret(record, request, &encoded));
        TRY(channel_call_blocking(program->fd, (uint16_t)kind, secret_view(&encoded), WAIT_MS, &answer));
        r = local_answer_check(&answer, wanted);
        if (r == 0)
                *ret_answer = secret_take(&answer.payload);
        secret_done(&answer.payload);
        return PASS(r);
}

void program_done(struct program *program)
{
        if (program->pid <= 0)
                return;
        close(program->fd);
        while (waitpid(program->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        *program = (struct program){0};
}
