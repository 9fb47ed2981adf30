/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe publish check */
#include <string.h>

#include "base/mem.h"
#include "cli/session.h"
#include "cli/show.h"
#include "cli/table.h"

static int ask_all(struct session *session, bool mend, struct msg_publish_checked *all)
{
        MSG_OWN(publish_check) ask = {.mend = mend};
        struct progress progress;
        int r = 0;

        progress_begin(&progress, "Comparing entries", 0);
        do {
                MSG_OWN(publish_checked) page = {0};

                r = server_call(&session->server, publish_check, &ask, publish_checked, &page);
                if (r)
                        break;
                all->checked += page.checked;
                all->total = progress.total = page.total;
                LIST_MOVE(all->items, page.items);
                free(ask.cursor);
                ask.cursor = TAKE(page.cursor);
                progress_step(&progress, all->checked);
        } while (*msg_text(ask.cursor));
        progress_end(&progress);
        return PASS(r);
}

static void show_items(const struct msg_publish_checked *all)
{
        CLEANUP(table_freep)
        struct table *table = table_new((const char *const[]){"Name", "~Entry", "Finding", "~Detail", NULL});

        for (size_t i = 0; i < all->items.count; i++) {
                const struct msg_publication_item *item = &all->items.at[i];

                table_row(table, (const char *const[]){item->name, *msg_text(item->dn) ? item->dn : item->user,
                                                       item->outcome, item->queued ? "is being mended" : item->detail});
        }
        if (all->items.count)
                table_print(table, "");
}

static int check(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        MSG_OWN(publish_checked) all = {0};
        bool mend = argument_flag(arguments, "mend");
        size_t queued = 0;

        TRY(session_operator(arguments, &session));
        TRY(ask_all(&session, mend, &all));
        for (size_t i = 0; i < all.items.count; i++)
                queued += all.items.at[i].queued;
        if (argument_json(arguments))
                TRY(show_json_of(publish_checked, &all));
        else
                show_items(&all);
        if (!all.items.count && !argument_json(arguments))
                say_styled(STYLE_GREEN, "The directory is as it should be: %llu entries were compared.",
                           (unsigned long long)all.checked);
        if (queued == all.items.count && queued && !argument_json(arguments))
                say("%zu entries are put right by the queue.", queued);
        if (queued != all.items.count)
                return refuse(PROBLEM_DRIFT, "%zu entries of the directory are not as they should be%s.",
                              all.items.count - queued,
                              mend ? ", and nothing of ours can mend them" : "; --mend puts right what can be");
        return 0;
}

static const struct command_option check_options[] = {
    {"mend", NULL, "put right what is not as it should be", 0, false},
    OPTIONS_OPERATOR,
    OPTIONS_END,
};

const struct command command_publish_check = {
    .noun = "publish",
    .verb = "check",
    .summary = "Compare the directory with what it should have of this CA, and mend it",
    .operands = "",
    .options = check_options,
    .about = "Everybody's entry is looked at, and every other entry that has values of this CA. Findings:\n"
             "  drift     values are missing, or there are some that should not be\n"
             "  leftover  values of ours on an entry of nobody here, or of somebody who has left\n"
             "  gone      there is no such entry\n"
             "  failed    the entry could not be read\n"
             "With --mend the first two are put right by way of the queue. Values of other CAs are never touched.\n",
    .examples = "  vouchsafe publish check\n  vouchsafe publish check --mend\n",
    .run = check,
};
