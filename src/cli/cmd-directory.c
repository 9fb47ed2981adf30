/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe directory import | list | show | left */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/people.h"
#include "cli/session.h"
#include "cli/show.h"
#include "cli/table.h"

enum { FILE_MOST = 512 << 20, BATCH = 500, BATCH_BYTES = 2 << 20, PAGE = 500 };

/* ---- import ----------------------------------------------------------------------------------------------- */

static bool ends_in(const char *path, const char *end)
{
        size_t length = strlen(path), tail = strlen(end);

        return length >= tail && text_equal_ignoring_case(path + length - tail, end);
}

static int read_people(const struct arguments *arguments, struct people *ret_people)
{
        const char *path = operand(arguments, 0), *format = argument_text(arguments, "format");
        CLEANUP(buf_done) struct buf file = BUF_NONE;
        bool csv = format ? strcmp(format, "csv") == 0 : ends_in(path, ".csv") || ends_in(path, ".tsv");
        int r;

        if (format && !csv && strcmp(format, "ldif") != 0)
                return refuse(PROBLEM_USAGE, "--format takes ldif or csv, not \"%s\".", format);
        if (!format && !csv && !ends_in(path, ".ldif") && !ends_in(path, ".ldf"))
                return refuse(PROBLEM_USAGE,
                              "The name %s does not say what the file is; add --format ldif or --format csv.", path);
        r = file_read(strcmp(path, "-") == 0 ? "/dev/stdin" : path, FILE_MOST, &file);
        if (r == PROBLEM_NOT_FOUND)
                return refuse(PROBLEM_NOT_FOUND, "There is no file %s.", path);
        TRY(r);
        r = csv ? people_from_csv(buf_view(&file), ret_people) : people_from_ldif(buf_view(&file), ret_people);
        return r > 0 ? report_prefix(r, "%s: ", path) : PASS(r);
}

struct totals {
        uint64_t added, changed, unchanged, findings;
};

static int send_batch(struct session *session, struct msg_directory_import *batch, struct totals *totals,
                      struct msg_directory_imported *all)
{
        MSG_OWN(directory_imported) reply = {0};

        TRY(server_call(&session->server, directory_import, batch, directory_imported, &reply));
        totals->added += reply.added;
        totals->changed += reply.changed;
        totals->unchanged += reply.unchanged;
        totals->findings += reply.findings.count;
        LIST_MOVE(all->findings, reply.findings);
        return 0;
}

static size_t person_size(const struct msg_person *person)
{
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;

        /* Beyond a limit it fails when it is sent, with the field's name. */
        return message_encode(msg_record_person(), person, &encoded) == 0 ? encoded.len : 0;
}

static int send_people(struct session *session, struct people *people, bool dry, struct totals *totals,
                       struct msg_directory_imported *all)
{
        struct progress progress;
        size_t at = 0;

        progress_begin(&progress, dry ? "Checking people" : "Importing people", people->list.count);
        while (at < people->list.count) {
                MSG_OWN(directory_import) batch = {.dry_run = dry};
                size_t bytes = 0;
                for (; at < people->list.count && batch.people.count < BATCH && bytes < BATCH_BYTES; at++) {
                        bytes += person_size(&people->list.at[at]);
                        *MSG_LIST_ADD(batch.people) = people->list.at[at];
                        people->list.at[at] = (struct msg_person){0};
                }
                TRY(send_batch(session, &batch, totals, all));
                progress_step(&progress, at);
        }
        progress_end(&progress);
        return 0;
}

static void show_import(const struct msg_directory_imported *all, const struct totals *totals, bool dry)
{
        for (size_t i = 0; i < all->findings.count; i++)
                tell("%s: %s", msg_text(all->findings.at[i].subject), msg_text(all->findings.at[i].detail));
        say("%s%llu added, %llu changed, %llu unchanged%s.", dry ? "Dry run: " : "", (unsigned long long)totals->added,
            (unsigned long long)totals->changed, (unsigned long long)totals->unchanged,
            dry ? "; nothing was written" : "");
}

