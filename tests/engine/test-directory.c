/* SPDX-License-Identifier: Apache-2.0 */
/* The mirror of an LDAP directory: runs, what is followed, who left, and directories that lie. */
#include "base/text.h"
#include "follower.h"
#include "room.h"

#define A FOLLOWED_A
#define B FOLLOWED_B
#define C FOLLOWED_C

static struct follower follower;

static int set_up_ldap(void **state)
{
        *state = NEW(struct world);
        world_init(WORLD);
        world_open(WORLD);
        follower_begin(&follower, WORLD);
        return 0;
}

static int tear_down_ldap(void **state)
{
        follower_end(&follower);
        return tear_down(state);
}

static void shown(struct world *world, struct msg_directory_status_reply *ret_status)
{
        struct msg_directory_status ask = {0};

        must(world_ask(world, ADA, MSG_directory_status, &ask, ret_status));
}

static struct entry_row entry(struct world *world, const char *guid)
{
        return world_entry(world, guid);
}

static void has(struct world *world, const char *guid, const char *address)
{
        CLEANUP(entry_row_done) struct entry_row row = entry(world, guid);

        assert_string_equal(row.addresses.count ? row.addresses.items[0] : "", address);
}

static bool gone(struct world *world, const char *guid)
{
        return world_entry_gone(world, guid);
}

static bool disabled(struct world *world, const char *guid)
{
        CLEANUP(entry_row_done) struct entry_row row = entry(world, guid);

        return row.disabled != 0;
}

static void run_of(unsigned people)
{
        follower_run_of(&follower, people);
}

static void findings(struct world *world, size_t count, const char *part)
{
        MSG_OWN(directory_status_reply) status = {0};

        shown(world, &status);
        for (size_t i = 0; i < status.findings.count; i++)
                if (status.findings.count != count)
                        print_message("finding: %s: %s\n", status.findings.at[i].subject, status.findings.at[i].detail);
        assert_int_equal(status.findings.count, count);
        if (count)
                assert_non_null(strstr(status.findings.at[count - 1].detail, part));
}

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
        has(WORLD, A, "alice@example.org");
        world_verify(WORLD);
}

static void test_unchanged(void **state)
{
        CLEANUP(entry_row_done) struct entry_row before = {0}, after = {0};

        run_of(3);
        before = entry(WORLD, A);
        follower_sync(&follower, false);
        run_of(3);
        after = entry(WORLD, A);
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
        person = follower_person(&follower, A, "Alice Newname", "a.newname@example.org");
        person->unit = text_copy("Research");
        follower_send(&follower, false);
        must(store_user_find_address(WORLD->engine.store, "a.newname@example.org", &user));
        assert_int_equal(user.state, USER_ENROLLED);
        assert_int_equal(store_user_find_address(WORLD->engine.store, "alice@example.org", &user), PROBLEM_NOT_FOUND);
}

static void test_leaves_and_returns(void **state)
{
        CLEANUP(client_done) struct client client = {0};
        struct msg_directory_list ask = {.left = true};
        MSG_OWN(directory_listed) listed = {0};
        MSG_OWN(directory_status_reply) status = {0};
        CLEANUP(user_row_done) struct user_row user = {0};

        run_of(3);
        enroll(WORLD, "carol@example.org", &client);
        follower_sync(&follower, false);
        run_of(2);
        assert_true(gone(WORLD, C));
        assert_false(gone(WORLD, B));
        assert_int_equal(audit_count(WORLD, "server.directory.leave", "done"), 1);
        shown(WORLD, &status);
        assert_int_equal(status.left, 1);
        must(world_ask(WORLD, ADA, MSG_directory_list, &ask, &listed));
        assert_int_equal(listed.departures.count, 1);
        assert_string_equal(listed.departures.at[0].name, "Carol");
        assert_string_equal(listed.departures.at[0].state, "enrolled");
        must(store_user_find_address(WORLD->engine.store, "carol@example.org", &user)); /* for a recovery */
        follower_sync(&follower, false);
        run_of(3);
        assert_false(gone(WORLD, C));
        world_verify(WORLD);
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
        has(WORLD, C, "");
        assert_int_equal(store_user_find_address(WORLD->engine.store, "carol@example.org", &user), PROBLEM_NOT_FOUND);
        world_verify(WORLD);
}

