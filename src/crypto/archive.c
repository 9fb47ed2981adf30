/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/archive.h"

#include "base/fault.h"
#include "crypto/aead.h"

enum { HEAD = 1 + POINT_SIZE + AEAD_NONCE_SIZE };

int archive_parse(struct bytes bytes, struct archive_record *ret_record)
{
        struct archive_record record;

        if (bytes.len < ARCHIVE_OVERHEAD)
                return refuse(PROBLEM_MALFORMED, "An archive record is cut off (%zu bytes).", bytes.len);
        if (bytes.len > ARCHIVE_OVERHEAD + ARCHIVE_PLAIN_MOST)
                return refuse(PROBLEM_TOO_LARGE, "An archive record is too large (%zu bytes).", bytes.len);
        if (bytes.data[0] != ARCHIVE_SUITE_P256 && bytes.data[0] != ARCHIVE_SUITE_DATABASE)
                return refuse(PROBLEM_UNSUPPORTED, "An archive record has the unknown suite %u.", bytes.data[0]);
        record.suite = bytes.data[0];
        TRY(point_parse(bytes_of(bytes.data + 1, POINT_SIZE), &record.r));
        record.nonce = bytes_of(bytes.data + 1 + POINT_SIZE, AEAD_NONCE_SIZE);
        record.sealed = bytes_of(bytes.data + HEAD, bytes.len - HEAD);
        *ret_record = record;
        return 0;
}

/* The user id is the only part of variable length, and has its length before it. */
static void subject_info(struct buf *out, enum archive_suite suite, const struct archive_subject *subject,
                         const struct point *r)
{
        buf_add_text(out, "vouchsafe archive");
        buf_add_byte(out, (uint8_t)suite);
        buf_add_u64(out, subject->record_id);
        buf_add_u64(out, subject->user_id.len);
        buf_add_bytes(out, subject->user_id);
        buf_add_bytes(out, digest_view(&subject->spki_hash));
        buf_add_bytes(out, point_view(r));
}

static struct secret wrapping_key(const struct secret *x, const struct secret *server_key, struct bytes info)
{
        CLEANUP(secret_done) struct secret both = secret_new(x->len + (server_key ? server_key->len : 0));

        memcpy(both.data, x->data, x->len);
        if (server_key)
                memcpy(both.data + x->len, server_key->data, server_key->len);
        return hkdf(secret_view(&both), BYTES_NONE, info, KEY_SIZE);
}

int archive_wrap(const struct point *archive_key, const struct secret *server_key,
                 const struct archive_subject *subject, struct bytes plain, struct buf *out)
{
        enum archive_suite suite = server_key ? ARCHIVE_SUITE_P256 : ARCHIVE_SUITE_DATABASE;
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE, x = SECRET_NONE, key = SECRET_NONE;
        CLEANUP(buf_done) struct buf info = BUF_NONE;
        uint8_t nonce[AEAD_NONCE_SIZE];
        size_t before = out->len;
        struct point r;
        int result;

        if (plain.len > ARCHIVE_PLAIN_MOST)
                return refuse(PROBLEM_TOO_LARGE, "A key of %zu bytes is too large for the archive.", plain.len);
        TRY(scalar_random(&scalar));
        TRY(point_of_scalar(&scalar, &r));
        TRY(point_agree(&scalar, archive_key, &x));
        subject_info(&info, suite, subject, &r);
        key = wrapping_key(&x, server_key, buf_view(&info));
        random_fill(nonce, sizeof(nonce));
        buf_add_byte(out, (uint8_t)suite);
        buf_add_bytes(out, point_view(&r));
        buf_add(out, nonce, sizeof(nonce));
        result = aead_encrypt(&key, nonce, buf_view(&info), plain, out);
        if (result)
                buf_truncate(out, before);
        return PASS(result);
}

int archive_open(const struct secret *shared_x, const struct secret *server_key, const struct archive_subject *subject,
                 const struct archive_record *record, struct secret *ret_plain)
{
        CLEANUP(secret_done) struct secret key = SECRET_NONE;
        CLEANUP(buf_done) struct buf info = BUF_NONE;

        if (record->suite != (server_key ? ARCHIVE_SUITE_P256 : ARCHIVE_SUITE_DATABASE))
                return refuse(PROBLEM_UNSUPPORTED,
                              "An archive record of suite %d is not of the kind that is asked for.", record->suite);
        subject_info(&info, record->suite, subject, &record->r);
        key = wrapping_key(shared_x, server_key, buf_view(&info));
        return PASS(aead_decrypt(&key, record->nonce.data, buf_view(&info), record->sealed, ret_plain));
}
