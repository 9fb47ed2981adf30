/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vouchsafe-keeper: the channels around keeper.c. Started by the supervisor with its control channel on descriptor
 * 3; or, as `vouchsafe-keeper --setup`, by whoever sets a server up, with a connection on descriptor 3 that takes
 * one keeper_init.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"
#include "keeper/internal.h"
#include "keeper/sandbox.h"
#include "wire/control.h"

enum { FRAME_LIMIT = 136 << 20 /* a revocation list with a million entries and more */ };

struct process {
        struct loop loop;
        struct control control;
        struct keeper keeper;
        struct list peers;
        struct loop_deferred tell;
        bool unlocked_told;
};

struct peer {
        struct list link;
        struct process *process;
        struct channel *channel;
        enum keeper_peer sort;
        uint64_t index;
};

static void peer_free(struct peer *peer)
{
        list_remove(&peer->link);
        channel_close(peer->channel);
        channel_unref(peer->channel);
        free(peer);
}

/* ---- telling ---------------------------------------------------------------------------------------------- */

static void peers_tell(struct process *process, enum keeper_peer sort, const struct keeper_reply *message)
{
        LIST_EACH (peer, &process->peers, struct peer, link) {
                int r = 0;

                if (peer->sort == sort)
                        r = channel_send(peer->channel, message->kind, keeper_reply_view(message));
                /* Gone, or not reading: it will be told its state when it comes again. */
                if (r < 0)
                        log_report(r, "tell a peer");
        }
}

static void unlocked_tell(struct process *process)
{
        if (secret_locked() || process->unlocked_told)
                return;
        process->unlocked_told = true;
        log_warning("Secrets are not locked in memory, and may be swapped out: raise the limit of locked memory "
                    "(LimitMEMLOCK=, ulimit -l).");
}

/* At the end of each round: what has changed is told once, whatever happened in between. */
static int process_tell(void *context)
{
        struct process *process = context;
        CLEANUP(keeper_reply_done) struct keeper_reply state = {0}, adopt = {0}, used = {0};
        unsigned changed = process->keeper.changed;

        process->keeper.changed = 0;
        if ((changed & CHANGE_STATE) && process->control.channel) {
                TRY(keeper_describe(&process->keeper, &state));
                peers_tell(process, PEER_ENGINE, &state);
                if (process->keeper.detail[0])
                        log_warning("Not unsealed: %s", process->keeper.detail);
                unlocked_tell(process);
                TRY(control_ready_keeper(&process->control, keeper_state_name(&process->keeper),
                                         process->keeper.ordered));
        }
        if (changed & CHANGE_SIBLINGS) {
                TRY(keeper_describe_to_sibling(&process->keeper, &adopt));
                peers_tell(process, PEER_SIBLING, &adopt);
        }
        if (changed & CHANGE_POOL) {
                TRY(keeper_describe_pool_use(&process->keeper, &used));
                peers_tell(process, PEER_SIBLING, &used);
        }
        return 0;
}

/* ---- hearing ---------------------------------------------------------------------------------------------- */

static int peer_received(void *context, struct channel *channel, struct channel_message *message)
{
        struct peer *peer = context;
        CLEANUP(keeper_reply_done) struct keeper_reply reply = {0};

        TRY(keeper_handle(&peer->process->keeper, peer->sort, message->kind, message->payload, &reply));
        if (message->id == 0) /* a notice: siblings tell each other so */
                return 0;
        return PASS(channel_reply(channel, message->id, reply.kind, keeper_reply_view(&reply)));
}

static int peer_closed(void *context, struct channel *channel, int result)
{
        struct peer *peer = context;

        if (result)
                log_report(result, "A peer was cut");
        if (peer->sort == PEER_SETUP)
                loop_stop(&peer->process->loop);
        peer_free(peer);
        return 0;
}

static const struct channel_handler peer_handler = {peer_received, peer_closed, .frame_limit = FRAME_LIMIT};

static int peer_add(struct process *process, enum keeper_peer sort, uint64_t index, int fd)
{
        struct peer *peer = NEW(struct peer);
        int r;

        *peer = (struct peer){.process = process, .sort = sort, .index = index};
        list_init(&peer->link);
        r = channel_new(&process->loop, fd, &peer_handler, peer, &peer->channel);
        if (r) {
                free(peer);
                return PASS(r);
        }
        list_append(&process->peers, &peer->link);
        return 0;
}

