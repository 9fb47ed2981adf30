/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe-outbound: does what may block. Started by vouchsafed; takes jobs from the engine and
 * answers each. Number 1, when there is one, has the directory instead (directory.h). */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/sandbox.h"
#include "outbound/authority.h"
#include "outbound/confine.h"
#include "outbound/directory.h"
#include "outbound/job.h"
#include "outbound/mailer.h"
#include "outbound/publications.h"
#include "outbound/publish.h"
#include "wire/control.h"

enum { FRAME_LIMIT = 128 << 20 /* a revocation list with a million entries and more */ };

struct outbound {
        struct loop loop;
        struct control control;
        struct config config;
        struct config
            fixed; /* as it was first: what is about the directory is not taken live, and is pointed into */
        struct channel *engine;
        struct publications publications;
        struct secret password, keytab, key;
        struct ldap_secrets secrets; /* views of them */
        struct authority authority;
        struct publisher publisher;
        struct leftovers leftovers;
        struct directory directory;
        bool has_directory; /* and nothing else */
        struct mailer mailer;
        bool ready;
        struct msg_publish_state told; /* to the engine */
        struct loop_deferred tell;
};

/* Where the answer to a job goes, which may come later. */
struct answer {
        struct channel *channel;
        uint64_t id;
        char *kind, *subject;
};

static void answer_free(struct answer *answer)
{
        channel_unref(answer->channel);
        free(answer->kind);
        free(answer->subject);
        free(answer);
}

static int answer_send(const struct answer *answer, const struct msg_job_done *done)
{
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;

        if (!done->success)
                log_warning("job %llu (%s %s) failed: %s", (unsigned long long)done->id, answer->kind, answer->subject,
                            msg_text(done->detail));
        TRY(msg_encode(job_done, done, &encoded));
        return PASS(channel_reply(answer->channel, answer->id, MSG_job_done, buf_view(&encoded)));
}

/* The engine may be gone meanwhile: it gives the job out again when it is back. */
static void mail_ended(void *context, const struct msg_job_done *done)
{
        struct answer *answer = context;
        int r = answer_send(answer, done);

        if (r && r != PROBLEM_UNREACHABLE)
                log_report(r, "the end of job %llu could not be told", (unsigned long long)done->id);
        answer_free(answer);
}

static int job_do(struct outbound *outbound, struct channel *channel, const struct channel_message *message)
{
        MSG_OWN(job) job = {0};
        MSG_OWN(job_done) done = {0};
        struct answer *answer;
        int r;

        TRY(msg_decode(job, message->payload, &job));
        if (strcmp(msg_text(job.kind), "publish-user") == 0)
                return PASS(publish_job(&outbound->publisher, channel, message->id, &job));
        answer = NEW(struct answer);
        *answer = (struct answer){.channel = channel_ref(channel),
                                  .id = message->id,
                                  .kind = text_copy(msg_text(job.kind)),
                                  .subject = text_copy(msg_text(job.subject))};
        if (strcmp(answer->kind, "mail-token") == 0) {
                mailer_run(&outbound->mailer, &job, mail_ended, answer);
                return 0;
        }
        job_run(&outbound->config, &job, &done);
        r = answer_send(answer, &done);
        answer_free(answer);
        return PASS(r);
}

/* At the end of each round: the engine shows it. */
static int state_tell(void *context)
{
        struct outbound *outbound = context;
        struct msg_publish_state now = {.folder_fails = publications_fail(&outbound->publications),
                                        .directory_fails = outbound->authority.failures > 0};
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        int r;

        if (!outbound->engine || (now.folder_fails == outbound->told.folder_fails &&
                                  now.directory_fails == outbound->told.directory_fails))
                return 0;
        outbound->told = now;
        TRY(msg_encode(publish_state, &now, &encoded));
        r = channel_send(outbound->engine, MSG_publish_state, buf_view(&encoded));
        return r == PROBLEM_UNREACHABLE ? 0 : PASS(r);
}

static int publish_do(struct outbound *outbound, struct bytes payload)
{
        MSG_OWN(publish) publication = {0};

        TRY(msg_decode(publish, payload, &publication));
        authority_take(&outbound->authority, msg_text(publication.path), buf_view(&publication.content));
        publications_take(&outbound->publications, &publication);
        return 0;
}

static int engine_received(void *context, struct channel *channel, struct channel_message *message)
{
        struct outbound *outbound = context;

        if (message->kind == MSG_directory_compare && message->id)
                return PASS(publish_compare(&outbound->publisher, channel, message));
        if (message->kind == MSG_directory_leftovers && message->id)
                return PASS(leftovers_page(&outbound->leftovers, channel, message));
        if (outbound->has_directory)
                return PASS(directory_received(&outbound->directory, channel, message));
        if (message->kind == MSG_job && message->id)
                return PASS(job_do(context, channel, message));
        if (message->kind == MSG_publish)
                return PASS(publish_do(context, message->payload));
        return refuse(PROBLEM_MALFORMED, "The engine sent a message of kind %u.", message->kind);
}

