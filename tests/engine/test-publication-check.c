/* SPDX-License-Identifier: Apache-2.0 */
/* "publish check" from the engine's side: everybody is compared, leftovers are told from those, and what is to be
 * mended is queued. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/directory.h"
#include "engine/publication.h"
#include "player.h"

/* The process that has the directory, and what it finds there. */
struct finder {
        struct player player;
        struct channel *channel;
        struct msg_directory_compare compared; /* the last page that was asked */
        const char *drifts; /* the guid that it says of that it has drifted; NULL: the directory is away */
};
#define FINDER ((struct finder *)*state)
#define PLAYER (&FINDER->player)
#define WORLD  (&PLAYER->world)

static int reply_compare(struct finder *finder, uint64_t id)
{
        MSG_OWN(directory_compared) reply = {0};
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;

        for (size_t i = 0; i < finder->compared.entries.count; i++) {
                struct msg_directory_drift *drift;

                if (strcmp(finder->compared.entries.at[i].guid, finder->drifts) != 0)
                        continue;
                drift = MSG_LIST_ADD(reply.drift);
                drift->guid = text_copy(finder->drifts);
                drift->outcome = text_copy("drift");
        }
        TRY(msg_encode(directory_compared, &reply, &encoded));
        return PASS(channel_reply(finder->channel, id, MSG_directory_compared, buf_view(&encoded)));
}

/* On two pages two entries with values of ours: one that the mirror has, which was compared, and one that nobody knows.
 */
static int reply_leftovers(struct finder *finder, uint64_t id, uint64_t reading)
{
        static const char *const guids[] = {"11111111111111111111111111111111", "99999999999999999999999999999999"};
        MSG_OWN(directory_leftover) reply = {.reading = 7, .end = reading == 7, .seen = 1};
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        struct msg_directory_drift *found = MSG_LIST_ADD(reply.found);

        found->guid = text_copy(guids[reading == 7]);
        found->outcome = text_copy("leftover");
        TRY(msg_encode(directory_leftover, &reply, &encoded));
        return PASS(channel_reply(finder->channel, id, MSG_directory_leftover, buf_view(&encoded)));
}

static int reply_away(struct finder *finder, uint64_t id)
{
        MSG_OWN(problem) problem = {.code = text_copy("unreachable"), .detail = text_copy("It does not answer.")};
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;

        TRY(msg_encode(problem, &problem, &encoded));
        return PASS(channel_reply(finder->channel, id, MSG_problem, buf_view(&encoded)));
}

static int finder_received(void *context, struct channel *channel, struct channel_message *message)
{
        struct finder *finder = context;
        MSG_OWN(directory_leftovers) leftovers = {0};

        if (!message->id || (message->kind != MSG_directory_compare && message->kind != MSG_directory_leftovers))
                return 0;
        if (!finder->drifts)
                return PASS(reply_away(finder, message->id));
        if (message->kind == MSG_directory_compare) {
                msg_done(directory_compare, &finder->compared);
                TRY(msg_decode(directory_compare, message->payload, &finder->compared));
                return PASS(reply_compare(finder, message->id));
        }
        TRY(msg_decode(directory_leftovers, message->payload, &leftovers));
        return PASS(reply_leftovers(finder, message->id, leftovers.reading));
}

static int finder_closed(void *context, struct channel *channel, int result)
{
        return 0;
}

static void finder_lose(struct finder *finder)
{
        channel_close(finder->channel);
        channel_unref(TAKE(finder->channel));
        world_run(&finder->player.world);
}

static int set_up(void **state)
{
        static const struct channel_handler handler = {.received = finder_received, .closed = finder_closed};
        int fds[2];

        *state = NEW(struct finder);
        player_begin(PLAYER);
        WORLD->engine.config.publish_directory = WORLD->engine.config.directory_ldap = true;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        must(directory_peer_add(&WORLD->engine, fds[0]));
        must(channel_new(&WORLD->loop, fds[1], &handler, FINDER, &FINDER->channel));
        return 0;
}

