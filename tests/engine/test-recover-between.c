/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a user, an officer or a token while a recovery is under way. */
#include "engine/people.h"
#include "recovery.h"

static void user_is(struct world *world, const char *address, int state)
{
        CLEANUP(user_row_done) struct user_row user = {0};

        must(user_named(&world->engine, address, &user));
        assert_string_equal(state_name(&user_states, (int)user.state), state_name(&user_states, state));
}

static void revoke_user(struct world *world, const char *user)
{
        MSG_OWN(user_revoke) ask = {.user = text_copy(user), .reason = text_copy("keyCompromise")};
        MSG_OWN(user_revoked) reply = {0};

        must(world_ask(world, ROB, MSG_user_revoke, &ask, &reply));
}

/* Bob's recovery, with everything that officers have to do with it. */
static void grant(struct world *world, struct recovery *recovery)
{
        MSG_OWN(request_approved) first = {0}, second = {0};

        must(recovery_ask(world, "bob@example.org", recovery));
        must(approve(world, ADA, recovery, false, &first));
        must(approve(world, BEN, recovery, false, &second));
        assert_string_equal(second.request.at[0].state, "done");
        user_is(world, "bob@example.org", USER_RECOVERY);
}

/* A stolen laptop: recovery is asked for, then somebody thinks of revoking. What the officers have before them stays good, as
 * it would have been the other way round. */
static void test_revoked_while_asked(void **state)
{
        CLEANUP(client_done) struct client bob = {0}, new = {0};
        CLEANUP(recovery_done) struct recovery recovery = {0};
        MSG_OWN(request_approved) first = {0}, second = {0};

        enroll(WORLD, "bob@example.org", &bob);
        must(recovery_ask(WORLD, "bob@example.org", &recovery));
        must(approve(WORLD, ADA, &recovery, false, &first));
        revoke_user(WORLD, "bob@example.org");
        must(approve(WORLD, BEN, &recovery, false, &second));
        assert_string_equal(second.request.at[0].state, "done");
        client_init(&new, &recovery.token, "recover");
        must(client_use(WORLD, &new));
        user_is(WORLD, "bob@example.org", USER_ENROLLED);
        world_verify(WORLD);
}

/* What was granted ends with a revocation: the token is none any more. */
static void test_revoked_while_granted(void **state)
{
        CLEANUP(client_done) struct client bob = {0}, new = {0};
        CLEANUP(recovery_done) struct recovery recovery = {0};

        enroll(WORLD, "bob@example.org", &bob);
        grant(WORLD, &recovery);
        revoke_user(WORLD, "bob@example.org");
        user_is(WORLD, "bob@example.org", USER_REVOKED);
        client_init(&new, &recovery.token, "recover");
        assert_int_equal(client_use(WORLD, &new), PROBLEM_TOKEN_REFUSED);
}

/* Who has nothing that others could encrypt for gets a new pair with his old keys: else he were enrolled, and out of reach. */
static void test_revoked_gets_a_new_pair(void **state)
{
        CLEANUP(client_done) struct client bob = {0}, new = {0};
        CLEANUP(recovery_done) struct recovery recovery = {0};
        MSG_OWN(certificate_find) ask = {0};
        MSG_OWN(certificate_found) found = {0};

        enroll(WORLD, "bob@example.org", &bob);
        revoke_user(WORLD, "bob@example.org");
        grant(WORLD, &recovery);
        client_init(&new, &recovery.token, "recover");
        must(client_use(WORLD, &new));
        redeemed_opens(&new, &recovery, 2);
        assert_true(bytes_equal(buf_view(&new.answer.keys.at[1].certificate), buf_view(&bob.answer.keys.at[0].certificate)));
        msg_texts_add(&ask.addresses, "bob@example.org");
        must(world_ask(WORLD, ROB, MSG_certificate_find, &ask, &found));
        assert_int_equal(found.found.count, 1);
        assert_true(bytes_equal(buf_view(&found.found.at[0].certificates.at[0].der), buf_view(&new.answer.keys.at[0].certificate)));
        must(client_use(WORLD, &new)); /* again: the same */
        world_verify(WORLD);
}

