/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe user list | show | revoke */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/session.h"
#include "cli/show.h"
#include "cli/table.h"
#include "cli/help.h"

enum { PAGE = 500, PAGE_MOST = 1000 };

/* ---- list, show ------------------------------------------------------------------------------------------- */

static int fetch_users(struct session *session, struct arguments *arguments, struct msg_user_listed *all)
{
        const char *search = operand(arguments, 0), *state = argument_text(arguments, "state"),
                   *cursor = argument_text(arguments, "cursor");
        MSG_OWN(user_list) request = {.search = search ? text_copy(search) : NULL,
                   .state = state ? text_copy(state) : NULL,
                   .cursor = cursor ? text_copy(cursor) : NULL};
        bool one_page = cursor || argument_text(arguments, "limit");

        TRY(argument_number(arguments, "limit", PAGE_MOST, PAGE, &request.limit));
        for (;;) {
                MSG_OWN(user_listed) page = {0};
                TRY(server_call(&session->server, user_list, &request, user_listed, &page));
                LIST_MOVE(all->users, page.users);
                free(request.cursor);
                request.cursor = TAKE(page.cursor);
                if (one_page)
                        all->cursor = TAKE(request.cursor);
                if (!*msg_text(request.cursor))
                        return 0;
        }
}

static int list(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        MSG_OWN(user_listed) all = {0};
        CLEANUP(table_freep)
        struct table *table =
            table_new((const char *const[]){"~Name", "Address", "State", "Token", "Enrolled", "Until", NULL});

        TRY(session_operator(arguments, &session));
        TRY(fetch_users(&session, arguments, &all));
        if (argument_json(arguments))
                return PASS(show_json_of(user_listed, &all));
        for (size_t i = 0; i < all.users.count; i++) {
                const struct msg_user_item *user = &all.users.at[i];
                char since[TIME_TEXT_SIZE], until[TIME_TEXT_SIZE];
                table_row(table, (const char *const[]){user->name, user->addresses.count ? user->addresses.at[0] : "",
                                                       user->state, user->token, time_short(user->activated, since),
                                                       time_short(user->expires, until)});
        }
        table_print(table, "No users.");
        if (all.cursor && *all.cursor)
                tell("There are more: --cursor %s", all.cursor);
        return 0;
}

static void show_user(const struct msg_user_item *user)
{
        char *addresses CLEANUP(mem_freep) = texts_joined(&user->addresses);
        char time[TIME_TEXT_SIZE];

        say_pair("Name", "%s", msg_text(user->name));
        say_pair("Addresses", "%s", addresses);
        say_pair("Unit", "%s", msg_text(user->unit));
        say_pair("Directory id", "%s", msg_text(user->user));
        say_pair("State", "%s", msg_text(user->state));
        if (*msg_text(user->token))
                say_pair("Token", "%s, until %s", user->token, time_short(user->token_expires, time));
}

static int show(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        MSG_OWN(user_show) request = {.user = text_copy(operand(arguments, 0))};
        MSG_OWN(user_shown) reply = {0};

        TRY(session_operator(arguments, &session));
        TRY(server_call(&session.server, user_show, &request, user_shown, &reply));
        if (argument_json(arguments))
                return PASS(show_json_of(user_shown, &reply));
        if (reply.user.count)
                show_user(&reply.user.at[0]);
        say("%s", "");
        show_certificates(reply.certificates.at, reply.certificates.count);
        return 0;
}

/* ---- revoke ----------------------------------------------------------------------------------------------- */

/* RFC 5280 5.3.1, those that mean something for a person's mail. */
static const char *const reasons[] = {"unspecified", "keyCompromise",        "affiliationChanged",
                                      "superseded",  "cessationOfOperation", "privilegeWithdrawn"};

static int check_reason(const char *reason)
{
        const char *near;

        for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
                if (strcmp(reason, reasons[i]) == 0)
                        return 0;
        near = help_nearest(reason, reasons, ARRAY_LEN(reasons));
        return refuse(
            PROBLEM_USAGE,
            "\"%s\" is no reason%s%s%s. There are unspecified, keyCompromise, affiliationChanged, superseded, "
            "cessationOfOperation, privilegeWithdrawn. Put words of your own into --note.",
            reason, near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

static int revoke_user(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        MSG_OWN(user_revoke) request = {.user = text_copy(operand(arguments, 0))};
        MSG_OWN(user_revoked) reply = {0};
        const char *reason, *note = argument_text(arguments, "note");

        TRY(argument_needed(arguments, "reason", &reason));
        TRY(check_reason(reason));
        request.reason = text_copy(reason);
        request.note = note ? text_copy(note) : NULL;
        TRY(session_operator(arguments, &session));
        TRY(server_call(&session.server, user_revoke, &request, user_revoked, &reply));
        if (argument_json(arguments))
                return PASS(show_json_of(user_revoked, &reply));
        say("%zu certificates of %s are revoked (%s), from revocation list %llu on.", reply.serials.count,
            operand(arguments, 0), reason, (unsigned long long)reply.crl_number);
        for (size_t i = 0; i < reply.serials.count; i++)
                say_pair("Serial", "%s", msg_text(reply.serials.at[i]));
        return 0;
}

static const struct command_option list_options[] = {
    {"state", "STATE", "only users in that state: undefined, new, enrolled, recovery, revoked", 0, false},
    {"limit", "N", "one page of N users", 0, false},
    {"cursor", "CURSOR", "the page that begins there", 0, false},
    OPTIONS_OPERATOR,
    OPTIONS_END,
};
static const struct command_option show_options[] = {OPTIONS_OPERATOR, OPTIONS_END};
static const struct command_option revoke_options[] = {
    {"reason", "REASON",
     "keyCompromise, affiliationChanged, superseded, cessationOfOperation, privilegeWithdrawn, unspecified", 0,
     false},
    {"note", "TEXT", "for the audit record", 0, false},
    OPTIONS_OPERATOR,
    OPTIONS_END,
};

const struct command command_user_list = {
    .noun = "user",
    .verb = "list",
    .summary = "List users and what state they are in",
    .operands = "[SEARCH]",
    .most = 1,
    .options = list_options,
    .examples = "  vouchsafe user list --state recovery\n",
    .run = list,
};

const struct command command_user_show = {
    .noun = "user",
    .verb = "show",
    .summary = "Show a user with all certificates",
    .operands = "USER",
    .least = 1,
    .most = 1,
    .options = show_options,
    .examples = "  vouchsafe user show bob@example.org\n",
    .run = show,
};

const struct command command_user_revoke = {
    .noun = "user",
    .verb = "revoke",
    .summary = "Revoke a user's certificates; the list shows it within seconds",
    .operands = "USER",
    .least = 1,
    .most = 1,
    .options = revoke_options,
    .examples = "  vouchsafe user revoke bob@example.org --reason affiliationChanged\n",
    .run = revoke_user,
};
