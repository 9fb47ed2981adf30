/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/dn.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"

#define TEXT(s) bytes_of(s, sizeof(s) - 1)

static void problems_have_distinct_codes(void **state)
{
        for (int i = 1; i < PROBLEM_COUNT; i++) {
                assert_int_equal(problem_from_code(problem_info(i)->code), i);
                for (int k = 1; k < i; k++)
                        assert_int_not_equal(problem_info(i)->exit_code, problem_info(k)->exit_code);
                assert_true(problem_info(i)->exit_code != EXIT_FAULT && problem_info(i)->exit_code < 126);
        }
        assert_int_equal(result_exit_code(0), 0);
        assert_int_equal(result_exit_code(-5), EXIT_FAULT);
        assert_int_equal(result_exit_code(9999), EXIT_FAULT);
}

static void reports_carry_no_control_characters(void **state)
{
        assert_int_equal(refuse(PROBLEM_MALFORMED, "a\nb\x1b[1m\xff"), PROBLEM_MALFORMED);
        assert_string_equal(report_text(), "a\xef\xbf\xbd" "b\xef\xbf\xbd[1m\xef\xbf\xbd");
        assert_int_equal(report_prefix(7, "line %d: ", 3), 7);
        assert_true(strncmp(report_text(), "line 3: a", 9) == 0);
}

static void numbers_are_big_endian(void **state)
{
        static const uint8_t bytes[8] = {0x81, 0x02, 0, 0, 0, 0, 0xfe, 0xff};
        CLEANUP(buf_done) struct buf buf = BUF_NONE;

        buf_add_u64(&buf, 0x810200000000feffu);
        assert_true(bytes_equal(buf_view(&buf), bytes_of(bytes, 8)));
        assert_true(u64_of(buf.data) == 0x810200000000feffu);
}

static void buffers_grow_and_consume(void **state)
{
        CLEANUP(buf_done) struct buf buf = BUF_NONE;

        assert_string_equal(buf_text(&buf), "");
        for (int i = 0; i < 1000; i++)
                buf_add_format(&buf, "%d,", i);
        assert_true(strncmp(buf_text(&buf), "0,1,2,", 6) == 0);
        buf_consume(&buf, 4);
        assert_true(strncmp(buf_text(&buf), "2,3,", 4) == 0);
        buf_truncate(&buf, 4);
        assert_string_equal(buf_text(&buf), "2,3,"); /* it ends there */
        buf_truncate(&buf, 5);
        assert_int_equal(buf.len, 4);
        buf_reserve(&buf, 2);
        memcpy(buf.data + buf.len, "4,x", 3);
        buf_extend(&buf, 2);
        assert_string_equal(buf_text(&buf), "2,3,4,");
        buf_consume(&buf, buf.len + 1);
        assert_int_equal(buf.len, 0);
        buf_done(&buf);
        buf_truncate(&buf, 0);
        assert_string_equal(buf_text(&buf), "");
}

static void secrets_are_wiped_and_reused(void **state)
{
        struct secret a = secret_copy(TEXT("a secret of thirty-three bytes..."));
        uint8_t *place = a.data;

        secret_truncate(&a, 8);
        assert_memory_equal(a.data, "a secret", 8);
        assert_ptr_not_equal(a.data, place);
        for (int i = 8; i < 33; i++) /* the first bytes hold the free list's link */
                assert_int_equal(place[i], 0);
        secret_done(&a);
        assert_null(a.data);
        CLEANUP(secret_done) struct secret large = secret_new(100000);
        large.data[99999] = 1;
        for (int i = 0; i < 3000; i++) {
                struct secret s = secret_new(2048);
                s.data[2047] = 1;
                if (i % 2)
                        secret_done(&s);
        }
}

static void utf8_is_checked(void **state)
{
        assert_true(text_is_utf8(TEXT("Zoë Ångström, 😀")));
        assert_true(text_is_printable(TEXT("Zoë Ångström, 😀")));
        assert_false(text_is_utf8(TEXT("\xc0\x80")));
        assert_false(text_is_utf8(TEXT("\xed\xa0\x80")));
        assert_false(text_is_utf8(TEXT("\xf4\x90\x80\x80")));
        assert_false(text_is_utf8(TEXT("a\0b")));
        assert_false(text_is_utf8(TEXT("\xe2\x82")));
        assert_true(text_is_utf8(TEXT("\xe2\x80\xae")));
        assert_false(text_is_printable(TEXT("\xe2\x80\xae")));
        assert_int_equal(text_columns("Zoë 😀"), 6);
}

