/* SPDX-License-Identifier: Apache-2.0 */
#include "outbound/publish.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

static int reply_problem(struct channel *channel, uint64_t message, int result, const char *detail)
{
        MSG_OWN(problem) problem = {0};
        CLEANUP(buf_done) struct buf encoded = BUF_NONE, text = BUF_NONE;

        text_add_printable(&text, bytes_text(detail), 1000);
        problem.code = text_copy(result > 0 ? problem_info(result)->code : "fault");
        problem.detail = text_copy(buf_text(&text));
        TRY(msg_encode(problem, &problem, &encoded));
        return PASS(channel_reply(channel, message, MSG_problem, buf_view(&encoded)));
}

/* The engine went away meanwhile: another one asks again. */
static void reply_sent(int result)
{
        if (result && result != PROBLEM_UNREACHABLE)
                log_report(result, "the engine could not be answered");
}

/* ---- jobs */

struct asked_job {
        struct channel *channel;
        uint64_t message, id;
        char *subject;
};

static int job_reply(const struct asked_job *asked, const struct publication_result *result)
{
        struct msg_job_done done = {
            .id = asked->id, .success = result->result == 0, .unreachable = result->unreachable};
        CLEANUP(buf_done) struct buf encoded = BUF_NONE, detail = BUF_NONE;

        text_add_printable(&detail, bytes_text(result->detail), 1000);
        done.detail = (char *)(uintptr_t)buf_text(&detail);
        TRY(msg_encode(job_done, &done, &encoded));
        return PASS(channel_reply(asked->channel, asked->message, MSG_job_done, buf_view(&encoded)));
}

/* Nothing of this is permanent: rights, schemas and entries are put right by somebody, and then it is to happen. */
static void job_published(void *context, const struct publication_result *result)
{
        struct asked_job *asked = context;

        if (result->result)
                log_warning("job %llu (publish-user %s) failed: %s", (unsigned long long)asked->id, asked->subject,
                            result->detail);
        reply_sent(job_reply(asked, result));
        channel_unref(asked->channel);
        free(asked->subject);
        free(asked);
}

int publish_job(struct publisher *publisher, struct channel *channel, uint64_t message, struct msg_job *job)
{
        MSG_OWN(directory_values) values = {0};
        struct asked_job *asked;

        TRY(msg_decode(directory_values, buf_view(&job->content), &values));
        asked = NEW(struct asked_job);
        *asked = (struct asked_job){channel_ref(channel), message, job->id, text_copy(msg_text(job->subject))};
        publisher_start(publisher, &values, false, job_published, asked);
        return 0;
}

/* ---- comparing */

struct comparison {
        struct channel *channel;
        uint64_t message;
        size_t waiting;
        int failed; /* the directory is away */
        char *why;
        struct msg_directory_compared reply;
};
struct compared {
        struct comparison *comparison;
        char *guid, *dn;
};

static int comparison_reply(struct comparison *comparison)
{
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;

        if (comparison->failed)
                return PASS(
                    reply_problem(comparison->channel, comparison->message, comparison->failed, comparison->why));
        TRY(msg_encode(directory_compared, &comparison->reply, &encoded));
        return PASS(
            channel_reply(comparison->channel, comparison->message, MSG_directory_compared, buf_view(&encoded)));
}

static void comparison_less(struct comparison *comparison)
{
        if (--comparison->waiting)
                return;
        reply_sent(comparison_reply(comparison));
        channel_unref(comparison->channel);
        msg_done(directory_compared, &comparison->reply);
        free(comparison->why);
        free(comparison);
}

static void drift_add(struct compared *compared, const struct publication_result *result, const char *outcome)
{
        struct msg_directory_drift *drift = MSG_LIST_ADD(compared->comparison->reply.drift);
        CLEANUP(buf_done) struct buf detail = BUF_NONE;

        text_add_printable(&detail, bytes_text(result->detail), 1000);
        drift->guid = TAKE(compared->guid);
        drift->dn = TAKE(compared->dn);
        drift->outcome = text_copy(outcome);
        drift->detail = text_copy(buf_text(&detail));
}

static void entry_compared(void *context, const struct publication_result *result)
{
        struct compared *compared = context;
        struct comparison *comparison = compared->comparison;

        if (result->unreachable && !comparison->failed) {
                comparison->failed = result->result;
                comparison->why = text_copy(result->detail);
        } else if (result->result) {
                drift_add(compared, result, "failed");
        } else if (result->outcome != PUBLICATION_RIGHT) {
                drift_add(compared, result, result->outcome == PUBLICATION_GONE ? "gone" : "drift");
        }
        free(compared->guid);
        free(compared->dn);
        free(compared);
        comparison_less(comparison);
}

int publish_compare(struct publisher *publisher, struct channel *channel, struct channel_message *message)
{
        MSG_OWN(directory_compare) ask = {0};
        struct comparison *comparison;

        TRY(msg_decode(directory_compare, message->payload, &ask));
        comparison = NEW(struct comparison);
        *comparison = (struct comparison){.channel = channel_ref(channel), .message = message->id, .waiting = 1};
        for (size_t i = 0; i < ask.entries.count; i++) {
                struct compared *compared = NEW(struct compared);

                *compared = (struct compared){comparison, text_copy(msg_text(ask.entries.at[i].guid)),
                                              text_copy(msg_text(ask.entries.at[i].dn))};
                comparison->waiting++;
                publisher_start(publisher, &ask.entries.at[i], true, entry_compared, compared);
        }
        comparison_less(comparison);
        return 0;
}