/* A granted recovery that nobody redeems leaves its user as he was. */
static void test_lost_leaves_him_as_he_was(void **state)
{
        CLEANUP(client_done) struct client bob = {0};
        CLEANUP(recovery_done) struct recovery enrolled = {0}, revoked = {0};

        enroll(WORLD, "bob@example.org", &bob);
        grant(WORLD, &enrolled);
        WORLD->engine.clock_offset = 31 * 86400;
        must(second_tick(&WORLD->engine));
        user_is(WORLD, "bob@example.org", USER_ENROLLED);
        WORLD->engine.clock_offset = 0;
        revoke_user(WORLD, "bob@example.org");
        grant(WORLD, &revoked);
        WORLD->engine.clock_offset = 31 * 86400;
        must(second_tick(&WORLD->engine));
        user_is(WORLD, "bob@example.org", USER_REVOKED);
}

/* Nor does a token to enroll anew, given to who was revoked. */
static void test_lost_token_leaves_him_revoked(void **state)
{
        CLEANUP(client_done) struct client bob = {0};
        CLEANUP(token_done) struct token token = TOKEN_NONE;

        enroll(WORLD, "bob@example.org", &bob);
        revoke_user(WORLD, "bob@example.org");
        token = world_token(WORLD, "bob@example.org");
        user_is(WORLD, "bob@example.org", USER_NEW);
        WORLD->engine.clock_offset = 31 * 86400;
        must(second_tick(&WORLD->engine));
        user_is(WORLD, "bob@example.org", USER_REVOKED);
}

/* A second request takes the token of the first away; when it is refused he is in no recovery any more. */
static void test_asked_twice_and_refused(void **state)
{
        CLEANUP(client_done) struct client bob = {0};
        CLEANUP(recovery_done) struct recovery first = {0}, second = {0};
        struct msg_request_refuse refusal = {0};
        MSG_OWN(request_refused) refused = {0};

        enroll(WORLD, "bob@example.org", &bob);
        grant(WORLD, &first);
        must(recovery_ask(WORLD, "bob@example.org", &second));
        refusal.request = second.request;
        must(world_ask(WORLD, BEN, MSG_request_refuse, &refusal, &refused));
        user_is(WORLD, "bob@example.org", USER_ENROLLED);
}

/* Whoever guesses at a recovery token ends it, and not more than it. */
static void test_exhausted(void **state)
{
        CLEANUP(client_done) struct client bob = {0}, wrong = {0};
        CLEANUP(recovery_done) struct recovery recovery = {0};

        enroll(WORLD, "bob@example.org", &bob);
        grant(WORLD, &recovery);
        client_init(&wrong, &recovery.token, "recover");
        wrong.mac.data[0] ^= 1;
        for (uint64_t i = 0; i < WORLD->engine.config.token_attempts; i++)
                assert_int_equal(client_use(WORLD, &wrong), PROBLEM_TOKEN_REFUSED);
        user_is(WORLD, "bob@example.org", USER_ENROLLED);
}

/* An officer is disabled because his password is with a thief: what the thief approved counts no more. */
static void test_officer_disabled(void **state)
{
        CLEANUP(client_done) struct client bob = {0};
        CLEANUP(recovery_done) struct recovery recovery = {0};
        struct msg_operator_disable disable = {.operator = (char[]){"cyd"}};
        MSG_OWN(operator_disabled) disabled = {0};
        MSG_OWN(request_approved) first = {0}, second = {0}, third = {0};

        enroll(WORLD, "bob@example.org", &bob);
        must(recovery_ask(WORLD, "bob@example.org", &recovery));
        must(approve(WORLD, CYD, &recovery, false, &first));
        must(world_ask(WORLD, BEN, MSG_operator_disable, &disable, &disabled));
        must(approve(WORLD, BEN, &recovery, false, &second));
        assert_string_equal(second.request.at[0].state, "open");
        assert_int_equal(second.request.at[0].approved_by.count, 1);
        must(approve(WORLD, ADA, &recovery, false, &third));
        assert_string_equal(third.request.at[0].state, "done");
        world_verify(WORLD);
}

/* A file of the web folder ends with its certificate, whatever its user's main address is by then. */
struct files {
        int bob, robert;
};