static void encodings_round_trip(void **state)
{
        for (size_t len = 0; len < 70; len++) {
                uint8_t bytes[70];
                CLEANUP(buf_done) struct buf text = BUF_NONE, back = BUF_NONE, url = BUF_NONE, back_url = BUF_NONE,
                                             hex = BUF_NONE, back_hex = BUF_NONE;

                for (size_t i = 0; i < len; i++)
                        bytes[i] = (uint8_t)(i * 37 + len);
                base64_add(&text, bytes_of(bytes, len));
                assert_int_equal(base64_parse(buf_view(&text), &back), 0);
                assert_true(bytes_equal(buf_view(&back), bytes_of(bytes, len)));
                base64url_add(&url, bytes_of(bytes, len));
                assert_int_equal(base64url_parse(buf_view(&url), &back_url), 0);
                assert_true(bytes_equal(buf_view(&back_url), bytes_of(bytes, len)));
                hex_add(&hex, bytes_of(bytes, len));
                assert_int_equal(hex_parse(buf_view(&hex), &back_hex), 0);
                assert_true(bytes_equal(buf_view(&back_hex), bytes_of(bytes, len)));
        }
        struct buf none = BUF_NONE;
        assert_int_equal(base64_parse(TEXT("AA"), &none), PROBLEM_MALFORMED);
        assert_int_equal(base64_parse(TEXT("AB=="), &none), PROBLEM_MALFORMED);
        assert_int_equal(base64_parse(TEXT("A==="), &none), PROBLEM_MALFORMED);
        assert_int_equal(base64_parse(TEXT("AA\n="), &none), PROBLEM_MALFORMED);
        assert_int_equal(hex_parse(TEXT("abc"), &none), PROBLEM_MALFORMED);
        assert_int_equal(hex_parse(TEXT("0g"), &none), PROBLEM_MALFORMED);
}

static void numbers_and_durations(void **state)
{
        uint64_t n = 1;
        char text[TIME_TEXT_SIZE];
        int64_t d;

        assert_int_equal(number_parse(TEXT("18446744073709551615"), UINT64_MAX, &n), 0);
        assert_true(n == UINT64_MAX);
        assert_int_equal(number_parse(TEXT("0"), 9, &n), 0);
        assert_int_equal(number_parse(TEXT("01"), 9, &n), PROBLEM_MALFORMED);
        assert_int_equal(number_parse(TEXT("10"), 9, &n), PROBLEM_MALFORMED);
        assert_int_equal(number_parse(TEXT("-1"), 9, &n), PROBLEM_MALFORMED);
        assert_int_equal(number_parse(TEXT(""), 9, &n), PROBLEM_MALFORMED);
        assert_int_equal(duration_parse(TEXT("18mo"), &d), 0);
        assert_int_equal(d, 18 * 30 * 86400);
        assert_int_equal(duration_parse(TEXT("15m"), &d), 0);
        assert_int_equal(d, 900);
        assert_string_equal(duration_text(d, text), "15m");
        assert_string_equal(duration_text(90, text), "90s");
        assert_string_equal(duration_text(36 * 3600, text), "36h");
        assert_string_equal(duration_text(365 * 86400, text), "365d");
        assert_int_equal(duration_parse(TEXT("15"), &d), PROBLEM_MALFORMED);
        assert_int_equal(duration_parse(TEXT("d"), &d), PROBLEM_MALFORMED);
        assert_int_equal(duration_parse(TEXT("99999999999y"), &d), PROBLEM_MALFORMED);
}

static void addresses_become_keys(void **state)
{
        static const char *const bad[] = {"", "@", "a@", "@b", "a b@c.de", "a@b@c", "a@b..c", "a@-b.c", "a@b-.c", ".a@b.c",
                                          "a..b@c.d", "a@b.c\n", "<a@b.c>", "a,b@c.d", "\xff@b.c"};
        CLEANUP(buf_done) struct buf key = BUF_NONE, utf8 = BUF_NONE;

        assert_int_equal(address_parse(TEXT("Alice.O'Neil+x@EXAMPLE.Org"), &key), 0);
        assert_string_equal(buf_text(&key), "alice.o'neil+x@example.org");
        assert_int_equal(address_parse(TEXT("zoë@bücher.example"), &utf8), 0);
        assert_false(address_is_ascii(buf_text(&utf8)));
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                struct buf none = BUF_NONE;
                assert_int_equal(address_parse(bytes_text(bad[i]), &none), PROBLEM_MALFORMED);
        }
}

