/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/smimea.h"

static void names_are_hashes(void **state)
{
        static const struct {
                const char *address, *name; /* NULL: none */
        } cases[] = {
            /* RFC 8162 section 3 */
            {"hugh@example.com",
             "c93f1e400f26708f98cb19d936620da35eec8f72e57f9eec01c1afd6._smimecert.example.com."},
            {"\"hugh\"@example.com",
             "c93f1e400f26708f98cb19d936620da35eec8f72e57f9eec01c1afd6._smimecert.example.com."},
            {"hugh@bücher.example",
             "c93f1e400f26708f98cb19d936620da35eec8f72e57f9eec01c1afd6._smimecert.xn--bcher-kva.example."},
            {"alice@example.com",
             "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db._smimecert.example.com."},
            {"alice@[192.0.2.1]", NULL},
            {"alice@example.com ; x", NULL},
            {"alice@a..b", NULL},
            {"alice@", NULL},
            {"alice", NULL},
        };

        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                CLEANUP(buf_done) struct buf name = BUF_NONE;

                assert_int_equal(smimea_name_add(&name, cases[i].address),
                                 cases[i].name ? 0 : PROBLEM_MALFORMED);
                assert_string_equal(buf_text(&name), cases[i].name ? cases[i].name : "");
        }
}

static void what_is_no_certificate_is_refused(void **state)
{
        CLEANUP(buf_done) struct buf data = BUF_NONE;

        assert_int_equal(smimea_data_add(&data, bytes_text("nothing"), SMIMEA_CERTIFICATE),
                         PROBLEM_MALFORMED);
        assert_int_equal(data.len, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(names_are_hashes),
            cmocka_unit_test(what_is_no_certificate_is_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
