/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's own TLS certificate, while the built-in CA makes it: renewed when two thirds of its life are over, or
 * when the server got another host name. The key stays as it is, in a file that only the supervisor and the fronts see.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/engine.h"

enum { RETRY_MS = 60 * 1000, RENEWED_MS = 3600 * 1000 };

void tls_set(struct engine *engine, struct bytes chain)
{
        struct tls_state *tls = &engine->tls;
        struct cert_list list = {0};
        int r = chain.len ? cert_list_add_pem(&list, chain) : 0;

        if (r)
                log_report(r, "the TLS certificate will not be renewed");
        if (tls->known)
                certificate_done(&tls->leaf);
        tls->known = list.count > 0;
        if (tls->known)
                tls->leaf = certificate_take(&list.items[0]);
        cert_list_done(&list);
        tls->retry_ms = 0;
}

static bool tls_is_due(struct engine *engine)
{
        const struct certificate *leaf = &engine->tls.leaf;
        int64_t now = engine_now(engine);

        /* Not valid yet: it was made while the clock was ahead. */
        if (now < leaf->not_before || now >= leaf->not_after - (leaf->not_after - leaf->not_before) / 3)
                return true;
        for (size_t i = 0; i < engine->config.host_names.count; i++)
                if (!certificate_has_host(leaf, engine->config.host_names.at[i]))
                        return true;
        return false;
}

static int tls_record(struct engine *engine, const struct certificate *leaf)
{
        char until[TIME_TEXT_SIZE];
        CLEANUP(mem_freep) char *details = text_format("valid until %s", time_text(leaf->not_after, until));

        return PASS(engine_audit_alone(engine, "server.tls", "", "done", details));
}

static int tls_take(struct engine *engine, struct bytes reply)
{
        MSG_OWN(keeper_certified) done = {0};
        CLEANUP(certificate_done) struct certificate leaf = {0};
        CLEANUP(buf_done) struct buf chain = BUF_NONE;

        TRY(msg_decode(keeper_certified, reply, &done));
        TRY(certificate_parse(buf_view(&done.certificate), &leaf));
        if (!bytes_equal(leaf.spki, engine->tls.leaf.spki))
                return fault(0, "a keeper certified another TLS key than the one that was asked");
        certificate_add_pem(&chain, buf_view(&done.certificate));
        certificate_add_pem(&chain, buf_view(&engine->trust.issuer));
        TRY(tls_record(engine, &leaf));
        return PASS(engine->tls.renewed(engine->tls.context, buf_view(&chain)));
}

static void tls_certified(void *context, int result, struct bytes reply)
{
        struct engine *engine = context;

        engine->tls.asked = false;
        engine->tls.retry_ms = clock_monotonic_ms() + RENEWED_MS; /* it comes back with the next configuration before */
        if (!result)
                result = tls_take(engine, reply);
        if (result) {
                engine->tls.retry_ms = clock_monotonic_ms() + RETRY_MS;
                log_report(result, "the TLS certificate could not be renewed");
        }
}

void tls_pump(struct engine *engine)
{
        struct tls_state *tls = &engine->tls;
        MSG_OWN(keeper_certify_tls) ask = {0};
        uint64_t now = clock_monotonic_ms();

        if (engine->state != ENGINE_UNSEALED || engine->stopping || !tls->known || !tls->renewed || tls->asked ||
            now < tls->retry_ms)
                return;
        tls->retry_ms = now + RETRY_MS; /* to look again: parsing names each second would be a waste */
        if (!tls_is_due(engine))
                return;
        buf_add_bytes(&ask.spki, tls->leaf.spki);
        msg_texts_copy(&ask.host_names, &engine->config.host_names);
        ask.not_before = engine_now(engine) - engine->config.backdate;
        ask.not_after = engine_now(engine) + engine->config.tls_lifetime;
        tls->call.done = tls_certified;
        tls->call.context = engine;
        int r = keeper_ask(engine, &tls->call, MSG_keeper_certify_tls, &ask);
        if (r)
                log_report(r, "the TLS certificate could not be renewed");
        tls->asked = r == 0;
}

void tls_done(struct engine *engine)
{
        keeper_call_cancel(engine, &engine->tls.call);
        if (engine->tls.known)
                certificate_done(&engine->tls.leaf);
        engine->tls.known = false;
}
