/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/shares.h"

#include "base/fault.h"
#include "crypto/curve-internal.h"

int commitments_parse(struct bytes bytes, struct commitments *ret_commitments)
{
        struct commitments commitments = {.quorum = (unsigned)(bytes.len / POINT_SIZE)};

        if (bytes.len % POINT_SIZE || !bytes.len || bytes.len > SHARES_MOST * POINT_SIZE)
                return refuse(PROBLEM_MALFORMED, "Commitments of %zu bytes are no list of points.", bytes.len);
        for (unsigned i = 0; i < commitments.quorum; i++)
                TRY(point_parse(bytes_of(bytes.data + i * POINT_SIZE, POINT_SIZE), &commitments.points[i]));
        *ret_commitments = commitments;
        return 0;
}

void commitments_add(struct buf *out, const struct commitments *commitments)
{
        for (unsigned i = 0; i < commitments->quorum; i++)
                buf_add_bytes(out, point_view(&commitments->points[i]));
}

/* ---- dealing ---------------------------------------------------------------------------------------------- */

/* f(index) by Horner, modulo the order. */
static int share_evaluate(const struct secret *coefficients, unsigned quorum, unsigned index, struct secret *ret_share)
{
        struct curve *c = curve();
        CLEANUP(BN_clear_freep) BIGNUM *sum = BN_secure_new(), *x = BN_new();
        CLEANUP(secret_done) struct secret share = secret_new(SCALAR_SIZE);

        if (!sum || !x || !BN_set_word(x, index))
                return crypto_fault("make a number");
        BN_set_flags(sum, BN_FLG_CONSTTIME);
        for (unsigned i = quorum; i-- > 0;) {
                CLEANUP(BN_clear_freep) BIGNUM *coefficient = NULL;

                TRY(number_read(coefficients[i].data, &coefficient));
                if (!BN_mod_mul(sum, sum, x, c->order, c->scratch) ||
                    !BN_mod_add(sum, sum, coefficient, c->order, c->scratch))
                        return crypto_fault("evaluate a polynomial");
        }
        TRY(number_write(sum, share.data));
        *ret_share = secret_take(&share);
        return 0;
}

static bool secret_is_zero(const struct secret *secret)
{
        uint8_t any = 0;

        for (size_t i = 0; i < secret->len; i++)
                any |= secret->data[i];
        return !any;
}

struct dealing {
        struct secret coefficients[SHARES_MOST], shares[SHARES_MOST];
        struct commitments commitments;
};

static void dealing_done(struct dealing *dealing)
{
        for (unsigned i = 0; i < SHARES_MOST; i++) {
                secret_done(&dealing->coefficients[i]);
                secret_done(&dealing->shares[i]);
        }
}

int shares_deal(const struct secret *secret, unsigned quorum, unsigned count, struct secret *ret_shares,
                struct commitments *ret_commitments)
{
        CLEANUP(dealing_done) struct dealing dealing = {.commitments.quorum = quorum};

        if (quorum < 1 || quorum > count || count > SHARES_MOST)
                return refuse(PROBLEM_UNSUPPORTED, "A quorum of %u of %u officers is not possible (1 to %d).", quorum,
                              count, SHARES_MOST);
        TRY(scalar_parse(secret_view(secret), &dealing.coefficients[0]));
        TRY(point_of_scalar(secret, &dealing.commitments.points[0]));
        for (unsigned i = 1; i < quorum; i++) {
                TRY(scalar_random(&dealing.coefficients[i]));
                TRY(point_of_scalar(&dealing.coefficients[i], &dealing.commitments.points[i]));
        }
        for (unsigned i = 0; i < count; i++) {
                TRY(share_evaluate(dealing.coefficients, quorum, i + 1, &dealing.shares[i]));
                /* One in 2^256: the public share would be infinity. */
                if (secret_is_zero(&dealing.shares[i]))
                        return fault(EAGAIN, "the sharing gave a zero share");
        }
        for (unsigned i = 0; i < count; i++)
                ret_shares[i] = secret_take(&dealing.shares[i]);
        *ret_commitments = dealing.commitments;
        return 0;
}