/* ---- what is left of ours */

void leftovers_done(struct leftovers *leftovers)
{
        if (leftovers->reads)
                ldap_reading_done(&leftovers->reading);
        leftovers->reads = false;
        ldap_connection_close(TAKE(leftovers->connection));
        buf_done(&leftovers->filter);
        cert_list_done(&leftovers->issuers);
}

/* Any value in one of the attributes; only the directory knows whose. */
static int leftovers_begin(struct leftovers *leftovers, const struct msg_directory_leftovers *ask)
{
        struct publisher *publisher = leftovers->publisher;
        struct ldap_search search = {.scope = LDAP_SCOPE_SUBTREE, .attributes = leftovers->names};
        enum value_kind kinds[3];
        size_t count = 0;

        leftovers_done(leftovers);
        TRY(publisher_prepare(publisher));
        for (size_t i = 0; i < ask->issuers.count; i++)
                TRY(cert_list_add(&leftovers->issuers, buf_view(&ask->issuers.at[i].value)));
        publisher_attributes(publisher->config, leftovers->names, kinds, &count);
        leftovers->names[count] = publisher->schema.id;
        leftovers->names[count + 1] = NULL;
        buf_add_text(&leftovers->filter, "(|");
        for (size_t i = 0; i < count; i++)
                buf_add_format(&leftovers->filter, "(%s=*)", leftovers->names[i]);
        buf_add_text(&leftovers->filter, ")");
        search.filter = buf_text(&leftovers->filter);
        leftovers->options = ldap_options_of(publisher->config, publisher->secrets);
        TRY(ldap_connection_open(&leftovers->options, &leftovers->connection));
        ldap_reading_init(&leftovers->reading, leftovers->connection, &search);
        leftovers->reads = true;
        return 0;
}

enum { FOUND_MOST = 1000 }; /* of the message */

struct page {
        struct leftovers *leftovers;
        struct msg_directory_leftover *reply;
};

static bool entry_has_ours(const struct leftovers *leftovers, const struct ldap_entry *entry)
{
        const char *names[3];
        enum value_kind kinds[3];
        size_t count = 0;

        publisher_attributes(leftovers->publisher->config, names, kinds, &count);
        for (size_t i = 0; i < count; i++) {
                const struct ldap_attribute *attribute = ldap_entry_find(entry, names[i]);

                for (size_t j = 0; attribute && j < attribute->count; j++)
                        if (value_is_ours(kinds[i], attribute->values[j], &leftovers->issuers))
                                return true;
        }
        return false;
}

static int entry_look(void *context, struct ldap_entry *entry)
{
        struct page *page = context;
        struct msg_directory_drift *found;
        CLEANUP(buf_done) struct buf dn = BUF_NONE;
        char text[ID_TEXT_SIZE];
        struct id id;

        page->reply->seen++;
        if (!entry_has_ours(page->leftovers, entry) ||
            schema_id_of(&page->leftovers->publisher->schema, entry, &id) != 0)
                return 0;
        text_add_printable(&dn, bytes_text(entry->dn), 2000);
        found = MSG_LIST_ADD(page->reply->found);
        found->guid = text_copy(id_text(&id, text));
        found->dn = text_copy(buf_text(&dn));
        found->outcome = text_copy("leftover");
        found->detail = text_copy("values of this CA, which nobody should have here");
        page->leftovers->reading.pause = page->reply->found.count == FOUND_MOST;
        return 0;
}

static int leftovers_read(struct leftovers *leftovers, const struct msg_directory_leftovers *ask,
                          struct msg_directory_leftover *reply)
{
        struct page page = {leftovers, reply};

        if (!ask->reading) {
                TRY(leftovers_begin(leftovers, ask));
                leftovers->number = leftovers->number % UINT32_MAX + 1;
        } else if (!leftovers->reads || ask->reading != leftovers->number) {
                return refuse(PROBLEM_STATE, "The reading of the directory was interrupted; begin the check again.");
        }
        reply->reading = leftovers->number;
        TRY(ldap_reading_next(&leftovers->reading, entry_look, &page));
        reply->end = leftovers->reading.done;
        if (reply->end)
                leftovers_done(leftovers);
        return 0;
}

int leftovers_page(struct leftovers *leftovers, struct channel *channel, struct channel_message *message)
{
        MSG_OWN(directory_leftovers) ask = {0};
        MSG_OWN(directory_leftover) reply = {0};
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        int r;

        TRY(msg_decode(directory_leftovers, message->payload, &ask));
        r = leftovers_read(leftovers, &ask, &reply);
        if (r) {
                CLEANUP(mem_freep) char *why = text_copy(report_text());

                if (!ask.reading || ask.reading == leftovers->number)
                        leftovers_done(leftovers);
                return PASS(reply_problem(channel, message->id, r, why));
        }
        TRY(msg_encode(directory_leftover, &reply, &encoded));
        return PASS(channel_reply(channel, message->id, MSG_directory_leftover, buf_view(&encoded)));
}
