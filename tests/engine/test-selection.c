/* SPDX-License-Identifier: Apache-2.0 */
/* Who is selected, page by page, and that each gets one token, however often the command is begun anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "follower.h"

#define WORLD ((struct world *)*state)

enum { PEOPLE = 25 };

static void import_people(struct world *world)
{
        MSG_OWN(directory_import) ask = {0};
        MSG_OWN(directory_imported) reply = {0};

        for (unsigned i = 0; i < PEOPLE; i++) {
                struct msg_person *person = MSG_LIST_ADD(ask.people);
                char *address CLEANUP(mem_freep) = text_format("p%u@example.org", i);

                person->guid = text_format("%08x000000000000000000000000", i + 1);
                person->name = text_format("Person %u", i);
                person->unit = text_copy(i % 2 ? "Sales/Berlin" : "Sales");
                person->home_server = text_copy(i % 5 ? "one" : "two");
                msg_texts_add(&person->groups, i % 3 ? "Board" : "Staff");
                msg_texts_add(&person->addresses, address);
                person->disabled = i == 7;
        }
        must(world_ask(world, ROB, MSG_directory_import, &ask, &reply));
        assert_int_equal(reply.added, PEOPLE);
}

static int set_up(void **state)
{
        *state = NEW(struct world);
        world_init(WORLD);
        world_open(WORLD);
        import_people(WORLD);
        return 0;
}

static int tear_down(void **state)
{
        world_done(WORLD);
        free(*state);
        return 0;
}

/* ---- a command: all pages of a selection */

struct told {
        size_t rows, tokens, fresh, waiting, refused, pages;
        char *first; /* address of the first row */
};

static void told_add(struct told *told, const struct msg_user_enroll_reply *reply)
{
        told->pages++;
        for (size_t i = 0; i < reply->rows.count; i++) {
                const char *outcome = reply->rows.at[i].outcome;

                if (!told->first)
                        told->first = text_copy(msg_text(reply->rows.at[i].address));
                told->rows++;
                told->tokens += strcmp(outcome, "token") == 0;
                told->fresh += strcmp(outcome, "new") == 0;
                told->waiting += strcmp(outcome, "waiting") == 0;
                told->refused += strcmp(outcome, "refused") == 0;
                assert_int_equal(reply->rows.at[i].token.len > 0, strcmp(outcome, "token") == 0);
        }
}

static void told_done(struct told *told)
{
        free(told->first);
}

static struct told run(struct world *world, struct msg_user_enroll *ask)
{
        struct told told = {0};

        for (;;) {
                MSG_OWN(user_enroll_reply) reply = {0};

                must(world_ask(world, ROB, MSG_user_enroll, ask, &reply));
                told_add(&told, &reply);
                ask->begun = reply.begun;
                free(ask->cursor);
                ask->cursor = TAKE(reply.cursor);
                if (!ask->cursor)
                        return told;
        }
}

#define RUN(world, ...)                                                                                                \
        ({                                                                                                             \
                MSG_OWN(user_enroll) ask_ = {.limit = 4};                                                              \
                const char *const selectors_[] = {__VA_ARGS__};                                                        \
                for (size_t i_ = 0; i_ < ARRAY_LEN(selectors_); i_++)                                                  \
                        msg_texts_add(&ask_.selection, selectors_[i_]);                                                \
                run((world), &ask_);                                                                                   \
        })

/* ---- tests */

static void test_pages(void **state)
{
        MSG_OWN(user_enroll) dry = {.dry_run = true, .limit = 4};
        CLEANUP(told_done) struct told told = {0}, all = {0}, again = {0};

        msg_texts_add(&dry.selection, "unit:Sales");
        told = run(WORLD, &dry);
        assert_int_equal(told.rows, PEOPLE);
        assert_int_equal(told.fresh, PEOPLE - 1);
        assert_int_equal(told.refused, 1);
        all = RUN(WORLD, "all");
        assert_int_equal(all.rows, PEOPLE);
        assert_int_equal(all.tokens, PEOPLE - 1);
        again = RUN(WORLD, "all");
        assert_int_equal(again.tokens, 0);
        assert_int_equal(again.waiting, PEOPLE - 1);
}

/* One page or many, of selectors that overlap: nobody gets a token twice. */
static void test_each_once(void **state)
{
        MSG_OWN(user_enroll) ask = {.limit = 4, .renew = true};
        CLEANUP(told_done) struct told told = {0};

        msg_texts_add(&ask.selection, "unit:Sales/Berlin");
        msg_texts_add(&ask.selection, "p1@example.org");
        msg_texts_add(&ask.selection, "p0@example.org");
        msg_texts_add(&ask.selection, "p0@example.org");
        msg_texts_add(&ask.selection, "group:Staff");
        msg_texts_add(&ask.selection, "server:two");
        msg_texts_add(&ask.selection, "all");
        told = run(WORLD, &ask);
        assert_int_equal(told.tokens, PEOPLE - 1);
        assert_true(told.waiting > 0);
}

