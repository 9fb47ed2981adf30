/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/people.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

enum { COLUMNS_MOST = 64, FIELD_MOST = 1 << 20 };

enum column {
        COLUMN_NONE,
        COLUMN_ADDRESS,
        COLUMN_NAME,
        COLUMN_GIVEN,
        COLUMN_SURNAME,
        COLUMN_UNIT,
        COLUMN_GROUPS,
        COLUMN_SERVER,
        COLUMN_GUID,
        COLUMN_DISABLED
};

static const struct {
        const char *title;
        enum column column;
} titles[] = {
    {"address", COLUMN_ADDRESS},
    {"addresses", COLUMN_ADDRESS},
    {"mail", COLUMN_ADDRESS},
    {"email", COLUMN_ADDRESS},
    {"e-mail", COLUMN_ADDRESS},
    {"name", COLUMN_NAME},
    {"cn", COLUMN_NAME},
    {"displayname", COLUMN_NAME},
    {"given_name", COLUMN_GIVEN},
    {"givenname", COLUMN_GIVEN},
    {"surname", COLUMN_SURNAME},
    {"sn", COLUMN_SURNAME},
    {"unit", COLUMN_UNIT},
    {"ou", COLUMN_UNIT},
    {"department", COLUMN_UNIT},
    {"groups", COLUMN_GROUPS},
    {"group", COLUMN_GROUPS},
    {"server", COLUMN_SERVER},
    {"home_server", COLUMN_SERVER},
    {"guid", COLUMN_GUID},
    {"entryuuid", COLUMN_GUID},
    {"disabled", COLUMN_DISABLED},
};

struct csv {
        struct bytes rest;
        unsigned line;     /* of the next byte */
        unsigned row_line; /* where the row began */
        uint8_t separator;
        struct buf fields[COLUMNS_MOST];
        size_t count;
        enum column columns[COLUMNS_MOST];
        size_t column_count;
};

static void csv_done(struct csv *csv)
{
        for (size_t i = 0; i < COLUMNS_MOST; i++)
                buf_done(&csv->fields[i]);
}

/* ---- rows (RFC 4180) -------------------------------------------------------------------------------------- */

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

/* The next row that is not empty; no fields at the end. */
static int csv_row(struct csv *csv)
{
        csv->count = 0;
        while (csv->rest.len && (csv->rest.data[0] == '\n' || csv->rest.data[0] == '\r'))
                (void)csv_take(csv);
        csv->row_line = csv->line;
        while (csv->rest.len) {
                struct buf *field = &csv->fields[csv->count];
                if (csv->count == COLUMNS_MOST)
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
                if (!csv->rest.len && csv->count < COLUMNS_MOST)
                        buf_clear(&csv->fields[csv->count++]);
        }
        return 0;
}

/* ---- columns ---------------------------------------------------------------------------------------------- */

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

static int read_titles(struct csv *csv, struct people *people)
{
        bool addressed = false;

        TRY(csv_row(csv));
        for (size_t i = 0; i < csv->count; i++) {
                char *title CLEANUP(mem_freep) = people_text(buf_view(&csv->fields[i]), 255);
                for (size_t t = 0; title && t < ARRAY_LEN(titles); t++)
                        if (text_equal_ignoring_case(title, titles[t].title))
                                csv->columns[i] = titles[t].column;
                addressed |= csv->columns[i] == COLUMN_ADDRESS;
                if (title && !csv->columns[i])
                        people_note(people, 1, "The column \"%s\" is not known and was left out.", title);
        }
        csv->column_count = csv->count;
        if (!addressed)
                return refuse(
                    PROBLEM_MALFORMED,
                    "Line 1 does not name the columns: one must be \"address\" (or \"mail\"); others are name, "
                    "given_name, surname, unit, groups, server, guid, disabled.");
        return 0;
}

static void split(struct bytes text, const char *separators, void (*each)(void *context, struct bytes piece),
                  void *context)
{
        size_t start = 0;

        for (size_t at = 0; at <= text.len; at++) {
                if (at < text.len && !strchr(separators, text.data[at]))
                        continue;
                if (at > start)
                        each(context, bytes_of(text.data + start, at - start));
                start = at + 1;
        }
}

struct filling {
        struct people *people;
        struct msg_person *person;
        unsigned line;
};

