/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publish_check: the directory compared with what it should have, a page at a time. First everybody in the mirror, each
 * found by his id; then all entries that have values of ours, for those that should have none: of people who left, and
 * of entries that the mirror does not know. To mend is to put them into the queue, so it goes on whatever becomes of
 * who asked.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "engine/people.h"
#include "engine/publication.h"

enum { PAGE = 100 }; /* their reads are under way at once */
#define CURSOR_LEFTOVERS "leftovers-" /* and the number of the reading; 0: to be begun */

struct check {
        struct id last;
        bool more;    /* people after it */
        size_t count; /* of this page */
};

static void check_free(void *work)
{
        free(work);
}

/* ---- what is found */

static int name_fill(struct engine *engine, const struct id *guid, struct msg_publication_item *item, bool *ret_current)
{
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        int r = store_entry_find(engine->store, guid, &entry);

        *ret_current = r == 0 && !entry.gone;
        if (r == PROBLEM_NOT_FOUND)
                return 0;
        TRY(r);
        item->name = text_copy(msg_text(entry.cn));
        return 0;
}

/* Who belongs to the directory was compared; only others are leftovers. */
static int item_add(struct request *request, struct msg_directory_drift *drift, bool leftover)
{
        const struct msg_publish_check *ask = request->message;
        struct msg_publish_checked *reply = request->reply;
        MSG_OWN(publication_item) item = {0};
        bool current = false;
        struct id guid;

        TRY(id_parse(bytes_text(msg_text(drift->guid)), &guid));
        TRY(name_fill(request->engine, &guid, &item, &current));
        if (leftover && current)
                return 0;
        item.user = TAKE(drift->guid);
        item.dn = TAKE(drift->dn);
        item.outcome = TAKE(drift->outcome);
        item.detail = TAKE(drift->detail);
        if (ask->mend && (leftover || strcmp(msg_text(item.outcome), "drift") == 0)) {
                TRY(publication_push(request->engine, &guid));
                item.queued = true;
        }
        *MSG_LIST_ADD(reply->items) = item;
        item = (struct msg_publication_item){0};
        return 0;
}

/* What is looked at only leaves no record; a check of everybody has many pages. */
static int described(struct request *request)
{
        const struct msg_publish_check *ask = request->message;
        const struct msg_publish_checked *reply = request->reply;

        request_subject(request, "%s", reply->checked ? "people" : "leftovers");
        request_details(request, "%llu entries, %zu not as they should be%s", (unsigned long long)reply->checked,
                        reply->items.count, ask->mend ? ", to be mended" : "");
        return ask->mend ? PASS(request_record(request, "done")) : 0;
}

/* ---- everybody of the mirror */

static int compared(struct request *request, int result, struct bytes payload)
{
        const struct check *check = request->work;
        struct msg_publish_checked *reply = request->reply;
        MSG_OWN(directory_compared) answer = {0};
        char text[ID_TEXT_SIZE];

        TRY(result);
        TRY(msg_decode(directory_compared, payload, &answer));
        for (size_t i = 0; i < answer.drift.count; i++)
                TRY(item_add(request, &answer.drift.at[i], false));
        reply->checked = check->count;
        reply->cursor = text_copy(check->more ? id_text(&check->last, text) : CURSOR_LEFTOVERS "0");
        return PASS(described(request));
}

struct collecting {
        struct request *request;
        struct msg_directory_compare *ask;
        size_t seen;
};

static int entry_collect(void *context, struct entry_row *entry)
{
        struct collecting *collecting = context;
        struct check *check = collecting->request->work;

        collecting->seen++;
        check->last = entry->guid;
        if (entry->gone)
                return 0;
        check->count++;
        return PASS(publication_values(collecting->request->engine, entry, MSG_LIST_ADD(collecting->ask->entries)));
}

static int people_check(struct request *request, const char *cursor)
{
        MSG_OWN(directory_compare) ask = {0};
        struct collecting collecting = {request, &ask, 0};
        struct store_entry_filter filter = {.kind = ENTRY_PERSON};
        struct check *check = NEW(struct check);
        struct id after = ID_NONE;

        request->work = check;
        request->work_free = check_free;
        if (*cursor)
                TRY(id_parse(bytes_text(cursor), &after));
        TRY(store_entry_list(request->engine->store, &filter, *cursor ? &after : NULL, PAGE, &collecting,
                             entry_collect));
        check->more = collecting.seen == PAGE;
        return PASS(directory_ask(request, MSG_directory_compare, &ask, MSG_directory_compared, compared));
}

/* ---- what else has values of ours */

static int leftovers_found(struct request *request, int result, struct bytes payload)
{
        struct msg_publish_checked *reply = request->reply;
        MSG_OWN(directory_leftover) answer = {0};

        TRY(result);
        TRY(msg_decode(directory_leftover, payload, &answer));
        for (size_t i = 0; i < answer.found.count; i++)
                TRY(item_add(request, &answer.found.at[i], true));
        if (!answer.end)
                reply->cursor = text_format(CURSOR_LEFTOVERS "%llu", (unsigned long long)answer.reading);
        return PASS(described(request));
}

static int leftovers_check(struct request *request, const char *number)
{
        MSG_OWN(directory_leftovers) ask = {0};

        TRY(number_parse(bytes_text(number), UINT32_MAX, &ask.reading));
        buf_add_bytes(&MSG_LIST_ADD(ask.issuers)->value, buf_view(&request->engine->trust.issuer));
        return PASS(directory_ask(request, MSG_directory_leftovers, &ask, MSG_directory_leftover, leftovers_found));
}

int publish_check_handle(struct request *request)
{
        const struct msg_publish_check *ask = request->message;
        struct msg_publish_checked *reply = request->reply;
        const char *cursor = msg_text(ask->cursor);
        struct store_counts counts;

        if (!request->engine->config.publish_directory)
                return refuse(PROBLEM_UNSUPPORTED,
                              "This server publishes to no directory; that takes [publish] directory = yes "
                              "in its configuration.");
        if (ask->mend && !request_has_role(request, ROLE_REGISTRAR | ROLE_OFFICER))
                return refuse(PROBLEM_FORBIDDEN, "%s may look, but has no role that permits to mend.",
                              request_operator(request));
        store_counts(request->engine->store, &counts);
        reply->total = (uint64_t)counts.entries;
        if (strncmp(cursor, CURSOR_LEFTOVERS, strlen(CURSOR_LEFTOVERS)) == 0)
                return PASS(leftovers_check(request, cursor + strlen(CURSOR_LEFTOVERS)));
        return PASS(people_check(request, cursor));
}
