/* SPDX-License-Identifier: Apache-2.0 */
/* Publication to the directory from the engine's side: what is queued when, what is given out, and what an outage does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/publication.h"
#include "mail/mail.h"
#include "player.h"

#define PLAYER ((struct player *)*state)
#define WORLD  (&PLAYER->world)

static void look(struct player *player)
{
        player_look(player, "publish-user");
}

static void begin(struct player *player)
{
        player->world.engine.config.publish_directory = true;
        player_connect(player);
        look(player);
}

static const struct msg_job_done well = {.success = true},
                                 away = {.unreachable = true, .detail = (char[]){"ldap.example.org does not answer."}};

static int set_up(void **state)
{
        *state = NEW(struct player);
        player_begin(PLAYER);
        WORLD->engine.config.publish_directory = true;
        look(PLAYER);
        return 0;
}

static int tear_down(void **state)
{
        player_end(PLAYER);
        free(*state);
        return 0;
}

static void enroll(struct world *world, const char *address, struct client *client)
{
        CLEANUP(token_done) struct token token = world_token(world, address);

        client_init(client, &token, "enroll");
        must(client_use(world, client));
        world_run(world);
}

static void user_is_revoked(struct world *world, const char *address)
{
        struct msg_user_revoke ask = {.user = (char *)(uintptr_t)address};
        MSG_OWN(user_revoked) reply = {0};

        must(world_ask(world, ROB, MSG_user_revoke, &ask, &reply));
        world_run(world);
}

static int64_t waiting(struct world *world)
{
        struct store_counts counts;

        store_counts(world->engine.store, &counts);
        return counts.jobs[JOB_WAITING];
}

static void values_given(struct player *player, size_t index, struct msg_directory_values *ret_values)
{
        assert_true(index < player->count);
        assert_string_equal(player->given[index].job.kind, "publish-user");
        must(msg_decode(directory_values, buf_view(&player->given[index].job.content), ret_values));
}

static void enrollment_and_revocation_are_published(void **state)
{
        CLEANUP(client_done) struct client client = {0};
        MSG_OWN(directory_values) values = {0}, after = {0};

        enroll(WORLD, "alice@example.org", &client);
        values_given(PLAYER, 0, &values);
        assert_string_equal(values.guid, "11111111111111111111111111111111");
        assert_int_equal(values.certificates.count, 1);
        assert_true(bytes_equal(buf_view(&values.certificates.at[0].value), buf_view(&client.answer.keys.at[0].certificate)));
        assert_true(bytes_equal(buf_view(&values.issuers.at[0].value), buf_view(&WORLD->fixture.trust.issuer)));
        player_answer(PLAYER, &well);
        assert_int_equal(waiting(WORLD), 0);
        user_is_revoked(WORLD, "alice@example.org");
        values_given(PLAYER, 0, &after);
        assert_string_equal(after.guid, values.guid);
        assert_int_equal(after.certificates.count, 0);
        assert_int_equal(after.issuers.count, 1);
        player_answer(PLAYER, &well);
}

/* While one is under way nothing newer is given out for him, for others it is; then comes the state as it is then. */
static void one_at_a_time_for_each_user(void **state)
{
        CLEANUP(client_done) struct client alice = {0}, bob = {0};
        MSG_OWN(directory_values) values = {0};

        enroll(WORLD, "alice@example.org", &alice);
        assert_int_equal(PLAYER->count, 1);
        user_is_revoked(WORLD, "alice@example.org");
        enroll(WORLD, "bob@example.org", &bob);
        assert_int_equal(PLAYER->count, 2);
        assert_int_equal(waiting(WORLD), 1);
        player_answer(PLAYER, &well);
        assert_int_equal(PLAYER->count, 1);
        values_given(PLAYER, 0, &values);
        assert_int_equal(values.certificates.count, 0);
        player_answer(PLAYER, &well);
        assert_int_equal(waiting(WORLD), 0);
}

static int job_look(void *context, struct job_row *row)
{
        *(struct job_row *)context = *row;
        *row = (struct job_row){0};
        return 0;
}

