/* SPDX-License-Identifier: Apache-2.0 */
/* The conformance suite of the store: the same for SQLite and for PostgreSQL ($VOUCHSAFE_TEST_DATABASE). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/fault.h"
#include "base/mem.h"
#include "store/test-help.h"

static int set_up(void **state)
{
        *state = help_new();
        return 0;
}

static int tear_down(void **state)
{
        help_free(*state);
        return 0;
}

/* ---- collecting what a list gives ---- */

static int see_user(void *context, struct user_row *row)
{
        see(context, row->cn);
        return 0;
}
static int see_certificate(void *context, struct certificate_row *row)
{
        CLEANUP(buf_done) struct buf taken = buf_take(&row->der); /* rows may be moved out of */

        see(context, row->profile);
        return taken.len == 900 ? 0 : -1;
}
static int see_token(void *context, struct token_row *row)
{
        see(context, row->selector);
        return 0;
}
static int see_archive(void *context, struct archive_row *row)
{
        see(context, row->state == ARCHIVE_CURRENT ? "current" : "former");
        return 0;
}
static int see_revocation(void *context, const struct revocation_row *row)
{
        char text[24];

        snprintf(text, sizeof(text), "%lld", (long long)row->number);
        see(context, text);
        return 0;
}
static int see_operator(void *context, struct operator_row *row)
{
        see(context, row->name);
        return 0;
}
static int see_request(void *context, struct request_row *row)
{
        see(context, row->reason);
        return 0;
}
static int see_approval(void *context, struct approval_row *row)
{
        see(context, row->officer);
        return 0;
}
static int see_job(void *context, struct job_row *row)
{
        see(context, row->kind);
        return 0;
}
static int see_record(void *context, const struct audit_record *record, struct bytes hash, bool altered)
{
        char text[24];

        snprintf(text, sizeof(text), "%lld", (long long)record->seq);
        see(context, text);
        return 0;
}


/* ---- the domain ---- */

static void users_are_found_and_listed(void **state)
{
        struct seen seen;
        CLEANUP(user_row_done) struct user_row found = {0};
        struct id id = help_id(3, 2), after = help_id(4, 2);

        must(store_begin(STORE));
        for (unsigned i = 1; i <= 5; i++) {
                CLEANUP(user_row_done) struct user_row user = help_user(i);
                CLEANUP(entry_row_done) struct entry_row entry = help_entry(i);
                user.state = i % 2 ? USER_NEW : USER_ENROLLED;
                must(store_entry_put(STORE, &entry));
                must(store_user_add(STORE, &user));
        }
        help_audit(STORE, "user.add", "five");
        must(store_commit(STORE));
        must(store_user_find_guid(STORE, &id, &found));
        assert_string_equal(found.cn, "User 2");
        user_row_done(&found);
        must(store_user_find_address(STORE, "user4@example.org", &found));
        assert_string_equal(found.cn, "User 4");
        assert_int_equal(store_user_find_address(STORE, "user6@example.org", &found), PROBLEM_NOT_FOUND);
        assert_string_equal(SEEN(store_user_list, 0, NULL, 3, &seen, see_user), "User 1 User 2 User 3 ");
        assert_string_equal(SEEN(store_user_list, 0, &after, 9, &seen, see_user), "User 3 User 4 User 5 ");
        assert_string_equal(SEEN(store_user_list, USER_ENROLLED, &after, 9, &seen, see_user), "User 4 ");
}

static void tokens_keep_their_secret_and_counters(void **state)
{
        struct id user = help_id(4, 1);
        CLEANUP(token_row_done)
        struct token_row a = help_token(1, &user), b = help_token(2, &user), found = {0};
        struct seen seen;
        struct store_counts counts;

        a.state = TOKEN_CANCELLED;
        CHANGE(must(store_token_add(STORE, &a)); must(store_token_add(STORE, &b)));
        must(store_token_find_issued(STORE, &user, TOKEN_ENROLL, &found));
        assert_string_equal(found.selector, b.selector);
        assert_true(bytes_equal(secret_view(&found.auth), secret_view(&b.auth)));
        found.attempts = 3;
        CHANGE(must(store_token_put(STORE, &found)));
        token_row_done(&found);
        must(store_token_find(STORE, help_selector(2), &found));
        assert_int_equal(found.attempts, 3);
        assert_int_equal(found.attempts_most, 5);
        assert_int_equal(SEEN(store_token_list_due, b.expires - 1, 9, &seen, see_token) == seen.text &&
                             seen.count == 0,
                         1);
        SEEN(store_token_list_due, b.expires, 9, &seen, see_token);
        assert_int_equal(seen.count, 1);
        assert_int_equal(store_token_find_issued(STORE, &user, TOKEN_RECOVER, &found), PROBLEM_NOT_FOUND);
        store_counts(STORE, &counts);
        assert_int_equal(counts.tokens[TOKEN_ISSUED], 1);
        assert_int_equal(counts.tokens[TOKEN_CANCELLED], 1);
}

