/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of people that come in, and lines of CSV that go out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "cli/name-list.h"
#include "cli/report.h"

static void cells_are_quoted_and_no_formulas(void **state)
{
        CLEANUP(buf_done) struct buf out = BUF_NONE;

        csv_line_add(&out, (const char *const[]){"a,b", "say \"so\"", "", "line\nbreak", NULL});
        csv_line_add(&out, (const char *const[]){"=1+1", "+1", "-1", "@SUM(A1)", "\tx", "'", NULL});
        assert_string_equal(buf_text(&out), "\"a,b\",\"say \"\"so\"\"\",\"\",\"line\nbreak\"\r\n"
                                            "\"'=1+1\",\"'+1\",\"'-1\",\"'@SUM(A1)\",\"'\tx\",\"'\"\r\n");
}

static void forms_go_by_the_name(void **state)
{
        enum report_form form = REPORT_JSON;

        assert_int_equal(report_form_of("a.json.CSV", &form), 0);
        assert_int_equal(form, REPORT_CSV);
        assert_int_equal(report_form_of("x/y.jsonl", &form), 0);
        assert_int_equal(form, REPORT_JSON);
        assert_int_equal(report_form_of("csv", &form), PROBLEM_USAGE);
        assert_int_equal(report_form_of("a.xlsx", &form), PROBLEM_USAGE);
}

/* All names, joined by "|"; read in two halves, as an interrupted command does. */
static int names_of(const char *file, size_t halt, struct buf *out)
{
        CLEANUP(name_list_done) struct name_list list = {0};
        CLEANUP(buf_done) struct buf name = BUF_NONE;
        size_t count = 0, offset = 0;

        TRY(name_list_open(bytes_text(file), 0, &list));
        for (;;) {
                TRY(name_list_next(&list, &name));
                if (!name.len)
                        return 0;
                buf_add_format(out, "%s%s", out->len ? "|" : "", buf_text(&name));
                if (++count != halt)
                        continue;
                offset = name_list_offset(&list);
                name_list_done(&list);
                TRY(name_list_open(bytes_text(file), offset, &list));
        }
}

static void assert_names(const char *file, const char *names)
{
        for (size_t halt = 0; halt < 5; halt++) {
                CLEANUP(buf_done) struct buf out = BUF_NONE;

                assert_int_equal(names_of(file, halt, &out), 0);
                assert_string_equal(buf_text(&out), names);
        }
}

static void lists_are_lines_or_a_column(void **state)
{
        assert_names("", "");
        assert_names("\n\r\n#only\n", "");
        assert_names("a@x\nb@x\r\n\r\n c@x \n", "a@x|b@x|c@x");
        assert_names("# one, two\nMail,Name\na@x,A\n#b@x,B\n\"c@x\",\"C\nC\"\n,nobody\nd@x", "a@x|c@x|d@x");
        assert_names("\xef\xbb\xbfid;name\n00;A\n'+a@x;B\n", "00|+a@x");
        assert_names("a@x\nmail\n", "a@x|mail");
        assert_names("\xfe\x01@x\n", "\xef\xbf\xbd\xef\xbf\xbd@x");
}

static void an_open_quote_is_refused(void **state)
{
        CLEANUP(buf_done) struct buf out = BUF_NONE;

        assert_int_equal(names_of("a@x\n\"b@x\n", 0, &out), PROBLEM_MALFORMED);
        assert_non_null(strstr(report_text(), "quote"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(cells_are_quoted_and_no_formulas),
            cmocka_unit_test(forms_go_by_the_name),
            cmocka_unit_test(lists_are_lines_or_a_column),
            cmocka_unit_test(an_open_quote_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