static void each_address(void *context, struct bytes piece)
{
        struct filling *filling = context;

        (void)people_address(filling->people, filling->line, piece, filling->person);
}

static void each_group(void *context, struct bytes piece)
{
        struct filling *filling = context;
        char *name CLEANUP(mem_freep) = people_text(piece, 1024);

        if (name && filling->person->groups.count < 256 && !msg_texts_have(&filling->person->groups, name))
                msg_texts_add(&filling->person->groups, name);
}

static void put(char **place, struct bytes value, size_t most)
{
        if (!*place)
                *place = people_text(value, most);
}

static bool is_yes(struct bytes value)
{
        char *text CLEANUP(mem_freep) = people_text(value, 16);

        return text && (text_equal_ignoring_case(text, "yes") || text_equal_ignoring_case(text, "true") ||
                        strcmp(text, "1") == 0);
}

static void fill(struct filling *filling, enum column column, struct bytes value)
{
        struct msg_person *person = filling->person;

        switch (column) {
        case COLUMN_ADDRESS:
                split(value, " |;,", each_address, filling);
                break;
        case COLUMN_NAME:
                put(&person->name, value, 1024);
                break;
        case COLUMN_GIVEN:
                put(&person->given_name, value, 512);
                break;
        case COLUMN_SURNAME:
                put(&person->surname, value, 512);
                break;
        case COLUMN_UNIT:
                put(&person->unit, value, 2048);
                break;
        case COLUMN_GROUPS:
                split(value, "|", each_group, filling);
                break;
        case COLUMN_SERVER:
                put(&person->home_server, value, 255);
                break;
        case COLUMN_GUID:
                if (!person->guid)
                        person->guid = guid_of_text(value);
                if (!person->guid && value.len)
                        people_note(filling->people, filling->line,
                                    "The guid is none; one was made from the address.");
                break;
        case COLUMN_DISABLED:
                person->disabled = is_yes(value);
                break;
        case COLUMN_NONE:
                break;
        }
}

static void take_row(const struct csv *csv, struct people *people)
{
        MSG_OWN(person) person = {0};
        struct filling filling = {.people = people, .person = &person, .line = csv->row_line};

        if (csv->count != csv->column_count) {
                people_note(people, csv->row_line,
                            "The row has %zu fields where %zu columns are named, and was left out.", csv->count,
                            csv->column_count);
                return;
        }
        for (size_t i = 0; i < csv->count; i++) {
                if (text_is_utf8(buf_view(&csv->fields[i])))
                        fill(&filling, csv->columns[i], buf_view(&csv->fields[i]));
                else if (csv->columns[i])
                        people_note(people, csv->row_line,
                                    "Field %zu is not UTF-8 (is the file Latin-1?) and was left out.", i + 1);
        }
        if (!person.addresses.count) {
                people_note(people, csv->row_line, "%s has no mail address and was left out.",
                            person.name ? person.name : "The row");
                return;
        }
        if (!person.guid) {
                CLEANUP(buf_done) struct buf name = BUF_NONE;
                buf_add_format(&name, "mail=%s,", person.addresses.at[0]);
                person.guid = guid_of_name(buf_view(&name));
        }
        people_take(people, csv->row_line, &person);
}

int people_from_csv(struct bytes file, struct people *ret_people)
{
        CLEANUP(people_done) struct people people = {0};
        CLEANUP(csv_done) struct csv csv = {.rest = file, .line = 1};

        if (file.len >= 2 &&
            ((file.data[0] == 0xff && file.data[1] == 0xfe) || (file.data[0] == 0xfe && file.data[1] == 0xff)))
                return refuse(PROBLEM_UNSUPPORTED, "The file is UTF-16; convert it: iconv -f UTF-16 -t UTF-8.");
        if (file.len >= 3 && memcmp(file.data, "\xef\xbb\xbf", 3) == 0)
                csv.rest = bytes_of(file.data + 3, file.len - 3);
        csv.separator = separator_of(csv.rest);
        TRY(read_titles(&csv, &people));
        for (;;) {
                TRY(csv_row(&csv));
                if (!csv.count)
                        break;
                take_row(&csv, &people);
        }
        *ret_people = people;
        people = (struct people){0};
        return 0;
}
