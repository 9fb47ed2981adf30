/* SPDX-License-Identifier: Apache-2.0 */
/* Headers, multiparts, structure and CMS, in pieces of every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "crypto/der.h"
#include "crypto/oid.h"
#include "mail/cms-read.h"
#include "mail/header.h"
#include "mail/multipart.h"
#include "mail/structure.h"

static int feed(struct sink *sink, struct bytes data, size_t piece)
{
        for (size_t at = 0; at < data.len; at += piece)
                TRY(sink_write(sink, data.data + at, MIN(piece, data.len - at)));
        return PASS(sink_finish(sink));
}

/* ---- headers */

static struct header parsed(const char *text)
{
        struct buf block = buf_copy_of(bytes_text(text));
        struct header header;

        assert_int_equal(header_parse(&block, false, &header), 0);
        return header;
}

static void header_is_cut_off(void **state)
{
        static const char text[] = "A: 1\r\n x\r\nB: 2\r\n\r\nbody";

        (void)state;
        for (size_t piece = 1; piece < sizeof(text); piece++) {
                CLEANUP(header_cutter_done) struct header_cutter cutter = {0};
                size_t used = 0, total = 0;

                for (size_t at = 0; at < sizeof(text) - 1 && !cutter.complete; at += piece) {
                        assert_int_equal(header_cutter_feed(&cutter, bytes_of(text + at, MIN(piece, sizeof(text) - 1 - at)), &used), 0);
                        total += used;
                }
                assert_true(cutter.complete);
                assert_int_equal(total, sizeof(text) - 1 - 4);
                assert_string_equal(buf_text(&cutter.block), "A: 1\r\n x\r\nB: 2\r\n");
                assert_string_equal(buf_text(&cutter.separator), "\r\n");
        }
}

static void fields_are_found(void **state)
{
        struct header header = parsed("From a@b Mon\nfrom: <x@y.example>\nFROM : z@y.example\nSubject: a\n b\nno field\nContent-type: text/html\n");
        size_t count;
        CLEANUP(mem_freep) char *subject = NULL;

        (void)state;
        assert_int_equal(header.count, 6);
        assert_int_equal(header.strange, 2);
        assert_non_null(header_find(&header, "From", &count));
        assert_int_equal(count, 2);
        subject = header_value(header_find(&header, "subject", &count));
        assert_string_equal(subject, "a b");
        assert_true(header_field_is_content(header_find(&header, "Content-Type", NULL)));
        assert_false(header.crlf);
        header_done(&header);
}

static void content_is_understood(void **state)
{
        static const struct {
                const char *header;
                const char *type, *encoding;
                bool is_pkcs7, is_signed, ambiguous;
        } cases[] = {
                {"", "text/plain", "7bit", false, false, false},
                {"Content-Type: APPLICATION/PKCS7-MIME; smime-type=Signed-Data\nContent-Transfer-Encoding: BASE64 (x)\n", "application/pkcs7-mime",
                 "base64", true, false, false},
                {"Content-Type: application/octet-stream; name=\"smime.p7m\"\n", "application/octet-stream", "7bit", true, false, false},
                {"Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=x.P7M\n", "application/octet-stream", "7bit", true,
                 false, false},
                {"Content-Type: multipart/signed; protocol=\"application/x-pkcs7-signature\"; boundary=x\n", "multipart/signed", "7bit", false, true,
                 false},
                {"Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=x\n", "multipart/signed", "7bit", false, false,
                 false},
                {"Content-Type: multipart/mixed; boundary=x;\n boundary=y\n", "multipart/mixed", "7bit", false, false, true},
                {"Content-Type: application/pdf; name=my multipart.pdf\n", "application/pdf", "7bit", false, false, false},
                {"Content-Type: (;) multipart/mixed; boundary=x\n", "multipart/mixed", "7bit", false, false, true},
                {"Content-Type: text/plain\ncontent-type : text/html\n", "text/plain", "7bit", false, false, true},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                struct header header = parsed(cases[i].header);
                struct content content;

                content_parse(&header, &content);
                assert_string_equal(content.type, cases[i].type);
                assert_string_equal(content.encoding, cases[i].encoding);
                assert_int_equal(content_is_pkcs7(&content), cases[i].is_pkcs7);
                assert_int_equal(content_is_signed(&content), cases[i].is_signed);
                assert_int_equal(content.ambiguous, cases[i].ambiguous);
                content_done(&content);
                header_done(&header);
        }
}

