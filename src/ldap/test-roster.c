/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/mem.h"
#include "ldap/roster.h"

static struct id id_of(unsigned number)
{
        struct id id = ID_NONE;

        memcpy(id.data, &number, sizeof(number));
        id.data[15] = 1;
        return id;
}

static struct id name_of(const char *dn)
{
        struct id name;

        assert_int_equal(roster_name(bytes_text(dn), &name), 0);
        return name;
}

static void texts_done(struct msg_texts *texts)
{
        for (size_t i = 0; i < texts->count; i++)
                free(texts->at[i]);
        free(texts->at);
}

static void groups_are(const struct roster *roster, const char *dn, const char *joined)
{
        CLEANUP(texts_done) struct msg_texts groups = {0};
        CLEANUP(buf_done) struct buf text = BUF_NONE;
        struct id name = name_of(dn);

        assert_true(roster_groups_of(roster, &name, 256, &groups));
        for (size_t i = 0; i < groups.count; i++)
                buf_add_format(&text, "%s%s", i ? " " : "", groups.at[i]);
        assert_string_equal(buf_text(&text), joined);
}

static void group(struct roster *roster, unsigned number, const char *dn, const char *const *members,
                  size_t expected)
{
        CLEANUP(id_list_done) struct id_list names = {0}, changed = {0};
        struct id id = id_of(number);

        for (; *members; members++) {
                struct id name = name_of(*members);

                id_list_add(&names, &name);
        }
        roster_group_put(roster, &id, dn, &names, &changed);
        assert_int_equal(changed.count, expected);
}

static void names_do_not_depend_on_spelling(void **state)
{
        struct id a = name_of("CN=Ann  Archer, OU=People,DC=Example"),
                  b = name_of("cn=ann\\20archer,ou=people,dc=example");
        struct id c = name_of("cn=ann,ou=archer"), d;

        assert_true(id_equal(&a, &b));
        assert_false(id_equal(&a, &c));
        assert_int_equal(roster_name(bytes_text("nonsense"), &d), PROBLEM_MALFORMED);
}

static void members_get_their_groups(void **state)
{
        struct roster roster = {0};

        group(&roster, 1, "cn=a", (const char *const[]){"cn=x", "cn=y", "CN=X", NULL}, 2);
        group(&roster, 2, "cn=b", (const char *const[]){"cn=x", "cn=a", NULL}, 2);
        groups_are(&roster, "cn=x", "cn=a cn=b");
        groups_are(&roster, "cn=a", "cn=b");
        groups_are(&roster, "cn=z", "");
        /* One goes, one comes; who stays is not concerned. */
        group(&roster, 1, "cn=a", (const char *const[]){"cn=x", "cn=z", NULL}, 2);
        groups_are(&roster, "cn=y", "");
        groups_are(&roster, "cn=z", "cn=a");
        group(&roster, 1, "cn=a", (const char *const[]){"cn=z", "cn=x", NULL}, 0);
        /* Renamed: everybody is. */
        group(&roster, 1, "cn=c", (const char *const[]){"cn=x", "cn=z", NULL}, 2);
        groups_are(&roster, "cn=x", "cn=b cn=c");

        CLEANUP(id_list_done) struct id_list changed = {0};
        struct id first = id_of(1);
        roster_remove(&roster, &first, &changed);
        assert_int_equal(changed.count, 2);
        groups_are(&roster, "cn=x", "cn=b");
        roster_done(&roster);
}

static void entries_are_found_by_id_and_name(void **state)
{
        CLEANUP(id_list_done) struct id_list changed = {0};
        struct roster roster = {0};
        struct id one = id_of(1), two = id_of(2), x = name_of("cn=x"), y = name_of("cn=y");

        assert_int_equal(roster_put(&roster, &one, &x, false), ROSTER_NEW);
        assert_int_equal(roster_put(&roster, &one, &x, false), ROSTER_KNOWN);
        assert_int_equal(roster_put(&roster, &one, &y, false), ROSTER_MOVED);
        assert_null(roster_find_name(&roster, &x));
        assert_int_equal(roster_put(&roster, &two, &y, false), ROSTER_TAKEN);
        assert_true(id_equal(&roster_find_name(&roster, &y)->id, &two));
        assert_true(id_equal(&roster_find(&roster, &one)->id, &one));
        /* Whose name was taken goes without taking it along. */
        roster_remove(&roster, &one, &changed);
        assert_true(id_equal(&roster_find_name(&roster, &y)->id, &two));
        roster_remove(&roster, &two, &changed);
        roster_remove(&roster, &two, &changed);
        assert_null(roster_find_name(&roster, &y));
        assert_int_equal(roster.count, 0);
        roster_done(&roster);
}

/* What is added is taken off again, in whatever order. */
static void size_follows_what_is_there(void **state)
{
        CLEANUP(roster_done) struct roster roster = {0};
        CLEANUP(id_list_done) struct id_list changed = {0};
        struct id name = name_of("cn=a,dc=x"), id = id_of(7);
        size_t alone, full;

        (void)roster_put(&roster, &id, &name, false);
        alone = roster.size;
        group(&roster, 1, "cn=one,dc=x", (const char *[]){"cn=a,dc=x", "cn=b,dc=x", NULL}, 2);
        full = roster.size;
        assert_true(full > alone && alone > 0);
        group(&roster, 2, "cn=two,dc=x", (const char *[]){"cn=a,dc=x", NULL}, 1);
        group(&roster, 1, "cn=three,dc=x", (const char *[]){"cn=b,dc=x", NULL}, 2);
        group(&roster, 1, "cn=one,dc=x", (const char *[]){"cn=b,dc=x", "cn=a,dc=x", NULL}, 2);
        assert_true(roster.size > full);
        for (unsigned number = 1; number < 3; number++) {
                struct id gone = id_of(number);

                roster_remove(&roster, &gone, &changed);
        }
        assert_int_equal(roster.size, alone);
        roster_remove(&roster, &id, &changed);
        assert_int_equal(roster.size, 0);
}

static void too_many_groups_are_cut_and_told(void **state)
{
        CLEANUP(texts_done) struct msg_texts groups = {0};
        struct roster roster = {0};
        struct id x = name_of("cn=x");

        for (unsigned i = 0; i < 5; i++) {
                CLEANUP(mem_freep) char *dn = text_format("cn=g%u", i);

                group(&roster, i, dn, (const char *const[]){"cn=x", NULL}, 1);
        }
        assert_false(roster_groups_of(&roster, &x, 3, &groups));
        assert_int_equal(groups.count, 3);
        roster_done(&roster);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(names_do_not_depend_on_spelling),
            cmocka_unit_test(members_get_their_groups),
            cmocka_unit_test(entries_are_found_by_id_and_name),
            cmocka_unit_test(too_many_groups_are_cut_and_told),
            cmocka_unit_test(size_follows_what_is_there),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
