/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/curve-internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <openssl/core_names.h>
#include <openssl/params.h>

#include "base/fault.h"
#include "crypto/kdf.h"

static _Thread_local struct curve kept;

struct curve *curve(void)
{
        if (unlikely(!kept.group)) {
                kept.group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
                kept.scratch = BN_CTX_secure_new();
                if (!kept.group || !kept.scratch)
                        abort();
                kept.order = EC_GROUP_get0_order(kept.group);
        }
        return &kept;
}

int number_read(const uint8_t *bytes, BIGNUM **ret_number)
{
        CLEANUP(BN_clear_freep) BIGNUM *number = BN_secure_new();

        if (!number || !BN_bin2bn(bytes, SCALAR_SIZE, number))
                return crypto_fault("read a number");
        BN_set_flags(number, BN_FLG_CONSTTIME);
        *ret_number = TAKE(number);
        return 0;
}

int number_write(const BIGNUM *number, uint8_t *ret_bytes)
{
        if (BN_bn2binpad(number, ret_bytes, SCALAR_SIZE) != SCALAR_SIZE)
                return crypto_fault("write a number");
        return 0;
}

/*
 * The square root in a compressed point takes as long as a signature, and enrollment needs the same few points again and
 * again: the archive key, the one-time keys. Only what is a public key by nature is kept, never what officers contribute.
 */
static _Thread_local struct {
        struct point point;
        EC_POINT *read;
} known[64];

static size_t known_slot(const struct point *point)
{
        return point->data[POINT_SIZE - 1] % ARRAY_LEN(known);
}

static void known_add(const struct point *point, const EC_POINT *read)
{
        size_t slot = known_slot(point);

        if (!known[slot].read && !(known[slot].read = EC_POINT_new(curve()->group)))
                abort();
        if (EC_POINT_copy(known[slot].read, read) != 1)
                abort();
        known[slot].point = *point;
}

int point_read(const struct point *point, EC_POINT **ret_point)
{
        struct curve *c = curve();
        CLEANUP(EC_POINT_clear_freep) EC_POINT *new = EC_POINT_new(c->group);
        size_t slot = known_slot(point);

        if (!new)
                return crypto_fault("make a point");
        if (known[slot].read && bytes_equal(point_view(point), point_view(&known[slot].point))) {
                if (EC_POINT_copy(new, known[slot].read) != 1)
                        return crypto_fault("copy a point");
                *ret_point = TAKE(new);
                return 0;
        }
        if (EC_POINT_oct2point(c->group, new, point->data, POINT_SIZE, c->scratch) != 1) {
                crypto_errors_clear();
                return refuse(PROBLEM_MALFORMED, "A point is not on the curve P-256.");
        }
        *ret_point = TAKE(new);
        return 0;
}

int point_write(const EC_POINT *point, struct point *ret_point)
{
        struct curve *c = curve();
        struct point out;

        /* Infinity has another length (1), so that it ends here whatever led to it. */
        if (EC_POINT_point2oct(c->group, point, POINT_CONVERSION_COMPRESSED, out.data, POINT_SIZE, c->scratch) !=
            POINT_SIZE) {
                crypto_errors_clear();
                return refuse(PROBLEM_MALFORMED, "A result is the point at infinity.");
        }
        *ret_point = out;
        return 0;
}

static int point_parse_read(struct bytes bytes, struct point *ret_point, EC_POINT **ret_read)
{
        struct point candidate;

        if (bytes.len != POINT_SIZE || (bytes.data[0] != 2 && bytes.data[0] != 3))
                return refuse(PROBLEM_MALFORMED, "A point is not in compressed form (%zu bytes).", bytes.len);
        memcpy(candidate.data, bytes.data, POINT_SIZE);
        /* EC_POINT_oct2point() refuses x ≥ p and x that no point has, so every encoding it takes is the only one. */
        TRY(point_read(&candidate, ret_read));
        *ret_point = candidate;
        return 0;
}

int point_parse(struct bytes bytes, struct point *ret_point)
{
        CLEANUP(EC_POINT_clear_freep) EC_POINT *read = NULL;

        return PASS(point_parse_read(bytes, ret_point, &read));
}

int point_parse_key(struct bytes bytes, struct point *ret_point)
{
        CLEANUP(EC_POINT_clear_freep) EC_POINT *read = NULL;

        TRY(point_parse_read(bytes, ret_point, &read));
        known_add(ret_point, read);
        return 0;
}