static int import(struct arguments *arguments)
{
        CLEANUP(people_done) struct people people = {0};
        CLEANUP(session_done) struct session session = {0};
        MSG_OWN(directory_imported) all = {0};
        struct totals totals = {0};
        bool dry = argument_flag(arguments, "dry-run");
        size_t left_out;

        TRY(read_people(arguments, &people));
        for (size_t i = 0; i < people.notes.count; i++)
                tell("%s: line %u: %s", operand(arguments, 0), people.notes.at[i].line, people.notes.at[i].text);
        if (!people.list.count)
                return refuse(PROBLEM_MALFORMED, "The file %s has nobody with a mail address.",
                              operand(arguments, 0));
        TRY(session_operator(arguments, &session));
        TRY(send_people(&session, &people, dry, &totals, &all));
        all.added = totals.added;
        all.changed = totals.changed;
        all.unchanged = totals.unchanged;
        if (argument_json(arguments))
                TRY(show_json_of(directory_imported, &all));
        else
                show_import(&all, &totals, dry);
        /* Lines that are no people at all were said, and are none the less what somebody wanted to import. */
        left_out = all.findings.count + people.left_out;
        if (left_out)
                return refuse(PROBLEM_INCOMPLETE,
                              "%zu %s left out, as said above; all others were %s. Mend the file, and import it again.",
                              left_out, left_out == 1 ? "thing was" : "things were", dry ? "found good" : "taken");
        return 0;
}

/* ---- list, show, left -------------------------------------------------------------------------------------- */

/* What is out of the ordinary. */
static void state_add(struct buf *out, const struct msg_person *person)
{
        char text[TIME_TEXT_SIZE];

        if (person->gone)
                buf_add_format(out, "left %s", time_short(person->gone, text));
        else if (person->disabled)
                buf_add_text(out, "disabled");
}

static void show_people(const struct msg_directory_listed *listed, bool groups)
{
        CLEANUP(table_freep)
        struct table *table = table_new(groups ? (const char *const[]){"~Name", "~DN", "~In groups", "State", NULL}
                                               : (const char *const[]){"~Name", "Address", "~Unit", "~Groups", "State", NULL});

        for (size_t i = 0; i < listed->people.count; i++) {
                const struct msg_person *person = &listed->people.at[i];
                char *in CLEANUP(mem_freep) = texts_joined(&person->groups);
                char *address CLEANUP(mem_freep) = texts_joined(&person->addresses);
                CLEANUP(buf_done) struct buf state = BUF_NONE;

                state_add(&state, person);
                if (groups)
                        table_row(table, (const char *const[]){person->name, person->dn, in, buf_text(&state)});
                else
                        table_row(table, (const char *const[]){person->name, address, person->unit, in, buf_text(&state)});
        }
        table_print(table, groups ? "No groups." : "Nobody.");
}

/* `request` is used up. */
static int fetch(struct session *session, struct msg_directory_list *request, struct msg_directory_listed *all)
{
        request->limit = PAGE;
        for (;;) {
                MSG_OWN(directory_listed) page = {0};
                TRY(server_call(&session->server, directory_list, request, directory_listed, &page));
                LIST_MOVE(all->people, page.people);
                LIST_MOVE(all->departures, page.departures);
                free(request->cursor);
                request->cursor = TAKE(page.cursor);
                if (!*msg_text(request->cursor))
                        return 0;
        }
}

static int list(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        MSG_OWN(directory_listed) all = {0};
        bool groups = argument_flag(arguments, "groups");
        MSG_OWN(directory_list) request = {.groups = groups};

        if (operand(arguments, 0))
                request.search = text_copy(operand(arguments, 0));
        TRY(session_operator(arguments, &session));
        TRY(fetch(&session, &request, &all));
        if (argument_json(arguments))
                return PASS(show_json_of(directory_listed, &all));
        show_people(&all, groups);
        return 0;
}

static int show(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        MSG_OWN(directory_listed) all = {0};
        MSG_OWN(directory_list) request = {.search = text_copy(operand(arguments, 0))},
                                groups = {.search = text_copy(operand(arguments, 0)), .groups = true};

        TRY(session_operator(arguments, &session));
        TRY(fetch(&session, &request, &all));
        if (!all.people.count)
                TRY(fetch(&session, &groups, &all));
        if (!all.people.count)
                return refuse(PROBLEM_NOT_FOUND, "Nobody in the address book is \"%s\".", operand(arguments, 0));
        if (argument_json(arguments))
                return PASS(show_json_of(directory_listed, &all));
        for (size_t i = 0; i < all.people.count; i++) {
                if (i)
                        say("%s", "");
                show_person(&all.people.at[i]);
        }
        return 0;
}

