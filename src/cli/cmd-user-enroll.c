/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe user enroll */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/bulk.h"
#include "cli/report.h"
#include "cli/session.h"
#include "cli/sheet.h"
#include "cli/show.h"
#include "cli/table.h"

/* ---- what a page shows ------------------------------------------------------------------------------------ */

struct display {
        bool json, tokens_go_to_file, silent;
        struct json_rows rows;
        struct table *others;
};

/* Tokens go to the descriptor themselves, not through tables: they are secrets. */
static int show_tokens(const struct msg_user_enroll_reply *page)
{
        size_t width = 0;

        for (size_t i = 0; i < page->rows.count; i++)
                if (page->rows.at[i].token.len)
                        width = MAX(width, text_columns(msg_text(page->rows.at[i].address)));
        for (size_t i = 0; i < page->rows.count; i++) {
                const struct msg_token_item *row = &page->rows.at[i];
                CLEANUP(buf_done) struct buf name = BUF_NONE;
                char time[TIME_TEXT_SIZE];
                if (!row->token.len)
                        continue;
                text_add_cut(&name, msg_text(row->name), CELL_COLUMNS);
                fflush(stdout);
                TRY(secret_write(STDOUT_FILENO, &row->token));
                say("  %s  %s%*s  %s", time_short(row->expires, time), msg_text(row->address),
                    (int)(width - text_columns(msg_text(row->address))), "", buf_text(&name));
        }
        return 0;
}

static void show_others(struct display *display, const struct msg_user_enroll_reply *page)
{
        for (size_t i = 0; i < page->rows.count; i++) {
                const struct msg_token_item *row = &page->rows.at[i];
                if (!row->token.len)
                        table_row(display->others,
                                  (const char *const[]){row->outcome, row->address, row->name, row->detail});
        }
        table_print(display->others, NULL);
}

static int show_json_page(struct display *display, const struct msg_user_enroll_reply *page)
{
        for (size_t i = 0; i < page->rows.count; i++) {
                struct msg_token_item row = page->rows.at[i];
                if (display->tokens_go_to_file)
                        row.token = SECRET_NONE;
                TRY(json_rows_add(&display->rows, msg_record_token_item(), &row));
        }
        return 0;
}

static int show_page(void *context, const struct msg_user_enroll_reply *page)
{
        struct display *display = context;

        if (display->json)
                return PASS(show_json_page(display, page));
        if (!display->tokens_go_to_file)
                TRY(show_tokens(page));
        if (!display->silent)
                show_others(display, page);
        return 0;
}

/* ---- how it ended ----------------------------------------------------------------------------------------- */

static void count_add(struct buf *words, uint64_t count, const char *what)
{
        if (count)
                buf_add_format(words, ", %llu %s", (unsigned long long)count, what);
}

static void show_sum(const struct bulk *bulk)
{
        CLEANUP(buf_done) struct buf words = BUF_NONE;
        const struct msg_bulk_journal *sum = &bulk->at;

        buf_add_format(&words, "%llu selected", (unsigned long long)sum->selected);
        count_add(&words, sum->fresh, "new (dry run: nothing was written)");
        count_add(&words, sum->given, "with a new token");
        count_add(&words, sum->waiting, "with one that waits");
        count_add(&words, sum->enrolled, "enrolled");
        count_add(&words, sum->refused, "refused");
        tell("%s.", buf_text(&words));
        if (!sum->selected)
                return; /* there are no files */
        if (bulk->tokens.path)
                tell(sum->given ? "The tokens are in %s." : "There is no token in %s.", bulk->tokens.path);
        if (bulk->report.path)
                tell("The report is %s.", bulk->report.path);
}

/* Whoever waits for tokens that nobody gets is to know by the exit code too. */
static int check_any(const struct msg_bulk_journal *sum)
{
        if (sum->selected > sum->refused)
                return 0;
        return sum->selected
                   ? refuse(PROBLEM_STATE, "Nobody gets a token; each line says why.")
                   : refuse(PROBLEM_NOT_FOUND, "The selection names nobody; \"vouchsafe directory list\" shows who there "
                                               "is.");
}

/* ---- the command ------------------------------------------------------------------------------------------ */

static int fill(const struct arguments *arguments, struct bulk *bulk)
{
        bulk->ask.dry_run = argument_flag(arguments, "dry-run");
        bulk->ask.renew = argument_flag(arguments, "renew");
        bulk->ask.deliver = text_copy(argument_text(arguments, "deliver") ? argument_text(arguments, "deliver") : "");
        for (size_t i = 0; i < operand_count(arguments); i++)
                msg_texts_add(&bulk->ask.selection, operand(arguments, i));
        for (size_t i = 0; i < argument_count(arguments, "from"); i++)
                msg_texts_add(&bulk->list_paths, argument_text_at(arguments, "from", i));
        if (!bulk->ask.selection.count && !bulk->list_paths.count)
                return refuse(PROBLEM_USAGE, "Whom? Give selectors, such as bob@example.org, unit:Sales or all, or a list "
                                             "with --from FILE.");
        return 0;
}

