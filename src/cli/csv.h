/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * CSV as RFC 4180 has it, separated by "," ";" or tab, whichever the first line has; pure. A byte order mark is passed
 * over. PROBLEM_MALFORMED and PROBLEM_UNSUPPORTED name the line.
 */
#include "base/buf.h"
#include "base/fault.h"

enum { CSV_COLUMNS_MOST = 64 };

struct csv {
        struct bytes rest;
        unsigned line;     /* of the next byte */
        unsigned row_line; /* where the row began */
        uint8_t separator;
        struct buf fields[CSV_COLUMNS_MOST]; /* of the row */
        size_t count;
};

/* `file` must outlive it. */
int csv_open(struct bytes file, struct csv *ret_csv) must_check;
void csv_done(struct csv *csv);
/* The next row that is not empty; no fields at the end. */
int csv_row(struct csv *csv) must_check;
