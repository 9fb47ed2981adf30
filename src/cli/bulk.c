/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bulk.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/bulk-files.h"
#include "cli/name-list.h"
#include "crypto/kdf.h"

enum { PAGE = 500, AWAY_SECONDS = 30 };

void bulk_done(struct bulk *bulk)
{
        for (size_t i = 0; i < bulk->list_paths.count; i++) {
                if (bulk->lists)
                        buf_done(&bulk->lists[i]);
                free(bulk->list_paths.at[i]);
        }
        free(bulk->lists);
        free(bulk->list_paths.at);
        bulk_files_close(bulk);
        if (bulk->server)
                bulk->server->nonce = BYTES_NONE;
        msg_done(user_enroll, &bulk->ask);
        msg_done(bulk_journal, &bulk->at);
        *bulk = (struct bulk){0};
}

/* ---- whom the pages had before */

static uint8_t *seen_slot(const struct seen *seen, const struct digest *key)
{
        size_t at;

        memcpy(&at, key->data, sizeof(at));
        for (at %= seen->size;; at = (at + 1) % seen->size)
                if (memcmp(seen->slots[at], key->data, 16) == 0 ||
                    memcmp(seen->slots[at], (const uint8_t[16]){0}, 16) == 0)
                        return seen->slots[at];
}

static void seen_grow(struct seen *seen)
{
        struct seen larger = {.size = seen->size ? seen->size * 2 : 4096, .count = seen->count};

        larger.slots = mem_array(larger.size, sizeof(*larger.slots));
        for (size_t i = 0; i < seen->size; i++) {
                struct digest key = {0};

                memcpy(key.data, seen->slots[i], 16);
                if (memcmp(key.data, (const uint8_t[16]){0}, 16) != 0)
                        memcpy(seen_slot(&larger, &key), key.data, 16);
        }
        free(seen->slots);
        *seen = larger;
}

bool seen_add(struct seen *seen, const uint8_t key[static 16])
{
        struct digest digest = {0};
        uint8_t *slot;

        memcpy(digest.data, key, 16);
        if (seen->count * 4 >= seen->size * 3)
                seen_grow(seen);
        slot = seen_slot(seen, &digest);
        if (memcmp(slot, key, 16) == 0)
                return false;
        memcpy(slot, key, 16);
        seen->count++;
        return true;
}

/* Who comes again is left out: the row that he had says what became of him. */
static void page_unseen(struct bulk *bulk, struct msg_user_enroll_reply *page)
{
        size_t kept = 0;

        for (size_t i = 0; i < page->rows.count && !bulk->seen.off; i++) {
                struct msg_token_item *row = &page->rows.at[i], out = *row;
                struct digest key = sha256(bytes_text(*msg_text(row->user) ? row->user : msg_text(row->address)));
                bool fresh = seen_add(&bulk->seen, key.data);

                *row = (struct msg_token_item){0};
                if (fresh)
                        buf_add(&bulk->seen_file.lines, key.data, 16);
                if (fresh || out.token.len)
                        page->rows.at[kept++] = out;
                else
                        msg_done(token_item, &out);
        }
        if (!bulk->seen.off)
                page->rows.count = kept;
}

/* ---- pages */

static bool list_is(const struct bulk *bulk)
{
        return bulk->at.part > 0;
}

static bool bulk_is_over(const struct bulk *bulk)
{
        return bulk->at.part > bulk->list_paths.count;
}

/* The names of the page that begins at at.offset, and where the next one does. */
static int list_page(const struct bulk *bulk, struct msg_texts *names, uint64_t *ret_next)
{
        const struct buf *content = &bulk->lists[bulk->at.part - 1];
        CLEANUP(name_list_done) struct name_list list = {0};
        CLEANUP(buf_done) struct buf name = BUF_NONE;

        TRY(name_list_open(buf_view(content), (size_t)bulk->at.offset, &list));
        while (names->count < PAGE) {
                TRY(name_list_next(&list, &name));
                if (!name.len)
                        break;
                msg_texts_add(names, buf_text(&name));
        }
        *ret_next = name_list_offset(&list);
        return 0;
}

static bool is_away(int result)
{
        return result == PROBLEM_UNREACHABLE || result == PROBLEM_BUSY || result == PROBLEM_TIMEOUT;
}

/* The first page fails at once when the server is away; later it may just be started anew. */
static int page_ask(struct bulk *bulk, const struct msg_user_enroll *ask, struct msg_user_enroll_reply *ret_page)
{
        uint64_t until = clock_monotonic_ms() + AWAY_SECONDS * 1000;
        bool told = false;

        bulk->server->nonce = buf_view(&bulk->at.nonce);
        for (;;) {
                int r = server_call(bulk->server, user_enroll, ask, user_enroll_reply, ret_page);

                if (!is_away(r) || !bulk->at.selected || clock_monotonic_ms() > until)
                        return PASS(r);
                if (!told)
                        tell("The server does not answer at the moment; trying again for half a minute.");
                told = true;
                usleep(500000);
        }
}

