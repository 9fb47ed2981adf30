/* SPDX-License-Identifier: Apache-2.0 */
/* The audit chain in the database: appending, listing, signed heads. */
#include "store/audit.h"

/* ---- appending ---- */

/* Over all of the record and its hash, so that a record can be believed without the one before it. */
static void audit_row_mac(struct store *store, struct bytes encoded, struct bytes hash,
                          uint8_t ret_mac[static MAC_SIZE])
{
        struct digest mac;

        hasher_add_part(&store->row, bytes_text("vouchsafe audit row"));
        hasher_add_part(&store->row, encoded);
        hasher_add_part(&store->row, hash);
        mac = hasher_end(&store->row);
        memcpy(ret_mac, mac.data, MAC_SIZE);
}

void audit_row_hash(struct store *store, const struct audit_record *record,
                    const uint8_t previous[static HASH_SIZE], uint8_t ret_hash[static HASH_SIZE])
{
        const struct audit_crypto crypto = {.context = store, .sha256 = store_sha256};

        buf_clear(&store->scratch);
        audit_record_add(&store->scratch, record);
        audit_record_hash(&crypto, previous, buf_view(&store->scratch), ret_hash);
}

static int audit_check(const struct audit_record *record)
{
        const struct bytes texts[] = {record->actor, record->action, record->subject, record->outcome,
                                      record->details};

        for (size_t i = 0; i < ARRAY_LEN(texts); i++)
                for (size_t k = 0; k < texts[i].len; k++)
                        if (texts[i].data[k] == 0)
                                return fault(0, "A text of an audit record contains a zero byte");
        if (record->changes.len > AUDIT_FIELD_MOST)
                return refuse(PROBLEM_TOO_LARGE, "One operation changed too many rows: split it");
        return 0;
}

static int audit_insert(struct store *store, const struct audit_record *record,
                        const uint8_t hash[static HASH_SIZE])
{
        uint8_t mac[MAC_SIZE];

        audit_row_mac(store, buf_view(&store->scratch), bytes_of(hash, HASH_SIZE),
                      mac); /* still the record's encoding */
        return PASS(db_change(
            &store->db,
            "INSERT INTO audit (seq, time, actor, action, subject, outcome, details, operation, digest, "
            "changes, hash, mac) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            VALUES(NUMBER(record->seq), NUMBER(record->time), TEXT_VALUE(record->actor),
                   TEXT_VALUE(record->action), TEXT_VALUE(record->subject), TEXT_VALUE(record->outcome),
                   TEXT_VALUE(record->details), BYTES(record->operation), BYTES(record->digest),
                   BYTES(record->changes), BYTES(bytes_of(hash, HASH_SIZE)), BYTES(bytes_of(mac, MAC_SIZE))),
            NULL));
}

int store_audit_append(struct store *store, const struct audit_record *given, int64_t *ret_seq)
{
        struct audit_record record = *given;
        struct chain_row *chain = &store->chain;
        const struct audit_crypto crypto = {.context = store, .sha256 = store_sha256};
        uint8_t hash[HASH_SIZE];

        TRY(store_write(store));
        if (store->server_id.len == 0)
                return refuse(PROBLEM_STATE, "The database has no server id yet: it was not set up");
        if (chain->seq == 0)
                audit_chain_start(&crypto, buf_view(&store->server_id), chain->hash);
        record.seq = chain->seq + 1;
        if (!audit_sets_clock(&record))
                record.time = MAX(record.time, chain->time);
        record.changes = buf_view(&store->changes);
        TRY(audit_check(&record));
        audit_row_hash(store, &record, chain->hash, hash);
        TRY(audit_insert(store, &record, hash));
        chain->seq = record.seq;
        chain->time = record.time;
        memcpy(chain->hash, hash, HASH_SIZE);
        store->chain_changed = true;
        buf_clear(&store->changes);
        if (ret_seq)
                *ret_seq = record.seq;
        return 0;
}

