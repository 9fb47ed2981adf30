/* SPDX-License-Identifier: Apache-2.0 */
/* How tokens reach their users: what is mailed when, to whom, what is not mailed any more, and the queue as operators see it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/mem.h"
#include "engine/deliver.h"
#include "player.h"

#define PLAYER ((struct player *)*state)
#define WORLD  (&PLAYER->world)

static const struct msg_job_done well = {.success = true, .detail = (char[]){"250 queued"}},
                                 refused = {.permanent = true, .detail = (char[]){"550 no such user"}},
                                 later = {.detail = (char[]){"451 try later"}};

static void mail_configured(struct world *world)
{
        world->engine.config.mail = world->engine.config.recovery_split = true;
        free(world->engine.config.mail_domain);
        world->engine.config.mail_domain = text_copy("example.org");
        world->engine.config.mail_keep = 3600;
}

static int set_up(void **state)
{
        *state = NEW(struct player);
        player_begin(PLAYER);
        mail_configured(WORLD);
        return 0;
}

static int tear_down(void **state)
{
        player_end(PLAYER);
        free(*state);
        return 0;
}

/* What a person would put together again from what he was given and what was mailed. */
static int give(struct player *player, const char *deliver, struct token *ret_token)
{
        MSG_OWN(user_enroll) ask = {.deliver = text_copy(deliver)};
        MSG_OWN(user_enroll_reply) reply = {0};

        msg_texts_add(&ask.selection, "alice@example.org");
        TRY(world_ask(&player->world, ROB, MSG_user_enroll, &ask, &reply));
        assert_int_equal(reply.rows.count, 1);
        assert_string_equal(reply.rows.at[0].delivery, *deliver ? deliver : "hand");
        if (reply.rows.at[0].token.len)
                must(token_add(secret_view(&reply.rows.at[0].token), ret_token));
        player_look(player, "mail-token");
        return 0;
}

static void mailed(struct player *player, struct msg_token_mail *ret_mail)
{
        assert_int_equal(player->count, 1);
        assert_string_equal(player->given[0].job.kind, "mail-token");
        must(msg_decode(token_mail, buf_view(&player->given[0].job.content), ret_mail));
}

static void the_state_is(struct player *player, const char *expected)
{
        MSG_OWN(queue_list) ask = {.kind = text_copy("mail-token")};
        MSG_OWN(queue_listed) reply = {0};

        must(world_ask(&player->world, ROB, MSG_queue_list, &ask, &reply));
        assert_int_equal(reply.jobs.count, *expected != 0);
        if (reply.jobs.count) {
                assert_string_equal(reply.jobs.at[0].state, expected);
                assert_string_equal(reply.jobs.at[0].address, "alice@example.org");
        }
}

static void by_hand_nothing_is_mailed(void **state)
{
        CLEANUP(token_done) struct token token = TOKEN_NONE;

        must(give(PLAYER, "", &token));
        must(token_check_whole(&token));
        assert_int_equal(PLAYER->count, 0);
}

static void a_whole_token_goes_by_mail_alone(void **state)
{
        CLEANUP(token_done) struct token token = TOKEN_NONE;
        CLEANUP(client_done) struct client client = {0};
        MSG_OWN(token_mail) mail = {0};

        must(give(PLAYER, "mail", &token));
        assert_int_equal(token.secret.len, 0);
        mailed(PLAYER, &mail);
        assert_string_equal(mail.address, "alice@example.org");
        assert_string_equal(mail.letter, "enroll");
        must(token_add(secret_view(&mail.token), &token));
        player_answer(PLAYER, &well);
        the_state_is(PLAYER, "sent");
        client_init(&client, &token, "enroll");
        must(client_use(WORLD, &client));
}

static void of_two_parts_each_goes_its_way(void **state)
{
        CLEANUP(token_done) struct token token = TOKEN_NONE;
        CLEANUP(client_done) struct client client = {0};
        MSG_OWN(token_mail) mail = {0};

        must(give(PLAYER, "split", &token));
        assert_int_equal(token_check_whole(&token), PROBLEM_TOKEN_PART);
        mailed(PLAYER, &mail);
        assert_string_equal(mail.letter, "enroll-part");
        assert_int_equal(strncmp(mail.begins, token.selector, 3), 0);
        must(token_add(secret_view(&mail.token), &token));
        must(token_check_whole(&token));
        client_init(&client, &token, "enroll");
        must(client_use(WORLD, &client));
}

