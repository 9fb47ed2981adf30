/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user_enroll: the selected people, a page at a time. A cursor is "SELECTOR-NUMBER:GUID", the last one that was done;
 * without a GUID that selector has not begun. Nothing that a page changes comes before it waits for the directory: a
 * filter that has to be asked first begins a page of its own.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/name.h"
#include "engine/deliver.h"
#include "engine/token.h"

enum { PAGE_USUAL = 100, FILTER_MOST = 1000000 };

enum selector_kind { SELECT_PERSON, SELECT_ALL, SELECT_UNIT, SELECT_GROUP, SELECT_SERVER, SELECT_FILTER };

struct selector {
        enum selector_kind kind;
        const char *value;
};

struct page {
        struct request *request;
        const struct msg_user_enroll *ask;
        struct msg_user_enroll_reply *reply;
        enum token_delivery delivery;
        size_t limit, seen, tokens;
        size_t index;  /* of the selector under way */
        bool named;    /* it is a person's address or id */
        bool within;   /* it goes on after `last` */
        bool answered; /* its filter was asked just now */
        struct id last;
};

/* ---- selectors */

static const struct {
        const char *prefix;
        enum selector_kind kind;
} prefixes[] = {
    {"unit:", SELECT_UNIT}, {"group:", SELECT_GROUP}, {"server:", SELECT_SERVER}, {"filter:", SELECT_FILTER}};

static int selector_parse(const char *text, bool list, struct selector *ret_selector)
{
        *ret_selector = (struct selector){.kind = SELECT_PERSON, .value = text};
        if (list)
                return 0;
        if (strcmp(text, "all") == 0) {
                ret_selector->kind = SELECT_ALL;
                return 0;
        }
        for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
                size_t len = strlen(prefixes[i].prefix);

                if (strncmp(text, prefixes[i].prefix, len) != 0)
                        continue;
                if (!text[len])
                        return refuse(PROBLEM_MALFORMED, "\"%s\" selects nobody: something must follow the colon.",
                                      text);
                *ret_selector = (struct selector){prefixes[i].kind, text + len};
                return 0;
        }
        return 0;
}

/* ---- people */

static bool page_has(const struct page *page, const struct entry_row *entry)
{
        char text[ID_TEXT_SIZE];

        id_text(&entry->guid, text);
        for (size_t i = 0; i < page->reply->rows.count; i++)
                if (strcmp(msg_text(page->reply->rows.at[i].user), text) == 0)
                        return true;
        return false;
}

static int page_entry(void *context, struct entry_row *entry)
{
        struct page *page = context;
        const struct msg_user_enroll *ask = page->ask;
        struct token_terms terms = {.delivery = page->delivery,
                                    .dry_run = ask->dry_run,
                                    .renew = ask->renew || (page->named && !ask->list),
                                    .since = ask->begun};
        bool given = false;

        page->seen++;
        page->last = entry->guid;
        page->within = true;
        /* Who is in two of the selected groups gets one token. */
        if ((entry->kind != ENTRY_PERSON && !page->named) || (ask->selection.count > 1 && page_has(page, entry)))
                return 0;
        TRY(token_give(page->request, entry, &terms, MSG_LIST_ADD(page->reply->rows), &given));
        page->tokens += given;
        return 0;
}

static int page_nobody(struct page *page, const char *name, const char *why)
{
        struct msg_token_item *item = MSG_LIST_ADD(page->reply->rows);
        CLEANUP(buf_done) struct buf shown = BUF_NONE;

        page->seen++;
        text_add_printable(&shown, bytes_text(name), 300);
        item->address = text_copy(buf_text(&shown));
        return token_outcome(item, "refused", why);
}

/* ---- one person */

static int entry_of_id(struct engine *engine, const struct id *id, struct entry_row *ret_entry)
{
        CLEANUP(user_row_done) struct user_row user = {0};
        int r = store_entry_find(engine->store, id, ret_entry);

        if (r != PROBLEM_NOT_FOUND)
                return PASS(r);
        TRY(store_user_find(engine->store, id, &user));
        return PASS(store_entry_find(engine->store, &user.guid, ret_entry));
}

