/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"
#include "letter/bounce.h"
#include "letter/letter.h"
#include "letter/template.h"

static const struct letter plain = {
        .kind = "enroll",
        .language = "",
        .fallback = "en",
        .folder = "",
        .name = "Zoë Müller",
        .address = "zoe@example.org",
        .server = "https://keys.example.org:8443",
        .organisation = "Beispiel & Söhne",
        .begins = "J7K",
        .token = {(const uint8_t *)"ABCDEFG-2345678", 15},
        .expires = 1797000000, /* 2026-12-11 14:40 UTC */
        .from_name = "Schlüssel, \"Dienst\"",
        .from_address = "keys@example.org",
        .message_id = "7.0123456789abcdef@example.org",
        .date = 1795694400,
};

static const struct template_value values[] = {{"TOKEN", {(const uint8_t *)"<&>", 3}}, {"A-B", {(const uint8_t *)"x\r\ny", 4}}};

static void rendered_is(const char *template, bool html, const char *expected)
{
        CLEANUP(secret_done) struct secret text = SECRET_NONE;

        assert_int_equal(template_render("t", bytes_text(template), html, values, 2, &text), 0);
        assert_int_equal(text.len, strlen(expected));
        assert_memory_equal(text.data, expected, text.len);
}

static void placeholders_are_filled_and_escaped(void **state)
{
        CLEANUP(secret_done) struct secret text = SECRET_NONE;

        rendered_is("a %TOKEN% b", false, "a <&> b");
        rendered_is("a %TOKEN% b", true, "a &lt;&amp;&gt; b");
        rendered_is("%A-B%", false, "x\xef\xbf\xbd\xef\xbf\xbdy");
        rendered_is("100 %, 5%% of %, width: 100%;%", false, "100 %, 5% of %, width: 100%;%");
        rendered_is("%TOKEN", false, "%TOKEN");
        rendered_is("%token%", false, "%token%");
        rendered_is("%%TOKEN%", false, "%TOKEN%");
        assert_int_equal(template_render("t", bytes_text("a\n%TOKN%"), false, values, 2, &text), PROBLEM_CONFIGURATION);
        assert_non_null(strstr(report_text(), "t line 2: there is no placeholder %TOKN%"));
        assert_int_equal(template_render("t", bytes_text("\xff"), false, values, 2, &text), PROBLEM_CONFIGURATION);
        assert_true(template_has(bytes_text("%%%TOKEN%"), "TOKEN"));
        assert_false(template_has(bytes_text("%TOKENS%"), "TOKEN"));
}

static void dates_have_the_form_of_the_language(void **state)
{
        CLEANUP(buf_done) struct buf en = BUF_NONE, de = BUF_NONE, other = BUF_NONE;

        letter_date_add(&en, plain.expires, "en-gb");
        letter_date_add(&de, 1772460000, "de");
        letter_date_add(&other, plain.expires, "den");
        assert_string_equal(buf_text(&en), "11 December 2026, 14:40 UTC");
        assert_string_equal(buf_text(&de), "2. März 2026, 14:00 UTC");
        assert_string_equal(buf_text(&other), "2026-12-11 14:40 UTC");
}

static void languages_never_become_paths(void **state)
{
        static const char *const bad[] = {"../../etc", "de/../x", "d.e", "-de", "de\n", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                CLEANUP(buf_done) struct buf out = BUF_NONE;

                language_add(&out, bad[i]);
                assert_int_equal(out.len, 0);
        }
        CLEANUP(buf_done) struct buf out = BUF_NONE;

        language_add(&out, "de_CH");
        assert_string_equal(buf_text(&out), "de-ch");
}

static void language_is(const char *language, const char *fallback, const char *expected)
{
        CLEANUP(letter_text_done) struct letter_text text = {0};
        struct letter letter = plain;

        letter.language = language;
        letter.fallback = fallback;
        assert_int_equal(letter_render(&letter, &text), 0);
        assert_string_equal(text.language, expected);
        assert_true(text.html.len > 100);
}

static void the_nearest_language_is_taken(void **state)
{
        struct letter letter = plain;
        CLEANUP(letter_text_done) struct letter_text text = {0};

        language_is("de-CH-1996", "en", "de");
        language_is("fr", "de", "de");
        language_is("fr", "it", "en");
        language_is("", "", "en");
        letter.kind = "greeting";
        assert_int_equal(letter_render(&letter, &text), PROBLEM_NOT_FOUND);
}

