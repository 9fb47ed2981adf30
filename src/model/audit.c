/* SPDX-License-Identifier: Apache-2.0 */
#include "model/audit.h"

#include "base/fault.h"

enum { RECORD_FIELDS = 8 };

static void add_number(struct buf *out, uint64_t number, int size)
{
        for (int shift = 8 * (size - 1); shift >= 0; shift -= 8)
                buf_add_byte(out, (uint8_t)(number >> shift));
}

static void add_field(struct buf *out, struct bytes field)
{
        add_number(out, field.len, 4);
        buf_add_bytes(out, field);
}

/* Take `len` bytes off the front; false when there are fewer. */
static bool take_bytes(struct bytes *from, size_t len, struct bytes *ret_bytes)
{
        if (from->len < len)
                return false;
        *ret_bytes = bytes_of(from->data, len);
        *from = bytes_of(from->data + len, from->len - len);
        return true;
}

static bool take_number(struct bytes *from, size_t size, uint64_t *ret_number)
{
        struct bytes bytes;
        uint64_t number = 0;

        if (!take_bytes(from, size, &bytes))
                return false;
        for (size_t i = 0; i < size; i++)
                number = number << 8 | bytes.data[i];
        *ret_number = number;
        return true;
}

/* Instants and sequence numbers: never negative. */
static bool take_instant(struct bytes *from, int64_t *ret_instant)
{
        uint64_t number;

        if (!take_number(from, 8, &number) || number > INT64_MAX)
                return false;
        *ret_instant = (int64_t)number;
        return true;
}

static bool take_field(struct bytes *from, size_t most, struct bytes *ret_field)
{
        uint64_t len;

        return take_number(from, 4, &len) && len <= most && take_bytes(from, (size_t)len, ret_field);
}

static void record_fields(struct audit_record *record, struct bytes *ret_fields[static RECORD_FIELDS])
{
        ret_fields[0] = &record->actor;
        ret_fields[1] = &record->action;
        ret_fields[2] = &record->subject;
        ret_fields[3] = &record->outcome;
        ret_fields[4] = &record->details;
        ret_fields[5] = &record->operation;
        ret_fields[6] = &record->digest;
        ret_fields[7] = &record->changes;
}

void audit_record_add(struct buf *out, const struct audit_record *record)
{
        struct audit_record copy = *record;
        struct bytes *fields[RECORD_FIELDS];

        record_fields(&copy, fields);
        add_number(out, (uint64_t)record->seq, 8);
        add_number(out, (uint64_t)record->time, 8);
        for (int i = 0; i < RECORD_FIELDS; i++)
                add_field(out, *fields[i]);
}

int audit_record_parse(struct bytes bytes, struct audit_record *ret_record)
{
        struct audit_record record = {0};
        struct bytes *fields[RECORD_FIELDS];
        struct bytes changes;
        struct audit_change change;

        record_fields(&record, fields);
        if (!take_instant(&bytes, &record.seq) || !take_instant(&bytes, &record.time))
                return refuse(PROBLEM_MALFORMED, "An audit record is cut off before its first field.");
        for (int i = 0; i < RECORD_FIELDS; i++)
                if (!take_field(&bytes, AUDIT_FIELD_MOST, fields[i]))
                        return refuse(PROBLEM_MALFORMED, "Audit record %lld is cut off in field %d.",
                                      (long long)record.seq, i + 1);
        if (bytes.len)
                return refuse(PROBLEM_MALFORMED, "Audit record %lld has %zu bytes too many.",
                              (long long)record.seq, bytes.len);
        changes = record.changes;
        while (changes.len)
                TRY(audit_change_next(&changes, &change));
        *ret_record = record;
        return 0;
}

bool audit_sets_clock(const struct audit_record *record)
{
        return bytes_equal(record->actor, bytes_text("server")) && bytes_equal(record->action, bytes_text(AUDIT_CLOCK));
}

void audit_chain_start(const struct audit_crypto *crypto, struct bytes server_id,
                       uint8_t ret_hash[static HASH_SIZE])
{
        CLEANUP(buf_done) struct buf input = BUF_NONE;

        buf_add_text(&input, "vouchsafe audit chain 1");
        buf_add_bytes(&input, server_id);
        crypto->sha256(crypto->context, buf_view(&input), ret_hash);
}

void audit_record_hash(const struct audit_crypto *crypto, const uint8_t previous[static HASH_SIZE],
                       struct bytes encoded, uint8_t ret_hash[static HASH_SIZE])
{
        CLEANUP(buf_done) struct buf input = BUF_NONE;

        buf_reserve(&input, encoded.len + 64);
        buf_add_text(&input, "vouchsafe audit record 1");
        buf_add(&input, previous, HASH_SIZE);
        buf_add_bytes(&input, encoded);
        crypto->sha256(crypto->context, buf_view(&input), ret_hash);
}

void audit_head_message(struct bytes server_id, const struct audit_head *head, struct buf *out)
{
        buf_add_text(out, "vouchsafe audit head 1");
        add_field(out, server_id);
        add_number(out, (uint64_t)head->seq, 8);
        add_number(out, (uint64_t)head->time, 8);
        buf_add(out, head->hash, HASH_SIZE);
}

