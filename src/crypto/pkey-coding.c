/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include "base/mem.h"
#include "crypto/der.h"
#include "crypto/oid.h"
#include "crypto/pkey-internal.h"

enum {
        RSA_PARTS = 8,             /* n e d p q dp dq qinv, the order of RFC 8017 A.1.2 */
        NUMBER_MOST = 1024,        /* bytes of a modulus of 8192 bits */
        PKCS8_MOST = 8 * NUMBER_MOST,
        ELEMENT_MOST = 48,
};

static const char *const rsa_names[RSA_PARTS] = {
        OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,         OSSL_PKEY_PARAM_RSA_D,
        OSSL_PKEY_PARAM_RSA_FACTOR1,   OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
        OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

static int unsupported_type(void)
{
        return refuse(PROBLEM_UNSUPPORTED, "The key is of a type or size that is not supported; use P-256, P-384, "
                                           "Ed25519 or RSA of 2048 to 8192 bits.");
}

/* ---- public keys, out */

static int rsa_number_add(const EVP_PKEY *key, const char *name, struct buf *out)
{
        CLEANUP(BN_clear_freep) BIGNUM *number = NULL;
        uint8_t bytes[NUMBER_MOST];

        if (EVP_PKEY_get_bn_param(key, name, &number) != 1 || BN_num_bytes(number) > NUMBER_MOST)
                return crypto_fault("A number of an RSA key could not be had");
        der_add_unsigned(out, bytes_of(bytes, (size_t)BN_bn2bin(number, bytes)));
        memory_wipe(bytes, sizeof(bytes));
        return 0;
}

static int ec_point_get(const EVP_PKEY *key, const struct curve *curve, uint8_t *point)
{
        size_t len;

        if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * ELEMENT_MOST, &len) != 1)
                return crypto_fault("The point of a key could not be had");
        if (len != 1 + 2 * curve->size)
                return fault(0, "OpenSSL gives a point in another form than the uncompressed one");
        return 0;
}

static void ec_spki_add(struct buf *out, const struct curve *curve, const uint8_t *point)
{
        size_t spki = der_begin(out, DER_SEQUENCE), algorithm = der_begin(out, DER_SEQUENCE);

        der_add_oid(out, oid_ec_public_key);
        der_add_oid(out, *curve->oid);
        der_end(out, algorithm);
        der_add_bits(out, bytes_of(point, 1 + 2 * curve->size));
        der_end(out, spki);
}

static int rsa_spki_add(struct buf *out, const EVP_PKEY *key)
{
        size_t spki = der_begin(out, DER_SEQUENCE), bits, numbers;

        der_add_algorithm(out, oid_rsa_encryption, true);
        bits = der_begin_bits(out);
        numbers = der_begin(out, DER_SEQUENCE);
        TRY(rsa_number_add(key, rsa_names[0], out));
        TRY(rsa_number_add(key, rsa_names[1], out));
        der_end(out, numbers);
        der_end(out, bits);
        der_end(out, spki);
        return 0;
}

static int ed25519_spki_add(struct buf *out, const EVP_PKEY *key)
{
        uint8_t raw[32];
        size_t len = sizeof(raw), spki;

        if (EVP_PKEY_get_raw_public_key(key, raw, &len) != 1 || len != sizeof(raw))
                return crypto_fault("An Ed25519 public key could not be had");
        spki = der_begin(out, DER_SEQUENCE);
        der_add_algorithm(out, oid_ed25519, false);
        der_add_bits(out, bytes_of(raw, len));
        der_end(out, spki);
        return 0;
}

int pkey_to_spki(const EVP_PKEY *key, struct buf *ret_spki)
{
        enum pkey_type type = pkey_type_of(key);
        CLEANUP(buf_done) struct buf spki = BUF_NONE;
        uint8_t point[1 + 2 * ELEMENT_MOST];

        if (type == PKEY_NONE)
                return unsupported_type();
        if (pkey_type_is_rsa(type)) {
                TRY(rsa_spki_add(&spki, key));
        } else if (type == PKEY_ED25519) {
                TRY(ed25519_spki_add(&spki, key));
        } else {
                TRY(ec_point_get(key, pkey_curve(type), point));
                ec_spki_add(&spki, pkey_curve(type), point);
        }
        *ret_spki = buf_take(&spki);
        return 0;
}

