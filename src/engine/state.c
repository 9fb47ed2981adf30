/* SPDX-License-Identifier: Apache-2.0 */
/* What state the server is in: for who asks, for readiness, and as metrics; and what happens every second. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/deliver.h"
#include "engine/engine.h"

static const char *state_text(const struct engine *engine)
{
        return engine->state == ENGINE_UNSEALED ? "unsealed" : engine->state == ENGINE_SEALED ? "sealed" : "starting";
}

/* To anybody: where that is, and what is wrong with it, is in the log. */
static void warnings_fill(const struct engine *engine, struct msg_texts *out)
{
        if (engine->outbound.publishing.folder_fails)
                msg_texts_add(out, "The revocation list or a certificate of the CA cannot be written to the folder of "
                                   "[publish]; the server's log says why.");
        if (engine->outbound.publishing.directory_fails)
                msg_texts_add(out, "The revocation list or a certificate of the CA cannot be published in the "
                                   "directory; the server's log says why.");
}

int status_handle(struct request *request)
{
        struct engine *engine = request->engine;
        struct msg_status_reply *reply = request->reply;
        struct store_counts counts = {0};

        reply->server_id = text_copy(msg_text(engine->trust.server_id));
        reply->organisation = text_copy(msg_text(engine->trust.organisation));
        reply->state = text_copy(state_text(engine));
        reply->version = text_copy(VOUCHSAFE_VERSION);
        reply->time = engine_now(engine);
        reply->keepers = engine->keepers.count;
        reply->quorum = engine->trust.quorum;
        reply->crl_next_update = engine->crl.next_update;
        warnings_fill(engine, &reply->warnings);
        if (engine->state != ENGINE_UNSEALED) {
                reply->detail = text_copy(msg_text(engine->sealed_why));
                return 0;
        }
        store_counts(engine->store, &counts);
        reply->users = (uint64_t)counts.users[USER_ENROLLED];
        reply->pool = (uint64_t)counts.pool;
        reply->delivery = text_copy(delivery_name(engine->config.delivery));
        reply->recovery_delivery = text_copy(delivery_name(delivery_of_recovery(engine)));
        reply->queue = (uint64_t)(counts.jobs[JOB_WAITING] + counts.jobs[JOB_RUNNING]);
        return 0;
}

int authority_handle(struct request *request)
{
        struct engine *engine = request->engine;
        struct msg_authority_reply *reply = request->reply;

        if (!engine->trust_known)
                return refuse(PROBLEM_SEALED,
                              "The server was never unsealed, so it does not know its authority yet.");
        buf_add_bytes(&reply->root, buf_view(&engine->trust.root));
        buf_add_bytes(&reply->issuer, buf_view(&engine->trust.issuer));
        buf_add_bytes(&reply->audit_certificate, buf_view(&engine->trust.audit_certificate));
        return 0;
}

/* ---- metrics */

void metric(struct buf *out, const char *name, const char *type, const char *help, long long value)
{
        buf_add_format(out, "# HELP vouchsafe_%s %s\n# TYPE vouchsafe_%s %s\nvouchsafe_%s %lld\n", name, help, name,
                       type, name, value);
}

static void metric_states(struct buf *out, const char *name, const char *help, const struct state_table *table,
                          const int64_t *counts)
{
        buf_add_format(out, "# HELP vouchsafe_%s %s\n# TYPE vouchsafe_%s gauge\n", name, help, name);
        for (int state = 1; state < table->state_count; state++)
                buf_add_format(out, "vouchsafe_%s{state=\"%s\"} %lld\n", name, state_name(table, state),
                               (long long)counts[state]);
}

static void metrics_stored(struct engine *engine, struct buf *out)
{
        struct store_counts counts = {0};

        store_counts(engine->store, &counts);
        metric(out, "directory_entries", "gauge", "People and groups in the address book.", counts.entries);
        directory_metrics(engine, out);
        metric_states(out, "users", "Users by state.", &user_states, counts.users);
        metric_states(out, "tokens", "Tokens by state.", &token_states, counts.tokens);
        metric_states(out, "certificates", "Certificates by state.", &certificate_states, counts.certificates);
        metric_states(out, "requests", "Requests by state.", &request_states, counts.requests);
        metric(out, "archived_keys", "gauge", "Archived private keys.",
               counts.archives[ARCHIVE_CURRENT] + counts.archives[ARCHIVE_FORMER]);
        metric(out, "pool_keys", "gauge", "Encryption keys made ahead.", counts.pool);
        metric(out, "revocations", "gauge", "Entries of the revocation list.", counts.revocations);
        metric(out, "audit_records", "counter", "Records of the audit chain.", counts.audit);
        metric(out, "queue_jobs", "gauge", "Jobs that wait for the outbound process.",
               counts.jobs[JOB_WAITING] + counts.jobs[JOB_RUNNING]);
        metric_states(out, "jobs", "Jobs of the queue by state; bounced is mail that could not be delivered.", &job_states,
                      counts.jobs);
        metric(out, "queue_failed_jobs", "gauge", "Jobs that were given up.", counts.jobs[JOB_FAILED]);
}

