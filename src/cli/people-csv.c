/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/people.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/csv.h"

enum { DN_MOST = 2048, GUID_MOST = 64 };

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
        COLUMN_DISABLED,
        COLUMN_DN,
        COLUMN_LANGUAGE,
        COLUMN_KIND
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
    {"dn", COLUMN_DN},
    {"language", COLUMN_LANGUAGE},
    {"preferredlanguage", COLUMN_LANGUAGE},
    {"kind", COLUMN_KIND},
};

struct sheet {
        struct csv csv;
        enum column columns[CSV_COLUMNS_MOST];
        size_t column_count;
};

static void sheet_done(struct sheet *sheet)
{
        csv_done(&sheet->csv);
}

/* ---- columns ---------------------------------------------------------------------------------------------- */

static int read_titles(struct sheet *sheet, struct people *people)
{
        bool addressed = false;

        TRY(csv_row(&sheet->csv));
        for (size_t i = 0; i < sheet->csv.count; i++) {
                char *title CLEANUP(mem_freep) = people_text(buf_view(&sheet->csv.fields[i]), 255);
                for (size_t t = 0; title && t < ARRAY_LEN(titles); t++)
                        if (text_equal_ignoring_case(title, titles[t].title))
                                sheet->columns[i] = titles[t].column;
                addressed |= sheet->columns[i] == COLUMN_ADDRESS;
                if (title && !sheet->columns[i])
                        people_remark(people, 1, "The column \"%s\" is not known and was left out.", title);
        }
        sheet->column_count = sheet->csv.count;
        if (!addressed)
                return refuse(
                    PROBLEM_MALFORMED,
                    "Line 1 does not name the columns: one must be \"address\" (or \"mail\"); others are name, "
                    "given_name, surname, unit, groups, server, guid, disabled, dn, language, kind.");
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
        bool unknown; /* who it is: the row is left out */
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

/* A UUID in one spelling, or any other text that stays with the person: a number of personnel. Made from the address
 * instead it would make another person of him when that changes. */
static void fill_guid(struct filling *filling, struct bytes value)
{
        char *text CLEANUP(mem_freep) = people_text(value, value.len);

        if (!text || filling->person->guid)
                return;
        filling->person->guid = guid_of_text(bytes_text(text));
        if (filling->person->guid)
                return;
        filling->unknown = strlen(text) > GUID_MOST || !text_is_printable(bytes_text(text));
        if (filling->unknown)
                people_note(filling->people, filling->line,
                            "The guid is longer than %d bytes or has control characters; the row was left out.", GUID_MOST);
        else
                filling->person->guid = TAKE(text);
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
                fill_guid(filling, value);
                break;
        case COLUMN_DN:
                if (value.len <= DN_MOST)
                        put(&person->dn, value, DN_MOST);
                else
                        people_note(filling->people, filling->line, "The DN is longer than %d bytes and was left out.",
                                    DN_MOST);
                break;
        case COLUMN_LANGUAGE:
                put(&person->language, value, 35);
                break;
        case COLUMN_KIND:
                put(&person->kind, value, 16);
                break;
        case COLUMN_DISABLED:
                person->disabled = is_yes(value);
                break;
        case COLUMN_NONE:
                break;
        }
}

/* A row of kind "group": members have its name, or its DN, among their groups. */
static void take_group(struct people *people, unsigned line, struct msg_person *group)
{
        CLEANUP(buf_done) struct buf name = BUF_NONE;

        if (!group->name) {
                people_note(people, line, "A group without a name was left out.");
                return;
        }
        buf_add_format(&name, "group=%s,", msg_text(group->dn ? group->dn : group->name));
        if (!group->guid)
                group->guid = guid_of_name(buf_view(&name));
        people_take(people, line, group);
}

static void take_row(const struct sheet *sheet, struct people *people)
{
        MSG_OWN(person) person = {0};
        struct filling filling = {.people = people, .person = &person, .line = sheet->csv.row_line};

        if (sheet->csv.count != sheet->column_count) {
                people_note(people, sheet->csv.row_line,
                            "The row has %zu fields where %zu columns are named, and was left out.", sheet->csv.count,
                            sheet->column_count);
                return;
        }
        for (size_t i = 0; i < sheet->csv.count; i++) {
                if (text_is_utf8(buf_view(&sheet->csv.fields[i])))
                        fill(&filling, sheet->columns[i], buf_view(&sheet->csv.fields[i]));
                else if (sheet->columns[i])
                        people_note(people, sheet->csv.row_line,
                                    "Field %zu is not UTF-8 (is the file Latin-1?) and was left out.", i + 1);
        }
        if (filling.unknown)
                return;
        if (strcmp(msg_text(person.kind), "group") == 0) {
                take_group(people, sheet->csv.row_line, &person);
                return;
        }
        if (!person.addresses.count) {
                people_note(people, sheet->csv.row_line, "%s has no mail address and was left out.",
                            person.name ? person.name : "The row");
                return;
        }
        if (!person.guid) {
                CLEANUP(buf_done) struct buf name = BUF_NONE;
                buf_add_format(&name, "mail=%s,", person.addresses.at[0]);
                person.guid = guid_of_name(buf_view(&name));
        }
        people_take(people, sheet->csv.row_line, &person);
}

/* The server finds groups that it has; so they come before their members, else in the order of the file. */
static void groups_first(struct people *people)
{
        struct msg_person *sorted = mem_array(people->list.count + 1, sizeof(*sorted));
        size_t count = 0;

        for (unsigned pass = 0; pass < 2; pass++)
                for (size_t i = 0; i < people->list.count; i++)
                        if ((strcmp(msg_text(people->list.at[i].kind), "group") != 0) == pass)
                                sorted[count++] = people->list.at[i];
        free(people->list.at);
        people->list.at = sorted;
}

int people_from_csv(struct bytes file, struct people *ret_people)
{
        CLEANUP(people_done) struct people people = {0};
        CLEANUP(sheet_done) struct sheet sheet = {0};

        TRY(csv_open(file, &sheet.csv));
        TRY(read_titles(&sheet, &people));
        for (;;) {
                TRY(csv_row(&sheet.csv));
                if (!sheet.csv.count)
                        break;
                take_row(&sheet, &people);
        }
        groups_first(&people);
        *ret_people = people;
        people = (struct people){0};
        return 0;
}
