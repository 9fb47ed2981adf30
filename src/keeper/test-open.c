/* SPDX-License-Identifier: Apache-2.0 */
/* The engine plays foul: whatever it puts together, no key comes out but what a quorum approved, for whom it approved
 * it. */
#include "keeper/test-request.h"

/* ---- what is right ---------------------------------------------------------------------------------------- */

static void assert_key_fits(const struct msg_key_envelope *envelope, const struct secret *recipient)
{
        CLEANUP(secret_done) struct secret pkcs8 = SECRET_NONE;
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        CLEANUP(certificate_done) struct certificate certificate = {0};
        CLEANUP(buf_done) struct buf spki = BUF_NONE;

        assert_int_equal(envelope_open(recipient, buf_view(&envelope->envelope), &pkcs8), 0);
        assert_int_equal(pkey_from_pkcs8(secret_view(&pkcs8), &key), 0);
        assert_int_equal(pkey_to_spki(key, &spki), 0);
        assert_int_equal(certificate_parse(buf_view(&envelope->certificate), &certificate), 0);
        assert_true(bytes_equal(buf_view(&spki), certificate.spki));
}

static void any_two_officers_open_for_the_recipient(void **state)
{
        static const unsigned pairs[][2] = {{0, 1}, {2, 0}, {1, 2}};

        for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
                CLEANUP(request_done) struct request r;
                MSG_OWN(keeper_opened) opened = {0};

                request_init(&r, 3);
                fixture_open(&r.f, &r.terms, &r.open);
                request_approve(&r, pairs[i][0]);
                request_approve(&r, pairs[i][1]);
                assert_int_equal(request_send(&r, &opened), 0);
                assert_int_equal(opened.keys.count, 3);
                for (size_t k = 0; k < 3; k++) {
                        assert_int_equal(opened.keys.at[k].record_id, r.f.keys[k].record_id);
                        assert_key_fits(&opened.keys.at[k], &r.f.recipient);
                }
        }
}

static void slices_open_alone(void **state)
{
        CLEANUP(request_done) struct request r;
        MSG_OWN(keeper_opened) opened = {0};

        request_init(&r, 3);
        fixture_open(&r.f, &r.terms, &r.open);
        for (unsigned i = 0; i < 3; i++)
                request_approve(&r, i);
        msg_done(archive_item, &r.open.archive.at[0]);
        r.open.archive.at[0] = r.open.archive.at[2];
        r.open.archive.at[2] = (struct msg_archive_item){0};
        msg_done(archive_item, &r.open.archive.at[1]);
        r.open.archive.count = 1;
        assert_int_equal(request_send(&r, &opened), 0);
        assert_int_equal(opened.keys.count, 1);
        assert_int_equal(opened.keys.at[0].record_id, r.f.keys[2].record_id);
        assert_key_fits(&opened.keys.at[0], &r.f.recipient);
}

/* ---- too few ---------------------------------------------------------------------------------------------- */

static void one_officer_is_no_quorum(void **state)
{
        CLEANUP(request_done) struct request r;

        request_init(&r, 1);
        fixture_open(&r.f, &r.terms, &r.open);
        assert_int_equal(request_send(&r, NULL), PROBLEM_QUORUM);
        request_approve(&r, 0);
        assert_int_equal(request_send(&r, NULL), PROBLEM_QUORUM);
}

static void one_officer_twice_is_no_quorum(void **state)
{
        CLEANUP(request_done) struct request r;

        request_init(&r, 1);
        fixture_open(&r.f, &r.terms, &r.open);
        request_approve(&r, 1);
        request_approve(&r, 1);
        assert_int_equal(request_send(&r, NULL), PROBLEM_QUORUM);
}

/* ---- forged, moved, altered -------------------------------------------------------------------------------- */

static void a_forged_approval_names_its_officer(void **state)
{
        CLEANUP(request_done) struct request r;

        request_init(&r, 1);
        fixture_open(&r.f, &r.terms, &r.open);
        request_approve(&r, 0);
        request_approve(&r, 1);
        r.open.approvals.at[1].signature.data[10] ^= 1;
        assert_struck(&r, "ben", NULL);
        /* a signature by another officer, under ben's name */
        approval_sign(&r, 2, &r.open.approvals.at[1]);
        assert_struck(&r, "ben", NULL);
        free(r.open.approvals.at[1].officer);
        r.open.approvals.at[1].officer = text_copy("eve");
        assert_struck(&r, "eve", NULL);
}

