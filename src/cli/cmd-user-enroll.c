/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe user enroll */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/session.h"
#include "cli/show.h"
#include "cli/table.h"

enum { PAGE = 500 };

static int fetch_tokens(struct session *session, struct arguments *arguments, struct msg_user_enroll_reply *all)
{
        MSG_OWN(user_enroll) request = {.dry_run = argument_flag(arguments, "dry-run"), .limit = PAGE};
        struct progress progress;

        for (size_t i = 0; i < operand_count(arguments); i++)
                msg_texts_add(&request.selection, operand(arguments, i));
        progress_begin(&progress, "Making tokens", 0);
        for (;;) {
                MSG_OWN(user_enroll_reply) page = {0};
                TRY(server_call(&session->server, user_enroll, &request, user_enroll_reply, &page));
                LIST_MOVE(all->rows, page.rows);
                progress_step(&progress, all->rows.count);
                free(request.cursor);
                request.cursor = TAKE(page.cursor);
                if (!*msg_text(request.cursor))
                        break;
        }
        progress_end(&progress);
        return 0;
}

/* Tokens go to the descriptor themselves, not through tables: they are secrets. */
static int show_tokens(const struct msg_user_enroll_reply *all)
{
        size_t width = 0;

        for (size_t i = 0; i < all->rows.count; i++)
                if (all->rows.at[i].token.len)
                        width = MAX(width, text_columns(msg_text(all->rows.at[i].address)));
        for (size_t i = 0; i < all->rows.count; i++) {
                const struct msg_token_item *row = &all->rows.at[i];
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

static void show_others(const struct msg_user_enroll_reply *all)
{
        CLEANUP(table_freep)
        struct table *table = table_new((const char *const[]){"Outcome", "Address", "~Name", "Detail", NULL});

        for (size_t i = 0; i < all->rows.count; i++) {
                const struct msg_token_item *row = &all->rows.at[i];
                if (!row->token.len)
                        table_row(table, (const char *const[]){row->outcome, row->address, row->name, row->detail});
        }
        table_print(table, NULL);
}

/* A line each: token, address, name, separated by tabs. */
static int write_tokens(const char *path, const struct msg_user_enroll_reply *all)
{
        CLEANUP(fd_closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0)
                return refuse(errno == EEXIST ? PROBLEM_EXISTS : PROBLEM_STORAGE,
                              "The tokens cannot be written to %s: %s. They are void; repeat with another file.",
                              path, strerror(errno));
        for (size_t i = 0; i < all->rows.count; i++) {
                const struct msg_token_item *row = &all->rows.at[i];
                CLEANUP(buf_done) struct buf rest = BUF_NONE;
                if (!row->token.len)
                        continue;
                buf_add_format(&rest, "\t%s\t%s\n", msg_text(row->address), msg_text(row->name));
                TRY(secret_write(fd, &row->token));
                TRY(fd_write_all(fd, rest.data, rest.len));
        }
        return fsync(fd) < 0
                   ? refuse(PROBLEM_STORAGE, "The tokens cannot be written to %s: %s.", path, strerror(errno))
                   : 0;
}

static size_t count_tokens(const struct msg_user_enroll_reply *all)
{
        size_t count = 0;

        for (size_t i = 0; i < all->rows.count; i++)
                count += all->rows.at[i].token.len > 0;
        return count;
}

/* Before anything is asked of the server: a file that is in the way would leave tokens that nobody saw. */
static int check_out(const char *path)
{
        if (path && access(path, F_OK) == 0)
                return refuse(PROBLEM_EXISTS, "The file %s is there already and is not written over.", path);
        return 0;
}

/* Whoever waits for tokens that nobody gets is to know by the exit code too. */
static int check_any(const struct msg_user_enroll_reply *all)
{
        for (size_t i = 0; i < all->rows.count; i++)
                if (strcmp(msg_text(all->rows.at[i].outcome), "refused") != 0)
                        return 0;
        return all->rows.count
                   ? refuse(PROBLEM_STATE, "Nobody gets a token; each line says why.")
                   : refuse(PROBLEM_NOT_FOUND, "The selection names nobody; \"vouchsafe directory list\" shows who there "
                                               "is.");
}

static int enroll(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        MSG_OWN(user_enroll_reply) all = {0};
        const char *out = argument_text(arguments, "out");
        bool dry = argument_flag(arguments, "dry-run");

        TRY(check_out(out));
        TRY(session_operator(arguments, &session));
        TRY(fetch_tokens(&session, arguments, &all));
        if (out && !dry)
                TRY(write_tokens(out, &all));
        if (argument_json(arguments)) {
                for (size_t i = 0; out && i < all.rows.count; i++)
                        secret_done(&all.rows.at[i].token); /* it is in the file */
                TRY(show_json_of(user_enroll_reply, &all));
                return PASS(check_any(&all));
        }
        if (!out)
                TRY(show_tokens(&all));
        show_others(&all);
        tell("%zu selected, %zu with a token%s%s%s.", all.rows.count, count_tokens(&all),
             dry ? " (dry run: nothing was written)" : "", out && !dry ? ", written to " : "",
             out && !dry ? out : "");
        return PASS(check_any(&all));
}

static const struct command_option enroll_options[] = {
    {"dry-run", NULL, "say who would get a token, and make none", 'n', false},
    {"out", "FILE", "write tokens to a new file that only you can read: token, address, name, separated by tabs", 'o',
     false},
    OPTIONS_OPERATOR,
    OPTIONS_END,
};

const struct command command_user_enroll = {
    .noun = "user",
    .verb = "enroll",
    .summary = "Give one-time tokens to people of the address book",
    .operands = "SELECTOR…",
    .least = 1,
    .most = 1000,
    .options = enroll_options,
    .about =
        "A selector is an address, unit:PATH (with all below it), group:NAME, server:NAME, or all. Who is enrolled\n"
        "already is left alone; a new token cancels an older one. Tokens are shown once.\n",
    .examples = "  vouchsafe user enroll bob@example.org\n"
                "  vouchsafe user enroll unit:Sales/Berlin group:Board --dry-run\n"
                "  vouchsafe user enroll all --out tokens.tsv\n",
    .run = enroll,
};