static void replies_are_given_again_until_purged(void **state)
{
        CLEANUP(reply_row_done)
        struct reply_row reply = {.created = 100, .answer = help_secret(1, 5000)}, found = {0};
        uint8_t other[HASH_SIZE] = {1};
        size_t count = 9;

        memcpy(reply.selector, help_selector(1), SELECTOR_SIZE);
        CHANGE(must(store_reply_add(STORE, &reply)));
        must(store_reply_find(STORE, help_selector(1), reply.digest, &found));
        assert_int_equal(found.answer.len, 5000);
        reply_row_done(&found);
        assert_int_equal(store_reply_find(STORE, help_selector(1), other, &found), PROBLEM_NOT_FOUND);
        CHANGE(must(store_reply_purge(STORE, 100, 10, &count)));
        assert_int_equal(count, 0);
        CHANGE(must(store_reply_purge(STORE, 101, 10, &count)));
        assert_int_equal(count, 1);
        assert_int_equal(store_reply_find(STORE, help_selector(1), reply.digest, &found), PROBLEM_NOT_FOUND);
}

static void expired_certificates_and_smime_values_are_found(void **state)
{
        struct id id = help_id(4, 1);
        CLEANUP(certificate_row_done)
        struct certificate_row a = help_certificate(1, &id, CERTIFICATE_SIGNATURE),
                               b = help_certificate(1, &id, CERTIFICATE_ENCRYPTION);
        CLEANUP(smime_row_done) struct smime_row smime = {.user = id, .created = 7, .value = help_bytes(3, 900)},
                                                 found = {0};
        struct store_certificate_place place = {0};
        struct seen seen;

        a.not_after = b.not_after = 1000;
        CHANGE(must(store_certificate_add(STORE, &a)); must(store_certificate_add(STORE, &b));
               must(store_smime_put(STORE, &smime)));
        SEEN(store_certificate_list_expired, &place, 1000, 9, &seen, see_certificate);
        assert_int_equal(seen.count, 0);
        SEEN(store_certificate_list_expired, &place, 1001, 9, &seen, see_certificate);
        assert_int_equal(seen.count, 2);
        SEEN(store_certificate_list_expired, &place, 1001, 1, &seen, see_certificate);
        assert_int_equal(seen.count, 1);
        place.not_after = 1000; /* of two that ended in the same second, the first was seen */
        memcpy(place.serial, memcmp(a.serial, b.serial, SERIAL_SIZE) < 0 ? a.serial : b.serial, SERIAL_SIZE);
        SEEN(store_certificate_list_expired, &place, 1001, 9, &seen, see_certificate);
        assert_int_equal(seen.count, 1);

        must(store_smime_find(STORE, &id, &found));
        assert_true(bytes_equal(buf_view(&found.value), buf_view(&smime.value)));
        buf_clear(&found.value);
        buf_add_text(&found.value, "another");
        CHANGE(must(store_smime_put(STORE, &found)));
        id = help_id(4, 2);
        smime_row_done(&found);
        assert_int_equal(store_smime_find(STORE, &id, &found), PROBLEM_NOT_FOUND);
}

