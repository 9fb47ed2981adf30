/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report.h"

#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "base/file.h"
#include "protocol/json.h"

static bool is_formula(const char *cell)
{
        return *cell && ((unsigned char)*cell < ' ' || strchr("=+-@", *cell));
}

static void cell_add(struct buf *out, const char *cell)
{
        buf_add_byte(out, '"');
        if (is_formula(cell))
                buf_add_byte(out, '\'');
        for (; *cell; cell++) {
                if (*cell == '"')
                        buf_add_byte(out, '"');
                buf_add_byte(out, (uint8_t)*cell);
        }
        buf_add_byte(out, '"');
}

void csv_line_add(struct buf *out, const char *const *cells)
{
        for (size_t i = 0; cells[i]; i++) {
                if (i)
                        buf_add_byte(out, ',');
                cell_add(out, cells[i]);
        }
        buf_add_text(out, "\r\n");
}

int report_form_of(const char *path, enum report_form *ret_form)
{
        static const struct {
                const char *ending;
                enum report_form form;
        } forms[] = {{".csv", REPORT_CSV}, {".json", REPORT_JSON}, {".jsonl", REPORT_JSON}, {".ndjson", REPORT_JSON}};
        const char *ending = strrchr(path, '.');

        for (size_t i = 0; ending && i < ARRAY_LEN(forms); i++) {
                if (strcasecmp(ending, forms[i].ending) == 0) {
                        *ret_form = forms[i].form;
                        return 0;
                }
        }
        return refuse(PROBLEM_USAGE, "A report is written to a file that ends in .csv or .json; %s does not.", path);
}

/* ---- JSON on standard output */

static int out(const void *data, size_t len)
{
        fflush(stdout);
        return PASS(fd_write_all(STDOUT_FILENO, data, len));
}

int json_rows_begin(const char *name)
{
        CLEANUP(buf_done) struct buf text = BUF_NONE;

        buf_add_format(&text, "{\"%s\":[", name);
        return PASS(out(text.data, text.len));
}

int json_rows_add(struct json_rows *rows, const struct msg_record *record, const void *message)
{
        CLEANUP(json_buf_done) struct buf text = BUF_NONE;

        if (rows->begun)
                TRY(out(",", 1));
        rows->begun = true;
        TRY(json_message_add(record, message, &text));
        return PASS(out(text.data, text.len));
}

int json_rows_end(const char *cursor)
{
        CLEANUP(buf_done) struct buf text = BUF_NONE;

        /* Cursors are hexadecimal digits and colons. */
        buf_add_format(&text, "],\"cursor\":\"%s\"}\n", cursor);
        return PASS(out(text.data, text.len));
}