/* Another comes when the engine is started again. */
static int engine_closed(void *context, struct channel *channel, int result)
{
        struct outbound *outbound = context;

        directory_engine(&outbound->directory, NULL);
        if (result)
                log_report(result, "the connection to the engine was cut");
        return 0;
}

static int on_peer(void *context, const struct msg_peer *peer, int fd)
{
        static const struct channel_handler handler = {engine_received, engine_closed,
                                                       .frame_limit = FRAME_LIMIT};
        struct outbound *outbound = context;

        if (strcmp(msg_text(peer->role), "engine") != 0) {
                close(fd);
                return 0;
        }
        directory_engine(&outbound->directory, NULL);
        channel_unref(TAKE(outbound->engine));
        TRY(channel_new(&outbound->loop, fd, &handler, outbound, &outbound->engine));
        directory_engine(&outbound->directory, outbound->engine);
        outbound->told = (struct msg_publish_state){0}; /* what a new one begins with */
        return 0;
}

static void secrets_done(struct outbound *outbound)
{
        secret_done(&outbound->password);
        secret_done(&outbound->keytab);
        secret_done(&outbound->key);
}

static void secrets_take(struct outbound *outbound, struct msg_configure *configure)
{
        secrets_done(outbound);
        outbound->password = secret_take(&configure->directory_password);
        outbound->keytab = secret_take(&configure->directory_keytab);
        outbound->key = secret_take(&configure->directory_key);
        outbound->secrets = (struct ldap_secrets){
            secret_view(&outbound->password), secret_view(&outbound->keytab), secret_view(&outbound->key)};
}

static int on_configure(void *context, struct msg_configure *configure)
{
        struct outbound *outbound = context;
        struct config config;

        TRY(config_decode(buf_view(&configure->content), &config));
        config_done(&outbound->config);
        outbound->config = config;
        mailer_password(&outbound->mailer, &configure->mail_password);
        config_log_setup(&outbound->config, "vouchsafe-outbound");
        secrets_take(outbound, configure);
        if (!outbound->ready) {
                config_done(&outbound->fixed);
                TRY(config_decode(buf_view(&configure->content), &outbound->fixed));
        }
        outbound->has_directory = configure->index != 0;
        if (outbound->has_directory)
                TRY(directory_configure(&outbound->directory));
        if (outbound->ready)
                return 0;
        TRY(outbound_confine(&outbound->config, outbound->has_directory));
        outbound->ready = true;
        return PASS(control_ready(&outbound->control, "serving"));
}

static int outbound_run(struct outbound *outbound)
{
        static const struct control_handler handler = {.configure = on_configure, .peer = on_peer};

        TRY(sandbox_hide());
        TRY(loop_init(&outbound->loop));
        config_init(&outbound->config);
        config_init(&outbound->fixed);
        publications_init(&outbound->publications, &outbound->loop, &outbound->config);
        authority_init(&outbound->authority, &outbound->loop, &outbound->fixed, &outbound->secrets);
        publisher_init(&outbound->publisher, &outbound->loop, &outbound->fixed, &outbound->secrets);
        outbound->leftovers.publisher = &outbound->publisher;
        loop_deferred_init(&outbound->tell, &outbound->loop, state_tell, outbound);
        directory_init(&outbound->directory, &outbound->loop, &outbound->fixed, &outbound->secrets);
        TRY(mailer_init(&outbound->mailer, &outbound->loop, &outbound->config));
        TRY(control_init(&outbound->control, &outbound->loop, CONTROL_FD, &handler, outbound));
        return PASS(loop_run(&outbound->loop));
}

int main(void)
{
        static struct outbound outbound;

        log_setup("vouchsafe-outbound", LOG_FORMAT_AUTO, LOG_LEVEL_INFO);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGINT, SIG_IGN); /* of a terminal: the supervisor decides */
        umask(0022);             /* what is published is public */
        int r = outbound_run(&outbound);

        if (r)
                log_report(r, "stops");
        directory_done(&outbound.directory);
        loop_deferred_done(&outbound.tell);
        channel_unref(TAKE(outbound.engine));
        control_done(&outbound.control);
        mailer_done(&outbound.mailer);
        publications_done(&outbound.publications);
        authority_done(&outbound.authority);
        publisher_done(&outbound.publisher);
        leftovers_done(&outbound.leftovers);
        config_done(&outbound.config);
        config_done(&outbound.fixed);
        secrets_done(&outbound);
        loop_done(&outbound.loop);
        return result_exit_code(r);
}
