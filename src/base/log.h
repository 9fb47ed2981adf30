/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Logs. Only the edge of a process logs; libraries return results. One line per event on standard error: for the journal
 * "<priority>process: sentence key=value…" when systemd reads it ($JOURNAL_STREAM), else the same without priority; or one
 * JSON object a line. Values are escaped, so that nobody outside can forge a line.
 */
#include "base/buf.h"

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_NOTICE = 5, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_JOURNAL, LOG_FORMAT_JSON, LOG_FORMAT_TEXT };

void log_setup(const char *process, enum log_format format, enum log_level most);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The current report (fault.h) as one line, with its trace: the one place where a fault ends. */
void log_report(int result, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
