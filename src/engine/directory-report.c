/* SPDX-License-Identifier: Apache-2.0 */
/* How the directory goes: for who asks, and as metrics; and reading it now. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/engine.h"

static int entries_count(struct engine *engine)
{
        struct directory *directory = &engine->directory;

        if (!directory->changed)
                return 0;
        TRY(store_entry_count_present(engine->store, ENTRY_PERSON, &directory->people));
        TRY(store_entry_count_present(engine->store, ENTRY_GROUP, &directory->groups));
        TRY(store_entry_count_left(engine->store, &directory->left));
        directory->changed = false;
        directory->counted_ms = clock_monotonic_ms();
        return 0;
}

static const char *state_of(const struct engine *engine)
{
        static const char *const names[] = {"waiting", "reading", "reading", "following"};

        return engine->config.directory_ldap ? names[engine->directory.phase] : "embedded";
}

static const char *wrong_of(const struct engine *engine)
{
        if (!engine->config.directory_ldap)
                return "";
        if (engine->directory.wrong)
                return engine->directory.wrong;
        return engine->directory.channel ? "" : "The process that follows the directory does not run at the moment.";
}

static void findings_copy(const struct directory *directory, struct msg_directory_status_reply *reply)
{
        for (size_t i = 0; i < directory->findings.count; i++) {
                const struct msg_finding *from = &directory->findings.at[i];

                *MSG_LIST_ADD(reply->findings) = (struct msg_finding){.severity = text_copy(from->severity),
                                                                      .subject = text_copy(from->subject),
                                                                      .detail = text_copy(from->detail)};
        }
}

int directory_status_handle(struct request *request)
{
        struct engine *engine = request->engine;
        struct directory *directory = &engine->directory;
        struct msg_directory_status_reply *reply = request->reply;
        uint64_t now = clock_monotonic_ms();

        TRY(directory_runs_load(engine));
        TRY(entries_count(engine));
        reply->kind = text_copy(engine->config.directory_ldap ? "ldap" : "embedded");
        reply->state = text_copy(state_of(engine));
        reply->detail = text_copy(wrong_of(engine));
        reply->people = (uint64_t)directory->people;
        reply->groups = (uint64_t)directory->groups;
        reply->left = (uint64_t)directory->left;
        reply->revoke_left_after = (uint64_t)engine->config.revoke_left_after;
        if (!engine->config.directory_ldap)
                return 0;
        if (directory->runs.complete.count)
                directory_run_copy(MSG_LIST_ADD(reply->complete), &directory->runs.complete.at[0]);
        if (directory->run.run)
                directory_run_copy(MSG_LIST_ADD(reply->last), &directory->run);
        if (directory->phase == DIRECTORY_WAITING || directory->phase == DIRECTORY_FOLLOWING)
                reply->next = engine_now(engine) +
                              (directory->next_ms > now ? (int64_t)(directory->next_ms - now) / 1000 : 0);
        findings_copy(directory, reply);
        return 0;
}

int directory_sync_handle(struct request *request)
{
        struct engine *engine = request->engine;
        const struct msg_directory_sync *ask = request->message;
        struct msg_directory_syncing *reply = request->reply;

        request_subject(request, "%s", ask->accept_departures ? "whoever is missing may leave" : "");
        if (!engine->config.directory_ldap)
                return refuse(PROBLEM_UNSUPPORTED,
                              "This server keeps its own address book; it is filled with \"vouchsafe directory import\".");
        if (!engine->directory.channel)
                return refuse(PROBLEM_UNREACHABLE,
                              "The process that follows the directory does not run at the moment; try again shortly.");
        TRY(directory_runs_load(engine));
        reply->run = directory_run_soon(engine, ask->accept_departures);
        request_details(request, "run %llu", (unsigned long long)reply->run);
        return 0;
}

/* ---- metrics */

static void metric_left(struct engine *engine, struct buf *out)
{
        const struct directory *directory = &engine->directory;

        buf_add_text(out, "# HELP vouchsafe_directory_people People and groups of the directory, by whether they left.\n"
                          "# TYPE vouchsafe_directory_people gauge\n");
        buf_add_format(out, "vouchsafe_directory_people{kind=\"person\",state=\"present\"} %lld\n",
                       (long long)directory->people);
        buf_add_format(out, "vouchsafe_directory_people{kind=\"group\",state=\"present\"} %lld\n",
                       (long long)directory->groups);
        buf_add_format(out, "vouchsafe_directory_people{kind=\"any\",state=\"left\"} %lld\n", (long long)directory->left);
}

void directory_metrics(struct engine *engine, struct buf *out)
{
        enum { COUNTED_MS = 60 * 1000 };
        struct directory *directory = &engine->directory;
        bool known = directory->runs.complete.count != 0;

        /* Counting reads them all. */
        if (clock_monotonic_ms() - directory->counted_ms > COUNTED_MS && entries_count(engine))
                log_report(-1, "the entries of the directory could not be counted");
        metric_left(engine, out);
        if (!engine->config.directory_ldap)
                return;
        metric(out, "directory_following", "gauge", "1 while changes of the LDAP directory are followed.",
               directory->phase == DIRECTORY_FOLLOWING);
        metric(out, "directory_wrong", "gauge", "1 while something is wrong with it; \"vouchsafe directory status\" says what.",
               *wrong_of(engine) != 0);
        metric(out, "directory_findings", "gauge", "Entries that could not be taken, in the last run and since.",
               (long long)directory->findings_total);
        metric(out, "directory_run", "gauge", "Number of the last run.", (long long)directory->runs.number);
        metric(out, "directory_complete_run_seconds", "gauge",
               "When the last complete run ended, in seconds since 1970; 0: never.",
               known ? directory->runs.complete.at[0].ended : 0);
}