static void an_officer_who_was_not_admitted_counts_for_nothing(void **state)
{
        CLEANUP(request_done) struct request r = {0};

        fixture_init(&r.f);
        fixture_unseal(&r.f);
        fixture_enroll(&r.f);
        fixture_terms(&r.f, &r.terms);
        fixture_open(&r.f, &r.terms, &r.open);
        request_approve(&r, 0);
        request_approve(&r, 1);
        assert_struck(&r, "ada", "ben");
}

static void approvals_moved_to_another_request_are_refused(void **state)
{
        CLEANUP(request_done) struct request r;

        request_init(&r, 1);
        request_approve(&r, 0);
        request_approve(&r, 1);
        free(r.terms.request);
        r.terms.request = text_copy("request-2");
        fixture_open(&r.f, &r.terms, &r.open);
        assert_struck(&r, "ada", "ben");
        /* with the digest made to fit, the signature does not */
        for (size_t i = 0; i < 2; i++) {
                struct digest digest = terms_digest(buf_view(&r.open.terms));

                memcpy(r.open.approvals.at[i].digest.data, digest.data, DIGEST_SIZE);
        }
        assert_struck(&r, "ada", "ben");
}

static void a_changed_recipient_is_refused(void **state)
{
        CLEANUP(request_done) struct request r;
        CLEANUP(secret_done) struct secret thief = SECRET_NONE;
        struct point public;

        request_init(&r, 1);
        request_approve(&r, 0);
        request_approve(&r, 1);
        assert_int_equal(scalar_random(&thief), 0);
        assert_int_equal(point_of_scalar(&thief, &public), 0);
        memcpy(r.terms.recipient.data, public.data, POINT_SIZE);
        fixture_open(&r.f, &r.terms, &r.open);
        assert_struck(&r, "ada", "ben");
}

static void swapped_records_are_refused(void **state)
{
        CLEANUP(request_done) struct request r;
        struct buf kept;

        request_init(&r, 2);
        fixture_open(&r.f, &r.terms, &r.open);
        request_approve(&r, 0);
        request_approve(&r, 1);
        kept = r.open.archive.at[0].record;
        r.open.archive.at[0].record = r.open.archive.at[1].record;
        r.open.archive.at[1].record = kept;
        assert_int_equal(request_send(&r, NULL), PROBLEM_STALE);
}

static void records_that_nobody_approved_are_refused(void **state)
{
        CLEANUP(request_done) struct request r;

        request_init(&r, 1);
        request_approve(&r, 0);
        request_approve(&r, 1);
        fixture_enroll(&r.f);
        fixture_open(&r.f, &r.terms, &r.open); /* with the second key */
        assert_int_equal(request_send(&r, NULL), PROBLEM_STALE);
        msg_done(archive_item, &r.open.archive.at[1]);
        r.open.archive.count = 1;
        free(r.open.archive.at[0].user);
        r.open.archive.at[0].user = text_copy("another");
        assert_int_equal(request_send(&r, NULL), PROBLEM_STALE);
}

/* The officers were shown another user than the one whom the record is bound to: they approve, and it does not open. */
static void a_record_shown_as_another_users_does_not_open(void **state)
{
        CLEANUP(request_done) struct request r;

        request_init(&r, 1);
        free(r.terms.user);
        r.terms.user = text_copy("mallory");
        fixture_open(&r.f, &r.terms, &r.open);
        free(r.open.archive.at[0].user);
        r.open.archive.at[0].user = text_copy("mallory");
        request_approve(&r, 0);
        request_approve(&r, 1);
        assert_int_equal(request_send(&r, NULL), PROBLEM_TAMPERED);
}

/* One user's name over another user's key. */
static void a_key_shown_under_another_address_does_not_open(void **state)
{
        CLEANUP(request_done) struct request r;

        request_init(&r, 1);
        free(r.terms.addresses.at[0]);
        r.terms.addresses.at[0] = text_copy("alice@example.org");
        fixture_open(&r.f, &r.terms, &r.open);
        request_approve(&r, 0);
        request_approve(&r, 1);
        assert_int_equal(request_send(&r, NULL), PROBLEM_STALE);
}

