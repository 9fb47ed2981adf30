/* SPDX-License-Identifier: Apache-2.0 */
/* Enrollment by the directory's password: who gets in, and that a stranger learns nothing. */
#include "follower.h"
#include "room.h"

enum { STEP_MS = 30 };

static struct follower follower;

static int begin(void **state)
{
        struct msg_person *person;

        set_up(state);
        follower_begin(&follower, WORLD);
        follower.password = "right";
        WORLD->engine.config.self_enroll = true;
        WORLD->engine.self_step_ms = STEP_MS;
        person = follower_person(&follower, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "Ann", "ann@example.org");
        msg_texts_add(&person->groups, "cn=mail,dc=example,dc=org");
        follower_person(&follower, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "Bea", "bea@example.org")->disabled = true;
        follower_person(&follower, "cccccccccccccccccccccccccccccccc", "Cem", "cem@example.org");
        follower_send(&follower, true);
        follower_complete(&follower, true);
        return 0;
}

static int end(void **state)
{
        follower_end(&follower);
        return tear_down(state);
}

/* ---- somebody who tries */

static void trying_of(const char *address, const char *password, const struct token *token, struct msg_self_enroll *ret)
{
        *ret = (struct msg_self_enroll){.address = text_copy(address),
                                        .selector = text_copy(token->selector),
                                        .password = secret_copy(bytes_text(password)),
                                        .auth = token_auth(token)};
}

static void world_until(struct world *world, const struct world_answer *answer)
{
        for (unsigned i = 0; i < 10000 && !answer->there; i++) {
                world_run(world);
                usleep(500);
        }
        assert_true(answer->there);
}

static int try_this(struct world *world, const struct msg_self_enroll *ask)
{
        struct world_answer answer = {0};
        int r;

        world_send(world, -1, MSG_self_enroll, ask, &answer);
        world_until(world, &answer);
        r = answer.result;
        world_answer_done(&answer);
        return r;
}

/* How long that took. */
static int try_self(struct world *world, const char *address, const char *password, const struct token *token,
                    uint64_t *ret_ms)
{
        MSG_OWN(self_enroll) ask = {0};
        uint64_t start = clock_monotonic_ms();
        int r;

        trying_of(address, password, token, &ask);
        r = try_this(world, &ask);
        if (ret_ms)
                *ret_ms = clock_monotonic_ms() - start;
        return r;
}

static int try_password(struct world *world, const char *address, const char *password)
{
        CLEANUP(token_done) struct token token = token_new();

        return try_self(world, address, password, &token, NULL);
}

/* ---- tests */

static void test_right_password(void **state)
{
        CLEANUP(token_done) struct token token = token_new(), other = token_new();
        CLEANUP(client_done) struct client client = {0};

        assert_int_equal(try_self(WORLD, "Ann@Example.org", "right", &token, NULL), 0);
        assert_string_equal(follower.bind.guid, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        /* Cut off and asked again: the same token. */
        assert_int_equal(try_self(WORLD, "ann@example.org", "right", &token, NULL), 0);
        client_init(&client, &token, "enroll");
        assert_int_equal(client_use(WORLD, &client), 0);
        client_opens(&client, 0);
        assert_int_equal(try_self(WORLD, "ann@example.org", "right", &other, NULL), PROBLEM_STATE);
        assert_int_equal(audit_count(WORLD, "user.self-enroll", "done"), 2);
        world_verify(WORLD);
}

/* All of them alike: one question to the directory, one problem, at a full step. */
static void test_refusals_alike(void **state)
{
        static const struct {
                const char *address, *password;
        } cases[] = {{"ann@example.org", "wrong"},
                     {"nobody@example.org", "right"},
                     {"bea@example.org", "right"},
                     {"cem@example.org", "right"}};

        free(WORLD->engine.config.self_group);
        WORLD->engine.config.self_group = text_copy("cn=mail,dc=example,dc=org");
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                CLEANUP(token_done) struct token token = token_new();
                uint64_t took = 0;

                assert_int_equal(try_self(WORLD, cases[i].address, cases[i].password, &token, &took), PROBLEM_PASSWORD);
                assert_int_equal(follower.binds, i + 1);
                assert_true(took + 1 >= STEP_MS);
        }
        assert_int_equal(audit_count(WORLD, "user.self-enroll", "password"), ARRAY_LEN(cases));
        assert_int_equal(try_password(WORLD, "ann@example.org", "right"), 0);
}

