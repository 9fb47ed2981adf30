/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/authorize.h"

void engine_config_from(const struct config *config, struct engine_config *ret_config)
{
        const char *url = config->store.url, *domain = strrchr(config->mail.from, '@');

        *ret_config = (struct engine_config){
            .database = text_copy(strncmp(url, "sqlite:", 7) == 0 ? url + 7 : url),
            .encryption_profile = text_copy(config->enroll.encryption_profile),
            .signature_lifetime = config->certificate.signature_lifetime,
            .encryption_lifetime = config->certificate.encryption_lifetime,
            .backdate = config->certificate.backdate,
            .token_lifetime = config->enroll.token_lifetime,
            .recovery_lifetime = config->recovery.token_lifetime,
            .invitation_lifetime = config->operator.invitation_lifetime,
            .request_lifetime = config->recovery.request_lifetime,
            .crl_lifetime = config->crl.lifetime,
            .crl_interval = config->crl.interval,
            .audit_interval = config->audit.head_interval,
            .clock_tolerance = config->operator.clock_tolerance,
            .answer_lifetime = config->store.answer_lifetime,
            .attempts_window = config->limits.token_failures_window,
            .token_attempts = config->enroll.token_attempts,
            .address_attempts = config->limits.token_failures_address,
            .total_attempts = config->limits.token_failures_total,
            .pool_size = config->enroll.pool_size,
            .tls_lifetime = config->certificate.tls_lifetime,
            .self_enroll = config->enroll.self,
            .self_group = text_copy(config->enroll.self_group),
            .directory_ldap = strcmp(config->directory.kind, "ldap") == 0,
            .mail = config->mail.servers.count != 0,
            .recovery_split = strcmp(config->token.recovery_delivery, "hand") != 0,
            .mail_domain = text_copy(domain ? domain + 1 : ""),
            .mail_keep = config->mail.keep,
            .left_most = config->directory.left_most,
            .revoke_left_after = config->directory.revoke_left_after,
            .reconcile = config->directory.reconcile,
            .publish = config->publish.folder[0] != 0,
            .publish_directory = config->publish.directory,
            .publish_users = config->publish.users && config->publish.folder[0],
        };
        ret_config->mail_domain[strcspn(ret_config->mail_domain, ">")] = 0;
        ret_config->delivery = strcmp(config->token.delivery, "mail") == 0    ? DELIVER_MAIL
                               : strcmp(config->token.delivery, "split") == 0 ? DELIVER_SPLIT
                                                                              : DELIVER_HAND;
        for (size_t i = 0; i < config->server.host_names.count; i++)
                msg_texts_add(&ret_config->host_names, config->server.host_names.at[i]);
}

void engine_config_done(struct engine_config *config)
{
        free(config->database);
        free(config->encryption_profile);
        free(config->mail_domain);
        free(config->self_group);
        for (size_t i = 0; i < config->host_names.count; i++)
                free(config->host_names.at[i]);
        free(config->host_names.at);
        *config = (struct engine_config){0};
}

int64_t engine_now(const struct engine *engine)
{
        return clock_now() + engine->clock_offset;
}

int engine_trust_set(struct engine *engine, struct bytes encoded)
{
        MSG_OWN(trust_public) trust = {0};

        TRY(msg_decode(trust_public, encoded, &trust));
        msg_done(trust_public, &engine->trust);
        engine->trust = trust;
        trust = (struct msg_trust_public){0};
        buf_clear(&engine->trust_encoded);
        buf_add_bytes(&engine->trust_encoded, encoded);
        engine->trust_known = true;
        return 0;
}

/* What is public is known while sealed too, from a copy that the chain vouches for once it can be checked. */
static int trust_load(struct engine *engine)
{
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        int r = store_bootstrap_get(engine->store, "trust-public", -1, &encoded);

        if (r == PROBLEM_NOT_FOUND)
                return 0;
        TRY(r);
        return PASS(engine_trust_set(engine, buf_view(&encoded)));
}

