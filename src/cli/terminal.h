/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The terminal: lines, styles, questions, passwords, progress. Nothing that came from outside reaches it raw: say()
 * and its siblings replace what is not printable UTF-8 in the finished line, so format strings hold no control
 * characters either.
 *
 * Results go to standard output, everything that is said about them to standard error. Styles and progress appear on
 * terminals only.
 */
#include <stdio.h>

#include "base/secret.h"
#include "cli/command.h"

enum style { STYLE_OFF, STYLE_BOLD, STYLE_DIM, STYLE_RED, STYLE_GREEN, STYLE_YELLOW };
/* The escape sequence, or "" where `out` is no terminal, NO_COLOR is set or TERM is dumb. */
const char *style(FILE *out, enum style style);
bool terminal_is(FILE *file);

/* One line, to standard output and standard error. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void say_styled(enum style style, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
void tell_styled(enum style style, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "  label: value", labels aligned. */
void say_pair(const char *label, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What became of the command, on standard error: one sentence; with `json` an object like an RFC 9457 problem. */
void terminal_report(int result, bool json);

/* A JSON string: quoted, without control characters. */
void json_text_out(FILE *out, const char *text);
/* The command has said it all itself: terminal_report() says nothing of a problem. */
void terminal_reported(void);

/* Ask on the terminal of the process. PROBLEM_USAGE when it has none: `instead` names the option that would have
 * served. */
int ask(const char *question, const char *instead, char **ret_answer) must_check;
/* PROBLEM_STATE, with a sentence, when the answer is not yes. */
int confirm(const char *question, const char *instead) must_check;

/* How a password is got: names of the options, without dashes; NULL for none. */
struct password_source {
        const char *file_option, *fd_option;
        const char *prompt; /* "Password of bob@example.org" */
        bool twice;         /* it is being set: ask twice and hold to a least length */
};
enum { PASSWORD_LEAST = 8, PASSWORD_MOST = 1024 };
int password_get(const struct arguments *arguments, const struct password_source *source,
                 struct secret *ret_password) must_check;
/* A line of a descriptor, without its end, straight into locked memory; empty at the end of the file. */
int secret_line_read(int fd, struct secret *ret_line) must_check;
/* Asked on the terminal, without echo; `instead` as of ask(). */
int secret_ask(const char *prompt, const char *instead, struct secret *ret_line) must_check;
/* Is it given by an option, so that nobody needs to be asked? */
bool password_given(const struct arguments *arguments, const struct password_source *source);

/* Progress of long work, on standard error, at most ten times a second; nothing for the first half second. */
struct progress {
        const char *what;
        uint64_t total; /* 0: unknown */
        uint64_t first; /* done before it began */
        uint64_t started_ms, shown_ms;
        bool shown;
};
void progress_begin(struct progress *progress, const char *what, uint64_t total);
void progress_resume(struct progress *progress, uint64_t done); /* so much was done before */
void progress_step(struct progress *progress, uint64_t done);
void progress_end(struct progress *progress);
