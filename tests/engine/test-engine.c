/* SPDX-License-Identifier: Apache-2.0 */
/* The engine with a real keeper: enrollment, tokens, people, and what happens when something is cut off. */
#include <sys/resource.h>

#include "base/mem.h"
#include "engine/authorize.h"
#include "room.h"

/* ---- enrollment */

static void test_enroll(void **state)
{
        CLEANUP(client_done) struct client client = {0};
        struct store_counts counts;
        struct msg_user_show ask = {.user = (char[]){"alice@example.org"}};
        MSG_OWN(user_shown) shown = {0};

        enroll(WORLD, "alice@example.org", &client);
        assert_int_equal(client.answer.keys.count, 1);
        assert_string_equal(client.answer.name, "Alice Ärger");
        assert_string_equal(client.answer.addresses.at[0], "alice@example.org");
        client_opens(&client, 0);
        must(world_ask(WORLD, ADA, MSG_user_show, &ask, &shown));
        assert_string_equal(shown.user.at[0].state, "enrolled");
        assert_int_equal(shown.certificates.count, 2);
        store_counts(WORLD->engine.store, &counts);
        assert_int_equal(counts.archives[ARCHIVE_CURRENT], 1);
        assert_int_equal(counts.certificates[CERTIFICATE_VALID], 2);
        world_verify(WORLD);
}

static void test_enroll_repeated(void **state)
{
        CLEANUP(client_done) struct client client = {0};
        CLEANUP(buf_done) struct buf first = BUF_NONE;
        struct store_counts counts;

        enroll(WORLD, "alice@example.org", &client);
        first = buf_copy_of(buf_view(&client.answer.signature_certificate));
        must(client_use(WORLD, &client));
        assert_true(bytes_equal(buf_view(&first), buf_view(&client.answer.signature_certificate)));
        world_crash(WORLD);
        must(client_use(WORLD, &client));
        assert_true(bytes_equal(buf_view(&first), buf_view(&client.answer.signature_certificate)));
        store_counts(WORLD->engine.store, &counts);
        assert_int_equal(counts.certificates[CERTIFICATE_VALID], 2);
}

static void test_enroll_used_by_other(void **state)
{
        CLEANUP(token_done) struct token token = world_token(WORLD, "alice@example.org");
        CLEANUP(client_done) struct client client = {0}, other = {0};

        client_init(&client, &token, "enroll");
        client_init(&other, &token, "enroll");
        must(client_use(WORLD, &client));
        assert_int_equal(client_use(WORLD, &other), PROBLEM_TOKEN_REFUSED);
        assert_int_equal(audit_count(WORLD, "token.use", "token-refused"), 1);
}

/* Neither somebody else's signature key nor a key of the archive, be it one's own. */
static void test_certified_keys_are_refused(void **state)
{
        CLEANUP(client_done) struct client alice = {0}, bob = {0};
        CLEANUP(token_done) struct token token = world_token(WORLD, "bob@example.org");

        enroll(WORLD, "alice@example.org", &alice);
        client_init_key(&bob, &token, "enroll", alice.key);
        assert_int_equal(client_use(WORLD, &bob), PROBLEM_EXISTS);
        client_done(&bob);
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *encryption = client_key(&alice, 0);
        client_init_key(&bob, &token, "enroll", encryption);
        assert_int_equal(client_use(WORLD, &bob), PROBLEM_EXISTS);
        client_done(&bob);
        client_init(&bob, &token, "enroll");
        must(client_use(WORLD, &bob));
}