static bool secret_has(const struct secret *secret, const char *text)
{
        return memmem(secret->data, secret->len, text, strlen(text)) != NULL;
}

static void every_builtin_says_what_is_needed(void **state)
{
        static const char *const kinds[] = {"enroll", "enroll-part", "recover-part"}, *const tags[] = {"en", "de"};

        for (size_t i = 0; i < ARRAY_LEN(kinds) * ARRAY_LEN(tags); i++) {
                CLEANUP(letter_text_done) struct letter_text text = {0};
                struct letter letter = plain;

                letter.kind = kinds[i / 2];
                letter.language = tags[i % 2];
                assert_int_equal(letter_render(&letter, &text), 0);
                assert_true(secret_has(&text.text, "ABCDEFG-2345678") && secret_has(&text.html, "ABCDEFG-2345678"));
                assert_true(secret_has(&text.text, plain.server) && secret_has(&text.html, plain.server));
                assert_non_null(strstr(text.subject, "Beispiel & Söhne"));
                assert_true(secret_has(&text.html, "Beispiel &amp; Söhne"));
                assert_true(secret_has(&text.text, "J7K") == (i >= 2));
                assert_null(strchr(text.subject, '%'));
        }
}

/* ---- one's own */

static int folder_make_one(void **state)
{
        char *folder = text_copy("/tmp/vouchsafe-letter-XXXXXX");

        assert_non_null(mkdtemp(folder));
        *state = folder;
        return 0;
}

static int folder_remove(void **state)
{
        CLEANUP(mem_freep) char *command = text_format("rm -rf %s", (char *)*state);

        assert_int_equal(system(command), 0);
        free(*state);
        return 0;
}

static int with_template(const char *folder, const char *content, struct letter_text *ret_text)
{
        CLEANUP(mem_freep) char *path = text_format("%s/enroll.en.txt", folder);
        struct letter letter = plain;

        letter.folder = folder;
        assert_int_equal(file_write(path, bytes_text(content), 0600), 0);
        return letter_render(&letter, ret_text);
}

static void templates_of_a_folder_come_first(void **state)
{
        static const char *const wrong[] = {"", "Hello %TOKEN%", "Subject: x\n%TOKEN%", "Subject: x", "Subject: x\n\nno token",
                                            "Subject: %TOKEN%\n\n%TOKEN%", "Subject: x\n\n%TOKEN% %NOBODY%"};
        CLEANUP(letter_text_done) struct letter_text text = {0}, again = {0};

        assert_int_equal(with_template(*state, "Subject: Hi %NAME%\r\n\r\n%TOKEN%\r\n", &text), 0);
        assert_string_equal(text.subject, "Hi Zoë Müller");
        assert_int_equal(text.html.len, 0); /* not the one that is built in */
        for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
                assert_int_equal(with_template(*state, wrong[i], &again), PROBLEM_CONFIGURATION);
                assert_non_null(strstr(report_text(), "enroll.en"));
        }
}

/* ---- messages */

static void header_lines_are(const struct secret *message, const char *name, size_t expected)
{
        const char *text = (const char *)message->data, *end = memmem(text, message->len, "\r\n\r\n", 4);
        size_t count = 0, len = strlen(name);

        assert_non_null(end);
        for (const char *line = text; line < end; line++)
                if ((line == text || line[-1] == '\n') && strncasecmp(line, name, len) == 0)
                        count++;
        assert_int_equal(count, expected);
}

#define LONG_NAME "a name that goes on and on and on and on and on and on and on and on and on and on and on and on and on"

static void names_write_no_header_lines(void **state)
{
        static const char *const names[] = {"Zoë Müller", "Last, First", "a\r\nBcc: eve@example.com", "\"quoted\" <x@y.z>",
                                            "😀 emoji", "=?utf-8?q?trick?=", "", "\n\n", LONG_NAME};

        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                CLEANUP(secret_done) struct secret message = SECRET_NONE;
                struct letter letter = plain;

                letter.name = letter.organisation = names[i];
                assert_int_equal(letter_compose(&letter, &message), 0);
                header_lines_are(&message, "Bcc:", 0);
                header_lines_are(&message, "To:", 1);
                header_lines_are(&message, "From:", 1);
                header_lines_are(&message, "Subject:", 1);
                header_lines_are(&message, "Message-Id: <7.0123456789abcdef@example.org>", 1);
                header_lines_are(&message, "Auto-Submitted: auto-generated", 1);
                header_lines_are(&message, "MIME-Version: 1.0", 1);
                assert_true(secret_has(&message, "ABCDEFG-2345678"));
                for (size_t at = 0; at < message.len; at++) {
                        assert_true(message.data[at] < 0x80);
                        if (message.data[at] == '\n')
                                assert_int_equal(message.data[at - 1], '\r');
                }
        }
}

