/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <libsmartcols.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/terminal.h"
#include "wire/message.h"

enum { CELL_MOST = 4096, COLUMNS_MOST = 16 };

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
        for (; columns[table->columns] && table->columns < COLUMNS_MOST; table->columns++) {
                const char *title = columns[table->columns];
                int flags = 0;
                table->free_text[table->columns] = *title == '~';
                for (; *title == '>' || *title == '~'; title++)
                        flags |= *title == '>' ? SCOLS_FL_RIGHT : SCOLS_FL_TRUNC;
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

void table_print(struct table *table, const char *empty)
{
        if (!table->rows) {
                if (empty && !table->printed)
                        tell("%s", empty);
                return;
        }
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
