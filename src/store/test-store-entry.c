/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance, of the directory's part: the same for SQLite and for PostgreSQL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/fault.h"
#include "base/mem.h"
#include "store/test-help.h"

static int set_up(void **state)
{
        *state = help_new();
        return 0;
}

static int tear_down(void **state)
{
        help_free(*state);
        return 0;
}

static int see_entry(void *context, struct entry_row *row)
{
        see(context, row->cn);
        return 0;
}

static void addresses_belong_to_one_entry(void **state)
{
        CLEANUP(entry_row_done) struct entry_row a = help_entry(1), b = help_entry(2), found = {0};

        must(texts_add(&a.addresses, "alias@example.org"));
        must(texts_add(&b.addresses, "alias@example.org"));
        CHANGE(must(store_entry_put(STORE, &a)));
        must(store_begin(STORE));
        assert_int_equal(store_entry_put(STORE, &b), PROBLEM_EXISTS);
        assert_non_null(
            strstr(report_text(), "\"alias@example.org\" belongs to another entry of the directory, \"User 1\""));
        store_rollback(STORE);
        texts_done(&a.addresses);
        must(texts_add(&a.addresses, help_address(1)));
        CHANGE(must(store_entry_put(STORE, &a)));
        b.row.version = 0;
        CHANGE(must(store_entry_put(STORE, &b)));
        must(store_entry_find_address(STORE, "alias@example.org", &found));
        assert_string_equal(found.cn, "User 2");
        assert_int_equal(found.addresses.count, 2);
        assert_string_equal(found.surname, "Ünal2");
        entry_row_done(&found);
        must(store_entry_find_name(STORE, "cn=User 1,ou=Berlin,ou=Sales", &found));
        assert_string_equal(found.addresses.items[0], "user1@example.org");
}

static int count_user(void *context, struct user_row *row)
{
        ++*(int *)context;
        return 0;
}

#define SEEN_USERS(user_state, before, expected)                                                             \
        do {                                                                                                 \
                int users_ = 0;                                                                              \
                must(store_user_list_left(STORE, user_state, before, 9, &users_, count_user));              \
                assert_int_equal(users_, expected);                                                          \
        } while (0)

static void put_group(void **state, unsigned number, const char *name, const char *cn, const char *in)
{
        CLEANUP(entry_row_done)
        struct entry_row group = {
            .guid = help_id(3, number), .kind = ENTRY_GROUP, .name = text_copy(name), .cn = text_copy(cn)};

        must(texts_add(&group.groups, in));
        must(store_entry_put(STORE, &group));
}

static void groups_have_names(void **state)
{
        struct seen seen;
        struct store_entry_filter group = {.kind = ENTRY_PERSON};

        must(store_begin(STORE));
        for (unsigned i = 1; i <= 3; i++) {
                CLEANUP(entry_row_done) struct entry_row entry = help_entry(i);

                must(texts_add(&entry.groups, i == 1 ? "CN=Staff,OU=Groups" : i == 2 ? "imported" : "cn=staff,ou=other"));
                must(store_entry_put(STORE, &entry));
        }
        put_group(state, 10, "cn=Staff,ou=Groups", "Staff", "");
        help_audit(STORE, "directory.import", "");
        must(store_commit(STORE));
        group.group = "cn=staff, OU=groups";
        assert_string_equal(SEEN(store_entry_list, &group, NULL, 9, &seen, see_entry), "User 1 ");
        group.group = "STAFF";
        assert_string_equal(SEEN(store_entry_list, &group, NULL, 9, &seen, see_entry), "User 1 ");
        group.group = "Imported";
        assert_string_equal(SEEN(store_entry_list, &group, NULL, 9, &seen, see_entry), "User 2 ");
        group.group = "nobody";
        assert_int_equal(store_entry_list(STORE, &group, NULL, 9, &seen, see_entry), PROBLEM_NOT_FOUND);
        /* Imported before the group was: by its DN, and within another group, as soon as it is there. */
        CHANGE(put_group(state, 12, "cn=Imported,ou=Groups", "Imported", "Later"));
        CHANGE(put_group(state, 13, "cn=later,ou=Groups", "Later", ""));
        group.group = "cn=imported,ou=groups";
        assert_string_equal(SEEN(store_entry_list, &group, NULL, 9, &seen, see_entry), "User 2 ");
        group.group = "cn=later,ou=groups";
        assert_string_equal(SEEN(store_entry_list, &group, NULL, 9, &seen, see_entry), "User 2 ");
        CHANGE(put_group(state, 14, "cn=imported,ou=other", "imported", ""));
        assert_string_equal(SEEN(store_entry_list, &group, NULL, 9, &seen, see_entry), ""); /* of which, nobody knows */
        CHANGE(put_group(state, 11, "cn=staff,ou=other", "staff", ""));
        group.group = "staff";
        assert_int_equal(store_entry_list(STORE, &group, NULL, 9, &seen, see_entry), PROBLEM_EXISTS);
        assert_non_null(strstr(report_text(), "\"cn=Staff,ou=Groups\", \"cn=staff,ou=other\""));
}

