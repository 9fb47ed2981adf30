/* SPDX-License-Identifier: Apache-2.0 */
/* The mirror of an LDAP directory: runs, what is followed, and directories that lie. */
#include "base/text.h"
#include "mirror.h"

static void test_run(void **state)
{
        MSG_OWN(directory_status_reply) status = {0};
        struct msg_person *group;

        assert_int_equal(follower.run, 1);
        group = follower_person(&follower, "d0000000-0000-4000-8000-000000000004", "Staff", "staff@example.org");
        group->kind = text_copy("group");
        run_of(3);
        shown(WORLD, &status);
        assert_string_equal(status.state, "following");
        assert_string_equal(msg_text(status.detail), "");
        assert_int_equal(status.people, 3);
        assert_int_equal(status.groups, 1);
        assert_int_equal(status.complete.at[0].added, 4);
        assert_string_equal(status.complete.at[0].server, "ldaps://ldap.example.org");
        assert_int_equal(audit_count(WORLD, "server.directory.page", "done"), 1);
        assert_int_equal(audit_count(WORLD, "server.directory.end", "complete"), 1);
        has(WORLD, ALICE, "alice@example.org");
        world_verify(WORLD);
}

static void test_unchanged(void **state)
{
        CLEANUP(entry_row_done) struct entry_row before = {0}, after = {0};

        run_of(3);
        before = entry(WORLD, ALICE);
        follower_sync(&follower, false);
        run_of(3);
        after = entry(WORLD, ALICE);
        assert_int_equal(before.row.version, after.row.version);
        assert_int_equal(audit_count(WORLD, "server.directory.page", "done"), 1);
}

/* Renamed, moved, and with another address: the keys stay. */
static void test_rename_keeps_keys(void **state)
{
        CLEANUP(client_done) struct client client = {0};
        CLEANUP(user_row_done) struct user_row user = {0};
        struct msg_person *person;

        run_of(3);
        enroll(WORLD, "alice@example.org", &client);
        person = follower_person(&follower, ALICE, "Alice Newname", "a.newname@example.org");
        person->unit = text_copy("Research");
        follower_send(&follower, false);
        must(store_user_find_address(WORLD->engine.store, "a.newname@example.org", &user));
        assert_int_equal(user.state, USER_ENROLLED);
        assert_int_equal(store_user_find_address(WORLD->engine.store, "alice@example.org", &user), PROBLEM_NOT_FOUND);
}

/* Somebody else gets the address of who left: not the keys. */
static void test_reused_address(void **state)
{
        CLEANUP(client_done) struct client client = {0};
        CLEANUP(user_row_done) struct user_row user = {0};

        run_of(3);
        enroll(WORLD, "carol@example.org", &client);
        follower_sync(&follower, false);
        run_of(2);
        follower_person(&follower, "c0000000-0000-4000-8000-0000000000ff", "Carol", "carol@example.org");
        follower_send(&follower, false);
        findings(WORLD, 0, "");
        has(WORLD, "c0000000-0000-4000-8000-0000000000ff", "carol@example.org");
        has(WORLD, CAROL, "");
        assert_int_equal(store_user_find_address(WORLD->engine.store, "carol@example.org", &user), PROBLEM_NOT_FOUND);
        world_verify(WORLD);
}

/* ALICE run that broke off makes nobody leave. */
static void test_incomplete(void **state)
{
        MSG_OWN(directory_status_reply) status = {0};

        run_of(3);
        follower_sync(&follower, false);
        follower_person(&follower, ALICE, "Alice", "alice@example.org");
        follower_send(&follower, true);
        follower_complete(&follower, false);
        shown(WORLD, &status);
        assert_string_equal(status.state, "waiting");
        assert_string_equal(status.detail, "the server said nothing");
        assert_false(gone(WORLD, CAROL));
        follower_sync(&follower, false);
        follower_person(&follower, ALICE, "Alice", "alice@example.org");
        follower_send(&follower, true);
        follower_lost(&follower);
        assert_int_equal(follower.run, 4);
        assert_false(gone(WORLD, BOB));
        run_of(3);
        findings(WORLD, 0, "");
}

/* ALICE page of a run that is over is told so. */
static void test_stale_page(void **state)
{
        run_of(3);
        follower.run--;
        follower_person(&follower, ALICE, "Mallory", "alice@example.org");
        follower_send(&follower, true);
        assert_int_equal(follower.taken.run, 0);
        has(WORLD, ALICE, "alice@example.org");
}