static void calendar_round_trips(void **state)
{
        char text[TIME_TEXT_SIZE];
        int64_t back;

        assert_string_equal(time_text(0, text), "1970-01-01T00:00:00Z");
        assert_string_equal(time_text(951782400, text), "2000-02-29T00:00:00Z");
        assert_string_equal(time_text(4102444800, text), "2100-01-01T00:00:00Z");
        assert_string_equal(time_text(-1, text), "1969-12-31T23:59:59Z");
        for (int64_t t = -60000000000; t < 250000000000; t += 12345678901) {
                assert_int_equal(time_parse(bytes_text(time_text(t, text)), &back), 0);
                assert_true(back == t);
        }
        assert_int_equal(time_parse(TEXT("2023-02-29T00:00:00Z"), &back), PROBLEM_MALFORMED);
        assert_int_equal(time_parse(TEXT("2023-02-28T24:00:00Z"), &back), PROBLEM_MALFORMED);
}

struct loop_case {
        struct loop loop;
        struct loop_source a, b;
        struct loop_timer timer;
        struct loop_deferred deferred;
        int ran, rounds;
};

/* Whichever of the two runs first removes the other, which must then not run though epoll reported it. */
static int remove_both(void *context, uint32_t events)
{
        struct loop_case *c = context;

        c->ran++;
        loop_source_done(&c->a);
        loop_source_done(&c->b);
        loop_timer_arm(&c->timer, 1);
        return 0;
}

static int timer_stop(void *context)
{
        struct loop_case *c = context;

        loop_stop(&c->loop);
        return 0;
}

static int count_round(void *context)
{
        ((struct loop_case *)context)->rounds++;
        return 0;
}

static void loop_delivers_and_removes(void **state)
{
        struct loop_case c = {0};
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        assert_int_equal(loop_init(&c.loop), 0);
        assert_int_equal(loop_source_init(&c.a, &c.loop, pair[0], EPOLLOUT, remove_both, &c), 0);
        assert_int_equal(loop_source_init(&c.b, &c.loop, pair[1], EPOLLOUT, remove_both, &c), 0);
        loop_timer_init(&c.timer, &c.loop, timer_stop, &c);
        loop_deferred_init(&c.deferred, &c.loop, count_round, &c);
        assert_int_equal(loop_run(&c.loop), 0);
        assert_int_equal(c.ran, 1);
        assert_int_equal(c.rounds, 2);
        loop_timer_done(&c.timer);
        loop_deferred_done(&c.deferred);
        loop_done(&c.loop);
        close(pair[0]);
        close(pair[1]);
}

static void only_files_are_replaced(void **state)
{
        char folder[] = "/tmp/vouchsafe-test-XXXXXX";

        assert_non_null(mkdtemp(folder));
        CLEANUP(mem_freep) char *pipe_path = text_format("%s/pipe", folder), *link = text_format("%s/link", folder);
        CLEANUP(mem_freep) char *file = text_format("%s/file", folder), *missing = text_format("%s/no/file", folder);
        assert_int_equal(mkfifo(pipe_path, 0600), 0);
        assert_int_equal(symlink("/proc/self/fd/1", link), 0);
        assert_int_equal(file_write(pipe_path, TEXT("x"), 0600), PROBLEM_EXISTS);
        assert_int_equal(file_write(link, TEXT("x"), 0600), PROBLEM_EXISTS);
        assert_int_equal(file_write(folder, TEXT("x"), 0600), PROBLEM_EXISTS);
        assert_int_equal(file_write(missing, TEXT("x"), 0600), PROBLEM_STORAGE);
        assert_int_equal(file_write(file, TEXT("x"), 0600), 0);
        unlink(link);
        assert_int_equal(symlink(file, link), 0);
        assert_int_equal(file_write(link, TEXT("y"), 0600), 0);
        unlink(link);
        unlink(file);
        unlink(pipe_path);
        assert_int_equal(rmdir(folder), 0);
}

/* A check of a file whose name another bears as soon as it has begun. */
static int exchange(const char *path, const struct stat *st)
{
        assert_int_equal(st->st_mode & 0777, 0600);
        assert_int_equal(file_write(path, TEXT("another"), 0666), 0);
        return 0;
}

static int object(const char *path, const struct stat *st)
{
        return refuse(PROBLEM_FORBIDDEN, "%s has %lld bytes.", path, (long long)st->st_size);
}

