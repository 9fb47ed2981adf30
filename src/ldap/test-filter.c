/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/dn.h"
#include "base/mem.h"
#include "ldap/filter.h"

static void values_stand_for_themselves(void **state)
{
        static const struct {
                struct bytes value;
                const char *filter;
        } cases[] = {
            {{(const uint8_t *)"a", 1}, "(cn=a)"},
            {{(const uint8_t *)"*)(uid=*", 8}, "(cn=\\2a\\29\\28uid=\\2a)"},
            {{(const uint8_t *)"a\0b", 3}, "(cn=a\\00b)"},
            {{(const uint8_t *)"\\2a", 3}, "(cn=\\5c2a)"},
            {{(const uint8_t *)"\xc3\xbc \xff", 4}, "(cn=\\c3\\bc\\20\\ff)"},
            {{NULL, 0}, "(cn=)"},
        };

        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                CLEANUP(buf_done) struct buf filter = BUF_NONE;

                filter_equal_add(&filter, "cn", cases[i].value);
                assert_string_equal(buf_text(&filter), cases[i].filter);
                assert_int_equal(filter_check(buf_view(&filter)), 0);
        }
}

static void filters_are_one_filter(void **state)
{
        static const char *const right[] = {
            "(mail=*@example.org)",
            "(&(objectClass=person)(|(ou=a)(!(ou=b))))",
            "(memberOf:1.2.840.113556.1.4.1941:=cn=x,dc=y)",
            "(cn:dn:caseExactMatch:=x)",
            "(userCertificate;binary=*)",
            "(cn>=a)",
            "(cn~=\\c3\\bc)",
        };
        static const char *const wrong[] = {
            "",         "cn=a",      "(cn=a",         "(cn=a))",     "(cn=a)(cn=b)", "(cn=a))(|(cn=*)",
            "(cn=\\2)", "(cn=\\zz)", "(cn=a(b))",     "(&)",         "(!)",          "(=a)",
            "(cn)",     "( cn=a)",   "(!(a=b)(c=d))", "(&(a=b)c=d)", "(a=b) ",       "(cn=a\\",
        };

        for (size_t i = 0; i < ARRAY_LEN(right); i++)
                if (filter_check(bytes_text(right[i])))
                        fail_msg("%s: %s", right[i], report_text());
        for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
                if (filter_check(bytes_text(wrong[i])) != PROBLEM_MALFORMED)
                        fail_msg("taken: %s", wrong[i]);
        assert_int_equal(filter_check(bytes_of("(cn=a\0)", 7)), PROBLEM_MALFORMED);
}

static void depth_and_length_are_limited(void **state)
{
        CLEANUP(buf_done) struct buf deep = BUF_NONE, long_one = BUF_NONE;

        for (int i = 0; i < 1000; i++)
                buf_add_text(&deep, "(!");
        assert_int_equal(filter_check(buf_view(&deep)), PROBLEM_TOO_LARGE);
        for (int i = 0; i < FILTER_MOST; i++)
                buf_add_byte(&long_one, 'a');
        assert_int_equal(filter_check(buf_view(&long_one)), PROBLEM_MALFORMED);
        buf_add_byte(&long_one, 'a');
        assert_int_equal(filter_check(buf_view(&long_one)), PROBLEM_TOO_LARGE);
}

/* What is written into a name comes out of it again, and adds no part to it. */
static void values_in_names_come_back(void **state)
{
        static const char *const values[] = {
            "plain",    " a ",     "#a",
            "a,ou=b",   "a+b",     "\"quoted\"",
            "a\\b",     "<x>;y=z", "\xe5\x90\x8d\xe5\x89\x8d",
            "a\nb\x7f", "  ",      "#",
        };

        for (size_t i = 0; i < ARRAY_LEN(values); i++) {
                CLEANUP(buf_done) struct buf text = BUF_NONE;
                struct dn dn;

                buf_add_text(&text, "cn=");
                dn_value_add(&text, bytes_text(values[i]));
                buf_add_text(&text, ",dc=x");
                assert_int_equal(dn_parse(buf_view(&text), &dn), 0);
                assert_int_equal(dn.count, 2);
                assert_string_equal(dn.parts[0].value, values[i]);
                dn_done(&dn);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(values_stand_for_themselves),
            cmocka_unit_test(filters_are_one_filter),
            cmocka_unit_test(depth_and_length_are_limited),
            cmocka_unit_test(values_in_names_come_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
