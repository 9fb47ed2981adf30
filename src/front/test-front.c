/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/mem.h"
#include "front/documents.h"
#include "front/metrics.h"
#include "net/peers.h"
#include "front/strict.h"

#define TEXT(s) bytes_of(s, sizeof(s) - 1)

/* ---- strict ---- */

struct lines {
        char memory[512];
        struct strict_request request;
};

/*
 * Parse a header section as libmicrohttpd does, where it lies: it ends lines at CR LF and, as 0.9 does, at a bare LF,
 * puts 0 in place of what separates, and moves folded lines up.
 */
static void parse(struct lines *lines, const char *text, size_t len)
{
        char *at = lines->memory, *end;

        *lines = (struct lines){0};
        memcpy(lines->memory, text, len);
        lines->request.method = at;
        lines->request.section_len = len;
        at = strchr(at, ' ');
        *at++ = 0;
        end = strchr(at, ' ');
        lines->request.target = bytes_of(at, (size_t)(end - at));
        *end = 0;
        at = end + 1;
        lines->request.version = at;
        while (at) {
                char *line = at, *colon;

                at = strchr(at, '\n');
                if (!at)
                        break;
                if (at > line && at[-1] == '\r')
                        at[-1] = 0;
                *at++ = 0;
                if (line == lines->request.version || !*line)
                        continue;
                colon = strchr(line, ':');
                *colon = 0;
                for (colon++; *colon == ' '; colon++)
                        ;
                lines->request.headers[lines->request.header_count++] =
                        (struct strict_header){line, colon, strlen(line), strlen(colon)};
        }
}

static int check(const char *text, size_t len)
{
        struct lines lines;

        parse(&lines, text, len);
        return strict_check(&lines.request);
}
#define CHECK(text) check(text, sizeof(text) - 1)

