/* SPDX-License-Identifier: Apache-2.0 */
/* The engine with a real keeper: every path of enrollment, recovery, revocation, operators, and what happens when
 * something is cut off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/envelope.h"
#include "crypto/crl.h"
#include "crypto/statement.h"
#include "world.h"

#define WORLD ((struct world *)*state)

static int set_up(void **state)
{
        *state = NEW(struct world);
        world_init(WORLD);
        world_open(WORLD);
        world_import(WORLD, "11111111111111111111111111111111", "Alice Ärger", "alice@example.org");
        world_import(WORLD, "22222222222222222222222222222222", "Bob", "bob@example.org");
        return 0;
}

static int set_up_sealed(void **state)
{
        *state = NEW(struct world);
        world_init(WORLD);
        world_run(WORLD);
        return 0;
}

static int tear_down(void **state)
{
        world_done(WORLD);
        free(*state);
        return 0;
}

/* ---- enrollment */

static void enroll(struct world *world, const char *address, struct client *client)
{
        CLEANUP(token_done) struct token token = world_token(world, address);

        client_init(client, &token, "enroll");
        must(client_use(world, client));
}

static void client_opens(struct client *client, size_t index)
{
        CLEANUP(secret_done) struct secret pkcs8 = SECRET_NONE;
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        CLEANUP(certificate_done) struct certificate certificate = {0};
        CLEANUP(buf_done) struct buf spki = BUF_NONE;

        must(envelope_open(&client->recipient_scalar, buf_view(&client->answer.keys.at[index].envelope), &pkcs8));
        must(pkey_from_pkcs8(secret_view(&pkcs8), &key));
        must(pkey_to_spki(key, &spki));
        must(certificate_parse(buf_view(&client->answer.keys.at[index].certificate), &certificate));
        assert_true(bytes_equal(buf_view(&spki), certificate.spki));
}

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

/* ---- operators and their signatures */

static void test_signatures(void **state)
{
        struct msg_user_list ask = {0};
        MSG_OWN(user_listed) reply = {0};
        struct person rob = WORLD->people[ROB];

        assert_int_equal(world_ask(WORLD, -1, MSG_user_list, &ask, &reply), PROBLEM_UNAUTHENTICATED);
        WORLD->people[ROB].signing = WORLD->people[ADA].signing;
        assert_int_equal(world_ask(WORLD, ROB, MSG_user_list, &ask, &reply), PROBLEM_UNAUTHENTICATED);
        WORLD->people[ROB].signing = rob.signing;
        WORLD->sign_ahead = 400;
        assert_int_equal(world_ask(WORLD, ROB, MSG_user_list, &ask, &reply), PROBLEM_CLOCK);
        assert_non_null(strstr(report_text(), "400 seconds ahead"));
        WORLD->sign_ahead = 0;
        must(world_ask(WORLD, ROB, MSG_user_list, &ask, &reply));
        assert_int_equal(reply.users.count, 2);
        assert_string_equal(reply.users.at[0].state, "undefined");
}

static void test_nonce(void **state)
{
        MSG_OWN(user_enroll) ask = {0};
        MSG_OWN(user_enroll_reply) first = {0}, second = {0}, third = {0};

        msg_texts_add(&ask.selection, "alice@example.org");
        must(world_ask(WORLD, ROB, MSG_user_enroll, &ask, &first));
        WORLD->people[ROB].nonce--;
        must(world_ask(WORLD, ROB, MSG_user_enroll, &ask, &second));
        assert_true(bytes_equal(secret_view(&first.rows.at[0].token), secret_view(&second.rows.at[0].token)));
        WORLD->people[ROB].nonce--;
        ask.dry_run = true;
        assert_int_equal(world_ask(WORLD, ROB, MSG_user_enroll, &ask, &third), PROBLEM_EXISTS);
}

