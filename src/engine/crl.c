/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The revocation list. Its entries are kept in memory, sorted by serial, and grow with what the database has
 * committed; one list at a time is signed, and whatever is revoked meanwhile is on the next. Number and times are
 * durable before a list is published, so that the number never runs back, whatever the clock does. Times do when the
 * clock was far ahead: nobody would take lists of the future.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/people.h"
#include "wire/paths.h"

enum { CRL_RETRY_MS = 2000, CRL_PACE_MOST_MS = 2500 };

/* ---- entries */

static void entry_write(const struct revocation_row *row, uint8_t entry[static CRL_ENTRY_SIZE])
{
        memcpy(entry, row->serial, SERIAL_SIZE);
        for (unsigned i = 0; i < 8; i++)
                entry[SERIAL_SIZE + i] = (uint8_t)((uint64_t)row->time >> (56 - 8 * i));
        entry[SERIAL_SIZE + 8] = (uint8_t)row->reason;
}

static int entry_collect(void *context, const struct revocation_row *row)
{
        struct crl_state *crl = context;
        uint8_t entry[CRL_ENTRY_SIZE];

        entry_write(row, entry);
        buf_add(&crl->entries, entry, sizeof(entry));
        crl->loaded = row->number;
        return 0;
}

static bool entry_is_compromise(const void *entry)
{
        return ((const uint8_t *)entry)[CRL_ENTRY_SIZE - 1] == REASON_COMPROMISE;
}

/* Of two for one certificate the one for keyCompromise goes first: that became of the other. */
static int entry_compare(const void *a, const void *b)
{
        int order = memcmp(a, b, SERIAL_SIZE);

        return order ? order : entry_is_compromise(b) - entry_is_compromise(a);
}

static void entries_sort(struct buf *entries)
{
        size_t kept = 0;

        qsort(entries->data, entries->len / CRL_ENTRY_SIZE, CRL_ENTRY_SIZE, entry_compare);
        for (size_t i = 0; i < entries->len; i += CRL_ENTRY_SIZE) {
                if (kept && memcmp(entries->data + kept - CRL_ENTRY_SIZE, entries->data + i, SERIAL_SIZE) == 0)
                        continue;
                memmove(entries->data + kept, entries->data + i, CRL_ENTRY_SIZE);
                kept += CRL_ENTRY_SIZE;
        }
        entries->len = kept;
}

/* What the database has that memory has not; sorted again when there was any. */
static int entries_load(struct engine *engine)
{
        struct crl_state *crl = &engine->crl;
        size_t before = crl->entries.len, step = 0;

        do {
                step = crl->entries.len;
                TRY(store_revocation_list(engine->store, crl->loaded, 10000, crl, entry_collect));
        } while (crl->entries.len > step);
        if (crl->entries.len > before)
                entries_sort(&crl->entries);
        return 0;
}

/* ---- the last list */

enum { CRL_HEAD_SIZE = 32 };

/* The stored list, number and times before it: published at once at start, sealed or not. It is signed, so it needs
 * no other protection. */
int crl_load(struct engine *engine)
{
        struct crl_state *crl = &engine->crl;
        CLEANUP(buf_done) struct buf stored = BUF_NONE;
        int r = store_bootstrap_get(engine->store, "crl", -1, &stored);

        if (r == PROBLEM_NOT_FOUND)
                return 0;
        TRY(r);
        if (stored.len < CRL_HEAD_SIZE)
                return refuse(PROBLEM_TAMPERED, "The stored revocation list is cut off.");
        crl->number = MAX(crl->number, u64_of(stored.data));
        crl->this_update = (int64_t)u64_of(stored.data + 8);
        crl->next_update = (int64_t)u64_of(stored.data + 16);
        crl->published = (int64_t)u64_of(stored.data + 24);
        buf_clear(&crl->der);
        buf_add(&crl->der, stored.data + CRL_HEAD_SIZE, stored.len - CRL_HEAD_SIZE);
        crl_publish(engine);
        return 0;
}

void crl_publish(struct engine *engine)
{
        struct msg_publish publication = {
            .path = (char[]){PATH_CRL},
            .media_type = (char[]){"application/pkix-crl"},
            .modified = engine->crl.this_update,
            .expires = engine->crl.next_update,
            .content = engine->crl.der,
        };

        if (engine->crl.der.len)
                fronts_publish(engine, &publication);
}

/* ---- signing */