static void plain_requests_pass(void **state)
{
        assert_int_equal(CHECK("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 0);
        assert_int_equal(CHECK("GET /a?b=%20c HTTP/1.0\r\n\r\n"), 0);
        assert_int_equal(CHECK("POST /a HTTP/1.1\r\nHost:x\r\nContent-Length:   12\r\nX-Empty:\r\n\r\n"), 0);
}

static void what_has_two_meanings_is_refused(void **state)
{
        assert_int_equal(CHECK("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n"),
                         PROBLEM_LENGTH_REQUIRED);
        assert_int_equal(CHECK("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n"),
                         PROBLEM_LENGTH_REQUIRED);
        assert_int_equal(CHECK("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n"),
                         PROBLEM_MALFORMED);
        assert_int_equal(CHECK("POST / HTTP/1.1\r\nHost: x\r\ncontent-length: 3, 3\r\n\r\n"), PROBLEM_MALFORMED);
        assert_int_equal(CHECK("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\n"), PROBLEM_MALFORMED);
        assert_int_equal(CHECK("POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n"), PROBLEM_MALFORMED);
        assert_int_equal(CHECK("POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\n"), PROBLEM_MALFORMED);
        assert_int_equal(CHECK("GET / HTTP/1.1\r\n\r\n"), PROBLEM_MALFORMED);
        assert_int_equal(CHECK("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"), PROBLEM_MALFORMED);
        assert_int_equal(CHECK("GET / HTTP/1.1\r\nHost: x, y\r\n\r\n"), PROBLEM_MALFORMED);
        assert_int_equal(CHECK("GET / HTTP/1.9\r\nHost: x\r\n\r\n"), PROBLEM_MALFORMED);
        assert_int_equal(CHECK("GET / HTTP/2.0\r\nHost: x\r\n\r\n"), PROBLEM_MALFORMED);
        assert_int_equal(CHECK("GET / http/1.1\r\nHost: x\r\n\r\n"), PROBLEM_MALFORMED);
        assert_int_equal(CHECK("G(T / HTTP/1.1\r\nHost: x\r\n\r\n"), PROBLEM_MALFORMED);
        assert_int_equal(CHECK("GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n"), PROBLEM_MALFORMED);
        assert_int_equal(CHECK("GET /\xc3\xab HTTP/1.1\r\nHost: x\r\n\r\n"), PROBLEM_MALFORMED);
        assert_int_equal(CHECK("GET / HTTP/1.1\r\nHost: x\r\nX: a\x01\r\n\r\n"), PROBLEM_MALFORMED);
}

static void what_does_not_fit_its_bytes_is_refused(void **state)
{
        assert_int_equal(CHECK("GET / HTTP/1.1\nHost: x\r\n\r\n"), PROBLEM_MALFORMED);
        assert_int_equal(CHECK("GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n"), PROBLEM_MALFORMED);
        assert_int_equal(CHECK("GET / HTTP/1.1\r\nHost: x\n\r\n"), PROBLEM_MALFORMED);
        assert_int_equal(CHECK("GET / HTTP/1.1\r\nHost: x\r\n\n"), PROBLEM_MALFORMED);
        assert_int_equal(CHECK("GET / HTTP/1.1\r\nHost: x\n\n"), PROBLEM_MALFORMED);
        assert_int_equal(CHECK("GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n"), PROBLEM_MALFORMED);
        assert_int_equal(CHECK("GET / HTTP/1.1\r\nHost: x\r\nX: a\0\0b: c\r\n\r\n"), PROBLEM_MALFORMED);
}

/* As 0.9 makes of "X: a CR LF b": the name grows by what is folded. */
static void folded_lines_are_refused(void **state)
{
        static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b:\r\n\r\n";
        struct lines lines;

        parse(&lines, text, sizeof(text) - 1);
        lines.request.header_count = 2;
        memcpy((char *)(uintptr_t)lines.request.headers[1].name, "Xb", 3);
        lines.request.headers[1].name_len = 2;
        assert_int_equal(strict_check(&lines.request), PROBLEM_MALFORMED);
}

/* ---- documents ---- */

static void documents_are_replaced_and_withdrawn(void **state)
{
        struct documents documents;
        MSG_OWN(publish) publish = {.path = text_copy("/pki/a.crl"), .modified = 1000000000, .expires = 2000000000};
        struct document *first;

        documents_init(&documents);
        buf_add_text(&publish.content, "one");
        assert_int_equal(documents_put(&documents, &publish), 0);
        first = document_ref(documents_find(&documents, TEXT("/pki/a.crl?x")));
        buf_add_text(&publish.content, "two");
        assert_int_equal(documents_put(&documents, &publish), 0);
        assert_string_equal(buf_text(&first->content), "one");
        assert_string_not_equal(first->etag, documents_find(&documents, TEXT("/pki/a.crl"))->etag);
        assert_int_equal(documents_put(&documents, &publish), 0); /* empty */
        assert_null(documents_find(&documents, TEXT("/pki/a.crl")));
        document_unref(first);
        free(publish.path);
        publish.path = text_copy("pki");
        assert_int_equal(documents_put(&documents, &publish), PROBLEM_MALFORMED);
        documents_done(&documents);
}

static void what_the_client_has_is_compared(void **state)
{
        struct document document = {.etag = "\"0011223344556677\"", .modified = 1000000000, .expires = 1000000100};

        assert_true(document_is_current(&document, TEXT("\"0011223344556677\""), BYTES_NONE));
        assert_true(document_is_current(&document, TEXT("W/\"a\", W/\"0011223344556677\""), BYTES_NONE));
        assert_true(document_is_current(&document, TEXT("*"), BYTES_NONE));
        assert_false(document_is_current(&document, TEXT("\"a\""), TEXT("Sun, 09 Sep 2001 01:46:40 GMT")));
        assert_true(document_is_current(&document, BYTES_NONE, TEXT("Sun, 09 Sep 2001 01:46:40 GMT")));
        assert_false(document_is_current(&document, BYTES_NONE, TEXT("Sun, 09 Sep 2001 01:46:39 GMT")));
        assert_false(document_is_current(&document, BYTES_NONE, TEXT("Sunday, 09-Sep-01 01:46:40 GMT")));
        assert_int_equal(document_max_age(&document, 1000000098), 2);
        assert_int_equal(document_max_age(&document, 1000000200), 0);
        assert_int_equal(document_max_age(&document, 1000000000), 5);
}

static void http_dates_have_one_form(void **state)
{
        char text[HTTP_DATE_SIZE];

        assert_string_equal(http_date(784111777, text), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_int_equal(http_date_parse(TEXT("Sun, 06 Nov 1994 08:49:37 GMT")), 784111777);
        assert_int_equal(http_date_parse(TEXT("Mon, 06 Nov 1994 08:49:37 GMT")), -1);
        assert_int_equal(http_date_parse(TEXT("Sun, 06 Nov 1994 08:49:61 GMT")), -1);
        assert_int_equal(http_date_parse(TEXT("Sun, 06 Nov 1994 8:49:37  GMT")), -1);
        assert_int_equal(http_date_parse(BYTES_NONE), -1);
        for (int64_t t = 0; t < INT64_C(8000000000); t += 86399 * 97) {
                http_date(t, text);
                assert_int_equal(http_date_parse(bytes_text(text)), t);
        }
}

/* ---- peers ---- */

static struct sockaddr_storage address(const char *text)
{
        struct sockaddr_storage storage = {0};
        struct sockaddr_in *four = (struct sockaddr_in *)&storage;
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)&storage;

        storage.ss_family = strchr(text, ':') ? AF_INET6 : AF_INET;
        assert_int_equal(
                inet_pton(storage.ss_family, text, strchr(text, ':') ? (void *)&six->sin6_addr : &four->sin_addr), 1);
        return storage;
}

static struct peer *enter(struct peers *peers, const char *text, size_t limit)
{
        struct sockaddr_storage storage = address(text);

        return peers_enter(peers, (struct sockaddr *)&storage, limit);
}

static void peers_are_counted_by_network(void **state)
{
        struct peers peers;
        struct peer *a, *b, *c;

        peers_init(&peers);
        a = enter(&peers, "192.0.2.1", 2);
        b = enter(&peers, "::ffff:192.0.2.1", 2);
        assert_ptr_equal(a, b);
        assert_null(enter(&peers, "192.0.2.1", 2));
        c = enter(&peers, "192.0.2.2", 2);
        assert_ptr_not_equal(a, c);
        peers_leave(a);
        assert_ptr_equal(enter(&peers, "192.0.2.1", 2), a);
        assert_non_null(enter(&peers, "2001:db8::1", 1));
        assert_null(enter(&peers, "2001:db8::ffff:1", 1));
        assert_non_null(enter(&peers, "2001:db8:0:1::1", 1));
        peers_done(&peers);
}

static void addresses_have_one_text(void **state)
{
        struct sockaddr_storage storage = address("::ffff:192.0.2.1");
        char text[PEER_TEXT_SIZE];

        assert_string_equal(peer_text((struct sockaddr *)&storage, text), "192.0.2.1");
        storage = address("2001:DB8:0::1");
        assert_string_equal(peer_text((struct sockaddr *)&storage, text), "2001:db8::1");
}

/* ---- metrics ---- */

static void metrics_are_counted_by_bucket(void **state)
{
        struct metrics metrics = {0};
        CLEANUP(buf_done) struct buf text = BUF_NONE;

        metrics_latency(&metrics, 0.0004);
        metrics_latency(&metrics, 100);
        metrics_request(&metrics, 0, 200);
        metrics_request(&metrics, 9999, 404);
        metrics_add(&metrics, 3, true, &text);
        assert_non_null(strstr(buf_text(&text), "le=\"0.0005\"} 1\n"));
        assert_non_null(strstr(buf_text(&text), "le=\"10\"} 1\n"));
        assert_non_null(strstr(buf_text(&text), "le=\"+Inf\"} 2\n"));
        assert_non_null(strstr(buf_text(&text), "request=\"status\",status=\"2xx\"} 1\n"));
        assert_non_null(strstr(buf_text(&text), "request=\"other\",status=\"4xx\"} 1\n"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(plain_requests_pass),
                cmocka_unit_test(what_has_two_meanings_is_refused),
                cmocka_unit_test(what_does_not_fit_its_bytes_is_refused),
                cmocka_unit_test(folded_lines_are_refused),
                cmocka_unit_test(documents_are_replaced_and_withdrawn),
                cmocka_unit_test(what_the_client_has_is_compared),
                cmocka_unit_test(http_dates_have_one_form),
                cmocka_unit_test(peers_are_counted_by_network),
                cmocka_unit_test(addresses_have_one_text),
                cmocka_unit_test(metrics_are_counted_by_bucket),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