int point_to_spki(const struct point *point, struct buf *ret_spki)
{
        uint8_t uncompressed[65];
        struct buf spki = BUF_NONE;

        TRY(point_uncompressed(point, uncompressed));
        ec_spki_add(&spki, pkey_curve(PKEY_P256), uncompressed);
        *ret_spki = spki;
        return 0;
}

/* ---- public keys, in */

struct spki_parts {
        struct bytes oid, parameters; /* parameters: what follows the OID */
        struct bytes key;
};

static int spki_split(struct bytes spki, struct spki_parts *ret_parts)
{
        struct spki_parts parts;
        struct bytes content;

        TRY(der_read_only(spki, DER_SEQUENCE, &content));
        TRY(der_read(&content, DER_SEQUENCE, &parts.parameters));
        TRY(der_read_oid(&parts.parameters, &parts.oid));
        TRY(der_read_bits(&content, &parts.key));
        TRY(der_finish(content));
        *ret_parts = parts;
        return 0;
}

static int curve_of_parameters(struct bytes parameters, enum pkey_type *ret_type)
{
        struct bytes name;

        TRY(der_read_oid(&parameters, &name)); /* RFC 5480 2.1.1: named curves only */
        TRY(der_finish(parameters));
        if (!bytes_equal(name, oid_p256) && !bytes_equal(name, oid_p384))
                return unsupported_type();
        *ret_type = bytes_equal(name, oid_p256) ? PKEY_P256 : PKEY_P384;
        return 0;
}

/* A modulus of two large primes has none of these; one that was altered mostly has. */
static bool has_small_factor(const BIGNUM *n)
{
        static const uint8_t primes[] = {3,  5,  7,  11, 13, 17, 19, 23, 29, 31, 37, 41,
                                         43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97};

        for (size_t i = 0; i < sizeof(primes); i++)
                if (BN_mod_word(n, primes[i]) == 0)
                        return true;
        return false;
}

static int rsa_numbers_check(struct bytes n, struct bytes e, enum pkey_type *ret_type)
{
        CLEANUP(BN_clear_freep) BIGNUM *modulus = NULL;
        uint64_t exponent = 0;
        enum pkey_type type;

        if (n.len > NUMBER_MOST)
                return unsupported_type();
        if (e.len > 8)
                return refuse(PROBLEM_UNSUPPORTED, "The exponent of the RSA key is over 64 bits.");
        for (size_t i = 0; i < e.len; i++)
                exponent = exponent << 8 | e.data[i];
        if (exponent < 65537 || !(exponent & 1))
                return refuse(PROBLEM_MALFORMED, "The exponent of the RSA key is even or below 65537.");
        modulus = BN_bin2bn(n.data, (int)n.len, NULL);
        if (!modulus)
                return crypto_fault("A number could not be read");
        type = rsa_type((unsigned)BN_num_bits(modulus));
        if (type == PKEY_NONE)
                return unsupported_type();
        if (!BN_is_odd(modulus) || has_small_factor(modulus))
                return refuse(PROBLEM_MALFORMED, "The modulus of the RSA key has a small factor.");
        *ret_type = type;
        return 0;
}

static int rsa_public_split(struct spki_parts parts, struct bytes *ret_n, struct bytes *ret_e)
{
        struct bytes content, n, e;

        TRY(der_read_null(&parts.parameters));
        TRY(der_finish(parts.parameters));
        TRY(der_read_only(parts.key, DER_SEQUENCE, &content));
        TRY(der_read_unsigned(&content, &n));
        TRY(der_read_unsigned(&content, &e));
        TRY(der_finish(content));
        *ret_n = n;
        *ret_e = e;
        return 0;
}

/* Numbers go into OpenSSL in the order of a little-endian machine; `place` is moved past what was used. */
static OSSL_PARAM number_param(const char *name, struct bytes number, uint8_t **place)
{
        uint8_t *at = *place;

        for (size_t i = 0; i < number.len; i++)
                at[i] = number.data[number.len - 1 - i];
        *place += number.len;
        return OSSL_PARAM_construct_BN(name, at, number.len);
}

