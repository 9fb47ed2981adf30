/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wall clock may be set back. Little differences are waited out: neither audit records nor revocation lists run
 * back then. A clock that is further back than those of operators may be was wrong before or is wrong now; nobody can
 * tell from here, so the server believes it, and says so in the audit chain.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/engine.h"

bool engine_clock_is_back(const struct engine *engine, int64_t last)
{
        return last - engine_now(engine) > engine->config.clock_tolerance;
}

static int clock_record(struct engine *engine, int64_t last)
{
        char from[TIME_TEXT_SIZE], to[TIME_TEXT_SIZE];
        int64_t now = engine_now(engine);
        CLEANUP(mem_freep) char *details = text_format("the clock was set back from %s to %s", time_text(last, from), time_text(now, to));

        log_warning("%s; who uses this server sees times that differ from what was written until now", details);
        engine->tls.retry_ms = 0; /* a certificate of the future may be due now */
        TRY(engine_audit_server(engine, AUDIT_CLOCK, "", "done", details));
        return PASS(store_job_hasten(engine->store, now));
}

int clock_watch(struct engine *engine)
{
        struct audit_head head = {0};

        if (engine->state != ENGINE_UNSEALED)
                return 0;
        TRY(store_audit_head(engine->store, &head));
        if (!engine_clock_is_back(engine, head.time))
                return 0;
        TRY(round_savepoint(engine));
        return PASS(round_settle(engine, clock_record(engine, head.time)));
}
