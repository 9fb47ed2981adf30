/* SPDX-License-Identifier: Apache-2.0 */
/* Who leaves the directory: how many may at once, and what becomes of them and of their files in the web folder. */
#include "base/text.h"
#include "mirror.h"

/* ---- how many */

static void test_guard(void **state)
{
        MSG_OWN(directory_status_reply) status = {0};

        run_of(3);
        follower_sync(&follower, false);
        run_of(1); /* half of it is missing */
        assert_false(gone(WORLD, BOB));
        assert_false(gone(WORLD, CAROL));
        shown(WORLD, &status);
        assert_string_equal(status.last.at[0].outcome, "refused");
        assert_int_equal(status.last.at[0].left, 2);
        assert_int_equal(status.complete.at[0].run, 1);
        assert_non_null(strstr(status.detail, "--accept-departures"));
        assert_int_equal(audit_count(WORLD, "server.directory.end", "refused"), 1);
        follower_sync(&follower, true);
        run_of(1);
        assert_true(gone(WORLD, BOB));
        assert_true(gone(WORLD, CAROL));
        follower_sync(&follower, false);
        run_of(0); /* it was accepted for once */
        assert_true(gone(WORLD, ALICE)); /* one may always leave */
        world_verify(WORLD);
}

/* Many small departures are a large one: a directory that lies may be read, or lost and found, any number of times. */
static void test_guard_of_small_steps(void **state)
{
        run_of(3);
        follower_sync(&follower, false);
        run_of(2);
        assert_true(gone(WORLD, CAROL));
        follower_sync(&follower, false);
        run_of(1);
        assert_false(gone(WORLD, BOB));
        follower_lost(&follower);
        run_of(1);
        assert_false(gone(WORLD, BOB));
        msg_texts_add(&follower.page.gone, BOB);
        follower_send(&follower, false);
        assert_false(gone(WORLD, BOB));
        WORLD->engine.clock_offset = 2 * 86400;
        follower_sync(&follower, false);
        run_of(1);
        assert_true(gone(WORLD, BOB));
}

static void groups_of(unsigned count)
{
        for (unsigned i = 0; i < count; i++) {
                char *guid CLEANUP(mem_freep) = text_format("d0000000-0000-4000-8000-%012u", i);
                char *name CLEANUP(mem_freep) = text_format("Group %u", i);

                follower_person(&follower, guid, name, "")->kind = text_copy("group");
        }
}

/* However many groups there are: that no people are found any more is no small share. */
static void test_guard_of_people(void **state)
{
        groups_of(40);
        run_of(3);
        follower_sync(&follower, false);
        groups_of(40);
        run_of(0);
        assert_false(gone(WORLD, ALICE));
        assert_false(gone(WORLD, CAROL));
}

/* What an operator accepted is the run that he was shown, whatever became of it. */
static void test_acceptance_ends(void **state)
{
        run_of(3);
        follower_sync(&follower, true);
        follower_complete(&follower, false);
        follower_sync(&follower, false);
        run_of(1);
        assert_false(gone(WORLD, BOB));
}

static void test_guard_of_followed(void **state)
{
        MSG_OWN(directory_status_reply) status = {0};

        run_of(3);
        msg_texts_add(&follower.page.gone, BOB);
        msg_texts_add(&follower.page.gone, CAROL);
        follower_send(&follower, false);
        assert_true(gone(WORLD, BOB));
        assert_false(gone(WORLD, CAROL));
        shown(WORLD, &status);
        assert_int_equal(status.findings.count, 1);
        assert_non_null(strstr(status.findings.at[0].detail, "said to be deleted"));
}

/* ---- who looks for them */

