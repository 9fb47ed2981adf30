/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "base/mem.h"
#include "engine/engine.h"

int round_savepoint(struct engine *engine)
{
        if (!engine->round.open) {
                TRY(store_begin(engine->store));
                engine->round.open = true;
        }
        return PASS(store_savepoint(engine->store));
}

int round_release(struct engine *engine)
{
        return PASS(store_release(engine->store));
}

int round_settle(struct engine *engine, int r)
{
        if (!r)
                r = round_release(engine);
        if (r)
                round_undo(engine);
        return PASS(r);
}

void round_undo(struct engine *engine)
{
        if (store_in_transaction(engine->store))
                store_rollback_to(engine->store);
}

void round_answer(struct engine *engine, struct request *request)
{
        list_remove(&request->link);
        list_append(&engine->round.answers, &request->link);
}

static const char storage_failed[] = "The database could not be written, so nothing was changed; repeat the request once "
                                     "its disk has space and can be written.";

static void answer_storage(struct request *request)
{
        MSG_OWN(problem) problem = {0};

        buf_done(&request->answer);
        problem.code = text_copy(problem_info(PROBLEM_STORAGE)->code);
        problem.detail = text_copy(storage_failed);
        request->answer_kind = MSG_problem;
        if (msg_encode(problem, &problem, &request->answer))
                request->answer = BUF_NONE;
}

static void round_flush(struct engine *engine, bool stored)
{
        while (!list_empty(&engine->round.answers)) {
                struct request *request = CONTAINER_OF(engine->round.answers.next, struct request, link);

                if (!stored && !(request->kind && request->kind->flags & REQUEST_PUBLIC))
                        answer_storage(request);
                list_remove(&request->link);
                request->sink.answer(request->sink.context, request->answer_kind, buf_view(&request->answer));
                request_free(request);
        }
        while (!list_empty(&engine->round.after)) {
                struct round_after *after = CONTAINER_OF(engine->round.after.next, struct round_after, link);

                list_remove(&after->link);
                after->run(after, stored);
        }
}

static void round_failed(struct engine *engine, int result)
{
        log_report(result, "the database could not be written");
        store_rollback(engine->store);
        pool_reset(engine);
        /* Whoever waits for a keeper may have read what is undone now. */
        requests_end(engine, PROBLEM_STORAGE, storage_failed);
}

int round_commit(struct engine *engine)
{
        int r = 0;

        if (engine->round.open) {
                bool dirty = store_dirty(engine->store);

                r = engine->fail_commits ? refuse(PROBLEM_STORAGE, "The disk is full (in a test).")
                                         : store_commit(engine->store);
                engine->round.open = false;
                engine->commits += dirty;
                engine->commit_failures += r != 0;
                if (r)
                        round_failed(engine, r);
        }
        round_flush(engine, r == 0);
        return r < 0 || r == PROBLEM_STORAGE || r == PROBLEM_BUSY ? 0 : PASS(r);
}

/* The end of each round of the loop: make it durable, tell who asked, and start what follows from it. */
static int round_end(void *context)
{
        struct engine *engine = context;

        keepers_pump_early(engine);
        TRY(round_commit(engine));
        if (engine->keepers_reload) {
                engine->keepers_reload = false;
                keepers_load(engine);
        }
        crl_pump(engine);
        outbound_pump(engine);
        pool_pump(engine);
        keepers_pump(engine);
        /* What ran without a wait in between has answers too. */
        return PASS(round_commit(engine));
}

void round_init(struct engine *engine)
{
        list_init(&engine->round.answers);
        list_init(&engine->round.after);
        loop_deferred_init(&engine->round.deferred, engine->loop, round_end, engine);
}

void round_done(struct engine *engine)
{
        if (engine->round.open)
                store_rollback(engine->store);
        engine->round.open = false;
        round_flush(engine, false);
        loop_deferred_done(&engine->round.deferred);
}