static void test_roles(void **state)
{
        MSG_OWN(operator_disable) ask = {.operator = text_copy("ada")};
        MSG_OWN(operator_disabled) reply = {0};
        MSG_OWN(operator_listed) list = {0};
        struct msg_operator_list list_ask = {0};

        assert_int_equal(world_ask(WORLD, ROB, MSG_operator_disable, &ask, &reply), PROBLEM_FORBIDDEN);
        assert_int_equal(audit_count(WORLD, "operator.disable", "forbidden"), 1);
        must(world_ask(WORLD, BEN, MSG_operator_disable, &ask, &reply));
        assert_int_equal(world_ask(WORLD, ADA, MSG_operator_list, &list_ask, &list), PROBLEM_UNAUTHENTICATED);
        free(ask.operator);
        ask.operator = text_copy("cyd");
        msg_done(operator_disabled, &reply);
        assert_int_equal(world_ask(WORLD, BEN, MSG_operator_disable, &ask, &reply), PROBLEM_QUORUM);
        must(world_ask(WORLD, BEN, MSG_operator_list, &list_ask, &list));
        assert_int_equal(list.operators.count, 4);
}

static void test_invite(void **state)
{
        CLEANUP(token_done) struct token code = token_new();
        MSG_OWN(operator_invite) ask = {.operator = text_copy("aud")};
        MSG_OWN(operator_invited) reply = {0};
        CLEANUP(client_done) struct client client = {0};

        ask.selector = text_copy(code.selector);
        ask.auth = token_auth(&code);
        msg_texts_add(&ask.roles, "officer");
        assert_int_equal(world_ask(WORLD, ADA, MSG_operator_invite, &ask, &reply), PROBLEM_UNSUPPORTED);
        free(ask.roles.at[0]);
        ask.roles.at[0] = text_copy("auditor");
        must(world_ask(WORLD, ADA, MSG_operator_invite, &ask, &reply));
        client_init(&client, &code, "invitation");
        must(client_use(WORLD, &client));
        assert_string_equal(client.answer.roles.at[0], "auditor");
        assert_string_equal(client.answer.user, "aud");
}

static void test_accept_repeated(void **state)
{
        /* Everybody accepted in set_up(); the same request again has the same answer, another key is refused. */
        must(operator_accept_again(WORLD, ADA));
        CLEANUP(secret_done) struct secret kept = secret_take(&WORLD->people[ADA].signing);
        must(scalar_random(&WORLD->people[ADA].signing));
        assert_int_equal(operator_accept(WORLD, ADA), PROBLEM_TOKEN_REFUSED);
        secret_done(&WORLD->people[ADA].signing);
        WORLD->people[ADA].signing = secret_take(&kept);
}

/* ---- revocation */

static void crl_has(struct world *world, const struct buf *certificate_der, bool expected)
{
        CLEANUP(certificate_done) struct certificate certificate = {0}, issuer = {0};
        struct crl_entry entry;
        struct crl crl;

        must(certificate_parse(buf_view(certificate_der), &certificate));
        must(certificate_parse(buf_view(&world->engine.trust.issuer), &issuer));
        must(crl_parse(buf_view(&world->engine.crl.der), &crl));
        must(crl_verify(&crl, &issuer));
        assert_int_equal(crl_find(&crl, certificate.serial, &entry), expected ? 0 : PROBLEM_NOT_FOUND);
}

static void crl_settle(struct world *world)
{
        for (unsigned i = 0;
             i < 200 && (world->engine.crl.signing || world->engine.crl.loaded > world->engine.crl.published ||
                         world->engine.crl.entries.len == 0);
             i++) {
                usleep(10000);
                world_run(world);
        }
}

