/* SPDX-License-Identifier: Apache-2.0 */
/* Operators: who they are, what they may; what they revoke, and what the audit chain has of it. */
#include "engine/authorize.h"
#include "room.h"

static void test_signatures(void **state)
{
        struct msg_user_list ask = {0};
        MSG_OWN(user_listed) reply = {0};
        struct person rob = WORLD->people[ROB];

        assert_int_equal(world_ask(WORLD, -1, MSG_user_list, &ask, &reply), PROBLEM_UNAUTHENTICATED);
        WORLD->people[ROB].signing = WORLD->people[ADA].signing;
        assert_int_equal(world_ask(WORLD, ROB, MSG_user_list, &ask, &reply), PROBLEM_UNAUTHENTICATED);
        WORLD->people[ROB].signing = rob.signing;
        strcpy(WORLD->people[ROB].name, "nobody");
        assert_int_equal(world_ask(WORLD, ROB, MSG_user_list, &ask, &reply), PROBLEM_UNAUTHENTICATED);
        assert_non_null(strstr(report_text(), "not signed by an active operator"));
        WORLD->people[ROB] = rob;
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
        assert_non_null(strstr(report_text(), "ask an operator who is officer"));
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

static void test_auditors_change_nothing(void **state)
{
        unsigned seen = 0;

        for (unsigned kind = MSG_status; kind < MSG_status + 1000; kind++) {
                const struct request_entry *entry = request_entry_find(kind);

                if (!entry || !(entry->flags & (REQUEST_CHANGES | REQUEST_OWN_WAY)))
                        continue;
                seen++;
                if (entry->roles & ROLE_AUDITOR)
                        fail_msg("%s is permitted to auditors", entry->action);
        }
        assert_true(seen > 10);
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

static int revoke_user(struct world *world, const char *user, const char *reason, size_t *ret_count)
{
        MSG_OWN(user_revoke) ask = {.user = text_copy(user), .reason = text_copy(reason)};
        MSG_OWN(user_revoked) reply = {0};

        TRY(world_ask(world, ROB, MSG_user_revoke, &ask, &reply));
        *ret_count = reply.serials.count;
        crl_settle(world);
        return 0;
}

/* The list that a keeper is making has not what is revoked meanwhile. */
static void test_revoked_while_a_list_is_made(void **state)
{
        CLEANUP(client_done) struct client alice = {0}, bob = {0};
        MSG_OWN(user_revoke) ask = {.user = text_copy("bob@example.org")};
        MSG_OWN(user_revoked) first = {0}, reply = {0};

        enroll(WORLD, "alice@example.org", &alice);
        enroll(WORLD, "bob@example.org", &bob);
        crl_settle(WORLD);
        WORLD->engine.crl.retry_ms = 0;
        WORLD->keeper_holds = true;
        must(world_ask(WORLD, ROB, MSG_user_revoke, &(struct msg_user_revoke){.user = (char[]){"alice@example.org"}},
                       &first));
        assert_true(WORLD->engine.crl.signing);
        WORLD->engine.crl.retry_ms = UINT64_MAX; /* the next only after this one was looked at, however long that takes */
        must(world_ask(WORLD, ROB, MSG_user_revoke, &ask, &reply));
        WORLD->keeper_holds = false;
        world_run(WORLD);
        crl_has(WORLD, &bob.answer.signature_certificate, false);
        WORLD->engine.crl.retry_ms = 0;
        crl_settle(WORLD);
        crl_has(WORLD, &bob.answer.signature_certificate, true);
        assert_int_equal(WORLD->engine.crl.number, reply.crl_number);
}

/* Where and when it was revoked stays; only for what changes, and that to keyCompromise alone. */
static void test_compromised_after_all(void **state)
{
        CLEANUP(client_done) struct client client = {0};
        const struct buf *entries = &WORLD->engine.crl.entries;
        CLEANUP(buf_done) struct buf before = BUF_NONE;
        size_t count = 0;
        uint64_t number;

        enroll(WORLD, "alice@example.org", &client);
        must(revoke_user(WORLD, "alice@example.org", "superseded", &count));
        before = buf_copy_of(buf_view(entries));
        assert_int_equal(revoke_user(WORLD, "alice@example.org", "affiliationChanged", &count), PROBLEM_STATE);
        assert_non_null(strstr(report_text(), "only keyCompromise"));
        WORLD->engine.clock_offset += 60;
        number = WORLD->engine.crl.number;
        must(revoke_user(WORLD, "alice@example.org", "keyCompromise", &count));
        assert_int_equal(count, 2);
        assert_int_equal(WORLD->engine.crl.number, number + 1);
        assert_int_equal(entries->len, before.len);
        for (size_t i = CRL_ENTRY_SIZE; i <= before.len; i += CRL_ENTRY_SIZE) {
                assert_int_equal(before.data[i - 1], 4);
                before.data[i - 1] = 1;
        }
        assert_memory_equal(entries->data, before.data, before.len);
        crl_has(WORLD, &client.answer.signature_certificate, true);
        assert_int_equal(revoke_user(WORLD, "alice@example.org", "keyCompromise", &count), PROBLEM_STATE);
        assert_int_equal(audit_count(WORLD, "user.revoke", "done"), 2);
        world_crash(WORLD);
        assert_int_equal(WORLD->engine.crl.number, number + 1);
        assert_memory_equal(entries->data, before.data, before.len);
        world_verify(WORLD);
}

/* It was for another reason, but there is nothing that could have been compromised. */
static void test_compromised_without_certificates(void **state)
{
        CLEANUP(token_done) struct token token = world_token(WORLD, "alice@example.org");
        size_t count = 1;

        must(revoke_user(WORLD, "alice@example.org", "affiliationChanged", &count));
        assert_int_equal(count, 0);
        assert_int_equal(revoke_user(WORLD, "alice@example.org", "keyCompromise", &count), PROBLEM_STATE);
        assert_non_null(strstr(report_text(), "has no certificate"));
}

/* Lost first, then known to be stolen: with what he has now goes what was revoked when he lost it. */
static void test_compromised_before_a_new_start(void **state)
{
        CLEANUP(client_done) struct client first = {0}, second = {0};
        size_t count = 0;

        enroll(WORLD, "alice@example.org", &first);
        must(revoke_user(WORLD, "alice@example.org", "superseded", &count));
        enroll(WORLD, "alice@example.org", &second);
        must(revoke_user(WORLD, "alice@example.org", "keyCompromise", &count));
        assert_int_equal(count, 4);
        assert_int_equal(WORLD->engine.crl.entries.len, 4 * CRL_ENTRY_SIZE);
        world_verify(WORLD);
}

/* Within what clocks may differ, the list's time waits for the clock. */
static void test_clock_a_little_back(void **state)
{
        struct crl_state *crl = &WORLD->engine.crl;
        int64_t before;
        uint64_t number;

        world_run(WORLD);
        before = crl->this_update;
        number = crl->number;
        WORLD->engine.clock_offset = -200;
        crl->next_update = 0;
        crl->retry_ms = 0;
        must(clock_watch(&WORLD->engine));
        world_run(WORLD);
        assert_int_equal(crl->number, number + 1);
        assert_true(crl->this_update >= before);
        assert_int_equal(audit_count(WORLD, "server.clock", "done"), 0);
        world_verify(WORLD);
}

/* Further back, the clock is believed: once in the audit chain, by a new list, and by jobs that wait for another day. */
static void test_clock_far_back(void **state)
{
        struct crl_state *crl = &WORLD->engine.crl;
        struct job_row job = {.kind = text_copy("none"), .subject = text_copy("x")};
        int64_t before, due = 0;
        uint64_t number;

        world_run(WORLD);
        before = crl->this_update;
        number = crl->number;
        job.created = job.due = clock_now() + 3600;
        must(round_savepoint(&WORLD->engine));
        must(round_settle(&WORLD->engine, store_job_push(WORLD->engine.store, &job)));
        job_row_done(&job);
        WORLD->engine.clock_offset = -86400;
        crl->retry_ms = 0;
        must(clock_watch(&WORLD->engine));
        must(clock_watch(&WORLD->engine));
        world_run(WORLD);
        assert_int_equal(audit_count(WORLD, "server.clock", "done"), 1);
        assert_int_equal(crl->number, number + 1);
        assert_true(crl->this_update < before - 80000);
        must(store_job_due(WORLD->engine.store, &due));
        assert_true(due <= engine_now(&WORLD->engine));
        heads_pump(&WORLD->engine, true);
        world_run(WORLD);
        world_verify(WORLD);
        WORLD->engine.clock_offset = 0;
        crl->retry_ms = 0;
        world_run(WORLD);
        assert_int_equal(crl->number, number + 2);
        assert_true(crl->this_update >= before);
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

/* ---- audit */

static size_t records_of(void **state, const char *action, const char *actor, bool refused)
{
        struct msg_audit_list ask = {.from = 1, .action = (char *)action, .actor = (char *)actor, .refused = refused};
        MSG_OWN(audit_listed) list = {0};

        must(world_ask(WORLD, ADA, MSG_audit_list, &ask, &list));
        assert_int_equal(list.heads.count, 0); /* of a chain with gaps */
        return list.records.count;
}

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
        assert_int_equal(records_of(state, "server.", NULL, false), records_of(state, "server.", "server", false));
        assert_int_equal(records_of(state, "server.init", NULL, false), 1);
        assert_int_equal(records_of(state, "server.init", "operator:ada", false), 0);
        assert_int_equal(records_of(state, "server.init", NULL, true), 0);
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

int main(void)
{
        const struct CMUnitTest tests[] = {
            TEST(test_signatures),
            TEST(test_nonce),
            TEST(test_roles),
            TEST(test_invite),
            TEST(test_accept_repeated),
            TEST(test_auditors_change_nothing),
            TEST(test_revoke),
            TEST(test_revoked_while_a_list_is_made),
            TEST(test_compromised_after_all),
            TEST(test_compromised_without_certificates),
            TEST(test_compromised_before_a_new_start),
            TEST(test_clock_a_little_back),
            TEST(test_clock_far_back),
            TEST(test_enroll_after_revocation),
            TEST(test_audit_list),
            TEST(test_head),
        };

        log_setup("test-operators", LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
