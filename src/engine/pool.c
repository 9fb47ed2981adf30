/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool: RSA pairs made ahead of need, each sealed by the keeper. A key stays in the database until the
 * transaction that archives it, so an enrollment that is cut off loses nothing; while a request is at a keeper its
 * key is reserved in memory. New ones are made one at a time, when nobody has asked anything for a while: making one
 * takes a processor for a fifth of a second, which those who ask would miss. Only an empty pool does not wait for that.
 *
 * What seals them lives in keepers' memory and is gone when all keepers were sealed or restarted. The pool that is left
 * then opens no more, so that no copy of the database opens keys that came from it; it is deleted, and made anew. Rows
 * are stored under "profile name-of-the-key". One server's engine fills the pool of a database.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/engine.h"

enum { POOL_RETRY_MS = 5000, POOL_QUIET_MS = 2000, POOL_PAGE = 64 };

static char *pool_label(const char *profile, const char *name)
{
        return text_format("%s %s", profile, msg_text(name));
}

static bool is_reserved(const struct engine *engine, const struct id *id)
{
        LIST_EACH (key, &engine->pool.reserved, struct pool_key, link)
                if (id_equal(&key->row.id, id))
                        return true;
        return false;
}

static int stock_add(void *context, struct pool_row *row)
{
        struct engine *engine = context;
        struct pool_key *key;

        engine->pool.loaded = row->id;
        if (is_reserved(engine, &row->id))
                return 0;
        key = NEW(struct pool_key);
        key->engine = engine;
        key->row = *row;
        *row = (struct pool_row){0};
        list_append(&engine->pool.stock, &key->link);
        return 0;
}

/* Keys are loaded in their order, a page at a time; new ones come after all others. */
static int stock_load(struct engine *engine, const char *profile)
{
        struct id after = engine->pool.loaded;
        CLEANUP(mem_freep) char *label = pool_label(profile, engine->pool.name);

        return PASS(store_pool_list(engine->store, label, id_is_none(&after) ? NULL : &after, POOL_PAGE, engine,
                                    stock_add));
}

void pool_reset(struct engine *engine)
{
        while (!list_empty(&engine->pool.stock)) {
                struct pool_key *key = CONTAINER_OF(engine->pool.stock.next, struct pool_key, link);

                list_remove(&key->link);
                pool_row_done(&key->row);
                free(key);
        }
        engine->pool.loaded = ID_NONE;
        engine->pool.full = false;
}

void pool_key_named(struct engine *engine, const char *name)
{
        if (strcmp(msg_text(engine->pool.name), name) == 0)
                return;
        pool_reset(engine);
        free(engine->pool.name);
        engine->pool.name = text_copy(name);
}

int pool_purge(struct engine *engine, size_t most, size_t *ret_count)
{
        CLEANUP(mem_freep) char *label = pool_label(engine->config.encryption_profile, engine->pool.name);

        *ret_count = 0;
        /* One that is with a keeper still is to be removed by who asked for it. */
        if (!list_empty(&engine->pool.reserved))
                return 0;
        return PASS(store_pool_purge(engine->store, label, most, ret_count));
}

static bool is_current(const struct pool_key *key)
{
        const char *name = msg_text(key->engine->pool.name), *profile = msg_text(key->row.profile);
        size_t all = strlen(profile), length = strlen(name);

        return all >= length && strcmp(profile + all - length, name) == 0;
}

int pool_reserve(struct engine *engine, const char *profile, struct pool_key **ret_key)
{
        struct pool_key *key;

        if (list_empty(&engine->pool.stock))
                TRY(stock_load(engine, profile));
        if (list_empty(&engine->pool.stock))
                return 0;
        key = CONTAINER_OF(engine->pool.stock.next, struct pool_key, link);
        list_remove(&key->link);
        list_append(&engine->pool.reserved, &key->link);
        *ret_key = key;
        return 0;
}

int pool_consume(struct pool_key *key)
{
        key->consumed = true;
        key->engine->pool.full = false;
        return PASS(store_pool_remove(key->engine->store, &key->row));
}

void pool_key_free(struct pool_key *key)
{
        list_remove(&key->link);
        if (!key->consumed && is_current(key)) {
                list_append(&key->engine->pool.stock, &key->link);
                return;
        }
        pool_row_done(&key->row);
        free(key);
}

/* ---- filling */

static int pooled_store(struct engine *engine, const struct msg_keeper_pooled *made)
{
        CLEANUP(pool_row_done) struct pool_row row = {0};

        row.id = id_new();
        row.profile = pool_label(engine->config.encryption_profile, made->pool);
        row.created = engine_now(engine);
        row.public_key = buf_copy_of(buf_view(&made->spki_hash));
        row.wrapped = buf_copy_of(buf_view(&made->pool_key));
        TRY(store_pool_add(engine->store, &row));
        return PASS(engine_audit_server(engine, "server.pool", row.profile, "done", ""));
}

static int pooled_apply(struct engine *engine, struct bytes reply)
{
        MSG_OWN(keeper_pooled) made = {0};

        TRY(msg_decode(keeper_pooled, reply, &made));
        TRY(round_savepoint(engine));
        return PASS(round_settle(engine, pooled_store(engine, &made)));
}

static void pooled(void *context, int result, struct bytes reply)
{
        struct engine *engine = context;

        engine->pool.asked = false;
        if (!result)
                result = pooled_apply(engine, reply);
        if (result) {
                engine->pool.retry_ms = clock_monotonic_ms() + POOL_RETRY_MS;
                if (result != PROBLEM_SEALED)
                        log_report(result, "a key for the pool could not be made");
        }
}

void pool_pump(struct engine *engine)
{
        MSG_OWN(keeper_pool) ask = {0};
        bool quiet = clock_monotonic_ms() - engine->asked_ms >= POOL_QUIET_MS;
        CLEANUP(mem_freep) char *label = NULL;
        int64_t count = 0;
        int r;

        if (!quiet && !list_empty(&engine->pool.stock))
                return;
        if (engine->state != ENGINE_UNSEALED || engine->pool.asked || engine->pool.full || engine->stopping ||
            strncmp(engine->config.encryption_profile, "rsa", 3) != 0 || clock_monotonic_ms() < engine->pool.retry_ms)
                return;
        label = pool_label(engine->config.encryption_profile, engine->pool.name);
        r = store_pool_count(engine->store, label, &count);
        engine->pool.full = !r && (uint64_t)count >= engine->config.pool_size;
        if (engine->pool.full || (!r && count && !quiet))
                return;
        if (!r) {
                ask.profile = text_copy(engine->config.encryption_profile);
                engine->pool.call.background = true;
                engine->pool.call.done = pooled;
                engine->pool.call.context = engine;
                r = keeper_ask(engine, &engine->pool.call, MSG_keeper_pool, &ask);
        }
        engine->pool.asked = r == 0;
        if (r)
                log_report(r, "a key for the pool could not be asked");
}