static void who_left_is_apart(void **state)
{
        CLEANUP(entry_row_done) struct entry_row left = help_entry(1), stays = help_entry(2), found = {0};
        CLEANUP(user_row_done) struct user_row user = help_user(1);
        struct store_entry_filter filter = {.text = "user"};
        struct seen seen;
        int64_t count = 0;

        left.gone = TEST_TIME;
        user.guid = left.guid;
        user.state = USER_ENROLLED;
        CHANGE(must(store_entry_put(STORE, &left)); must(store_entry_put(STORE, &stays));
               must(store_user_add(STORE, &user)));
        assert_string_equal(SEEN(store_entry_list, &filter, NULL, 9, &seen, see_entry), "User 2 ");
        filter.presence = ENTRY_EITHER;
        assert_string_equal(SEEN(store_entry_list, &filter, NULL, 9, &seen, see_entry), "User 1 User 2 ");
        filter = (struct store_entry_filter){.presence = ENTRY_LEFT};
        assert_string_equal(SEEN(store_entry_list, &filter, NULL, 9, &seen, see_entry), "User 1 ");
        must(store_entry_find_address(STORE, help_address(1), &found));
        must(store_entry_count_left_since(STORE, TEST_TIME, &count));
        assert_int_equal(count, 0);
        must(store_entry_count_left_since(STORE, TEST_TIME - 1, &count));
        assert_int_equal(count, 1);
        must(store_entry_count_left(STORE, &count));
        assert_int_equal(count, 1);
        must(store_entry_count_present(STORE, ENTRY_PERSON, &count));
        assert_int_equal(count, 1);
        SEEN_USERS(USER_ENROLLED, TEST_TIME, 1);
        SEEN_USERS(USER_ENROLLED, TEST_TIME - 1, 0);
        SEEN_USERS(USER_REVOKED, TEST_TIME, 0);
}