int store_audit_head(struct store *store, struct audit_head *ret_head)
{
        TRY(store_need_keys(store));
        if (!store->writing) {
                store->chain_loaded = store->chain_loaded && !store->db.driver->pgsql;
                TRY(chain_load(store));
        }
        *ret_head = (struct audit_head){.seq = store->chain.seq, .time = store->chain.time};
        memcpy(ret_head->hash, store->chain.hash, HASH_SIZE);
        return 0;
}

/* ---- listing ---- */

#define AUDIT_COLUMNS                                                                                        \
        "SELECT seq, time, actor, action, subject, outcome, details, operation, digest, changes, hash, mac " \
        "FROM audit "
#define AUDIT_CONDITIONS                                                                                     \
        "AND ($2 = 0 OR time >= $2) AND ($3 = 0 OR time < $3) AND ($4 = '' OR actor = $4) "                  \
        "AND ($5 = '' OR (action >= $5 AND action <= $6)) AND ($7 = 0 OR outcome <> 'done') "
#define AUDIT_UP   "ORDER BY seq LIMIT $8"
#define AUDIT_DOWN "ORDER BY seq DESC LIMIT $8"

void audit_row_columns(struct query *query, struct audit_row *ret_row)
{
        struct bytes *fields[] = {
            &ret_row->record.actor,   &ret_row->record.action,
            &ret_row->record.subject, &ret_row->record.outcome,
            &ret_row->record.details, &ret_row->record.operation,
            &ret_row->record.digest,  &ret_row->record.changes,
            &ret_row->hash,           &ret_row->mac,
        };

        ret_row->record.seq = query_number(query, 0);
        ret_row->record.time = query_number(query, 1);
        for (unsigned i = 0; i < ARRAY_LEN(fields); i++)
                *fields[i] = query_bytes(query, 2 + i);
}

bool audit_row_right(struct store *store, const struct audit_row *row)
{
        uint8_t mac[MAC_SIZE];

        if (row->hash.len != HASH_SIZE)
                return false;
        buf_clear(&store->scratch);
        audit_record_add(&store->scratch, &row->record);
        audit_row_mac(store, buf_view(&store->scratch), row->hash, mac);
        return bytes_equal_constant_time(row->mac, bytes_of(mac, MAC_SIZE));
}

/* By the index that narrows it most. */
static const char *audit_clause(const struct store_audit_filter *filter)
{
        static const char *const clauses[][2] = {
            {AUDIT_COLUMNS "WHERE seq > $1 " AUDIT_CONDITIONS AUDIT_UP,
             AUDIT_COLUMNS "WHERE seq < $1 " AUDIT_CONDITIONS AUDIT_DOWN},
            {AUDIT_COLUMNS "WHERE subject = $9 AND seq > $1 " AUDIT_CONDITIONS AUDIT_UP,
             AUDIT_COLUMNS "WHERE subject = $9 AND seq < $1 " AUDIT_CONDITIONS AUDIT_DOWN},
            {AUDIT_COLUMNS "WHERE actor = $9 AND seq > $1 " AUDIT_CONDITIONS AUDIT_UP,
             AUDIT_COLUMNS "WHERE actor = $9 AND seq < $1 " AUDIT_CONDITIONS AUDIT_DOWN},
        };

        return clauses[filter->subject ? 1 : filter->actor ? 2 : 0][filter->newest_first];
}

/* An action, or all that begin with a word and a dot: from "user." to before "user/". */
static void action_range(const char *action, struct buf *ret_last)
{
        buf_add_text(ret_last, action ? action : "");
        if (ret_last->len && ret_last->data[ret_last->len - 1] == '.')
                ret_last->data[ret_last->len - 1] = '.' + 1;
}