static int person_find(struct engine *engine, const char *name, struct entry_row *ret_entry)
{
        CLEANUP(buf_done) struct buf address = BUF_NONE;
        struct id id;

        if (strchr(name, '@')) {
                TRY(address_key(bytes_text(name), &address));
                return PASS(store_entry_find_address(engine->store, buf_text(&address), ret_entry));
        }
        if (id_parse(bytes_text(name), &id) != 0)
                return refuse(PROBLEM_MALFORMED,
                              "\"%.200s\" selects nobody: give an address, a directory id, unit:PATH, group:NAME, "
                              "server:NAME, filter:(LDAP) or all.",
                              name);
        return PASS(entry_of_id(engine, &id, ret_entry));
}

static int select_person(struct page *page, const char *name)
{
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        int r = person_find(page->request->engine, name, &entry);

        if (r == PROBLEM_MALFORMED && page->ask->list)
                return PASS(page_nobody(page, name, "This line is neither a mail address nor a directory id."));
        if (r == PROBLEM_NOT_FOUND)
                return PASS(page_nobody(page, name, "The directory has nobody with this address or id."));
        TRY(r);
        page->named = true;
        return PASS(page_entry(page, &entry));
}

/* ---- filters and groups: whom they select is kept, so that the pages of one selection find it out once */

static bool selected_known(const struct page *page, const char *selector)
{
        const struct selected *selected = &page->request->engine->selected;

        return (page->within || page->answered) && selected->text && strcmp(selected->text, selector) == 0;
}

static void selected_keep(struct engine *engine, const char *selector, struct buf *guids)
{
        selected_forget(engine);
        engine->selected.text = text_copy(selector);
        engine->selected.guids = buf_take(guids);
}

void selected_forget(struct engine *engine)
{
        free(TAKE(engine->selected.text));
        buf_done(&engine->selected.guids);
}

