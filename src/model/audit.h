/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The audit chain: what a record is, how it is encoded and hashed, and the file that `vouchsafe audit export` writes,
 * which anyone can verify with public data alone.
 *
 *   record   seq 8, time 8, then actor, action, subject, outcome, details, operation, digest, changes: each u32
 *   length and bytes
 *   hash     SHA-256("vouchsafe audit record 1" ‖ previous hash ‖ record); before the first: SHA-256("vouchsafe audit
 *   chain 1" ‖ server id)
 *   change   table 1, key length 2, key, version 8, digest 16 (the first half of the row's SHA-256); version 0 =
 *   removed, digest zero
 *   head     what the keeper signs: "vouchsafe audit head 1" ‖ server id length 4 ‖ server id ‖ seq 8 ‖ time 8 ‖ hash
 *   file     "VOUCHSAFE AUDIT 1\n", then sections: tag 1, length 4, content
 *            S server id; C a certificate (DER; of the audit key first, then its issuers); R record ‖ hash;
 *            P the hash before the first record, in a file that starts at a later one;
 *            H seq 8, time 8, hash, signature; E seq 8, hash: the end, exactly one, last
 *
 * Numbers are big endian. Sequence numbers start at 1 and have no gap. All structs here are views: they own nothing.
 * Hashing and signatures come from the caller (struct audit_crypto), so that this stays pure.
 */
#include "base/buf.h"
#include "model/id.h"

enum { AUDIT_DIGEST_SIZE = 16, AUDIT_FIELD_MOST = 1 << 20 };

struct audit_record {
        int64_t seq;             /* given by the store */
        int64_t time;
        struct bytes actor;      /* "operator:NAME", "user:ADDRESS", "server", "stranger" */
        struct bytes action;     /* "user.enroll" */
        struct bytes subject;    /* what it was done to, one line of text */
        struct bytes outcome;    /* "done", or the code of the problem */
        struct bytes details;    /* a sentence */
        struct bytes operation;  /* what the operator signed, and his signature */
        struct bytes digest;     /* of the request, where there is one */
        struct bytes changes;    /* given by the store: list of changes */
};

struct audit_change {
        unsigned table;
        struct bytes key;
        int64_t version; /* 0 = removed */
        uint8_t digest[AUDIT_DIGEST_SIZE];
};

struct audit_head {
        int64_t seq, time;
        uint8_t hash[HASH_SIZE];
};

struct audit_crypto {
        void *context;
        void (*sha256)(void *context, struct bytes data, uint8_t ret_hash[static HASH_SIZE]);
        /* Whether `signature` over `message` is by the audit key of these certificates (DER, one after the other as
         * in the file). A problem says why not. */
        int (*check)(void *context, struct bytes certificates, struct bytes message, struct bytes signature);
};

/* Append the encoding. */
void audit_record_add(struct buf *out, const struct audit_record *record);
/* Strict; PROBLEM_MALFORMED. */
int audit_record_parse(struct bytes bytes, struct audit_record *ret_record) must_check;
/* The time of records never runs back but at this one, by which a server says that its clock was set back. */
#define AUDIT_CLOCK "server.clock"
bool audit_sets_clock(const struct audit_record *record);
void audit_chain_start(const struct audit_crypto *crypto, struct bytes server_id, uint8_t ret_hash[static HASH_SIZE]);
void audit_record_hash(const struct audit_crypto *crypto, const uint8_t previous[static HASH_SIZE],
                       struct bytes encoded, uint8_t ret_hash[static HASH_SIZE]);
void audit_head_message(struct bytes server_id, const struct audit_head *head, struct buf *out);

void audit_change_add(struct buf *out, const struct audit_change *change);
/* Take the first change off `list`; PROBLEM_MALFORMED. Call while list->len > 0. */
int audit_change_next(struct bytes *list, struct audit_change *ret_change) must_check;

/* Writing a file, piece by piece: begin, records and heads in order, end. Each appends to `out`. */
void audit_file_begin(struct buf *out, struct bytes server_id);
void audit_file_certificate(struct buf *out, struct bytes der);
/* The hash before the first record, when that is not number 1. */
void audit_file_previous(struct buf *out, const uint8_t hash[static HASH_SIZE]);
void audit_file_record(struct buf *out, const struct audit_record *record, const uint8_t hash[static HASH_SIZE]);
void audit_file_head(struct buf *out, const struct audit_head *head, struct bytes signature);
void audit_file_end(struct buf *out, const struct audit_head *last);

struct audit_summary {
        int64_t records, heads;
        struct audit_head first, last; /* seq, time, hash of the first and the last record */
        struct audit_head signed_head; /* the last signed one; what comes after it is chained but not signed */
        struct bytes server_id;        /* view into the file */
};

/*
 * Verify a whole file. `each` (may be NULL) sees every record once it is verified. PROBLEM_MALFORMED: not such a
 * file, or cut off (where). PROBLEM_TAMPERED: names the first record that was altered, removed, put elsewhere or
 * replaced, or the signed head that does not fit. A file may start at a later record: then the chain is checked from
 * the hash before it on, and it takes a signed head to vouch for it.
 */
struct audit_visitor {
        void *context;
        int (*each)(void *context, const struct audit_record *record);
};
int audit_verify(struct bytes file, const struct audit_crypto *crypto, const struct audit_visitor *visitor,
                 struct audit_summary *ret_summary) must_check;
