/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue as operators see and change it, and reports of mail that could not be delivered. Whoever reports proves by
 * the Message-ID that he had the message: so a mail system needs no credentials, and a stranger can report nothing.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/deliver.h"

/* ---- queue_list */

struct listing {
        struct engine *engine;
        struct msg_queue_listed *reply;
        const char *kind;
        size_t seen;
        int64_t last;
};

static int job_item_fill(struct engine *engine, const struct job_row *row, struct msg_job_item *item)
{
        TRY(job_address(engine, row, &item->address));
        item->job = (uint64_t)row->number;
        item->kind = text_copy(msg_text(row->kind));
        item->subject = text_copy(msg_text(row->subject));
        item->state = text_copy(state_name(&job_states, (int)row->state));
        item->created = row->created;
        item->next_try = row->state == JOB_WAITING ? row->due : 0;
        item->attempts = (uint64_t)row->attempts;
        item->detail = text_copy(msg_text(row->error));
        return 0;
}

static int list_one(void *context, struct job_row *row)
{
        struct listing *listing = context;

        listing->seen++;
        listing->last = row->number;
        if (*listing->kind && strcmp(listing->kind, msg_text(row->kind)) != 0)
                return 0;
        return PASS(job_item_fill(listing->engine, row, MSG_LIST_ADD(listing->reply->jobs)));
}

static int job_named(struct engine *engine, uint64_t number, struct job_row *ret_row)
{
        int r = store_job_find(engine->store, (int64_t)number, ret_row);

        if (r == PROBLEM_NOT_FOUND)
                return refuse(PROBLEM_NOT_FOUND, "There is no job %llu in the queue; it is done, or was cancelled.",
                              (unsigned long long)number);
        return PASS(r);
}

int queue_list_handle(struct request *request)
{
        const struct msg_queue_list *ask = request->message;
        struct listing listing = {.engine = request->engine, .reply = request->reply, .kind = msg_text(ask->kind)};
        size_t limit = ask->limit ? (size_t)ask->limit : 100;
        CLEANUP(job_row_done) struct job_row row = {0};
        uint64_t after = 0;
        int state = 0;

        if (ask->job) {
                TRY(job_named(request->engine, ask->job, &row));
                return PASS(list_one(&listing, &row));
        }
        if (ask->state)
                TRY(state_parse(&job_states, bytes_text(ask->state), &state));
        if (ask->cursor)
                TRY(number_parse(bytes_text(ask->cursor), INT64_MAX, &after));
        TRY(store_job_list(request->engine->store, state, (int64_t)after, limit, &listing, list_one));
        if (listing.seen == limit)
                listing.reply->cursor = text_format("%lld", (long long)listing.last);
        return 0;
}

/* ---- queue_change */

/* Who chose a job by its state did not choose what became of it meanwhile: mail that waited may be sent. */
static int state_is_asked(const struct job_row *row, const char *asked)
{
        const char *state = state_name(&job_states, (int)row->state);

        if (!*asked || strcmp(asked, state) == 0)
                return 0;
        return refuse(PROBLEM_STATE, "Job %lld is not %s any more but %s.", (long long)row->number, asked, state);
}

int queue_change_handle(struct request *request)
{
        const struct msg_queue_change *ask = request->message;
        struct msg_queue_changed *reply = request->reply;
        struct engine *engine = request->engine;
        CLEANUP(job_row_done) struct job_row row = {0};
        bool retry = strcmp(msg_text(ask->change), "retry") == 0;

        if (!retry && strcmp(msg_text(ask->change), "cancel") != 0)
                return refuse(PROBLEM_MALFORMED, "A job is changed by retry or cancel, not by \"%s\".",
                              msg_text(ask->change));
        TRY(job_named(engine, ask->job, &row));
        request_subject(request, "job %lld", (long long)row.number);
        request_details(request, "%s %s %s", msg_text(ask->change), msg_text(row.kind), msg_text(row.subject));
        TRY(state_is_asked(&row, msg_text(ask->state)));
        if (retry)
                TRY(store_job_repeat(engine->store, &row, engine_now(engine)));
        else
                TRY(store_job_cancel(engine->store, &row));
        if (retry)
                outbound_hasten(engine, msg_text(row.kind));
        return PASS(job_item_fill(engine, &row, MSG_LIST_ADD(reply->jobs)));
}

/* ---- queue_bounce */

/* RFC 3463 section 2: class.subject.detail. Whatever else a report has in its place, a part of a token perhaps, is left
 * out. */
static const char *status_of(const char *text)
{
        const char *at = text + 1;

        if (!*text || !strchr("245", *text))
                return "";
        for (unsigned part = 0; part < 2; part++) {
                size_t digits = *at == '.' ? strspn(at + 1, "0123456789") : 0;

                if (digits < 1 || digits > 3)
                        return "";
                at += 1 + digits;
        }
        return *at ? "" : text;
}

int queue_bounce_handle(struct request *request)
{
        const struct msg_queue_bounce *ask = request->message;
        struct msg_queue_bounced *reply = request->reply;
        struct engine *engine = request->engine;
        CLEANUP(job_row_done) struct job_row row = {0};
        CLEANUP(mem_freep) char *words = NULL;
        const char *status = status_of(msg_text(ask->status));

        if (!limits_permit(&engine->limits, msg_text(request->api.address), clock_monotonic_ms()))
                return refuse(PROBLEM_TOO_MANY, "Too many reports from this address, or from all, were of nothing known; "
                                                "wait a while before the next.");
        request_subject(request, "bounce");
        TRY(message_id_find(engine, msg_text(ask->message_id), &row));
        request_actor(request, "mail system at %s", msg_text(request->api.address));
        request_subject(request, "job %lld", (long long)row.number);
        TRY(token_mail_clean(engine, &row, msg_text(ask->detail), &words));
        request_details(request, "%s%s%s", status, *status ? " " : "", words);
        reply->job = (uint64_t)row.number;
        free(row.error);
        row.error = text_format("%s%s%s", status, *status ? " " : "", words);
        return PASS(store_job_bounce(engine->store, &row, engine_now(engine) + engine->config.mail_keep));
}