int store_audit_list(struct store *store, const struct store_audit_filter *filter, int64_t seq, size_t most,
                     void *context,
                     int (*each)(void *context, const struct audit_record *record, struct bytes hash,
                                 bool altered))
{
        static const struct store_audit_filter all = {0};
        const struct store_audit_filter *f = filter ? filter : &all;
        CLEANUP(buf_done) struct buf last = BUF_NONE;
        CLEANUP(query_done) struct query query = {0};
        struct audit_row row;
        bool more;
        int r;

        TRY(store_need_keys(store));
        action_range(f->action, &last);
        query = query_make(&store->db, NULL, audit_clause(f), NULL);
        query_bind(&query,
                   VALUES(NUMBER(f->newest_first && seq == 0 ? INT64_MAX : seq), NUMBER(f->from),
                          NUMBER(f->until), TEXT(f->actor), TEXT(f->action), TEXT(buf_text(&last)),
                          NUMBER(f->refusals), NUMBER((int64_t)most)),
                   1);
        if (f->subject || f->actor)
                query_bind(&query, VALUES(TEXT(f->subject ? f->subject : f->actor)), 9);
        for (;;) {
                TRY(query_step(&query, &more));
                if (!more)
                        return 0;
                audit_row_columns(&query, &row);
                r = each(context, &row.record, row.hash, !audit_row_right(store, &row));
                if (r != 0)
                        return PASS(r);
        }
}

/* ---- signed heads ---- */

int store_head_add(struct store *store, const struct audit_head *head, struct bytes signature)
{
        CLEANUP(query_done) struct query query = {0};
        int64_t changes;
        bool row;

        TRY(store_write(store));
        query =
            query_of(&store->db, "SELECT hash, time FROM audit WHERE seq = $1", VALUES(NUMBER(head->seq)));
        TRY(query_step(&query, &row));
        if (!row || !bytes_equal(query_bytes(&query, 0), bytes_of(head->hash, HASH_SIZE)))
                return refuse(PROBLEM_STATE, "The audit chain has no record %lld with this hash",
                              (long long)head->seq);
        TRY(db_change(
            &store->db,
            "INSERT INTO heads (seq, time, hash, signature) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            VALUES(NUMBER(head->seq), NUMBER(head->time), BYTES(bytes_of(head->hash, HASH_SIZE)),
                   BYTES(signature)),
            &changes));
        if (!changes)
                return refuse(PROBLEM_EXISTS, "The head %lld is signed already", (long long)head->seq);
        store->chain.heads++;
        store->chain_changed = true;
        return 0;
}

void head_columns(struct query *query, struct audit_head *ret_head, struct bytes *ret_signature)
{
        struct bytes hash = query_bytes(query, 2);

        *ret_head = (struct audit_head){.seq = query_number(query, 0), .time = query_number(query, 1)};
        memcpy(ret_head->hash, hash.data, MIN(hash.len, HASH_SIZE));
        *ret_signature = query_bytes(query, 3);
}

int store_head_last(struct store *store, struct audit_head *ret_head, struct buf *ret_signature)
{
        CLEANUP(query_done)
        struct query query =
            query_of(&store->db, "SELECT seq, time, hash, signature FROM heads ORDER BY seq DESC LIMIT 1",
                     VALUES_NONE);
        struct bytes signature;
        bool row;

        TRY(query_step(&query, &row));
        if (!row)
                return refuse(PROBLEM_NOT_FOUND, "No head of the audit chain is signed yet");
        head_columns(&query, ret_head, &signature);
        *ret_signature = buf_copy_of(signature);
        return 0;
}

int store_head_list(struct store *store, int64_t seq, size_t most, void *context,
                    int (*each)(void *context, const struct audit_head *head, struct bytes signature))
{
        CLEANUP(query_done)
        struct query query = query_of(
            &store->db, "SELECT seq, time, hash, signature FROM heads WHERE seq > $1 ORDER BY seq LIMIT $2",
            VALUES(NUMBER(seq), NUMBER((int64_t)most)));
        struct audit_head head;
        struct bytes signature;
        bool row;
        int r;

        for (;;) {
                TRY(query_step(&query, &row));
                if (!row)
                        return 0;
                head_columns(&query, &head, &signature);
                r = each(context, &head, signature);
                if (r != 0)
                        return PASS(r);
        }
}