static void mailboxes_are_read(void **state)
{
        struct header header = parsed("From: \"ceo@bank.example\" <mallory@evil.example>, Team: a@x.example, B <b@X.example>;\n"
                                      "Sender: =?utf-8?q?Zo=C3=AB?= <zoe@example.org>\n");
        struct mailboxes from, sender;

        (void)state;
        mailboxes_parse(header_find(&header, "From", NULL), &from);
        mailboxes_parse(header_find(&header, "Sender", NULL), &sender);
        assert_int_equal(from.count, 3);
        assert_string_equal(from.keys[0], "mallory@evil.example");
        assert_string_equal(from.keys[2], "b@x.example");
        assert_non_null(from.deceiving);
        assert_int_equal(sender.count, 1);
        assert_null(sender.deceiving);
        mailboxes_done(&from);
        mailboxes_done(&sender);
        header_done(&header);
}

static void other_addresses_are_told_from_the_own(void **state)
{
        static const struct {
                const char *from;
                bool deceiving;
        } cases[] = {
                {"Anna <anna@xn--strae-oqa.de>", false}, /* straße.de */
                {"\"anna@straße.de\" <anna@xn--strae-oqa.de>", false},
                {"\"anna@xn--strae-oqa.de\" <anna@straße.de>", false},
                {"\"anna@strasse.de\" <anna@xn--strae-oqa.de>", true},
                {"anna@xn--3xa.example", false}, /* ς */
                {"anna@xn--mgba3gch31f060k.com", false}, /* with a ZWNJ */
                {"\xe2\x9d\xa4\xef\xb8\x8f@xn--bcher-kva.example", false},
                {"zoe\xcc\x88@xn--bcher-kva.example", false},
                {"\"Anna@Work…\" <anna@example.org>", false},
                {"\"Anna@Work...\" <anna@example.org>", false},
                {"\"ceo@bank..example\" <anna@example.org>", true},
                {"\"ceo@bank。example\" <anna@example.org>", true},
                {"\"ceo@bank.中国\" <anna@example.org>", true},
                {"Liam <o'neil@example.org>", false},
                {"\"'o'neil@example.org'\" <o'neil@xn--bcher-kva.example>", true},
                {"\"'o'neil@bücher.example'\" <o'neil@xn--bcher-kva.example>", false},
                {"\"neil@example.org\" <o'neil@example.org>", true},
                {"\"bob'neil@example.org\" <neil@example.org>", false}, /* quoted */
                {"\"ceo@bank.example'@evil.example\" <ceo'@evil.example>", true},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                CLEANUP(mem_freep) char *text = text_format("From: %s\n", cases[i].from);
                struct header header = parsed(text);
                struct mailboxes from;

                mailboxes_parse(header_find(&header, "From", NULL), &from);
                assert_int_equal(from.count, 1);
                assert_non_null(from.keys[0]);
                if ((from.deceiving != NULL) != cases[i].deceiving)
                        fail_msg("%s: %s", cases[i].from, from.deceiving ? from.deceiving : "nothing");
                mailboxes_done(&from);
                header_done(&header);
        }
}

/* GMime would go into groups inside groups by recursion, as deep as there is stack. */
static void long_fields_are_bounded(void **state)
{
        CLEANUP(buf_done) struct buf text = buf_copy_of(bytes_text("From: "));
        struct mailboxes from;
        struct header header;

        (void)state;
        for (int i = 0; i < 400000; i++)
                buf_add_text(&text, "a:");
        assert_int_equal(header_parse(&text, false, &header), 0);
        mailboxes_parse(header_find(&header, "From", NULL), &from);
        assert_int_equal(from.count, 0);
        mailboxes_done(&from);
        header_done(&header);
}

/* ---- multiparts */

struct parts {
        struct splitter splitter;
        struct buf_sink items[8];
        unsigned count;
};