/* Wrong in each way: the same words. */
static void test_refusals_alike(void **state)
{
        CLEANUP(token_done) struct token token = world_token(WORLD, "alice@example.org"), unknown = token_new();
        CLEANUP(client_done) struct client wrong_mac = {0}, stranger = {0}, late = {0}, purpose = {0};
        CLEANUP(mem_freep) char *sentence = NULL;

        client_init(&wrong_mac, &token, "enroll");
        wrong_mac.mac.data[0] ^= 1;
        assert_int_equal(client_use(WORLD, &wrong_mac), PROBLEM_TOKEN_REFUSED);
        sentence = text_copy(report_text());
        client_init(&stranger, &unknown, "enroll");
        assert_int_equal(client_use(WORLD, &stranger), PROBLEM_TOKEN_REFUSED);
        assert_string_equal(report_text(), sentence);
        client_init(&purpose, &token, "recover");
        assert_int_equal(client_use(WORLD, &purpose), PROBLEM_TOKEN_REFUSED);
        assert_string_equal(report_text(), sentence);
        client_init(&late, &token, "enroll");
        WORLD->engine.clock_offset = 400 * 86400;
        assert_int_equal(client_use(WORLD, &late), PROBLEM_TOKEN_REFUSED);
        assert_string_equal(report_text(), sentence);
        assert_int_equal(audit_count(WORLD, "token.use", "token-refused"), 4);
}

static void test_attempts(void **state)
{
        CLEANUP(token_done) struct token token = world_token(WORLD, "alice@example.org");
        CLEANUP(client_done) struct client wrong = {0}, right = {0};

        client_init(&wrong, &token, "enroll");
        client_init(&right, &token, "enroll");
        wrong.mac.data[0] ^= 1;
        for (unsigned i = 0; i < 5; i++)
                assert_int_equal(client_use(WORLD, &wrong), PROBLEM_TOKEN_REFUSED);
        assert_int_equal(client_use(WORLD, &right), PROBLEM_TOKEN_REFUSED);
}

static void test_limit_of_address(void **state)
{
        CLEANUP(token_done) struct token token = world_token(WORLD, "alice@example.org"), unknown = token_new();
        CLEANUP(client_done) struct client wrong = {0}, right = {0};
        int r = PROBLEM_TOKEN_REFUSED;

        client_init(&wrong, &unknown, "enroll");
        client_init(&right, &token, "enroll");
        for (unsigned i = 0; i < 25 && r == PROBLEM_TOKEN_REFUSED; i++)
                r = client_use(WORLD, &wrong);
        assert_int_equal(r, PROBLEM_TOO_MANY);
        assert_int_equal(client_use(WORLD, &right), PROBLEM_TOO_MANY);
        WORLD->address = "192.0.2.2";
        must(client_use(WORLD, &right));
}

/* Behind one address: a ticket that is none any more, requests that nobody signed, a token that was used. None of it is a
 * guess, and none keeps a colleague from enrolling; nor does it fill the disk. */
static void test_mistakes_lock_nobody_out(void **state)
{
        enum { MANY = 30 };
        CLEANUP(token_done) struct token token = world_token(WORLD, "alice@example.org");
        CLEANUP(client_done) struct client used = {0}, colleague = {0};
        CLEANUP(buf_done) struct buf ticket = BUF_NONE;
        struct id nobody = id_new();
        MSG_OWN(certificate_find) find = {0};
        MSG_OWN(certificate_found) found = {0};
        struct msg_user_list list = {0};
        MSG_OWN(user_listed) listed = {0};

        enroll(WORLD, "bob@example.org", &used);
        must(ticket_make(&WORLD->engine, &nobody, engine_now(&WORLD->engine) - 1, &ticket));
        WORLD->ticket = buf_view(&ticket);
        for (unsigned i = 0; i < MANY; i++) {
                assert_int_equal(world_ask(WORLD, -1, MSG_certificate_find, &find, &found), PROBLEM_UNAUTHENTICATED);
                assert_int_equal(world_ask(WORLD, -1, MSG_user_list, &list, &listed), PROBLEM_UNAUTHENTICATED);
        }
        WORLD->ticket = BYTES_NONE;
        client_init(&colleague, &token, "enroll");
        for (unsigned i = 0; i < MANY; i++) {
                CLEANUP(client_done) struct client again = {0};

                client_init(&again, &used.token, "enroll");
                assert_int_equal(client_use(WORLD, &again), PROBLEM_TOKEN_REFUSED);
        }
        must(client_use(WORLD, &colleague));
        assert_true(audit_count(WORLD, "certificate.find", "unauthenticated") < 25);
}