static void test_not_found(void **state)
{
        CLEANUP(client_done) struct client carol = {0};
        MSG_OWN(certificate_find) ask = {0};
        MSG_OWN(certificate_found) before = {0}, after = {0};

        run_of(3);
        enroll(WORLD, "carol@example.org", &carol);
        msg_texts_add(&ask.addresses, "carol@example.org");
        must(world_ask(WORLD, ADA, MSG_certificate_find, &ask, &before));
        assert_int_equal(before.found.count, 1);
        follower_sync(&follower, false);
        run_of(2);
        must(world_ask(WORLD, ADA, MSG_certificate_find, &ask, &after));
        assert_int_equal(after.found.count, 0);
}

/* ---- their files */

/* The last job for the file of an address in the web folder. */
static int file_job(void *context, struct job_row *job)
{
        char **last = context;

        if (strcmp(job->subject, "users/carol@example.org.cer") == 0) {
                free(*last);
                *last = text_copy(job->kind);
        }
        return 0;
}

static void file_is(struct world *world, const char *kind)
{
        char *last CLEANUP(mem_freep) = NULL;

        must(store_job_list(world->engine.store, 0, 0, 1000, &last, file_job));
        assert_string_equal(last ? last : "", kind);
}

/* The web folder follows the address: never the certificate of who had it, and nobody's goes with who had it. */
static void test_web_folder_of_reused_address(void **state)
{
        CLEANUP(client_done) struct client carol = {0}, other = {0};
        struct msg_user_revoke revoke = {.user = (char[]){"c0000000-0000-4000-8000-000000000003"}};
        MSG_OWN(user_revoked) revoked = {0};

        WORLD->engine.config.publish_users = true;
        run_of(3);
        enroll(WORLD, "carol@example.org", &carol);
        file_is(WORLD, "publish-file");
        follower_person(&follower, CAROL, "Carol", "c.moved@example.org");
        follower_send(&follower, false);
        file_is(WORLD, "remove-file");
        follower_person(&follower, "c0000000-0000-4000-8000-0000000000ff", "Caroline", "carol@example.org");
        follower_send(&follower, false);
        enroll(WORLD, "carol@example.org", &other);
        file_is(WORLD, "publish-file");
        must(world_ask(WORLD, ROB, MSG_user_revoke, &revoke, &revoked));
        file_is(WORLD, "publish-file");
        world_verify(WORLD);
}

static void test_web_folder_of_expired(void **state)
{
        CLEANUP(client_done) struct client carol = {0};

        WORLD->engine.config.publish_users = true;
        run_of(3);
        enroll(WORLD, "carol@example.org", &carol);
        sweep_pump(&WORLD->engine);
        file_is(WORLD, "publish-file");
        WORLD->engine.clock_offset = (int64_t)40 * 365 * 86400;
        sweep_pump(&WORLD->engine);
        file_is(WORLD, "remove-file");
}

static void test_web_folder_of_who_left(void **state)
{
        CLEANUP(client_done) struct client carol = {0};

        WORLD->engine.config.publish_users = true;
        run_of(3);
        enroll(WORLD, "carol@example.org", &carol);
        follower_sync(&follower, false);
        run_of(2);
        file_is(WORLD, "remove-file");
        follower_sync(&follower, false);
        run_of(3);
        file_is(WORLD, "publish-file");
}

/* ---- what becomes of them */

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
        assert_true(gone(WORLD, CAROL));
        assert_false(gone(WORLD, BOB));
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
        assert_false(gone(WORLD, CAROL));
        world_verify(WORLD);
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

int main(void)
{
        const struct CMUnitTest tests[] = {
            LDAP_TEST(test_guard),
            LDAP_TEST(test_guard_of_small_steps),
            LDAP_TEST(test_guard_of_people),
            LDAP_TEST(test_acceptance_ends),
            LDAP_TEST(test_guard_of_followed),
            LDAP_TEST(test_not_found),
            LDAP_TEST(test_web_folder_of_reused_address),
            LDAP_TEST(test_web_folder_of_expired),
            LDAP_TEST(test_web_folder_of_who_left),
            LDAP_TEST(test_leaves_and_returns),
            LDAP_TEST(test_revoked_after),
            LDAP_TEST(test_left_is_not_enrolled),
        };

        log_setup("test-departures", LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