static int file_count(void *context, struct job_row *job)
{
        struct files *files = context;
        int by = strcmp(job->kind, "publish-file") == 0 ? 1 : -1;

        files->bob += strcmp(job->subject, "users/bob@example.org.cer") == 0 ? by : 0;
        files->robert += strcmp(job->subject, "users/robert@example.org.cer") == 0 ? by : 0;
        return 0;
}

static void files_are(struct world *world, int bob, int robert)
{
        struct files files = {0};

        must(store_job_list(world->engine.store, 0, 0, 1000, &files, file_count));
        assert_int_equal(files.bob, bob);
        assert_int_equal(files.robert, robert);
}

static void test_renamed_and_recovered(void **state)
{
        CLEANUP(client_done) struct client bob = {0}, new = {0};
        CLEANUP(recovery_done) struct recovery recovery = {0};
        struct msg_directory_edit edit = {.entry = (char[]){"bob@example.org"}};
        MSG_OWN(directory_edited) edited = {0};
        MSG_OWN(person) person = {0};

        WORLD->engine.config.publish_users = true;
        msg_texts_add(&person.addresses, "robert@example.org");
        msg_texts_add(&person.addresses, "bob@example.org");
        enroll(WORLD, "bob@example.org", &bob);
        files_are(WORLD, 1, 0);
        edit.person.at = &person;
        edit.person.count = 1;
        msg_texts_add(&edit.fields, "addresses");
        must(world_ask(WORLD, ROB, MSG_directory_edit, &edit, &edited));
        free(edit.fields.at[0]);
        free(edit.fields.at);
        grant(WORLD, &recovery);
        client_init(&new, &recovery.token, "recover");
        must(client_use(WORLD, &new));
        files_are(WORLD, 1, 0); /* his certificate is not for the new address */
        revoke_user(WORLD, "robert@example.org");
        files_are(WORLD, 0, 0);
}

/* An officer refuses while the keeper opens: nothing is given out, and that it was opened in vain is on record. */
static void test_refused_while_opened(void **state)
{
        CLEANUP(client_done) struct client bob = {0}, new = {0};
        CLEANUP(recovery_done) struct recovery recovery = {0};
        MSG_OWN(request_approved) first = {0};
        MSG_OWN(request_approve) ask = {0};
        MSG_OWN(request_refused) refused = {0};
        struct msg_request_refuse refusal = {0};
        CLEANUP(world_answer_done) struct world_answer answer = {0};

        enroll(WORLD, "bob@example.org", &bob);
        must(recovery_ask(WORLD, "bob@example.org", &recovery));
        must(approve(WORLD, ADA, &recovery, false, &first));
        ask.request = text_copy(recovery.request);
        officer_approval(WORLD, BEN, buf_view(&recovery.terms), false, MSG_LIST_ADD(ask.approval));
        WORLD->keeper_holds = true;
        WORLD->people[BEN].nonce++;
        world_send(WORLD, BEN, MSG_request_approve, &ask, &answer);
        world_run(WORLD);
        assert_false(answer.there);
        refusal.request = recovery.request;
        must(world_ask(WORLD, CYD, MSG_request_refuse, &refusal, &refused));
        WORLD->keeper_holds = false;
        world_run(WORLD);
        assert_true(answer.there);
        assert_int_equal(answer.kind, MSG_problem);
        assert_int_equal(audit_count(WORLD, "request.open", "state"), 1);
        assert_int_equal(audit_count(WORLD, "request.open", "done"), 0);
        client_init(&new, &recovery.token, "recover");
        assert_int_equal(client_use(WORLD, &new), PROBLEM_TOKEN_REFUSED);
        world_verify(WORLD);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            TEST(test_revoked_while_asked),
            TEST(test_revoked_while_granted),
            TEST(test_revoked_gets_a_new_pair),
            TEST(test_lost_leaves_him_as_he_was),
            TEST(test_lost_token_leaves_him_revoked),
            TEST(test_asked_twice_and_refused),
            TEST(test_exhausted),
            TEST(test_officer_disabled),
            TEST(test_renamed_and_recovered),
            TEST(test_refused_while_opened),
        };

        log_setup("test-recover-between", LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