int engine_init(struct engine *engine, struct loop *loop, struct engine_config *config)
{
        *engine = (struct engine){.loop = loop, .self_step_ms = 1000, .config = *config};
        *config = (struct engine_config){0};
        list_init(&engine->requests);
        list_init(&engine->unparked);
        list_init(&engine->openings);
        list_init(&engine->fronts);
        list_init(&engine->lookup_peers);
        list_init(&engine->outbounds);
        list_init(&engine->pool.reserved);
        list_init(&engine->pool.stock);
        list_init(&engine->pool.call.link);
        list_init(&engine->crl.call.link);
        list_init(&engine->heads.call.link);
        list_init(&engine->tls.call.link);
        directory_init(engine);
        keepers_init(engine);
        round_init(engine);
        limits_init(&engine->limits, engine->config.address_attempts, engine->config.total_attempts,
                    engine->config.attempts_window);
        limits_init(&engine->records, engine->config.address_attempts, engine->config.total_attempts,
                    engine->config.attempts_window);
        limits_init(&engine->passwords, engine->config.token_attempts, engine->config.total_attempts,
                    engine->config.attempts_window);
        loop_timer_init(&engine->second, loop, second_tick, engine);
        verification_init(engine);
        TRY(operator_decoy_init(engine));
        TRY(store_open(engine->config.database, 0, &engine->store));
        TRY(trust_load(engine));
        TRY(crl_load(engine));
        engine->state = ENGINE_SEALED;
        engine->sealed_why = text_copy("No keeper has the database key yet.");
        loop_timer_arm(&engine->second, 1000);
        return 0;
}

void engine_reconfigure(struct engine *engine, struct engine_config *config)
{
        char *database = TAKE(engine->config.database);

        engine_config_done(&engine->config);
        engine->config = *config;
        *config = (struct engine_config){0};
        free(engine->config.database);
        engine->config.database = database;
        limits_change(&engine->limits, engine->config.address_attempts, engine->config.total_attempts,
                      engine->config.attempts_window);
        limits_change(&engine->records, engine->config.address_attempts, engine->config.total_attempts,
                      engine->config.attempts_window);
        pool_reset(engine);
        /* Where jobs could not go is tried at once: that may be what was put right. */
        for (size_t i = 0; i < TARGET_COUNT; i++)
                engine->outbound.targets[i].until_ms = 0;
}

void requests_end(struct engine *engine, int problem, const char *sentence)
{
        while (!list_empty(&engine->requests)) {
                struct request *request = CONTAINER_OF(engine->requests.next, struct request, link);

                request_abort(request, refuse((enum problem)problem, "%s", sentence));
        }
}

void engine_done(struct engine *engine)
{
        engine->stopping = true;
        requests_end(engine, PROBLEM_BUSY, "The server stops; repeat the request when it is back.");
        openings_done(engine);
        if (engine->store && engine->round.open && round_commit(engine))
                log_report(-EIO, "the last round");
        peers_done(engine);
        lookups_done(engine);
        outbound_done(engine);
        directory_done(engine);
        keeper_call_cancel(engine, &engine->pool.call);
        keeper_call_cancel(engine, &engine->crl.call);
        keeper_call_cancel(engine, &engine->heads.call);
        tls_done(engine);
        keepers_done(engine);
        verification_done(engine);
        if (engine->store)
                round_done(engine);
        store_free(engine->store);
        engine->store = NULL;
        loop_timer_done(&engine->second);
        limits_done(&engine->passwords);
        limits_done(&engine->records);
        limits_done(&engine->limits);
        pool_reset(engine);
        free(TAKE(engine->pool.name));
        decoy_done(engine);
        buf_done(&engine->operator_decoy);
        selected_forget(engine);
        msg_done(engine_keys, &engine->keys);
        msg_done(trust_public, &engine->trust);
        buf_done(&engine->trust_encoded);
        buf_done(&engine->crl.entries);
        buf_done(&engine->crl.der);
        free(engine->sealed_why);
        engine_config_done(&engine->config);
}

/* ---- sealed and unsealed */

/* The trust record in clear is kept for the times when the server is sealed; a change of it is a change of the
 * database. */
