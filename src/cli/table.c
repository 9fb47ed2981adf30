/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <libsmartcols.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/terminal.h"
#include "wire/message.h"

enum { CELL_MOST = 4096, COLUMNS_MOST = 16, SEPARATOR_COLUMNS = 2 };

struct table {
        struct libscols_table *table;
        size_t columns, rows;
        bool printed;
        bool free_text[COLUMNS_MOST];
};

void text_add_cut(struct buf *out, const char *text, size_t columns)
{
        CLEANUP(buf_done) struct buf clean = BUF_NONE;
        size_t len;

        text_add_printable(&clean, bytes_text(text), CELL_MOST);
        if (text_columns(buf_text(&clean)) <= columns) {
                buf_add_bytes(out, buf_view(&clean));
                return;
        }
        /* A character off the end until the rest and the mark fit. */
        for (len = clean.len; len && text_columns(buf_text(&clean)) >= columns; buf_truncate(&clean, len))
                do
                        len--;
                while (len && (clean.data[len] & 0xc0) == 0x80);
        buf_add_bytes(out, buf_view(&clean));
        buf_add_text(out, "…");
}

struct table *table_new(const char *const *columns)
{
        struct table *table = NEW(struct table);

        table->table = scols_new_table();
        if (!table->table)
                abort();
        scols_table_set_column_separator(table->table, "  ");
        scols_table_enable_maxout(table->table, 0);
        /* It would cut to nothing, and without a mark. */
        scols_table_set_termforce(table->table, SCOLS_TERMFORCE_NEVER);
        for (; columns[table->columns] && table->columns < COLUMNS_MOST; table->columns++) {
                const char *title = columns[table->columns];
                int flags = 0;
                table->free_text[table->columns] = *title == '~';
                for (; *title == '>' || *title == '~'; title++)
                        flags |= *title == '>' ? SCOLS_FL_RIGHT : 0;
                if (!scols_table_new_column(table->table, title, 0, flags))
                        abort();
        }
        return table;
}

void table_free(struct table *table)
{
        scols_unref_table(table->table);
        free(table);
}

void table_row(struct table *table, const char *const *cells)
{
        struct libscols_line *line = scols_table_new_line(table->table, NULL);

        if (!line)
                abort();
        for (size_t i = 0; i < table->columns; i++) {
                CLEANUP(buf_done) struct buf clean = BUF_NONE;
                if (table->free_text[i])
                        text_add_cut(&clean, cells[i] ? cells[i] : "", CELL_COLUMNS);
                else
                        text_add_printable(&clean, bytes_text(cells[i] ? cells[i] : ""), CELL_MOST);
                scols_line_set_data(line, i, buf_text(&clean));
        }
        table->rows++;
}

static const char *cell_text(const struct table *table, size_t row, size_t column)
{
        struct libscols_line *line = scols_table_get_line(table->table, row);
        const char *text = scols_cell_get_data(scols_line_get_cell(line, column));

        return text ? text : "";
}

/* How wide a column is: as its widest cell, or its title. */
static size_t column_width(const struct table *table, size_t column)
{
        struct libscols_cell *title = scols_column_get_header(scols_table_get_column(table->table, column));
        size_t width = text_columns(scols_cell_get_data(title)), cell;

        for (size_t row = 0; row < table->rows; row++) {
                cell = text_columns(cell_text(table, row, column));
                width = cell > width ? cell : width;
        }
        return width;
}

void widths_fit(size_t *widths, const bool *free_text, size_t count, size_t most)
{
        size_t total = 0, widest;

        for (size_t i = 0; i < count; i++)
                total += widths[i] + (i ? SEPARATOR_COLUMNS : 0);
        for (; total > most; total--) {
                widest = count;
                for (size_t i = 0; i < count; i++)
                        if (free_text[i] && widths[i] > CELL_COLUMNS_LEAST &&
                            (widest == count || widths[i] > widths[widest]))
                                widest = i;
                if (widest == count)
                        break;
                widths[widest]--;
        }
}

static void fit_terminal(struct table *table)
{
        size_t widths[COLUMNS_MOST];

        for (size_t i = 0; i < table->columns; i++)
                widths[i] = column_width(table, i);
        widths_fit(widths, table->free_text, table->columns, scols_table_get_termwidth(table->table));
        for (size_t i = 0; i < table->columns; i++)
                for (size_t row = 0; table->free_text[i] && row < table->rows; row++) {
                        CLEANUP(buf_done) struct buf cut = BUF_NONE;
                        text_add_cut(&cut, cell_text(table, row, i), widths[i]);
                        scols_line_set_data(scols_table_get_line(table->table, row), i, buf_text(&cut));
                }
}

void table_print(struct table *table, const char *empty)
{
        if (!table->rows) {
                if (empty && !table->printed)
                        tell("%s", empty);
                return;
        }
        if (terminal_is(stdout))
                fit_terminal(table);
        fflush(stdout);
        scols_print_table(table->table);
        fflush(stdout);
        scols_table_remove_lines(table->table);
        scols_table_enable_noheadings(table->table, 1);
        table->printed = true;
        table->rows = 0;
}

char *texts_joined(const struct msg_texts *texts)
{
        CLEANUP(buf_done) struct buf out = BUF_NONE;

        for (size_t i = 0; i < texts->count; i++)
                buf_add_format(&out, "%s%s", i ? ", " : "", msg_text(texts->at[i]));
        return text_copy(buf_text(&out));
}

const char *time_short(int64_t instant, char text[static TIME_TEXT_SIZE])
{
        time_text(instant, text);
        if (!instant) {
                text[0] = 0;
        } else if (strlen(text) > 16) {
                text[10] = ' ';
                text[16] = 0;
        }
        return text;
}
