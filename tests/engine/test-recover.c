/* SPDX-License-Identifier: Apache-2.0 */
/* The engine with a real keeper: recovery by officers, sealing, and a startup secret that was lost. */
#include "engine/people.h"
#include "recovery.h"
#include "store/internal.h"

/* ---- recovery */

static void test_recover(void **state)
{
        CLEANUP(client_done) struct client bob = {0}, new = {0};
        CLEANUP(recovery_done) struct recovery recovery = {0};
        MSG_OWN(request_approved) first = {0}, second = {0}, again = {0}, late = {0};

        enroll(WORLD, "bob@example.org", &bob);
        must(recovery_ask(WORLD, "bob@example.org", &recovery));
        client_init(&new, &recovery.token, "recover");
        assert_int_equal(client_use(WORLD, &new), PROBLEM_STATE);
        must(approve(WORLD, ADA, &recovery, false, &first));
        assert_string_equal(first.request.at[0].state, "open");
        assert_non_null(strstr(first.detail, "1 of 2 approvals"));
        assert_int_equal(client_use(WORLD, &new), PROBLEM_STATE);
        must(approve(WORLD, BEN, &recovery, false, &second));
        assert_string_equal(second.request.at[0].state, "done");
        must(approve(WORLD, BEN, &recovery, false, &again));
        assert_int_equal(approve(WORLD, CYD, &recovery, false, &late), PROBLEM_STATE); /* she has approved nothing */
        must(client_use(WORLD, &new));
        redeemed_opens(&new, &recovery, 1);
        must(client_use(WORLD, &new)); /* again: the same */
        crl_settle(WORLD);
        crl_has(WORLD, &bob.answer.signature_certificate, true);
        crl_has(WORLD, &bob.answer.keys.at[0].certificate, false);
        crl_has(WORLD, &new.answer.signature_certificate, false);
        assert_int_equal(audit_count(WORLD, "request.open", "done"), 1);
        world_verify(WORLD);
}

/* Who left is certified no more, but what was written to him can be read. */
static void test_recover_of_who_left(void **state)
{
        CLEANUP(client_done) struct client bob = {0}, new = {0};
        CLEANUP(recovery_done) struct recovery recovery = {0};
        MSG_OWN(request_approved) first = {0}, second = {0};
        struct msg_directory_edit remove = {.entry = (char[]){"bob@example.org"}, .remove = true};
        MSG_OWN(directory_edited) removed = {0};
        CLEANUP(user_row_done) struct user_row user = {0};

        enroll(WORLD, "bob@example.org", &bob);
        must(world_ask(WORLD, ROB, MSG_directory_edit, &remove, &removed));
        WORLD->engine.config.revoke_left_after = 1;
        WORLD->engine.clock_offset = 2;
        sweep_pump(&WORLD->engine);
        must(recovery_ask(WORLD, "bob@example.org", &recovery));
        must(approve(WORLD, ADA, &recovery, false, &first));
        must(approve(WORLD, BEN, &recovery, false, &second));
        sweep_pump(&WORLD->engine); /* the recovery is not cut off by his being revoked */
        client_init(&new, &recovery.token, "recover");
        must(client_use(WORLD, &new));
        redeemed_opens(&new, &recovery, 1);
        assert_int_equal(new.answer.signature_certificate.len, 0);
        assert_string_equal(new.answer.addresses.at[0], "bob@example.org");
        must(client_use(WORLD, &new)); /* again: the same */
        must(user_named(&WORLD->engine, "bob@example.org", &user));
        assert_int_equal(user.state, USER_REVOKED);
        world_verify(WORLD);
}

static void test_recover_false_partial(void **state)
{
        CLEANUP(client_done) struct client bob = {0};
        CLEANUP(recovery_done) struct recovery recovery = {0};
        MSG_OWN(request_approved) reply = {0};

        enroll(WORLD, "bob@example.org", &bob);
        must(recovery_ask(WORLD, "bob@example.org", &recovery));
        must(approve(WORLD, ADA, &recovery, true, &reply));
        msg_done(request_approved, &reply);
        assert_int_equal(approve(WORLD, BEN, &recovery, false, &reply), PROBLEM_PARTIAL_FALSE);
        assert_non_null(strstr(report_text(), "ada"));
        assert_int_equal(audit_count(WORLD, "request.open", "partial-false"), 1);
        must(approve(WORLD, ADA, &recovery, false, &reply)); /* struck, so she may again */
        assert_string_equal(reply.request.at[0].state, "done");
        world_verify(WORLD);
}