/* A run that broke off makes nobody leave. */
static void test_incomplete(void **state)
{
        MSG_OWN(directory_status_reply) status = {0};

        run_of(3);
        follower_sync(&follower, false);
        follower_person(&follower, A, "Alice", "alice@example.org");
        follower_send(&follower, true);
        follower_complete(&follower, false);
        shown(WORLD, &status);
        assert_string_equal(status.state, "waiting");
        assert_string_equal(status.detail, "the server said nothing");
        assert_false(gone(WORLD, C));
        follower_sync(&follower, false);
        follower_person(&follower, A, "Alice", "alice@example.org");
        follower_send(&follower, true);
        follower_lost(&follower);
        assert_int_equal(follower.run, 4);
        assert_false(gone(WORLD, B));
        run_of(3);
        findings(WORLD, 0, "");
}

/* A page of a run that is over is told so. */
static void test_stale_page(void **state)
{
        run_of(3);
        follower.run--;
        follower_person(&follower, A, "Mallory", "alice@example.org");
        follower_send(&follower, true);
        assert_int_equal(follower.taken.run, 0);
        has(WORLD, A, "alice@example.org");
}

/* Two change places: whatever comes first, nobody loses his address, and nobody's keys go with it. */
static void test_addresses_swapped(void **state)
{
        run_of(3);
        follower_sync(&follower, false);
        follower_person(&follower, A, "Alice", "bob@example.org");
        follower_person(&follower, B, "Bob", "alice@example.org");
        follower_person(&follower, C, "Carol", "carol@example.org");
        follower_send(&follower, true);
        assert_int_equal(follower.taken.conflicts.count, 2);
        has(WORLD, A, "alice@example.org");
        follower_person(&follower, A, "Alice", "bob@example.org");
        follower_person(&follower, B, "Bob", "alice@example.org");
        follower_send(&follower, true);
        assert_int_equal(follower.taken.conflicts.count, 0);
        follower_complete(&follower, true);
        has(WORLD, A, "bob@example.org");
        has(WORLD, B, "alice@example.org");
        findings(WORLD, 0, "");
        world_verify(WORLD);
}

/* The same by changes that are followed. */
static void test_addresses_swapped_when_followed(void **state)
{
        run_of(3);
        follower_person(&follower, A, "Alice", "bob@example.org");
        follower_person(&follower, B, "Bob", "alice@example.org");
        follower_send(&follower, false);
        assert_int_equal(follower.taken.conflicts.count, 2);
        follower_person(&follower, A, "Alice", "bob@example.org");
        follower_person(&follower, B, "Bob", "alice@example.org");
        follower_send(&follower, false);
        assert_int_equal(follower.taken.conflicts.count, 0);
        has(WORLD, A, "bob@example.org");
        has(WORLD, B, "alice@example.org");
        findings(WORLD, 0, "");
        /* Who is said to have what another one has is a finding, the second time. */
        for (unsigned i = 0; i < 2; i++) {
                findings(WORLD, 0, "");
                follower_person(&follower, C, "Carol", "bob@example.org");
                follower_send(&follower, false);
                assert_int_equal(follower.taken.conflicts.count, !i);
        }
        findings(WORLD, 1, "belongs to Alice");
        has(WORLD, C, "carol@example.org");
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
        follower_person(&follower, C, "Carol", "bob@example.org");
        follower_send(&follower, true);
        assert_int_equal(follower.taken.conflicts.count, 1);
        follower_person(&follower, A, "Alice", "alice@example.org");
        follower_person(&follower, B, "Bob", "bob@example.org");
        follower_send(&follower, true);
        follower_person(&follower, C, "Carol", "bob@example.org");
        follower_send(&follower, true);
        follower_complete(&follower, true);
        has(WORLD, B, "bob@example.org");
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
        follower_person(&follower, A, "Alice", "alice@example.org");
        follower_person(&follower, B, "Bob", "bob@example.org");
        follower_send(&follower, true);
        follower_person(&follower, "c0000000-0000-4000-8000-0000000000ff", "Carol", "carol@example.org");
        follower_send(&follower, true);
        follower_complete(&follower, true);
        has(WORLD, "c0000000-0000-4000-8000-0000000000ff", "carol@example.org");
        assert_true(gone(WORLD, C));
        findings(WORLD, 0, "");
}

static void test_id_twice(void **state)
{
        follower_person(&follower, A, "Alice", "alice@example.org");
        follower_person(&follower, A, "Mallory", "mallory@example.org");
        follower_send(&follower, true);
        follower_complete(&follower, true);
        has(WORLD, A, "alice@example.org");
        findings(WORLD, 1, "another entry too");
        assert_true(disabled(WORLD, A)); /* either may be the false one: nothing is issued */
        follower_sync(&follower, false);
        run_of(1);
        assert_false(disabled(WORLD, A));
        findings(WORLD, 0, "");
}