int point_parse_any(struct bytes bytes, struct point *ret_point)
{
        struct curve *c = curve();
        CLEANUP(EC_POINT_clear_freep) EC_POINT *point = NULL;

        if (bytes.len != 65 || bytes.data[0] != 4)
                return point_parse(bytes, ret_point);
        point = EC_POINT_new(c->group);
        if (!point)
                return crypto_fault("make a point");
        if (EC_POINT_oct2point(c->group, point, bytes.data, bytes.len, c->scratch) != 1) {
                crypto_errors_clear();
                return refuse(PROBLEM_MALFORMED, "A point is not on the curve P-256.");
        }
        return point_write(point, ret_point);
}

int point_uncompressed(const struct point *point, uint8_t ret_bytes[static 65])
{
        CLEANUP(EC_POINT_clear_freep) EC_POINT *read = NULL;
        struct curve *c = curve();

        TRY(point_read(point, &read));
        if (EC_POINT_point2oct(c->group, read, POINT_CONVERSION_UNCOMPRESSED, ret_bytes, 65, c->scratch) != 65)
                return crypto_fault("write a point");
        return 0;
}

static const uint8_t spki_head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
                                    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};

int point_spki_parse(struct bytes spki, struct point *ret_point)
{
        if (spki.len != POINT_SPKI_SIZE || memcmp(spki.data, spki_head, sizeof(spki_head)) != 0)
                return refuse(PROBLEM_MALFORMED, "A public key is not P-256 in its DER form.");
        return PASS(point_parse_any(bytes_of(spki.data + sizeof(spki_head), 65), ret_point));
}

int scalar_random(struct secret *ret_scalar)
{
        CLEANUP(secret_done) struct secret uniform = secret_random(48);

        return scalar_from_uniform(&uniform, ret_scalar);
}

int scalar_parse(struct bytes bytes, struct secret *ret_scalar)
{
        CLEANUP(BN_clear_freep) BIGNUM *number = NULL;

        if (bytes.len != SCALAR_SIZE)
                return refuse(PROBLEM_MALFORMED, "A scalar has %zu bytes instead of %d.", bytes.len, SCALAR_SIZE);
        TRY(number_read(bytes.data, &number));
        if (BN_is_zero(number) || BN_cmp(number, curve()->order) >= 0)
                return refuse(PROBLEM_MALFORMED, "A scalar is out of range.");
        *ret_scalar = secret_copy(bytes);
        return 0;
}

int scalar_from_uniform(const struct secret *uniform48, struct secret *ret_scalar)
{
        struct curve *c = curve();
        CLEANUP(BN_clear_freep) BIGNUM *number = BN_secure_new();
        CLEANUP(BN_clear_freep) BIGNUM *less = BN_dup(c->order);
        CLEANUP(secret_done) struct secret scalar = secret_new(SCALAR_SIZE);

        if (uniform48->len != 48)
                return fault(EINVAL, "a scalar is made of 48 bytes");
        if (!number || !less || !BN_bin2bn(uniform48->data, 48, number))
                return crypto_fault("read a number");
        BN_set_flags(number, BN_FLG_CONSTTIME);
        if (!BN_sub_word(less, 1) || !BN_mod(number, number, less, c->scratch) || !BN_add_word(number, 1))
                return crypto_fault("reduce a number");
        TRY(number_write(number, scalar.data));
        *ret_scalar = secret_take(&scalar);
        return 0;
}

int point_of_scalar(const struct secret *scalar, struct point *ret_point)
{
        struct curve *c = curve();
        CLEANUP(BN_clear_freep) BIGNUM *number = NULL;
        CLEANUP(EC_POINT_clear_freep) EC_POINT *point = EC_POINT_new(c->group);

        if (!point || scalar->len != SCALAR_SIZE)
                return crypto_fault("make a point");
        TRY(number_read(scalar->data, &number));
        if (EC_POINT_mul(c->group, point, number, NULL, NULL, c->scratch) != 1)
                return crypto_fault("multiply");
        TRY(point_write(point, ret_point));
        known_add(ret_point, point);
        return 0;
}

int point_x(const EC_POINT *point, struct secret *ret_x)
{
        struct curve *c = curve();
        CLEANUP(secret_done) struct secret x = secret_new(SCALAR_SIZE);
        CLEANUP(BN_clear_freep) BIGNUM *number = BN_secure_new();

        if (!number)
                return crypto_fault("make a number");
        if (EC_POINT_is_at_infinity(c->group, point))
                return refuse(PROBLEM_MALFORMED, "A shared secret is the point at infinity.");
        if (EC_POINT_get_affine_coordinates(c->group, point, number, NULL, c->scratch) != 1)
                return crypto_fault("read a coordinate");
        TRY(number_write(number, x.data));
        *ret_x = secret_take(&x);
        return 0;
}