/* One address asks and asks: it takes nothing from the limit that all others share. */
static void test_one_address_locks_nobody_out(void **state)
{
        CLEANUP(token_done) struct token token = world_token(WORLD, "alice@example.org"), unknown = token_new();
        CLEANUP(client_done) struct client wrong = {0}, right = {0};

        client_init(&wrong, &unknown, "enroll");
        client_init(&right, &token, "enroll");
        for (unsigned i = 0; i < 3 * WORLD->engine.config.total_attempts; i++)
                assert_int_not_equal(client_use(WORLD, &wrong), 0);
        WORLD->address = "192.0.2.2";
        must(client_use(WORLD, &right));
}

static void test_newer_token(void **state)
{
        CLEANUP(token_done)
        struct token old = world_token(WORLD, "alice@example.org"),
                     new = world_token(WORLD, "alice@example.org");
        CLEANUP(client_done) struct client first = {0}, second = {0};

        client_init(&first, &old, "enroll");
        client_init(&second, &new, "enroll");
        assert_int_equal(client_use(WORLD, &first), PROBLEM_TOKEN_REFUSED);
        must(client_use(WORLD, &second));
}

static void use_message(struct client *client, struct msg_token_use *use)
{
        use->request = buf_copy_of(buf_view(&client->request));
        buf_add_bytes(&use->mac, digest_view(&client->mac));
}

/* Between the keeper's answer and the commit: nothing of it is there, and the repetition completes it. */
static void test_crash_before_commit(void **state)
{
        CLEANUP(token_done) struct token token = world_token(WORLD, "alice@example.org");
        CLEANUP(client_done) struct client client = {0};
        CLEANUP(world_answer_done) struct world_answer answer = {0};
        MSG_OWN(token_use) use = {0};
        struct store_counts counts;

        client_init(&client, &token, "enroll");
        use_message(&client, &use);
        WORLD->keeper_holds = true;
        world_send(WORLD, -1, MSG_token_use, &use, &answer);
        world_run(WORLD);
        world_keeper(WORLD); /* answered, handled, not committed */
        assert_true(WORLD->engine.round.open);
        assert_false(answer.there);
        WORLD->keeper_holds = false;
        world_crash(WORLD);
        store_counts(WORLD->engine.store, &counts);
        assert_int_equal(counts.certificates[CERTIFICATE_VALID], 0);
        must(client_use(WORLD, &client));
        store_counts(WORLD->engine.store, &counts);
        assert_int_equal(counts.certificates[CERTIFICATE_VALID], 2);
        world_verify(WORLD);
}

static void test_keeper_lost(void **state)
{
        CLEANUP(token_done) struct token token = world_token(WORLD, "alice@example.org");
        CLEANUP(client_done) struct client client = {0};
        CLEANUP(world_answer_done) struct world_answer answer = {0};
        MSG_OWN(token_use) use = {0};

        client_init(&client, &token, "enroll");
        use_message(&client, &use);
        WORLD->keeper_holds = true;
        world_send(WORLD, -1, MSG_token_use, &use, &answer);
        world_run(WORLD);
        WORLD->keeper_holds = false;
        world_keeper_lost(WORLD);
        world_run(WORLD);
        assert_true(answer.there);
        assert_int_equal(answer.result, 0);
}

/* The same request twice at once, as after a lost connection: both get the same answer. */
static void test_at_once(void **state)
{
        CLEANUP(token_done) struct token token = world_token(WORLD, "alice@example.org");
        CLEANUP(client_done) struct client client = {0};
        CLEANUP(world_answer_done) struct world_answer first = {0}, second = {0};
        MSG_OWN(token_use) use = {0};

        client_init(&client, &token, "enroll");
        use_message(&client, &use);
        world_send(WORLD, -1, MSG_token_use, &use, &first);
        world_send(WORLD, -1, MSG_token_use, &use, &second);
        world_run(WORLD);
        assert_true(first.there && second.there);
        assert_int_equal(first.result, 0);
        assert_true(bytes_equal(buf_view(&first.payload), buf_view(&second.payload)));
}