static void certificates_are_found_by_who_they_are_for(void **state)
{
        struct id id = help_id(4, 1);
        CLEANUP(user_row_done) struct user_row user = help_user(1);
        CLEANUP(entry_row_done) struct entry_row entry = help_entry(1);
        CLEANUP(certificate_row_done)
        struct certificate_row a = help_certificate(1, &id, CERTIFICATE_SIGNATURE),
                               b = help_certificate(1, &id, CERTIFICATE_ENCRYPTION), found = {0};
        struct revocation_row revocation = {.time = 5, .reason = 1};
        struct seen seen;
        int64_t last = -1;

        CHANGE(must(store_user_add(STORE, &user)); must(store_entry_put(STORE, &entry));
               must(store_certificate_add(STORE, &a)); must(store_certificate_add(STORE, &b)));
        SEEN(store_certificate_list, &id, 0, 0, &seen, see_certificate);
        assert_int_equal(seen.count, 2);
        SEEN(store_certificate_list, &id, CERTIFICATE_SIGNATURE, CERTIFICATE_VALID, &seen, see_certificate);
        assert_int_equal(seen.count, 1);
        SEEN(store_certificate_list_address, "user1@example.org", b.not_before, &seen, see_certificate);
        assert_int_equal(seen.count, 1);
        SEEN(store_certificate_list_address, "user1@example.org", b.not_after + 1, &seen, see_certificate);
        assert_int_equal(seen.count, 0);
        must(store_certificate_find(STORE, b.serial, &found));
        found.state = CERTIFICATE_REVOKED;
        memcpy(revocation.serial, b.serial, SERIAL_SIZE);
        must(store_revocation_last(STORE, &last));
        assert_int_equal(last, 0);
        CHANGE(must(store_certificate_put(STORE, &found)); must(store_revocation_add(STORE, &revocation)));
        memcpy(revocation.serial, a.serial, SERIAL_SIZE);
        CHANGE(must(store_revocation_add(STORE, &revocation)));
        must(store_begin(STORE));
        assert_int_equal(store_revocation_add(STORE, &revocation), PROBLEM_EXISTS);
        store_rollback(STORE);
        must(store_revocation_last(STORE, &last));
        assert_int_equal(last, 2);
        assert_string_equal(SEEN(store_revocation_list, 0, 9, &seen, see_revocation), "1 2 ");
        assert_string_equal(SEEN(store_revocation_list, 1, 9, &seen, see_revocation), "2 ");
        CHANGE(must(store_revocation_again(STORE, b.serial, 4)));
        must(store_revocation_last(STORE, &last));
        assert_int_equal(last, 3);
        assert_string_equal(SEEN(store_revocation_list, 0, 9, &seen, see_revocation), "2 3 ");
        SEEN(store_certificate_list_address, "user1@example.org", b.not_before, &seen, see_certificate);
        assert_int_equal(seen.count, 0);
}

static void keys_are_archived_once_and_taken_once(void **state)
{
        struct id user = help_id(4, 1);
        CLEANUP(archive_row_done)
        struct archive_row a = help_archive(1, &user), b = help_archive(2, &user), c = help_archive(3, &user),
                           found = {0};
        CLEANUP(pool_row_done) struct pool_row p = help_pool(1), q = help_pool(2), taken = {0};
        struct seen seen;
        int64_t count;

        a.state = ARCHIVE_FORMER;
        memcpy(c.spki_hash, b.spki_hash, HASH_SIZE);
        CHANGE(must(store_archive_add(STORE, &a)); must(store_archive_add(STORE, &b));
               assert_int_equal(store_archive_add(STORE, &c), PROBLEM_EXISTS));
        must(store_archive_find(STORE, &b.id, &found));
        assert_true(bytes_equal(buf_view(&found.record), buf_view(&b.record)));
        assert_string_equal(SEEN(store_archive_list, &user, 0, &seen, see_archive), "former current ");
        assert_string_equal(SEEN(store_archive_list, &user, ARCHIVE_CURRENT, &seen, see_archive), "current ");

        CHANGE(must(store_pool_add(STORE, &p)); must(store_pool_add(STORE, &q)));
        CHANGE(must(store_pool_take(STORE, "default", &taken)));
        assert_true(id_equal(&taken.id, &p.id));
        must(store_pool_count(STORE, "default", &count));
        assert_int_equal(count, 1);
        pool_row_done(&taken);
        must(store_begin(STORE));
        must(store_pool_take(STORE, "default", &taken));
        store_rollback(STORE); /* not taken */
        must(store_pool_count(STORE, "default", &count));
        assert_int_equal(count, 1);
        must(store_begin(STORE));
        pool_row_done(&taken);
        assert_int_equal(store_pool_take(STORE, "other", &taken), PROBLEM_NOT_FOUND);
        store_rollback(STORE);
}

