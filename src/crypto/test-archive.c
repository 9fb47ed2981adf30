/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/fault.h"
#include "crypto/archive.h"

#define PLAIN bytes_text("a PKCS#8 key")

struct fixture {
        struct secret e, server;
        struct point key;
        struct archive_subject subject;
        struct buf bytes;
        struct archive_record record;
        struct secret x; /* of e·R */
};

static void fixture_init(struct fixture *f, bool with_server)
{
        *f = (struct fixture){.server = secret_random(KEY_SIZE),
                              .subject = {42, bytes_text("6f9a"), sha256(bytes_text("spki"))}};
        assert_int_equal(scalar_random(&f->e), 0);
        assert_int_equal(point_of_scalar(&f->e, &f->key), 0);
        assert_int_equal(archive_wrap(&f->key, with_server ? &f->server : NULL, &f->subject, PLAIN, &f->bytes), 0);
        assert_int_equal(archive_parse(buf_view(&f->bytes), &f->record), 0);
        assert_int_equal(point_agree(&f->e, &f->record.r, &f->x), 0);
}

static void fixture_done(struct fixture *f)
{
        secret_done(&f->e);
        secret_done(&f->server);
        secret_done(&f->x);
        buf_done(&f->bytes);
}

static void records_open_with_officers_and_server_only(void **state)
{
        CLEANUP(fixture_done) struct fixture f, other;
        CLEANUP(secret_done) struct secret plain = SECRET_NONE;

        fixture_init(&f, true);
        fixture_init(&other, true);
        assert_int_equal(f.bytes.len, PLAIN.len + ARCHIVE_OVERHEAD);
        assert_int_equal(archive_open(&f.x, &f.server, &f.subject, &f.record, &plain), 0);
        assert_true(bytes_equal(secret_view(&plain), PLAIN));
        secret_done(&plain);
        assert_int_equal(archive_open(&f.x, &other.server, &f.subject, &f.record, &plain), PROBLEM_TAMPERED);
        assert_int_equal(archive_open(&other.x, &f.server, &f.subject, &f.record, &plain), PROBLEM_TAMPERED);
        assert_int_equal(archive_open(&f.x, NULL, &f.subject, &f.record, &plain), PROBLEM_UNSUPPORTED);
}

static void records_are_bound_to_their_subject(void **state)
{
        CLEANUP(fixture_done) struct fixture f;
        CLEANUP(secret_done) struct secret plain = SECRET_NONE;
        struct archive_subject subject;

        fixture_init(&f, true);
        subject = f.subject;
        subject.record_id++;
        assert_int_equal(archive_open(&f.x, &f.server, &subject, &f.record, &plain), PROBLEM_TAMPERED);
        subject = f.subject;
        subject.user_id = bytes_text("6f9b");
        assert_int_equal(archive_open(&f.x, &f.server, &subject, &f.record, &plain), PROBLEM_TAMPERED);
        subject = f.subject;
        subject.spki_hash.data[0] ^= 1;
        assert_int_equal(archive_open(&f.x, &f.server, &subject, &f.record, &plain), PROBLEM_TAMPERED);
}

static void the_database_key_opens_without_the_server(void **state)
{
        CLEANUP(fixture_done) struct fixture f;
        CLEANUP(secret_done) struct secret plain = SECRET_NONE;

        fixture_init(&f, false);
        assert_int_equal(f.record.suite, ARCHIVE_SUITE_DATABASE);
        assert_int_equal(archive_open(&f.x, NULL, &f.subject, &f.record, &plain), 0);
        assert_int_equal(archive_open(&f.x, &f.server, &f.subject, &f.record, &plain), PROBLEM_UNSUPPORTED);
}

static void every_altered_byte_is_noticed(void **state)
{
        CLEANUP(fixture_done) struct fixture f;
        CLEANUP(secret_done) struct secret plain = SECRET_NONE;
        struct archive_record record;

        fixture_init(&f, true);
        for (size_t i = 0; i < f.bytes.len; i++) {
                f.bytes.data[i] ^= 0x10;
                assert_true(archive_parse(buf_view(&f.bytes), &record) > 0 ||
                            archive_open(&f.x, &f.server, &f.subject, &record, &plain) == PROBLEM_TAMPERED);
                f.bytes.data[i] ^= 0x10;
                if (i < ARCHIVE_OVERHEAD)
                        assert_int_equal(archive_parse(bytes_of(f.bytes.data, i), &record), PROBLEM_MALFORMED);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(records_open_with_officers_and_server_only),
                cmocka_unit_test(records_are_bound_to_their_subject),
                cmocka_unit_test(the_database_key_opens_without_the_server),
                cmocka_unit_test(every_altered_byte_is_noticed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