static void test_named_is_renewed(void **state)
{
        CLEANUP(told_done)
        struct told first = RUN(WORLD, "p1@example.org"),
                    second = RUN(WORLD, "P1@Example.org"), by_id = RUN(WORLD, "00000002-0000-0000-0000-000000000000");

        assert_int_equal(first.tokens, 1);
        assert_int_equal(second.tokens, 1);
        assert_int_equal(by_id.tokens, 1);
        assert_string_equal(by_id.first, "p1@example.org");
}

/* A group that holds him renews nobody, unless it is asked for; and not what this very command gave. */
static void test_renew(void **state)
{
        MSG_OWN(user_enroll) ask = {.renew = true, .limit = 100};
        CLEANUP(told_done) struct told first = RUN(WORLD, "group:Staff"), renewed = {0}, since = {0};

        msg_texts_add(&ask.selection, "group:Staff");
        renewed = run(WORLD, &ask);
        assert_int_equal(renewed.tokens, first.tokens);
        since = run(WORLD, &ask);
        assert_int_equal(since.tokens, 0);
        assert_int_equal(since.waiting, first.tokens);
}

static void test_list(void **state)
{
        MSG_OWN(user_enroll) ask = {.list = true, .limit = 3};
        CLEANUP(told_done) struct told told = {0}, again = {0};

        msg_texts_add(&ask.selection, "p1@example.org");
        msg_texts_add(&ask.selection, "group:Staff");
        msg_texts_add(&ask.selection, "00000003000000000000000000000000");
        msg_texts_add(&ask.selection, "nobody@example.org");
        msg_texts_add(&ask.selection, "ffffffffffffffffffffffffffffffff");
        told = run(WORLD, &ask);
        assert_int_equal(told.tokens, 2);
        assert_int_equal(told.refused, 3);
        assert_int_equal(told.pages, 2);
        ask.begun = 0;
        again = run(WORLD, &ask);
        assert_int_equal(again.waiting, 2);
}

static void test_waiting_tells(void **state)
{
        MSG_OWN(user_enroll) ask = {.limit = 1};
        MSG_OWN(user_enroll_reply) reply = {0};
        CLEANUP(told_done) struct told told = RUN(WORLD, "p0@example.org");

        assert_int_equal(told.tokens, 1);
        msg_texts_add(&ask.selection, "all");
        must(world_ask(WORLD, ROB, MSG_user_enroll, &ask, &reply));
        assert_string_equal(reply.rows.at[0].outcome, "waiting");
        assert_true(reply.rows.at[0].expires > engine_now(&WORLD->engine));
        assert_non_null(strstr(reply.rows.at[0].detail, "given by rob"));
        assert_string_equal(reply.rows.at[0].unit, "Sales");
        /* Once it has expired he is given another one. */
        WORLD->engine.clock_offset += WORLD->engine.config.token_lifetime + 1;
        msg_done(user_enroll_reply, &reply);
        reply = (struct msg_user_enroll_reply){0};
        must(world_ask(WORLD, ROB, MSG_user_enroll, &ask, &reply));
        assert_string_equal(reply.rows.at[0].outcome, "token");
}

static void test_nonsense(void **state)
{
        static const char *const selectors[] = {"unit:", "Sales", "@", "a b@example.org", "group:"};

        for (size_t i = 0; i < ARRAY_LEN(selectors); i++) {
                MSG_OWN(user_enroll) ask = {0};
                MSG_OWN(user_enroll_reply) reply = {0};

                msg_texts_add(&ask.selection, selectors[i]);
                assert_int_equal(world_ask(WORLD, ROB, MSG_user_enroll, &ask, &reply), PROBLEM_MALFORMED);
        }
}

/* The server is killed after any page: whoever asks again with the same nonce gets the same tokens. */
static void test_crash(void **state)
{
        MSG_OWN(user_enroll) ask = {.limit = 10};
        MSG_OWN(user_enroll_reply) first = {0}, second = {0};

        msg_texts_add(&ask.selection, "all");
        must(world_ask(WORLD, ROB, MSG_user_enroll, &ask, &first));
        world_crash(WORLD);
        WORLD->people[ROB].nonce--;
        must(world_ask(WORLD, ROB, MSG_user_enroll, &ask, &second));
        assert_int_equal(second.rows.count, 10);
        for (size_t i = 0; i < 10; i++)
                assert_true(bytes_equal(secret_view(&first.rows.at[i].token), secret_view(&second.rows.at[i].token)));
        world_verify(WORLD);
}

/* One id for a person everywhere: the directory's. */
static void test_ids(void **state)
{
        MSG_OWN(user_show) ask = {.user = text_copy("p1@example.org")};
        MSG_OWN(user_shown) before = {0}, after = {0};
        CLEANUP(told_done) struct told told = {0};

        must(world_ask(WORLD, ROB, MSG_user_show, &ask, &before));
        told = RUN(WORLD, "p1@example.org");
        must(world_ask(WORLD, ROB, MSG_user_show, &ask, &after));
        assert_int_equal(told.tokens, 1);
        assert_string_equal(before.user.at[0].user, "00000002000000000000000000000000");
        assert_string_equal(after.user.at[0].user, before.user.at[0].user);
}