/* However long it is away: nothing is given up, one job asks whether it is back, and the newest state is what it gets. */
static void an_outage_costs_nothing(void **state)
{
        CLEANUP(client_done) struct client alice = {0}, bob = {0};
        CLEANUP(job_row_done) struct job_row job = {0};
        struct target_state *target = &WORLD->engine.outbound.targets[TARGET_DIRECTORY];
        MSG_OWN(directory_values) values = {0};

        enroll(WORLD, "alice@example.org", &alice);
        enroll(WORLD, "bob@example.org", &bob);
        assert_int_equal(PLAYER->count, 2);
        player_answer(PLAYER, &away);
        assert_int_equal(target->failures, 1); /* and not two */
        assert_false(outbound_target_reachable(&WORLD->engine, TARGET_DIRECTORY));
        look(PLAYER);
        assert_int_equal(PLAYER->count, 0); /* it is given time */
        for (unsigned i = 0; i < 1100; i++) {
                target->until_ms = 0;
                look(PLAYER);
                assert_int_equal(PLAYER->count, 1); /* one asks for all */
                player_answer(PLAYER, &away);
        }
        user_is_revoked(WORLD, "alice@example.org");
        user_is_revoked(WORLD, "bob@example.org");
        assert_int_equal(waiting(WORLD), 2); /* either may be the next */
        must(store_job_list(WORLD->engine.store, JOB_WAITING, 0, 1, &job, job_look));
        assert_int_equal(job.attempts, 0);
        assert_string_equal(job.error, away.detail);
        target->until_ms = 0;
        look(PLAYER);
        values_given(PLAYER, 0, &values);
        assert_int_equal(values.certificates.count, 0); /* what is true now */
        player_answer(PLAYER, &well);
        assert_true(outbound_target_reachable(&WORLD->engine, TARGET_DIRECTORY));
        assert_int_equal(PLAYER->count, 1);
        player_answer(PLAYER, &well);
        assert_int_equal(waiting(WORLD), 0);
        world_verify(WORLD);
}

static void crashes_lose_no_job(void **state)
{
        CLEANUP(client_done) struct client alice = {0};

        enroll(WORLD, "alice@example.org", &alice);
        assert_int_equal(PLAYER->count, 1);
        player_forget(PLAYER);
        channel_close(PLAYER->channel);
        channel_unref(TAKE(PLAYER->channel));
        world_crash(WORLD);
        begin(PLAYER);
        assert_int_equal(PLAYER->count, 1);
        player_lose(PLAYER); /* the other side this time: tried again, a little later */
        assert_int_equal(waiting(WORLD), 1);
        begin(PLAYER);
        assert_int_equal(PLAYER->count, 0);
        WORLD->engine.clock_offset = 100;
        look(PLAYER);
        assert_int_equal(PLAYER->count, 1);
        player_answer(PLAYER, &well);
        assert_int_equal(waiting(WORLD), 0);
}

/* What cannot be done for one is tried later and does not hold up the others; what can never be done is kept to be seen. */
static void failures_are_of_one_job(void **state)
{
        CLEANUP(client_done) struct client alice = {0}, bob = {0};
        struct msg_job_done forbidden = {.detail = (char[]){"Insufficient access."}}, never = {.permanent = true};
        struct store_counts counts;

        enroll(WORLD, "alice@example.org", &alice);
        player_answer(PLAYER, &forbidden);
        enroll(WORLD, "bob@example.org", &bob);
        assert_int_equal(PLAYER->count, 1);
        player_answer(PLAYER, &never);
        store_counts(WORLD->engine.store, &counts);
        assert_int_equal(counts.jobs[JOB_FAILED], 1);
        assert_int_equal(counts.jobs[JOB_WAITING], 1);
        user_is_revoked(WORLD, "bob@example.org"); /* news: another try */
        assert_int_equal(PLAYER->count, 1);
        player_answer(PLAYER, &well);
        store_counts(WORLD->engine.store, &counts);
        assert_int_equal(counts.jobs[JOB_FAILED], 0);
}

static void expired_certificates_leave(void **state)
{
        CLEANUP(client_done) struct client alice = {0};
        MSG_OWN(directory_values) values = {0};

        enroll(WORLD, "alice@example.org", &alice);
        player_answer(PLAYER, &well);
        WORLD->engine.clock_offset = 600LL * 86400;
        sweep_pump(&WORLD->engine);
        look(PLAYER);
        values_given(PLAYER, 0, &values);
        assert_int_equal(values.certificates.count, 0);
        player_answer(PLAYER, &well);
        assert_int_equal(audit_count(WORLD, "server.publication", "done"), 1);
        sweep_pump(&WORLD->engine);
        look(PLAYER);
        assert_int_equal(PLAYER->count, 0); /* once */
        world_verify(WORLD);
}

/* ---- userSMIMECertificate */

/* As the client makes it: signed with `key`, of the certificates of these two answers. */
static void smime_value(struct player *player, EVP_PKEY *key, const struct client *signer, const struct client *other,
                        struct buf *ret_value)
{
        CLEANUP(certificate_done) struct certificate signature = {0}, encryption = {0};
        CLEANUP(cert_list_done) struct cert_list chain = {0};
        struct mail_keys keys = {.signer = {&signature, key}, .signer_chain = &chain, .encryption = &encryption};