static void test_revoke(void **state)
{
        CLEANUP(client_done) struct client client = {0};
        MSG_OWN(user_revoke) ask = {.user = text_copy("alice@example.org"), .reason = text_copy("keyCompromise")};
        MSG_OWN(user_revoked) reply = {0}, again = {0};
        uint64_t number;

        enroll(WORLD, "alice@example.org", &client);
        world_run(WORLD);
        crl_has(WORLD, &client.answer.signature_certificate, false);
        number = WORLD->engine.crl.number;
        must(world_ask(WORLD, ROB, MSG_user_revoke, &ask, &reply));
        assert_int_equal(reply.serials.count, 2);
        crl_settle(WORLD);
        crl_has(WORLD, &client.answer.signature_certificate, true);
        crl_has(WORLD, &client.answer.keys.at[0].certificate, true);
        assert_int_equal(WORLD->engine.crl.number, number + 1);
        assert_int_equal(world_ask(WORLD, ROB, MSG_user_revoke, &ask, &again), PROBLEM_STATE);
        /* After a restart the list is there before the keeper is, and the numbers go on. */
        world_crash(WORLD);
        assert_int_equal(WORLD->engine.crl.number, number + 1);
        crl_has(WORLD, &client.answer.signature_certificate, true);
        world_verify(WORLD);
}

static void test_crl_clock_back(void **state)
{
        int64_t before;
        uint64_t number;

        world_run(WORLD);
        before = WORLD->engine.crl.this_update;
        number = WORLD->engine.crl.number;
        WORLD->engine.clock_offset = -7200;
        WORLD->engine.crl.next_update = 0;
        WORLD->engine.crl.retry_ms = 0;
        world_run(WORLD);
        assert_true(WORLD->engine.crl.number > number);
        assert_true(WORLD->engine.crl.this_update >= before);
}

static void test_enroll_after_revocation(void **state)
{
        CLEANUP(client_done) struct client client = {0}, again = {0};
        MSG_OWN(user_revoke) ask = {.user = text_copy("alice@example.org")};
        MSG_OWN(user_revoked) reply = {0};
        struct store_counts counts;

        enroll(WORLD, "alice@example.org", &client);
        must(world_ask(WORLD, ROB, MSG_user_revoke, &ask, &reply));
        enroll(WORLD, "alice@example.org", &again);
        store_counts(WORLD->engine.store, &counts);
        assert_int_equal(counts.certificates[CERTIFICATE_VALID], 2);
        assert_int_equal(counts.certificates[CERTIFICATE_REVOKED], 2);
        assert_int_equal(counts.archives[ARCHIVE_CURRENT], 1);
        assert_int_equal(counts.archives[ARCHIVE_FORMER], 1);
}

/* ---- recovery */

struct recovery {
        struct token token;
        char *request;
        struct buf terms;
};

static void recovery_done(struct recovery *recovery)
{
        token_done(&recovery->token);
        free(recovery->request);
        buf_done(&recovery->terms);
}

static int recovery_ask(struct world *world, const char *user, struct recovery *recovery)
{
        MSG_OWN(request_create) ask = {.user = text_copy(user), .reason = text_copy("lost laptop")};
        MSG_OWN(request_created) created = {0};
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE;
        MSG_OWN(request_shown) shown = {0};
        struct msg_request_show show = {0};
        struct point recipient;

        recovery->token = token_new();
        must(token_recipient(&recovery->token, &scalar, &recipient));
        ask.selector = text_copy(recovery->token.selector);
        ask.auth = token_auth(&recovery->token);
        buf_add_bytes(&ask.recipient, point_view(&recipient));
        TRY(world_ask(world, ROB, MSG_request_create, &ask, &created));
        recovery->request = text_copy(created.request.at[0].request);
        show.request = recovery->request;
        must(world_ask(world, ADA, MSG_request_show, &show, &shown));
        recovery->terms = buf_take(&shown.terms);
        return 0;
}

static int approve(struct world *world, int officer, const struct recovery *recovery, bool false_partial,
                   struct msg_request_approved *ret_reply)
{
        MSG_OWN(request_approve) ask = {.request = text_copy(recovery->request)};

        officer_approval(world, officer, buf_view(&recovery->terms), false_partial, MSG_LIST_ADD(ask.approval));
        return world_ask(world, officer, MSG_request_approve, &ask, ret_reply);
}