static int signed_store(struct engine *engine, struct bytes der)
{
        struct crl_state *crl = &engine->crl;
        CLEANUP(buf_done) struct buf stored = BUF_NONE;
        CLEANUP(mem_freep)
        char *details = text_format("number %llu, %zu entries", (unsigned long long)crl->signing_number,
                                    crl->entries.len / CRL_ENTRY_SIZE);

        buf_add_u64(&stored, crl->signing_number);
        buf_add_u64(&stored, (uint64_t)crl->signing_this);
        buf_add_u64(&stored, (uint64_t)crl->signing_next);
        buf_add_u64(&stored, (uint64_t)crl->signing_loaded);
        buf_add_bytes(&stored, der);
        TRY(store_bootstrap_put(engine->store, "crl", 1, buf_view(&stored)));
        return PASS(engine_audit_server(engine, "server.crl", "", "done", details));
}

/* Durable by a commit of its own, then published. */
static int signed_commit(struct engine *engine, struct bytes der)
{
        struct crl_state *crl = &engine->crl;
        uint64_t failures = engine->commit_failures;

        TRY(round_savepoint(engine));
        TRY(round_settle(engine, signed_store(engine, der)));
        TRY(round_commit(engine));
        if (engine->commit_failures != failures)
                return refuse(PROBLEM_STORAGE, "The revocation list could not be stored.");
        crl->number = crl->signing_number;
        crl->this_update = crl->signing_this;
        crl->next_update = crl->signing_next;
        crl->published = crl->signing_loaded;
        buf_clear(&crl->der);
        buf_add_bytes(&crl->der, der);
        crl_publish(engine);
        return 0;
}

static void crl_signed(void *context, int result, struct bytes reply)
{
        struct engine *engine = context;
        MSG_OWN(keeper_crl_signed) done = {0};

        engine->crl.signing = false;
        if (!result)
                result = msg_decode(keeper_crl_signed, reply, &done);
        if (!result)
                result = signed_commit(engine, buf_view(&done.crl));
        if (result) {
                engine->crl.retry_ms = clock_monotonic_ms() + CRL_RETRY_MS;
                log_report(result, "the revocation list could not be made");
        }
}

static int crl_sign(struct engine *engine)
{
        struct crl_state *crl = &engine->crl;
        MSG_OWN(keeper_crl) ask = {0};
        int64_t now = engine_now(engine);
        int r;

        crl->signing_number = crl->number + 1;
        crl->signing_this = engine_clock_is_back(engine, crl->this_update) ? now : MAX(now, crl->this_update);
        crl->signing_next = crl->signing_this + engine->config.crl_lifetime;
        crl->signing_loaded = crl->loaded;
        ask.number = crl->signing_number;
        ask.this_update = crl->signing_this;
        ask.next_update = crl->signing_next;
        ask.entries = crl->entries; /* lent */
        crl->call.done = crl_signed;
        crl->call.context = engine;
        /* When much is revoked at once, lists follow each other no faster than they can be made and fetched; but what is
         * revoked has to be on one within five seconds, however long it is. */
        crl->retry_ms = clock_monotonic_ms() + MIN(250 + crl->entries.len / CRL_ENTRY_SIZE / 100, (size_t)CRL_PACE_MOST_MS);
        r = keeper_ask(engine, &crl->call, MSG_keeper_crl, &ask);
        ask.entries = BUF_NONE;
        crl->signing = r == 0;
        return PASS(r);
}

/* A new list is due when something was revoked, when the last one is old, and when the clock was set back before it.
 */
static bool crl_is_due(const struct engine *engine)
{
        const struct crl_state *crl = &engine->crl;
        int64_t now = engine_now(engine);

        return !crl->number || crl->loaded > crl->published || engine_clock_is_back(engine, crl->this_update) ||
               now >= crl->this_update + engine->config.crl_interval || now + 60 >= crl->next_update;
}

void crl_pump(struct engine *engine)
{
        struct crl_state *crl = &engine->crl;
        int64_t last = crl->loaded;
        int r = 0;

        if (engine->state != ENGINE_UNSEALED || crl->signing || engine->round.open ||
            clock_monotonic_ms() < crl->retry_ms)
                return;
        if (store_revocation_last(engine->store, &last))
                report_clear(); /* without a database the last known must do */
        if (!crl->known || last != crl->loaded)
                r = entries_load(engine);
        crl->known = crl->known || !r;
        if (!r && crl_is_due(engine))
                r = crl_sign(engine);
        if (r) {
                crl->retry_ms = clock_monotonic_ms() + CRL_RETRY_MS;
                log_report(r, "the revocation list could not be made");
        }
}