static void operators_requests_and_approvals_are_kept(void **state)
{
        struct id user = help_id(4, 1), second = help_id(11, 2);
        CLEANUP(operator_row_done)
        struct operator_row a = help_operator(1), b = help_operator(2), found = {0};
        CLEANUP(request_row_done)
        struct request_row r = help_request(1, &user), s = help_request(2, &user), request = {0};
        CLEANUP(approval_row_done)
        struct approval_row approval = {.request = second,
                                        .officer = text_copy("officer1"),
                                        .verdict = APPROVAL_GIVEN,
                                        .partials = help_bytes(1, 100)};
        struct seen seen;

        CHANGE(must(store_operator_add(STORE, &a)); must(store_operator_add(STORE, &b)));
        must(store_operator_find_invitation(STORE, help_selector(1002), &found));
        assert_string_equal(found.name, "officer2");
        assert_int_equal(found.invitation_auth.len, 32);
        found.invitation[0] = 0;
        secret_done(&found.invitation_auth);
        CHANGE(must(store_operator_put(STORE, &found)));
        operator_row_done(&found);
        assert_int_equal(store_operator_find_invitation(STORE, "", &found), PROBLEM_NOT_FOUND);
        must(store_operator_find(STORE, "officer2", &found));
        assert_int_equal(found.invitation_auth.len, 0);
        assert_string_equal(SEEN(store_operator_list, &seen, see_operator), "officer1 officer2 ");

        CHANGE(must(store_request_add(STORE, &r)); must(store_request_add(STORE, &s));
               must(store_approval_add(STORE, &approval)));
        must(store_begin(STORE));
        assert_int_equal(store_approval_add(STORE, &approval), PROBLEM_EXISTS);
        store_rollback(STORE);
        s.state = REQUEST_APPROVED;
        CHANGE(must(store_request_put(STORE, &s)));
        must(store_request_find(STORE, &second, &request));
        assert_int_equal(request.state, REQUEST_APPROVED);
        SEEN(store_request_list, REQUEST_OPEN, NULL, NULL, 9, &seen, see_request);
        assert_int_equal(seen.count, 1);
        SEEN(store_request_list, 0, &user, &r.id, 9, &seen, see_request);
        assert_int_equal(seen.count, 1);
        SEEN(store_request_list, 0, NULL, NULL, 9, &seen, see_request);
        assert_int_equal(seen.count, 2);
        assert_string_equal(SEEN(store_approval_list, &second, &seen, see_approval), "officer1 ");
}

static void operations_and_settings_are_kept(void **state)
{
        CLEANUP(operation_row_done)
        struct operation_row a = {.operator_name = text_copy("o"),
                                  .created = 9,
                                  .answer = help_secret(3, 70)},
                             found = {0};
        CLEANUP(setting_row_done)
        struct setting_row setting = {.name = text_copy("policy"), .value = help_bytes(1, 9)}, read = {0};
        size_t count;

        a.nonce[3] = 7;
        CHANGE(must(store_operation_add(STORE, &a)); must(store_setting_put(STORE, &setting)));
        must(store_operation_find(STORE, "o", a.nonce, &found));
        assert_int_equal(found.answer.len, 70);
        setting.value.data[0] = 99;
        CHANGE(must(store_setting_put(STORE, &setting)));
        must(store_setting_find(STORE, "policy", &read));
        assert_int_equal(read.value.data[0], 99);
        assert_int_equal(read.row.version, 2);
        CHANGE(must(store_operation_purge(STORE, 10, 10, &count)));
        operation_row_done(&found);
        assert_int_equal(store_operation_find(STORE, "o", a.nonce, &found), PROBLEM_NOT_FOUND);
}

static void push_job(void **state, const char *subject, const char *kind, int64_t due)
{
        CLEANUP(job_row_done)
        struct job_row job = {.subject = text_copy(subject),
                              .kind = text_copy(kind),
                              .due = due,
                              .payload = help_secret(1, 40)};

        must(store_job_push(STORE, &job));
}

