/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/text.h"

static struct {
        const char *process;
        enum log_format format;
        enum log_level most;
} setup = {"vouchsafe", LOG_FORMAT_TEXT, LOG_LEVEL_INFO};

void log_setup(const char *process, enum log_format format, enum log_level most)
{
        if (format == LOG_FORMAT_AUTO)
                format = getenv("JOURNAL_STREAM") ? LOG_FORMAT_JOURNAL : LOG_FORMAT_TEXT;
        setup.process = process;
        setup.format = format;
        setup.most = most;
}

static const char *level_name(enum log_level level)
{
        static const char *const names[] = {[3] = "error", [4] = "warning", [5] = "notice", [6] = "info", [7] = "debug"};

        return names[level];
}

static void json_text_add(struct buf *out, const char *text)
{
        for (; *text; text++) {
                if (*text == '"' || *text == '\\')
                        buf_add_byte(out, '\\');
                buf_add_byte(out, (uint8_t)*text);
        }
}

static void log_emit(enum log_level level, const char *text)
{
        CLEANUP(buf_done) struct buf line = BUF_NONE;
        CLEANUP(buf_done) struct buf clean = BUF_NONE;
        char time[TIME_TEXT_SIZE];

        text_add_printable(&clean, bytes_text(text), 4000);
        if (setup.format == LOG_FORMAT_JSON) {
                buf_add_format(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"process\":\"%s\",\"pid\":%d,\"message\":\"",
                               time_text(clock_now(), time), level_name(level), setup.process, (int)getpid());
                json_text_add(&line, buf_text(&clean));
                buf_add_text(&line, "\"}\n");
        } else if (setup.format == LOG_FORMAT_JOURNAL) {
                buf_add_format(&line, "<%d>%s: %s\n", (int)level, setup.process, buf_text(&clean));
        } else {
                buf_add_format(&line, "%s %s[%d] %s: %s\n", time_text(clock_now(), time), setup.process, (int)getpid(),
                               level_name(level), buf_text(&clean));
        }
        /* One write a line, so that processes that share the descriptor do not mix; a log that is gone stops nobody. */
        if (write(STDERR_FILENO, line.data, line.len) < 0)
                return;
}

void log_line(enum log_level level, const char *format, ...)
{
        char text[4096];
        va_list arguments;

        if (level > setup.most)
                return;
        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        log_emit(level, text);
}

void log_report(int result, const char *format, ...)
{
        char text[1024];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        log_line(result < 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "%s: %s code=%s%s%s", text, report_text(),
                 problem_info(result)->code, report_trace()[0] ? " trace=" : "", report_trace());
}
