/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/fault.h"
#include "base/text.h"
#include "crypto/shares.h"

/* ---- the curve -------------------------------------------------------------------------------------------- */

static struct secret scalar_hex(const char *hex)
{
        CLEANUP(buf_done) struct buf bytes = BUF_NONE;
        struct secret scalar;

        assert_int_equal(hex_parse(bytes_text(hex), &bytes), 0);
        assert_int_equal(scalar_parse(buf_view(&bytes), &scalar), 0);
        return scalar;
}

static void assert_hex(struct bytes bytes, const char *expected)
{
        CLEANUP(buf_done) struct buf hex = BUF_NONE;

        hex_add(&hex, bytes);
        assert_string_equal(buf_text(&hex), expected);
}

/* RFC 5903, section 8.1. */
static void agreement_is_that_of_rfc_5903(void **state)
{
        CLEANUP(secret_done)
        struct secret i = scalar_hex("c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433");
        CLEANUP(secret_done)
        struct secret r = scalar_hex("c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53");
        CLEANUP(secret_done) struct secret x = SECRET_NONE, same = SECRET_NONE;
        struct point gi, gr;

        assert_int_equal(point_of_scalar(&i, &gi), 0);
        assert_int_equal(point_of_scalar(&r, &gr), 0);
        assert_hex(bytes_of(gi.data + 1, 32), "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180");
        assert_int_equal(point_agree(&i, &gr, &x), 0);
        assert_int_equal(point_agree(&r, &gi, &same), 0);
        assert_hex(secret_view(&x), "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de");
        assert_true(bytes_equal(secret_view(&x), secret_view(&same)));
}

static int point_hex(const char *hex)
{
        CLEANUP(buf_done) struct buf bytes = BUF_NONE;
        struct point point;

        assert_int_equal(hex_parse(bytes_text(hex), &bytes), 0);
        return point_parse(buf_view(&bytes), &point);
}