/* Σ index^k · C_k by Horner, on points; all of it is public. */
int share_public(const struct commitments *commitments, unsigned index, struct point *ret_public)
{
        struct curve *c = curve();
        CLEANUP(EC_POINT_clear_freep) EC_POINT *sum = EC_POINT_new(c->group);
        CLEANUP(BN_clear_freep) BIGNUM *x = BN_new();

        if (!sum || !x || !BN_set_word(x, index) || !EC_POINT_set_to_infinity(c->group, sum))
                return crypto_fault("make a point");
        if (index < 1 || index > SHARES_MOST)
                return refuse(PROBLEM_MALFORMED, "There is no share of index %u.", index);
        for (unsigned i = commitments->quorum; i-- > 0;) {
                CLEANUP(EC_POINT_clear_freep) EC_POINT *commitment = NULL;

                TRY(point_read(&commitments->points[i], &commitment));
                if (EC_POINT_mul(c->group, sum, NULL, sum, x, c->scratch) != 1 ||
                    EC_POINT_add(c->group, sum, sum, commitment, c->scratch) != 1)
                        return crypto_fault("evaluate commitments");
        }
        return PASS(point_write(sum, ret_public));
}

int share_verify(const struct commitments *commitments, unsigned index, const struct secret *share)
{
        CLEANUP(secret_done) struct secret checked = SECRET_NONE;
        struct point expected, actual;

        TRY(share_public(commitments, index, &expected));
        if (scalar_parse(secret_view(share), &checked) == 0) {
                TRY(point_of_scalar(&checked, &actual));
                if (point_equal(&expected, &actual))
                        return 0;
        }
        return refuse(PROBLEM_TAMPERED, "The share of officer %u is not the one that was committed to.", index);
}

/* ---- partials --------------------------------------------------------------------------------------------- */

int partial_parse(struct bytes points, struct bytes proofs, size_t position, struct partial *ret_partial)
{
        CLEANUP(BN_clear_freep) BIGNUM *response = NULL;
        struct partial partial;

        if (position >= points.len / POINT_SIZE || position >= proofs.len / PROOF_SIZE)
                return refuse(PROBLEM_MALFORMED, "There is no contribution for key %zu.", position + 1);
        TRY(point_parse(bytes_of(points.data + position * POINT_SIZE, POINT_SIZE), &partial.point));
        memcpy(partial.challenge, proofs.data + position * PROOF_SIZE, SCALAR_SIZE);
        memcpy(partial.response, proofs.data + position * PROOF_SIZE + SCALAR_SIZE, SCALAR_SIZE);
        TRY(number_read(partial.response, &response));
        if (BN_cmp(response, curve()->order) >= 0)
                return refuse(PROBLEM_MALFORMED, "The proof for key %zu is out of range.", position + 1);
        *ret_partial = partial;
        return 0;
}

void partial_add(const struct partial *partial, struct buf *points, struct buf *proofs)
{
        buf_add_bytes(points, point_view(&partial->point));
        buf_add(proofs, partial->challenge, SCALAR_SIZE);
        buf_add(proofs, partial->response, SCALAR_SIZE);
}

/* What a proof speaks about, with the commitments k·G and k·R of the prover. */
struct statement {
        const struct partial_context *context;
        const struct point *r, *partial;
        struct point with_g, with_r;
};

/* The challenge is the whole digest; as a number it is taken modulo the order. */
static struct digest statement_challenge(const struct statement *statement)
{
        CLEANUP(hasher_done) struct hasher hasher = HASHER_NONE;

        /* The name of the suite stands for the curve and its generator too. */
        hasher_init(&hasher);
        hasher_add_part(&hasher, bytes_text("vouchsafe partial 1 P-256 SHA-256"));
        hasher_add(&hasher, digest_view(&statement->context->context));
        hasher_add_number(&hasher, statement->context->index);
        hasher_add(&hasher, point_view(&statement->context->public_share));
        hasher_add(&hasher, point_view(statement->r));
        hasher_add(&hasher, point_view(statement->partial));
        hasher_add(&hasher, point_view(&statement->with_g));
        hasher_add(&hasher, point_view(&statement->with_r));
        return hasher_end(&hasher);
}