static void without_mail_servers_none_is_promised(void **state)
{
        CLEANUP(token_done) struct token token = TOKEN_NONE;

        assert_int_equal(give(PLAYER, "pigeon", &token), PROBLEM_MALFORMED);
        WORLD->engine.config.mail = false;
        assert_int_equal(give(PLAYER, "split", &token), PROBLEM_STATE);
        assert_int_equal(PLAYER->count, 0);
}

static void what_is_void_is_not_mailed(void **state)
{
        CLEANUP(token_done) struct token first = TOKEN_NONE, second = TOKEN_NONE;
        MSG_OWN(token_mail) mail = {0}, again = {0};

        must(give(PLAYER, "mail", &first));
        player_answer(PLAYER, &later);
        WORLD->engine.clock_offset += 60;
        must(give(PLAYER, "mail", &second)); /* takes the place of the first */
        mailed(PLAYER, &mail);
        must(token_add(secret_view(&mail.token), &second));
        player_answer(PLAYER, &later);
        WORLD->engine.clock_offset += 60;
        player_look(PLAYER, "mail-token");
        mailed(PLAYER, &again);
        assert_true(bytes_equal(secret_view(&again.token), secret_view(&mail.token)));
        player_answer(PLAYER, &later);
        WORLD->engine.clock_offset += WORLD->engine.config.token_lifetime;
        player_look(PLAYER, "mail-token");
        assert_int_equal(PLAYER->count, 0);
        the_state_is(PLAYER, "");
}

static int change_of(struct player *player, int who, const char *how, const char *state)
{
        MSG_OWN(queue_list) list = {0};
        MSG_OWN(queue_listed) jobs = {0};
        MSG_OWN(queue_change) ask = {.change = text_copy(how), .state = text_copy(state)};
        MSG_OWN(queue_changed) reply = {0};

        must(world_ask(&player->world, ROB, MSG_queue_list, &list, &jobs));
        ask.job = jobs.jobs.count ? jobs.jobs.at[0].job : 77;
        TRY(world_ask(&player->world, who, MSG_queue_change, &ask, &reply));
        player_look(player, "mail-token");
        return 0;
}

static int change(struct player *player, int who, const char *how)
{
        return change_of(player, who, how, "");
}

static void a_refused_mail_has_bounced_and_is_tried_again_when_asked(void **state)
{
        CLEANUP(token_done) struct token token = TOKEN_NONE;
        MSG_OWN(token_mail) mail = {0};

        must(give(PLAYER, "split", &token));
        assert_int_equal(change(PLAYER, ROB, "cancel"), PROBLEM_STATE); /* it is under way */
        player_answer(PLAYER, &refused);
        the_state_is(PLAYER, "bounced");
        assert_int_equal(change(PLAYER, -1, "retry"), PROBLEM_UNAUTHENTICATED);
        assert_int_equal(change(PLAYER, ROB, "eat"), PROBLEM_MALFORMED);
        must(change(PLAYER, ROB, "retry"));
        mailed(PLAYER, &mail);
        must(token_add(secret_view(&mail.token), &token));
        must(token_check_whole(&token));
        player_answer(PLAYER, &well);
        /* Who meant what was waiting does not mean what was sent since. */
        assert_int_equal(change_of(PLAYER, ROB, "retry", "waiting"), PROBLEM_STATE);
        the_state_is(PLAYER, "sent");
        must(change_of(PLAYER, ROB, "cancel", "sent"));
        the_state_is(PLAYER, "");
        assert_int_equal(change(PLAYER, ROB, "retry"), PROBLEM_NOT_FOUND);
        assert_int_equal(audit_count(WORLD, "queue.change", "done"), 2);
}

static void goes_to(struct player *player, const char *state, const char *address)
{
        MSG_OWN(queue_list) ask = {0};
        MSG_OWN(queue_listed) reply = {0};

        must(world_ask(&player->world, ROB, MSG_queue_list, &ask, &reply));
        assert_int_equal(reply.jobs.count, 1);
        assert_string_equal(reply.jobs.at[0].state, state);
        assert_string_equal(reply.jobs.at[0].address, address);
}

