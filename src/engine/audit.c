/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the audit chain, the signatures of its head, and showing it to who may look. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/engine.h"

int engine_audit(struct engine *engine, const struct audit_words *words)
{
        return PASS(store_audit_append(engine->store,
                                       &(struct audit_record){
                                           .time = engine_now(engine),
                                           .actor = bytes_text(words->actor),
                                           .action = bytes_text(words->action),
                                           .subject = bytes_text(words->subject),
                                           .outcome = bytes_text(words->outcome),
                                           .details = words->details,
                                           .operation = words->operation,
                                           .digest = words->digest,
                                       },
                                       NULL));
}

int engine_audit_server(struct engine *engine, const char *action, const char *subject, const char *outcome,
                        const char *details)
{
        return PASS(engine_audit(engine, &(struct audit_words){.actor = "server",
                                                               .action = action,
                                                               .subject = subject,
                                                               .outcome = outcome,
                                                               .details = bytes_text(details)}));
}

int engine_audit_alone(struct engine *engine, const char *action, const char *subject, const char *outcome,
                       const char *details)
{
        TRY(round_savepoint(engine));
        return PASS(round_settle(engine, engine_audit_server(engine, action, subject, outcome, details)));
}

/* ---- signed heads */

static int head_store(struct engine *engine, struct bytes signature)
{
        TRY(round_savepoint(engine));
        return PASS(round_settle(engine, store_head_add(engine->store, &engine->heads.asked_head, signature)));
}

static void head_signed(void *context, int result, struct bytes reply)
{
        struct engine *engine = context;
        MSG_OWN(keeper_head_signed) done = {0};

        engine->heads.asked = false;
        if (!result)
                result = msg_decode(keeper_head_signed, reply, &done);
        if (!result)
                result = head_store(engine, buf_view(&done.signature));
        if (result)
                log_report(result, "the head of the audit chain could not be signed");
        else
                engine->heads.signed_seq = engine->heads.asked_head.seq;
}

