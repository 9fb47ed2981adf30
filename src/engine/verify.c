/* SPDX-License-Identifier: Apache-2.0 */
/* verify: the whole database against its audit chain, some rows at a time from a timer, while serving goes on. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/certificate.h"
#include "engine/engine.h"

enum { SLICE_ROWS = 200, SLICE_MS = 5, FINDINGS_MOST = 1000 };

static int verification_slice(void *context);

void verification_init(struct engine *engine)
{
        loop_timer_init(&engine->verification.timer, engine->loop, verification_slice, engine);
}

static void verification_end(struct engine *engine)
{
        engine->verification.timer.due_ms = 0;
        if (engine->verification.verify)
                store_verify_free(TAKE(engine->verification.verify));
        EVP_PKEY_free(TAKE(engine->verification.audit_key));
        engine->verification.result.running = false;
}

void verification_stop(struct engine *engine)
{
        verification_end(engine);
}

void verification_done(struct engine *engine)
{
        verification_end(engine);
        loop_timer_done(&engine->verification.timer);
        msg_done(verify_reply, &engine->verification.result);
}

static int found(void *context, const struct store_finding *finding)
{
        struct engine *engine = context;
        struct msg_verify_reply *result = &engine->verification.result;
        CLEANUP(buf_done) struct buf subject = BUF_NONE, detail = BUF_NONE;
        struct msg_finding *item;

        if (result->findings.count >= FINDINGS_MOST)
                return 0;
        item = MSG_LIST_ADD(result->findings);
        buf_add_format(&subject, "%s ", finding->table);
        text_add_printable(&subject, bytes_text(finding->key), 400);
        text_add_printable(&detail, bytes_text(finding->sentence), 1000);
        item->severity = text_copy("error");
        item->subject = text_copy(buf_text(&subject));
        item->detail = text_copy(buf_text(&detail));
        return 0;
}

static int check_head(void *context, const struct audit_head *head, struct bytes signature)
{
        struct engine *engine = context;
        CLEANUP(buf_done) struct buf message = BUF_NONE;
        int r;

        audit_head_message(engine_server_id(engine), head, &message);
        r = pkey_verify(engine->verification.audit_key, buf_view(&message), signature);
        if (r != PROBLEM_UNAUTHENTICATED)
                return PASS(r);
        return refuse(PROBLEM_TAMPERED, "The signature of the head at record %lld is wrong.", (long long)head->seq);
}

static int audit_key_load(struct engine *engine)
{
        CLEANUP(certificate_done) struct certificate certificate = {0};

        TRY(certificate_parse(buf_view(&engine->trust.audit_certificate), &certificate));
        return PASS(pkey_from_spki(certificate.spki, &engine->verification.audit_key));
}

static int verification_start(struct engine *engine)
{
        struct store_verify_options options = {.context = engine, .found = found, .check_head = check_head};

        verification_end(engine);
        msg_done(verify_reply, &engine->verification.result);
        TRY(audit_key_load(engine));
        TRY(store_verify_new(engine->store, &options, &engine->verification.verify));
        engine->verification.result.running = true;
        loop_timer_arm(&engine->verification.timer, 1);
        return 0;
}

static void progress_note(struct engine *engine)
{
        struct store_verify_progress progress = {0};
        struct msg_verify_reply *result = &engine->verification.result;

        store_verify_progress(engine->verification.verify, &progress);
        result->rows_done = (uint64_t)progress.done;
        result->rows_total = (uint64_t)progress.total;
        result->audit_records = (uint64_t)progress.head.seq;
}

/* How it ended is an event of its own in the trail: who started it may long be gone. */
static int verification_record(struct engine *engine)
{
        const struct msg_verify_reply *result = &engine->verification.result;
        CLEANUP(mem_freep)
        char *details =
            text_format("%llu rows, %zu findings", (unsigned long long)result->rows_done, result->findings.count);
        const char *outcome = result->findings.count ? problem_info(PROBLEM_TAMPERED)->code : "done";

        return PASS(engine_audit_alone(engine, "server.verify", "", outcome, details));
}

static int verification_finish(struct engine *engine)
{
        verification_end(engine);
        engine->verification.result.finished = engine_now(engine);
        return PASS(verification_record(engine));
}

static int verification_slice(void *context)
{
        struct engine *engine = context;
        bool finished = false;
        int r;

        if (!engine->verification.verify)
                return 0;
        /* Not within a transaction: what this round has so far becomes durable first. */
        TRY(round_commit(engine));
        r = store_verify_step(engine->verification.verify, SLICE_ROWS, &finished);
        if (!r) {
                progress_note(engine);
                loop_timer_arm(&engine->verification.timer, SLICE_MS);
        }
        if (!r && finished)
                r = verification_finish(engine);
        if (r) {
                struct store_finding finding = {.table = "database", .key = "", .sentence = report_text()};

                log_report(r, "the verification ended early");
                found(engine, &finding);
                verification_end(engine);
                engine->verification.result.finished = engine_now(engine);
        }
        return 0;
}

static void result_copy(const struct msg_verify_reply *from, struct msg_verify_reply *to)
{
        to->running = from->running;
        to->rows_done = from->rows_done;
        to->rows_total = from->rows_total;
        to->audit_records = from->audit_records;
        to->finished = from->finished;
        for (size_t i = 0; i < from->findings.count; i++) {
                struct msg_finding *finding = MSG_LIST_ADD(to->findings);

                finding->severity = text_copy(from->findings.at[i].severity);
                finding->subject = text_copy(from->findings.at[i].subject);
                finding->detail = text_copy(from->findings.at[i].detail);
        }
}

int verify_handle(struct request *request)
{
        const struct msg_verify *ask = request->message;
        struct engine *engine = request->engine;

        if (ask->start && !engine->verification.result.running)
                TRY(verification_start(engine));
        result_copy(&engine->verification.result, request->reply);
        return 0;
}