static void page_count(struct msg_bulk_journal *at, const struct msg_user_enroll_reply *page)
{
        for (size_t i = 0; i < page->rows.count; i++) {
                const char *outcome = msg_text(page->rows.at[i].outcome);

                at->selected++;
                if (strcmp(outcome, "new") == 0)
                        at->fresh++;
                else if (strcmp(outcome, "waiting") == 0)
                        at->waiting++;
                else if (strcmp(outcome, "enrolled") == 0)
                        at->enrolled++;
                else if (strcmp(outcome, "refused") == 0)
                        at->refused++;
                else
                        at->given++;
        }
}

static void journal_step(struct bulk *bulk, struct msg_user_enroll_reply *page, uint64_t next)
{
        struct msg_bulk_journal *at = &bulk->at;

        at->begun = page->begun ? page->begun : at->begun; /* none: nobody was asked */
        free(at->cursor);
        at->cursor = TAKE(page->cursor);
        if (*msg_text(at->cursor))
                return;
        at->offset = next;
        if (!list_is(bulk) || next >= bulk->lists[at->part - 1].len) {
                at->part++;
                at->offset = 0;
        }
}

static int page_run(struct bulk *bulk, const struct bulk_show *show)
{
        MSG_OWN(user_enroll) list = {.list = true};
        MSG_OWN(user_enroll_reply) page = {0};
        struct msg_user_enroll *ask = list_is(bulk) ? &list : &bulk->ask;
        uint64_t next = 0;

        if (list_is(bulk)) {
                list.dry_run = bulk->ask.dry_run;
                list.renew = bulk->ask.renew;
                list.deliver = text_copy(msg_text(bulk->ask.deliver));
                TRY(list_page(bulk, &list.selection, &next));
        }
        ask->limit = PAGE;
        ask->begun = bulk->at.begun;
        free(ask->cursor);
        ask->cursor = text_copy(msg_text(bulk->at.cursor));
        if (ask->selection.count)
                TRY(page_ask(bulk, ask, &page));
        page_unseen(bulk, &page);
        TRY(show->page(show->context, &page));
        page_count(&bulk->at, &page);
        TRY(bulk_files_add(bulk, &page));
        journal_step(bulk, &page, next);
        return PASS(bulk_journal_keep(bulk));
}

/* The first thing that was asked was refused: nothing is done that the files would be needed for. */
static bool was_refused(const struct bulk *bulk, int result)
{
        return !bulk->went_on && !bulk->at.selected && !bulk->server->uncertain &&
               (result == PROBLEM_MALFORMED || result == PROBLEM_UNSUPPORTED || result == PROBLEM_UNAUTHENTICATED ||
                result == PROBLEM_FORBIDDEN || result == PROBLEM_NOT_FOUND || result == PROBLEM_STATE ||
                result == PROBLEM_SEALED);
}

int bulk_run(struct bulk *bulk, const struct bulk_show *show)
{
        struct progress progress;
        int r = 0;

        progress_begin(&progress, bulk->ask.dry_run ? "Looking at people" : "Making tokens", 0);
        progress_resume(&progress, bulk->at.selected);
        while (!r && !bulk_is_over(bulk)) {
                r = page_run(bulk, show);
                progress_step(&progress, bulk->at.selected);
        }
        progress_end(&progress);
        if (was_refused(bulk, r) || (!r && !bulk->at.selected))
                bulk_files_discard(bulk);
        else if (r && bulk->journal)
                tell("%llu people are done; the same command goes on from there.",
                     (unsigned long long)bulk->at.selected);
        return r ? PASS(r) : PASS(bulk_files_finish(bulk));
}

/* ---- opening */

static int lists_read(struct bulk *bulk)
{
        bulk->lists = mem_array(bulk->list_paths.count + 1, sizeof(*bulk->lists));
        for (size_t i = 0; i < bulk->list_paths.count; i++) {
                CLEANUP(name_list_done) struct name_list list = {0};
                CLEANUP(buf_done) struct buf name = BUF_NONE;
                int r = list_file_read(bulk->list_paths.at[i], &bulk->lists[i]);

                if (!r)
                        r = name_list_open(buf_view(&bulk->lists[i]), 0, &list);
                /* To the end before anything is asked: a quote that is not closed is no reason to stop half way. */
                do
                        r = r ? r : name_list_next(&list, &name);
                while (!r && name.len);
                if (r > 0)
                        return report_prefix(r, "The list %s: ", bulk->list_paths.at[i]);
                TRY(r);
        }
        return 0;
}

/* One selector that is no list has everybody once. */
static bool may_repeat(const struct bulk *bulk)
{
        return bulk->ask.selection.count > 1 || bulk->list_paths.count > 0;
}

int bulk_open(struct bulk *bulk, const char *tokens, const char *report)
{
        bulk->tokens.fd = bulk->report.fd = bulk->seen_file.fd = -1;
        bulk->seen.off = !may_repeat(bulk);
        TRY(lists_read(bulk));
        TRY(bulk_files_open(bulk, tokens, report));
        if (!bulk->at.nonce.len)
                nonce_renew(bulk);
        if (!bulk->ask.selection.count && bulk->at.part == 0)
                bulk->at.part = 1;
        return 0;
}
