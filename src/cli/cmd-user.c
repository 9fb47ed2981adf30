/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe user list | show | revoke */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/report.h"
#include "cli/session.h"
#include "cli/show.h"
#include "cli/table.h"
#include "cli/help.h"

enum { PAGE = 500, PAGE_MOST = 1000 };

/* ---- list, show ------------------------------------------------------------------------------------------- */

/* How the pages go out: one at a time, none is kept. */
struct listing {
        bool json, csv;
        struct json_rows rows;
        struct table *table;
};

static const char *user_address(const struct msg_user_item *user)
{
        return user->addresses.count ? user->addresses.at[0] : "";
}

static void list_table(struct listing *listing, const struct msg_user_listed *page)
{
        for (size_t i = 0; i < page->users.count; i++) {
                const struct msg_user_item *user = &page->users.at[i];
                char since[TIME_TEXT_SIZE], until[TIME_TEXT_SIZE];
                table_row(listing->table, (const char *const[]){user->name, user_address(user), user->state, user->token,
                                                                time_short(user->activated, since),
                                                                time_short(user->expires, until)});
        }
        if (page->users.count)
                table_print(listing->table, NULL);
}

static const char *time_cell(int64_t instant, char text[static TIME_TEXT_SIZE])
{
        return instant ? time_text(instant, text) : "";
}

static int list_csv(const struct msg_user_listed *page)
{
        CLEANUP(buf_done) struct buf lines = BUF_NONE;

        for (size_t i = 0; i < page->users.count; i++) {
                const struct msg_user_item *user = &page->users.at[i];
                char *addresses CLEANUP(mem_freep) = texts_joined(&user->addresses);
                char token[TIME_TEXT_SIZE], since[TIME_TEXT_SIZE], until[TIME_TEXT_SIZE];
                csv_line_add(&lines, (const char *const[]){
                                         msg_text(user->user), msg_text(user->name), user_address(user), addresses,
                                         msg_text(user->unit), msg_text(user->state), msg_text(user->token),
                                         time_cell(user->token_expires, token), time_cell(user->activated, since),
                                         time_cell(user->expires, until), NULL});
        }
        return PASS(fd_write_all(STDOUT_FILENO, lines.data, lines.len));
}

static int list_begin(const struct listing *listing)
{
        CLEANUP(buf_done) struct buf title = BUF_NONE;

        if (listing->json)
                return PASS(json_rows_begin("users"));
        if (!listing->csv)
                return 0;
        csv_line_add(&title, (const char *const[]){"id", "name", "address", "addresses", "unit", "state", "token",
                                                   "token_expires", "activated", "expires", NULL});
        return PASS(fd_write_all(STDOUT_FILENO, title.data, title.len));
}

static int list_page(struct listing *listing, const struct msg_user_listed *page)
{
        if (listing->csv)
                return PASS(list_csv(page));
        if (!listing->json) {
                list_table(listing, page);
                return 0;
        }
        for (size_t i = 0; i < page->users.count; i++)
                TRY(json_rows_add(&listing->rows, msg_record_user_item(), &page->users.at[i]));
        return 0;
}

static int list_pages(struct server *server, struct msg_user_list *request, struct listing *listing, bool one_page)
{
        for (;;) {
                MSG_OWN(user_listed) page = {0};
                TRY(server_call(server, user_list, request, user_listed, &page));
                TRY(list_page(listing, &page));
                free(request->cursor);
                request->cursor = TAKE(page.cursor);
                if (one_page || !*msg_text(request->cursor))
                        return 0;
        }
}

static int list(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        const char *search = operand(arguments, 0), *state = argument_text(arguments, "state"),
                   *cursor = argument_text(arguments, "cursor");
        MSG_OWN(user_list) request = {.search = search ? text_copy(search) : NULL,
                   .state = state ? text_copy(state) : NULL,
                   .cursor = cursor ? text_copy(cursor) : NULL};
        CLEANUP(table_freep)
        struct table *table =
            table_new((const char *const[]){"~Name", "Address", "State", "Token", "From", "Until", NULL});
        struct listing listing = {
            .json = argument_json(arguments), .csv = argument_flag(arguments, "csv"), .table = table};

        if (listing.json && listing.csv)
                return refuse(PROBLEM_USAGE, "--json and --csv are both given; one is enough.");
        TRY(argument_number(arguments, "limit", PAGE_MOST, PAGE, &request.limit));
        TRY(session_operator(arguments, &session));
        TRY(list_begin(&listing));
        TRY(list_pages(&session.server, &request, &listing, cursor || argument_text(arguments, "limit")));
        if (listing.json)
                return PASS(json_rows_end(msg_text(request.cursor)));
        if (!listing.csv)
                table_print(table, "No users.");
        if (*msg_text(request.cursor))
                tell("There are more: --cursor %s", request.cursor);
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
    {"csv", NULL, "print CSV: everybody's state, token and dates of the keys", 0, false},
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
    .about = "With SEARCH, people whose name or address begins so, whatever the case, also who has left.\n",
    .examples = "  vouchsafe user list müll\n"
                "  vouchsafe user list --state recovery\n"
                "  vouchsafe user list --csv >users.csv\n",
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
    .summary = "Revoke a user's certificates; the revocation list shows it within seconds",
    .operands = "USER",
    .least = 1,
    .most = 1,
    .options = revoke_options,
    .about = "Who is revoked already can be revoked again with keyCompromise, should it turn out that somebody else has his\n"
             "keys: the reason changes, the time of the revocation stays. With keyCompromise this includes certificates that\n"
             "were revoked for another reason before.\n",
    .examples = "  vouchsafe user revoke bob@example.org --reason affiliationChanged\n",
    .run = revoke_user,
};
