/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <libsmartcols.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/terminal.h"
#include "wire/message.h"

enum { CELL_MOST = 4096 };

struct table {
        struct libscols_table *table;
        size_t columns, rows;
};

struct table *table_new(const char *const *columns)
{
        struct table *table = NEW(struct table);

        table->table = scols_new_table();
        if (!table->table)
                abort();
        scols_table_set_column_separator(table->table, "  ");
        scols_table_enable_maxout(table->table, 0);
        for (; columns[table->columns]; table->columns++) {
                const char *title = columns[table->columns];
                int flags = 0;
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
                text_add_printable(&clean, bytes_text(cells[i] ? cells[i] : ""), CELL_MOST);
                scols_line_set_data(line, i, buf_text(&clean));
        }
        table->rows++;
}

void table_print(struct table *table, const char *empty)
{
        if (!table->rows) {
                if (empty)
                        tell("%s", empty);
                return;
        }
        fflush(stdout);
        scols_print_table(table->table);
        fflush(stdout);
        scols_table_remove_lines(table->table);
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
