/* SPDX-License-Identifier: Apache-2.0 */
/* What a confined process still can, in a child of its own for each case. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/sandbox.h"

static char top[] = "/tmp/vouchsafe-sandbox-XXXXXX";

static char *below(const char *name)
{
        return text_format("%s/%s", top, name);
}

static int set_up(void **state)
{
        static const char *const folders[] = {"data", "www", "others"};

        if (!mkdtemp(top))
                return -1;
        for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
                CLEANUP(mem_freep) char *folder = below(folders[i]);
                CLEANUP(mem_freep) char *file = text_format("%s/file", folder);

                if (mkdir(folder, 0700) < 0 || file_write(file, bytes_text("x"), 0600))
                        return -1;
        }
        return 0;
}

static int tear_down(void **state)
{
        CLEANUP(mem_freep) char *command = text_format("rm -rf %s", top);

        return system(command); /* NOLINT: our own folder */
}

static bool opens(const char *name, int flags)
{
        CLEANUP(mem_freep) char *path = below(name);
        CLEANUP(fd_closep) int fd = open(path, flags | O_CLOEXEC, 0600);

        return fd >= 0;
}

/* The number of the first thing that is not as it should be; 0: all is. */
static int files_wrong(void)
{
        CLEANUP(mem_freep) char *made = below("www/a");

        if (opens("data/file", O_RDONLY) || opens("data", O_RDONLY | O_DIRECTORY))
                return 1;
        if (!opens("others/file", O_RDONLY) || opens("others/file", O_WRONLY) || opens("others/new", O_WRONLY | O_CREAT))
                return 2;
        if (folder_make(made, 0755) || !opens("www/a/new", O_WRONLY | O_CREAT) || !opens("www/file", O_RDWR))
                return 3;
        return access("/etc/passwd", R_OK) == 0 && open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 ? 4 : 0;
}

static int network_wrong(bool permitted)
{
        struct addrinfo *found = NULL;
        CLEANUP(fd_closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if ((fd >= 0) != permitted)
                return 5;
        if (!permitted)
                return 0;
        if (listen(fd, 1) == 0 || errno != EPERM)
                return 6;
        if (getaddrinfo("localhost", "1", NULL, &found) != 0)
                return 7;
        freeaddrinfo(found);
        return 0;
}

static int others_wrong(void)
{
        char *const arguments[] = {(char[]){"true"}, NULL};

        (void)execve("/bin/true", arguments, arguments + 1);
        if (errno != EPERM)
                return 8;
        (void)syscall(SYS_io_uring_setup, 1, NULL);
        return errno == EPERM ? 0 : 10;
}

static int confined(const struct sandbox_bounds *bounds, bool files)
{
        int status = 0;
        pid_t pid = fork();

        if (pid == 0) {
                int wrong = sandbox_confine(bounds) ? 9 : 0;

                if (!wrong && files)
                        wrong = files_wrong();
                if (!wrong)
                        wrong = network_wrong(bounds->network);
                _exit(wrong ? wrong : others_wrong());
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void play_both(void)
{
        CLEANUP(mem_freep) char *data = below("data"), *www = below("www");
        bool landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
        const struct sandbox_bounds most = {.folder = www, .reads = true, .hidden = {data, "", "/nonexistent"}, .network = true};

        assert_int_equal(confined(&most, landlock), 0);
        assert_int_equal(confined(&(struct sandbox_bounds){.folder = www}, false), 0);
}

/* A file of root's beside others: the user sees what is put there after he was confined. */
static int later_file_wrong(const char *closed, int parent)
{
        const struct sandbox_bounds bounds = {.reads = true, .hidden = {closed}, .network = true};
        char byte;

        if (setresuid(65534, 65534, 65534) < 0 || sandbox_confine(&bounds))
                return 9;
        return write(parent, "x", 1) == 1 && read(parent, &byte, 1) == 1 && opens("others/later", O_RDONLY) && !opens("others/closed", O_RDONLY) ? 0 : 1;
}

static void what_is_closed_anyway_hides_nothing(void **state)
{
        CLEANUP(mem_freep) char *closed = NULL, *later = NULL, *others = NULL;
        int ends[2], status = 0;
        char byte;
        pid_t pid;

        if (SANITIZED || geteuid() != 0)
                skip();
        closed = below("others/closed");
        later = below("others/later");
        others = below("others");
        assert_int_equal(chmod(top, 0755) | chmod(others, 0755) | socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        assert_int_equal(file_write(closed, bytes_text("x"), 0600), 0);
        pid = fork();
        if (pid == 0)
                _exit(later_file_wrong(closed, ends[1]));
        close(ends[1]);
        assert_int_equal(read(ends[0], &byte, 1), 1);
        assert_int_equal(file_write(later, bytes_text("x"), 0644), 0);
        assert_int_equal(write(ends[0], "x", 1), 1);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
        close(ends[0]);
}

static void files_and_network_are_what_was_given(void **state)
{
        if (SANITIZED) /* before anything is allocated: it jumps */
                skip();
        play_both();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(files_and_network_are_what_was_given),
                cmocka_unit_test(what_is_closed_anyway_hides_nothing),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
