/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/macro.h"
#include "engine/limits.h"

static void test_address(void **state)
{
        CLEANUP(limits_done) struct limits limits;
        uint64_t now = 1000;

        limits_init(&limits, 3, 1000, 60);
        for (unsigned i = 0; i < 3; i++) {
                assert_true(limits_permit(&limits, "192.0.2.1", now));
                limits_charge(&limits, "192.0.2.1", now);
        }
        assert_false(limits_permit(&limits, "192.0.2.1", now));
        assert_true(limits_permit(&limits, "192.0.2.2", now));
        assert_true(limits_permit(&limits, "192.0.2.1", now + 20 * 1000 + 1)); /* a third of the window, one of three */
}

/* Other figures, as when the configuration is read again, are no pardon. */
static void test_change(void **state)
{
        CLEANUP(limits_done) struct limits limits;

        limits_init(&limits, 2, 1000, 60);
        limits_charge(&limits, "192.0.2.1", 1000);
        limits_charge(&limits, "192.0.2.1", 1000);
        limits_change(&limits, 3, 1000, 60);
        assert_false(limits_permit(&limits, "192.0.2.1", 1000));
        assert_true(limits_permit(&limits, "192.0.2.1", 1000 + 20 * 1000 + 1));
}

/* All of a /64 are one; the next /64 is another. */
static void test_ipv6(void **state)
{
        CLEANUP(limits_done) struct limits limits;

        limits_init(&limits, 1, 1000, 60);
        assert_true(limits_permit(&limits, "2001:db8::1", 1000));
        limits_charge(&limits, "2001:db8::1", 1000);
        assert_false(limits_permit(&limits, "2001:db8::ffff:2", 1000));
        assert_true(limits_permit(&limits, "2001:db8:0:1::1", 1000));
}

static void test_total(void **state)
{
        CLEANUP(limits_done) struct limits limits;
        char address[32];

        limits_init(&limits, 10, 50, 60);
        for (unsigned i = 0; i < 50; i++) {
                snprintf(address, sizeof(address), "192.0.2.%u", i);
                assert_true(limits_permit(&limits, address, 1000));
                limits_charge(&limits, address, 1000);
        }
        assert_false(limits_permit(&limits, "198.51.100.1", 1000));
}

/* More addresses than the table has: it stays of its size, and who was just charged is still known. */
static void test_many(void **state)
{
        CLEANUP(limits_done) struct limits limits;
        char address[32];

        limits_init(&limits, 1, UINT32_MAX, 60);
        for (unsigned i = 0; i < 3 * LIMIT_ADDRESSES; i++) {
                snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
                limits_charge(&limits, address, 1000 + i);
        }
        assert_false(limits_permit(&limits, address, 1000 + 3 * LIMIT_ADDRESSES));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_address),
            cmocka_unit_test(test_change),
            cmocka_unit_test(test_ipv6),
            cmocka_unit_test(test_total),
            cmocka_unit_test(test_many),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