static int from_data(const char *algorithm, int selection, OSSL_PARAM *params, EVP_PKEY **ret_key)
{
        CLEANUP(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, algorithm, NULL);
        EVP_PKEY *key = NULL;

        if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1)
                return crypto_fault("A key could not be read");
        if (EVP_PKEY_fromdata(ctx, &key, selection, params) != 1) {
                crypto_errors_clear();
                return refuse(PROBLEM_MALFORMED, "The parts of the key do not make a key.");
        }
        *ret_key = key;
        return 0;
}

static int rsa_from_public(struct spki_parts parts, EVP_PKEY **ret_key)
{
        uint8_t numbers[NUMBER_MOST + 8], *place = numbers;
        enum pkey_type type;
        struct bytes n, e;

        TRY(rsa_public_split(parts, &n, &e));
        TRY(rsa_numbers_check(n, e, &type));
        OSSL_PARAM params[] = {number_param(rsa_names[0], n, &place), number_param(rsa_names[1], e, &place),
                               OSSL_PARAM_END};
        return PASS(from_data("RSA", EVP_PKEY_PUBLIC_KEY, params, ret_key));
}

/* Uncompressed: RFC 5480 2.2 permits the other form, but nobody uses it, and it would give a key two encodings. */
static int ec_from_public(enum pkey_type type, struct bytes point, EVP_PKEY **ret_key)
{
        const struct curve *curve = pkey_curve(type);
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = EVP_PKEY_new();

        if (!key || EVP_PKEY_copy_parameters(key, curve->parameters) != 1)
                return crypto_fault("A key could not be read");
        if (point.len != 1 + 2 * curve->size || point.data[0] != POINT_CONVERSION_UNCOMPRESSED ||
            EVP_PKEY_set1_encoded_public_key(key, point.data, point.len) != 1) {
                crypto_errors_clear();
                return refuse(PROBLEM_MALFORMED, "The public key is not a point of the curve %s.", curve->name);
        }
        *ret_key = TAKE(key);
        return 0;
}

static int ed25519_from_public(struct spki_parts parts, EVP_PKEY **ret_key)
{
        EVP_PKEY *key;

        TRY(der_finish(parts.parameters)); /* RFC 8410 3: absent */
        if (parts.key.len != 32)
                return refuse(PROBLEM_MALFORMED, "The Ed25519 public key is not 32 bytes long.");
        key = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, parts.key.data, parts.key.len);
        if (!key)
                return crypto_fault("A key could not be read");
        *ret_key = key;
        return 0;
}

int pkey_from_spki(struct bytes spki, EVP_PKEY **ret_key)
{
        struct spki_parts parts;
        enum pkey_type type;

        TRY(spki_split(spki, &parts));
        if (bytes_equal(parts.oid, oid_rsa_encryption))
                return PASS(rsa_from_public(parts, ret_key));
        if (bytes_equal(parts.oid, oid_ed25519))
                return PASS(ed25519_from_public(parts, ret_key));
        if (!bytes_equal(parts.oid, oid_ec_public_key))
                return unsupported_type();
        TRY(curve_of_parameters(parts.parameters, &type));
        return PASS(ec_from_public(type, parts.key, ret_key));
}

int spki_type(struct bytes spki, enum pkey_type *ret_type)
{
        struct spki_parts parts;
        struct bytes n, e;

        TRY(spki_split(spki, &parts));
        if (bytes_equal(parts.oid, oid_ec_public_key))
                return PASS(curve_of_parameters(parts.parameters, ret_type));
        if (bytes_equal(parts.oid, oid_rsa_encryption)) {
                TRY(rsa_public_split(parts, &n, &e));
                return PASS(rsa_numbers_check(n, e, ret_type));
        }
        if (!bytes_equal(parts.oid, oid_ed25519))
                return unsupported_type();
        *ret_type = PKEY_ED25519;
        return 0;
}

int spki_key_id(struct bytes spki, uint8_t ret_id[static KEY_ID_SIZE])
{
        struct spki_parts parts;
        struct digest digest;

        TRY(spki_split(spki, &parts));
        digest = sha256(parts.key);
        memcpy(ret_id, digest.data, KEY_ID_SIZE);
        return 0;
}