static size_t selected_position(const struct buf *guids, const struct id *after)
{
        size_t low = 0, high = guids->len / ID_SIZE;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (memcmp(guids->data + middle * ID_SIZE, after->data, ID_SIZE) > 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return low;
}

static int selected_entry(struct page *page, const struct id *guid, bool is_group)
{
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        char text[ID_TEXT_SIZE];
        int r = store_entry_find(page->request->engine->store, guid, &entry);

        page->last = *guid;
        page->within = true;
        if (r == PROBLEM_NOT_FOUND)
                return PASS(page_nobody(page, id_text(guid, text),
                                        "The directory has it, but the server has not taken it from there (yet)."));
        TRY(r);
        /* Who has left is in no group any more. */
        return is_group && entry.gone ? 0 : PASS(page_entry(page, &entry));
}

static int select_selected(struct page *page, const struct selector *selector)
{
        const struct buf *guids = &page->request->engine->selected.guids;
        size_t at = page->within ? selected_position(guids, &page->last) : 0;

        for (; at < guids->len / ID_SIZE && page->seen < page->limit; at++) {
                struct id guid;

                memcpy(guid.data, guids->data + at * ID_SIZE, ID_SIZE);
                TRY(selected_entry(page, &guid, selector->kind == SELECT_GROUP));
        }
        return 0;
}

static int select_group(struct page *page, const struct selector *selector)
{
        const char *text = page->ask->selection.at[page->index];
        CLEANUP(buf_done) struct buf guids = BUF_NONE;

        if (!selected_known(page, text)) {
                TRY(store_group_members(page->request->engine->store, selector->value, &guids));
                selected_keep(page->request->engine, text, &guids);
        }
        return PASS(select_selected(page, selector));
}

/* ---- pages */

static int select_entries(struct page *page, const struct selector *selector)
{
        struct store_entry_filter filter = {.kind = ENTRY_PERSON};
        struct id after = page->last;

        if (selector->kind == SELECT_UNIT)
                filter.unit = selector->value;
        else if (selector->kind == SELECT_SERVER)
                filter.server = selector->value;
        return PASS(store_entry_list(page->request->engine->store, &filter, page->within ? &after : NULL,
                                     page->limit - page->seen, page, page_entry));
}

static int select_run(struct page *page, const struct selector *selector)
{
        switch (selector->kind) {
        case SELECT_PERSON:
                return PASS(select_person(page, selector->value));
        case SELECT_FILTER:
                return PASS(select_selected(page, selector));
        case SELECT_GROUP:
                return PASS(select_group(page, selector));
        case SELECT_ALL:
        case SELECT_UNIT:
        case SELECT_SERVER:
                break;
        }
        return PASS(select_entries(page, selector));
}

static void page_cursor(struct page *page)
{
        char text[ID_TEXT_SIZE];

        page->reply->cursor = text_format("%zu:%s", page->index, page->within ? id_text(&page->last, text) : "");
}

static int cursor_parse(const char *cursor, struct page *page)
{
        const char *colon = strchr(cursor, ':');
        uint64_t index = 0;

        if (!colon)
                return refuse(PROBLEM_MALFORMED, "The cursor is not one that this server gave.");
        TRY(number_parse(bytes_of(cursor, (size_t)(colon - cursor)), 1000, &index));
        page->index = (size_t)index;
        page->within = colon[1] != 0;
        return page->within ? PASS(id_parse(bytes_text(colon + 1), &page->last)) : 0;
}

static int filter_asked(struct request *request, int result, struct bytes reply);

/* One at a time: whoever repeats his request meanwhile gets the answer to the first. */
static int filter_ask(struct page *page, const char *filter)
{
        if (request_guard(page->request, "filter"))
                return 0;
        return PASS(directory_ask_search(page->request, filter, FILTER_MOST, filter_asked));
}

/* Until the page is full, or waits for the directory (*ret_waits). */
static int page_fill(struct page *page, bool *ret_waits)
{
        for (; page->index < page->ask->selection.count; page->index++, page->within = page->answered = false) {
                struct selector selector;

                TRY(selector_parse(page->ask->selection.at[page->index], page->ask->list, &selector));
                page->named = false;
                if (selector.kind == SELECT_FILTER && !selected_known(page, page->ask->selection.at[page->index])) {
                        *ret_waits = !page->seen;
                        if (*ret_waits)
                                return PASS(filter_ask(page, selector.value));
                        page_cursor(page);
                        return 0;
                }
                TRY(select_run(page, &selector));
                if (page->seen < page->limit)
                        continue;
                /* A person is done with; of everything else there may be more. */
                if (selector.kind == SELECT_PERSON) {
                        page->index++;
                        page->within = false;
                }
                if (page->index < page->ask->selection.count)
                        page_cursor(page);
                return 0;
        }
        return 0;
}

static int page_finish(struct page *page)
{
        bool waits = false;

        TRY(page_fill(page, &waits));
        if (waits)
                return 0;
        if (!page->reply->cursor)
                selected_forget(page->request->engine);
        page->reply->begun = page->ask->begun ? page->ask->begun : engine_now(page->request->engine);
        request_details(page->request, "%zu tokens for %zu people%s", page->tokens, page->reply->rows.count,
                        page->ask->dry_run ? ", dry run" : "");
        return 0;
}

static int filter_asked(struct request *request, int result, struct bytes reply)
{
        struct page *page = request->work;
        MSG_OWN(directory_found) found = {0};

        TRY(result);
        TRY(msg_decode(directory_found, reply, &found));
        if (found.guids.len % ID_SIZE)
                return refuse(PROBLEM_MALFORMED, "The directory's answer to the filter cannot be read.");
        selected_keep(request->engine, page->ask->selection.at[page->index], &found.guids);
        page->answered = true;
        return PASS(page_finish(page));
}

int user_enroll_handle(struct request *request)
{
        const struct msg_user_enroll *ask = request->message;
        CLEANUP(buf_done) struct buf words = BUF_NONE;
        struct page *page;

        if (!ask->selection.count)
                return refuse(PROBLEM_MALFORMED, "Nobody is selected: give an address, a directory id, unit:PATH, "
                                                 "group:NAME, server:NAME, filter:(LDAP) or all.");
        for (size_t i = 0; i < ask->selection.count && words.len < 400; i++)
                buf_add_format(&words, "%s%s", i ? " " : "", ask->selection.at[i]);
        request_subject(request, "%s", buf_text(&words));
        request->work_free = free;
        page = request->work = NEW(struct page);
        *page = (struct page){.request = request,
                              .ask = ask,
                              .reply = request->reply,
                              .limit = ask->limit ? (size_t)ask->limit : PAGE_USUAL};
        TRY(delivery_of(request->engine, msg_text(ask->deliver), &page->delivery));
        if (ask->cursor && *ask->cursor)
                TRY(cursor_parse(ask->cursor, page));
        return PASS(page_finish(page));
}