/* Where it went; where it goes, as long as it has not gone. */
static void another_address_is_shown_from_when_it_is_mailed_to(void **state)
{
        CLEANUP(token_done) struct token token = TOKEN_NONE;
        MSG_OWN(token_mail) mail = {0};

        must(give(PLAYER, "split", &token));
        player_answer(PLAYER, &refused);
        goes_to(PLAYER, "bounced", "alice@example.org");
        world_import(WORLD, "11111111111111111111111111111111", "Alice", "alice.new@example.org");
        goes_to(PLAYER, "bounced", "alice@example.org");
        must(change(PLAYER, ROB, "retry"));
        mailed(PLAYER, &mail);
        assert_string_equal(mail.address, "alice.new@example.org");
        goes_to(PLAYER, "running", "alice.new@example.org");
        player_answer(PLAYER, &(struct msg_job_done){.unreachable = true});
        world_import(WORLD, "11111111111111111111111111111111", "Alice", "alice.newest@example.org");
        goes_to(PLAYER, "waiting", "alice.newest@example.org");
        world_verify(WORLD);
}

static int bounce_as(struct world *world, const char *message_id, const char *status, const char *detail)
{
        MSG_OWN(queue_bounce) ask = {.message_id = text_copy(message_id),
                                     .status = text_copy(status),
                                     .detail = text_copy(detail)};
        MSG_OWN(queue_bounced) reply = {0};

        return world_ask(world, -1, MSG_queue_bounce, &ask, &reply);
}

static int bounce(struct world *world, const char *message_id, const char *detail)
{
        return bounce_as(world, message_id, "5.1.1", detail);
}

/* The part by mail is short enough for it. */
static void a_status_holds_no_token(void **state)
{
        static const char *const others[] = {"5.1.1.", "5.1", "3.1.1", "5.1.1234", "5..1", "", "5.1.1 x"};
        CLEANUP(token_done) struct token token = TOKEN_NONE;
        MSG_OWN(token_mail) mail = {0};
        CLEANUP(mem_freep) char *part = NULL;

        must(give(PLAYER, "split", &token));
        mailed(PLAYER, &mail);
        player_answer(PLAYER, &well);
        part = text_copy_n((const char *)mail.token.data, MIN(mail.token.len, (size_t)16));
        for (size_t i = 0; i <= ARRAY_LEN(others); i++) {
                MSG_OWN(queue_list) list = {0};
                MSG_OWN(queue_listed) jobs = {0};

                must(bounce_as(WORLD, mail.message_id, i ? others[i - 1] : part, "unknown"));
                must(world_ask(WORLD, ROB, MSG_queue_list, &list, &jobs));
                assert_string_equal(jobs.jobs.at[0].detail, "unknown");
        }
}

static void who_had_the_message_may_report_it(void **state)
{
        CLEANUP(token_done) struct token token = TOKEN_NONE;
        MSG_OWN(token_mail) mail = {0};
        CLEANUP(mem_freep) char *words = NULL;
        CLEANUP(mem_freep) char *forged = NULL;
        MSG_OWN(queue_list) list = {0};
        MSG_OWN(queue_listed) jobs = {0};

        must(give(PLAYER, "mail", &token));
        mailed(PLAYER, &mail);
        player_answer(PLAYER, &well);
        forged = text_copy(mail.message_id);
        *strchr(forged, '@') ^= 1;
        strchr(forged, '.')[1] = strchr(forged, '.')[1] == '0' ? '1' : '0';
        assert_int_equal(bounce(WORLD, forged, ""), PROBLEM_NOT_FOUND);
        assert_int_equal(bounce(WORLD, "1.@", ""), PROBLEM_NOT_FOUND);
        assert_int_equal(bounce(WORLD, "", ""), PROBLEM_NOT_FOUND);
        the_state_is(PLAYER, "sent");
        words = text_format("user unknown; your message was: %.15s", (const char *)mail.token.data);
        must(bounce(WORLD, mail.message_id, words));
        must(bounce(WORLD, mail.message_id, words));
        the_state_is(PLAYER, "bounced");
        must(world_ask(WORLD, ROB, MSG_queue_list, &list, &jobs));
        assert_non_null(strstr(jobs.jobs.at[0].detail, "5.1.1"));
        assert_null(strstr(jobs.jobs.at[0].detail, "your message was"));
        assert_int_equal(audit_count(WORLD, "queue.bounce", "done"), 2);
        WORLD->engine.clock_offset += 3601;
        must(second_tick(&WORLD->engine));
        world_run(WORLD);
        the_state_is(PLAYER, "");
}