/* As often as fronts have connections: who has waited follows who was before him, and not on top of him. */
static void test_at_once_by_many(void **state)
{
        enum { MANY = 8000, STACK = 1 << 19 };
        struct rlimit before, small;
        CLEANUP(token_done) struct token token = world_token(WORLD, "alice@example.org");
        CLEANUP(client_done) struct client client = {0};
        CLEANUP(mem_freep) struct world_answer *answers = mem_array(MANY, sizeof(*answers));
        MSG_OWN(token_use) use = {0};

        assert_int_equal(getrlimit(RLIMIT_STACK, &before), 0);
        small = before;
        small.rlim_cur = STACK;
        client_init(&client, &token, "enroll");
        use_message(&client, &use);
        WORLD->keeper_holds = true;
        for (unsigned i = 0; i < MANY; i++)
                world_send(WORLD, -1, MSG_token_use, &use, &answers[i]);
        WORLD->keeper_holds = false;
        assert_int_equal(setrlimit(RLIMIT_STACK, &small), 0);
        world_run(WORLD);
        assert_int_equal(setrlimit(RLIMIT_STACK, &before), 0);
        for (unsigned i = 0; i < MANY; i++) {
                assert_true(answers[i].there);
                assert_int_equal(answers[i].result, 0);
                world_answer_done(&answers[i]);
        }
}

static void test_cancelled_meanwhile(void **state)
{
        CLEANUP(token_done) struct token token = world_token(WORLD, "alice@example.org"), newer = TOKEN_NONE;
        CLEANUP(client_done) struct client client = {0};
        CLEANUP(world_answer_done) struct world_answer answer = {0};
        MSG_OWN(token_use) use = {0};

        client_init(&client, &token, "enroll");
        use_message(&client, &use);
        WORLD->keeper_holds = true;
        world_send(WORLD, -1, MSG_token_use, &use, &answer);
        world_run(WORLD);
        newer = world_token(WORLD, "alice@example.org");
        WORLD->keeper_holds = false;
        world_run(WORLD);
        assert_int_equal(answer.result, PROBLEM_TOKEN_REFUSED);
}

static void test_disk_full(void **state)
{
        CLEANUP(token_done) struct token token = world_token(WORLD, "alice@example.org");
        CLEANUP(client_done) struct client client = {0};
        struct msg_status ask = {0};
        MSG_OWN(status_reply) status = {0};

        client_init(&client, &token, "enroll");
        WORLD->engine.fail_commits = true;
        assert_int_equal(client_use(WORLD, &client), PROBLEM_STORAGE);
        must(world_ask(WORLD, -1, MSG_status, &ask, &status));
        assert_string_equal(status.state, "unsealed");
        WORLD->engine.fail_commits = false;
        must(client_use(WORLD, &client));
        world_verify(WORLD);
}

/* One whom a keeper works for may have read what the failure undoes. */
static void test_disk_full_meanwhile(void **state)
{
        CLEANUP(token_done) struct token token = world_token(WORLD, "alice@example.org");
        CLEANUP(client_done) struct client client = {0};
        CLEANUP(world_answer_done) struct world_answer answer = {0};
        MSG_OWN(token_use) use = {0};
        struct msg_status ask = {0};
        MSG_OWN(status_reply) status = {0};

        client_init(&client, &token, "enroll");
        use_message(&client, &use);
        WORLD->keeper_holds = true;
        world_send(WORLD, -1, MSG_token_use, &use, &answer);
        world_run(WORLD);
        assert_false(answer.there);
        WORLD->engine.fail_commits = true;
        must(world_ask(WORLD, -1, MSG_status, &ask, &status));
        assert_true(answer.there);
        assert_int_equal(answer.result, PROBLEM_STORAGE);
        WORLD->engine.fail_commits = WORLD->keeper_holds = false;
        must(client_use(WORLD, &client));
        world_verify(WORLD);
}

