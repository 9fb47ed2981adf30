/* SPDX-License-Identifier: Apache-2.0 */
/* Only values of our issuers are ever touched, each exactly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "crypto/test-pki.h"
#include "outbound/difference.h"

struct places {
        struct test_ca ours, theirs;
        struct cert_list mine, foreign; /* mine: three of ours; foreign: of a CA with the same name and another key */
};

static int places_make(void **state)
{
        struct places *places = calloc(1, sizeof(*places));

        places->ours = test_ca_new(PKEY_P256);
        places->theirs = test_ca_new(PKEY_P256);
        for (unsigned i = 0; i < 3; i++)
                EVP_PKEY_free(
                    test_user(&places->ours, CERT_USER_ENCRYPTION, PKEY_P256, "a@example.org", &places->mine));
        EVP_PKEY_free(test_user(&places->theirs, CERT_USER_ENCRYPTION, PKEY_P256, "a@example.org", &places->foreign));
        *state = places;
        return 0;
}

static int places_remove(void **state)
{
        struct places *places = *state;

        test_ca_done(&places->ours);
        test_ca_done(&places->theirs);
        cert_list_done(&places->mine);
        cert_list_done(&places->foreign);
        free(places);
        return 0;
}

static struct bytes der_of(const struct cert_list *list, size_t index)
{
        return buf_view(&list->items[index].der);
}

static void only_ours_are_replaced(void **state)
{
        const struct places *places = *state;
        CLEANUP(buf_done) struct buf longer = buf_copy_of(der_of(&places->mine, 0));
        CLEANUP(difference_done) struct difference difference = {0};
        struct bytes desired[] = {der_of(&places->mine, 2)};

        buf_add_byte(&longer, 0); /* one of ours with a byte after it: not ours */
        struct bytes current[] = {
            der_of(&places->foreign, 0),
            der_of(&places->mine, 0),
            bytes_text("no certificate"),
            BYTES_NONE,
            buf_view(&longer),
            der_of(&places->mine, 1),
            bytes_of(der_of(&places->mine, 1).data, 100),
        };

        assert_true(bytes_equal(places->ours.issuing.items[0].subject, places->theirs.issuing.items[0].subject));
        difference_make(VALUE_CERTIFICATE, current, ARRAY_LEN(current), desired, 1, &places->ours.issuing, &difference);
        assert_int_equal(difference.remove_count, 2);
        assert_ptr_equal(difference.remove[0].data, current[1].data);
        assert_ptr_equal(difference.remove[1].data, current[5].data);
        assert_int_equal(difference.add_count, 1);
        assert_ptr_equal(difference.add[0].data, desired[0].data);
        assert_int_equal(difference.result_count, 6); /* all but the two, in their order, and the new one */
        assert_ptr_equal(difference.result[0].data, current[0].data);
        assert_ptr_equal(difference.result[1].data, current[2].data);
        assert_ptr_equal(difference.result[5].data, desired[0].data);
}

static void what_is_right_stays(void **state)
{
        const struct places *places = *state;
        struct bytes current[] = {der_of(&places->foreign, 0), der_of(&places->mine, 1), der_of(&places->mine, 0)};
        struct bytes desired[] = {der_of(&places->mine, 0), der_of(&places->mine, 1), der_of(&places->mine, 0)};
        CLEANUP(difference_done) struct difference none = {0}, all = {0}, twice = {0};

        difference_make(VALUE_CERTIFICATE, current, 3, desired, 2, &places->ours.issuing, &none);
        assert_true(difference_is_none(&none));
        difference_make(VALUE_CERTIFICATE, current, 3, NULL, 0, &places->ours.issuing, &all);
        assert_int_equal(all.remove_count, 2);
        assert_int_equal(all.add_count, 0);
        difference_make(VALUE_CERTIFICATE, NULL, 0, desired, 3, &places->ours.issuing, &twice);
        assert_int_equal(twice.add_count, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(only_ours_are_replaced, places_make, places_remove),
            cmocka_unit_test_setup_teardown(what_is_right_stays, places_make, places_remove),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
