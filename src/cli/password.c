/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords: from a file, a descriptor or the terminal (without echo); never from argv, never through ordinary
 * memory. */
#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

enum { PROMPT_TRIES = 3 };

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
        interrupted = number;
}

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};

struct quiet_terminal {
        int fd;
        struct termios before;
        struct sigaction actions[ARRAY_LEN(signals)];
};

static int quiet_begin(struct quiet_terminal *quiet)
{
        struct sigaction action = {.sa_handler = on_signal};
        struct termios now;

        if (tcgetattr(quiet->fd, &quiet->before) < 0)
                return fault(errno, "The terminal could not be asked for its state");
        interrupted = 0;
        for (size_t i = 0; i < ARRAY_LEN(signals); i++)
                sigaction(signals[i], &action, &quiet->actions[i]);
        now = quiet->before;
        now.c_lflag &= (tcflag_t) ~(ECHO | ECHONL);
        now.c_lflag |= ICANON | ISIG;
        if (tcsetattr(quiet->fd, TCSAFLUSH, &now) < 0)
                return fault(errno, "The terminal could not be made quiet");
        return 0;
}

static void quiet_end(struct quiet_terminal *quiet)
{
        tcsetattr(quiet->fd, TCSAFLUSH, &quiet->before);
        for (size_t i = 0; i < ARRAY_LEN(signals); i++)
                sigaction(signals[i], &quiet->actions[i], NULL);
        (void)!write(quiet->fd, "\n", 1);
        if (interrupted)
                kill(getpid(), interrupted);
}

int secret_line_read(int fd, struct secret *ret_line)
{
        CLEANUP(secret_done) struct secret line = secret_new(PASSWORD_MOST);
        size_t len = 0;

        for (;;) {
                uint8_t c;
                ssize_t n = read(fd, &c, 1);
                if (n < 0 && errno == EINTR && !interrupted)
                        continue;
                if (n < 0)
                        return interrupted ? refuse(PROBLEM_STATE, "The password was not given.")
                                           : fault(errno, "The password could not be read");
                if (n == 0 || c == '\n')
                        break;
                if (len == PASSWORD_MOST)
                        return refuse(PROBLEM_TOO_LARGE, "The password is longer than %d bytes.", PASSWORD_MOST);
                line.data[len++] = c;
                memory_wipe(&c, 1);
        }
        if (len && line.data[len - 1] == '\r')
                len--;
        secret_truncate(&line, len);
        *ret_line = secret_take(&line);
        return 0;
}

static int prompt_once(const char *prompt, const char *suffix, const char *instead, struct secret *ret_password)
{
        struct quiet_terminal quiet = {.fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)};
        CLEANUP(fd_closep) int fd = quiet.fd;
        CLEANUP(secret_done) struct secret password = SECRET_NONE;
        int r;

        if (fd < 0)
                return refuse(PROBLEM_USAGE, "There is no terminal to ask for \"%s\" on; use %s.", prompt, instead);
        dprintf(fd, "%s%s: ", prompt, suffix);
        TRY(quiet_begin(&quiet));
        r = secret_line_read(fd, &password);
        quiet_end(&quiet);
        TRY(r);
        *ret_password = secret_take(&password);
        return 0;
}

int secret_ask(const char *prompt, const char *instead, struct secret *ret_line)
{
        return PASS(prompt_once(prompt, "", instead, ret_line));
}

static int check_new(const struct secret *password)
{
        if (password->len < PASSWORD_LEAST)
                return refuse(PROBLEM_USAGE, "The password is too short: it takes at least %d characters.",
                              PASSWORD_LEAST);
        return 0;
}

static int prompt_new(const char *prompt, const char *instead, struct secret *ret_password)
{
        CLEANUP(secret_done) struct secret first = SECRET_NONE, second = SECRET_NONE;

        TRY(prompt_once(prompt, " (new)", instead, &first));
        TRY(check_new(&first));
        TRY(prompt_once(prompt, " (again)", instead, &second));
        if (!bytes_equal_constant_time(secret_view(&first), secret_view(&second)))
                return refuse(PROBLEM_USAGE, "The two passwords differ; nothing was set.");
        *ret_password = secret_take(&first);
        return 0;
}

/* A person at a terminal may try again: what was answered before would be lost otherwise. */
static int prompt_password(const struct password_source *source, struct secret *ret_password)
{
        const char *file = source->file_option, *fd = source->fd_option;
        char *instead CLEANUP(mem_freep) =
            text_format("%s%s%s%s", file ? "--" : "", file ? file : "", fd ? file ? " or --" : "--" : "", fd ? fd : "");
        int r;

        if (!source->twice)
                return PASS(prompt_once(source->prompt, "", instead, ret_password));
        for (unsigned tries = 1; (r = prompt_new(source->prompt, instead, ret_password)) == PROBLEM_USAGE; tries++) {
                CLEANUP(fd_closep) int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
                if (tries == PROMPT_TRIES || tty < 0)
                        break;
                tell("%s Try again.", report_text());
        }
        return PASS(r);
}

static int from_descriptor(const char *text, struct secret *ret_password)
{
        uint64_t number;

        if (number_parse(bytes_text(text), 1 << 20, &number) != 0)
                return refuse(PROBLEM_USAGE, "\"%s\" is not the number of a file descriptor.", text);
        if (fcntl((int)number, F_GETFD) < 0)
                return refuse(PROBLEM_USAGE, "File descriptor %s is not open.", text);
        return PASS(secret_line_read((int)number, ret_password));
}

static int from_file(const char *path, struct secret *ret_password)
{
        CLEANUP(fd_closep) int fd = -1;

        if (strcmp(path, "-") == 0)
                return PASS(secret_line_read(STDIN_FILENO, ret_password));
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return refuse(PROBLEM_NOT_FOUND, "The password file %s cannot be read: %s.", path, strerror(errno));
        return PASS(secret_line_read(fd, ret_password));
}

bool password_given(const struct arguments *arguments, const struct password_source *source)
{
        return (source->file_option && argument_text(arguments, source->file_option)) ||
               (source->fd_option && argument_text(arguments, source->fd_option));
}

int password_get(const struct arguments *arguments, const struct password_source *source, struct secret *ret_password)
{
        const char *file = source->file_option ? argument_text(arguments, source->file_option) : NULL;
        const char *fd = source->fd_option ? argument_text(arguments, source->fd_option) : NULL;
        CLEANUP(secret_done) struct secret password = SECRET_NONE;

        if (file && fd)
                return refuse(PROBLEM_USAGE, "--%s and --%s are both given; one is enough.", source->file_option,
                              source->fd_option);
        if (file)
                TRY(from_file(file, &password));
        else if (fd)
                TRY(from_descriptor(fd, &password));
        else
                TRY(prompt_password(source, &password));
        if (!password.len)
                return refuse(PROBLEM_USAGE, "The password is empty (%s).", source->prompt);
        if (source->twice)
                TRY(check_new(&password));
        *ret_password = secret_take(&password);
        return 0;
}