static void jobs_keep_the_order_of_their_subject(void **state)
{
        CLEANUP(job_row_done) struct job_row a = {0}, b = {0}, c = {0};
        struct seen seen;
        int64_t due = -1;

        must(store_begin(STORE)); /* outside the audit chain: no record */
        push_job(state, "alice", "first", 10);
        push_job(state, "alice", "second", 5);
        push_job(state, "bob", "first", 20);
        must(store_commit(STORE));
        must(store_job_due(STORE, &due));
        assert_int_equal(due, 5);
        must(store_begin(STORE));
        assert_int_equal(store_job_claim(STORE, "second", 9, &a),
                         PROBLEM_NOT_FOUND); /* the second waits for the first */
        must(store_job_claim(STORE, "first", 30, &a));
        assert_string_equal(a.subject, "alice");
        assert_int_equal(a.attempts, 1);
        assert_int_equal(a.payload.len, 40);
        must(store_job_claim(STORE, "first", 30, &b));
        assert_string_equal(b.subject, "bob");
        assert_int_equal(store_job_claim(STORE, "first", 30, &c), PROBLEM_NOT_FOUND);
        free(a.error);
        a.error = text_copy("refused");
        must(store_job_retry(STORE, &a, 100));
        assert_int_equal(store_job_claim(STORE, "first", 99, &c), PROBLEM_NOT_FOUND);
        must(store_job_reclaim(STORE)); /* bob's again */
        job_row_done(&b);
        must(store_job_claim(STORE, "first", 30, &b));
        assert_int_equal(b.attempts, 2);
        must(store_job_return(STORE, &b, 30));
        assert_int_equal(b.attempts, 1);
        job_row_done(&b);
        must(store_job_claim(STORE, "first", 30, &b));
        must(store_job_done(STORE, &b));
        assert_int_equal(store_job_fail(STORE, &a), PROBLEM_STATE); /* it waits */
        job_row_done(&a);
        must(store_job_claim(STORE, "first", 100, &a));
        assert_int_equal(store_job_repeat(STORE, &a, 30), PROBLEM_STATE);
        assert_int_equal(store_job_cancel(STORE, &a), PROBLEM_STATE);
        must(store_job_fail(STORE, &a));
        must(store_job_claim(STORE, "second", 30, &c));
        must(store_commit(STORE));
        assert_string_equal(SEEN(store_job_list, 0, 0, 9, &seen, see_job), "first second ");
        assert_string_equal(SEEN(store_job_list, JOB_FAILED, 0, 9, &seen, see_job), "first ");
}

static void what_was_sent_stays_for_a_while(void **state)
{
        CLEANUP(job_row_done) struct job_row a = {0}, b = {0}, again = {0};
        struct seen seen;
        size_t count = 0;

        must(store_begin(STORE));
        push_job(state, "alice", "mail", 10);
        push_job(state, "bob", "mail", 10);
        push_job(state, "alice", "later", 10);
        must(store_job_claim(STORE, "mail", 10, &a));
        must(store_job_claim(STORE, "mail", 10, &b));
        must(store_job_sent(STORE, &a, 50));
        must(store_job_bounce(STORE, &b, 60));
        must(store_job_claim(STORE, "later", 10, &again)); /* what was sent holds nobody back */
        job_row_done(&again);
        assert_string_equal(SEEN(store_job_list, JOB_SENT, 0, 9, &seen, see_job), "mail ");
        must(store_job_purge(STORE, 49, 9, &count));
        assert_int_equal(count, 0);
        must(store_job_find(STORE, a.number, &again));
        must(store_job_bounce(STORE, &again, 60));
        must(store_job_repeat(STORE, &again, 20));
        assert_int_equal(again.state, JOB_WAITING);
        assert_int_equal(again.attempts, 0);
        must(store_job_cancel(STORE, &again));
        must(store_job_purge(STORE, 60, 9, &count));
        assert_int_equal(count, 1);
        assert_int_equal(store_job_find(STORE, b.number, &a), PROBLEM_NOT_FOUND);
        must(store_commit(STORE));
}

static void push_once(void **state, int64_t due)
{
        CLEANUP(job_row_done)
        struct job_row job = {.subject = text_copy("alice"), .kind = text_copy("sync"), .due = due};

        must(store_job_push_once(STORE, &job));
}