static int trust_keep(struct engine *engine)
{
        CLEANUP(buf_done) struct buf kept = BUF_NONE;
        int r = store_bootstrap_get(engine->store, "trust-public", -1, &kept);

        if (r && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        if (!r && bytes_equal(buf_view(&kept), buf_view(&engine->trust_encoded)))
                return 0;
        TRY(store_bootstrap_put(engine->store, "trust-public", 1, buf_view(&engine->trust_encoded)));
        return PASS(
            engine_audit_server(engine, "server.trust", "", "done", "the public part of the trust record was kept"));
}

static int unsealed_record(struct engine *engine)
{
        if (store_is_new(engine->store))
                TRY(store_bootstrap_adopt(engine->store));
        TRY(store_job_reclaim(engine->store));
        TRY(engine_audit_server(engine, "server.unseal", "", "done", "a keeper has the database key"));
        TRY(startup_adopt(engine));
        return PASS(trust_keep(engine));
}

static int unsealed_begin(struct engine *engine)
{
        TRY(round_savepoint(engine));
        TRY(round_settle(engine, unsealed_record(engine)));
        TRY(decoy_init(engine));
        return PASS(crl_load(engine));
}

int engine_unsealed(struct engine *engine, const struct msg_keeper_state *state)
{
        const struct msg_engine_keys *keys = state->keys.at;
        int r;

        if (!state->keys.count)
                return refuse(PROBLEM_MALFORMED, "A keeper is unsealed but gave no keys.");
        TRY(engine_trust_set(engine, buf_view(&state->trust)));
        pool_key_named(engine, msg_text(state->pool));
        if (engine->state == ENGINE_UNSEALED)
                return 0;
        TRY(round_commit(engine));
        TRY(store_set_keys(engine->store, &keys->row, &keys->column));
        msg_done(engine_keys, &engine->keys);
        engine->keys.token = secret_copy(secret_view(&keys->token));
        engine->keys.ticket = secret_copy(secret_view(&keys->ticket));
        r = unsealed_begin(engine);
        if (r) {
                engine_sealed(engine, report_text());
                return PASS(r);
        }
        engine->state = ENGINE_UNSEALED;
        engine->heads.known = engine->crl.known = false;
        log_notice("unsealed");
        fronts_state(engine, true);
        fronts_authority(engine);
        openings_resume(engine);
        return 0;
}

void engine_sealed(struct engine *engine, const char *why)
{
        bool before = engine->state == ENGINE_UNSEALED;

        free(engine->sealed_why);
        engine->sealed_why = text_copy(why);
        engine->state = ENGINE_SEALED;
        keepers_fail_waiting(engine, PROBLEM_SEALED, "The server was sealed meanwhile.");
        requests_end(engine, PROBLEM_SEALED,
                     "The server was sealed meanwhile; repeat the request once it is unsealed.");
        openings_done(engine);
        directory_sealed(engine);
        verification_stop(engine);
        if (round_commit(engine))
                log_report(-EIO, "the last round before the seal");
        if (store_set_keys(engine->store, NULL, NULL))
                log_report(-EIO, "the store kept its keys");
        msg_done(engine_keys, &engine->keys);
        decoy_done(engine);
        pool_reset(engine);
        if (before)
                log_notice("sealed");
        fronts_state(engine, true);
}

/* ---- what the keeper sealed, and the store keeps */

int records_load(struct engine *engine, struct msg_keeper_records *ret_records)
{
        int r = startup_wrap(engine, &ret_records->wrap);

        if (r == PROBLEM_NOT_FOUND)
                r = store_bootstrap_get(engine->store, "wrap", -1, &ret_records->wrap);
        TRY(r);
        TRY(store_bootstrap_get(engine->store, "trust", -1, &ret_records->trust));
        TRY(store_bootstrap_get(engine->store, "authority", -1, &ret_records->authority));
        TRY(store_bootstrap_get(engine->store, "database-key", -1, &ret_records->database_key));
        return PASS(bootstrap_last(engine->store, "trust", &ret_records->trust_number));
}

static int number_note(void *context, int64_t number, struct bytes record)
{
        uint64_t *last = context;

        *last = MAX(*last, (uint64_t)number);
        return 0;
}

int bootstrap_last(struct store *store, const char *name, uint64_t *ret_number)
{
        *ret_number = 0;
        return PASS(store_bootstrap_list(store, name, ret_number, number_note));
}