/* Two change places: whatever comes first, nobody loses his address, and nobody's keys go with it. */
static void test_addresses_swapped(void **state)
{
        run_of(3);
        follower_sync(&follower, false);
        follower_person(&follower, ALICE, "Alice", "bob@example.org");
        follower_person(&follower, BOB, "Bob", "alice@example.org");
        follower_person(&follower, CAROL, "Carol", "carol@example.org");
        follower_send(&follower, true);
        assert_int_equal(follower.taken.conflicts.count, 2);
        has(WORLD, ALICE, "alice@example.org");
        follower_person(&follower, ALICE, "Alice", "bob@example.org");
        follower_person(&follower, BOB, "Bob", "alice@example.org");
        follower_send(&follower, true);
        assert_int_equal(follower.taken.conflicts.count, 0);
        follower_complete(&follower, true);
        has(WORLD, ALICE, "bob@example.org");
        has(WORLD, BOB, "alice@example.org");
        findings(WORLD, 0, "");
        world_verify(WORLD);
}

/* The same by changes that are followed. */
static void test_addresses_swapped_when_followed(void **state)
{
        run_of(3);
        follower_person(&follower, ALICE, "Alice", "bob@example.org");
        follower_person(&follower, BOB, "Bob", "alice@example.org");
        follower_send(&follower, false);
        assert_int_equal(follower.taken.conflicts.count, 2);
        follower_person(&follower, ALICE, "Alice", "bob@example.org");
        follower_person(&follower, BOB, "Bob", "alice@example.org");
        follower_send(&follower, false);
        assert_int_equal(follower.taken.conflicts.count, 0);
        has(WORLD, ALICE, "bob@example.org");
        has(WORLD, BOB, "alice@example.org");
        findings(WORLD, 0, "");
        /* Who is said to have what another one has is a finding, the second time. */
        for (unsigned i = 0; i < 2; i++) {
                findings(WORLD, 0, "");
                follower_person(&follower, CAROL, "Carol", "bob@example.org");
                follower_send(&follower, false);
                assert_int_equal(follower.taken.conflicts.count, !i);
        }
        findings(WORLD, 1, "belongs to Alice");
        has(WORLD, CAROL, "carol@example.org");
        world_verify(WORLD);
}

/* What fails may do so while a page is without its answer. */
static void test_fails_meanwhile(void **state)
{
        MSG_OWN(directory_status_reply) status = {0};

        run_of(3);
        follower_sync(&follower, false);
        follower_fail(&follower);
        shown(WORLD, &status);
        assert_string_equal(status.state, "waiting");
        follower_sync(&follower, false);
        run_of(3);
        findings(WORLD, 0, "");
}

/* Two have it at once: who had it keeps it, and the other is a finding. */
static void test_address_twice(void **state)
{
        run_of(2);
        follower_sync(&follower, false);
        follower_person(&follower, CAROL, "Carol", "bob@example.org");
        follower_send(&follower, true);
        assert_int_equal(follower.taken.conflicts.count, 1);
        follower_person(&follower, ALICE, "Alice", "alice@example.org");
        follower_person(&follower, BOB, "Bob", "bob@example.org");
        follower_send(&follower, true);
        follower_person(&follower, CAROL, "Carol", "bob@example.org");
        follower_send(&follower, true);
        follower_complete(&follower, true);
        has(WORLD, BOB, "bob@example.org");
        findings(WORLD, 1, "bob@example.org belongs to Bob");
}

/* Who left before the run gives way in it; but only once all others were seen. */
static void test_address_of_missing(void **state)
{
        run_of(3);
        follower_sync(&follower, false);
        follower_person(&follower, "c0000000-0000-4000-8000-0000000000ff", "Carol", "carol@example.org");
        follower_send(&follower, true);
        assert_int_equal(follower.taken.conflicts.count, 1); /* of the address; the DN is taken too */
        follower_person(&follower, ALICE, "Alice", "alice@example.org");
        follower_person(&follower, BOB, "Bob", "bob@example.org");
        follower_send(&follower, true);
        follower_person(&follower, "c0000000-0000-4000-8000-0000000000ff", "Carol", "carol@example.org");
        follower_send(&follower, true);
        follower_complete(&follower, true);
        has(WORLD, "c0000000-0000-4000-8000-0000000000ff", "carol@example.org");
        assert_true(gone(WORLD, CAROL));
        findings(WORLD, 0, "");
}

