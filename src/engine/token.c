/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user_enroll: tokens for the selected people, a page at a time. A cursor is "SELECTOR-NUMBER:GUID", the last one
 * that was done. The text of a token is in the reply alone; the database has what its answer is checked with.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/token.h"
#include "engine/people.h"

struct page {
        struct request *request;
        const struct msg_user_enroll *ask;
        struct msg_user_enroll_reply *reply;
        size_t limit, seen, tokens;
        struct id last;
};

/* ---- one person */

static void row_fill(struct msg_token_item *item, const struct entry_row *entry, const struct user_row *user)
{
        char text[ID_TEXT_SIZE];

        item->user = text_copy(id_text(user->row.version ? &user->id : &entry->guid, text));
        item->name = text_copy(msg_text(entry->cn));
        item->address = text_copy(entry->addresses.count ? entry->addresses.items[0] : "");
}

static int row_outcome(struct msg_token_item *item, const char *outcome, const char *detail)
{
        item->outcome = text_copy(outcome);
        item->detail = text_copy(detail);
        return 0;
}

static int user_of_entry(struct engine *engine, const struct entry_row *entry, struct user_row *ret_user)
{
        int r = store_user_find_guid(engine->store, &entry->guid, ret_user);

        if (r != PROBLEM_NOT_FOUND)
                return PASS(r);
        ret_user->id = id_new();
        ret_user->guid = entry->guid;
        ret_user->state = USER_UNDEFINED;
        ret_user->created = engine_now(engine);
        return 0;
}

static int user_store(struct engine *engine, const struct entry_row *entry, struct user_row *user)
{
        free(user->address);
        free(user->cn);
        user->address = text_copy(entry->addresses.items[0]);
        user->cn = text_copy(msg_text(entry->cn));
        return PASS(user->row.version ? store_user_put(engine->store, user) : store_user_add(engine->store, user));
}

static int token_issue(struct request *request, const struct user_row *user, struct msg_token_item *item)
{
        struct engine *engine = request->engine;
        CLEANUP(token_done) struct token token = TOKEN_NONE;
        CLEANUP(token_row_done) struct token_row row = {0};
        int r = PROBLEM_EXISTS;

        for (unsigned tries = 0; r == PROBLEM_EXISTS && tries < 8; tries++) {
                token_done(&token);
                token_row_done(&row);
                token = token_new();
                memcpy(row.selector, token.selector, sizeof(row.selector));
                row.kind = TOKEN_ENROLL;
                row.user = user->id;
                row.state = TOKEN_ISSUED;
                row.auth = token_auth(&token);
                row.created = engine_now(engine);
                row.expires = row.created + engine->config.token_lifetime;
                row.attempts_most = (int64_t)engine->config.token_attempts;
                row.issuer = text_copy(request_operator(request));
                row.profile = text_copy(engine->config.encryption_profile);
                r = store_token_add(engine->store, &row);
        }
        TRY(r);
        item->token = token_text(&token);
        item->expires = row.expires;
        return 0;
}

static int enroll_permitted(const struct entry_row *entry, const struct user_row *user, struct msg_token_item *item,
                            bool *ret_done)
{
        *ret_done = true;
        if (entry->disabled)
                return row_outcome(item, "refused", "The directory has this entry as disabled.");
        if (!entry->addresses.count)
                return row_outcome(item, "refused", "The directory has no mail address for it.");
        if (user->state == USER_ENROLLED)
                return row_outcome(item, "enrolled",
                                   "Enrolled already, and left as it is; revoke first to enroll anew.");
        if (!state_permits(&user_states, (int)user->state, USER_TOKEN_ISSUED))
                return row_outcome(item, "refused", "A recovery is under way; the user redeems that token.");
        *ret_done = false;
        return 0;
}

static int enroll_one(struct page *page, const struct entry_row *entry)
{
        struct engine *engine = page->request->engine;
        struct msg_token_item *item = MSG_LIST_ADD(page->reply->rows);
        CLEANUP(user_row_done) struct user_row user = {0};
        bool done = false;

        TRY(user_of_entry(engine, entry, &user));
        row_fill(item, entry, &user);
        TRY(enroll_permitted(entry, &user, item, &done));
        if (done)
                return 0;
        page->tokens++;
        if (page->ask->dry_run)
                return row_outcome(item, "would-be", "");
        TRY(row_advance(&user_states, &user.state, USER_TOKEN_ISSUED));
        if (user.row.version)
                TRY(token_cancel(engine, &user.id, TOKEN_ENROLL));
        TRY(user_store(engine, entry, &user));
        TRY(token_issue(page->request, &user, item));
        return row_outcome(item, "token", "");
}

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

        page->seen++;
        page->last = entry->guid;
        /* Who is in two of the selected groups gets one token. */
        if (entry->kind != ENTRY_PERSON || page_has(page, entry))
                return 0;
        return PASS(enroll_one(page, entry));
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
                return row_outcome(item, "refused", "The directory has nobody with this address.");
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