static int run(struct bulk *bulk, struct display *display)
{
        if (bulk->went_on)
                tell("This was interrupted after %llu people, and goes on from there.",
                     (unsigned long long)bulk->at.selected);
        if (display->json)
                TRY(json_rows_begin("rows"));
        TRY(bulk_run(bulk, &(struct bulk_show){show_page, display}));
        if (display->json)
                TRY(json_rows_end(""));
        else
                show_sum(bulk);
        return PASS(check_any(&bulk->at));
}

/* Before anything is asked: what is given wrong is to be known while there are no tokens yet. */
static int sheet_check(const struct arguments *arguments)
{
        const char *path = argument_text(arguments, "sheet"), *form;

        if (!path)
                return 0;
        if (!argument_text(arguments, "out"))
                return refuse(PROBLEM_USAGE, "Sheets are made of the tokens in a file: give --out too.");
        TRY(sheet_form(path, &form));
        TRY(sheets_check());
        return access(path, F_OK) == 0
                       ? refuse(PROBLEM_EXISTS, "The file %s is there already and is not written over.", path)
                       : 0;
}

static int sheet_print(const struct arguments *arguments, const struct session *session, const char *tokens)
{
        MSG_OWN(sheet_print) sheets = {0};
        int r;

        if (!argument_text(arguments, "sheet") || argument_flag(arguments, "dry-run"))
                return 0;
        r = sheets_read(tokens, session, NULL, &sheets);
        /* Nobody got a token by hand: that is said already. */
        return r == PROBLEM_NOT_FOUND ? 0 : r ? PASS(r) : PASS(sheets_write(argument_text(arguments, "sheet"), &sheets));
}

static int enroll(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        CLEANUP(bulk_done) struct bulk bulk = {.server = &session.server};
        const char *out = argument_text(arguments, "out"), *report = argument_text(arguments, "report");
        bool dry = argument_flag(arguments, "dry-run");
        CLEANUP(table_freep)
        struct table *others = table_new((const char *const[]){"Outcome", "Address", "~Name", "Detail", NULL});
        struct display display = {.json = argument_json(arguments),
                                  .tokens_go_to_file = out && !dry,
                                  .silent = report != NULL,
                                  .others = others};

        TRY(sheet_check(arguments));
        TRY(fill(arguments, &bulk));
        TRY(session_operator(arguments, &session));
        TRY(bulk_open(&bulk, dry ? NULL : out, report));
        TRY(run(&bulk, &display));
        return PASS(sheet_print(arguments, &session, out));
}

static const struct command_option enroll_options[] = {
    {"from", "FILE", "people of a list: an address or directory id a line, or the first column of a CSV file; - is stdin",
     'f', true},
    {"dry-run", NULL, "say who is new, enrolled or waiting, and who can get no token, and make none", 'n', false},
    {"renew", NULL, "also a new token for those who have one that waits; it replaces that", 0, false},
    {"deliver", "HOW", "hand: shown or written here; mail: to the user, whole; split: one part by mail, one here (default: [token] delivery)",
     'd', false},
    {"out", "FILE", "write tokens to a new file that only you can read: token, address, name, expiry, language, separated by tabs", 'o',
     false},
    {"sheet", "FILE", "also print what is in the file of --out on sheets of paper: a new file .pdf or .txt", 0, false},
    {"report", "FILE", "write a line for each person, without tokens, to a new file .csv or .json", 'r', false},
    OPTIONS_OPERATOR,
    OPTIONS_END,
};

const struct command command_user_enroll = {
    .noun = "user",
    .verb = "enroll",
    .summary = "Give one-time tokens to people of the directory",
    .operands = "[SELECTOR…]",
    .most = 1000,
    .options = enroll_options,
    .about =
        "A selector is an address, a directory id, unit:PATH (with all below it), group:NAME (or its DN; with groups\n"
        "within), server:NAME, filter:(LDAP FILTER), or all. Whoever is selected twice gets one token. Who is enrolled\n"
        "is left alone, and so is who has a token that waits, unless he is named by address or id or with --renew; then\n"
        "the new one cancels the old. Tokens are shown once.\n"
        "\n"
        "With --out or --report the command can be interrupted at any point: the same command goes on, and each person\n"
        "is in the files once. FILE.progress beside them says how far it is, until all is done.\n",
    .examples = "  vouchsafe user enroll bob@example.org\n"
                "  vouchsafe user enroll unit:Sales/Berlin group:Board --dry-run\n"
                "  vouchsafe user enroll all --out tokens.tsv --report report.csv\n"
                "  vouchsafe user enroll group:Board --deliver split\n"
                "  vouchsafe user enroll unit:Sales --out tokens.tsv --sheet tokens.pdf\n"
                "  vouchsafe user enroll --from people.txt --out tokens.tsv\n",
    .run = enroll,
};