int pkey_to_point(const EVP_PKEY *key, struct point *ret_point)
{
        uint8_t uncompressed[1 + 2 * ELEMENT_MOST];

        if (pkey_type_of(key) != PKEY_P256)
                return refuse(PROBLEM_UNSUPPORTED, "The key is not of the curve P-256.");
        TRY(ec_point_get(key, pkey_curve(PKEY_P256), uncompressed));
        return PASS(point_parse_any(bytes_of(uncompressed, 65), ret_point));
}

/* ---- private keys, out: written into locked memory of a fixed size, which a buffer only borrows */

static int ec_scalar_get(const EVP_PKEY *key, const struct curve *curve, struct secret *ret_scalar)
{
        CLEANUP(BN_clear_freep) BIGNUM *number = NULL;
        CLEANUP(secret_done) struct secret scalar = secret_new(curve->size);

        if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &number) != 1 ||
            BN_bn2binpad(number, scalar.data, (int)scalar.len) != (int)scalar.len)
                return crypto_fault("A private key could not be had");
        *ret_scalar = secret_take(&scalar);
        return 0;
}

int pkey_to_scalar(const EVP_PKEY *key, struct secret *ret_scalar)
{
        if (pkey_type_of(key) != PKEY_P256)
                return refuse(PROBLEM_UNSUPPORTED, "The key is not of the curve P-256.");
        return PASS(ec_scalar_get(key, pkey_curve(PKEY_P256), ret_scalar));
}

static int ec_private_add(struct buf *out, const EVP_PKEY *key, const struct curve *curve)
{
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE;
        uint8_t point[1 + 2 * ELEMENT_MOST];
        size_t algorithm, octets, sequence, public;

        TRY(ec_scalar_get(key, curve, &scalar));
        TRY(ec_point_get(key, curve, point));
        algorithm = der_begin(out, DER_SEQUENCE);
        der_add_oid(out, oid_ec_public_key);
        der_add_oid(out, *curve->oid);
        der_end(out, algorithm);
        octets = der_begin(out, DER_OCTET_STRING);
        sequence = der_begin(out, DER_SEQUENCE);
        der_add_small(out, 1);
        der_add(out, DER_OCTET_STRING, secret_view(&scalar));
        public = der_begin(out, DER_CONTEXT_CONSTRUCTED(1));
        der_add_bits(out, bytes_of(point, 1 + 2 * curve->size));
        der_end(out, public);
        der_end(out, sequence);
        der_end(out, octets);
        return 0;
}

static int rsa_private_add(struct buf *out, const EVP_PKEY *key)
{
        size_t octets, sequence;

        der_add_algorithm(out, oid_rsa_encryption, true);
        octets = der_begin(out, DER_OCTET_STRING);
        sequence = der_begin(out, DER_SEQUENCE);
        der_add_small(out, 0);
        for (size_t i = 0; i < RSA_PARTS; i++)
                TRY(rsa_number_add(key, rsa_names[i], out));
        der_end(out, sequence);
        der_end(out, octets);
        return 0;
}

static int ed25519_private_add(struct buf *out, const EVP_PKEY *key)
{
        CLEANUP(secret_done) struct secret raw = secret_new(32);
        size_t octets;

        if (EVP_PKEY_get_raw_private_key(key, raw.data, &raw.len) != 1 || raw.len != 32)
                return crypto_fault("A private key could not be had");
        der_add_algorithm(out, oid_ed25519, false);
        octets = der_begin(out, DER_OCTET_STRING);
        der_add(out, DER_OCTET_STRING, secret_view(&raw));
        der_end(out, octets);
        return 0;
}

int pkey_to_pkcs8(const EVP_PKEY *key, struct secret *ret_pkcs8)
{
        enum pkey_type type = pkey_type_of(key);
        CLEANUP(secret_done) struct secret memory = secret_new(pkey_type_is_rsa(type) ? PKCS8_MOST : 512);
        struct buf out = {memory.data, 0, memory.len};
        size_t info = der_begin(&out, DER_SEQUENCE);

        if (type == PKEY_NONE)
                return unsupported_type();
        der_add_small(&out, 0);
        if (pkey_type_is_rsa(type))
                TRY(rsa_private_add(&out, key));
        else if (type == PKEY_ED25519)
                TRY(ed25519_private_add(&out, key));
        else
                TRY(ec_private_add(&out, key, pkey_curve(type)));
        der_end(&out, info);
        *ret_pkcs8 = secret_copy(buf_view(&out));
        return 0;
}

