/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A list of people: a mail address or directory id a line, or the first column of a CSV file (such as a report); pure.
 * Left out are empty lines, lines that begin with "#", and a first line that is the title of such a column. Whether
 * the directory knows the names is the server's to say.
 */
#include "cli/csv.h"

struct name_list {
        struct csv csv;
        size_t size; /* of the file */
        bool within; /* past the first row */
};

/* From an offset that name_list_offset() gave, or 0. `file` must outlive it. PROBLEM_UNSUPPORTED. */
int name_list_open(struct bytes file, size_t offset, struct name_list *ret_list) must_check;
void name_list_done(struct name_list *list);
/* The next name, printable, at most NAME_LIST_MOST bytes; empty at the end. PROBLEM_MALFORMED names the line. */
enum { NAME_LIST_MOST = 400 };
int name_list_next(struct name_list *list, struct buf *ret_name) must_check;
size_t name_list_offset(const struct name_list *list);
