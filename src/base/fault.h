/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Results.
 *
 *   0         success
 *   negative  a fault: the system or this program failed (-errno). Nobody matches on the number; it is traced and
 *             passed on until the edge of the process reports it.
 *   positive  a documented outcome (enum problem): the caller, the input or the state is not as it must be. Functions say
 *             in their contract which they return, and the caller handles each or passes it on as its own.
 *
 * Whoever returns either first records a sentence for a person (what was wrong, where, what to do) with fault() or
 * refuse(). There is one current report per thread; a later record replaces an earlier one. No secret and no control
 * character reaches it: refuse() and fault() replace what is not printable UTF-8.
 *
 * Memory: allocation never fails here (see mem.h).
 */
#include <stddef.h>

#include "base/macro.h"

enum problem {
        PROBLEM_NONE = 0,
#define PROBLEM(identifier, code, status, exit_code, title) PROBLEM_##identifier,
#include "base/problems.def"
#undef PROBLEM
        PROBLEM_COUNT,
};

struct problem_info {
        const char *code;  /* "token-refused": stable, for programs */
        int http_status;
        int exit_code;
        const char *title; /* a sentence, without detail */
};

enum { EXIT_FAULT = 3 };

/* The table row of a positive result; rows out of range give that of a fault (status 500, exit 3). */
const struct problem_info *problem_info(int problem);
/* The problem with this code, or PROBLEM_NONE. */
enum problem problem_from_code(const char *code);
/* The exit code for any result: 0, the problem's, or EXIT_FAULT. */
int result_exit_code(int result);

/* Record a fault of errno number `error` and give -error. The text of errno is appended. */
void fault_record(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define fault(error, ...)                                                                                    \
        ({                                                                                                   \
                int fault_error_ = (error);                                                                  \
                fault_record(fault_error_, __VA_ARGS__);                                                     \
                fault_error_ > 0 ? -fault_error_ : -1;                                                       \
        })
/* Record a problem and give it. Both are macros so that a compiler sees that the result is never 0. */
void problem_record(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define refuse(problem, ...)                                                                                 \
        ({                                                                                                   \
                int refuse_problem_ = (problem);                                                             \
                problem_record(__VA_ARGS__);                                                                 \
                refuse_problem_;                                                                             \
        })
/* Put words before the current sentence ("line 12: …"), keeping the result; returns `result`. */
int report_prefix(int result, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The sentence last recorded, "" if none; the trace "file:line < file:line" of where a fault passed. */
const char *report_text(void);
const char *report_trace(void);
void report_clear(void);

/* Inline for the same reason. */
void fault_trace(const char *file, int line);
static inline int fault_pass(int result, const char *file, int line)
{
        if (unlikely(result < 0))
                fault_trace(file, line);
        return result;
}

/* Return from the enclosing function with `result`, leaving a trace when it is a fault. */
#define PASS(result) fault_pass((result), __FILE__, __LINE__)
/* Evaluate; on anything but success return it from the enclosing function. */
#define TRY(expression)                                                                                      \
        do {                                                                                                 \
                int try_result_ = (expression);                                                              \
                if (unlikely(try_result_ != 0))                                                              \
                        return PASS(try_result_);                                                            \
        } while (0)