static void entries_are_selected(void **state)
{
        struct seen seen;
        struct store_entry_filter group = {.group = "cn=all", .kind = ENTRY_PERSON}, unit = {.unit = "Sales"},
                                  server = {.server = "mail2"}, text = {.text = "ÜNAL3"},
                                  first = {.text = "user"}, enabled = {.enabled = true, .kind = ENTRY_PERSON},
                                  two = {.unit = "a", .server = "b"};
        /* what comes after their last byte is no UTF-8, or is that of no text */
        const char *const last_bytes[] = {
            "\u0421\u0442\u0435\u043f", "\u00ff", "user\U0010ffff", "\U0010ffff", "\u200b", " "};
        const char *const alike[] = {"Ünal3", "ÜNAL3", "u\u0308nal3", " Ün\u00adal3"};
        struct id after = help_id(3, 1);
        CLEANUP(buf_done) struct buf members = BUF_NONE;

        must(store_begin(STORE));
        for (unsigned i = 1; i <= 4; i++) {
                CLEANUP(entry_row_done) struct entry_row entry = help_entry(i);
                must(texts_add(&entry.groups, i == 1 ? "cn=all" : i == 2 ? "cn=inner" : ""));
                if (i == 3) {
                        entry.server[4] = '2';
                        entry.unit[5] = 'X';
                        entry.disabled = 1;
                }
                must(store_entry_put(STORE, &entry));
        }
        put_group(state, 10, "cn=all", "all", "cn=inner"); /* a ring */
        put_group(state, 11, "cn=inner", "inner", "cn=all");
        help_audit(STORE, "directory.import", "");
        must(store_commit(STORE));
        assert_string_equal(SEEN(store_entry_list, &group, NULL, 10, &seen, see_entry), "User 1 User 2 ");
        assert_string_equal(SEEN(store_entry_list, &group, &after, 10, &seen, see_entry), "User 2 ");
        must(store_group_members(STORE, "cn=ALL", &members));
        assert_int_equal(members.len, 4 * ID_SIZE); /* two persons, two groups */
        assert_memory_equal(members.data, help_id(3, 1).data, ID_SIZE);
        assert_memory_equal(members.data + 3 * ID_SIZE, help_id(3, 11).data, ID_SIZE);
        assert_int_equal(store_group_members(STORE, "cn=none", &members), PROBLEM_NOT_FOUND);
        assert_string_equal(SEEN(store_entry_list, &unit, NULL, 10, &seen, see_entry),
                            "User 1 User 2 User 4 ");
        assert_string_equal(SEEN(store_entry_list, &server, NULL, 10, &seen, see_entry), "User 3 ");
        assert_string_equal(SEEN(store_entry_list, &first, NULL, 2, &seen, see_entry), "User 1 User 2 ");
        assert_string_equal(SEEN(store_entry_list, &enabled, NULL, 9, &seen, see_entry),
                            "User 1 User 2 User 4 ");
        assert_string_equal(SEEN(store_entry_list, NULL, &after, 2, &seen, see_entry), "User 2 User 3 ");
        for (size_t i = 0; i < ARRAY_LEN(last_bytes); i++) {
                text.text = last_bytes[i];
                assert_string_equal(SEEN(store_entry_list, &text, NULL, 9, &seen, see_entry), "");
        }
        for (size_t i = 0; i < ARRAY_LEN(alike); i++) {
                text.text = alike[i];
                assert_string_equal(SEEN(store_entry_list, &text, NULL, 9, &seen, see_entry), "User 3 ");
        }
        assert_int_equal(store_entry_list(STORE, &two, NULL, 9, &seen, see_entry), PROBLEM_UNSUPPORTED);
}

/* One name of two parts is not an entry below another; what looks like it stays inside of values; and nothing
 * is left out that some directory holds apart. */
static void names_that_differ(void **state)
{
        static const char *const names[] = {"cn=a,ou=b,dc=x",
                                            "cn=a+ou=b,dc=x",
                                            "cn=a\\+ou=b,dc=x",
                                            "cn=a\\,ou\\=b,dc=x",
                                            "cn=a,ou=b,dc=x,", /* no DN, but what the key of one looks like */
                                            "cn=\u00ada,ou=b,dc=x",
                                            "cn=ä,ou=b,dc=x",
                                            "cn=a\u0308,ou=b,dc=x",
                                            "cn=ß",
                                            "cn=ss",
                                            "#c8ab2a5d0b9e8f6d8d0f0e1f6a7b3f5c"};

        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                for (size_t j = 0; j < ARRAY_LEN(names); j++) {
                        char *a CLEANUP(mem_freep) = store_name_key(names[i]);
                        char *b CLEANUP(mem_freep) = store_name_key(names[j]);

                        assert_int_equal(strcmp(a, b) == 0, i == j);
                }
}

static int see_id(void *context, struct entry_row *row)
{
        buf_add_bytes(context, id_view(&row->guid));
        return 0;
}

