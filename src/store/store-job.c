/* SPDX-License-Identifier: Apache-2.0 */
/* The outbound queue. Jobs of one subject are done in their order, and a job that waits for its next attempt
 * holds back those behind it. */
#include <stdlib.h>

#include "store/internal.h"

static int job_advance(struct job_row *row, int event)
{
        int next;

        TRY(state_next(&job_states, (int)row->state, event, &next));
        row->state = next;
        return 0;
}

static int job_move(struct store *store, struct job_row *row, int event)
{
        TRY(job_advance(row, event));
        return PASS(row_update(store, &table_jobs, row));
}

int store_job_push(struct store *store, struct job_row *row)
{
        TRY(store_write(store));
        row->number = store->chain.jobs + 1;
        row->state = JOB_WAITING;
        TRY(row_insert(store, &table_jobs, row));
        store->chain.jobs = row->number;
        return 0;
}

/* The one of this subject and kind that is not running. */
static int job_find(struct store *store, const struct job_row *like, int state, struct job_row *ret_row)
{
        return PASS(row_find(store, &table_jobs,
                             "WHERE subject = $1 AND kind = $2 AND state = $3 ORDER BY number LIMIT 1",
                             VALUES(TEXT(like->subject), TEXT(like->kind), NUMBER(state)), ret_row));
}

int store_job_push_on(struct store *store, struct job_row *row)
{
        CLEANUP(job_row_done) struct job_row waiting = {0};
        int r;

        TRY(store_write(store));
        r = job_find(store, row, JOB_WAITING, &waiting);
        if (r && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        if (r == 0 && waiting.due > row->due) {
                waiting.due = row->due;
                TRY(row_update(store, &table_jobs, &waiting));
        }
        return PASS(store_job_push(store, row));
}

/* What was given up is replaced and not taken up again: its old number would come before one that runs. */
static int job_forget_failed(struct store *store, const struct job_row *like)
{
        CLEANUP(job_row_done) struct job_row failed = {0};
        int r = job_find(store, like, JOB_FAILED, &failed);

        if (r == PROBLEM_NOT_FOUND)
                return 0;
        TRY(r);
        return PASS(row_remove(store, &table_jobs, &failed));
}

int store_job_push_once(struct store *store, struct job_row *row)
{
        CLEANUP(job_row_done) struct job_row waiting = {0};
        int r;

        TRY(store_write(store));
        TRY(job_forget_failed(store, row));
        r = job_find(store, row, JOB_WAITING, &waiting);
        if (r == PROBLEM_NOT_FOUND)
                return PASS(store_job_push(store, row));
        TRY(r);
        if (waiting.due <= row->due && !waiting.attempts)
                return 0;
        waiting.due = row->due;
        waiting.attempts = 0;
        return PASS(row_update(store, &table_jobs, &waiting));
}

int store_job_claim(struct store *store, const char *kind, int64_t now, struct job_row *ret_row)
{
        CLEANUP(job_row_done) struct job_row row = {0};

        TRY(store_write(store));
        TRY(row_find(
            store, &table_jobs,
            "WHERE state = 1 AND kind = $1 AND due <= $2 AND NOT EXISTS (SELECT 1 FROM jobs AS earlier WHERE "
            "earlier.subject = jobs.subject AND (earlier.state = 2 OR (earlier.state = 1 AND "
            "earlier.number < jobs.number))) "
            "ORDER BY due, number LIMIT 1",
            VALUES(TEXT(kind), NUMBER(now)), &row));
        TRY(job_advance(&row, JOB_GIVE_OUT));
        row.attempts++;
        TRY(row_update(store, &table_jobs, &row));
        *ret_row = row;
        row = (struct job_row){0};
        return 0;
}

int store_job_find(struct store *store, int64_t number, struct job_row *ret_row)
{
        return PASS(row_find(store, &table_jobs, "WHERE number = $1", VALUES(NUMBER(number)), ret_row));
}

int store_job_done(struct store *store, struct job_row *row)
{
        TRY(job_advance(row, JOB_FINISH));
        return PASS(row_remove(store, &table_jobs, row));
}

int store_job_retry(struct store *store, struct job_row *row, int64_t due)
{
        row->due = due;
        return PASS(job_move(store, row, JOB_TAKE_BACK));
}

int store_job_return(struct store *store, struct job_row *row, int64_t due)
{
        row->due = due;
        row->attempts -= row->attempts > 0;
        return PASS(job_move(store, row, JOB_TAKE_BACK));
}

int store_job_fail(struct store *store, struct job_row *row)
{
        return PASS(job_move(store, row, JOB_GIVE_UP));
}

int store_job_sent(struct store *store, struct job_row *row, int64_t until)
{
        row->due = until;
        return PASS(job_move(store, row, JOB_HAND_OVER));
}

int store_job_bounce(struct store *store, struct job_row *row, int64_t until)
{
        row->due = until;
        return PASS(job_move(store, row, JOB_BOUNCE));
}

int store_job_repeat(struct store *store, struct job_row *row, int64_t due)
{
        row->due = due;
        row->attempts = 0;
        return PASS(job_move(store, row, JOB_REPEAT));
}

int store_job_cancel(struct store *store, struct job_row *row)
{
        TRY(job_advance(row, JOB_CANCEL));
        return PASS(row_remove(store, &table_jobs, row));
}

int store_job_purge(struct store *store, int64_t now, size_t most, size_t *ret_count)
{
        return PASS(rows_purge(store, &table_jobs, "WHERE state IN (4, 5) AND due <= $1 ORDER BY due, number LIMIT $2",
                               VALUES(NUMBER(now), NUMBER((int64_t)most)), ret_count));
}

/* Those of a state that are due after an instant wait, `due` then at the latest. */
static int jobs_wait(struct store *store, int state, int event, int64_t after, int64_t due)
{
        CLEANUP(rows_done) struct rows rows = {0};

        TRY(rows_select(store, &table_jobs, "WHERE state = $1 AND due > $2 ORDER BY number",
                        VALUES(NUMBER(state), NUMBER(after)), &rows));
        for (size_t i = 0; i < rows.count; i++) {
                struct job_row *row = &((struct job_row *)(void *)rows.items)[i];

                row->due = MIN(row->due, due);
                TRY(job_move(store, row, event));
        }
        return 0;
}

int store_job_reclaim(struct store *store)
{
        return PASS(jobs_wait(store, JOB_RUNNING, JOB_TAKE_BACK, -1, INT64_MAX));
}

int store_job_hasten(struct store *store, int64_t now)
{
        return PASS(jobs_wait(store, JOB_WAITING, JOB_REPEAT, now, now));
}

int store_job_due(struct store *store, int64_t *ret_due)
{
        int64_t due = 0;
        int r = db_number(&store->db, "SELECT due FROM jobs WHERE state = 1 ORDER BY due LIMIT 1",
                          VALUES_NONE, &due);

        if (r != 0 && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        *ret_due = due;
        return 0;
}

int store_job_list(struct store *store, int state, int64_t after, size_t most, void *context,
                   int (*each)(void *context, struct job_row *row))
{
        return ROWS_EACH(store, &table_jobs, job_row, context, each,
                         "WHERE number > $1 AND ($2 = 0 OR state = $2) ORDER BY number LIMIT $3",
                         NUMBER(after), NUMBER(state), NUMBER((int64_t)most));
}
