/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Rows as they come, for files and for other programs; none is kept. */
#include "base/buf.h"
#include "base/fault.h"
#include "wire/message.h"

/* A line of CSV (RFC 4180): every cell quoted, and none that a spreadsheet would take for a formula: to one that begins
 * with = + - @ or a control character an apostrophe is put in front. Ends with a cell of NULL. */
void csv_line_add(struct buf *out, const char *const *cells);

/* A report's form, by the name of its file. */
enum report_form { REPORT_CSV, REPORT_JSON };
/* .csv; .json, .jsonl, .ndjson (an object a line). PROBLEM_USAGE. */
int report_form_of(const char *path, enum report_form *ret_form) must_check;

/* {"NAME":[row,row],"cursor":""} on standard output, a row at a time. */
struct json_rows {
        bool begun;
};
int json_rows_begin(const char *name) must_check;
int json_rows_add(struct json_rows *rows, const struct msg_record *record, const void *message) must_check;
int json_rows_end(const char *cursor) must_check;
