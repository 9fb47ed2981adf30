/* SPDX-License-Identifier: Apache-2.0 */
/* The address book of a server without an LDAP directory, and what becomes of it when one is configured. */
#include "base/text.h"
#include "mirror.h"

/* Without an id nobody says that who has the address now is who had it. */
static void test_no_id_returns_nobody(void **state)
{
        MSG_OWN(directory_import) ask = {0};
        MSG_OWN(directory_imported) first = {0}, again = {0}, other = {0};
        MSG_OWN(directory_edited) removed = {0};
        struct msg_directory_edit remove = {.entry = (char[]){"dora@example.org"}, .remove = true};
        struct msg_person *person = MSG_LIST_ADD(ask.people);

        person->name = text_copy("Dora");
        msg_texts_add(&person->addresses, "dora@example.org");
        must(world_ask(WORLD, ROB, MSG_directory_import, &ask, &first));
        assert_int_equal(first.added, 1);
        must(world_ask(WORLD, ROB, MSG_directory_edit, &remove, &removed));
        must(world_ask(WORLD, ROB, MSG_directory_import, &ask, &again));
        assert_int_equal(again.findings.count, 1);
        assert_non_null(strstr(again.findings.at[0].detail, "has left"));
        assert_true(gone(WORLD, removed.person.at[0].guid));
        person->guid = text_copy(ALICE);
        must(world_ask(WORLD, ROB, MSG_directory_import, &ask, &other));
        assert_int_equal(other.added, 1);
        assert_true(gone(WORLD, removed.person.at[0].guid));
        world_verify(WORLD);
}

static void test_edit(void **state)
{
        MSG_OWN(directory_edit) add = {0}, change = {0};
        MSG_OWN(directory_edited) reply = {0};
        struct msg_directory_edit remove = {.entry = (char[]){"dora@example.org"}, .remove = true},
                                  restore = {.entry = (char[]){"dora@example.org"}, .restore = true};
        struct msg_person *person = MSG_LIST_ADD(add.person);

        person->name = text_copy("Dora");
        msg_texts_add(&add.fields, "name");
        msg_texts_add(&add.add_addresses, "Dora@Example.ORG");
        must(world_ask(WORLD, ROB, MSG_directory_edit, &add, &reply));
        assert_string_equal(reply.person.at[0].addresses.at[0], "dora@example.org");
        msg_done(directory_edited, &reply);
        assert_int_equal(world_ask(WORLD, ROB, MSG_directory_edit, &add, &reply), PROBLEM_EXISTS); /* the address */
        change.entry = text_copy("dora@example.org");
        person = MSG_LIST_ADD(change.person);
        person->disabled = true;
        person->language = text_copy("de");
        msg_texts_add(&change.fields, "disabled");
        msg_texts_add(&change.fields, "language");
        msg_texts_add(&change.add_groups, "staff");
        must(world_ask(WORLD, ROB, MSG_directory_edit, &change, &reply));
        assert_true(reply.person.at[0].disabled);
        assert_string_equal(reply.person.at[0].name, "Dora");
        assert_string_equal(reply.person.at[0].groups.at[0], "staff");
        msg_done(directory_edited, &reply);
        must(world_ask(WORLD, ROB, MSG_directory_edit, &remove, &reply));
        assert_true(reply.person.at[0].gone != 0);
        assert_int_equal(world_ask(WORLD, ROB, MSG_directory_edit, &change, &reply), PROBLEM_STATE);
        msg_done(directory_edited, &reply);
        must(world_ask(WORLD, ROB, MSG_directory_edit, &restore, &reply));
        assert_int_equal(reply.person.at[0].gone, 0);
        assert_int_equal(world_ask(WORLD, ADA, MSG_directory_sync, &(struct msg_directory_sync){0},
                                   &(struct msg_directory_syncing){0}),
                         PROBLEM_UNSUPPORTED);
        world_verify(WORLD);
}