static int tear_down(void **state)
{
        if (FINDER->channel)
                finder_lose(FINDER);
        msg_done(directory_compare, &FINDER->compared);
        player_end(PLAYER);
        free(*state);
        return 0;
}

static const struct msg_job_done well = {.success = true};

static void enroll_alice(void **state, struct client *client)
{
        CLEANUP(token_done) struct token token = world_token(WORLD, "alice@example.org");

        client_init(client, &token, "enroll");
        must(client_use(WORLD, client));
        player_look(PLAYER, "publish-user");
        player_answer(PLAYER, &well);
}

/* All pages: "drift 111 leftover 999 queued ". */
static int check_all(struct world *world, int operator, bool mend, struct buf *ret_found)
{
        MSG_OWN(publish_check) ask = {.mend = mend};

        do {
                MSG_OWN(publish_checked) page = {0};
                int r = world_ask(world, operator, MSG_publish_check, &ask, &page);

                if (r)
                        return r;
                for (size_t i = 0; i < page.items.count; i++)
                        buf_add_format(ret_found, "%s %.3s%s ", page.items.at[i].outcome, page.items.at[i].user,
                                       page.items.at[i].queued ? " queued" : "");
                free(ask.cursor);
                ask.cursor = TAKE(page.cursor);
        } while (ask.cursor);
        return 0;
}

static void drift_and_leftovers_are_found(void **state)
{
        CLEANUP(client_done) struct client alice = {0};
        CLEANUP(buf_done) struct buf found = BUF_NONE;

        enroll_alice(state, &alice);
        FINDER->drifts = "11111111111111111111111111111111";
        must(check_all(WORLD, ADA, false, &found));
        assert_string_equal(buf_text(&found), "drift 111 leftover 999 ");
        assert_int_equal(FINDER->compared.entries.count, 2);
        assert_int_equal(FINDER->compared.entries.at[0].certificates.count, 1); /* Alice's */
        assert_int_equal(FINDER->compared.entries.at[1].certificates.count, 0); /* Bob is not enrolled */
        player_look(PLAYER, "publish-user");
        assert_int_equal(PLAYER->count, 0);
        assert_int_equal(audit_count(WORLD, "publish.check", "done"), 0);
}

static void what_is_to_be_mended_is_queued(void **state)
{
        CLEANUP(client_done) struct client alice = {0};
        CLEANUP(buf_done) struct buf found = BUF_NONE;
        MSG_OWN(directory_values) values = {0};

        enroll_alice(state, &alice);
        FINDER->drifts = "11111111111111111111111111111111";
        must(check_all(WORLD, ROB, true, &found));
        assert_string_equal(buf_text(&found), "drift 111 queued leftover 999 queued ");
        player_look(PLAYER, "publish-user");
        assert_int_equal(PLAYER->count, 2);
        must(msg_decode(directory_values, buf_view(&PLAYER->given[1].job.content), &values));
        assert_string_equal(values.guid, "99999999999999999999999999999999");
        assert_int_equal(values.certificates.count, 0); /* nobody belongs there, so nothing is to stay */
        player_answer(PLAYER, &well);
        assert_int_equal(audit_count(WORLD, "publish.check", "done"), 3);
        world_verify(WORLD);
}

static void a_directory_that_is_away_is_told(void **state)
{
        CLEANUP(buf_done) struct buf none = BUF_NONE;

        assert_int_equal(check_all(WORLD, ROB, false, &none), PROBLEM_UNREACHABLE);
        finder_lose(FINDER);
        assert_int_equal(check_all(WORLD, ROB, false, &none), PROBLEM_UNREACHABLE);
        WORLD->engine.config.publish_directory = false;
        assert_int_equal(check_all(WORLD, ROB, false, &none), PROBLEM_UNSUPPORTED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
            TEST(drift_and_leftovers_are_found),
            TEST(what_is_to_be_mended_is_queued),
            TEST(a_directory_that_is_away_is_told),
        };

        log_setup("test-publication-check", LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
