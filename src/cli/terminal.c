/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

enum { LINE_MOST = 64 * 1024, LABEL_WIDTH = 14 };

bool terminal_is(FILE *file)
{
        return isatty(fileno(file));
}

const char *style(FILE *out, enum style style)
{
        static const char *const codes[] = {
            [STYLE_OFF] = "\033[0m",  [STYLE_BOLD] = "\033[1m",   [STYLE_DIM] = "\033[2m",
            [STYLE_RED] = "\033[31m", [STYLE_GREEN] = "\033[32m", [STYLE_YELLOW] = "\033[33m",
        };
        const char *term = getenv("TERM");

        if (!terminal_is(out) || getenv("NO_COLOR") || !term || strcmp(term, "dumb") == 0)
                return "";
        return codes[style];
}

__attribute__((format(printf, 3, 0))) static void line_out(FILE *out, enum style with, const char *format,
                                                           va_list arguments)
{
        CLEANUP(buf_done) struct buf clean = BUF_NONE;
        char *text = NULL;

        if (vasprintf(&text, format, arguments) < 0)
                abort();
        text_add_printable(&clean, bytes_text(text), LINE_MOST);
        free(text);
        fprintf(out, "%s%s%s\n", with ? style(out, with) : "", buf_text(&clean), with ? style(out, STYLE_OFF) : "");
}

void say(const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        line_out(stdout, STYLE_OFF, format, arguments);
        va_end(arguments);
}

void say_styled(enum style with, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        line_out(stdout, with, format, arguments);
        va_end(arguments);
}

void tell(const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        line_out(stderr, STYLE_OFF, format, arguments);
        va_end(arguments);
}

void tell_styled(enum style with, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        line_out(stderr, with, format, arguments);
        va_end(arguments);
}

void say_pair(const char *label, const char *format, ...)
{
        va_list arguments;
        size_t width = text_columns(label);

        printf("%s%s%s%*s  ", style(stdout, STYLE_DIM), label, style(stdout, STYLE_OFF),
               width < LABEL_WIDTH ? (int)(LABEL_WIDTH - width) : 0, "");
        va_start(arguments, format);
        line_out(stdout, STYLE_OFF, format, arguments);
        va_end(arguments);
}

void json_text_out(FILE *out, const char *text)
{
        CLEANUP(buf_done) struct buf clean = BUF_NONE;

        text_add_printable(&clean, bytes_text(text), LINE_MOST);
        fputc('"', out);
        for (const char *c = buf_text(&clean); *c; c++)
                fprintf(out, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
        fputc('"', out);
}

static bool reported;

void terminal_reported(void)
{
        reported = true;
}

/* What the system does not permit, or has no room for, is no fault of the program, and where it passed helps nobody. */
static bool is_of_the_system(int result)
{
        return result == -EACCES || result == -EPERM || result == -ENOTDIR || result == -EROFS || result == -ENOSPC ||
               result == -EDQUOT;
}

void terminal_report(int result, bool json)
{
        const struct problem_info *info = problem_info(result);
        const char *text = *report_text() ? report_text() : info->title;

        if ((reported && result > 0) ||
            (*report_text() == 0 && result == PROBLEM_USAGE /* usage was shown instead */))
                return;
        if (json) {
                fputs("{\"code\":", stderr);
                json_text_out(stderr, info->code);
                fputs(",\"title\":", stderr);
                json_text_out(stderr, info->title);
                fputs(",\"detail\":", stderr);
                json_text_out(stderr, text);
                fprintf(stderr, ",\"exit\":%d}\n", info->exit_code);
                return;
        }
        fflush(stdout);
        if (result < 0 && *report_trace() && !is_of_the_system(result))
                tell("vouchsafe: %s (%s)", text, report_trace());
        else
                tell("vouchsafe: %s", text);
}

/* ---- questions -------------------------------------------------------------------------------------------- */

int ask(const char *question, const char *instead, char **ret_answer)
{
        char *line CLEANUP(mem_freep) = NULL;
        size_t size = 0;
        ssize_t len;
        FILE *tty = fopen("/dev/tty", "r+e");

        if (!tty)
                return refuse(PROBLEM_USAGE, "There is no terminal to ask \"%s\" on; use %s.", question, instead);
        fprintf(tty, "%s ", question);
        fflush(tty);
        len = getline(&line, &size, tty);
        fclose(tty);
        if (len < 0)
                return refuse(PROBLEM_USAGE, "The question \"%s\" was not answered.", question);
        while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r' || line[len - 1] == ' '))
                line[--len] = 0;
        if (!text_is_utf8(bytes_of(line, (size_t)len)))
                return refuse(PROBLEM_USAGE, "The answer to \"%s\" is not UTF-8 text.", question);
        *ret_answer = TAKE(line);
        return 0;
}

int confirm(const char *question, const char *instead)
{
        char *answer CLEANUP(mem_freep) = NULL;
        char *whole CLEANUP(mem_freep) = text_format("%s [yes/no]", question);

        TRY(ask(whole, instead, &answer));
        if (text_equal_ignoring_case(answer, "yes") || text_equal_ignoring_case(answer, "y"))
                return 0;
        return refuse(PROBLEM_STATE, "Nothing was done, since the answer was not yes.");
}

/* ---- progress --------------------------------------------------------------------------------------------- */

enum { PROGRESS_AFTER_MS = 500, PROGRESS_EVERY_MS = 100 };

void progress_begin(struct progress *progress, const char *what, uint64_t total)
{
        *progress = (struct progress){.what = what, .total = total, .started_ms = clock_monotonic_ms()};
}

void progress_step(struct progress *progress, uint64_t done)
{
        uint64_t now = clock_monotonic_ms();

        if (!terminal_is(stderr) || now - progress->started_ms < PROGRESS_AFTER_MS ||
            now - progress->shown_ms < PROGRESS_EVERY_MS)
                return;
        progress->shown_ms = now;
        progress->shown = true;
        fprintf(stderr, "\r%s: %llu", progress->what, (unsigned long long)done);
        if (progress->total)
                fprintf(stderr, " of %llu (%llu %%)", (unsigned long long)progress->total,
                        (unsigned long long)(done * 100 / progress->total));
        fprintf(stderr, ", %llu a second\033[K",
                (unsigned long long)((done - progress->first) * 1000 / (now - progress->started_ms)));
        fflush(stderr);
}

void progress_resume(struct progress *progress, uint64_t done)
{
        progress->first = done;
}

void progress_end(struct progress *progress)
{
        if (progress->shown)
                fputs("\r\033[K", stderr);
        progress->shown = false;
}
