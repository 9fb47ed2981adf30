/* SPDX-License-Identifier: Apache-2.0 */
/* Verify: its steps, and the audit chain with its signed heads. */
#include "store/verify.h"

#include <stdarg.h>
#include <stdio.h>

int store_verify_new(struct store *store, const struct store_verify_options *options,
                     struct store_verify **ret_verify)
{
        struct store_verify *verify;

        TRY(store_need_keys(store));
        verify = NEW(struct store_verify);
        verify->store = store;
        verify->options = *options;
        ledger_init(&verify->ledger);
        *ret_verify = verify;
        return 0;
}

void store_verify_free(struct store_verify *verify)
{
        if (!verify)
                return;
        ledger_done(&verify->ledger);
        buf_done(&verify->cursor);
        buf_done(&verify->keys_text);
        buf_done(&verify->keys_guid);
        free(verify);
}

void store_verify_progress(const struct store_verify *verify, struct store_verify_progress *ret_progress)
{
        *ret_progress = verify->progress;
        ret_progress->total = MAX(verify->progress.total, verify->progress.done);
}

int verify_found(struct store_verify *verify, enum store_finding_kind kind, const char *table,
                 const char *key, const char *format, ...)
{
        struct store_finding finding = {.kind = kind, .table = table, .key = key};
        char sentence[512];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(sentence, sizeof(sentence), format, arguments);
        va_end(arguments);
        finding.sentence = sentence;
        verify->progress.findings++;
        return verify->options.found ? PASS(verify->options.found(verify->options.context, &finding)) : 0;
}

/* Roughly: each row once, and the chain. */
static void estimate(struct store_verify *verify)
{
        const int64_t *counts = (const int64_t *)&verify->store->counts;

        verify->progress.total = verify->store->chain.seq;
        for (size_t i = 0; i < sizeof(struct store_counts) / sizeof(int64_t); i++)
                verify->progress.total += counts[i];
}

/* The chain grows while verify runs, so what was added since is read before each slice: then rows and ledger
 * are of one moment. */
static int verify_slice(struct store_verify *verify, size_t most)
{
        static int (*const phases[])(struct store_verify * verify, size_t most, bool *ret_done) = {
            [VERIFY_HEADS] = verify_heads,
            [VERIFY_TABLES] = verify_tables,
            [VERIFY_KEYS] = verify_keys,
            [VERIFY_MISSING] = verify_missing,
        };
        bool done = false;
        int r;

        verify->store->chain_loaded = false;
        r = chain_load(verify->store);
        if (r == PROBLEM_TAMPERED) {
                /* Without it the chain is checked against itself only. */
                if (!verify->end_named)
                        TRY(verify_found(verify, FINDING_ALTERED, "chain", "1", "%s", report_text()));
                verify->end_named = true;
        } else {
                TRY(r);
        }
        estimate(verify);
        TRY(verify_chain(verify, most, &done));
        if (!done)
                return 0;
        if (verify->phase == VERIFY_CHAIN) {
                verify->phase++;
                return 0;
        }
        done = false;
        TRY(phases[verify->phase](verify, most, &done));
        if (done)
                verify->phase++;
        return 0;
}

int store_verify_step(struct store_verify *verify, size_t most, bool *ret_finished)
{
        struct store *store = verify->store;
        int r;

        if (store->open)
                return fault(0, "Verify was called within a transaction");
        TRY(store_need_keys(store));
        if (verify->phase != VERIFY_DONE) {
                TRY(db_begin(&store->db, false));
                r = verify_slice(verify, most);
                db_rollback(&store->db);
                store->chain_loaded = false;
                if (r != 0)
                        return PASS(r);
        }
        *ret_finished = verify->phase == VERIFY_DONE;
        return 0;
}

/* ---- the chain ---- */

static int found_record(struct store_verify *verify, int64_t seq, const char *sentence)
{
        char key[24];

        snprintf(key, sizeof(key), "%lld", (long long)seq);
        return PASS(verify_found(verify, FINDING_CHAIN, "audit", key, "Audit record %s %s", key, sentence));
}

static int verify_changes(struct store_verify *verify, const struct audit_record *record)
{
        struct bytes changes = record->changes;
        struct audit_change change;

        while (changes.len) {
                if (audit_change_next(&changes, &change) != 0)
                        return PASS(
                            found_record(verify, record->seq, "has a list of changes that cannot be read"));
                ledger_put(&verify->ledger, &change, record->seq);
        }
        return 0;
}

