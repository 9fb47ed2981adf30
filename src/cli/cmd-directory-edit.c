/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe directory add | edit | remove */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/session.h"
#include "cli/show.h"

/* Options that set a text of the person. */
static const struct {
        const char *option, *field;
        size_t offset;
} texts[] = {
    {"name", "name", offsetof(struct msg_person, name)},
    {"given-name", "given_name", offsetof(struct msg_person, given_name)},
    {"surname", "surname", offsetof(struct msg_person, surname)},
    {"unit", "unit", offsetof(struct msg_person, unit)},
    {"mail-server", "home_server", offsetof(struct msg_person, home_server)},
    {"language", "language", offsetof(struct msg_person, language)},
    {"dn", "dn", offsetof(struct msg_person, dn)},
    {"kind", "kind", offsetof(struct msg_person, kind)},
    {"id", NULL, offsetof(struct msg_person, guid)},
};

/* Options that have no row in `texts` for this command are never given. */
static void take_texts(const struct arguments *arguments, bool add, struct msg_directory_edit *request)
{
        struct msg_person *person = MSG_LIST_ADD(request->person);

        for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
                const char *value = !add && !texts[i].field ? NULL : argument_text(arguments, texts[i].option);

                if (!value)
                        continue;
                *(char **)(void *)((char *)person + texts[i].offset) = text_copy(value);
                if (texts[i].field)
                        msg_texts_add(&request->fields, texts[i].field);
        }
}

static void take_list(const struct arguments *arguments, const char *option, struct msg_texts *list)
{
        const char *value;

        for (size_t i = 0; (value = argument_text_at(arguments, option, i)); i++)
                if (!msg_texts_have(list, value))
                        msg_texts_add(list, value);
}

static int send(struct arguments *arguments, const struct msg_directory_edit *request, const char *verb)
{
        CLEANUP(session_done) struct session session = {0};
        MSG_OWN(directory_edited) reply = {0};

        TRY(session_operator(arguments, &session));
        TRY(server_call(&session.server, directory_edit, request, directory_edited, &reply));
        if (argument_json(arguments))
                return PASS(show_json_of(directory_edited, &reply));
        if (!reply.person.count)
                return 0;
        say("%s %s (%s).", msg_text(reply.person.at[0].name), verb, msg_text(reply.person.at[0].guid));
        return 0;
}

static int add(struct arguments *arguments)
{
        MSG_OWN(directory_edit) request = {0};

        take_texts(arguments, true, &request);
        for (size_t i = 0; i < operand_count(arguments); i++)
                msg_texts_add(&request.add_addresses, operand(arguments, i));
        take_list(arguments, "group", &request.add_groups);
        return PASS(send(arguments, &request, "was added"));
}

static int edit_disabled(const struct arguments *arguments, struct msg_directory_edit *request)
{
        bool disable = argument_flag(arguments, "disable"), enable = argument_flag(arguments, "enable");

        if (disable && enable)
                return refuse(PROBLEM_USAGE, "--disable and --enable cannot go together.");
        if (disable || enable) {
                msg_texts_add(&request->fields, "disabled");
                request->person.at[0].disabled = disable;
        }
        return 0;
}

static int edit(struct arguments *arguments)
{
        MSG_OWN(directory_edit) request = {.entry = text_copy(operand(arguments, 0))};

        take_texts(arguments, false, &request);
        TRY(edit_disabled(arguments, &request));
        take_list(arguments, "add-address", &request.add_addresses);
        take_list(arguments, "remove-address", &request.remove_addresses);
        take_list(arguments, "add-group", &request.add_groups);
        take_list(arguments, "remove-group", &request.remove_groups);
        request.restore = argument_flag(arguments, "restore");
        if (!request.fields.count && !request.add_addresses.count && !request.remove_addresses.count &&
            !request.add_groups.count && !request.remove_groups.count && !request.restore)
                return refuse(PROBLEM_USAGE, "Nothing is to be changed: give --name, --unit, --add-address or another "
                                             "option; \"vouchsafe directory edit --help\" lists them.");
        return PASS(send(arguments, &request, "was changed"));
}