static void a_job_that_waits_is_not_pushed_twice(void **state)
{
        CLEANUP(job_row_done) struct job_row a = {0}, b = {0}, c = {0};
        struct seen seen;

        must(store_begin(STORE));
        push_once(state, 10);
        push_once(state, 20);
        must(store_job_claim(STORE, "sync", 10, &a));
        push_once(state, 30); /* one runs: another must follow, which sees the new state */
        push_once(state, 40);
        assert_string_equal(SEEN(store_job_list, 0, 0, 9, &seen, see_job), "sync sync ");
        assert_int_equal(store_job_claim(STORE, "sync", 50, &b), PROBLEM_NOT_FOUND);
        must(store_job_done(STORE, &a));
        must(store_job_claim(STORE, "sync", 50, &b));
        must(store_job_retry(STORE, &b, 1000));
        push_once(state, 60); /* news: tried again at once */
        job_row_done(&b);
        must(store_job_claim(STORE, "sync", 60, &b));
        assert_int_equal(b.attempts, 1);
        must(store_job_fail(STORE, &b));
        push_once(state, 70);
        must(store_job_claim(STORE, "sync", 70, &c));
        assert_true(c.number > b.number);
        must(store_job_done(STORE, &c));
        must(store_commit(STORE));
        assert_string_equal(SEEN(store_job_list, 0, 0, 9, &seen, see_job), "");
}

static void audit_records_are_chained_and_listed(void **state)
{
        struct seen seen;
        struct store_audit_filter user = {.action = "user."}, one = {.subject = "s2"},
                                  refused = {.refusals = true}, newest = {.newest_first = true},
                                  server = {.actor = "server", .newest_first = true},
                                  time = {.from = 1800000001};
        struct audit_record record = {.time = 1800000005,
                                      .actor = bytes_text("server"),
                                      .action = bytes_text("token.try"),
                                      .outcome = bytes_text("token-refused")};
        struct audit_head head, signed_head;
        CLEANUP(buf_done) struct buf signature = BUF_NONE;
        int64_t seq;

        must(store_begin(STORE));
        help_audit(STORE, "user.add", "s2");
        help_audit(STORE, "user.revoke", "s3");
        help_audit(STORE, "users", "s4");
        must(store_audit_append(STORE, &record, &seq));
        assert_int_equal(seq, 5);
        record.time = 1; /* the clock was set back: the chain's does not run back */
        must(store_audit_append(STORE, &record, &seq));
        must(store_audit_head(STORE, &head));
        assert_int_equal(head.seq, 6);
        assert_int_equal(head.time, 1800000005);
        must(store_commit(STORE));
        assert_string_equal(SEEN(store_audit_list, NULL, 4, 9, &seen, see_record), "5 6 ");
        assert_string_equal(SEEN(store_audit_list, &user, 0, 9, &seen, see_record), "2 3 ");
        assert_string_equal(SEEN(store_audit_list, &one, 0, 9, &seen, see_record), "2 ");
        assert_string_equal(SEEN(store_audit_list, &refused, 0, 9, &seen, see_record), "5 6 ");
        assert_string_equal(SEEN(store_audit_list, &newest, 0, 2, &seen, see_record), "6 5 ");
        assert_string_equal(SEEN(store_audit_list, &newest, 5, 2, &seen, see_record), "4 3 ");
        assert_string_equal(SEEN(store_audit_list, &server, 0, 9, &seen, see_record), "6 5 ");
        assert_string_equal(SEEN(store_audit_list, &time, 0, 9, &seen, see_record), "5 6 ");
        must(store_begin(STORE));
        must(store_head_add(STORE, &head, bytes_text("signature")));
        assert_int_equal(store_head_add(STORE, &head, bytes_text("signature")), PROBLEM_EXISTS);
        signed_head = head;
        signed_head.hash[0] ^= 1;
        assert_int_equal(store_head_add(STORE, &signed_head, bytes_text("signature")), PROBLEM_STATE);
        must(store_commit(STORE));
        must(store_head_last(STORE, &signed_head, &signature));
        assert_memory_equal(&signed_head, &head, sizeof(head));
        assert_string_equal(buf_text(&signature), "signature");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
            TEST(users_are_found_and_listed),
            TEST(tokens_keep_their_secret_and_counters),
            TEST(replies_are_given_again_until_purged),
            TEST(certificates_are_found_by_who_they_are_for),
            TEST(expired_certificates_and_smime_values_are_found),
            TEST(keys_are_archived_once_and_taken_once),
            TEST(operators_requests_and_approvals_are_kept),
            TEST(operations_and_settings_are_kept),
            TEST(jobs_keep_the_order_of_their_subject),
            TEST(what_was_sent_stays_for_a_while),
            TEST(a_job_that_waits_is_not_pushed_twice),
            TEST(audit_records_are_chained_and_listed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
