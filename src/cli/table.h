/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Tables on standard output, by libsmartcols: on a terminal free text is cut to its width, as far as that leaves
 * something to read. Cells are copied and made printable.
 */
#include "base/buf.h"
#include "base/clock.h"

struct table;

/* `columns`: titles ended by NULL. A title that begins with ">" is aligned to the right; with "~" it is for free
 * text, which is cut to CELL_COLUMNS everywhere (JSON and "show" have it whole), and on a narrow terminal to no less
 * than CELL_COLUMNS_LEAST; nothing else is ever cut. */
enum { CELL_COLUMNS = 48, CELL_COLUMNS_LEAST = 16 };
struct table *table_new(const char *const *columns);
void table_free(struct table *table);
DEFINE_CLEANUP(struct table *, table_free)
/* A row with as many cells as there are columns; NULL is empty. */
void table_row(struct table *table, const char *const *cells);
/* Print and forget the rows, so that a long table goes out in pieces, of which the first has the titles; when there
 * were none at all, `empty` as a sentence on standard error. */
void table_print(struct table *table, const char *empty);

/* Take columns off the widest of free text until a row fits in `most`, or all of them are at CELL_COLUMNS_LEAST. */
void widths_fit(size_t *widths, const bool *free_text, size_t count, size_t most);
/* Append the text, printable, in at most so many columns; what is left out shows as "…". */
void text_add_cut(struct buf *out, const char *text, size_t columns);
/* Joined with ", ". */
struct msg_texts;
char *texts_joined(const struct msg_texts *texts);
/* "2026-11-23 02:51" in UTC; "" for 0. */
const char *time_short(int64_t instant, char text[static TIME_TEXT_SIZE]);