/* scalar·base as a point of ours. */
static int multiply(const EC_POINT *base, const BIGNUM *scalar, struct point *ret_point)
{
        struct curve *c = curve();
        CLEANUP(EC_POINT_clear_freep) EC_POINT *product = EC_POINT_new(c->group);

        if (!product ||
            EC_POINT_mul(c->group, product, base ? NULL : scalar, base, base ? scalar : NULL, c->scratch) != 1)
                return crypto_fault("multiply");
        return PASS(point_write(product, ret_point));
}

/* response = nonce − challenge·share */
static int respond(const BIGNUM *nonce, const struct digest *challenge, const BIGNUM *share, uint8_t *ret_response)
{
        struct curve *c = curve();
        CLEANUP(BN_clear_freep) BIGNUM *number = NULL;

        TRY(number_read(challenge->data, &number));
        if (!BN_nnmod(number, number, c->order, c->scratch) ||
            !BN_mod_mul(number, number, share, c->order, c->scratch) ||
            !BN_mod_sub(number, nonce, number, c->order, c->scratch))
                return crypto_fault("answer a challenge");
        return PASS(number_write(number, ret_response));
}

int partial_make(const struct partial_context *context, const struct secret *share, const struct point *r,
                 struct partial *ret_partial)
{
        struct curve *c = curve();
        CLEANUP(EC_POINT_clear_freep) EC_POINT *base = NULL;
        CLEANUP(BN_clear_freep) BIGNUM *number = NULL, *nonce = BN_secure_new();
        struct statement statement = {.context = context, .r = r};
        struct partial partial;
        struct digest challenge;

        if (!nonce || share->len != SCALAR_SIZE)
                return crypto_fault("take a share");
        TRY(number_read(share->data, &number));
        TRY(point_read(r, &base));
        TRY(multiply(base, number, &partial.point));
        statement.partial = &partial.point;
        /* Hedged: from the share, the context and randomness, so that a bad generator alone does not give the share
         * away. */
        if (BN_generate_dsa_nonce(nonce, c->order, number, context->context.data, DIGEST_SIZE, c->scratch) != 1)
                return crypto_fault("draw a nonce");
        TRY(multiply(NULL, nonce, &statement.with_g));
        TRY(multiply(base, nonce, &statement.with_r));
        challenge = statement_challenge(&statement);
        memcpy(partial.challenge, challenge.data, SCALAR_SIZE);
        TRY(respond(nonce, &challenge, number, partial.response));
        *ret_partial = partial;
        return 0;
}

/* response·first + challenge·second, where first is G if NULL. */
static int recommit(const EC_POINT *first, const EC_POINT *second, const BIGNUM *response, const BIGNUM *challenge,
                    struct point *ret_point)
{
        struct curve *c = curve();
        CLEANUP(EC_POINT_clear_freep) EC_POINT *sum = EC_POINT_new(c->group), *other = EC_POINT_new(c->group);

        if (!sum || !other)
                return crypto_fault("make a point");
        if (!first) {
                if (EC_POINT_mul(c->group, sum, response, second, challenge, c->scratch) != 1)
                        return crypto_fault("multiply");
        } else if (EC_POINT_mul(c->group, sum, NULL, first, response, c->scratch) != 1 ||
                   EC_POINT_mul(c->group, other, NULL, second, challenge, c->scratch) != 1 ||
                   EC_POINT_add(c->group, sum, sum, other, c->scratch) != 1) {
                return crypto_fault("multiply");
        }
        return point_write(sum, ret_point);
}

static int partial_false(const struct partial_context *context)
{
        return refuse(PROBLEM_PARTIAL_FALSE, "The contribution of officer %u is false.", context->index);
}