static void test_recover_refusals(void **state)
{
        CLEANUP(client_done) struct client bob = {0};
        CLEANUP(recovery_done) struct recovery recovery = {0}, twice = {0}, nobody = {0};
        MSG_OWN(request_approve) ask = {0};
        MSG_OWN(request_approved) reply = {0};
        struct msg_request_refuse refusal = {0};
        MSG_OWN(request_refused) refused = {0};

        enroll(WORLD, "bob@example.org", &bob);
        assert_int_equal(recovery_ask(WORLD, "carol@example.org", &nobody), PROBLEM_NOT_FOUND);
        must(recovery_ask(WORLD, "bob@example.org", &recovery));
        assert_int_equal(recovery_ask(WORLD, "bob@example.org", &twice), PROBLEM_EXISTS);
        ask.request = text_copy(recovery.request);
        officer_approval(WORLD, ADA, buf_view(&recovery.terms), false, MSG_LIST_ADD(ask.approval));
        assert_int_equal(world_ask(WORLD, BEN, MSG_request_approve, &ask, &reply),
                         PROBLEM_FORBIDDEN); /* in another's name */
        ask.approval.at[0].digest.data[0] ^= 1;
        assert_int_equal(world_ask(WORLD, ADA, MSG_request_approve, &ask, &reply), PROBLEM_STALE);
        ask.approval.at[0].digest.data[0] ^= 1;
        ask.approval.at[0].signature.data[0] ^= 1;
        assert_int_equal(world_ask(WORLD, ADA, MSG_request_approve, &ask, &reply), PROBLEM_UNAUTHENTICATED);
        refusal.request = recovery.request;
        must(world_ask(WORLD, BEN, MSG_request_refuse, &refusal, &refused));
        assert_string_equal(refused.request.at[0].state, "refused");
        assert_string_equal(refused.request.at[0].refused_by.at[0], "ben");
        assert_int_equal(approve(WORLD, ADA, &recovery, false, &reply), PROBLEM_STATE);
}

static int piece_count(void *context, struct approval_row *row)
{
        size_t *pieces = context;

        *pieces += row->partials.len > 0;
        return 0;
}

static size_t pieces_of(struct world *world, const char *request)
{
        size_t pieces = 0;
        struct id id;

        must(id_parse(bytes_text(request), &id));
        must(store_approval_list(world->engine.store, &id, &pieces, piece_count));
        return pieces;
}

/* Of a request that ended without being opened no piece of an officer stays behind: it would count for M−1 others. */
static void test_pieces_do_not_stay(void **state)
{
        CLEANUP(client_done) struct client bob = {0};
        CLEANUP(recovery_done) struct recovery refused = {0}, expired = {0};
        MSG_OWN(request_approved) reply = {0};
        MSG_OWN(request_refused) answer = {0};
        struct msg_request_refuse refusal = {0};

        enroll(WORLD, "bob@example.org", &bob);
        must(recovery_ask(WORLD, "bob@example.org", &refused));
        must(approve(WORLD, ADA, &refused, false, &reply));
        assert_int_equal(pieces_of(WORLD, refused.request), 1);
        refusal.request = refused.request;
        must(world_ask(WORLD, BEN, MSG_request_refuse, &refusal, &answer));
        assert_int_equal(pieces_of(WORLD, refused.request), 0);
        must(recovery_ask(WORLD, "bob@example.org", &expired));
        msg_done(request_approved, &reply);
        must(approve(WORLD, ADA, &expired, false, &reply));
        WORLD->engine.clock_offset = 31 * 86400;
        must(second_tick(&WORLD->engine));
        assert_int_equal(pieces_of(WORLD, expired.request), 0);
}