/* A certificate that says the wrong name of the right key: anybody's; and one that the keeper made, for a key that the
 * engine named. */
static void a_false_certificate_does_not_open(void **state)
{
        CLEANUP(request_done) struct request r;
        CLEANUP(certificate_done) struct certificate certificate = {0};
        MSG_OWN(keeper_enroll) ask = {.signature_only = true};
        MSG_OWN(keeper_enrolled) enrolled = {0};
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        struct msg_subject *subject = MSG_LIST_ADD(ask.subject);

        request_init(&r, 1);
        assert_int_equal(certificate_parse(buf_view(&r.f.keys[0].certificate), &certificate), 0);
        subject->user = text_copy("mallory");
        subject->name = text_copy("Alice");
        msg_texts_add(&subject->addresses, "alice@example.org");
        buf_add_bytes(&ask.spki, certificate.spki);
        ask.not_before = clock_now();
        ask.signature_not_after = clock_now() + 86400;
        assert_int_equal(fixture_ask(&r.f, MSG_keeper_enroll, &ask, &answer), 0);
        assert_int_equal(msg_decode(keeper_enrolled, keeper_reply_view(&answer), &enrolled), 0);
        free(r.terms.addresses.at[0]);
        r.terms.addresses.at[0] = text_copy("alice@example.org");
        fixture_open(&r.f, &r.terms, &r.open);
        request_approve(&r, 0);
        request_approve(&r, 1);
        buf_done(&r.open.archive.at[0].certificate);
        r.open.archive.at[0].certificate = buf_take(&enrolled.signature_certificate);
        assert_int_equal(request_send(&r, NULL), PROBLEM_STALE);
        r.open.archive.at[0].certificate.data[r.open.archive.at[0].certificate.len - 1] ^= 1;
        assert_int_equal(request_send(&r, NULL), PROBLEM_STALE);
}

static void an_expired_request_is_refused(void **state)
{
        CLEANUP(request_done) struct request r;

        request_init(&r, 1);
        r.terms.expires = clock_now();
        fixture_open(&r.f, &r.terms, &r.open);
        request_approve(&r, 0);
        request_approve(&r, 1);
        assert_int_equal(request_send(&r, NULL), PROBLEM_STALE);
}

static void another_servers_request_is_refused(void **state)
{
        CLEANUP(request_done) struct request r;

        request_init(&r, 1);
        free(r.terms.server_id);
        r.terms.server_id = text_copy("another");
        fixture_open(&r.f, &r.terms, &r.open);
        request_approve(&r, 0);
        request_approve(&r, 1);
        assert_int_equal(request_send(&r, NULL), PROBLEM_STALE);
}

/* ---- false contributions ----------------------------------------------------------------------------------- */

static void a_false_partial_names_its_officer(void **state)
{
        CLEANUP(request_done) struct request r;
        MSG_OWN(keeper_opened) opened = {0};
        struct secret kept;

        request_init(&r, 2);
        fixture_open(&r.f, &r.terms, &r.open);
        request_approve(&r, 0);
        /* ben contributes with another's share, and signs it */
        kept = r.f.archive_shares[1];
        r.f.archive_shares[1] = r.f.startup_shares[1];
        request_approve(&r, 1);
        r.f.archive_shares[1] = kept;
        assert_struck(&r, "ben", NULL);
        /* without him, and with another, it opens */
        msg_done(approval_item, &r.open.approvals.at[1]);
        r.open.approvals.count = 1;
        request_approve(&r, 2);
        assert_int_equal(request_send(&r, &opened), 0);
        assert_int_equal(opened.keys.count, 2);
}

static void an_altered_or_emptied_box_names_its_officer(void **state)
{
        CLEANUP(request_done) struct request r;

        request_init(&r, 1);
        fixture_open(&r.f, &r.terms, &r.open);
        request_approve(&r, 0);
        request_approve(&r, 1);
        r.open.approvals.at[0].box.data[60] ^= 1;
        assert_struck(&r, "ada", NULL);
        approval_sign(&r, 0, &r.open.approvals.at[0]);
        assert_struck(&r, "ada", NULL);
        buf_clear(&r.open.approvals.at[0].box);
        approval_sign(&r, 0, &r.open.approvals.at[0]);
        assert_struck(&r, "ada", NULL);
}

