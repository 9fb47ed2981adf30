/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/fault.h"
#include "base/mem.h"
#include "ldap/sync.h"

#define BYTES(text) bytes_of(text, sizeof(text) - 1)
#define UUID        "\x6b\xa7\xb8\x14\x9d\xad\x11\xd1\x80\xb4\x00\xc0\x4f\xd4\x30\xc8"

static void requests_are_as_the_standards_have_them(void **state)
{
        CLEANUP(buf_done) struct buf plain = BUF_NONE, from = BUF_NONE, dirsync = BUF_NONE;

        sync_request_add(BYTES_NONE, &plain);
        assert_true(bytes_equal(buf_view(&plain), BYTES("\x30\x03\x0a\x01\x03")));
        sync_request_add(BYTES("abc"), &from);
        assert_true(bytes_equal(buf_view(&from), BYTES("\x30\x08\x0a\x01\x03\x04\x03"
                                                       "abc")));
        dirsync_request_add(true, BYTES("xy"), &dirsync);
        assert_true(bytes_equal(buf_view(&dirsync), BYTES("\x30\x0b\x02\x02\x08\x01\x02\x01\x00\x04\x02"
                                                          "xy")));
}

static void states_name_entries(void **state)
{
        struct id id;

        assert_int_equal(sync_state_parse(BYTES("\x30\x15\x0a\x01\x03\x04\x10" UUID), &id), 0);
        assert_true(bytes_equal(id_view(&id), BYTES(UUID)));
        assert_int_equal(sync_state_parse(BYTES("\x30\x1a\x0a\x01\x01\x04\x10" UUID "\x04\x03"
                                                "abc"),
                                          &id),
                         0);
        assert_int_equal(sync_state_parse(BYTES("\x30\x14\x0a\x01\x03\x04\x0f" UUID), &id),
                         PROBLEM_MALFORMED);
        assert_int_equal(sync_state_parse(BYTES("\x30\x15\x0a\x01\x03\x04\x7f" UUID), &id),
                         PROBLEM_MALFORMED);
        assert_int_equal(sync_state_parse(BYTES_NONE, &id), PROBLEM_MALFORMED);
}

static void news_of_the_content(void **state)
{
        static const struct {
                struct bytes value;
                bool refreshed, present, gone;
                size_t ids;
        } cases[] = {
            {{(const uint8_t *)"\x80\x03"
                               "abc",
              5},
             false,
             false,
             false,
             0},
            {{(const uint8_t *)"\xa1\x00", 2}, true, false, false, 0},
            {{(const uint8_t *)"\xa1\x03\x01\x01\x00", 5}, false, false, false, 0},
            {{(const uint8_t *)"\xa2\x05\x04\x03"
                               "abc",
              7},
             true,
             true,
             false,
             0},
            {{(const uint8_t *)"\xa3\x14\x31\x12\x04\x10" UUID, 22}, false, false, false, 1},
            {{(const uint8_t *)"\xa3\x17\x01\x01\xff\x31\x12\x04\x10" UUID, 25}, false, false, true, 1},
        };

        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                CLEANUP(sync_info_done) struct sync_info info = {0};

                assert_int_equal(sync_info_parse(cases[i].value, &info), 0);
                assert_int_equal(info.refreshed, cases[i].refreshed);
                assert_int_equal(info.present, cases[i].present);
                assert_int_equal(info.ids_are_gone, cases[i].gone);
                assert_int_equal(info.ids.count, cases[i].ids);
        }
}

static void other_news_is_refused(void **state)
{
        static const struct bytes wrong[] = {
            {(const uint8_t *)"", 0},
            {(const uint8_t *)"\xa4\x00", 2},
            {(const uint8_t *)"\xa3\x05\x31\x03\x04\x01x", 7},
            {(const uint8_t *)"\xa1\x7f", 2},
            {(const uint8_t *)"\xa3\x84\xff\xff\xff\xff", 6},
        };

        for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
                CLEANUP(sync_info_done) struct sync_info info = {0};

                assert_int_equal(sync_info_parse(wrong[i], &info), PROBLEM_MALFORMED);
        }
}

static void cookies_come_back(void **state)
{
        CLEANUP(buf_done) struct buf cookie = BUF_NONE, none = BUF_NONE;
        bool more = false;

        assert_int_equal(dirsync_answer_parse(BYTES("\x30\x0a\x02\x01\x01\x02\x01\x00\x04\x02"
                                                    "xy"),
                                              &more, &cookie),
                         0);
        assert_true(more);
        assert_string_equal(buf_text(&cookie), "xy");
        assert_int_equal(dirsync_answer_parse(BYTES("\x30\x03\x02\x01\x01"), &more, &none),
                         PROBLEM_MALFORMED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(requests_are_as_the_standards_have_them),
            cmocka_unit_test(states_name_entries),
            cmocka_unit_test(news_of_the_content),
            cmocka_unit_test(other_news_is_refused),
            cmocka_unit_test(cookies_come_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
