/* SPDX-License-Identifier: Apache-2.0 */
/* Runs: when one begins, what its process says, how it ends, and what is kept of it. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/engine.h"

#define SETTING "directory"

enum {
        DELAY_LEAST_MS = 5 * 1000, /* after a run that failed, doubled each time */
        DELAY_MOST_MS = 10 * 60 * 1000,
        SILENCE_MS = 10 * 60 * 1000, /* a process that says nothing for so long within a run does not read */
};

/* ---- changing the database */

int directory_change(struct engine *engine, int (*change)(struct engine *engine, void *context), void *context)
{
        int r;

        TRY(round_savepoint(engine));
        r = change(engine, context);
        if (!r)
                r = round_release(engine);
        if (r)
                round_undo(engine);
        return PASS(r);
}

/* Whatever `runs` says now. */
static int runs_store(struct engine *engine)
{
        struct directory *directory = &engine->directory;
        CLEANUP(setting_row_done) struct setting_row row = {0};
        int r = store_setting_find(engine->store, SETTING, &row);

        if (r && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        free(row.name);
        row.name = text_copy(SETTING);
        buf_clear(&row.value);
        TRY(msg_encode(directory_runs, &directory->runs, &row.value));
        return PASS(store_setting_put(engine->store, &row));
}

int directory_runs_load(struct engine *engine)
{
        struct directory *directory = &engine->directory;
        CLEANUP(setting_row_done) struct setting_row row = {0};
        int r;

        if (directory->loaded)
                return 0;
        r = store_setting_find(engine->store, SETTING, &row);
        if (r && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        msg_done(directory_runs, &directory->runs);
        if (!r)
                TRY(msg_decode(directory_runs, buf_view(&row.value), &directory->runs));
        directory->loaded = true;
        return 0;
}

void directory_run_copy(struct msg_directory_run *to, const struct msg_directory_run *from)
{
        msg_done(directory_run, to);
        *to = *from;
        to->server = text_copy(msg_text(from->server));
        to->outcome = text_copy(msg_text(from->outcome));
        to->detail = text_copy(msg_text(from->detail));
        to->problem = text_copy(msg_text(from->problem));
}

/* ---- findings */

static void findings_clear(struct directory *directory)
{
        for (size_t i = 0; i < directory->findings.count; i++)
                msg_done(finding, &directory->findings.at[i]);
        directory->findings.count = 0;
        directory->findings_total = 0;
}

/* The newest stay. */
void directory_finding(struct engine *engine, const char *severity, const char *subject, const char *detail)
{
        struct directory *directory = &engine->directory;
        CLEANUP(buf_done) struct buf subject_text = BUF_NONE, detail_text = BUF_NONE;
        struct msg_finding *finding;

        text_add_printable(&detail_text, bytes_text(detail), 1000);
        text_add_printable(&subject_text, bytes_text(subject), 500);
        if (directory->findings.count == DIRECTORY_FINDINGS_MOST) {
                msg_done(finding, &directory->findings.at[0]);
                memmove(directory->findings.at, directory->findings.at + 1,
                        --directory->findings.count * sizeof(*directory->findings.at));
                directory->findings.at[directory->findings.count] = (struct msg_finding){0};
        }
        finding = MSG_LIST_ADD(directory->findings);
        *finding = (struct msg_finding){.severity = text_copy(*severity ? severity : "error"),
                                        .subject = text_copy(buf_text(&subject_text)),
                                        .detail = text_copy(buf_text(&detail_text))};
        directory->findings_total++;
        directory->run.findings++;
}

/* ---- answers */

static void answer_send(struct directory_answer *answer)
{
        struct engine *engine = answer->engine;
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        int r = 0;

        if (!answer->waits)
                return;
        answer->waits = false;
        if (answer->kind == MSG_directory_taken)
                r = msg_encode(directory_taken, &answer->taken, &encoded);
        msg_done(directory_taken, &answer->taken);
        if (!r && engine->directory.channel)
                r = channel_reply(engine->directory.channel, answer->id, answer->kind, buf_view(&encoded));
        if (r && r != PROBLEM_UNREACHABLE)
                log_report(r, "the process that follows the directory could not be answered");
}

/* ---- beginning */

static void run_clear(struct engine *engine)
{
        struct directory *directory = &engine->directory;
        uint64_t number = directory->run.run;

        id_set_done(&directory->seen);
        directory_conflicts_done(directory);
        buf_done(&directory->leaving);
        findings_clear(directory);
        msg_done(directory_run, &directory->run);
        directory->run = (struct msg_directory_run){.run = number, .begun = engine_now(engine)};
}

static void wrong_set(struct directory *directory, const char *sentence)
{
        free(TAKE(directory->wrong));
        if (sentence)
                directory->wrong = text_copy(sentence);
}

static void retry_later(struct directory *directory)
{
        directory->delay_ms = MIN(MAX(2 * directory->delay_ms, (uint64_t)DELAY_LEAST_MS), (uint64_t)DELAY_MOST_MS);
        directory->next_ms = clock_monotonic_ms() + directory->delay_ms;
}

static void run_forget(struct engine *engine)
{
        struct directory *directory = &engine->directory;

        directory->phase = DIRECTORY_WAITING; /* its step does nothing then */
        id_set_done(&directory->seen);
        directory_conflicts_done(directory);
        buf_done(&directory->leaving);
}

static int failure_record(struct engine *engine, void *context)
{
        char *subject CLEANUP(mem_freep) = text_format("run %llu", (unsigned long long)engine->directory.run.run);

        return PASS(engine_audit_server(engine, "server.directory.end", subject, "failed", context));
}

/* The next one mends what this one left undone. */
void directory_run_fail(struct engine *engine, int problem, const char *sentence)
{
        struct directory *directory = &engine->directory;
        bool begun = directory->phase == DIRECTORY_READING || directory->phase == DIRECTORY_LEAVING;
        char *copy CLEANUP(mem_freep) = text_copy(sentence); /* it may be in a report, or in `run` */

        sentence = copy;
        log_warning("run %llu of the directory: %s", (unsigned long long)directory->run.run, sentence);
        if (begun) {
                free(directory->run.outcome);
                free(directory->run.detail);
                directory->run.outcome = text_copy("failed");
                directory->run.detail = text_copy(sentence);
                free(directory->run.problem);
                directory->run.problem = text_copy(problem > 0 ? problem_info(problem)->code : "");
                directory->run.ended = engine_now(engine);
        }
        wrong_set(directory, sentence);
        run_forget(engine);
        retry_later(directory);
        if (begun)
                directory->accepted = 0; /* he saw what was missing at that time, and knows of the failure */
        if (begun && engine->state == ENGINE_UNSEALED &&
            directory_change(engine, failure_record, (void *)(uintptr_t)sentence))
                log_report(-1, "a run that failed could not be recorded");
        if (directory->answer.waits && directory->answer.kind == MSG_done)
                answer_send(&directory->answer);
}

static void follow_replied(void *context, int result, struct channel_message *reply)
{
        struct engine *engine = context;

        /* Lost with the connection: that is heard of by itself. */
        if (!result && reply->kind == MSG_problem &&
            peer_problem("the process that follows the directory", reply->payload))
                directory_run_fail(engine, PROBLEM_UNREACHABLE, report_text());
}

static int number_next(struct engine *engine, void *context)
{
        struct directory *directory = &engine->directory;
        char *subject CLEANUP(mem_freep) = NULL;

        directory->runs.number++;
        subject = text_format("run %llu", (unsigned long long)directory->runs.number);
        TRY(runs_store(engine));
        return PASS(engine_audit_server(engine, "server.directory.begin", subject, "done",
                                        directory->accepted ? "whoever is missing may leave, as an operator decided" : ""));
}

static int run_begin(struct engine *engine)
{
        struct directory *directory = &engine->directory;
        struct msg_directory_follow ask;
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        int r;

        TRY(directory_runs_load(engine));
        r = directory_change(engine, number_next, NULL);
        if (r)
                directory->loaded = false; /* what is in memory was not stored */
        TRY(r);
        directory->run.run = directory->runs.number;
        run_clear(engine);
        directory->phase = DIRECTORY_READING;
        directory->heard_ms = clock_monotonic_ms();
        ask = (struct msg_directory_follow){.run = directory->run.run};
        TRY(msg_encode(directory_follow, &ask, &encoded));
        channel_call_cancel(&directory->follow);
        directory->follow.replied = follow_replied;
        directory->follow.context = engine;
        return PASS(channel_call(directory->channel, &directory->follow, MSG_directory_follow, buf_view(&encoded)));
}

uint64_t directory_run_soon(struct engine *engine, bool accept_departures)
{
        struct directory *directory = &engine->directory;

        directory->next_ms = 0;
        directory->delay_ms = 0;
        /* One that reads already does; but what an operator accepts is what he will be shown as this run. */
        if (directory->phase == DIRECTORY_READING && !accept_departures)
                return directory->run.run;
        if (directory->phase == DIRECTORY_LEAVING)
                answer_send(&directory->answer);
        if (directory->phase != DIRECTORY_WAITING)
                run_forget(engine);
        if (accept_departures)
                directory->accepted = directory->runs.number + 1;
        return directory->runs.number + 1;
}

/* ---- pages */

static void answer_durable(struct round_after *after, bool stored)
{
        struct directory_answer *answer = CONTAINER_OF(after, struct directory_answer, after);

        if (!stored) {
                directory_run_fail(answer->engine, PROBLEM_STORAGE, "The database could not be written; the directory is read again once it can.");
                answer->taken.run = 0;
        }
        answer_send(answer);
}

void directory_answer_after(struct engine *engine)
{
        struct directory_answer *answer = &engine->directory.answer;

        answer->after.run = answer_durable;
        list_remove(&answer->after.link);
        list_append(&engine->round.after, &answer->after.link);
}

static int answer_begin(struct engine *engine, const struct channel_message *message, enum msg_kind kind)
{
        struct directory_answer *answer = &engine->directory.answer;

        if (answer->waits || !message->id)
                return refuse(PROBLEM_MALFORMED, "The process that follows the directory did not wait for an answer.");
        msg_done(directory_taken, &answer->taken);
        answer->waits = true;
        answer->id = message->id;
        answer->kind = (uint16_t)kind;
        return 0;
}

static int page_change(struct engine *engine, void *context)
{
        return PASS(directory_page_take(engine, context));
}

static void page_take(struct engine *engine, const struct msg_directory_page *page)
{
        struct directory *directory = &engine->directory;
        int r;

        directory->answer.taken.run = page->run;
        /* It began anew by itself, since it lost the directory in between. */
        if (directory->phase == DIRECTORY_FOLLOWING && page->whole) {
                run_clear(engine);
                directory->phase = DIRECTORY_READING;
        }
        r = directory_change(engine, page_change, (void *)(uintptr_t)page);
        if (r) {
                log_report(r, "a page of the directory could not be taken");
                directory_run_fail(engine, r, report_text());
                directory->answer.taken.run = 0;
        }
        directory_answer_after(engine);
}

static int page_received(struct engine *engine, struct channel_message *message)
{
        struct directory *directory = &engine->directory;
        MSG_OWN(directory_page) page = {0};

        TRY(msg_decode(directory_page, message->payload, &page));
        TRY(answer_begin(engine, message, MSG_directory_taken));
        if (engine->state == ENGINE_UNSEALED && page.run == directory->run.run &&
            (directory->phase == DIRECTORY_READING || directory->phase == DIRECTORY_FOLLOWING))
                page_take(engine, &page);
        else
                answer_send(&directory->answer); /* run 0: that one is over */
        return 0;
}

/* ---- the end */

static int end_received(struct engine *engine, struct channel_message *message)
{
        struct directory *directory = &engine->directory;
        MSG_OWN(directory_end) end = {0};
        bool ours;

        TRY(msg_decode(directory_end, message->payload, &end));
        ours = end.run == directory->run.run &&
               (directory->phase == DIRECTORY_READING || directory->phase == DIRECTORY_FOLLOWING);
        if (ours) {
                free(directory->run.server);
                directory->run.server = text_copy(msg_text(end.server));
        }
        if (ours && end.complete && directory->phase == DIRECTORY_READING) {
                TRY(answer_begin(engine, message, MSG_done));
                free(directory->run.detail);
                directory->run.detail = text_copy(msg_text(end.detail));
                directory->phase = DIRECTORY_LEAVING;
                directory_leave_begin(engine);
                return 0;
        }
        if (ours && !end.complete)
                directory_run_fail(engine, (int)problem_from_code(msg_text(end.problem)),
                                   *msg_text(end.detail) ? end.detail : "The directory could not be read.");
        /* What fails does so at any time: a page may be without its answer yet. */
        return PASS(channel_reply(directory->channel, message->id, MSG_done, BYTES_NONE));
}

static int end_store(struct engine *engine, void *context)
{
        struct directory *directory = &engine->directory;
        const struct msg_directory_run *run = &directory->run;
        char *subject CLEANUP(mem_freep) = text_format("run %llu", (unsigned long long)run->run);
        char *details CLEANUP(mem_freep) =
            text_format("%llu seen, %llu added, %llu changed, %llu returned, %llu left, %llu findings. %s",
                        (unsigned long long)run->seen, (unsigned long long)run->added,
                        (unsigned long long)run->changed, (unsigned long long)run->returned,
                        (unsigned long long)run->left, (unsigned long long)run->findings, msg_text(run->detail));

        if (strcmp(run->outcome, "complete") == 0) {
                if (!directory->runs.complete.count)
                        (void)MSG_LIST_ADD(directory->runs.complete);
                directory_run_copy(&directory->runs.complete.at[0], run);
        }
        TRY(runs_store(engine));
        return PASS(engine_audit_server(engine, "server.directory.end", subject, run->outcome, details));
}

void directory_run_end(struct engine *engine, const char *outcome, const char *detail)
{
        struct directory *directory = &engine->directory;
        bool complete = strcmp(outcome, "complete") == 0;
        int r;

        free(directory->run.outcome);
        directory->run.outcome = text_copy(outcome);
        if (detail) {
                free(directory->run.detail);
                directory->run.detail = text_copy(detail);
        }
        detail = msg_text(directory->run.detail);
        directory->run.ended = engine_now(engine);
        r = directory_change(engine, end_store, NULL);
        if (r) {
                log_report(r, "the end of a run of the directory could not be stored");
                directory_run_fail(engine, PROBLEM_STORAGE, "The database could not be written; the directory is read again once it can.");
                answer_send(&directory->answer);
                return;
        }
        log_notice("run %llu of the directory: %s; %llu seen, %llu added, %llu changed, %llu left, %llu findings%s%s",
                   (unsigned long long)directory->run.run, outcome, (unsigned long long)directory->run.seen,
                   (unsigned long long)directory->run.added, (unsigned long long)directory->run.changed,
                   (unsigned long long)directory->run.left, (unsigned long long)directory->run.findings,
                   *detail ? ". " : "", detail);
        run_forget(engine);
        directory->phase = DIRECTORY_FOLLOWING;
        if (complete && directory->accepted == directory->run.run)
                directory->accepted_at = engine_now(engine);
        directory->accepted = 0;
        directory->delay_ms = 0;
        directory->followed_left = complete ? 0 : directory->followed_left;
        directory->next_ms = clock_monotonic_ms() + (uint64_t)engine->config.reconcile * 1000;
        wrong_set(directory, complete ? NULL : detail);
        directory_answer_after(engine);
}

/* ---- the process */

int directory_received(struct engine *engine, struct channel_message *message)
{
        engine->directory.heard_ms = clock_monotonic_ms();
        if (message->kind == MSG_directory_page)
                return PASS(page_received(engine, message));
        if (message->kind == MSG_directory_end)
                return PASS(end_received(engine, message));
        return refuse(PROBLEM_MALFORMED, "The process that follows the directory sent a message of kind %u.",
                      message->kind);
}

void directory_lost(struct engine *engine)
{
        struct directory *directory = &engine->directory;

        channel_call_cancel(&directory->follow);
        list_remove(&directory->answer.after.link);
        directory->answer.waits = false;
        if (directory->phase == DIRECTORY_READING || directory->phase == DIRECTORY_LEAVING)
                directory_run_fail(engine, PROBLEM_UNREACHABLE, "The process that follows the directory was lost; it is started again.");
        run_forget(engine);
        directory->next_ms = 0;
}

void directory_run_pump(struct engine *engine)
{
        struct directory *directory = &engine->directory;
        uint64_t now = clock_monotonic_ms();
        int r;

        if (engine->state != ENGINE_UNSEALED || engine->stopping)
                return;
        if (!engine->config.directory_ldap || !directory->channel)
                return;
        if ((directory->phase == DIRECTORY_READING) && now - directory->heard_ms > SILENCE_MS)
                directory_run_fail(engine, PROBLEM_TIMEOUT, "The process that follows the directory has said nothing for ten minutes.");
        if (now < directory->next_ms ||
            (directory->phase != DIRECTORY_WAITING && directory->phase != DIRECTORY_FOLLOWING))
                return;
        r = run_begin(engine);
        if (r) {
                log_report(r, "the directory cannot be read");
                directory_run_fail(engine, r, report_text());
        }
}

void directory_sealed(struct engine *engine)
{
        struct directory *directory = &engine->directory;

        answer_send(&directory->answer);
        run_forget(engine);
        directory->loaded = false;
        directory->next_ms = 0;
}

void directory_run_init(struct engine *engine)
{
        struct directory *directory = &engine->directory;

        directory->changed = true;
        directory->answer.engine = engine;
        list_init(&directory->answer.after.link);
        loop_timer_init(&directory->step, engine->loop, directory_leave_step, engine);
}

void directory_run_done(struct engine *engine)
{
        struct directory *directory = &engine->directory;

        run_forget(engine);
        loop_timer_done(&directory->step);
        findings_clear(directory);
        free(directory->findings.at);
        list_remove(&directory->answer.after.link);
        msg_done(directory_taken, &directory->answer.taken);
        msg_done(directory_runs, &directory->runs);
        msg_done(directory_run, &directory->run);
        wrong_set(directory, NULL);
}