/* An empty password never reaches LDAP, where it would succeed; nor does one that some servers take for empty. */
static void test_empty_password(void **state)
{
        CLEANUP(token_done) struct token token = token_new();
        MSG_OWN(self_enroll) ask = {0};

        trying_of("ann@example.org", "?right", &token, &ask);
        ask.password.data[0] = 0;
        assert_int_equal(try_this(WORLD, &ask), PROBLEM_PASSWORD);
        assert_int_equal(try_password(WORLD, "ann@example.org", ""), PROBLEM_PASSWORD);
        assert_int_equal(follower.binds, 0);
}

static void test_limit_of_person(void **state)
{
        uint64_t most = WORLD->engine.config.token_attempts;

        for (uint64_t i = 0; i < most; i++) {
                WORLD->address = i % 2 ? "192.0.2.1" : "192.0.2.2";
                assert_int_equal(try_password(WORLD, "ann@example.org", "wrong"), PROBLEM_PASSWORD);
        }
        assert_int_equal(try_password(WORLD, "ann@example.org", "right"), PROBLEM_TOO_MANY);
        assert_int_equal(follower.binds, most);
        assert_int_equal(try_password(WORLD, "cem@example.org", "right"), 0);
}

/* Right ones count for nothing. */
static void test_success_is_free(void **state)
{
        CLEANUP(token_done) struct token token = token_new();

        for (uint64_t i = 0; i < WORLD->engine.config.token_attempts * 2; i++)
                assert_int_equal(try_self(WORLD, "ann@example.org", "right", &token, NULL), 0);
}

/* Many at once for one address go one after the other, and do not get around the limit. */
static void test_at_once(void **state)
{
        enum { MANY = 12 };
        struct world_answer answers[MANY] = {0};
        size_t there = 0, refused = 0;

        for (size_t i = 0; i < MANY; i++) {
                CLEANUP(token_done) struct token token = token_new();
                MSG_OWN(self_enroll) ask = {0};

                trying_of("ann@example.org", "wrong", &token, &ask);
                world_send(WORLD, -1, MSG_self_enroll, &ask, &answers[i]);
        }
        for (unsigned i = 0; i < 10000 && there < MANY; i++) {
                world_run(WORLD);
                usleep(500);
                there = 0;
                for (size_t k = 0; k < MANY; k++)
                        there += answers[k].there;
        }
        for (size_t i = 0; i < MANY; i++) {
                refused += answers[i].result == PROBLEM_TOO_MANY;
                world_answer_done(&answers[i]);
        }
        assert_int_equal(there, MANY);
        assert_int_equal(follower.binds, WORLD->engine.config.token_attempts);
        assert_int_equal(refused, MANY - WORLD->engine.config.token_attempts);
        assert_int_equal(WORLD->engine.selves, 0);
}

static void test_switched_off(void **state)
{
        WORLD->engine.config.self_enroll = false;
        assert_int_equal(try_password(WORLD, "ann@example.org", "right"), PROBLEM_FORBIDDEN);
        WORLD->engine.config.self_enroll = true;
        WORLD->engine.config.directory_ldap = false;
        assert_int_equal(try_password(WORLD, "ann@example.org", "right"), PROBLEM_UNSUPPORTED);
        assert_int_equal(try_password(WORLD, "nobody@example.org", "right"), PROBLEM_UNSUPPORTED);
}

/* The process is lost while it is asked, or the engine is: nothing was given. */
static void test_directory_lost(void **state)
{
        CLEANUP(token_done) struct token token = token_new();
        MSG_OWN(self_enroll) ask = {0};
        struct world_answer answer = {0};

        follower.password = NULL;
        trying_of("ann@example.org", "right", &token, &ask);
        world_send(WORLD, -1, MSG_self_enroll, &ask, &answer);
        world_run(WORLD);
        assert_false(answer.there);
        follower_lost(&follower);
        world_run(WORLD);
        assert_true(answer.there);
        assert_int_equal(answer.result, PROBLEM_UNREACHABLE);
        world_answer_done(&answer);
        assert_int_equal(WORLD->engine.selves, 0);
}