/* A crash between handing over and knowing of it: it is mailed once more, and is the same token. */
static void a_crash_loses_no_mail(void **state)
{
        CLEANUP(token_done) struct token token = TOKEN_NONE;
        MSG_OWN(token_mail) mail = {0}, again = {0};

        must(give(PLAYER, "split", &token));
        mailed(PLAYER, &mail);
        channel_unref(TAKE(PLAYER->channel));
        msg_done(job, &PLAYER->given[0].job);
        PLAYER->count = 0;
        world_crash(WORLD);
        world_run(WORLD);
        mail_configured(WORLD);
        player_connect(PLAYER);
        mailed(PLAYER, &again);
        assert_string_equal(again.message_id, mail.message_id);
        assert_true(bytes_equal(secret_view(&again.token), secret_view(&mail.token)));
        player_answer(PLAYER, &well);
        the_state_is(PLAYER, "sent");
        world_verify(WORLD);
}

/* ---- recovery */

static int recovery_ask(struct world *world, const struct token *token, bool split, char **ret_request)
{
        MSG_OWN(request_create) ask = {.user = text_copy("alice@example.org"),
                                       .reason = text_copy("lost laptop"),
                                       .selector = text_copy(token->selector),
                                       .auth = token_auth(token),
                                       .mail_part = split ? token_mail_text(token) : token_text(token)};
        MSG_OWN(request_created) created = {0};
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE;
        struct point recipient;

        must(token_recipient(token, &scalar, &recipient));
        buf_add_bytes(&ask.recipient, point_view(&recipient));
        TRY(world_ask(world, ROB, MSG_request_create, &ask, &created));
        *ret_request = text_copy(created.request.at[0].request);
        return 0;
}

static void approve(struct world *world, int officer, char *request)
{
        MSG_OWN(request_shown) shown = {0};
        MSG_OWN(request_approve) ask = {.request = text_copy(request)};
        MSG_OWN(request_approved) reply = {0};
        struct msg_request_show show = {.request = request};

        must(world_ask(world, officer, MSG_request_show, &show, &shown));
        officer_approval(world, officer, buf_view(&shown.terms), false, MSG_LIST_ADD(ask.approval));
        must(world_ask(world, officer, MSG_request_approve, &ask, &reply));
}

static void enroll(struct player *player)
{
        CLEANUP(token_done) struct token token = TOKEN_NONE;
        CLEANUP(client_done) struct client client = {0};

        must(give(player, "", &token));
        client_init(&client, &token, "enroll");
        must(client_use(&player->world, &client));
        world_run(&player->world);
}

static void the_part_of_a_recovery_leaves_when_officers_have_approved(void **state)
{
        CLEANUP(token_done) struct token made = token_new_split(), whole = token_new(), mixed = TOKEN_NONE;
        CLEANUP(client_done) struct client client = {0};
        CLEANUP(secret_done) struct secret hand = token_text(&made);
        CLEANUP(mem_freep) char *request = NULL;
        MSG_OWN(token_mail) mail = {0};

        enroll(PLAYER);
        assert_int_equal(recovery_ask(WORLD, &whole, false, &request), PROBLEM_MALFORMED); /* never a whole one */
        must(recovery_ask(WORLD, &made, true, &request));
        player_look(PLAYER, "mail-token");
        approve(WORLD, ADA, request);
        player_look(PLAYER, "mail-token");
        assert_int_equal(PLAYER->count, 0);
        approve(WORLD, BEN, request);
        player_look(PLAYER, "mail-token");
        mailed(PLAYER, &mail);
        assert_string_equal(mail.letter, "recover-part");
        player_answer(PLAYER, &well);
        must(token_add(secret_view(&hand), &mixed));
        must(token_add(secret_view(&mail.token), &mixed));
        client_init(&client, &mixed, "recover");
        must(client_use(WORLD, &client));
        world_verify(WORLD);
}

/* Who is given another token does not wait for the one that it replaces to be tried again. */
static void what_is_void_holds_nothing_up(void **state)
{
        CLEANUP(token_done) struct token first = TOKEN_NONE, second = TOKEN_NONE;
        MSG_OWN(token_mail) mail = {0};

        must(give(PLAYER, "mail", &first));
        for (unsigned i = 0; i < 8; i++) {
                assert_int_equal(PLAYER->count, 1);
                player_answer(PLAYER, &later);
                WORLD->engine.clock_offset += i < 7 ? 3600 : 0;
                player_look(PLAYER, "mail-token");
        }
        assert_int_equal(PLAYER->count, 0);
        must(give(PLAYER, "mail", &second));
        player_look(PLAYER, "mail-token");
        mailed(PLAYER, &mail);
        player_answer(PLAYER, &well);
        the_state_is(PLAYER, "sent");
}