static void test_nonsense(void **state)
{
        struct msg_person *person;

        run_of(1);
        person = follower_person(&follower, B, "Bob", "bob@example.org\r\nBcc: x@example.org");
        person = follower_person(&follower, C, "Carol\nRoot", "carol@example.org");
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

        follower_person(&follower, A, "Alice", "alice@example.org");
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
        follower_person(&follower, A, "Alice Other", "alice@example.org");
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
        follower_person(&follower, A, "Alice", "alice@example.org");
        follower_send(&follower, true);
        engine_sealed(&WORLD->engine, "in a test");
        follower_person(&follower, B, "Bob", "bob@example.org");
        follower_send(&follower, true);
        assert_int_equal(follower.taken.run, 0);
}

/* Who left is revoked after a time, and no sooner; who came back is not. */
static void test_revoked_after(void **state)
{
        CLEANUP(client_done) struct client carol = {0}, bob = {0};
        CLEANUP(user_row_done) struct user_row user = {0};

        run_of(3);
        enroll(WORLD, "carol@example.org", &carol);
        enroll(WORLD, "bob@example.org", &bob);
        follower_sync(&follower, false);
        run_of(2);
        WORLD->engine.config.revoke_left_after = 30 * 86400;
        WORLD->engine.clock_offset = 29 * 86400;
        sweep_pump(&WORLD->engine);
        assert_int_equal(audit_count(WORLD, "server.revoke", "done"), 0);
        WORLD->engine.clock_offset = 31 * 86400;
        WORLD->engine.directory.revoke_ms = 0;
        sweep_pump(&WORLD->engine);
        assert_int_equal(audit_count(WORLD, "server.revoke", "done"), 1);
        /* Where seconds are configured it looks again after seconds. */
        assert_true(WORLD->engine.directory.revoke_ms > clock_monotonic_ms() + 1000);
        WORLD->engine.config.revoke_left_after = 1;
        WORLD->engine.directory.revoke_ms = 0;
        sweep_pump(&WORLD->engine);
        assert_true(WORLD->engine.directory.revoke_ms <= clock_monotonic_ms() + 1000);
        must(store_user_find_address(WORLD->engine.store, "carol@example.org", &user));
        assert_int_equal(user.state, USER_REVOKED);
        world_verify(WORLD);
}

/* Who left is given nothing new. */
static void test_left_is_not_enrolled(void **state)
{
        MSG_OWN(user_enroll) ask = {0};
        MSG_OWN(user_enroll_reply) reply = {0};

        run_of(3);
        follower_sync(&follower, false);
        run_of(2);
        msg_texts_add(&ask.selection, "carol@example.org");
        msg_texts_add(&ask.selection, "all");
        must(world_ask(WORLD, ROB, MSG_user_enroll, &ask, &reply));
        assert_int_equal(reply.rows.count, 3);
        assert_string_equal(reply.rows.at[0].outcome, "refused");
        assert_string_equal(reply.rows.at[1].outcome, "token");
}

/* A server that had its own address book before: its people stay until they are removed, and give way then. */
static void test_from_embedded(void **state)
{
        struct msg_directory_edit edit = {.entry = (char[]){"erna@example.org"}, .remove = true};
        MSG_OWN(directory_edited) edited = {0};

        WORLD->engine.config.directory_ldap = false;
        world_import(WORLD, A, "Alice Before", "alice@example.org");
        world_import(WORLD, NULL, "Erna", "erna@example.org");
        WORLD->engine.config.directory_ldap = true;
        for (unsigned i = 0; i < 2; i++) {
                follower_person(&follower, C, "Erna", "erna@example.org");
                follower_send(&follower, true);
        }
        run_of(2);
        findings(WORLD, 1, "vouchsafe directory remove");
        has(WORLD, A, "alice@example.org"); /* the same id, so the same person */
        must(world_ask(WORLD, ROB, MSG_directory_edit, &edit, &edited));
        follower_person(&follower, C, "Erna", "erna@example.org");
        follower_send(&follower, false);
        has(WORLD, C, "erna@example.org");
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
        assert_false(gone(WORLD, A));
}

/* ---- the embedded address book */

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
        person->guid = text_copy(A);
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

#define LDAP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_ldap, tear_down_ldap)

int main(void)
{
        const struct CMUnitTest tests[] = {
            LDAP_TEST(test_run),
            LDAP_TEST(test_unchanged),
            LDAP_TEST(test_rename_keeps_keys),
            LDAP_TEST(test_leaves_and_returns),
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
            LDAP_TEST(test_revoked_after),
            LDAP_TEST(test_left_is_not_enrolled),
            LDAP_TEST(test_from_embedded),
            LDAP_TEST(test_not_embedded),
            TEST(test_no_id_returns_nobody),
            TEST(test_edit),
        };

        log_setup("test-directory", LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
