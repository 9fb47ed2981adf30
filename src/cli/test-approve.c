/* SPDX-License-Identifier: Apache-2.0 */
/* An officer's approval as the keeper will look at it; and terms that he must not approve. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/approve.h"
#include "crypto/pkey.h"
#include "crypto/seal.h"
#include "crypto/shares.h"
#include "crypto/statement.h"

enum { OFFICERS = 3, QUORUM = 2, KEYS = 3 };

static struct {
        struct secret archive, startup, transport;
        struct secret archive_shares[OFFICERS], startup_shares[OFFICERS];
        struct commitments archive_commitments, startup_commitments;
        struct msg_trust_public trust;
        struct msg_operator_envelope envelope; /* of officer 2 */
        EVP_PKEY *signing;
        struct msg_terms terms;
        struct buf encoded;
} set;

static void add_point(struct buf *out, const struct secret *scalar)
{
        struct point point;

        assert_int_equal(point_of_scalar(scalar, &point), 0);
        buf_add_bytes(out, point_view(&point));
}

static void fill_envelope(void)
{
        struct msg_operator_envelope *envelope = &set.envelope;

        set.trust.server_id = text_copy("server");
        set.trust.quorum = QUORUM;
        commitments_add(&set.trust.archive_commitments, &set.archive_commitments);
        commitments_add(&set.trust.startup_commitments, &set.startup_commitments);
        add_point(&set.trust.transport_key, &set.transport);
        assert_int_equal(pkey_generate(PKEY_P256, &set.signing), 0);
        assert_int_equal(pkey_to_pkcs8(set.signing, &envelope->signing_key), 0);
        envelope->operator= text_copy("omar");
        envelope->index = 2;
        envelope->archive_share = secret_copy(secret_view(&set.archive_shares[1]));
        envelope->startup_share = secret_copy(secret_view(&set.startup_shares[1]));
        assert_int_equal(msg_encode(trust_public, &set.trust, &envelope->trust), 0);
}

static void fill_terms(const char *kind)
{
        struct msg_terms *terms = &set.terms;

        msg_done(terms, terms);
        buf_done(&set.encoded);
        terms->server_id = text_copy("server");
        terms->request = text_copy("abc");
        terms->kind = text_copy(kind);
        terms->expires = clock_now() + 3600;
        add_point(&terms->transport, &set.transport);
        for (unsigned i = 0; i < KEYS; i++) {
                CLEANUP(secret_done) struct secret r = SECRET_NONE;
                assert_int_equal(scalar_random(&r), 0);
                add_point(&MSG_LIST_ADD(terms->items)->point, &r);
        }
        assert_int_equal(msg_encode(terms, terms, &set.encoded), 0);
}

static int begin(void **state)
{
        assert_int_equal(scalar_random(&set.archive), 0);
        assert_int_equal(scalar_random(&set.startup), 0);
        assert_int_equal(scalar_random(&set.transport), 0);
        assert_int_equal(shares_deal(&set.archive, QUORUM, OFFICERS, set.archive_shares, &set.archive_commitments),
                         0);
        assert_int_equal(shares_deal(&set.startup, QUORUM, OFFICERS, set.startup_shares, &set.startup_commitments),
                         0);
        fill_envelope();
        return 0;
}

static int end(void **state)
{
        secret_done(&set.archive);
        secret_done(&set.startup);
        secret_done(&set.transport);
        for (unsigned i = 0; i < OFFICERS; i++) {
                secret_done(&set.archive_shares[i]);
                secret_done(&set.startup_shares[i]);
        }
        msg_done(trust_public, &set.trust);
        msg_done(operator_envelope, &set.envelope);
        msg_done(terms, &set.terms);
        buf_done(&set.encoded);
        EVP_PKEY_free(set.signing);
        return 0;
}

