/* SPDX-License-Identifier: Apache-2.0 */
/* What time brings: tokens and requests expire, answers that were kept are forgotten. A few rows every second. */
#include "base/log.h"
#include "base/mem.h"
#include "engine/people.h"
#include "engine/publication.h"
#include "engine/recover.h"

enum { SWEEP_MOST = 50 };

struct sweep {
        struct engine *engine;
        struct token_row tokens[SWEEP_MOST];
        size_t token_count;
        struct request_row requests[SWEEP_MOST];
        size_t request_count;
};

static void sweep_done(struct sweep *sweep)
{
        for (size_t i = 0; i < sweep->token_count; i++)
                token_row_done(&sweep->tokens[i]);
        for (size_t i = 0; i < sweep->request_count; i++)
                request_row_done(&sweep->requests[i]);
}

static int token_due(void *context, struct token_row *row)
{
        struct sweep *sweep = context;

        if (sweep->token_count == SWEEP_MOST)
                return 0;
        sweep->tokens[sweep->token_count++] = *row;
        *row = (struct token_row){0};
        return 0;
}

static int request_due(void *context, struct request_row *row)
{
        struct sweep *sweep = context;

        if (row->expires > engine_now(sweep->engine) || sweep->request_count == SWEEP_MOST)
                return 0;
        sweep->requests[sweep->request_count++] = *row;
        *row = (struct request_row){0};
        return 0;
}

static int token_expire(struct engine *engine, struct token_row *token)
{
        TRY(row_advance(&token_states, &token->state, TOKEN_EXPIRE));
        TRY(store_token_put(engine->store, token));
        TRY(user_lose(engine, token));
        return PASS(engine_audit_server(engine, "token.expire", token->selector, "done", ""));
}

static int request_expire(struct engine *engine, struct request_row *row)
{
        char text[ID_TEXT_SIZE];

        TRY(row_advance(&request_states, &row->state, REQUEST_EXPIRE));
        row->decided = engine_now(engine);
        TRY(store_request_put(engine->store, row));
        TRY(approvals_forget(engine, &row->id));
        return PASS(engine_audit_server(engine, "request.expire", id_text(&row->id, text), "done", ""));
}

static int answers_forget(struct engine *engine)
{
        int64_t before = engine_now(engine) - engine->config.answer_lifetime;
        size_t replies = 0, operations = 0, pool = 0, jobs = 0;

        TRY(store_reply_purge(engine->store, before, SWEEP_MOST, &replies));
        TRY(store_operation_purge(engine->store, before, SWEEP_MOST, &operations));
        TRY(store_job_purge(engine->store, engine_now(engine), SWEEP_MOST, &jobs));
        TRY(pool_purge(engine, SWEEP_MOST, &pool));
        if (pool)
                TRY(engine_audit_server(engine, "server.pool", "", "done", "removed what no keeper opens any more"));
        if (!replies && !operations)
                return 0;
        return PASS(
            engine_audit_server(engine, "server.forget", "", "done", "kept answers that nobody will ask for again"));
}

static int tokens_sweep(struct engine *engine)
{
        CLEANUP(sweep_done) struct sweep sweep = {.engine = engine};

        TRY(store_token_list_due(engine->store, engine_now(engine), SWEEP_MOST, &sweep, token_due));
        for (size_t i = 0; i < sweep.token_count; i++)
                TRY(token_expire(engine, &sweep.tokens[i]));
        return 0;
}

static int requests_sweep(struct engine *engine)
{
        CLEANUP(sweep_done) struct sweep sweep = {.engine = engine};

        TRY(store_request_list(engine->store, REQUEST_OPEN, NULL, NULL, SWEEP_MOST, &sweep, request_due));
        for (size_t i = 0; i < sweep.request_count; i++)
                TRY(request_expire(engine, &sweep.requests[i]));
        return 0;
}

/* Each for itself: a row that somebody has altered stops what it belongs to, and nothing else. */
void sweep_pump(struct engine *engine)
{
        static int (*const parts[])(struct engine *engine) = {tokens_sweep, requests_sweep, publication_sweep,
                                                              directory_sweep, answers_forget};

        if (engine->state != ENGINE_UNSEALED)
                return;
        for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
                int r = round_savepoint(engine);

                if (!r)
                        r = round_settle(engine, parts[i](engine));
                if (r)
                        log_report(r, "what expired could not be swept");
                if (r == PROBLEM_STORAGE || r == PROBLEM_BUSY)
                        return;
        }
}
