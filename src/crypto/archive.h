/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The archive record: a private key (PKCS#8) wrapped so that it takes a quorum of officers *and* the server to open
 * it.
 *
 *   R = r·G fresh, S = r·E
 *   KEK = HKDF-SHA256(x(S) ‖ server key, info = label, suite, record id, user id, SPKI hash, R)
 *   record = suite 1 ‖ R 33 ‖ nonce 12 ‖ AES-256-GCM ciphertext ‖ tag 16, associated data = info
 *
 * ARCHIVE_SUITE_DATABASE is the same without the server key, to the startup key F: it wraps the database key, so
 * that officers can replace a lost startup secret. The user id is that of the directory.
 */
#include "crypto/curve.h"
#include "crypto/kdf.h"

enum archive_suite { ARCHIVE_SUITE_P256 = 1, ARCHIVE_SUITE_DATABASE = 2 };
enum { ARCHIVE_OVERHEAD = 1 + POINT_SIZE + 12 + 16, ARCHIVE_PLAIN_MOST = 64 * 1024 };

/* What a record is bound to. */
struct archive_subject {
        uint64_t record_id;
        struct bytes user_id;
        struct digest spki_hash;
};

/* Views into the record. */
struct archive_record {
        enum archive_suite suite;
        struct point r;
        struct bytes nonce;
        struct bytes sealed; /* with the tag */
};
/* PROBLEM_MALFORMED, PROBLEM_UNSUPPORTED (suite), PROBLEM_TOO_LARGE. */
int archive_parse(struct bytes bytes, struct archive_record *ret_record) must_check;

/* Suite 1 with a server key, ARCHIVE_SUITE_DATABASE when it is NULL. Appends to `out`. */
int archive_wrap(const struct point *archive_key, const struct secret *server_key,
                 const struct archive_subject *subject, struct bytes plain, struct buf *out) must_check;
/* `shared_x` is x(S). PROBLEM_TAMPERED when it does not open: altered, moved, or wrong shares; PROBLEM_UNSUPPORTED
 * when the suite is not the one that this server key (or none) goes with. */
int archive_open(const struct secret *shared_x, const struct secret *server_key, const struct archive_subject *subject,
                 const struct archive_record *record, struct secret *ret_plain) must_check;