static void test_id_twice(void **state)
{
        follower_person(&follower, ALICE, "Alice", "alice@example.org");
        follower_person(&follower, ALICE, "Mallory", "mallory@example.org");
        follower_send(&follower, true);
        follower_complete(&follower, true);
        has(WORLD, ALICE, "alice@example.org");
        findings(WORLD, 1, "another entry too");
        assert_true(disabled(WORLD, ALICE)); /* either may be the false one: nothing is issued */
        follower_sync(&follower, false);
        run_of(1);
        assert_false(disabled(WORLD, ALICE));
        findings(WORLD, 0, "");
}

static void test_nonsense(void **state)
{
        struct msg_person *person;

        run_of(1);
        person = follower_person(&follower, BOB, "Bob", "bob@example.org\r\nBcc: x@example.org");
        person = follower_person(&follower, CAROL, "Carol\nRoot", "carol@example.org");
        person = follower_person(&follower, "", "Nobody", "nobody@example.org");
        person = follower_person(&follower, "cn=x", "Odd", "odd@example.org"); /* an id that is no UUID is none the less one */
        person->language = text_copy("de-AT, en;q=0.5");
        person = MSG_LIST_ADD(follower.page.people);
        person->guid = text_copy("d0000000-0000-4000-8000-000000000005");
        person->kind = text_copy("printer");
        follower_send(&follower, false);
        findings(WORLD, 4, "not a \"printer\"");
        assert_int_equal(store_entry_find_address(WORLD->engine.store, "nobody@example.org", &(struct entry_row){0}),
                         PROBLEM_NOT_FOUND);
        {
                CLEANUP(entry_row_done) struct entry_row odd = {0};

                must(store_entry_find_address(WORLD->engine.store, "odd@example.org", &odd));
                assert_string_equal(odd.language, "de-AT");
        }
}

static void test_disk_full(void **state)
{
        MSG_OWN(directory_status_reply) status = {0};

        follower_person(&follower, ALICE, "Alice", "alice@example.org");
        WORLD->engine.fail_commits = true;
        follower_send(&follower, true);
        WORLD->engine.fail_commits = false;
        assert_int_equal(follower.taken.run, 0);
        shown(WORLD, &status);
        assert_string_equal(status.state, "waiting");
        assert_non_null(strstr(status.detail, "could not be written"));
        follower_sync(&follower, false);
        run_of(3);
        findings(WORLD, 0, "");
        world_verify(WORLD);
}

static void test_crash(void **state)
{
        MSG_OWN(directory_status_reply) status = {0};

        run_of(3);
        follower_sync(&follower, false);
        follower_person(&follower, ALICE, "Alice Other", "alice@example.org");
        follower_send(&follower, true);
        channel_close(follower.channel);
        world_crash(WORLD);
        follower_end(&follower);
        follower_begin(&follower, WORLD);
        assert_int_equal(follower.run, 3); /* numbers are never given twice */
        shown(WORLD, &status);
        assert_int_equal(status.complete.at[0].run, 1);
        run_of(3);
        findings(WORLD, 0, "");
        world_verify(WORLD);
}

/* It is read while sealed by nobody, and once unsealed again. */
static void test_sealed(void **state)
{
        follower_person(&follower, ALICE, "Alice", "alice@example.org");
        follower_send(&follower, true);
        engine_sealed(&WORLD->engine, "in a test");
        follower_person(&follower, BOB, "Bob", "bob@example.org");
        follower_send(&follower, true);
        assert_int_equal(follower.taken.run, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            LDAP_TEST(test_run),
            LDAP_TEST(test_unchanged),
            LDAP_TEST(test_rename_keeps_keys),
            LDAP_TEST(test_reused_address),
            LDAP_TEST(test_incomplete),
            LDAP_TEST(test_stale_page),
            LDAP_TEST(test_addresses_swapped),
            LDAP_TEST(test_addresses_swapped_when_followed),
            LDAP_TEST(test_fails_meanwhile),
            LDAP_TEST(test_address_twice),
            LDAP_TEST(test_address_of_missing),
            LDAP_TEST(test_id_twice),
            LDAP_TEST(test_nonsense),
            LDAP_TEST(test_disk_full),
            LDAP_TEST(test_crash),
            LDAP_TEST(test_sealed),
        };

        log_setup("test-directory", LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