int partial_verify(const struct partial_context *context, const struct point *r, const struct partial *partial)
{
        CLEANUP(BN_clear_freep) BIGNUM *challenge = NULL, *response = NULL;
        CLEANUP(EC_POINT_clear_freep) EC_POINT *base = NULL, *product = NULL, *public = NULL;
        struct statement statement = {.context = context, .r = r, .partial = &partial->point};
        struct digest expected;
        int result;

        TRY(number_read(partial->challenge, &challenge));
        TRY(number_read(partial->response, &response));
        TRY(point_read(r, &base));
        TRY(point_read(&partial->point, &product));
        TRY(point_read(&context->public_share, &public));
        if (!BN_nnmod(challenge, challenge, curve()->order, curve()->scratch))
                return crypto_fault("reduce a number");
        result = recommit(NULL, public, response, challenge, &statement.with_g);
        if (!result)
                result = recommit(base, product, response, challenge, &statement.with_r);
        if (result < 0)
                return PASS(result);
        if (result > 0) /* infinity, which no honest prover commits to */
                return partial_false(context);
        expected = statement_challenge(&statement);
        if (memcmp(expected.data, partial->challenge, SCALAR_SIZE) != 0)
                return partial_false(context);
        return 0;
}

/* ---- combining -------------------------------------------------------------------------------------------- */

/* Π j/(j−i) over the other indexes j, modulo the order. */
static int coefficient(const unsigned *indexes, unsigned count, unsigned position, uint8_t *ret_coefficient)
{
        struct curve *c = curve();
        CLEANUP(BN_clear_freep) BIGNUM *above = BN_new(), *below = BN_new(), *factor = BN_new();

        if (!above || !below || !factor || !BN_one(above) || !BN_one(below))
                return crypto_fault("make a number");
        for (unsigned i = 0; i < count; i++) {
                bool negative = indexes[i] < indexes[position];
                unsigned difference = negative ? indexes[position] - indexes[i] : indexes[i] - indexes[position];

                if (i == position)
                        continue;
                if (!BN_mul_word(above, indexes[i]) || !BN_nnmod(above, above, c->order, c->scratch) ||
                    !BN_set_word(factor, difference))
                        return crypto_fault("interpolate");
                BN_set_negative(factor, negative);
                if (!BN_mul(below, below, factor, c->scratch) || !BN_nnmod(below, below, c->order, c->scratch))
                        return crypto_fault("interpolate");
        }
        if (!BN_mod_inverse(below, below, c->order, c->scratch) ||
            !BN_mod_mul(above, above, below, c->order, c->scratch))
                return crypto_fault("interpolate");
        return PASS(number_write(above, ret_coefficient));
}

int combiner_init(struct combiner *combiner, const unsigned *indexes, unsigned count)
{
        struct combiner new = {.count = count};

        if (count < 1)
                return refuse(PROBLEM_QUORUM, "No officer has contributed.");
        if (count > SHARES_MOST)
                return refuse(PROBLEM_MALFORMED, "There are contributions of %u officers, at most %d are possible.",
                              count, SHARES_MOST);
        for (unsigned i = 0; i < count; i++) {
                if (indexes[i] < 1 || indexes[i] > SHARES_MOST)
                        return refuse(PROBLEM_MALFORMED, "There is no officer %u.", indexes[i]);
                for (unsigned k = 0; k < i; k++)
                        if (indexes[k] == indexes[i])
                                return refuse(PROBLEM_MALFORMED, "Officer %u has contributed twice.", indexes[i]);
        }
        for (unsigned i = 0; i < count; i++)
                TRY(coefficient(indexes, count, i, new.coefficients[i]));
        *combiner = new;
        return 0;
}

int combiner_agree(const struct combiner *combiner, const struct point *partials, struct secret *ret_x)
{
        struct curve *c = curve();
        CLEANUP(EC_POINT_clear_freep) EC_POINT *sum = EC_POINT_new(c->group), *term = EC_POINT_new(c->group);

        if (!sum || !term || !EC_POINT_set_to_infinity(c->group, sum))
                return crypto_fault("make a point");
        for (unsigned i = 0; i < combiner->count; i++) {
                CLEANUP(BN_clear_freep) BIGNUM *number = NULL;
                CLEANUP(EC_POINT_clear_freep) EC_POINT *point = NULL;

                TRY(number_read(combiner->coefficients[i], &number));
                TRY(point_read(&partials[i], &point));
                if (EC_POINT_mul(c->group, term, NULL, point, number, c->scratch) != 1 ||
                    EC_POINT_add(c->group, sum, sum, term, c->scratch) != 1)
                        return crypto_fault("combine");
        }
        return PASS(point_x(sum, ret_x));
}