static void metrics_outbound(struct engine *engine, struct buf *out)
{
        static const char *const names[TARGET_COUNT] = {
            [TARGET_FOLDER] = "folder", [TARGET_DIRECTORY] = "directory", [TARGET_MAIL] = "mail"};

        buf_add_text(out, "# HELP vouchsafe_outbound_reachable 1 unless jobs wait since this does not answer.\n"
                          "# TYPE vouchsafe_outbound_reachable gauge\n");
        for (int target = 0; target < TARGET_COUNT; target++)
                buf_add_format(out, "vouchsafe_outbound_reachable{target=\"%s\"} %d\n", names[target],
                               outbound_target_reachable(engine, (enum outbound_target)target));
}

static void metrics_publishing(const struct engine *engine, struct buf *out)
{
        const struct msg_publish_state *publishing = &engine->outbound.publishing;

        buf_add_format(out,
                       "# HELP vouchsafe_publication_fails 1 while the revocation list or a certificate of the CA "
                       "cannot be published there.\n"
                       "# TYPE vouchsafe_publication_fails gauge\n"
                       "vouchsafe_publication_fails{target=\"folder\"} %d\n"
                       "vouchsafe_publication_fails{target=\"directory\"} %d\n",
                       publishing->folder_fails, publishing->directory_fails);
}

int engine_metrics(struct engine *engine, struct buf *out)
{
        metric(out, "unsealed", "gauge", "1 while the server is unsealed.", engine->state == ENGINE_UNSEALED);
        metric(out, "keepers", "gauge", "Keepers that are connected.", (long long)engine->keepers.count);
        metric(out, "keeper_calls_waiting", "gauge", "Calls that wait for a keeper.",
               (long long)engine->keepers.waiting_count);
        metric(out, "requests_total", "counter", "API requests.", (long long)engine->asked);
        metric(out, "requests_refused_total", "counter", "API requests that were refused.",
               (long long)engine->refused);
        metric(out, "faults_total", "counter", "API requests that failed by the server's own fault.",
               (long long)engine->faults);
        metric(out, "enrollments_total", "counter", "Enrollments.", (long long)engine->enrolled);
        metric(out, "commits_total", "counter", "Commits of the database.", (long long)engine->commits);
        metric(out, "commit_failures_total", "counter", "Commits that failed.", (long long)engine->commit_failures);
        metric(out, "crl_number", "gauge", "Number of the revocation list.", (long long)engine->crl.number);
        metric(out, "crl_next_update_seconds", "gauge", "When the revocation list ends, in seconds since 1970.",
               engine->crl.next_update);
        metric(out, "lookups_total", "counter", "Look-ups by the LDAP service.", (long long)engine->lookups);
        lookups_metrics(engine, out);
        metrics_outbound(engine, out);
        metrics_publishing(engine, out);
        if (engine->state == ENGINE_UNSEALED)
                metrics_stored(engine, out);
        return 0;
}

/* ---- every second */

static int limited_record(struct engine *engine)
{
        CLEANUP(mem_freep) char *details = NULL;

        if (!engine->refused_unrecorded || engine->state != ENGINE_UNSEALED)
                return 0;
        details = text_format("%llu refusals of strangers beyond the limit were not recorded one by one",
                              (unsigned long long)engine->refused_unrecorded);
        TRY(engine_audit_alone(engine, "server.limit", "", problem_info(PROBLEM_TOO_MANY)->code, details));
        engine->refused_unrecorded = 0;
        return 0;
}

/* A keeper has the key, but the database could not be written then: try again, until it can. */
static void unseal_again(struct engine *engine)
{
        if (engine->state == ENGINE_UNSEALED || engine->stopping)
                return;
        LIST_EACH(keeper, &engine->keepers.all, struct keeper_link, link) {
                if (keeper->known && !keeper->sealed) {
                        keepers_load(engine);
                        return;
                }
        }
}

int second_tick(void *context)
{
        struct engine *engine = context;
        int r;

        loop_timer_arm(&engine->second, 1000);
        unseal_again(engine);
        TRY(round_commit(engine));
        r = clock_watch(engine);
        if (r)
                log_report(r, "that the clock was set back could not be recorded");
        heads_pump(engine, false);
        fronts_state(engine, false);
        sweep_pump(engine);
        tls_pump(engine);
        directory_pump(engine);
        r = limited_record(engine);
        if (r)
                log_report(r, "refusals could not be recorded");
        return 0;
}