/* Of the length that a name may have, and of what grows most. */
static void long_names(void **state)
{
        CLEANUP(entry_row_done) struct entry_row entry = help_entry(1), found = {0};
        CLEANUP(buf_done) struct buf dn = BUF_NONE, cn = BUF_NONE, ids = BUF_NONE;
        struct store_entry_filter filter = {0};

        buf_add_text(&dn, "cn=");
        /* In the key each = is escaped. */
        for (unsigned i = 1; dn.len < 2040; i = i * 75 % 65537)
                buf_add_format(&dn, "=%c%c", 0xd0 + (int)(i % 2), 0x80 + (int)(i / 2 % 64));
        while (cn.len < 1020)
                buf_add_text(&cn, "\ufdfa");
        free(entry.name);
        free(entry.cn);
        entry.name = text_copy(buf_text(&dn));
        entry.cn = text_copy(buf_text(&cn));
        entry.kind = ENTRY_GROUP;
        must(texts_add(&entry.groups, buf_text(&dn)));
        CHANGE(must(store_entry_put(STORE, &entry)));
        must(store_entry_find_name(STORE, buf_text(&dn), &found));
        assert_string_equal(found.name, entry.name);
        filter.text = buf_text(&cn);
        must(store_entry_list(STORE, &filter, NULL, 9, &ids, see_id));
        assert_int_equal(ids.len, ID_SIZE);
        entry_row_done(&found);
        must(store_group_find(STORE, buf_text(&cn), &found));
        filter = (struct store_entry_filter){.group = buf_text(&cn)};
        must(store_entry_list(STORE, &filter, NULL, 9, &ids, see_id));
        assert_int_equal(ids.len, 2 * ID_SIZE);
}

/* Groups that are called nearly the same are never taken for each other. */
static void groups_that_look_alike(void **state)
{
        static const struct {
                const char *name, *dn;
        } asked[] = {{"admins", "cn=Admins,ou=a"},         {"Ad\u00admins", "cn=Ad\u00admins,ou=a"},
                     {"CN=ADMINS,ou=a", "cn=Admins,ou=a"}, {"GRÖSSE", "cn=Grösse,ou=a"},
                     {"größe", "cn=Größe,ou=a"},           {"gro\u0308ße", "cn=Größe,ou=a"}};

        must(store_begin(STORE));
        put_group(state, 1, "cn=Admins,ou=a", "Admins", "");
        put_group(state, 2, "cn=Ad\u00admins,ou=a", "Ad\u00admins", "");
        put_group(state, 3, "cn=Größe,ou=a", "Größe", "");
        put_group(state, 4, "cn=Grösse,ou=a", "Grösse", "");
        help_audit(STORE, "directory.import", "");
        must(store_commit(STORE));
        for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
                CLEANUP(entry_row_done) struct entry_row found = {0};

                must(store_group_find(STORE, asked[i].name, &found));
                assert_string_equal(found.name, asked[i].dn);
        }
}

/* However many begin so: all of them, page after page, in order. */
static void many_begin_alike(void **state)
{
        enum { MANY = 2100, PAGE = 700 };
        struct store_entry_filter filter = {.text = "USER"};
        CLEANUP(buf_done) struct buf ids = BUF_NONE;
        struct id after = ID_NONE;

        must(store_begin(STORE));
        for (unsigned i = 1; i <= MANY; i++) {
                CLEANUP(entry_row_done) struct entry_row entry = help_entry(i);

                must(store_entry_put(STORE, &entry));
        }
        help_audit(STORE, "directory.import", "");
        must(store_commit(STORE));
        for (size_t seen = 0; seen < MANY; seen += PAGE) {
                must(store_entry_list(STORE, &filter, &after, PAGE, &ids, see_id));
                assert_int_equal(ids.len, (seen + PAGE) * ID_SIZE);
                memcpy(after.data, ids.data + ids.len - ID_SIZE, ID_SIZE);
        }
        for (size_t i = 1; i < MANY; i++)
                assert_true(memcmp(ids.data + (i - 1) * ID_SIZE, ids.data + i * ID_SIZE, ID_SIZE) < 0);
        must(store_entry_list(STORE, &filter, &after, PAGE, &ids, see_id));
        assert_int_equal(ids.len, MANY * ID_SIZE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
            TEST(addresses_belong_to_one_entry),
            TEST(groups_have_names),
            TEST(who_left_is_apart),
            TEST(names_that_differ),
            TEST(long_names),
            TEST(groups_that_look_alike),
            TEST(entries_are_selected),
            TEST(many_begin_alike),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