static int remove_entry(struct arguments *arguments)
{
        MSG_OWN(directory_edit) request = {.entry = text_copy(operand(arguments, 0)), .remove = true};

        return PASS(send(arguments, &request, "has left"));
}

/* clang-format off */
#define OPTIONS_FIELDS                                                                                       \
        {"name", "NAME", "the name that certificates carry", 0, false},                                      \
        {"given-name", "NAME", "the given name", 0, false},                                                  \
        {"surname", "NAME", "the surname", 0, false},                                                        \
        {"unit", "UNIT", "the unit, as Sales/Berlin", 0, false},                                             \
        {"mail-server", "HOST", "the mail server", 0, false},                                                \
        {"language", "TAG", "the language of what is mailed to the person, as de", 0, false},                \
        {"dn", "DN", "the name of the entry in a directory", 0, false}
/* clang-format on */
static const struct command_option add_options[] = {
    OPTIONS_FIELDS,
    {"group", "NAME", "a group that holds the entry, by its DN or name", 'g', true},
    {"kind", "person|group", "what it is (default: person)", 0, false},
    {"id", "ID", "the stable id, where somebody else gives it (default: a new one)", 0, false},
    OPTIONS_OPERATOR,
    OPTIONS_END,
};
static const struct command_option edit_options[] = {
    OPTIONS_FIELDS,
    {"add-address", "ADDRESS", "one address more", 0, true},
    {"remove-address", "ADDRESS", "one address less; the first of those that stay is the main one", 0, true},
    {"add-group", "NAME", "into a group", 0, true},
    {"remove-group", "NAME", "out of a group", 0, true},
    {"disable", NULL, "no tokens and no certificates from now on", 0, false},
    {"enable", NULL, "the opposite", 0, false},
    {"restore", NULL, "take back somebody who was removed, with his keys", 0, false},
    OPTIONS_OPERATOR,
    OPTIONS_END,
};
static const struct command_option remove_options[] = {OPTIONS_OPERATOR, OPTIONS_END};

const struct command command_directory_add = {
    .noun = "directory",
    .verb = "add",
    .summary = "Add somebody to the embedded address book",
    .operands = "ADDRESS…",
    .most = 32,
    .options = add_options,
    .about = "The first address is the main one. The entry gets an id that stays whatever else changes, and keys belong to\n"
             "that: somebody new under an address that somebody else had gets none of his keys.\n",
    .examples = "  vouchsafe directory add bob@example.org --name 'Bob Baker' --unit Sales/Berlin --group Board\n"
                "  vouchsafe directory add --kind group --name Board\n",
    .run = add,
};

const struct command command_directory_edit = {
    .noun = "directory",
    .verb = "edit",
    .summary = "Change an entry of the embedded address book",
    .operands = "ENTRY",
    .least = 1,
    .most = 1,
    .options = edit_options,
    .about = "The entry is named by address, directory id or DN. Certificates that exist stay as they are; those that follow\n"
             "have the new name and addresses.\n",
    .examples = "  vouchsafe directory edit bob@example.org --surname Miller --add-address bob.miller@example.org\n",
    .run = edit,
};

const struct command command_directory_remove = {
    .noun = "directory",
    .verb = "remove",
    .summary = "Say that somebody has left; his keys stay",
    .operands = "ENTRY",
    .least = 1,
    .most = 1,
    .options = remove_options,
    .about = "Nothing is deleted: old mail can still be recovered. Certificates are revoked with \"vouchsafe user revoke\", or\n"
             "after a time by [directory] revoke-left-after.\n",
    .examples = "  vouchsafe directory remove bob@example.org\n",
    .run = remove_entry,
};