/* ---- filters */

static void filter_begin(struct world *world, struct msg_user_enroll *ask, struct world_answer *answer)
{
        world->people[ROB].nonce++;
        world_send(world, ROB, MSG_user_enroll, ask, answer);
        world_run(world);
}

static void filter_end(struct world_answer *answer, struct msg_user_enroll_reply *ret_reply)
{
        MSG_OWN(api_reply) reply = {0};

        assert_true(answer->there);
        assert_int_equal(answer->result, 0);
        must(msg_decode(api_reply, buf_view(&answer->payload), &reply));
        must(msg_decode(user_enroll_reply, buf_view(&reply.payload), ret_reply));
        world_answer_done(answer);
}

/* The directory is asked once for all pages, and nothing is given before it has answered. */
static void test_filter(void **state)
{
        static const char *const found[] = {"00000001000000000000000000000000", "00000003000000000000000000000000",
                                            "00000008000000000000000000000000", "eeeeeeee000000000000000000000000"};
        MSG_OWN(user_enroll) ask = {.limit = 3};
        MSG_OWN(user_enroll_reply) first = {0}, second = {0}, third = {0};
        struct world_answer answer;
        struct follower follower;

        follower_begin(&follower, WORLD);
        msg_texts_add(&ask.selection, "p20@example.org");
        msg_texts_add(&ask.selection, "filter:(cn=Person*)");
        must(world_ask(WORLD, ROB, MSG_user_enroll, &ask, &first));
        assert_int_equal(first.rows.count, 1);
        assert_string_equal(first.cursor, "1:");
        ask.cursor = TAKE(first.cursor);
        filter_begin(WORLD, &ask, &answer);
        assert_false(answer.there);
        assert_string_equal(follower.search.filter, "(cn=Person*)");
        assert_int_equal(audit_count(WORLD, "user.enroll", "done"), 1);
        follower_found(&follower, found, ARRAY_LEN(found));
        filter_end(&answer, &second);
        assert_int_equal(second.rows.count, 3);
        assert_string_equal(second.rows.at[0].outcome, "token");
        assert_string_equal(second.rows.at[2].outcome, "refused"); /* disabled */
        free(ask.cursor);
        ask.cursor = TAKE(second.cursor);
        must(world_ask(WORLD, ROB, MSG_user_enroll, &ask, &third));
        assert_int_equal(third.rows.count, 1);
        assert_non_null(strstr(third.rows.at[0].detail, "not taken it"));
        assert_null(third.cursor);
        follower_end(&follower);
}

/* Whoever asks again while the directory thinks gets the answer to the first. */
static void test_filter_repeated(void **state)
{
        static const char *const found[] = {"00000001000000000000000000000000"};
        MSG_OWN(user_enroll) ask = {.limit = 3};
        MSG_OWN(user_enroll_reply) first = {0}, second = {0}, third = {0};
        struct world_answer one, other, last;
        struct follower follower;

        follower_begin(&follower, WORLD);
        msg_texts_add(&ask.selection, "filter:(cn=Person 0)");
        filter_begin(WORLD, &ask, &one);
        WORLD->people[ROB].nonce--;
        filter_begin(WORLD, &ask, &other);
        WORLD->people[ROB].nonce--;
        filter_begin(WORLD, &ask, &last);
        follower_found(&follower, found, 1);
        filter_end(&one, &first);
        filter_end(&other, &second);
        filter_end(&last, &third);
        assert_int_equal(first.rows.at[0].token.len, TOKEN_TEXT_SIZE);
        assert_true(bytes_equal(secret_view(&first.rows.at[0].token), secret_view(&second.rows.at[0].token)));
        assert_true(bytes_equal(secret_view(&first.rows.at[0].token), secret_view(&third.rows.at[0].token)));
        follower_end(&follower);
}

static void test_filter_without_directory(void **state)
{
        MSG_OWN(user_enroll) ask = {0};
        MSG_OWN(user_enroll_reply) reply = {0};

        msg_texts_add(&ask.selection, "filter:(cn=*)");
        assert_int_equal(world_ask(WORLD, ROB, MSG_user_enroll, &ask, &reply), PROBLEM_UNSUPPORTED);
        WORLD->engine.config.directory_ldap = true;
        assert_int_equal(world_ask(WORLD, ROB, MSG_user_enroll, &ask, &reply), PROBLEM_UNREACHABLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
            TEST(test_pages),
            TEST(test_each_once),
            TEST(test_named_is_renewed),
            TEST(test_renew),
            TEST(test_list),
            TEST(test_waiting_tells),
            TEST(test_nonsense),
            TEST(test_crash),
            TEST(test_ids),
            TEST(test_filter),
            TEST(test_filter_repeated),
            TEST(test_filter_without_directory),
        };

        log_setup("test-selection", LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