/* ---- private keys, in */

static int public_of_scalar(const struct curve *curve, struct bytes scalar, uint8_t *point)
{
        CLEANUP(BN_clear_freep) BIGNUM *number = BN_bin2bn(scalar.data, (int)scalar.len, NULL);
        CLEANUP(EC_POINT_clear_freep) EC_POINT *product = EC_POINT_new(curve->group);

        if (!number || !product)
                return crypto_fault("A private key could not be read");
        if (BN_is_zero(number) || BN_cmp(number, EC_GROUP_get0_order(curve->group)) >= 0)
                return refuse(PROBLEM_MALFORMED, "The private key is not a number from 1 to the order of the curve.");
        BN_set_flags(number, BN_FLG_CONSTTIME);
        if (EC_POINT_mul(curve->group, product, number, NULL, NULL, NULL) != 1 ||
            EC_POINT_point2oct(curve->group, product, POINT_CONVERSION_UNCOMPRESSED, point, 1 + 2 * curve->size,
                               NULL) == 0)
                return crypto_fault("A public key could not be computed");
        return 0;
}

static int ec_from_scalar(const struct curve *curve, struct bytes scalar, struct bytes public, EVP_PKEY **ret_key)
{
        CLEANUP(secret_done) struct secret reversed = SECRET_NONE;
        uint8_t point[1 + 2 * ELEMENT_MOST], *place;

        if (scalar.len != curve->size)
                return refuse(PROBLEM_MALFORMED, "The private key is not %zu bytes long.", curve->size);
        TRY(public_of_scalar(curve, scalar, point));
        if (public.data && !bytes_equal(public, bytes_of(point, 1 + 2 * curve->size)))
                return refuse(PROBLEM_MALFORMED, "The public key does not belong to the private key.");
        reversed = secret_new(scalar.len);
        place = reversed.data;
        OSSL_PARAM params[] = {
                OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)curve->name, 0),
                OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * curve->size),
                number_param(OSSL_PKEY_PARAM_PRIV_KEY, scalar, &place),
                OSSL_PARAM_END,
        };
        return PASS(from_data("EC", EVP_PKEY_KEYPAIR, params, ret_key));
}

int pkey_from_scalar(const struct secret *scalar, EVP_PKEY **ret_key)
{
        return PASS(ec_from_scalar(pkey_curve(PKEY_P256), secret_view(scalar), BYTES_NONE, ret_key));
}

/* RFC 5915: ECPrivateKey; the curve is named outside, and if inside, the same. */
static int ec_from_private(enum pkey_type type, struct bytes octets, EVP_PKEY **ret_key)
{
        struct bytes content, scalar, wrapped, public = BYTES_NONE;
        enum pkey_type inner;
        uint64_t version;

        TRY(der_read_only(octets, DER_SEQUENCE, &content));
        TRY(der_read_small(&content, 1, &version));
        TRY(der_read(&content, DER_OCTET_STRING, &scalar));
        if (der_is(content, DER_CONTEXT_CONSTRUCTED(0))) {
                TRY(der_read(&content, DER_CONTEXT_CONSTRUCTED(0), &wrapped));
                TRY(curve_of_parameters(wrapped, &inner));
                if (inner != type)
                        return refuse(PROBLEM_MALFORMED, "The private key names two different curves.");
        }
        if (der_is(content, DER_CONTEXT_CONSTRUCTED(1))) {
                TRY(der_read(&content, DER_CONTEXT_CONSTRUCTED(1), &wrapped));
                TRY(der_read_bits(&wrapped, &public));
                TRY(der_finish(wrapped));
        }
        TRY(der_finish(content));
        if (version != 1)
                return refuse(PROBLEM_MALFORMED, "The private key is not of version 1.");
        return PASS(ec_from_scalar(pkey_curve(type), scalar, public, ret_key));
}