void audit_change_add(struct buf *out, const struct audit_change *change)
{
        buf_add_byte(out, (uint8_t)change->table);
        add_number(out, change->key.len, 2);
        buf_add_bytes(out, change->key);
        add_number(out, (uint64_t)change->version, 8);
        buf_add(out, change->digest, AUDIT_DIGEST_SIZE);
}

int audit_change_next(struct bytes *list, struct audit_change *ret_change)
{
        struct audit_change change = {0};
        struct bytes digest;
        uint64_t table, len;

        if (!take_number(list, 1, &table) || !take_number(list, 2, &len) ||
            !take_bytes(list, (size_t)len, &change.key) || !take_instant(list, &change.version) ||
            !take_bytes(list, AUDIT_DIGEST_SIZE, &digest))
                return refuse(PROBLEM_MALFORMED, "The list of changes of an audit record is cut off.");
        change.table = (unsigned)table;
        memcpy(change.digest, digest.data, AUDIT_DIGEST_SIZE);
        *ret_change = change;
        return 0;
}

/* ---- the file ---- */

static const char file_magic[] = "VOUCHSAFE AUDIT 1\n";
enum { SECTION_MOST = 16 << 20 };

static void add_section(struct buf *out, char tag, struct bytes content)
{
        buf_add_byte(out, (uint8_t)tag);
        add_field(out, content);
}

void audit_file_begin(struct buf *out, struct bytes server_id)
{
        buf_add_text(out, file_magic);
        add_section(out, 'S', server_id);
}

void audit_file_certificate(struct buf *out, struct bytes der)
{
        add_section(out, 'C', der);
}

void audit_file_previous(struct buf *out, const uint8_t hash[static HASH_SIZE])
{
        add_section(out, 'P', bytes_of(hash, HASH_SIZE));
}

void audit_file_record(struct buf *out, const struct audit_record *record,
                       const uint8_t hash[static HASH_SIZE])
{
        CLEANUP(buf_done) struct buf content = BUF_NONE;

        audit_record_add(&content, record);
        buf_add(&content, hash, HASH_SIZE);
        add_section(out, 'R', buf_view(&content));
}

void audit_file_head(struct buf *out, const struct audit_head *head, struct bytes signature)
{
        CLEANUP(buf_done) struct buf content = BUF_NONE;

        add_number(&content, (uint64_t)head->seq, 8);
        add_number(&content, (uint64_t)head->time, 8);
        buf_add(&content, head->hash, HASH_SIZE);
        buf_add_bytes(&content, signature);
        add_section(out, 'H', buf_view(&content));
}

void audit_file_end(struct buf *out, const struct audit_head *last)
{
        CLEANUP(buf_done) struct buf content = BUF_NONE;

        add_number(&content, (uint64_t)last->seq, 8);
        buf_add(&content, last->hash, HASH_SIZE);
        add_section(out, 'E', buf_view(&content));
}

/* What is known while reading a file. `certificates` spans their sections' contents, joined. */
struct reader {
        const struct audit_crypto *crypto;
        const struct audit_visitor *visitor;
        struct audit_summary summary;
        struct buf certificates;
        bool ended;
        bool chained; /* summary.last.hash is what the next record follows */
        bool whole;   /* from the server's first record on */
};

static int read_record(struct reader *reader, struct bytes content)
{
        struct audit_summary *summary = &reader->summary;
        struct audit_record record;
        uint8_t expected[HASH_SIZE];
        struct bytes encoded, hash;
        int r;

        if (content.len < HASH_SIZE)
                return refuse(PROBLEM_MALFORMED, "The record after number %lld is cut off.",
                              (long long)summary->last.seq);
        encoded = bytes_of(content.data, content.len - HASH_SIZE);
        hash = bytes_of(content.data + encoded.len, HASH_SIZE);
        TRY(audit_record_parse(encoded, &record));
        if (summary->records && record.seq != summary->last.seq + 1)
                return refuse(
                    PROBLEM_TAMPERED,
                    "After record %lld comes record %lld: records were removed, added or put elsewhere",
                    (long long)summary->last.seq, (long long)record.seq);
        if (record.seq < 1)
                return refuse(PROBLEM_TAMPERED, "A record has the number 0.");
        if (!summary->records && record.seq == 1) {
                audit_chain_start(reader->crypto, summary->server_id, summary->last.hash);
                reader->whole = reader->chained = true;
        }
        if (!reader->chained)
                return refuse(PROBLEM_TAMPERED,
                              "The file starts with record %lld and does not say what came before it.",
                              (long long)record.seq);
        audit_record_hash(reader->crypto, summary->last.hash, encoded, expected);
        if (!bytes_equal(hash, bytes_of(expected, HASH_SIZE)))
                return refuse(PROBLEM_TAMPERED,
                              "Record %lld was altered, or does not follow the one before it.",
                              (long long)record.seq);
        if (record.time < summary->last.time && !audit_sets_clock(&record))
                return refuse(PROBLEM_TAMPERED, "Record %lld is older than the one before it.",
                              (long long)record.seq);
        summary->last.seq = record.seq;
        summary->last.time = record.time;
        memcpy(summary->last.hash, hash.data, HASH_SIZE);
        if (summary->records++ == 0)
                summary->first = summary->last;
        r = reader->visitor && reader->visitor->each
                ? reader->visitor->each(reader->visitor->context, &record)
                : 0;
        return r < 0 ? PASS(r) : r;
}

