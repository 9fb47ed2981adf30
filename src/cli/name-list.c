/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/name-list.h"

#include "base/text.h"

int name_list_open(struct bytes file, size_t offset, struct name_list *ret_list)
{
        struct name_list list = {.size = file.len, .within = offset > 0};

        TRY(csv_open(file, &list.csv));
        if (offset > file.len)
                return refuse(PROBLEM_MALFORMED, "The list is shorter than it was.");
        if (offset)
                list.csv.rest = bytes_of(file.data + offset, file.len - offset);
        *ret_list = list;
        return 0;
}

void name_list_done(struct name_list *list)
{
        csv_done(&list->csv);
}

size_t name_list_offset(const struct name_list *list)
{
        return list->size - list->csv.rest.len;
}

static void line_skip(struct csv *csv)
{
        const uint8_t *end = memchr(csv->rest.data, '\n', csv->rest.len);
        size_t len = end ? (size_t)(end - csv->rest.data) + 1 : csv->rest.len;

        csv->rest = bytes_of(csv->rest.data + len, csv->rest.len - len);
        csv->line += end != NULL;
}

static void comments_skip(struct csv *csv)
{
        while (csv->rest.len && strchr("#\r\n", csv->rest.data[0]) && csv->rest.data[0])
                line_skip(csv);
}

static struct bytes trimmed(struct bytes text)
{
        while (text.len && strchr(" \t\r", text.data[text.len - 1]) && text.data[text.len - 1])
                text.len--;
        while (text.len && (text.data[0] == ' ' || text.data[0] == '\t'))
                text = bytes_of(text.data + 1, text.len - 1);
        /* As csv_line_add() writes it. */
        if (text.len > 1 && text.data[0] == '\'' && text.data[1] && strchr("=+-@", text.data[1]))
                text = bytes_of(text.data + 1, text.len - 1);
        return text;
}

static bool is_title(const char *name)
{
        static const char *const titles[] = {"id",      "guid", "entryuuid", "user",   "directory_id",
                                             "address", "mail", "email",     "e-mail", "addresses"};

        for (size_t i = 0; i < ARRAY_LEN(titles); i++)
                if (text_equal_ignoring_case(name, titles[i]))
                        return true;
        return false;
}

int name_list_next(struct name_list *list, struct buf *ret_name)
{
        buf_clear(ret_name);
        for (;;) {
                bool first = !list->within;

                comments_skip(&list->csv);
                TRY(csv_row(&list->csv));
                if (!list->csv.count)
                        return 0;
                list->within = true;
                text_add_printable(ret_name, trimmed(buf_view(&list->csv.fields[0])), NAME_LIST_MOST);
                if (ret_name->len && !(first && is_title(buf_text(ret_name))))
                        return 0;
                buf_clear(ret_name);
        }
}