int point_agree(const struct secret *scalar, const struct point *point, struct secret *ret_x)
{
        struct curve *c = curve();
        CLEANUP(BN_clear_freep) BIGNUM *number = NULL;
        CLEANUP(EC_POINT_clear_freep) EC_POINT *base = NULL;
        CLEANUP(EC_POINT_clear_freep) EC_POINT *shared = EC_POINT_new(c->group);

        if (!shared || scalar->len != SCALAR_SIZE)
                return crypto_fault("make a point");
        TRY(number_read(scalar->data, &number));
        TRY(point_read(point, &base));
        known_add(point, base);
        if (EC_POINT_mul(c->group, shared, NULL, base, number, c->scratch) != 1)
                return crypto_fault("multiply");
        return PASS(point_x(shared, ret_x));
}

/* The key as libcrypto's ECDSA takes it: `scalar` may be NULL. */
static int key_make(const struct point *public, const struct secret *scalar, EVP_PKEY **ret_key)
{
        CLEANUP(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        CLEANUP(secret_done) struct secret native = SECRET_NONE;
        char name[] = "P-256";
        OSSL_PARAM params[4], *p = params;

        *p++ = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name, 0);
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)public->data, POINT_SIZE);
        if (scalar) {
                /* A number of OSSL_PARAM is in the order of the machine. */
                native = secret_new(SCALAR_SIZE);
                for (size_t i = 0; i < SCALAR_SIZE; i++)
                        native.data[__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? SCALAR_SIZE - 1 - i : i] =
                            scalar->data[i];
                *p++ = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, native.data, SCALAR_SIZE);
        }
        *p = OSSL_PARAM_construct_end();
        if (!context || EVP_PKEY_fromdata_init(context) != 1 ||
            EVP_PKEY_fromdata(context, &key, scalar ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params) != 1)
                return crypto_fault("make a key");
        *ret_key = TAKE(key);
        return 0;
}

int signature_make(const struct secret *scalar, struct bytes message, uint8_t ret_signature[static SIGNATURE_SIZE])
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        CLEANUP(EVP_MD_CTX_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
        CLEANUP(ECDSA_SIG_freep) ECDSA_SIG *signature = NULL;
        uint8_t der[80], out[SIGNATURE_SIZE];
        const uint8_t *place = der;
        size_t len = sizeof(der);
        struct point public;

        TRY(point_of_scalar(scalar, &public));
        TRY(key_make(&public, scalar, &key));
        if (!context || EVP_DigestSignInit_ex(context, NULL, "SHA256", NULL, NULL, key, NULL) != 1 ||
            EVP_DigestSign(context, der, &len, message.data, message.len) != 1)
                return crypto_fault("sign");
        signature = d2i_ECDSA_SIG(NULL, &place, (long)len);
        if (!signature)
                return crypto_fault("read its own signature");
        TRY(number_write(ECDSA_SIG_get0_r(signature), out));
        TRY(number_write(ECDSA_SIG_get0_s(signature), out + SCALAR_SIZE));
        memcpy(ret_signature, out, SIGNATURE_SIZE);
        return 0;
}

/* r ‖ s as the DER that EVP takes; NULL when it cannot be. */
static uint8_t *signature_der(struct bytes signature, size_t *ret_len)
{
        CLEANUP(ECDSA_SIG_freep) ECDSA_SIG *parsed = ECDSA_SIG_new();
        BIGNUM *r = BN_bin2bn(signature.data, SCALAR_SIZE, NULL);
        BIGNUM *s = BN_bin2bn(signature.data + SCALAR_SIZE, SCALAR_SIZE, NULL);
        uint8_t *der = NULL;
        int len;

        if (!parsed || !r || !s || ECDSA_SIG_set0(parsed, r, s) != 1) {
                BN_free(r);
                BN_free(s);
                return NULL;
        }
        len = i2d_ECDSA_SIG(parsed, &der);
        if (len <= 0)
                return NULL;
        *ret_len = (size_t)len;
        return der;
}

bool signature_right(const struct point *public_key, struct bytes message, struct bytes signature)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        CLEANUP(EVP_MD_CTX_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
        uint8_t *der;
        size_t len;
        bool right;

        if (!context || signature.len != SIGNATURE_SIZE || key_make(public_key, NULL, &key) != 0)
                return false;
        der = signature_der(signature, &len);
        if (!der)
                return false;
        /* Only 1 is right: 0 is wrong, negative is no signature at all. */
        right = EVP_DigestVerifyInit_ex(context, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
                EVP_DigestVerify(context, der, len, message.data, message.len) == 1;
        OPENSSL_free(der);
        crypto_errors_clear();
        return right;
}