static int heads_load(struct engine *engine)
{
        struct audit_head head = {0};
        CLEANUP(buf_done) struct buf signature = BUF_NONE;
        int r = store_head_last(engine->store, &head, &signature);

        if (r && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        engine->heads.signed_seq = r ? 0 : head.seq;
        engine->heads.known = true;
        return 0;
}

bool heads_settled(struct engine *engine)
{
        struct audit_head head = {0};

        if (engine->state != ENGINE_UNSEALED || engine->round.open)
                return engine->state != ENGINE_UNSEALED;
        return !engine->heads.asked &&
               (store_audit_head(engine->store, &head) || head.seq <= engine->heads.signed_seq);
}

static int head_ask(struct engine *engine)
{
        MSG_OWN(keeper_head) ask = {0};
        struct audit_head head = {0};

        if (!engine->heads.known)
                TRY(heads_load(engine));
        TRY(store_audit_head(engine->store, &head));
        if (head.seq <= engine->heads.signed_seq)
                return 0;
        engine->heads.asked_head = head;
        ask.sequence = (uint64_t)head.seq;
        ask.time = head.time;
        buf_add(&ask.hash, head.hash, HASH_SIZE);
        engine->heads.call.done = head_signed;
        engine->heads.call.context = engine;
        TRY(keeper_ask(engine, &engine->heads.call, MSG_keeper_head, &ask));
        engine->heads.asked = true;
        return 0;
}

/* Only what is durable is signed: after a commit. */
void heads_pump(struct engine *engine, bool now)
{
        uint64_t at = clock_monotonic_ms();
        int r;

        if (engine->state != ENGINE_UNSEALED || engine->heads.asked || engine->round.open)
                return;
        if (!now && at < engine->heads.due_ms)
                return;
        engine->heads.due_ms = at + (uint64_t)engine->config.audit_interval * 1000;
        r = head_ask(engine);
        if (r)
                log_report(r, "the head of the audit chain could not be signed");
}

/* ---- audit_list */

struct listing {
        struct msg_audit_listed *reply;
        size_t bytes, altered;
        int64_t last;
        bool full;
};

enum { LISTING_BYTES_MOST = 8 << 20 };

static char *text_of(struct bytes bytes, size_t most)
{
        CLEANUP(buf_done) struct buf text = BUF_NONE;

        text_add_printable(&text, bytes, most);
        return text_copy(buf_text(&text));
}

enum { ENCODED_MOST = 4 << 20 };

/* The values of a record as the database has it; of one that was altered, as far as they can be. */
static int listing_add(void *context, const struct audit_record *record, struct bytes hash, bool altered)
{
        struct listing *listing = context;
        struct msg_audit_item *item;

        if (listing->full)
                return 0;
        item = MSG_LIST_ADD(listing->reply->records);
        item->sequence = (uint64_t)record->seq;
        item->time = record->time;
        item->actor = text_of(record->actor, 320);
        item->action = text_of(record->action, 64);
        item->subject = text_of(record->subject, 512);
        item->outcome = text_of(record->outcome, 32);
        item->detail = text_of(record->details, 2048);
        audit_record_add(&item->encoded, record);
        if (item->encoded.len > ENCODED_MOST)
                buf_clear(&item->encoded);
        buf_add_bytes(&item->hash, bytes_of(hash.data, MIN(hash.len, (size_t)HASH_SIZE)));
        item->altered = altered;
        listing->altered += altered;
        listing->bytes += item->encoded.len + 512;
        listing->last = record->seq;
        listing->full = listing->bytes > LISTING_BYTES_MOST;
        return 0;
}

struct head_listing {
        struct msg_audit_listed *reply;
        int64_t until;
};

static int head_listing_add(void *context, const struct audit_head *head, struct bytes signature)
{
        struct head_listing *listing = context;
        struct msg_audit_head_item *item;

        if (head->seq > listing->until)
                return 0;
        item = MSG_LIST_ADD(listing->reply->heads);
        item->sequence = (uint64_t)head->seq;
        item->time = head->time;
        buf_add(&item->hash, head->hash, HASH_SIZE);
        buf_add_bytes(&item->signature, signature);
        return 0;
}

static const char *text_or_any(const char *text)
{
        return *msg_text(text) ? text : NULL;
}

static bool is_filtered(const struct store_audit_filter *filter)
{
        return filter->actor || filter->action || filter->subject || filter->refusals;
}

int audit_list_handle(struct request *request)
{
        const struct msg_audit_list *ask = request->message;
        struct msg_audit_listed *reply = request->reply;
        struct store *store = request->engine->store;
        struct listing listing = {.reply = reply};
        struct store_audit_filter filter = {.actor = text_or_any(ask->actor),
                                            .action = text_or_any(ask->action),
                                            .subject = text_or_any(ask->subject),
                                            .refusals = ask->refused,
                                            .newest_first = ask->newest};
        struct audit_head head = {0};
        size_t limit = ask->limit ? (size_t)ask->limit : 100;
        int64_t from = ask->from ? (int64_t)ask->from - 1 : 0;

        TRY(store_audit_head(store, &head));
        TRY(store_audit_list(store, &filter, ask->newest ? 0 : from, limit, &listing, listing_add));
        if (!ask->newest && reply->records.count && !is_filtered(&filter)) {
                struct head_listing heads = {reply, listing.last};

                TRY(store_head_list(store, from, 1000, &heads, head_listing_add));
        }
        if (!ask->newest && listing.last && listing.last < head.seq &&
            (!is_filtered(&filter) || listing.full || reply->records.count == limit))
                reply->next = (uint64_t)listing.last + 1;
        request_subject(request, "from %lld", (long long)from + 1);
        if (listing.altered)
                request_details(request, "%zu records shown, %zu of them altered", reply->records.count, listing.altered);
        else
                request_details(request, "%zu records shown", reply->records.count);
        return 0;
}
