/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vouchsafe-engine: the engine as a process.
 *
 *   vouchsafe-engine                  started by vouchsafed, with its control channel on descriptor 3
 *   vouchsafe-engine --init LOCATION  makes a new database: takes one engine_init on descriptor 3, answers done or
 * problem, and ends
 */
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sandbox.h"
#include "crypto/crypto.h"
#include "engine/engine.h"
#include "engine/init.h"
#include "wire/control.h"

enum { STOP_MS = 5000, FRAME_LIMIT = 4 << 20 };

struct process {
        struct loop loop;
        struct control control;
        struct engine engine;
        bool configured;
        enum engine_state told;
        struct loop_timer stop;
        struct loop_deferred tell;
        uint64_t stop_until_ms;
        const char *location; /* --init */
        int result;
};

/* ---- as a child of the supervisor */

static int process_tell(void *context)
{
        struct process *process = context;

        if (!process->configured || process->told == process->engine.state)
                return 0;
        process->told = process->engine.state;
        return PASS(control_ready(&process->control, process->told == ENGINE_UNSEALED ? "unsealed" : "sealed"));
}

static int process_tls_renewed(void *context, struct bytes chain)
{
        struct process *process = context;

        return PASS(control_tls_renewed(&process->control, chain));
}

/* SQLite needs the folder of its file; PostgreSQL needs the network, and whatever libpq reads. */
static int process_confine(const char *database)
{
        CLEANUP(mem_freep) char *copy = text_copy(database);
        bool file = database[0] == '/';

        crypto_sha256(); /* libcrypto reads its configuration on first use */
        return PASS(sandbox_confine(&(struct sandbox_bounds){.folder = file ? dirname(copy) : NULL, .reads = !file, .network = !file}));
}

static int process_configure(void *context, struct msg_configure *configure)
{
        struct process *process = context;
        struct config config = {0};
        struct engine_config engine_config;
        int r;

        TRY(config_decode(buf_view(&configure->content), &config));
        config_log_setup(&config, "vouchsafe-engine");
        engine_config_from(&config, &engine_config);
        config_done(&config);
        if (process->configured) {
                engine_reconfigure(&process->engine, &engine_config);
                tls_set(&process->engine, buf_view(&configure->tls_chain));
                return 0;
        }
        r = process_confine(engine_config.database);
        if (r) {
                engine_config_done(&engine_config);
                return PASS(r);
        }
        r = engine_init(&process->engine, &process->loop, &engine_config);
        process->configured = true;
        if (r)
                return PASS(r);
        process->engine.tls.renewed = process_tls_renewed;
        process->engine.tls.context = process;
        tls_set(&process->engine, buf_view(&configure->tls_chain));
        loop_deferred_init(&process->tell, &process->loop, process_tell, process);
        return 0;
}

static int process_peer(void *context, const struct msg_peer *peer, int fd)
{
        struct process *process = context;
        const char *role = msg_text(peer->role);
        int r = 0;

        if (!process->configured) {
                close(fd);
                return refuse(PROBLEM_STATE, "The supervisor gave a peer before the configuration.");
        }
        if (strcmp(role, "front") == 0)
                r = front_add(&process->engine, fd);
        else if (strcmp(role, "ldapd") == 0)
                r = lookup_add(&process->engine, peer->index, fd);
        else if (strcmp(role, "keeper") == 0)
                r = keeper_add_channel(&process->engine, peer->index, fd);
        else if (strcmp(role, "outbound") == 0)
                r = peer->index == OUTBOUND_DIRECTORY ? directory_peer_add(&process->engine, fd)
                                                      : outbound_add(&process->engine, peer->index, fd);
        else
                close(fd);
        if (r)
                log_report(r, "a peer could not be taken");
        return 0;
}

/* What is under way is finished, and the head of the audit chain signed; after a while the process ends anyhow. */
static int stop_check(void *context)
{
        struct process *process = context;

        heads_pump(&process->engine, true);
        keepers_pump(&process->engine);
        if (clock_monotonic_ms() >= process->stop_until_ms ||
            (list_empty(&process->engine.requests) && heads_settled(&process->engine))) {
                loop_stop(&process->loop);
                return 0;
        }
        loop_timer_arm(&process->stop, 10);
        return 0;
}

static int process_stop(void *context)
{
        struct process *process = context;

        if (!process->configured) {
                loop_stop(&process->loop);
                return 0;
        }
        process->engine.stopping = true;
        process->stop_until_ms = clock_monotonic_ms() + STOP_MS;
        loop_timer_arm(&process->stop, 1);
        return 0;
}

static const struct control_handler handler = {
    .configure = process_configure,
    .peer = process_peer,
    .stop = process_stop,
};

static int serve(struct process *process)
{
        int r;

        TRY(loop_init(&process->loop));
        loop_timer_init(&process->stop, &process->loop, stop_check, process);
        TRY(control_init(&process->control, &process->loop, CONTROL_FD, &handler, process));
        r = loop_run(&process->loop);
        if (process->configured)
                engine_done(&process->engine);
        /* What was answered last leaves. */
        control_done(&process->control);
        loop_done(&process->loop);
        return PASS(r);
}

/* ---- --init */

static int init_received(void *context, struct channel *channel, struct channel_message *message)
{
        struct process *process = context;
        MSG_OWN(engine_init) init = {0};
        MSG_OWN(problem) problem = {0};
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        int r;

        if (message->kind != MSG_engine_init || !message->id)
                return refuse(PROBLEM_MALFORMED, "A message of kind %u came in place of engine_init.", message->kind);
        r = msg_decode(engine_init, message->payload, &init);
        if (!r)
                r = engine_create(process->location, &init);
        process->result = r;
        loop_stop(&process->loop);
        if (!r)
                return PASS(channel_reply(channel, message->id, MSG_done, BYTES_NONE));
        if (r < 0)
                log_report(r, "the database could not be made");
        problem.code = text_copy(r > 0 ? problem_info(r)->code : "fault");
        problem.detail = text_copy(report_text());
        TRY(msg_encode(problem, &problem, &encoded));
        return PASS(channel_reply(channel, message->id, MSG_problem, buf_view(&encoded)));
}

static int init_closed(void *context, struct channel *channel, int result)
{
        struct process *process = context;

        loop_stop(&process->loop);
        return 0;
}

static const struct channel_handler init_handler = {
    .received = init_received, .closed = init_closed, .frame_limit = FRAME_LIMIT};

static int set_up(struct process *process)
{
        CLEANUP(channel_unrefp) struct channel *channel = NULL;

        TRY(loop_init(&process->loop));
        process->result = PROBLEM_UNREACHABLE;
        TRY(channel_new(&process->loop, CONTROL_FD, &init_handler, process, &channel));
        TRY(loop_run(&process->loop));
        channel_close(channel);
        channel_unref(TAKE(channel));
        loop_done(&process->loop);
        return process->result;
}

int main(int argc, char **argv)
{
        static struct process process;
        int r;

        log_setup("vouchsafe-engine", LOG_FORMAT_AUTO, LOG_LEVEL_INFO);
        if (argc == 3 && strcmp(argv[1], "--init") == 0)
                process.location = argv[2];
        else if (argc > 1) {
                fprintf(stderr,
                        "vouchsafe-engine is started by vouchsafed; or as: vouchsafe-engine --init LOCATION\n");
                return problem_info(PROBLEM_USAGE)->exit_code;
        }
        r = sandbox_hide();
        if (!r)
                r = process.location ? set_up(&process) : serve(&process);
        if (r && !process.location)
                log_report(r, "the engine ends");
        return result_exit_code(r);
}