/* One mailbox has one entry, however its domain is spelled, and that is found in either spelling. */
static void test_international_domain(void **state)
{
        MSG_OWN(directory_import) ask = {0};
        MSG_OWN(directory_imported) reply = {0};
        MSG_OWN(user_shown) shown = {0};
        MSG_OWN(directory_list) search = {.search = text_copy("zoe@xn--bcher-kva.exa")};
        MSG_OWN(directory_listed) listed = {0};
        struct msg_person *person = MSG_LIST_ADD(ask.people);

        person->guid = text_copy(ALICE);
        person->name = text_copy("Zoe");
        msg_texts_add(&person->addresses, "zoe@xn--bcher-kva.example");
        msg_texts_add(&person->addresses, "zoe@bücher.example");
        person = MSG_LIST_ADD(ask.people);
        person->guid = text_copy(BOB);
        person->name = text_copy("Another Zoe");
        msg_texts_add(&person->addresses, "zoe@bücher.example");
        must(world_ask(WORLD, ROB, MSG_directory_import, &ask, &reply));
        assert_int_equal(reply.added, 1);
        assert_int_equal(reply.findings.count, 1);
        assert_non_null(strstr(reply.findings.at[0].detail, "belongs to Zoe"));
        must(world_ask(WORLD, ROB, MSG_user_show, &(struct msg_user_show){.user = (char[]){"zoe@XN--BCHER-KVA.example"}},
                       &shown));
        assert_string_equal(shown.user.at[0].addresses.at[0], "zoe@bücher.example");
        assert_int_equal(shown.user.at[0].addresses.count, 1);
        must(world_ask(WORLD, ROB, MSG_directory_list, &search, &listed));
        assert_int_equal(listed.people.count, 1);
        world_verify(WORLD);
}

/* ALICE server that had its own address book before: its people stay until they are removed, and give way then. */
static void test_from_embedded(void **state)
{
        struct msg_directory_edit edit = {.entry = (char[]){"erna@example.org"}, .remove = true};
        MSG_OWN(directory_edited) edited = {0};

        WORLD->engine.config.directory_ldap = false;
        world_import(WORLD, ALICE, "Alice Before", "alice@example.org");
        world_import(WORLD, NULL, "Erna", "erna@example.org");
        WORLD->engine.config.directory_ldap = true;
        for (unsigned i = 0; i < 2; i++) {
                follower_person(&follower, CAROL, "Erna", "erna@example.org");
                follower_send(&follower, true);
        }
        run_of(2);
        findings(WORLD, 1, "vouchsafe directory remove");
        has(WORLD, ALICE, "alice@example.org"); /* the same id, so the same person */
        must(world_ask(WORLD, ROB, MSG_directory_edit, &edit, &edited));
        follower_person(&follower, CAROL, "Erna", "erna@example.org");
        follower_send(&follower, false);
        has(WORLD, CAROL, "erna@example.org");
        world_verify(WORLD);
}

/* What belongs to the directory is changed there. */
static void test_not_embedded(void **state)
{
        MSG_OWN(directory_import) import = {0};
        MSG_OWN(directory_imported) imported = {0};
        struct msg_directory_edit edit = {.entry = (char[]){"alice@example.org"}, .remove = true};
        MSG_OWN(directory_edited) edited = {0};

        run_of(3);
        msg_texts_add(&MSG_LIST_ADD(import.people)->addresses, "x@example.org");
        assert_int_equal(world_ask(WORLD, ROB, MSG_directory_import, &import, &imported), PROBLEM_UNSUPPORTED);
        assert_int_equal(world_ask(WORLD, ROB, MSG_directory_edit, &edit, &edited), PROBLEM_UNSUPPORTED);
        assert_false(gone(WORLD, ALICE));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            TEST(test_no_id_returns_nobody),
            TEST(test_edit),
            TEST(test_international_domain),
            LDAP_TEST(test_from_embedded),
            LDAP_TEST(test_not_embedded),
        };

        log_setup("test-address-book", LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