static int parts_part(void *context, unsigned index, struct sink **ret_sink)
{
        struct parts *parts = context;

        assert_int_equal(index, parts->count);
        assert_in_range(index, 0, 7);
        buf_sink_init(&parts->items[index], 10000);
        parts->count++;
        *ret_sink = &parts->items[index].sink;
        return 0;
}

static void parts_are_split(void **state)
{
        static const struct {
                const char *in;
                const char *parts[4];
                bool closed, outside;
        } cases[] = {
                {"--b\none\n--b\ntwo\n\n--b--\n", {"one", "two\n"}, true, false},
                {"pre\r\n--b\r\none\r\n--b \t\r\ntwo\r\n--b--\r\npost", {"one", "two"}, true, true},
                {"--b\n--bx\n--\n-\n--b y\n--b--", {"--bx\n--\n-\n--b y"}, true, false},
                {"--b\none", {"one"}, false, false},
                {"--b\n\r\n\r\n--b--\n--b\nno\n", {"\r\n"}, true, true},
                {"--b\n--b\n--b--\n", {"", ""}, true, false},
                {"--b\na\r\r\n--b--", {"a\r"}, true, false},
                {"", {NULL}, false, false},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(cases); i++)
                for (size_t piece = 1; piece < 60; piece++) {
                        struct parts parts = {0};

                        splitter_init(&parts.splitter, "b", parts_part, &parts);
                        assert_int_equal(feed(&parts.splitter.sink, bytes_text(cases[i].in), piece), 0);
                        for (unsigned j = 0; j < parts.count; j++) {
                                assert_non_null(cases[i].parts[j]);
                                assert_string_equal(buf_text(&parts.items[j].buf), cases[i].parts[j]);
                                buf_sink_done(&parts.items[j]);
                        }
                        assert_null(cases[i].parts[parts.count]);
                        assert_int_equal(parts.splitter.closed, cases[i].closed);
                        assert_int_equal(parts.splitter.text_outside, cases[i].outside);
                        splitter_done(&parts.splitter);
                }
}

static void structure_is_seen(void **state)
{
        static const struct {
                const char *header, *body;
                bool wrapped_signed, wrapped_encrypted, attached;
        } cases[] = {
                {"Content-Type: multipart/mixed; boundary=b\n",
                 "--b\n\nhi\n--b\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nx\n--b--\n", false, true, false},
                {"Content-Type: multipart/mixed; boundary=b\n",
                 "--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\nContent-Type: multipart/signed; boundary=d\n\n--d\n--c--\n--b--\n", true,
                 false, false},
                {"Content-Type: multipart/mixed; boundary=b\n",
                 "--b\nContent-Type: message/rfc822\n\nFrom: x\nContent-Type: application/pkcs7-mime\n\nx\n--b\n\ny\n--b--\n", false, false, true},
                {"Content-Type: multipart/mixed; boundary=b\n",
                 "--b\nX: y\n--b\nContent-Type: application/x-pkcs7-mime; smime-type=signed-data\n\nx\n--b--\n", true, false, false},
                {"Content-Type: multipart/mixed; boundary=b\n",
                 "--b\nContent-Type: message/rfc822\n\nX: y\n\nz\n--b\nContent-Type: application/pkcs7-mime\n\nx\n--b--\n", false, true, false},
                {"Content-Type: text/plain\n", "--b\nContent-Type: application/pkcs7-mime\n\nx\n", false, false, false},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(cases); i++)
                for (size_t piece = 1; piece < 60; piece++) {
                        struct header header = parsed(cases[i].header);
                        struct content content;
                        struct structure structure;

                        content_parse(&header, &content);
                        structure_init(&structure, &content);
                        assert_int_equal(structure_is_wanted(&structure), content_is_multipart(&content));
                        assert_int_equal(feed(&structure.sink, bytes_text(cases[i].body), piece), 0);
                        assert_int_equal(structure.wrapped_signed, cases[i].wrapped_signed);
                        assert_int_equal(structure.wrapped_encrypted, cases[i].wrapped_encrypted);
                        assert_int_equal(structure.attached_secured, cases[i].attached);
                        structure_done(&structure);
                        content_done(&content);
                        header_done(&header);
                }
}

/* ---- CMS */