static void test_recipient_no_point(void **state)
{
        CLEANUP(token_done) struct token token = world_token(WORLD, "alice@example.org");
        CLEANUP(client_done) struct client client = {0};
        MSG_OWN(token_request) ask = {0};

        client_init(&client, &token, "enroll");
        must(msg_decode(token_request, buf_view(&client.request), &ask));
        memset(ask.recipient.data + 1, 0xff, POINT_SIZE - 1);
        client_request(&client, &ask);
        assert_int_equal(client_use(WORLD, &client), PROBLEM_MALFORMED);
}

static void test_foreign_key(void **state)
{
        CLEANUP(token_done)
        struct token alice = world_token(WORLD, "alice@example.org"),
                     bob = world_token(WORLD, "bob@example.org");
        CLEANUP(client_done) struct client first = {0}, second = {0};

        client_init(&first, &alice, "enroll");
        must(client_use(WORLD, &first));
        client_init_key(&second, &bob, "enroll", first.key);
        assert_int_equal(client_use(WORLD, &second), PROBLEM_EXISTS);
}

/* ---- tokens and the directory */

static void test_selection(void **state)
{
        MSG_OWN(user_enroll) ask = {.dry_run = true, .limit = 2};
        MSG_OWN(user_enroll_reply) reply = {0}, rest = {0};
        CLEANUP(client_done) struct client client = {0};

        world_import(WORLD, "33333333333333333333333333333333", "Carol", "carol@example.org");
        enroll(WORLD, "alice@example.org", &client);
        msg_texts_add(&ask.selection, "unit:Sales");
        msg_texts_add(&ask.selection, "nobody@example.org");
        must(world_ask(WORLD, ROB, MSG_user_enroll, &ask, &reply));
        assert_int_equal(reply.rows.count, 2);
        assert_string_equal(reply.rows.at[0].outcome, "enrolled");
        assert_string_equal(reply.rows.at[1].outcome, "new");
        assert_non_null(reply.cursor);
        ask.cursor = text_copy(reply.cursor);
        must(world_ask(WORLD, ROB, MSG_user_enroll, &ask, &rest));
        assert_int_equal(rest.rows.count, 2);
        assert_string_equal(rest.rows.at[0].address, "carol@example.org");
        assert_string_equal(rest.rows.at[1].outcome, "refused");
        assert_null(rest.cursor);
}

static void test_import(void **state)
{
        MSG_OWN(directory_import) ask = {0};
        MSG_OWN(directory_imported) reply = {0}, again = {0};
        struct msg_person *thief = MSG_LIST_ADD(ask.people), *dan;

        thief->guid = text_copy("44444444444444444444444444444444");
        thief->name = text_copy("Thief");
        msg_texts_add(&thief->addresses, "alice@example.org");
        dan = MSG_LIST_ADD(ask.people);
        dan->name = text_copy("Dan");
        msg_texts_add(&dan->addresses, "Dan@Example.org");
        must(world_ask(WORLD, ROB, MSG_directory_import, &ask, &reply));
        assert_int_equal(reply.findings.count, 1);
        assert_int_equal(reply.added, 1);
        must(world_ask(WORLD, ROB, MSG_directory_import, &ask, &again));
        assert_int_equal(again.unchanged, 1);
        assert_int_equal(again.added, 0);
}