static void points_have_one_encoding(void **state)
{
        /* G */
        assert_int_equal(point_hex("036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"), 0);
        /* infinity, in one byte and padded */
        assert_int_equal(point_hex("00"), PROBLEM_MALFORMED);
        assert_int_equal(point_hex("000000000000000000000000000000000000000000000000000000000000000000"),
                         PROBLEM_MALFORMED);
        /* hybrid and uncompressed heads, cut off, one too many */
        assert_int_equal(point_hex("076b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
                         PROBLEM_MALFORMED);
        assert_int_equal(point_hex("046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
                         PROBLEM_MALFORMED);
        assert_int_equal(point_hex("036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2"),
                         PROBLEM_MALFORMED);
        assert_int_equal(point_hex("036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c29600"),
                         PROBLEM_MALFORMED);
        /* x = p + 5: the same point as x = 5, in an encoding that is not its own */
        assert_int_equal(point_hex("020000000000000000000000000000000000000000000000000000000000000005"), 0);
        assert_int_equal(point_hex("02ffffffff00000001000000000000000000000001000000000000000000000004"),
                         PROBLEM_MALFORMED);
        /* x = 1 has no point on P-256 */
        assert_int_equal(point_hex("020000000000000000000000000000000000000000000000000000000000000001"),
                         PROBLEM_MALFORMED);
}

static void scalars_are_in_range(void **state)
{
        static const char *const bad[] = {
                "0000000000000000000000000000000000000000000000000000000000000000",
                "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", /* n */
                "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "01",
        };
        struct secret scalar;

        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                CLEANUP(buf_done) struct buf bytes = BUF_NONE;

                assert_int_equal(hex_parse(bytes_text(bad[i]), &bytes), 0);
                assert_int_equal(scalar_parse(buf_view(&bytes), &scalar), PROBLEM_MALFORMED);
        }
}

static void public_keys_have_one_spki(void **state)
{
        CLEANUP(buf_done) struct buf spki = BUF_NONE;
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE;
        struct point point, back;
        uint8_t full[65];

        assert_int_equal(scalar_random(&scalar), 0);
        assert_int_equal(point_of_scalar(&scalar, &point), 0);
        assert_int_equal(point_uncompressed(&point, full), 0);
        assert_int_equal(point_parse_any(bytes_of(full, 65), &back), 0);
        assert_true(point_equal(&point, &back));
        assert_int_equal(hex_parse(bytes_text("3059301306072a8648ce3d020106082a8648ce3d030107034200"), &spki), 0);
        buf_add(&spki, full, 65);
        assert_int_equal(point_spki_parse(buf_view(&spki), &back), 0);
        assert_true(point_equal(&point, &back));
        for (size_t i = 0; i < spki.len; i++) {
                spki.data[i] ^= 1;
                assert_int_equal(point_spki_parse(buf_view(&spki), &back), PROBLEM_MALFORMED);
                spki.data[i] ^= 1;
                assert_int_equal(point_spki_parse(bytes_of(spki.data, i), &back), PROBLEM_MALFORMED);
        }
}

/* ---- shares ----------------------------------------------------------------------------------------------- */

enum { QUORUM = 3, COUNT = 5 };

struct dealt {
        struct secret e, shares[COUNT], scalar, x; /* x of e·R */
        struct commitments commitments;
        struct point r;
        struct digest context;
};

static void dealt_init(struct dealt *d)
{
        CLEANUP(secret_done) struct secret random = SECRET_NONE;

        *d = (struct dealt){.context = sha256(bytes_text("terms"))};
        assert_int_equal(scalar_random(&d->e), 0);
        assert_int_equal(shares_deal(&d->e, QUORUM, COUNT, d->shares, &d->commitments), 0);
        assert_int_equal(scalar_random(&random), 0);
        assert_int_equal(point_of_scalar(&random, &d->r), 0);
        assert_int_equal(point_agree(&d->e, &d->r, &d->x), 0);
}

static void dealt_done(struct dealt *d)
{
        secret_done(&d->e);
        secret_done(&d->x);
        for (unsigned i = 0; i < COUNT; i++)
                secret_done(&d->shares[i]);
}

static struct partial_context dealt_context(const struct dealt *d, unsigned index)
{
        struct partial_context context = {.index = index, .context = d->context};

        assert_int_equal(share_public(&d->commitments, index, &context.public_share), 0);
        return context;
}

static void shares_verify_at_their_index(void **state)
{
        CLEANUP(dealt_done) struct dealt d;
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        struct commitments back;
        struct point e, public;

        dealt_init(&d);
        assert_int_equal(point_of_scalar(&d.e, &e), 0);
        assert_true(point_equal(&e, commitments_key(&d.commitments)));
        for (unsigned i = 1; i <= COUNT; i++) {
                assert_int_equal(share_verify(&d.commitments, i, &d.shares[i - 1]), 0);
                assert_int_equal(share_verify(&d.commitments, i % COUNT + 1, &d.shares[i - 1]), PROBLEM_TAMPERED);
        }
        assert_int_equal(share_public(&d.commitments, 0, &public), PROBLEM_MALFORMED);
        commitments_add(&encoded, &d.commitments);
        assert_int_equal(commitments_parse(buf_view(&encoded), &back), 0);
        assert_int_equal(back.quorum, QUORUM);
        assert_int_equal(commitments_parse(bytes_of(encoded.data, encoded.len - 1), &back), PROBLEM_MALFORMED);
        assert_int_equal(commitments_parse(BYTES_NONE, &back), PROBLEM_MALFORMED);
        d.shares[0].data[31] ^= 1;
        assert_int_equal(share_verify(&d.commitments, 1, &d.shares[0]), PROBLEM_TAMPERED);
        memset(d.shares[0].data, 0, 32);
        assert_int_equal(share_verify(&d.commitments, 1, &d.shares[0]), PROBLEM_TAMPERED);
}

static int combine(const struct dealt *d, unsigned set, struct secret *ret_x)
{
        unsigned indexes[COUNT], count = 0;
        struct point points[COUNT];
        struct combiner combiner;

        for (unsigned i = 1; i <= COUNT; i++) {
                struct partial_context context = dealt_context(d, i);
                struct partial partial;

                if (!(set & 1u << (i - 1)))
                        continue;
                TRY(partial_make(&context, &d->shares[i - 1], &d->r, &partial));
                TRY(partial_verify(&context, &d->r, &partial));
                points[count] = partial.point;
                indexes[count++] = i;
        }
        TRY(combiner_init(&combiner, indexes, count));
        return combiner_agree(&combiner, points, ret_x);
}

static void any_quorum_combines_and_fewer_do_not(void **state)
{
        CLEANUP(dealt_done) struct dealt d;

        dealt_init(&d);
        for (unsigned set = 1; set < 1u << COUNT; set++) {
                CLEANUP(secret_done) struct secret x = SECRET_NONE;

                assert_int_equal(combine(&d, set, &x), 0);
                assert_int_equal(bytes_equal(secret_view(&x), secret_view(&d.x)), __builtin_popcount(set) >= QUORUM);
        }
}

static void combining_wants_distinct_indexes(void **state)
{
        static const unsigned twice[] = {1, 3, 1}, zero[] = {0, 1}, beyond[] = {1, SHARES_MOST + 1};
        struct combiner combiner;

        assert_int_equal(combiner_init(&combiner, twice, 3), PROBLEM_MALFORMED);
        assert_int_equal(combiner_init(&combiner, zero, 2), PROBLEM_MALFORMED);
        assert_int_equal(combiner_init(&combiner, beyond, 2), PROBLEM_MALFORMED);
        assert_int_equal(combiner_init(&combiner, zero, 0), PROBLEM_QUORUM);
        assert_int_equal(combiner_init(&combiner, beyond, SHARES_MOST + 1), PROBLEM_MALFORMED);
}

static void false_partials_are_found(void **state)
{
        CLEANUP(dealt_done) struct dealt d;
        struct partial_context context, other;
        struct partial partial, forged;
        struct point point;

        dealt_init(&d);
        context = dealt_context(&d, 2);
        assert_int_equal(partial_make(&context, &d.shares[1], &d.r, &partial), 0);
        assert_int_equal(partial_verify(&context, &d.r, &partial), 0);
        /* another's share, another index, another context, another R */
        assert_int_equal(partial_make(&context, &d.shares[2], &d.r, &forged), 0);
        assert_int_equal(partial_verify(&context, &d.r, &forged), PROBLEM_PARTIAL_FALSE);
        other = dealt_context(&d, 3);
        assert_int_equal(partial_verify(&other, &d.r, &partial), PROBLEM_PARTIAL_FALSE);
        other = context, other.index = 3;
        assert_int_equal(partial_verify(&other, &d.r, &partial), PROBLEM_PARTIAL_FALSE);
        other = context, other.context.data[31] ^= 1;
        assert_int_equal(partial_verify(&other, &d.r, &partial), PROBLEM_PARTIAL_FALSE);
        assert_int_equal(point_of_scalar(&d.shares[0], &point), 0);
        assert_int_equal(partial_verify(&context, &point, &partial), PROBLEM_PARTIAL_FALSE);
        /* the right proof with another point, and every part of the proof altered */
        forged = partial, forged.point = point;
        assert_int_equal(partial_verify(&context, &d.r, &forged), PROBLEM_PARTIAL_FALSE);
        for (unsigned i = 0; i < 32; i++) {
                forged = partial, forged.challenge[i] ^= 1;
                assert_int_equal(partial_verify(&context, &d.r, &forged), PROBLEM_PARTIAL_FALSE);
                forged = partial, forged.response[i] ^= 1;
                assert_int_equal(partial_verify(&context, &d.r, &forged), PROBLEM_PARTIAL_FALSE);
        }
        memset(forged.challenge, 0, 64);
        assert_int_equal(partial_verify(&context, &d.r, &forged), PROBLEM_PARTIAL_FALSE);
}

static void partials_have_one_encoding(void **state)
{
        CLEANUP(dealt_done) struct dealt d;
        CLEANUP(buf_done) struct buf points = BUF_NONE, proofs = BUF_NONE;
        struct partial_context context;
        struct partial partial, back;

        dealt_init(&d);
        context = dealt_context(&d, 1);
        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(partial_make(&context, &d.shares[0], &d.r, &partial), 0);
                partial_add(&partial, &points, &proofs);
        }
        assert_int_equal(partial_parse(buf_view(&points), buf_view(&proofs), 1, &back), 0);
        assert_memory_equal(&back, &partial, sizeof(partial));
        assert_int_equal(partial_parse(buf_view(&points), buf_view(&proofs), 2, &back), PROBLEM_MALFORMED);
        assert_int_equal(partial_parse(buf_view(&points), bytes_of(proofs.data, proofs.len - 1), 1, &back),
                         PROBLEM_MALFORMED);
        memset(proofs.data + PROOF_SIZE + SCALAR_SIZE, 0xff, SCALAR_SIZE);
        assert_int_equal(partial_parse(buf_view(&points), buf_view(&proofs), 1, &back), PROBLEM_MALFORMED);
}

