/* SPDX-License-Identifier: Apache-2.0 */
/* Who leaves the directory: how many may at once, and what becomes of their files in the web folder. */
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

static void run_of(unsigned people)
{
        follower_run_of(&follower, people);
}

static bool gone(struct world *world, const char *guid)
{
        return world_entry_gone(world, guid);
}

static void shown(struct world *world, struct msg_directory_status_reply *ret_status)
{
        struct msg_directory_status ask = {0};

        must(world_ask(world, ADA, MSG_directory_status, &ask, ret_status));
}

/* ---- how many */

static void test_guard(void **state)
{
        MSG_OWN(directory_status_reply) status = {0};

        run_of(3);
        follower_sync(&follower, false);
        run_of(1); /* half of it is missing */
        assert_false(gone(WORLD, B));
        assert_false(gone(WORLD, C));
        shown(WORLD, &status);
        assert_string_equal(status.last.at[0].outcome, "refused");
        assert_int_equal(status.last.at[0].left, 2);
        assert_int_equal(status.complete.at[0].run, 1);
        assert_non_null(strstr(status.detail, "--accept-departures"));
        assert_int_equal(audit_count(WORLD, "server.directory.end", "refused"), 1);
        follower_sync(&follower, true);
        run_of(1);
        assert_true(gone(WORLD, B));
        assert_true(gone(WORLD, C));
        follower_sync(&follower, false);
        run_of(0); /* it was accepted for once */
        assert_true(gone(WORLD, A)); /* one may always leave */
        world_verify(WORLD);
}

/* Many small departures are a large one: a directory that lies may be read, or lost and found, any number of times. */
static void test_guard_of_small_steps(void **state)
{
        run_of(3);
        follower_sync(&follower, false);
        run_of(2);
        assert_true(gone(WORLD, C));
        follower_sync(&follower, false);
        run_of(1);
        assert_false(gone(WORLD, B));
        follower_lost(&follower);
        run_of(1);
        assert_false(gone(WORLD, B));
        msg_texts_add(&follower.page.gone, B);
        follower_send(&follower, false);
        assert_false(gone(WORLD, B));
        WORLD->engine.clock_offset = 2 * 86400;
        follower_sync(&follower, false);
        run_of(1);
        assert_true(gone(WORLD, B));
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
        assert_false(gone(WORLD, A));
        assert_false(gone(WORLD, C));
}

/* What an operator accepted is the run that he was shown, whatever became of it. */
static void test_acceptance_ends(void **state)
{
        run_of(3);
        follower_sync(&follower, true);
        follower_complete(&follower, false);
        follower_sync(&follower, false);
        run_of(1);
        assert_false(gone(WORLD, B));
}

static void test_guard_of_followed(void **state)
{
        MSG_OWN(directory_status_reply) status = {0};

        run_of(3);
        msg_texts_add(&follower.page.gone, B);
        msg_texts_add(&follower.page.gone, C);
        follower_send(&follower, false);
        assert_true(gone(WORLD, B));
        assert_false(gone(WORLD, C));
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
        follower_person(&follower, C, "Carol", "c.moved@example.org");
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

#define LDAP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_ldap, tear_down_ldap)

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
        };

        log_setup("test-departures", LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
