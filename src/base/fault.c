/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const struct problem_info problem_table[PROBLEM_COUNT] = {
        [PROBLEM_NONE] = {"fault", 500, EXIT_FAULT, "The server or this program failed"},
#define PROBLEM(identifier, code, status, exit_code, title)                                                  \
        [PROBLEM_##identifier] = {code, status, exit_code, title},
#include "base/problems.def"
#undef PROBLEM
};

/* Bounded: a sentence longer than this helps nobody, and a report must never need memory. */
static _Thread_local struct {
        char text[1024];
        char trace[512];
} report;

const struct problem_info *problem_info(int problem)
{
        if (problem <= PROBLEM_NONE || problem >= PROBLEM_COUNT)
                problem = PROBLEM_NONE;
        return &problem_table[problem];
}

enum problem problem_from_code(const char *code)
{
        for (int i = PROBLEM_NONE + 1; i < PROBLEM_COUNT; i++)
                if (strcmp(problem_table[i].code, code) == 0)
                        return i;
        return PROBLEM_NONE;
}

int result_exit_code(int result)
{
        return result == 0 ? 0 : problem_info(result)->exit_code;
}

static void report_set(const char *text)
{
        struct buf clean = BUF_NONE;

        text_add_printable(&clean, bytes_text(text), sizeof(report.text) - 1);
        snprintf(report.text, sizeof(report.text), "%s", buf_text(&clean));
        buf_done(&clean);
        report.trace[0] = 0;
}

void fault_record(int error, const char *format, ...)
{
        char text[sizeof(report.text)];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        if (error) {
                size_t len = strlen(text);
                snprintf(text + len, sizeof(text) - len, ": %s", strerror(error));
        }
        report_set(text);
}

void problem_record(const char *format, ...)
{
        char text[sizeof(report.text)];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        report_set(text);
}

int report_prefix(int result, const char *format, ...)
{
        char text[sizeof(report.text)], old[sizeof(report.text)];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        memcpy(old, report.text, sizeof(old));
        snprintf(report.text, sizeof(report.text), "%.500s%.500s", text, old);
        return result;
}

const char *report_text(void)
{
        return report.text;
}

const char *report_trace(void)
{
        return report.trace;
}

void report_clear(void)
{
        report.text[0] = report.trace[0] = 0;
}

void fault_trace(const char *file, int line)
{
        const char *base = strrchr(file, '/');
        size_t len = strlen(report.trace);

        snprintf(report.trace + len, sizeof(report.trace) - len, "%s%s:%d", len ? " < " : "", base ? base + 1 : file, line);
}