static const uint8_t indefinite[] = {
        0x30, 0x80, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02, 0xa0, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01,
        0x31, 0x80, 0x30, 0x03, 0x06, 0x01, 0x2a, 0x00, 0x00,                                     /* digests, indefinite */
        0x30, 0x80, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01, 0xa0, 0x80, /* id-data */
        0x24, 0x80, 0x04, 0x02, 'a',  'b',  0x24, 0x04, 0x04, 0x02, 'c',  'd',  0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x31, 0x80, 0x24, 0x80, 0x04, 0x01, 'x',  0x04, 0x01, 'y',  0x00, 0x00, 0x00, 0x00,       /* an octet string in parts */
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

static int cms_feed(struct cms_reader *reader, struct buf_sink *content, struct bytes data, size_t piece)
{
        cms_reader_init(reader, NULL, NULL);
        buf_sink_init(content, 10000);
        reader->content = &content->sink;
        TRY(feed(&reader->sink, data, piece));
        return cms_reader_check(reader);
}

static void cms_is_read_in_pieces(void **state)
{
        static const uint8_t digests[] = {0x31, 0x05, 0x30, 0x03, 0x06, 0x01, 0x2a}, signers[] = {0x31, 0x04, 0x04, 0x02, 'x', 'y'};
        struct bytes data = bytes_of(indefinite, sizeof(indefinite));

        (void)state;
        for (size_t piece = 1; piece <= sizeof(indefinite); piece++) {
                struct cms_reader reader;
                struct buf_sink content;

                assert_int_equal(cms_feed(&reader, &content, data, piece), 0);
                assert_int_equal(reader.kind, CMS_SIGNED);
                assert_string_equal(buf_text(&content.buf), "abcd");
                assert_true(bytes_equal(buf_view(&reader.fields[CMS_DIGESTS]), bytes_of(digests, sizeof(digests))));
                assert_true(bytes_equal(buf_view(&reader.fields[CMS_SIGNERS]), bytes_of(signers, sizeof(signers))));
                cms_reader_done(&reader);
                buf_sink_done(&content);
        }
}

static void cms_that_is_cut_or_changed_is_refused(void **state)
{
        (void)state;
        for (size_t len = 0; len < sizeof(indefinite); len++) {
                struct cms_reader reader;
                struct buf_sink content;

                assert_int_equal(cms_feed(&reader, &content, bytes_of(indefinite, len), 7), PROBLEM_MALFORMED);
                cms_reader_done(&reader);
                buf_sink_done(&content);
        }
        for (size_t at = 0; at < sizeof(indefinite); at++)
                for (int byte = 0; byte < 256; byte++) { /* must not crash, nor run out of its limits */
                        CLEANUP(buf_done) struct buf data = buf_copy_of(bytes_of(indefinite, sizeof(indefinite)));
                        struct cms_reader reader;
                        struct buf_sink content;
                        int result;

                        data.data[at] = (uint8_t)byte;
                        result = cms_feed(&reader, &content, buf_view(&data), 5);
                        assert_true(result == 0 || result == PROBLEM_MALFORMED || result == PROBLEM_UNSUPPORTED || result == PROBLEM_TOO_LARGE);
                        cms_reader_done(&reader);
                        buf_sink_done(&content);
                }
}

static void deep_nesting_is_refused(void **state)
{
        CLEANUP(buf_done) struct buf data = buf_copy_of(bytes_of(indefinite, 41));
        struct cms_reader reader;
        struct buf_sink content;

        (void)state;
        for (int i = 0; i < 100000; i++)
                buf_add(&data, "\x24\x80", 2);
        assert_int_equal(cms_feed(&reader, &content, buf_view(&data), 1000), PROBLEM_MALFORMED);
        cms_reader_done(&reader);
        buf_sink_done(&content);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(header_is_cut_off),
                cmocka_unit_test(fields_are_found),
                cmocka_unit_test(content_is_understood),
                cmocka_unit_test(mailboxes_are_read),
                cmocka_unit_test(other_addresses_are_told_from_the_own),
                cmocka_unit_test(long_fields_are_bounded),
                cmocka_unit_test(parts_are_split),
                cmocka_unit_test(structure_is_seen),
                cmocka_unit_test(cms_is_read_in_pieces),
                cmocka_unit_test(cms_that_is_cut_or_changed_is_refused),
                cmocka_unit_test(deep_nesting_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