static void redeemed_opens(struct client *client, const struct recovery *recovery, size_t keys)
{
        struct point recipient;

        assert_int_equal(client->answer.keys.count, keys);
        secret_done(&client->recipient_scalar);
        must(token_recipient(&recovery->token, &client->recipient_scalar, &recipient));
        for (size_t i = 0; i < keys; i++)
                client_opens(client, i);
}

static void test_recover(void **state)
{
        CLEANUP(client_done) struct client bob = {0}, new = {0};
        CLEANUP(recovery_done) struct recovery recovery = {0};
        MSG_OWN(request_approved) first = {0}, second = {0};

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
        MSG_OWN(request_shown) shown = {0};
        struct msg_request_show show = {0};

        buf_add_bytes(&ask.recipient, point_view(&world->fixture.recipient_public));
        TRY(world_ask(world, ADA, MSG_request_startup, &ask, &created));
        recovery->request = text_copy(created.request.at[0].request);
        show.request = recovery->request;
        must(world_ask(world, BEN, MSG_request_show, &show, &shown));
        recovery->terms = buf_take(&shown.terms);
        return 0;
}

static void test_startup(void **state)
{
        CLEANUP(recovery_done) struct recovery recovery = {0}, refused = {0};
        CLEANUP(secret_done) struct secret secret = SECRET_NONE;
        MSG_OWN(request_approved) first = {0}, second = {0};
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

/* ---- audit */

static void test_audit_list(void **state)
{
        struct msg_audit_list ask = {.from = 1, .limit = 5};
        MSG_OWN(audit_listed) list = {0};

        heads_pump(&WORLD->engine, true);
        world_run(WORLD);
        must(world_ask(WORLD, ADA, MSG_audit_list, &ask, &list));
        assert_int_equal(list.records.count, 5);
        assert_int_equal(list.records.at[0].sequence, 1);
        assert_string_equal(list.records.at[0].action, "server.init");
        assert_int_equal(list.next, 6);
        world_verify(WORLD);
}

static void test_head(void **state)
{
        struct audit_head head = {0}, last = {0};
        CLEANUP(buf_done) struct buf signature = BUF_NONE;

        heads_pump(&WORLD->engine, true);
        world_run(WORLD);
        assert_true(heads_settled(&WORLD->engine));
        must(store_head_last(WORLD->engine.store, &head, &signature));
        must(store_audit_head(WORLD->engine.store, &last));
        assert_int_equal(head.seq, last.seq);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
            TEST(test_enroll),
            TEST(test_enroll_repeated),
            TEST(test_enroll_used_by_other),
            TEST(test_refusals_alike),
            TEST(test_attempts),
            TEST(test_limit_of_address),
            TEST(test_one_address_locks_nobody_out),
            TEST(test_newer_token),
            TEST(test_crash_before_commit),
            TEST(test_keeper_lost),
            TEST(test_at_once),
            TEST(test_cancelled_meanwhile),
            TEST(test_disk_full),
            TEST(test_foreign_key),
            TEST(test_selection),
            TEST(test_import),
            TEST(test_find),
            TEST(test_signatures),
            TEST(test_nonce),
            TEST(test_roles),
            TEST(test_invite),
            TEST(test_accept_repeated),
            TEST(test_revoke),
            TEST(test_crl_clock_back),
            TEST(test_enroll_after_revocation),
            TEST(test_recover),
            TEST(test_recover_false_partial),
            TEST(test_recover_refusals),
            TEST(test_pieces_do_not_stay),
            TEST(test_renamed_user_is_shown_as_certified),
            TEST(test_recover_crash),
            TEST(test_recover_expired),
            cmocka_unit_test_setup_teardown(test_sealed, set_up_sealed, tear_down),
            TEST(test_startup),
            TEST(test_audit_list),
            TEST(test_head),
        };

        log_setup("test-engine", LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