static void show_departures(const struct msg_directory_listed *listed)
{
        CLEANUP(table_freep)
        struct table *table = table_new((const char *const[]){"~Name", "Address", "Left", "State", "Revoked on", NULL});

        for (size_t i = 0; i < listed->departures.count; i++) {
                const struct msg_departure *departure = &listed->departures.at[i];
                char *address CLEANUP(mem_freep) = texts_joined(&departure->addresses);
                char left[TIME_TEXT_SIZE], revoke[TIME_TEXT_SIZE];

                table_row(table, (const char *const[]){departure->name, address, time_short(departure->left, left),
                                                       departure->state, time_short(departure->revoke, revoke)});
        }
        table_print(table, "Nobody has left.");
}

static int left(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        MSG_OWN(directory_listed) all = {0};
        MSG_OWN(directory_list) request = {.left = true};

        TRY(session_operator(arguments, &session));
        TRY(fetch(&session, &request, &all));
        if (argument_json(arguments))
                return PASS(show_json_of(directory_listed, &all));
        show_departures(&all);
        return 0;
}

static const struct command_option import_options[] = {
    {"dry-run", NULL, "say what would change, and change nothing", 'n', false},
    {"format", "ldif|csv", "what the file is, when its name does not end so", 0, false},
    OPTIONS_OPERATOR,
    OPTIONS_END,
};
static const struct command_option list_options[] = {
    {"groups", NULL, "the groups in place of the people", 'g', false},
    OPTIONS_OPERATOR,
    OPTIONS_END,
};
static const struct command_option show_options[] = {OPTIONS_OPERATOR, OPTIONS_END};

const struct command command_directory_import = {
    .noun = "directory",
    .verb = "import",
    .summary = "Fill the address book from a file; can be repeated",
    .operands = "FILE",
    .least = 1,
    .most = 1,
    .options = import_options,
    .about =
        "LDIF (RFC 2849): persons with a mail address, and groups; entryUUID or objectGUID is the stable id, units\n"
        "come from the DN, memberships from the groups in the file and from memberOf. CSV: the first line names the\n"
        "columns: address, name, given_name, surname, unit, groups, server, guid, disabled, dn, language, kind (person\n"
        "or group). The guid says who it is when the address changes: a UUID, or any other text of up to 64 bytes that stays\n"
        "the same, as a number of personnel. Without one a changed address is another person.\n"
        "What cannot be taken is left out and named with its line; all else is taken, and the exit code is 51. Who is\n"
        "not in the file stays as he is: see \"vouchsafe directory remove\".\n",
    .examples = "  vouchsafe directory import people.ldif --dry-run\n"
                "  ldapsearch -LLL -o ldif-wrap=no '(mail=*)' '*' entryUUID memberOf | vouchsafe directory import "
                "--format ldif -\n",
    .run = import,
};

const struct command command_directory_list = {
    .noun = "directory",
    .verb = "list",
    .summary = "List people of the directory, or its groups",
    .operands = "[SEARCH]",
    .most = 1,
    .options = list_options,
    .about = "With SEARCH, those whose name or address begins so, whatever the case, also who has left.\n",
    .examples = "  vouchsafe directory list miller\n"
                "  vouchsafe directory list --groups\n",
    .run = list,
};

const struct command command_directory_show = {
    .noun = "directory",
    .verb = "show",
    .summary = "Show all that the directory says of somebody",
    .operands = "ENTRY",
    .least = 1,
    .most = 1,
    .options = show_options,
    .about = "By address, directory id, DN, or the start of a name; people first, then groups.\n",
    .examples = "  vouchsafe directory show bob@example.org\n",
    .run = show,
};

const struct command command_directory_left = {
    .noun = "directory",
    .verb = "left",
    .summary = "List who left the directory, and when they are revoked",
    .operands = "",
    .options = show_options,
    .about = "They keep their keys, which can be recovered, and their addresses until somebody else has them. [directory]\n"
             "revoke-left-after in the configuration says after what time their certificates are revoked.\n",
    .examples = "  vouchsafe directory left\n",
    .run = left,
};