/* Also when a row of something else cannot be believed: somebody may have altered it for that. */
static void test_pieces_do_not_stay_for_an_altered_row(void **state)
{
        CLEANUP(client_done) struct client bob = {0};
        CLEANUP(recovery_done) struct recovery recovery = {0};
        CLEANUP(token_done) struct token token = TOKEN_NONE;
        MSG_OWN(request_approved) reply = {0};

        enroll(WORLD, "bob@example.org", &bob);
        must(recovery_ask(WORLD, "bob@example.org", &recovery));
        must(approve(WORLD, ADA, &recovery, false, &reply));
        token = world_token(WORLD, "alice@example.org");
        must(db_run(&WORLD->engine.store->db, "UPDATE tokens SET attempts = 4 WHERE kind = 1 AND state = 1"));
        WORLD->engine.clock_offset = 31 * 86400;
        must(second_tick(&WORLD->engine));
        assert_int_equal(pieces_of(WORLD, recovery.request), 0);
}

/* A registrar gives Bob's entry the name and address of somebody whose keys the officers would release: they are shown
 * whose keys they really are. */
static void test_renamed_user_is_shown_as_certified(void **state)
{
        CLEANUP(client_done) struct client bob = {0};
        CLEANUP(recovery_done) struct recovery recovery = {0};
        MSG_OWN(terms) terms = {0};

        enroll(WORLD, "bob@example.org", &bob);
        world_import(WORLD, "22222222222222222222222222222222", "Mallory", "mallory@example.org");
        must(recovery_ask(WORLD, "mallory@example.org", &recovery));
        must(msg_decode(terms, buf_view(&recovery.terms), &terms));
        assert_string_equal(terms.name, "Bob, in the directory now: Mallory");
        assert_int_equal(terms.addresses.count, 2);
        assert_string_equal(terms.addresses.at[0], "bob@example.org");
        assert_string_equal(terms.addresses.at[1], "mallory@example.org");
}

/* The second approval is stored, the engine dies before the keeper has answered: it is opened after the restart. */
static void test_recover_crash(void **state)
{
        CLEANUP(client_done) struct client bob = {0}, new = {0};
        CLEANUP(recovery_done) struct recovery recovery = {0};
        MSG_OWN(request_approved) reply = {0};
        MSG_OWN(request_approve) ask = {0};
        CLEANUP(world_answer_done) struct world_answer answer = {0};

        enroll(WORLD, "bob@example.org", &bob);
        must(recovery_ask(WORLD, "bob@example.org", &recovery));
        must(approve(WORLD, ADA, &recovery, false, &reply));
        ask.request = text_copy(recovery.request);
        officer_approval(WORLD, CYD, buf_view(&recovery.terms), false, MSG_LIST_ADD(ask.approval));
        WORLD->keeper_holds = true;
        WORLD->people[CYD].nonce++;
        world_send(WORLD, CYD, MSG_request_approve, &ask, &answer);
        world_run(WORLD);
        assert_false(answer.there);
        WORLD->keeper_holds = false;
        world_crash(WORLD);
        client_init(&new, &recovery.token, "recover");
        must(client_use(WORLD, &new));
        redeemed_opens(&new, &recovery, 1);
        world_verify(WORLD);
}

static void test_recover_expired(void **state)
{
        CLEANUP(client_done) struct client bob = {0};
        CLEANUP(recovery_done) struct recovery recovery = {0};
        MSG_OWN(request_approved) reply = {0};
        struct msg_request_list ask = {0};
        MSG_OWN(request_listed) list = {0};

        enroll(WORLD, "bob@example.org", &bob);
        must(recovery_ask(WORLD, "bob@example.org", &recovery));
        WORLD->engine.clock_offset = 31 * 86400;
        assert_int_equal(approve(WORLD, ADA, &recovery, false, &reply), PROBLEM_STATE);
        must(second_tick(&WORLD->engine));
        must(world_ask(WORLD, ADA, MSG_request_list, &ask, &list));
        assert_string_equal(list.requests.at[0].state, "expired");
}

/* ---- sealed, and the startup secret lost */

