/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user_enroll: the selected people, a page at a time. A cursor is "SELECTOR-NUMBER:GUID", the last one that was done.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "engine/token.h"

struct page {
        struct request *request;
        const struct msg_user_enroll *ask;
        struct msg_user_enroll_reply *reply;
        size_t limit, seen, tokens;
        struct id last;
};

/* ---- people */

static bool page_has(const struct page *page, const struct entry_row *entry)
{
        for (size_t i = 0; i < page->reply->rows.count && entry->addresses.count; i++)
                if (strcmp(msg_text(page->reply->rows.at[i].address), entry->addresses.items[0]) == 0)
                        return true;
        return false;
}

static int page_entry(void *context, struct entry_row *entry)
{
        struct page *page = context;
        bool given = false;

        page->seen++;
        page->last = entry->guid;
        /* Who is in two of the selected groups gets one token. */
        if (entry->kind != ENTRY_PERSON || page_has(page, entry))
                return 0;
        TRY(token_give(page->request, entry, page->ask->dry_run, MSG_LIST_ADD(page->reply->rows), &given));
        page->tokens += given;
        return 0;
}

/* ---- selection */

static int filter_of(const char *selector, struct store_entry_filter *ret_filter)
{
        *ret_filter = (struct store_entry_filter){.kind = ENTRY_PERSON};
        if (strcmp(selector, "all") == 0)
                return 0;
        if (strncmp(selector, "unit:", 5) == 0 && selector[5])
                ret_filter->unit = selector + 5;
        else if (strncmp(selector, "group:", 6) == 0 && selector[6])
                ret_filter->group = selector + 6;
        else if (strncmp(selector, "server:", 7) == 0 && selector[7])
                ret_filter->server = selector + 7;
        else
                return refuse(PROBLEM_MALFORMED,
                              "\"%s\" selects nobody: give an address, unit:PATH, group:NAME, server:NAME or all.",
                              selector);
        return 0;
}

static int select_address(struct page *page, const char *selector)
{
        CLEANUP(buf_done) struct buf address = BUF_NONE;
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        int r;

        TRY(address_parse(bytes_text(selector), &address));
        r = store_entry_find_address(page->request->engine->store, buf_text(&address), &entry);
        if (r == PROBLEM_NOT_FOUND) {
                struct msg_token_item *item = MSG_LIST_ADD(page->reply->rows);

                page->seen++;
                item->address = text_copy(buf_text(&address));
                return token_outcome(item, "refused", "The directory has nobody with this address.");
        }
        TRY(r);
        return PASS(page_entry(page, &entry));
}

/* One selector from where the page before left it; *ret_full: the page ends within it. */
static int select_run(struct page *page, const char *selector, const struct id *after, bool *ret_full)
{
        struct store_entry_filter filter;
        size_t before = page->seen, room = page->limit - page->seen;

        *ret_full = false;
        if (strchr(selector, '@') && strncmp(selector, "group:", 6) != 0 && strncmp(selector, "unit:", 5) != 0)
                return PASS(select_address(page, selector));
        TRY(filter_of(selector, &filter));
        TRY(store_entry_list(page->request->engine->store, &filter, after, room, page, page_entry));
        *ret_full = page->seen - before == room;
        return 0;
}

static int cursor_parse(const char *cursor, size_t *ret_index, struct id *ret_after, bool *ret_within)
{
        const char *colon = strchr(cursor, ':');
        uint64_t index = 0;

        if (!colon)
                return refuse(PROBLEM_MALFORMED, "The cursor is not one that this server gave.");
        TRY(number_parse(bytes_of(cursor, (size_t)(colon - cursor)), 1000, &index));
        *ret_within = colon[1] != 0;
        if (*ret_within)
                TRY(id_parse(bytes_text(colon + 1), ret_after));
        *ret_index = (size_t)index;
        return 0;
}

static int select_pages(struct page *page, size_t index, const struct id *after)
{
        char text[ID_TEXT_SIZE];

        for (; index < page->ask->selection.count; index++, after = NULL) {
                bool full = false;

                if (page->seen >= page->limit) {
                        page->reply->cursor = text_format("%zu:", index);
                        return 0;
                }
                TRY(select_run(page, page->ask->selection.at[index], after, &full));
                if (full) {
                        page->reply->cursor = text_format("%zu:%s", index, id_text(&page->last, text));
                        return 0;
                }
        }
        return 0;
}

int user_enroll_handle(struct request *request)
{
        const struct msg_user_enroll *ask = request->message;
        struct page page = {
            .request = request, .ask = ask, .reply = request->reply, .limit = ask->limit ? (size_t)ask->limit : 100};
        CLEANUP(buf_done) struct buf words = BUF_NONE;
        struct id after = ID_NONE;
        size_t index = 0;
        bool within = false;

        if (!ask->selection.count)
                return refuse(PROBLEM_MALFORMED,
                              "Nobody is selected: give an address, unit:PATH, group:NAME, server:NAME or all.");
        for (size_t i = 0; i < ask->selection.count && words.len < 400; i++)
                buf_add_format(&words, "%s%s", i ? " " : "", ask->selection.at[i]);
        request_subject(request, "%s", buf_text(&words));
        if (ask->cursor)
                TRY(cursor_parse(ask->cursor, &index, &after, &within));
        TRY(select_pages(&page, index, within ? &after : NULL));
        request_details(request, "%zu tokens for %zu people%s", page.tokens, page.reply->rows.count,
                        ask->dry_run ? ", dry run" : "");
        return 0;
}