static void what_was_checked_is_read(void **state)
{
        char folder[] = "/tmp/vouchsafe-test-XXXXXX";
        CLEANUP(buf_done) struct buf content = BUF_NONE;

        assert_non_null(mkdtemp(folder));
        CLEANUP(mem_freep) char *path = text_format("%s/file", folder), *pipe_path = text_format("%s/pipe", folder);
        assert_int_equal(file_write(path, TEXT("one"), 0600), 0);
        assert_int_equal(file_read_checked(path, 10, exchange, &content), 0);
        assert_string_equal(buf_text(&content), "one");
        assert_int_equal(mkfifo(pipe_path, 0600), 0);
        assert_int_equal(file_read_checked(pipe_path, 10, object, &content), PROBLEM_FORBIDDEN);
        assert_string_equal(buf_text(&content), "one");
        unlink(pipe_path);
        unlink(path);
        rmdir(folder);
}

static void files_are_replaced_whole(void **state)
{
        char folder[] = "/tmp/vouchsafe-test-XXXXXX";
        CLEANUP(buf_done) struct buf content = BUF_NONE;

        assert_non_null(mkdtemp(folder));
        CLEANUP(mem_freep) char *path = text_format("%s/a/b/file", folder);
        CLEANUP(mem_freep) char *parent = text_format("%s/a/b", folder), *upper = text_format("%s/a", folder);
        assert_int_equal(folder_make(parent, 0700), 0);
        assert_int_equal(file_read(path, 10, &content), PROBLEM_NOT_FOUND);
        assert_int_equal(file_read(folder, 10, &content), PROBLEM_MALFORMED);
        assert_int_equal(file_write(path, TEXT("one"), 0600), 0);
        assert_int_equal(file_write(path, TEXT("twelve bytes"), 0600), 0);
        assert_int_equal(file_read(path, 10, &content), PROBLEM_TOO_LARGE);
        assert_int_equal(file_read(path, 12, &content), 0);
        assert_string_equal(buf_text(&content), "twelve bytes");
        /* What a write leaves that was killed goes; whatever else is beside it stays. */
        CLEANUP(mem_freep) char *left = text_format("%s.a1B2c3", path), *other = text_format("%s.longer1", path);
        assert_int_equal(file_write(left, TEXT("half"), 0600), 0);
        assert_int_equal(file_write(other, TEXT("whole"), 0600), 0);
        file_write_clear(path);
        assert_int_equal(access(left, F_OK), -1);
        assert_int_equal(access(other, F_OK) | access(path, F_OK), 0);
        unlink(other);
        unlink(path);
        rmdir(parent);
        rmdir(upper);
        rmdir(folder);
}

static void values_of_names_are_escaped(void **state)
{
        static const struct {
                const char *value, *written;
        } cases[] = {
                {"Alice", "Alice"},
                {" Alice ", "\\ Alice\\ "},
                {"#1 Ops", "\\#1 Ops"},
                {"a,b+c=d;e", "a\\,b\\+c\\=d\\;e"},
                {"\"<\\>", "\\\"\\<\\\\\\>"},
                {"one\ntwo", "one\\0Atwo"},
                {"Zoë", "Zoë"},
                {" ", "\\ "},
        };

        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                CLEANUP(buf_done) struct buf out = BUF_NONE;
                CLEANUP(dn_done) struct dn dn = {0};

                buf_add_text(&out, "cn=");
                dn_value_add(&out, bytes_text(cases[i].value));
                assert_string_equal(buf_text(&out) + 3, cases[i].written);
                assert_int_equal(dn_parse(buf_view(&out), &dn), 0);
                assert_int_equal(dn.count, 1);
                assert_string_equal(dn.parts[0].value, cases[i].value);
        }
        /* a zero byte, as it is or escaped, makes no two parts, and no end */
        for (size_t i = 0; i < 2; i++) {
                struct bytes zero = i ? bytes_text("cn=a\\00,dc=b") : bytes_of("cn=a\0dc=b", 9);
                struct dn none = {0};

                assert_int_equal(dn_parse(zero, &none), PROBLEM_MALFORMED);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(problems_have_distinct_codes),
                cmocka_unit_test(reports_carry_no_control_characters),
                cmocka_unit_test(numbers_are_big_endian),
                cmocka_unit_test(buffers_grow_and_consume),
                cmocka_unit_test(secrets_are_wiped_and_reused),
                cmocka_unit_test(utf8_is_checked),
                cmocka_unit_test(encodings_round_trip),
                cmocka_unit_test(numbers_and_durations),
                cmocka_unit_test(addresses_become_keys),
                cmocka_unit_test(values_of_names_are_escaped),
                cmocka_unit_test(calendar_round_trips),
                cmocka_unit_test(loop_delivers_and_removes),
                cmocka_unit_test(files_are_replaced_whole),
                cmocka_unit_test(what_was_checked_is_read),
                cmocka_unit_test(only_files_are_replaced),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