/* While the directory was asked she was taken out of the group, or was disabled: the right password comes too late. */
static void test_changed_while_asked(void **state)
{
        free(WORLD->engine.config.self_group);
        WORLD->engine.config.self_group = text_copy("cn=mail,dc=example,dc=org");
        follower.password = NULL;
        msg_texts_add(&follower_person(&follower, "dddddddddddddddddddddddddddddddd", "Dan", "dan@example.org")->groups,
                      "cn=mail,dc=example,dc=org");
        follower_send(&follower, false);
        for (unsigned i = 0; i < 3; i++) {
                CLEANUP(token_done) struct token token = token_new();
                MSG_OWN(self_enroll) ask = {0};
                struct world_answer answer = {0};
                struct msg_person *person;

                trying_of("ann@example.org", "right", &token, &ask);
                world_send(WORLD, -1, MSG_self_enroll, &ask, &answer);
                world_run(WORLD);
                assert_int_equal(follower.binds, i + 1);
                person = follower_person(&follower, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "Ann", "ann@example.org");
                person->disabled = i == 1;
                if (i)
                        msg_texts_add(&person->groups, "cn=mail,dc=example,dc=org");
                follower_send(&follower, false);
                follower_bound(&follower);
                world_until(WORLD, &answer);
                assert_int_equal(answer.result, i < 2 ? PROBLEM_PASSWORD : 0);
                world_answer_done(&answer);
                person = follower_person(&follower, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "Ann", "ann@example.org");
                msg_texts_add(&person->groups, "cn=mail,dc=example,dc=org");
                follower_send(&follower, false);
        }
}

/* One password for each of many people, all at once: as few as one after the other. */
static void test_limit_of_machine_in_parallel(void **state)
{
        enum { MOST = 3 };
        struct world_answer answers[MOST + 1] = {0};

        follower.password = NULL;
        limits_change(&WORLD->engine.limits, MOST, 1000, 3600);
        for (unsigned i = 0; i <= MOST; i++) {
                CLEANUP(token_done) struct token token = token_new();
                CLEANUP(mem_freep) char *address = text_format("person%u@example.org", i);
                MSG_OWN(self_enroll) ask = {0};

                trying_of(address, "Summer2026", &token, &ask);
                world_send(WORLD, -1, MSG_self_enroll, &ask, &answers[i]);
                world_run(WORLD);
                assert_true(answers[i].there == (i == MOST));
        }
        assert_int_equal(answers[MOST].result, PROBLEM_TOO_MANY);
        assert_int_equal(follower.binds, MOST);
        follower_lost(&follower);
        world_run(WORLD);
        for (unsigned i = 0; i <= MOST; i++)
                world_answer_done(&answers[i]);
        assert_int_equal(WORLD->engine.selves, 0);
}

/* A token that a registrar gave is replaced, as by any newer one. */
static void test_replaces(void **state)
{
        CLEANUP(token_done) struct token given = world_token(WORLD, "ann@example.org"), own = token_new();
        CLEANUP(client_done) struct client client = {0};

        assert_int_equal(try_self(WORLD, "ann@example.org", "right", &own, NULL), 0);
        client_init(&client, &given, "enroll");
        assert_int_equal(client_use(WORLD, &client), PROBLEM_TOKEN_REFUSED);
}

/* Who was revoked does not come back by himself, also when a token that he was given since has expired. */
static void test_revoked(void **state)
{
        MSG_OWN(user_revoke) revoke = {.user = text_copy("ann@example.org"), .reason = text_copy("keyCompromise")};
        MSG_OWN(user_revoked) revoked = {0};
        CLEANUP(client_done) struct client client = {0};
        CLEANUP(token_done) struct token given = TOKEN_NONE;

        enroll(WORLD, "ann@example.org", &client);
        must(world_ask(WORLD, ROB, MSG_user_revoke, &revoke, &revoked));
        assert_int_equal(try_password(WORLD, "ann@example.org", "right"), PROBLEM_STATE);
        given = world_token(WORLD, "ann@example.org");
        assert_int_equal(try_password(WORLD, "ann@example.org", "right"), 0);
        WORLD->engine.clock_offset += WORLD->engine.config.token_lifetime + 1;
        sweep_pump(&WORLD->engine);
        assert_int_equal(try_password(WORLD, "ann@example.org", "right"), PROBLEM_STATE);
        assert_int_equal(try_password(WORLD, "ann@example.org", "wrong"), PROBLEM_PASSWORD);
}

#define SELF(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
        const struct CMUnitTest tests[] = {
            SELF(test_right_password),  SELF(test_refusals_alike),  SELF(test_empty_password),
            SELF(test_limit_of_person), SELF(test_success_is_free), SELF(test_at_once),
            SELF(test_switched_off),    SELF(test_directory_lost),  SELF(test_replaces),
            SELF(test_revoked),         SELF(test_limit_of_machine_in_parallel),
            SELF(test_changed_while_asked),
        };

        log_setup("test-self", LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
