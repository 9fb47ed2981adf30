/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/fault.h"
#include "base/text.h"
#include "crypto/der.h"
#include "crypto/oid.h"

#define DER(s) bytes_of(s, sizeof(s) - 1)

static void assert_der(struct buf *out, struct bytes expected)
{
        assert_int_equal(out->len, expected.len);
        assert_memory_equal(out->data, expected.data, expected.len);
        buf_clear(out);
}

static void lengths_are_minimal(void **state)
{
        static const size_t lengths[] = {0, 1, 127, 128, 255, 256, 65535, 65536, 70000};

        for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
                CLEANUP(buf_done) struct buf content = BUF_NONE, marked = BUF_NONE, headed = BUF_NONE;
                struct bytes inner, back, cursor;

                buf_reserve(&content, lengths[i]);
                for (size_t k = 0; k < lengths[i]; k++)
                        buf_add_byte(&content, (uint8_t)k);
                size_t outer = der_begin(&marked, DER_SEQUENCE), mark = der_begin(&marked, DER_OCTET_STRING);
                buf_add_bytes(&marked, buf_view(&content));
                der_end(&marked, mark);
                der_end(&marked, outer);
                der_add(&headed, DER_OCTET_STRING, buf_view(&content));
                assert_int_equal(der_read_only(buf_view(&marked), DER_SEQUENCE, &inner), 0);
                assert_true(bytes_equal(inner, buf_view(&headed)));
                cursor = inner;
                assert_int_equal(der_read(&cursor, DER_OCTET_STRING, &back), 0);
                assert_true(bytes_equal(back, buf_view(&content)));
                assert_int_equal(cursor.len, 0);
        }
}

static void primitives_have_known_encodings(void **state)
{
        CLEANUP(buf_done) struct buf out = BUF_NONE;

        der_add_small(&out, 0);
        assert_der(&out, DER("\x02\x01\x00"));
        der_add_small(&out, 127);
        assert_der(&out, DER("\x02\x01\x7f"));
        der_add_small(&out, 128);
        assert_der(&out, DER("\x02\x02\x00\x80"));
        der_add_small(&out, UINT64_MAX);
        assert_der(&out, DER("\x02\x09\x00\xff\xff\xff\xff\xff\xff\xff\xff"));
        der_add_unsigned(&out, DER("\x00\x00\x01\x02"));
        assert_der(&out, DER("\x02\x02\x01\x02"));
        der_add_boolean(&out, true);
        der_add_null(&out);
        assert_der(&out, DER("\x01\x01\xff\x05\x00"));
        der_add_bits(&out, DER("\xab"));
        assert_der(&out, DER("\x03\x02\x00\xab"));
        der_add_named_bits(&out, 0);
        der_add_named_bits(&out, 3);       /* digitalSignature, nonRepudiation */
        der_add_named_bits(&out, 1 << 5 | 1 << 6); /* keyCertSign, cRLSign */
        der_add_named_bits(&out, 1 << 8);  /* decipherOnly */
        assert_der(&out, DER("\x03\x01\x00\x03\x02\x06\xc0\x03\x02\x01\x06\x03\x03\x07\x00\x80"));
        der_add_oid(&out, oid_p256);
        assert_der(&out, DER("\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"));
}

static void times_follow_rfc5280(void **state)
{
        static const struct {
                int64_t instant;
                const char *der;
        } cases[] = {
                {0, "\x17\x0d" "700101000000Z"},
                {-631152000, "\x17\x0d" "500101000000Z"},
                {-631152001, "\x18\x0f" "19491231235959Z"},
                {2524607999, "\x17\x0d" "491231235959Z"},
                {2524608000, "\x18\x0f" "20500101000000Z"},
                {253402300799, "\x18\x0f" "99991231235959Z"},
        };
        CLEANUP(buf_done) struct buf out = BUF_NONE;
        struct bytes cursor;
        int64_t back;

        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                der_add_time(&out, cases[i].instant);
                cursor = buf_view(&out);
                assert_int_equal(der_read_time(&cursor, &back), 0);
                assert_true(back == cases[i].instant);
                assert_der(&out, bytes_text(cases[i].der));
        }
        der_add_time(&out, INT64_MAX);
        assert_der(&out, bytes_text(cases[5].der));
        der_add_time(&out, INT64_MIN);
        assert_der(&out, bytes_text("\x18\x0f" "00000101000000Z"));
        static const char *const bad[] = {
                "\x17\x0b" "7001010000Z",      "\x17\x11" "700101000000+0000", "\x18\x0f" "20260101000000Z",
                "\x18\x11" "20500101000000.5Z", "\x17\x0d" "700230000000Z",     "\x17\x0d" "700101240000Z",
                "\x17\x0d" "70010100000 Z",     "\x13\x0d" "700101000000Z",     "\x17\x0d" "700101000000z",
        };
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                cursor = bytes_text(bad[i]);
                assert_int_equal(der_read_time(&cursor, &back), PROBLEM_MALFORMED);
                assert_int_equal(cursor.len, strlen(bad[i]));
        }
}