static void check_partials(const struct msg_approval_item *approval, const struct commitments *commitments)
{
        CLEANUP(secret_done) struct secret plain = SECRET_NONE;
        MSG_OWN(partials) partials = {0};
        struct partial_context context = {.index = 2, .context = terms_digest(buf_view(&set.encoded))};

        assert_int_equal(box_open(&set.transport, digest_view(&context.context), buf_view(&approval->box), &plain),
                         0);
        assert_int_equal(msg_decode(partials, secret_view(&plain), &partials), 0);
        assert_int_equal(share_public(commitments, 2, &context.public_share), 0);
        assert_int_equal(partials.points.len, KEYS * POINT_SIZE);
        for (size_t i = 0; i < KEYS; i++) {
                struct partial partial;
                struct point r;
                assert_int_equal(partial_parse(secret_view(&partials.points), buf_view(&partials.proof), i, &partial),
                                 0);
                assert_int_equal(point_parse(buf_view(&set.terms.items.at[i].point), &r), 0);
                assert_int_equal(partial_verify(&context, &r, &partial), 0);
        }
}

/* The share that is used is that of the kind of request; its proof does not pass for the other. */
static void an_approval_verifies(void **state)
{
        for (unsigned startup = 0; startup < 2; startup++) {
                MSG_OWN(approval_item) approval = {0};
                CLEANUP(buf_done) struct buf statement = BUF_NONE;
                struct digest digest;
                struct point key;

                fill_terms(startup ? "startup" : "recover");
                assert_int_equal(approval_check(&set.terms, "abc", &set.envelope, &set.trust), 0);
                assert_int_equal(
                    approval_make(buf_view(&set.encoded), &set.terms, &set.envelope, NULL, NULL, &approval), 0);
                check_partials(&approval, startup ? &set.startup_commitments : &set.archive_commitments);
                digest = terms_digest(buf_view(&set.encoded));
                assert_true(bytes_equal(digest_view(&digest), buf_view(&approval.digest)));
                approval_statement(&digest, buf_view(&approval.box), &statement);
                assert_int_equal(pkey_to_point(set.signing, &key), 0);
                assert_true(signature_right(&key, buf_view(&statement), buf_view(&approval.signature)));
        }
}

static int check(void)
{
        int r = approval_check(&set.terms, "abc", &set.envelope, &set.trust);

        if (r)
                assert_true(report_text()[0]);
        return r;
}

static void what_was_not_asked_for_is_not_approved(void **state)
{
        fill_terms("recover");
        assert_int_equal(approval_check(&set.terms, "abd", &set.envelope, &set.trust), PROBLEM_TAMPERED);
        set.terms.server_id[0] = 'x';
        assert_int_equal(check(), PROBLEM_TAMPERED);
        fill_terms("recover");
        buf_done(&set.terms.transport);
        add_point(&set.terms.transport, &set.archive);
        assert_int_equal(check(), PROBLEM_TAMPERED);
        fill_terms("recover");
        set.terms.expires = clock_now() - 1;
        assert_int_equal(check(), PROBLEM_STATE);
        fill_terms("give-all");
        assert_int_equal(check(), PROBLEM_UNSUPPORTED);
        fill_terms("recover");
        set.envelope.index = 0;
        assert_int_equal(check(), PROBLEM_FORBIDDEN);
        set.envelope.index = 2;
        assert_int_equal(check(), 0);
}

/* Points that are none, or that would leave the group, are refused by the officer's machine already. */
static void bad_points_are_refused(void **state)
{
        MSG_OWN(approval_item) approval = {0};

        fill_terms("recover");
        set.terms.items.at[1].point.data[0] = 4;
        assert_int_equal(approval_make(buf_view(&set.encoded), &set.terms, &set.envelope, NULL, NULL, &approval),
                         PROBLEM_MALFORMED);
        assert_null(approval.officer);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(an_approval_verifies),
            cmocka_unit_test(what_was_not_asked_for_is_not_approved),
            cmocka_unit_test(bad_points_are_refused),
        };
        return cmocka_run_group_tests(tests, begin, end);
}
