/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/text.h"
#include "mail/base64.h"

static void feed(struct sink *sink, struct bytes data, size_t piece)
{
        for (size_t at = 0; at < data.len; at += piece)
                assert_int_equal(sink_write(sink, data.data + at, MIN(piece, data.len - at)), 0);
        assert_int_equal(sink_finish(sink), 0);
}

static struct buf filtered(enum line_ends mode, struct bytes data, size_t piece)
{
        struct buf_sink out;
        struct line_filter filter;

        buf_sink_init(&out, 1 << 24);
        line_filter_init(&filter, mode, &out.sink);
        feed(&filter.sink, data, piece);
        line_filter_done(&filter);
        return out.buf;
}

static void lines_become(void **state)
{
        static const struct {
                enum line_ends mode;
                const char *in, *out;
        } cases[] = {
                {LINE_ENDS_COMPLETE, "a\nb\r\nc\r\r\n\nd", "a\r\nb\r\nc\r\r\n\r\nd"},
                {LINE_ENDS_ADD_ALL, "a\nb\r\n\n", "a\r\nb\r\r\n\r\n"},
                {LINE_ENDS_STRIP, "a\r\nb\r\r\n\r\nc\nd\r", "a\nb\r\n\nc\nd\r"},
                {LINE_ENDS_ADD_ALL, "x\ncontent-transfer-encoding:  BINARY\na\nb\n",
                 "x\r\ncontent-transfer-encoding:  BINARY\r\na\nb\n"},
                {LINE_ENDS_STRIP, "x\r\nContent-Transfer-Encoding: binary\r\na\r\nb\n",
                 "x\nContent-Transfer-Encoding: binary\na\r\nb\n"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(cases); i++)
                for (size_t piece = 1; piece < 64; piece++) {
                        CLEANUP(buf_done) struct buf out = filtered(cases[i].mode, bytes_text(cases[i].in), piece);

                        assert_string_equal(buf_text(&out), cases[i].out);
                }
}

static void lines_are_restored(void **state)
{
        static const char *const words[] = {"\n", "\r\n", "\r", "text", "Content-Transfer-Encoding: binary", "\r\r\n", "c"};

        (void)state;
        srand(1);
        for (int round = 0; round < 2000; round++) {
                CLEANUP(buf_done) struct buf in = BUF_NONE, there = BUF_NONE, back = BUF_NONE;

                for (int i = rand() % 30; i > 0; i--)
                        buf_add_text(&in, words[(size_t)rand() % ARRAY_LEN(words)]);
                there = filtered(LINE_ENDS_ADD_ALL, buf_view(&in), 1 + (size_t)rand() % 20);
                back = filtered(LINE_ENDS_STRIP, buf_view(&there), 1 + (size_t)rand() % 20);
                assert_true(bytes_equal(buf_view(&in), buf_view(&back)));
        }
}

static struct buf encoded(struct bytes data, size_t piece)
{
        struct buf_sink out;
        struct base64_encoder encoder;

        buf_sink_init(&out, 1 << 24);
        base64_encoder_init(&encoder, false, &out.sink);
        feed(&encoder.sink, data, piece);
        base64_encoder_done(&encoder);
        return out.buf;
}

static struct buf decoded(struct bytes data, size_t piece, bool *ret_bad)
{
        struct buf_sink out;
        struct base64_decoder decoder;

        buf_sink_init(&out, 1 << 24);
        base64_decoder_init(&decoder, &out.sink);
        feed(&decoder.sink, data, piece);
        *ret_bad = decoder.bad;
        base64_decoder_done(&decoder);
        return out.buf;
}

static void base64_roundtrip(bool portable)
{
        uint8_t data[1000];
        bool bad;

        base64_use_portable(portable);
        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (uint8_t)rand();
        for (size_t len = 0; len < sizeof(data); len++) {
                CLEANUP(buf_done) struct buf text = encoded(bytes_of(data, len), 1 + (size_t)rand() % 200);
                CLEANUP(buf_done) struct buf plain = BUF_NONE, expected = BUF_NONE, flat = BUF_NONE;

                base64_add(&expected, bytes_of(data, len));
                for (size_t i = 0; i < text.len; i++)
                        if (text.data[i] != '\n')
                                buf_add_byte(&flat, text.data[i]);
                        else
                                assert_true(i % 65 == 64 || i == text.len - 1);
                assert_true(bytes_equal(buf_view(&expected), buf_view(&flat)));
                plain = decoded(buf_view(&text), 1 + (size_t)rand() % 200, &bad);
                assert_false(bad);
                assert_true(bytes_equal(buf_view(&plain), bytes_of(data, len)));
        }
        base64_use_portable(false);
}

static void base64_goes_there_and_back(void **state)
{
        (void)state;
        base64_roundtrip(false);
        base64_roundtrip(true);
}

static void base64_stops_at_strange_characters(void **state)
{
        bool bad;

        (void)state;
        for (int c = 0; c < 256; c++)
                for (size_t at = 0; at < 32; at++) {
                        uint8_t text[] = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2";
                        bool space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
                        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
                        struct buf out;

                        text[at] = (uint8_t)c;
                        out = decoded(bytes_of(text, 64), 64, &bad);
                        assert_int_equal(bad, !letter);
                        if (space)
                                assert_int_equal(out.len, 45); /* 63 characters: cut off */
                        buf_done(&out);
                }
}

static void base64_padding_ends_it(void **state)
{
        static const struct {
                const char *in;
                const char *out;
                bool bad;
        } cases[] = {
                {"QQ==", "A", false}, {"QQ==\r\n \n", "A", false}, {"QUI=", "AB", false}, {"QQ=", "", true}, {"Q===", "", true},
                {"QQ==QQ==", "A", true}, {"QQ==\n-- \nlist", "A", true}, {"QUJD\nlist_", "ABC\x96\x2b\x2d", true}, {"", "", false},
                {"QU JD\n", "ABC", false},
        };
        bool bad;

        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(cases); i++)
                for (size_t piece = 1; piece < 12; piece++) {
                        CLEANUP(buf_done) struct buf out = decoded(bytes_text(cases[i].in), piece, &bad);

                        assert_int_equal(bad, cases[i].bad);
                        assert_string_equal(buf_text(&out), cases[i].out);
                }
}

static void spool_gives_back(size_t size)
{
        CLEANUP(mem_freep) uint8_t *data = mem_array(size + 1, 1);
        struct spool spool;
        struct buf_sink out;

        for (size_t i = 0; i < size; i++)
                data[i] = (uint8_t)rand();
        spool_init(&spool, "/tmp");
        for (size_t at = 0; at < size; at += 77777)
                assert_int_equal(sink_write(&spool.sink, data + at, MIN((size_t)77777, size - at)), 0);
        for (int i = 0; i < 2; i++) {
                buf_sink_init(&out, 1 << 24);
                assert_int_equal(spool_replay(&spool, &out.sink), 0);
                assert_true(bytes_equal(buf_view(&out.buf), bytes_of(data, size)));
                buf_sink_done(&out);
        }
        spool_done(&spool);
}

static void spool_keeps_content(void **state)
{
        (void)state;
        spool_gives_back(0);
        spool_gives_back(1000);
        spool_gives_back(5000000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lines_become),
                cmocka_unit_test(lines_are_restored),
                cmocka_unit_test(base64_goes_there_and_back),
                cmocka_unit_test(base64_stops_at_strange_characters),
                cmocka_unit_test(base64_padding_ends_it),
                cmocka_unit_test(spool_keeps_content),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