static void test_sealed(void **state)
{
        struct msg_status ask = {0};
        MSG_OWN(status_reply) status = {0};
        struct msg_authority authority_ask = {0};
        MSG_OWN(authority_reply) authority = {0};
        struct msg_user_list list = {0};
        MSG_OWN(user_listed) listed = {0};

        must(world_ask(WORLD, -1, MSG_status, &ask, &status));
        assert_string_equal(status.state, "sealed");
        assert_string_equal(status.organisation, "Example");
        must(world_ask(WORLD, -1, MSG_authority, &authority_ask, &authority));
        assert_true(authority.root.len > 0);
        assert_int_equal(world_ask(WORLD, ADA, MSG_user_list, &list, &listed), PROBLEM_SEALED);
        assert_int_equal(operator_accept(WORLD, ADA), PROBLEM_SEALED);
}

static int startup_ask(struct world *world, struct recovery *recovery)
{
        MSG_OWN(request_startup) ask = {.reason = text_copy("the secret is lost")};
        MSG_OWN(request_startup_created) created = {0};

        buf_add_bytes(&ask.recipient, point_view(&world->fixture.recipient_public));
        TRY(world_ask(world, ADA, MSG_request_startup, &ask, &created));
        recovery_take(world, BEN, &created.request.at[0], recovery);
        return 0;
}

static void test_startup(void **state)
{
        CLEANUP(recovery_done) struct recovery recovery = {0}, refused = {0};
        CLEANUP(secret_done) struct secret secret = SECRET_NONE;
        MSG_OWN(request_approved) first = {0}, second = {0}, again = {0}, late = {0};
        MSG_OWN(request_shown) shown = {0};
        struct msg_request_show show = {0};
        struct msg_seal seal_message = {0};
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};

        assert_int_equal(startup_ask(WORLD, &refused), PROBLEM_STATE);
        must(fixture_ask_as(&WORLD->fixture, PEER_LOCAL, MSG_seal, &seal_message, &answer));
        world_run(WORLD);
        assert_int_equal(WORLD->engine.state, ENGINE_SEALED);
        must(startup_ask(WORLD, &recovery));
        must(approve(WORLD, BEN, &recovery, false, &first));
        assert_string_equal(first.request.at[0].state, "open");
        must(approve(WORLD, CYD, &recovery, false, &second));
        assert_string_equal(second.request.at[0].state, "done");
        must(approve(WORLD, CYD, &recovery, false, &again));
        assert_int_equal(approve(WORLD, ADA, &recovery, false, &late), PROBLEM_STATE);
        world_run(WORLD);
        assert_int_equal(WORLD->engine.state, ENGINE_UNSEALED);
        assert_int_equal(audit_count(WORLD, "server.startup", "done"), 1);
        show.request = recovery.request;
        must(world_ask(WORLD, ADA, MSG_request_show, &show, &shown));
        must(envelope_open(&WORLD->fixture.recipient, buf_view(&shown.startup_envelope), &secret));
        /* It is the secret that opens it from now on. */
        world_crash(WORLD);
        msg_done(request_shown, &shown);
        keeper_reply_done(&answer);
        must(fixture_ask_as(&WORLD->fixture, PEER_LOCAL, MSG_seal, &seal_message, &answer));
        world_run(WORLD);
        secret_done(&WORLD->fixture.setup.startup_secret);
        WORLD->fixture.setup.startup_secret = secret_take(&secret);
        fixture_unseal(&WORLD->fixture);
        world_run(WORLD);
        assert_int_equal(WORLD->engine.state, ENGINE_UNSEALED);
        world_verify(WORLD);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            TEST(test_recover),
            TEST(test_recover_of_who_left),
            TEST(test_recover_false_partial),
            TEST(test_recover_refusals),
            TEST(test_pieces_do_not_stay),
            TEST(test_renamed_user_is_shown_as_certified),
            TEST(test_recover_crash),
            TEST(test_pieces_do_not_stay_for_an_altered_row),
            TEST(test_recover_expired),
            cmocka_unit_test_setup_teardown(test_sealed, set_up_sealed, tear_down),
            TEST(test_startup),
        };

        log_setup("test-recover", LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