static int rsa_factors_check(const struct bytes parts[static RSA_PARTS])
{
        CLEANUP(BN_CTX_freep) BN_CTX *ctx = BN_CTX_new();
        CLEANUP(BN_clear_freep) BIGNUM *n = BN_bin2bn(parts[0].data, (int)parts[0].len, NULL);
        CLEANUP(BN_clear_freep) BIGNUM *p = BN_bin2bn(parts[3].data, (int)parts[3].len, NULL);
        CLEANUP(BN_clear_freep) BIGNUM *q = BN_bin2bn(parts[4].data, (int)parts[4].len, NULL);
        CLEANUP(BN_clear_freep) BIGNUM *product = BN_new();

        if (!ctx || !n || !p || !q || !product || BN_mul(product, p, q, ctx) != 1)
                return crypto_fault("An RSA key could not be read");
        if (BN_is_one(p) || BN_is_one(q) || BN_cmp(product, n) != 0)
                return refuse(PROBLEM_MALFORMED, "The factors of the RSA key do not make its modulus.");
        return 0;
}

/* RFC 8017 A.1.2: two primes; OpenSSL gets all the parts, so that it uses the Chinese remainder theorem. */
static int rsa_from_private(struct bytes octets, EVP_PKEY **ret_key)
{
        CLEANUP(secret_done) struct secret numbers = SECRET_NONE;
        struct bytes content, parts[RSA_PARTS];
        OSSL_PARAM params[RSA_PARTS + 1];
        enum pkey_type type;
        uint64_t version;
        uint8_t *place;

        TRY(der_read_only(octets, DER_SEQUENCE, &content));
        TRY(der_read_small(&content, 1, &version));
        if (version != 0)
                return refuse(PROBLEM_UNSUPPORTED, "The RSA key has more than two primes.");
        for (size_t i = 0; i < RSA_PARTS; i++) {
                TRY(der_read_unsigned(&content, &parts[i]));
                if (parts[i].len > NUMBER_MOST)
                        return unsupported_type();
        }
        TRY(der_finish(content));
        TRY(rsa_numbers_check(parts[0], parts[1], &type));
        TRY(rsa_factors_check(parts));
        numbers = secret_new(RSA_PARTS * NUMBER_MOST);
        place = numbers.data;
        for (size_t i = 0; i < RSA_PARTS; i++)
                params[i] = number_param(rsa_names[i], parts[i], &place);
        params[RSA_PARTS] = OSSL_PARAM_construct_end();
        return PASS(from_data("RSA", EVP_PKEY_KEYPAIR, params, ret_key));
}

static int ed25519_from_private(struct bytes octets, EVP_PKEY **ret_key)
{
        struct bytes raw;
        EVP_PKEY *key;

        TRY(der_read_only(octets, DER_OCTET_STRING, &raw)); /* RFC 8410 7: CurvePrivateKey */
        if (raw.len != 32)
                return refuse(PROBLEM_MALFORMED, "The Ed25519 private key is not 32 bytes long.");
        key = EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, raw.data, raw.len);
        if (!key)
                return crypto_fault("A private key could not be read");
        *ret_key = key;
        return 0;
}

int pkey_from_pkcs8(struct bytes pkcs8, EVP_PKEY **ret_key)
{
        struct bytes content, parameters, oid, octets, attributes;
        enum pkey_type type;
        uint64_t version;

        TRY(der_read_only(pkcs8, DER_SEQUENCE, &content));
        TRY(der_read_small(&content, UINT64_MAX, &version));
        if (version != 0)
                return refuse(PROBLEM_UNSUPPORTED, "The private key is not PKCS#8 of version 1.");
        TRY(der_read(&content, DER_SEQUENCE, &parameters));
        TRY(der_read_oid(&parameters, &oid));
        TRY(der_read(&content, DER_OCTET_STRING, &octets));
        if (der_is(content, DER_CONTEXT_CONSTRUCTED(0))) /* attributes, as NSS adds them */
                TRY(der_read(&content, DER_CONTEXT_CONSTRUCTED(0), &attributes));
        TRY(der_finish(content));
        if (bytes_equal(oid, oid_rsa_encryption)) {
                TRY(der_read_null(&parameters));
                TRY(der_finish(parameters));
                return PASS(rsa_from_private(octets, ret_key));
        }
        if (bytes_equal(oid, oid_ed25519)) {
                TRY(der_finish(parameters));
                return PASS(ed25519_from_private(octets, ret_key));
        }
        if (!bytes_equal(oid, oid_ec_public_key))
                return unsupported_type();
        TRY(curve_of_parameters(parameters, &type));
        return PASS(ec_from_private(type, octets, ret_key));
}
