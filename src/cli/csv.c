/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/csv.h"

enum { FIELD_MOST = 1 << 20 };

static uint8_t separator_of(struct bytes file)
{
        const uint8_t *end = memchr(file.data, '\n', file.len);
        size_t len = end ? (size_t)(end - file.data) : file.len;

        if (memchr(file.data, ',', len))
                return ',';
        if (memchr(file.data, ';', len))
                return ';';
        return memchr(file.data, '\t', len) ? '\t' : ',';
}

int csv_open(struct bytes file, struct csv *ret_csv)
{
        if (file.len >= 2 &&
            ((file.data[0] == 0xff && file.data[1] == 0xfe) || (file.data[0] == 0xfe && file.data[1] == 0xff)))
                return refuse(PROBLEM_UNSUPPORTED, "The file is UTF-16; convert it: iconv -f UTF-16 -t UTF-8.");
        if (file.len >= 3 && memcmp(file.data, "\xef\xbb\xbf", 3) == 0)
                file = bytes_of(file.data + 3, file.len - 3);
        *ret_csv = (struct csv){.rest = file, .line = 1, .separator = separator_of(file)};
        return 0;
}

void csv_done(struct csv *csv)
{
        for (size_t i = 0; i < CSV_COLUMNS_MOST; i++)
                buf_done(&csv->fields[i]);
}

static int csv_refuse(const struct csv *csv, const char *what)
{
        return refuse(PROBLEM_MALFORMED, "Line %u: %s.", csv->line, what);
}

static uint8_t csv_take(struct csv *csv)
{
        uint8_t c = csv->rest.data[0];

        csv->rest = bytes_of(csv->rest.data + 1, csv->rest.len - 1);
        if (c == '\n')
                csv->line++;
        return c;
}

static bool csv_at_end_of_field(const struct csv *csv)
{
        return !csv->rest.len || csv->rest.data[0] == csv->separator || csv->rest.data[0] == '\n' ||
               (csv->rest.data[0] == '\r' && csv->rest.len > 1 && csv->rest.data[1] == '\n');
}

static int csv_quoted(struct csv *csv, struct buf *field)
{
        (void)csv_take(csv);
        for (;;) {
                if (!csv->rest.len)
                        return csv_refuse(csv, "a quote is not closed");
                uint8_t c = csv_take(csv);
                if (c == '"') {
                        if (!csv->rest.len || csv->rest.data[0] != '"')
                                break;
                        (void)csv_take(csv);
                }
                if (field->len == FIELD_MOST)
                        return csv_refuse(csv, "a field is longer than a megabyte; is a quote missing?");
                buf_add_byte(field, c);
        }
        if (!csv_at_end_of_field(csv))
                return csv_refuse(csv, "something follows a closing quote; a quote within a field is written twice");
        return 0;
}

int csv_row(struct csv *csv)
{
        csv->count = 0;
        while (csv->rest.len && (csv->rest.data[0] == '\n' || csv->rest.data[0] == '\r'))
                (void)csv_take(csv);
        csv->row_line = csv->line;
        while (csv->rest.len) {
                struct buf *field = &csv->fields[csv->count];
                if (csv->count == CSV_COLUMNS_MOST)
                        return csv_refuse(csv, "there are more than 64 columns");
                csv->count++;
                buf_clear(field);
                if (csv->rest.data[0] == '"')
                        TRY(csv_quoted(csv, field));
                while (!csv_at_end_of_field(csv))
                        buf_add_byte(field, csv_take(csv));
                if (!csv->rest.len)
                        break;
                if (csv->rest.data[0] == '\r')
                        (void)csv_take(csv);
                if (csv_take(csv) == '\n')
                        break;
                if (!csv->rest.len && csv->count < CSV_COLUMNS_MOST)
                        buf_clear(&csv->fields[csv->count++]);
        }
        return 0;
}
