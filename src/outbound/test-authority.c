/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be changed where the CA's certificate and revocation list go: nothing of others, and never an older list
 * for a newer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "crypto/crl.h"
#include "crypto/test-pki.h"
#include "outbound/authority.h"

static struct buf list_of(const struct test_ca *ca, uint64_t number)
{
        struct buf der = BUF_NONE;

        test_must(crl_make(&(struct crl_template){.issuer = ca->issuing.items[0].subject,
                                                  .issuer_key_id = ca->key_id,
                                                  .issuer_type = PKEY_P256,
                                                  .this_update = TEST_NOW,
                                                  .next_update = TEST_NOW + 1000,
                                                  .number = number},
                           ca->key, &der));
        return der;
}

static void lists_are_replaced_by_newer_ones(void **state)
{
        struct test_ca ours = test_ca_new(PKEY_P256), theirs = test_ca_new(PKEY_P256);
        CLEANUP(buf_done) struct buf one = list_of(&ours, 1), two = list_of(&ours, 2), other = list_of(&theirs, 1);
        struct bytes current[] = {buf_view(&other), buf_view(&one), bytes_of("", 1), bytes_text("something")},
                     remove[4];
        const struct certificate *issuer = &ours.issuing.items[0];
        size_t count = 9;
        bool add = false;

        test_must(authority_compare(true, current, 4, buf_view(&two), issuer, remove, &count, &add));
        assert_true(add);
        assert_int_equal(count, 2);
        assert_ptr_equal(remove[0].data, one.data);
        assert_ptr_equal(remove[1].data, current[2].data);
        current[1] = buf_view(&two);
        test_must(authority_compare(true, current, 4, buf_view(&one), issuer, remove, &count, &add));
        assert_false(add);
        assert_int_equal(count, 0);
        test_must(authority_compare(true, current, 4, buf_view(&two), issuer, remove, &count, &add));
        assert_false(add);
        assert_int_equal(authority_compare(true, current, 4, buf_view(&other), issuer, remove, &count, &add),
                         PROBLEM_MALFORMED);
        test_ca_done(&ours);
        test_ca_done(&theirs);
}

static void certificates_are_added_only(void **state)
{
        struct test_ca ours = test_ca_new(PKEY_P256), theirs = test_ca_new(PKEY_P256);
        struct bytes current[] = {buf_view(&theirs.issuing.items[0].der), bytes_of("", 1),
                                  buf_view(&ours.root.items[0].der)};
        struct bytes value = buf_view(&ours.issuing.items[0].der), remove[3];
        size_t count = 9;
        bool add = false;

        test_must(authority_compare(false, current, 3, value, &ours.issuing.items[0], remove, &count, &add));
        assert_true(add);
        assert_int_equal(count, 0);
        current[1] = value;
        test_must(authority_compare(false, current, 3, value, &ours.issuing.items[0], remove, &count, &add));
        assert_false(add);
        test_ca_done(&ours);
        test_ca_done(&theirs);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(lists_are_replaced_by_newer_ones),
            cmocka_unit_test(certificates_are_added_only),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
