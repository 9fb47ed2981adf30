/* SPDX-License-Identifier: Apache-2.0 */
/* Pages on their way to the engine. */
#include <stdlib.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "outbound/directory.h"

enum {
        PEOPLE_MOST = 500,
        FINDINGS_ENOUGH = 400, /* one entry may have many */
        SIZE_ENOUGH = 8 << 20,
};

static void page_free(struct directory_page *page)
{
        list_remove(&page->link);
        msg_done(directory_page, &page->content);
        free(page);
}

void directory_pages_done(struct directory *directory)
{
        channel_call_cancel(&directory->call);
        LIST_EACH (page, &directory->pages, struct directory_page, link)
                page_free(page);
}

static bool page_takes(const struct directory_page *page, bool whole)
{
        return page->content.whole == whole && page->content.people.count < PEOPLE_MOST &&
               page->content.gone.count < PEOPLE_MOST && page->content.findings.count < FINDINGS_ENOUGH &&
               page->size < SIZE_ENOUGH;
}

static struct directory_page *page_newest(const struct directory *directory)
{
        return list_empty(&directory->pages) ? NULL
                                             : CONTAINER_OF(directory->pages.prev, struct directory_page, link);
}

bool directory_page_full(const struct directory *directory)
{
        const struct directory_page *page = page_newest(directory);

        return page && !page_takes(page, page->content.whole);
}

static struct directory_page *page_last(struct directory *directory, bool whole)
{
        struct directory_page *page = page_newest(directory);

        if (page && page_takes(page, whole))
                return page;
        page = NEW(struct directory_page);
        page->content.run = directory->run;
        page->content.whole = whole;
        list_append(&directory->pages, &page->link);
        return page;
}

struct msg_directory_page *directory_page_open(struct directory *directory, bool whole)
{
        return &page_last(directory, whole)->content;
}

void directory_person_add(struct directory *directory, bool whole, struct msg_person *person)
{
        struct directory_page *page = page_last(directory, whole);

        page->size += 512;
        for (size_t i = 0; i < person->groups.count; i++)
                page->size += strlen(person->groups.at[i]);
        *MSG_LIST_ADD(page->content.people) = *person;
        *person = (struct msg_person){0};
}

void directory_gone_add(struct directory *directory, const struct id *id)
{
        char text[ID_TEXT_SIZE];

        msg_texts_add(&page_last(directory, false)->content.gone, id_text(id, text));
}

/* ---- sending ----------------------------------------------------------------------------------------------
 */

static int taken(struct directory *directory, const struct channel_message *reply)
{
        MSG_OWN(directory_taken) answer = {0};

        if (reply->kind != MSG_directory_taken)
                return refuse(PROBLEM_MALFORMED, "The engine answered a page with kind %u.", reply->kind);
        TRY(msg_decode(directory_taken, reply->payload, &answer));
        if (answer.run != directory->run) {
                directory_run_drop(directory);
                return 0;
        }
        for (size_t i = 0; i < answer.conflicts.count; i++) {
                struct id id;

                TRY(id_parse(bytes_text(answer.conflicts.at[i]), &id));
                id_list_add(&directory->conflicts, &id);
        }
        return PASS(directory_pages_pump(directory));
}

static void page_replied(void *context, int result, struct channel_message *reply)
{
        struct directory *directory = context;

        if (!result)
                result = taken(directory, reply);
        if (result == PROBLEM_UNREACHABLE)
                directory_run_drop(directory); /* the engine is gone, and asks again when it is back */
        else if (result)
                directory_run_failed(directory, result);
}

static int page_send(struct directory *directory, struct directory_page *page)
{
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;

        TRY(msg_encode(directory_page, &page->content, &encoded));
        page_free(page);
        directory->call.replied = page_replied;
        directory->call.context = directory;
        return PASS(
            channel_call(directory->engine, &directory->call, MSG_directory_page, buf_view(&encoded)));
}

int directory_pages_pump(struct directory *directory)
{
        if (directory->call.channel || !directory->engine)
                return 0;
        while (!list_empty(&directory->pages)) {
                struct directory_page *page =
                    CONTAINER_OF(directory->pages.next, struct directory_page, link);

                if (page->content.people.count || page->content.gone.count || page->content.findings.count)
                        return PASS(page_send(directory, page));
                page_free(page);
        }
        loop_timer_arm(&directory->step, 0);
        return 0;
}

/* ---- the end ----------------------------------------------------------------------------------------------
 */

static void end_replied(void *context, int result, struct channel_message *reply)
{
        struct directory *directory = context;

        if (!result && directory->phase == DIRECTORY_FOLLOWING)
                loop_timer_arm(&directory->step, 0);
}

int directory_end_send(struct directory *directory, int problem, const char *detail)
{
        MSG_OWN(directory_end) end = {.run = directory->run, .complete = !problem};
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        const char *server = directory->connection ? ldap_connection_server(directory->connection) : "";

        if (!directory->engine)
                return 0;
        channel_call_cancel(&directory->call);
        end.detail = text_copy_n(detail, strnlen(detail, 1000));
        end.server = text_copy_n(server, strnlen(server, 1000));
        if (problem > 0)
                end.problem = text_copy(problem_info(problem)->code);
        TRY(msg_encode(directory_end, &end, &encoded));
        directory->call.replied = end_replied;
        directory->call.context = directory;
        return PASS(channel_call(directory->engine, &directory->call, MSG_directory_end, buf_view(&encoded)));
}