/* A process that was started again comes with the role and index that it had. */
static void peer_replaced(struct process *process, enum keeper_peer sort, uint64_t index)
{
        LIST_EACH (peer, &process->peers, struct peer, link)
                if (peer->sort == sort && peer->index == index && sort != PEER_LOCAL)
                        peer_free(peer);
}

static int sibling_greet(struct process *process)
{
        struct peer *sibling = CONTAINER_OF(process->peers.prev, struct peer, link);
        CLEANUP(keeper_reply_done) struct keeper_reply adopt = {0};

        TRY(keeper_describe_to_sibling(&process->keeper, &adopt));
        return PASS(channel_send(sibling->channel, adopt.kind, keeper_reply_view(&adopt)));
}

static int process_peer(void *context, const struct msg_peer *message, int fd)
{
        struct process *process = context;
        const char *role = msg_text(message->role);
        enum keeper_peer sort = strcmp(role, "engine") == 0   ? PEER_ENGINE
                                : strcmp(role, "keeper") == 0 ? PEER_SIBLING
                                                              : PEER_LOCAL;

        peer_replaced(process, sort, message->index);
        TRY(peer_add(process, sort, message->index, fd));
        return sort == PEER_SIBLING ? PASS(sibling_greet(process)) : 0;
}

static int process_configure(void *context, struct msg_configure *message)
{
        struct process *process = context;
        struct config config;

        TRY(config_decode(buf_view(&message->content), &config));
        config_log_setup(&config, "vouchsafe-keeper");
        free(process->keeper.url);
        process->keeper.url = config.server.url[0] ? text_copy(config.server.url) : NULL;
        config_done(&config);
        if (message->startup_secret.len && process->keeper.state != KEEPER_UNSEALED && !process->keeper.ordered) {
                secret_done(&process->keeper.startup_secret);
                process->keeper.startup_secret = secret_take(&message->startup_secret);
                keeper_unseal_at_hand(&process->keeper);
        }
        return 0;
}

/* ---- life ------------------------------------------------------------------------------------------------- */

/* Everything that libcrypto would look for later, and could not find any more. */
static int warm_up(void)
{
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE;
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        uint8_t signature[SIGNATURE_SIZE];

        TRY(scalar_random(&scalar));
        TRY(signature_make(&scalar, bytes_text("warm"), signature));
        return PASS(pkey_generate(PKEY_P256, &key));
}

static int process_start(struct process *process, bool setup)
{
        static const struct control_handler handler = {process_configure, process_peer, NULL, NULL};

        /* No openssl.cnf: which engines and providers a keeper maps is nobody's to configure. */
        if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
                return fault(EINVAL, "start libcrypto");
        TRY(sandbox_memory());
        TRY(warm_up());
        TRY(loop_init(&process->loop));
        list_init(&process->peers);
        loop_deferred_init(&process->tell, &process->loop, process_tell, process);
        TRY(keeper_init(&process->keeper));
        TRY(sandbox_enter());
        if (setup)
                return PASS(peer_add(process, PEER_SETUP, 0, CONTROL_FD));
        return PASS(control_init(&process->control, &process->loop, CONTROL_FD, &handler, process));
}

int main(int argc, char **argv)
{
        static struct process process;
        bool setup = argc == 2 && strcmp(argv[1], "--setup") == 0;
        int r;

        log_setup("vouchsafe-keeper", LOG_FORMAT_AUTO, LOG_LEVEL_INFO);
        if (argc > 1 && !setup) {
                fprintf(stderr, "vouchsafe-keeper is started by vouchsafed, and has no options of its own.\n");
                return problem_info(PROBLEM_USAGE)->exit_code;
        }
        r = process_start(&process, setup);
        if (!r)
                r = loop_run(&process.loop);
        if (r)
                log_report(r, "The keeper ends");
        LIST_EACH (peer, &process.peers, struct peer, link)
                peer_free(peer);
        if (process.control.channel)
                control_done(&process.control);
        keeper_done(&process.keeper);
        loop_done(&process.loop);
        return result_exit_code(r);
}