        must(certificate_parse(buf_view(&signer->answer.signature_certificate), &signature));
        must(certificate_parse(buf_view(&other->answer.keys.at[0].certificate), &encryption));
        must(cert_list_add(&chain, buf_view(&player->world.fixture.trust.issuer)));
        must(mail_smime_value(&keys, engine_now(&player->world.engine), ret_value));
}

static int smime_put(struct player *player, const struct client *whose, const struct buf *value, bool *ret_changed)
{
        struct msg_smime_put ask = {.value = *value};
        MSG_OWN(smime_taken) taken = {0};
        int r;

        player->world.ticket = buf_view(&whose->answer.ticket);
        r = world_ask(&player->world, -1, MSG_smime_put, &ask, &taken);
        player->world.ticket = BYTES_NONE;
        if (ret_changed)
                *ret_changed = taken.changed;
        return r;
}

static void what_the_client_signed_is_published_and_withdrawn(void **state)
{
        CLEANUP(client_done) struct client alice = {0};
        CLEANUP(buf_done) struct buf value = BUF_NONE;
        MSG_OWN(directory_values) values = {0}, after = {0};
        bool changed = false;

        enroll(WORLD, "alice@example.org", &alice);
        player_answer(PLAYER, &well);
        smime_value(PLAYER, alice.key, &alice, &alice, &value);
        must(smime_put(PLAYER, &alice, &value, &changed));
        assert_true(changed);
        values_given(PLAYER, 0, &values);
        assert_true(bytes_equal(buf_view(&values.smime), buf_view(&value)));
        assert_int_equal(values.certificates.count, 1);
        player_answer(PLAYER, &well);
        must(smime_put(PLAYER, &alice, &value, &changed)); /* again: nothing new */
        assert_false(changed);
        assert_int_equal(PLAYER->count, 0);
        WORLD->engine.clock_offset = 1;
        buf_clear(&value);
        smime_value(PLAYER, alice.key, &alice, &alice, &value);
        assert_int_equal(smime_put(PLAYER, &alice, &value, NULL), PROBLEM_TOO_MANY);
        user_is_revoked(WORLD, "alice@example.org");
        values_given(PLAYER, 0, &after);
        assert_int_equal(after.smime.len, 0);
        player_answer(PLAYER, &well);
        WORLD->engine.clock_offset = 120;
        assert_int_equal(smime_put(PLAYER, &alice, &value, NULL), PROBLEM_UNAUTHENTICATED); /* his ticket has ended */
        assert_int_equal(world_ask(WORLD, ROB, MSG_smime_put, &(struct msg_smime_put){.value = value},
                                   &(struct msg_smime_taken){0}),
                         PROBLEM_STATE);
        world_verify(WORLD);
}

static void what_somebody_else_signed_is_refused(void **state)
{
        CLEANUP(client_done) struct client alice = {0}, bob = {0};
        CLEANUP(buf_done) struct buf mixed = BUF_NONE, forged = BUF_NONE, bobs = BUF_NONE;

        enroll(WORLD, "alice@example.org", &alice);
        enroll(WORLD, "bob@example.org", &bob);
        player_answer(PLAYER, &well);
        smime_value(PLAYER, alice.key, &alice, &bob, &mixed);
        assert_int_equal(smime_put(PLAYER, &alice, &mixed, NULL), PROBLEM_FORBIDDEN);
        smime_value(PLAYER, bob.key, &alice, &alice, &forged); /* another key under her certificate */
        assert_int_equal(smime_put(PLAYER, &alice, &forged, NULL), PROBLEM_UNAUTHENTICATED);
        smime_value(PLAYER, bob.key, &bob, &bob, &bobs);
        assert_int_equal(smime_put(PLAYER, &alice, &bobs, NULL), PROBLEM_FORBIDDEN);
        buf_add_byte(&bobs, 0);
        assert_int_equal(smime_put(PLAYER, &bob, &bobs, NULL), PROBLEM_MALFORMED);
        assert_int_equal(PLAYER->count, 0);
        assert_int_equal(waiting(WORLD), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
            TEST(enrollment_and_revocation_are_published),
            TEST(one_at_a_time_for_each_user),
            TEST(an_outage_costs_nothing),
            TEST(crashes_lose_no_job),
            TEST(failures_are_of_one_job),
            TEST(expired_certificates_leave),
            TEST(what_the_client_signed_is_published_and_withdrawn),
            TEST(what_somebody_else_signed_is_refused),
        };

        log_setup("test-publication", LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