/* The requester waits for him to get it. */
static void the_part_for_who_has_left_is_given_up(void **state)
{
        CLEANUP(token_done) struct token made = token_new_split();
        CLEANUP(mem_freep) char *request = NULL;
        struct msg_directory_edit remove = {.entry = (char[]){"alice@example.org"}, .remove = true};
        MSG_OWN(directory_edited) removed = {0};
        struct msg_queue_list ask = {.state = (char[]){"failed"}};
        MSG_OWN(queue_listed) reply = {0};

        enroll(PLAYER);
        must(recovery_ask(WORLD, &made, true, &request));
        must(world_ask(WORLD, ROB, MSG_directory_edit, &remove, &removed));
        approve(WORLD, ADA, request);
        approve(WORLD, BEN, request);
        for (unsigned hour = 0; hour < 48; hour++) {
                player_look(PLAYER, "mail-token");
                WORLD->engine.clock_offset += 3600;
        }
        assert_int_equal(PLAYER->count, 0);
        must(world_ask(WORLD, ROB, MSG_queue_list, &ask, &reply));
        assert_int_equal(reply.jobs.count, 1);
        assert_non_null(strstr(reply.jobs.at[0].detail, "Alice is no longer in the directory"));
        world_verify(WORLD);
}

static void what_officers_refuse_is_never_mailed(void **state)
{
        CLEANUP(token_done) struct token made = token_new_split();
        CLEANUP(mem_freep) char *request = NULL;
        MSG_OWN(request_refused) refused_reply = {0};
        struct msg_request_refuse refusal = {0};

        enroll(PLAYER);
        must(recovery_ask(WORLD, &made, true, &request));
        refusal.request = request;
        must(world_ask(WORLD, BEN, MSG_request_refuse, &refusal, &refused_reply));
        player_look(PLAYER, "mail-token");
        assert_int_equal(PLAYER->count, 0);
        the_state_is(PLAYER, "");
}

/* It would go out again and again while the disk is full: nothing says that it did. */
static void what_cannot_be_noted_is_not_mailed(void **state)
{
        CLEANUP(token_done) struct token token = TOKEN_NONE;
        MSG_OWN(token_mail) mail = {0};

        player_lose(PLAYER);
        must(give(PLAYER, "mail", &token));
        WORLD->engine.fail_commits = true;
        player_connect(PLAYER);
        player_look(PLAYER, "mail-token");
        assert_int_equal(PLAYER->count, 0);
        WORLD->engine.fail_commits = false;
        player_look(PLAYER, "mail-token");
        mailed(PLAYER, &mail);
        player_answer(PLAYER, &well);
        the_state_is(PLAYER, "sent");
}

/* Nobody knows what became of it, so it goes again: once, when that can be noted. */
static void what_could_not_be_noted_is_tried_again(void **state)
{
        CLEANUP(token_done) struct token token = TOKEN_NONE;

        must(give(PLAYER, "mail", &token));
        assert_int_equal(PLAYER->count, 1);
        WORLD->engine.fail_commits = true;
        player_answer(PLAYER, &well);
        player_look(PLAYER, "mail-token");
        assert_int_equal(PLAYER->count, 0);
        WORLD->engine.fail_commits = false;
        WORLD->engine.outbound.adrift_until_ms = 0;
        player_look(PLAYER, "mail-token");
        player_look(PLAYER, "mail-token");
        assert_int_equal(PLAYER->count, 1);
        player_answer(PLAYER, &well);
        the_state_is(PLAYER, "sent");
        world_verify(WORLD);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
            TEST(by_hand_nothing_is_mailed),
            TEST(a_whole_token_goes_by_mail_alone),
            TEST(of_two_parts_each_goes_its_way),
            TEST(without_mail_servers_none_is_promised),
            TEST(what_is_void_is_not_mailed),
            TEST(a_refused_mail_has_bounced_and_is_tried_again_when_asked),
            TEST(who_had_the_message_may_report_it),
            TEST(another_address_is_shown_from_when_it_is_mailed_to),
            TEST(a_status_holds_no_token),
            TEST(a_crash_loses_no_mail),
            TEST(the_part_of_a_recovery_leaves_when_officers_have_approved),
            TEST(what_is_void_holds_nothing_up),
            TEST(the_part_for_who_has_left_is_given_up),
            TEST(what_officers_refuse_is_never_mailed),
            TEST(what_cannot_be_noted_is_not_mailed),
            TEST(what_could_not_be_noted_is_tried_again),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