static void test_find(void **state)
{
        CLEANUP(client_done) struct client client = {0};
        MSG_OWN(certificate_find) ask = {0};
        MSG_OWN(certificate_found) found = {0};
        MSG_OWN(certificate_found) none = {0};
        MSG_OWN(user_revoke) revoke = {.user = text_copy("alice@example.org")};
        MSG_OWN(user_revoked) revoked = {0};

        enroll(WORLD, "alice@example.org", &client);
        msg_texts_add(&ask.addresses, "Alice@example.org");
        msg_texts_add(&ask.addresses, "bob@example.org");
        must(world_ask(WORLD, ADA, MSG_certificate_find, &ask, &found));
        assert_int_equal(found.found.count, 1);
        assert_true(bytes_equal(buf_view(&found.found.at[0].certificates.at[0].der),
                                buf_view(&client.answer.keys.at[0].certificate)));
        WORLD->ticket = buf_view(&client.answer.ticket);
        must(world_ask(WORLD, -1, MSG_certificate_find, &ask, &none));
        msg_done(certificate_found, &none);
        client.answer.ticket.data[20] ^= 1;
        assert_int_equal(world_ask(WORLD, -1, MSG_certificate_find, &ask, &none), PROBLEM_UNAUTHENTICATED);
        must(world_ask(WORLD, ROB, MSG_user_revoke, &revoke, &revoked));
        must(world_ask(WORLD, ADA, MSG_certificate_find, &ask, &none));
        assert_int_equal(none.found.count, 0);
}

/* A stolen machine has it beside the keys. */
static void test_ticket_of_the_revoked(void **state)
{
        CLEANUP(client_done) struct client former = {0}, now = {0};
        CLEANUP(token_done) struct token token = TOKEN_NONE;
        MSG_OWN(certificate_find) ask = {0};
        MSG_OWN(certificate_found) found = {0};
        MSG_OWN(user_revoke) revoke = {.user = text_copy("alice@example.org")};
        MSG_OWN(user_revoked) revoked = {0};

        msg_texts_add(&ask.addresses, "alice@example.org");
        enroll(WORLD, "alice@example.org", &former);
        WORLD->engine.clock_offset += 60;
        must(world_ask(WORLD, ROB, MSG_user_revoke, &revoke, &revoked));
        WORLD->ticket = buf_view(&former.answer.ticket);
        assert_int_equal(world_ask(WORLD, -1, MSG_certificate_find, &ask, &found), PROBLEM_UNAUTHENTICATED);
        WORLD->ticket = BYTES_NONE;
        WORLD->engine.clock_offset += 60;
        token = world_token(WORLD, "alice@example.org");
        WORLD->ticket = buf_view(&former.answer.ticket);
        assert_int_equal(world_ask(WORLD, -1, MSG_certificate_find, &ask, &found), PROBLEM_UNAUTHENTICATED);
        WORLD->ticket = BYTES_NONE;
        client_init(&now, &token, "enroll");
        must(client_use(WORLD, &now));
        WORLD->ticket = buf_view(&former.answer.ticket);
        assert_int_equal(world_ask(WORLD, -1, MSG_certificate_find, &ask, &found), PROBLEM_UNAUTHENTICATED);
        WORLD->ticket = buf_view(&now.answer.ticket);
        must(world_ask(WORLD, -1, MSG_certificate_find, &ask, &found));
        assert_int_equal(found.found.count, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            TEST(test_enroll),
            TEST(test_enroll_repeated),
            TEST(test_enroll_used_by_other),
            TEST(test_certified_keys_are_refused),
            TEST(test_refusals_alike),
            TEST(test_attempts),
            TEST(test_limit_of_address),
            TEST(test_mistakes_lock_nobody_out),
            TEST(test_one_address_locks_nobody_out),
            TEST(test_newer_token),
            TEST(test_crash_before_commit),
            TEST(test_keeper_lost),
            TEST(test_at_once),
            TEST(test_at_once_by_many),
            TEST(test_cancelled_meanwhile),
            TEST(test_ticket_of_the_revoked),
            TEST(test_disk_full),
            TEST(test_disk_full_meanwhile),
            TEST(test_recipient_no_point),
            TEST(test_foreign_key),
            TEST(test_selection),
            TEST(test_import),
            TEST(test_find),
        };

        log_setup("test-engine", LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