static void an_address_is_one(void **state)
{
        CLEANUP(secret_done) struct secret message = SECRET_NONE;
        struct letter letter = plain;

        letter.address = "bob@example.org\r\nRCPT TO:<eve@example.com>";
        assert_int_equal(letter_compose(&letter, &message), PROBLEM_MALFORMED);
        letter.address = "bob@example.org, eve@example.com";
        assert_int_equal(letter_compose(&letter, &message), PROBLEM_MALFORMED);
}

/* ---- reports */

#define REPORT(status, original)                                                                                               \
        "From: MAILER-DAEMON@example.org\nMIME-Version: 1.0\nIn-Reply-To: <9.aa@example.org>\n"                                \
        "Content-Type: multipart/report; report-type=delivery-status; boundary=x\n\n--x\n\nIt failed.\n--x\n"                  \
        "Content-Type: message/delivery-status\n\n" status "\n--x\n" original "\n--x--\n"
#define STATUS                                                                                                                 \
        "Reporting-MTA: dns; mx.example.org\n\nFinal-Recipient: rfc822; bob@example.org\nAction: failed\nStatus: 5.1.1 (x)\n"  \
        "Diagnostic-Code: smtp; 550 5.1.1 <bob@example.org>:\n    User unknown\n"

static void reports_are_read(void **state)
{
        static const char *const originals[] = {"Content-Type: message/rfc822\n\nMessage-ID: <7.bb@example.org>\nSubject: x\n\nbody",
                                                "Content-Type: text/rfc822-headers\n\nSubject: x\nMESSAGE-ID:\n <7.bb@example.org>\n"};

        for (size_t i = 0; i < ARRAY_LEN(originals); i++) {
                CLEANUP(bounce_done) struct bounce bounce = {0};
                CLEANUP(mem_freep) char *text = text_format(REPORT(STATUS, "%s"), originals[i]);

                assert_int_equal(bounce_read(bytes_text(text), &bounce), 0);
                assert_string_equal(bounce.message_id, "7.bb@example.org");
                assert_string_equal(bounce.action, "failed");
                assert_string_equal(bounce.status, "5.1.1");
                assert_non_null(strstr(bounce.detail, "User unknown"));
        }
}

static void what_is_no_report_is_none(void **state)
{
        CLEANUP(bounce_done) struct bounce bounce = {0};

        assert_int_equal(bounce_read(bytes_text(REPORT(STATUS, "Content-Type: text/plain\n\nx")), &bounce), 0);
        assert_string_equal(bounce.message_id, "9.aa@example.org"); /* what it answers */
        bounce_done(&bounce);
        assert_int_equal(bounce_read(bytes_text(REPORT("Reporting-MTA: x\n", "\n")), &bounce), PROBLEM_NOT_FOUND);
        assert_int_equal(bounce_read(bytes_text("From: a@b\n\nhello"), &bounce), PROBLEM_NOT_FOUND);
        assert_int_equal(bounce_read(BYTES_NONE, &bounce), PROBLEM_NOT_FOUND);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(placeholders_are_filled_and_escaped),
                cmocka_unit_test(dates_have_the_form_of_the_language),
                cmocka_unit_test(languages_never_become_paths),
                cmocka_unit_test(the_nearest_language_is_taken),
                cmocka_unit_test(every_builtin_says_what_is_needed),
                cmocka_unit_test_setup_teardown(templates_of_a_folder_come_first, folder_make_one, folder_remove),
                cmocka_unit_test(names_write_no_header_lines),
                cmocka_unit_test(an_address_is_one),
                cmocka_unit_test(reports_are_read),
                cmocka_unit_test(what_is_no_report_is_none),
        };

        setenv("TZ", "UTC", 1);
        tzset();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