static void impossible_sharings_are_refused(void **state)
{
        CLEANUP(dealt_done) struct dealt d;
        struct secret shares[COUNT];
        struct commitments commitments;

        dealt_init(&d);
        assert_int_equal(shares_deal(&d.e, 0, 3, shares, &commitments), PROBLEM_UNSUPPORTED);
        assert_int_equal(shares_deal(&d.e, 4, 3, shares, &commitments), PROBLEM_UNSUPPORTED);
        assert_int_equal(shares_deal(&d.e, 2, SHARES_MOST + 1, shares, &commitments), PROBLEM_UNSUPPORTED);
        memset(d.e.data, 0, 32);
        assert_int_equal(shares_deal(&d.e, 2, 3, shares, &commitments), PROBLEM_MALFORMED);
}

/* With known coefficients f(x) = 5 + 7x: the shares are 12, 19, 26, and 2·f(1) − f(2) = 5. */
static void interpolation_has_known_coefficients(void **state)
{
        static const unsigned indexes[] = {1, 2};
        struct combiner combiner;

        assert_int_equal(combiner_init(&combiner, indexes, 2), 0);
        assert_hex(bytes_of(combiner.coefficients[0], 32),
                   "0000000000000000000000000000000000000000000000000000000000000002");
        assert_hex(bytes_of(combiner.coefficients[1], 32),
                   "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(agreement_is_that_of_rfc_5903),
            cmocka_unit_test(points_have_one_encoding),
            cmocka_unit_test(scalars_are_in_range),
            cmocka_unit_test(public_keys_have_one_spki),
            cmocka_unit_test(shares_verify_at_their_index),
            cmocka_unit_test(any_quorum_combines_and_fewer_do_not),
            cmocka_unit_test(combining_wants_distinct_indexes),
            cmocka_unit_test(false_partials_are_found),
            cmocka_unit_test(partials_have_one_encoding),
            cmocka_unit_test(impossible_sharings_are_refused),
            cmocka_unit_test(interpolation_has_known_coefficients),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