static int verify_record(struct store_verify *verify, const struct audit_row *row)
{
        struct audit_head *head = &verify->progress.head;
        struct store *store = verify->store;
        uint8_t hash[HASH_SIZE];
        bool gap = row->record.seq != head->seq + 1;

        if (gap) {
                char sentence[128];
                snprintf(sentence, sizeof(sentence), "follows record %lld: those between were removed",
                         (long long)head->seq);
                TRY(found_record(verify, row->record.seq, sentence));
        }
        audit_row_hash(store, &row->record, head->hash, hash);
        if (!audit_row_right(store, row))
                TRY(found_record(verify, row->record.seq,
                                 "was altered, or put in by something other than the server"));
        else if (!gap && !bytes_equal(row->hash, bytes_of(hash, HASH_SIZE)))
                TRY(found_record(verify, row->record.seq,
                                 "was altered, or does not follow the one before it"));
        else if (row->record.time < head->time && !audit_sets_clock(&row->record))
                TRY(found_record(verify, row->record.seq, "is older than the one before it"));
        TRY(verify_changes(verify, &row->record));
        head->seq = row->record.seq;
        head->time = row->record.time;
        memset(head->hash, 0, HASH_SIZE);
        memcpy(head->hash, row->hash.data, MIN(row->hash.len, HASH_SIZE));
        verify->progress.done++;
        return 0;
}

static int verify_end(struct store_verify *verify)
{
        const struct chain_row *chain = &verify->store->chain;
        const struct audit_head *head = &verify->progress.head;

        if (verify->end_named || (chain->seq == head->seq && memcmp(chain->hash, head->hash, HASH_SIZE) == 0))
                return 0;
        verify->end_named = true;
        if (chain->seq > head->seq)
                return PASS(verify_found(verify, FINDING_CHAIN, "audit", "end",
                                         "The last audit records, %lld to %lld, were removed",
                                         (long long)head->seq + 1, (long long)chain->seq));
        return PASS(verify_found(
            verify, FINDING_CHAIN, "audit", "end",
            "The chain ends with audit record %lld, but the database says that it ends with %lld",
            (long long)head->seq, (long long)chain->seq));
}

int verify_chain(struct store_verify *verify, size_t most, bool *ret_done)
{
        struct store *store = verify->store;
        struct audit_head *head = &verify->progress.head;
        CLEANUP(query_done) struct query query = {0};
        struct audit_row row;
        size_t count = 0;
        bool more;

        if (head->seq == 0) {
                const struct audit_crypto crypto = {.context = store, .sha256 = store_sha256};
                audit_chain_start(&crypto, buf_view(&store->server_id), head->hash);
        }
        query = query_of(&store->db,
                         "SELECT seq, time, actor, action, subject, outcome, details, operation, digest, "
                         "changes, hash, mac "
                         "FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2",
                         VALUES(NUMBER(head->seq), NUMBER((int64_t)most)));
        for (;; count++) {
                TRY(query_step(&query, &more));
                if (!more)
                        break;
                audit_row_columns(&query, &row);
                TRY(verify_record(verify, &row));
        }
        *ret_done = count < most;
        return *ret_done && head->seq + store->chain.seq > 0 ? PASS(verify_end(verify)) : 0;
}

/* ---- signed heads ---- */

/* `hash` and `time` are those of the audit record of its number. */
static int verify_head(struct store_verify *verify, const struct audit_head *head, struct bytes signature,
                       struct bytes hash, int64_t time)
{
        char key[24];
        const char *wrong = NULL;

        snprintf(key, sizeof(key), "%lld", (long long)head->seq);
        if (!bytes_equal(hash, bytes_of(head->hash, HASH_SIZE)))
                wrong = "does not fit the audit record of its number";
        else if (head->time != time)
                wrong = "is of another time than the audit record of its number";
        else if (verify->options.check_head &&
                 verify->options.check_head(verify->options.context, head, signature) != 0)
                wrong = "does not have the keeper's signature";
        verify->head_seq = head->seq;
        verify->progress.done++;
        return wrong ? PASS(verify_found(verify, FINDING_HEAD, "heads", key, "The signed head %s %s", key,
                                         wrong))
                     : 0;
}

int verify_heads(struct store_verify *verify, size_t most, bool *ret_done)
{
        CLEANUP(query_done)
        struct query query = query_of(&verify->store->db,
                                      "SELECT heads.seq, heads.time, heads.hash, heads.signature, "
                                      "(SELECT audit.hash FROM audit WHERE audit.seq = heads.seq), "
                                      "(SELECT audit.time FROM audit WHERE audit.seq = heads.seq) FROM heads "
                                      "WHERE seq > $1 ORDER BY seq LIMIT $2",
                                      VALUES(NUMBER(verify->head_seq), NUMBER((int64_t)most)));
        struct audit_head head;
        struct bytes signature;
        size_t count = 0;
        bool more;

        for (;; count++) {
                TRY(query_step(&query, &more));
                if (!more)
                        break;
                head_columns(&query, &head, &signature);
                TRY(verify_head(verify, &head, signature, query_bytes(&query, 4), query_number(&query, 5)));
        }
        verify->heads += (int64_t)count;
        *ret_done = count < most;
        if (*ret_done && verify->heads != verify->store->chain.heads)
                return PASS(verify_found(verify, FINDING_HEAD, "heads", "count",
                                         "There are %lld signed heads, and the server put %lld",
                                         (long long)verify->heads, (long long)verify->store->chain.heads));
        return 0;
}