static void wrong_encodings_are_refused(void **state)
{
        struct bytes content, cursor;
        uint64_t number;
        unsigned bits;
        uint8_t tag;
        bool truth;
        const struct bytes heads[] = {
                DER(""),
                DER("\x30"),
                DER("\x30\x80\x00\x00"),
                DER("\x30\x81\x7f"),
                DER("\x30\x81\x01\x00"),
                DER("\x30\x82\x00\x80"),
                DER("\x30\x85\x01\x00\x00\x00\x00"),
                DER("\x30\x84\xff\xff\xff\xff"),
                DER("\x30\x02\x00"),
                DER("\x3f\x00"),
                DER("\x1f\x81\x00\x00"),
                DER("\x30\x82\x01"),
        };
        const struct bytes integers[] = {DER("\x02\x00"),         DER("\x02\x01\x80"),
                                         DER("\x02\x02\x00\x7f"), DER("\x02\x02\x00\x00"),
                                         DER("\x0a\x01\x01"),     DER("\x02\x09\x01\x00\x00\x00\x00\x00\x00\x00\x00")};
        const struct bytes bitstrings[] = {DER("\x03\x00"), DER("\x03\x01\x01"), DER("\x03\x02\x08\x00"),
                                           DER("\x03\x02\x01\x81"), DER("\x03\x02\x00\x02")};
        const struct bytes oids[] = {DER("\x06\x00"), DER("\x06\x02\x55\x80"), DER("\x06\x03\x55\x80\x01"),
                                     DER("\x06\x01\x80")};

        for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
                cursor = heads[i];
                assert_int_equal(der_read_any(&cursor, &tag, &content), PROBLEM_MALFORMED);
        }
        for (size_t i = 0; i < ARRAY_LEN(integers); i++) {
                cursor = integers[i];
                assert_int_equal(der_read_small(&cursor, UINT64_MAX, &number), PROBLEM_MALFORMED);
        }
        for (size_t i = 0; i < ARRAY_LEN(bitstrings); i++) {
                cursor = bitstrings[i];
                assert_int_equal(der_read_named_bits(&cursor, &bits), PROBLEM_MALFORMED);
                assert_true(cursor.data == bitstrings[i].data);
                if (i != 4)
                        assert_int_equal(der_read_bits(&cursor, &content), PROBLEM_MALFORMED);
        }
        for (size_t i = 0; i < ARRAY_LEN(oids); i++) {
                cursor = oids[i];
                assert_int_equal(der_read_oid(&cursor, &content), PROBLEM_MALFORMED);
        }
        cursor = DER("\x01\x01\x01");
        assert_int_equal(der_read_boolean(&cursor, &truth), PROBLEM_MALFORMED);
        cursor = DER("\x05\x01\x00");
        assert_int_equal(der_read_null(&cursor), PROBLEM_MALFORMED);
        assert_int_equal(der_read_only(DER("\x30\x00\x00"), DER_SEQUENCE, &content), PROBLEM_MALFORMED);
        assert_int_equal(der_read_only(DER("\x31\x00"), DER_SEQUENCE, &content), PROBLEM_MALFORMED);
}

static void identifiers_round_trip(void **state)
{
#define OID(name, dotted, content)                                                                           \
        {                                                                                                    \
                CLEANUP(buf_done) struct buf der = BUF_NONE, text = BUF_NONE;                                \
                assert_int_equal(oid_parse(bytes_text(dotted), &der), 0);                                    \
                assert_true(bytes_equal(buf_view(&der), oid_##name));                                        \
                oid_add_text(&text, oid_##name);                                                             \
                assert_string_equal(buf_text(&text), dotted);                                                \
        }
#include "crypto/oids.def"
#undef OID
        static const char *const bad[] = {
                "", "1", "1.", ".1", "3.1", "1.40", "1..2", "1.2.", "1.02", "1.2.a", "1.2.18446744073709551616"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                struct buf none = BUF_NONE;
                assert_int_equal(oid_parse(bytes_text(bad[i]), &none), PROBLEM_MALFORMED);
        }
        CLEANUP(buf_done) struct buf der = BUF_NONE, text = BUF_NONE;
        assert_int_equal(oid_parse(bytes_text("2.999.9223372036854775000"), &der), 0);
        oid_add_text(&text, buf_view(&der));
        assert_string_equal(buf_text(&text), "2.999.9223372036854775000");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lengths_are_minimal),
                cmocka_unit_test(primitives_have_known_encodings),
                cmocka_unit_test(times_follow_rfc5280),
                cmocka_unit_test(wrong_encodings_are_refused),
                cmocka_unit_test(identifiers_round_trip),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