static int read_head(struct reader *reader, struct bytes content)
{
        struct audit_summary *summary = &reader->summary;
        CLEANUP(buf_done) struct buf message = BUF_NONE;
        struct audit_head head = {0};
        struct bytes hash;
        int r;

        if (!take_instant(&content, &head.seq) || !take_instant(&content, &head.time) ||
            !take_bytes(&content, HASH_SIZE, &hash))
                return refuse(PROBLEM_MALFORMED, "A signed head after record %lld is cut off.",
                              (long long)summary->last.seq);
        memcpy(head.hash, hash.data, HASH_SIZE);
        if (head.seq != summary->last.seq || !bytes_equal(hash, bytes_of(summary->last.hash, HASH_SIZE)))
                return refuse(PROBLEM_TAMPERED,
                              "The signed head %lld does not fit the record that it follows, number %lld.",
                              (long long)head.seq, (long long)summary->last.seq);
        if (head.time != summary->last.time)
                return refuse(PROBLEM_TAMPERED, "The signed head %lld is of another time than the record that it follows.",
                              (long long)head.seq);
        audit_head_message(summary->server_id, &head, &message);
        r = reader->crypto->check(reader->crypto->context, buf_view(&reader->certificates),
                                  buf_view(&message), content);
        if (r != 0)
                return PASS(report_prefix(r, "The signature of head %lld: ", (long long)head.seq));
        summary->signed_head = head;
        summary->heads++;
        return 0;
}

static int read_end(struct reader *reader, struct bytes content)
{
        struct audit_summary *summary = &reader->summary;
        struct bytes hash;
        int64_t seq;

        if (!take_instant(&content, &seq) || !take_bytes(&content, HASH_SIZE, &hash) || content.len)
                return refuse(PROBLEM_MALFORMED, "The last section is not of its form.");
        if (seq != summary->last.seq || !bytes_equal(hash, bytes_of(summary->last.hash, HASH_SIZE)))
                return refuse(PROBLEM_TAMPERED,
                              "The file ends with record %lld, but says that it ends with %lld.",
                              (long long)summary->last.seq, (long long)seq);
        reader->ended = true;
        return 0;
}

static int read_section(struct reader *reader, uint8_t tag, struct bytes content)
{
        switch (tag) {
        case 'C':
                if (reader->summary.records)
                        break;
                buf_add_bytes(&reader->certificates, content);
                return 0;
        case 'P':
                if (reader->chained || content.len != HASH_SIZE)
                        break;
                memcpy(reader->summary.last.hash, content.data, HASH_SIZE);
                reader->chained = true;
                return 0;
        case 'R':
                return PASS(read_record(reader, content));
        case 'H':
                if (!reader->summary.records)
                        break;
                return PASS(read_head(reader, content));
        case 'E':
                return PASS(read_end(reader, content));
        }
        return refuse(PROBLEM_MALFORMED,
                      "There is a section of an unknown kind, or where none may be, after record %lld.",
                      (long long)reader->summary.last.seq);
}

static void reader_done(struct reader *reader)
{
        buf_done(&reader->certificates);
}

int audit_verify(struct bytes file, const struct audit_crypto *crypto, const struct audit_visitor *visitor,
                 struct audit_summary *ret_summary)
{
        CLEANUP(reader_done) struct reader reader = {.crypto = crypto, .visitor = visitor};
        struct bytes magic, content;
        uint64_t tag;

        if (!take_bytes(&file, sizeof(file_magic) - 1, &magic) || !bytes_equal(magic, bytes_text(file_magic)))
                return refuse(PROBLEM_MALFORMED, "This is not an exported audit file.");
        if (!take_number(&file, 1, &tag) || tag != 'S' || !take_field(&file, 255, &reader.summary.server_id))
                return refuse(PROBLEM_MALFORMED, "The file does not begin with the server's id.");
        while (file.len) {
                if (reader.ended)
                        return refuse(PROBLEM_MALFORMED, "There are %zu bytes after the end of the file.",
                                      file.len);
                if (!take_number(&file, 1, &tag) || !take_field(&file, SECTION_MOST, &content))
                        return refuse(PROBLEM_MALFORMED, "The file is cut off after record %lld.",
                                      (long long)reader.summary.last.seq);
                TRY(read_section(&reader, (uint8_t)tag, content));
        }
        if (!reader.ended)
                return refuse(PROBLEM_MALFORMED, "The file is cut off after record %lld.",
                              (long long)reader.summary.last.seq);
        if (reader.summary.records && !reader.whole && !reader.summary.heads)
                return refuse(PROBLEM_TAMPERED,
                              "The file starts with record %lld, and no signed head vouches for it.",
                              (long long)reader.summary.first.seq);
        *ret_summary = reader.summary;
        return 0;
}