/* A contribution for fewer keys than the terms have. */
static void a_short_contribution_names_its_officer(void **state)
{
        CLEANUP(request_done) struct request r;
        CLEANUP(buf_done) struct buf plain = BUF_NONE;
        MSG_OWN(partials) none = {0};
        struct point transport;
        struct digest digest;

        request_init(&r, 1);
        fixture_open(&r.f, &r.terms, &r.open);
        request_approve(&r, 0);
        request_approve(&r, 1);
        digest = terms_digest(buf_view(&r.open.terms));
        assert_int_equal(msg_encode(partials, &none, &plain), 0);
        assert_int_equal(point_parse(buf_view(&r.terms.transport), &transport), 0);
        buf_clear(&r.open.approvals.at[0].box);
        assert_int_equal(box_seal(&transport, digest_view(&digest), buf_view(&plain), &r.open.approvals.at[0].box), 0);
        approval_sign(&r, 0, &r.open.approvals.at[0]);
        assert_struck(&r, "ada", NULL);
}

/* ---- form ------------------------------------------------------------------------------------------------- */

static void lists_beyond_their_limit_are_refused(void **state)
{
        CLEANUP(request_done) struct request r;
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        MSG_OWN(problem) problem = {0};

        request_init(&r, 1);
        fixture_open(&r.f, &r.terms, &r.open);
        for (unsigned i = 0; i < 2; i++)
                request_approve(&r, i);
        assert_int_equal(msg_encode(keeper_open, &r.open, &encoded), 0);
        /* the count of the archive list, after the terms */
        memset(encoded.data + 4 + r.open.terms.len, 0xff, 4);
        assert_int_equal(keeper_handle(&r.f.keeper, PEER_ENGINE, MSG_keeper_open, buf_view(&encoded), &answer), 0);
        assert_int_equal(answer.kind, MSG_problem);
        assert_int_equal(msg_decode(problem, keeper_reply_view(&answer), &problem), 0);
        assert_string_equal(problem.code, "malformed");
        /* records in another order than the terms', or one twice */
        buf_clear(&encoded);
        fixture_open(&r.f, &r.terms, &r.open);
        buf_clear(&r.open.terms);
        assert_int_equal(msg_encode(terms, &r.terms, &r.open.terms), 0);
        assert_int_equal(r.open.archive.count, 2);
        assert_int_equal(request_send(&r, NULL), PROBLEM_STALE);
}

static void terms_that_do_not_decode_are_refused(void **state)
{
        CLEANUP(request_done) struct request r;

        request_init(&r, 1);
        fixture_open(&r.f, &r.terms, &r.open);
        request_approve(&r, 0);
        request_approve(&r, 1);
        buf_add_byte(&r.open.terms, 0);
        assert_int_equal(request_send(&r, NULL), PROBLEM_MALFORMED);
        buf_clear(&r.open.terms);
        assert_int_equal(request_send(&r, NULL), PROBLEM_MALFORMED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(any_two_officers_open_for_the_recipient),
                cmocka_unit_test(slices_open_alone),
                cmocka_unit_test(one_officer_is_no_quorum),
                cmocka_unit_test(one_officer_twice_is_no_quorum),
                cmocka_unit_test(a_forged_approval_names_its_officer),
                cmocka_unit_test(an_officer_who_was_not_admitted_counts_for_nothing),
                cmocka_unit_test(approvals_moved_to_another_request_are_refused),
                cmocka_unit_test(a_changed_recipient_is_refused),
                cmocka_unit_test(swapped_records_are_refused),
                cmocka_unit_test(records_that_nobody_approved_are_refused),
                cmocka_unit_test(a_record_shown_as_another_users_does_not_open),
                cmocka_unit_test(a_key_shown_under_another_address_does_not_open),
                cmocka_unit_test(a_false_certificate_does_not_open),
                cmocka_unit_test(an_expired_request_is_refused),
                cmocka_unit_test(another_servers_request_is_refused),
                cmocka_unit_test(a_false_partial_names_its_officer),
                cmocka_unit_test(an_altered_or_emptied_box_names_its_officer),
                cmocka_unit_test(a_short_contribution_names_its_officer),
                cmocka_unit_test(lists_beyond_their_limit_are_refused),
                cmocka_unit_test(terms_that_do_not_decode_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
