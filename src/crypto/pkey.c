/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/pkey.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "base/mem.h"
#include "crypto/der.h"
#include "crypto/oid.h"
#include "crypto/pkey-internal.h"

enum { HASH_MOST = 48 };

static const struct {
        const char *name;
        unsigned rsa_bits;
} types[] = {
        [PKEY_P256] = {"p256", 0},       [PKEY_P384] = {"p384", 0},       [PKEY_ED25519] = {"ed25519", 0},
        [PKEY_RSA2048] = {"rsa2048", 2048}, [PKEY_RSA3072] = {"rsa3072", 3072}, [PKEY_RSA4096] = {"rsa4096", 4096},
        [PKEY_RSA_OTHER] = {"rsa", 0},
};

const char *pkey_type_name(enum pkey_type type)
{
        return type > PKEY_NONE && type < ARRAY_LEN(types) ? types[type].name : "none";
}

enum pkey_type pkey_type_from_name(const char *name)
{
        for (enum pkey_type type = PKEY_P256; type < PKEY_RSA_OTHER; type++)
                if (strcmp(types[type].name, name) == 0)
                        return type;
        return PKEY_NONE;
}

enum pkey_type rsa_type(unsigned bits)
{
        for (enum pkey_type type = PKEY_RSA2048; type < PKEY_RSA_OTHER; type++)
                if (types[type].rsa_bits == bits)
                        return type;
        return bits >= 2048 && bits <= 8192 ? PKEY_RSA_OTHER : PKEY_NONE;
}

enum pkey_type pkey_type_of(const EVP_PKEY *key)
{
        char group[32];

        switch (EVP_PKEY_get_base_id(key)) {
        case EVP_PKEY_RSA:
                return rsa_type((unsigned)EVP_PKEY_get_bits(key));
        case EVP_PKEY_ED25519:
                return PKEY_ED25519;
        case EVP_PKEY_EC:
                if (EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1)
                        return PKEY_NONE;
                if (strcmp(group, SN_X9_62_prime256v1) == 0 || strcmp(group, "P-256") == 0)
                        return PKEY_P256;
                if (strcmp(group, SN_secp384r1) == 0 || strcmp(group, "P-384") == 0)
                        return PKEY_P384;
                return PKEY_NONE;
        default:
                return PKEY_NONE;
        }
}

const struct curve *pkey_curve(enum pkey_type type)
{
        static struct curve p256 = {"P-256", &oid_p256, 32, NULL, NULL};
        static struct curve p384 = {"P-384", &oid_p384, 48, NULL, NULL};
        struct curve *curve = type == PKEY_P256 ? &p256 : &p384;

        if (!curve->parameters) {
                OSSL_PARAM params[] = {
                        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)curve->name, 0),
                        OSSL_PARAM_END};
                CLEANUP(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);

                if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
                    EVP_PKEY_fromdata(ctx, &curve->parameters, EVP_PKEY_KEY_PARAMETERS, params) != 1)
                        abort();
                curve->group = EC_GROUP_new_by_curve_name(type == PKEY_P256 ? NID_X9_62_prime256v1 : NID_secp384r1);
                if (!curve->group)
                        abort();
        }
        return curve;
}

int pkey_generate(enum pkey_type type, EVP_PKEY **ret_key)
{
        bool is_ec = type == PKEY_P256 || type == PKEY_P384;
        CLEANUP(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = NULL;
        EVP_PKEY *key = NULL;

        if (type <= PKEY_NONE || type >= PKEY_RSA_OTHER)
                return refuse(PROBLEM_UNSUPPORTED, "Keys of this type are not made here.");
        /* A curve that is named is built anew each time, which takes as long as making the key. */
        if (is_ec)
                ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey_curve(type)->parameters, NULL);
        else
                ctx = EVP_PKEY_CTX_new_from_name(NULL, pkey_type_is_rsa(type) ? "RSA" : "ED25519", NULL);
        if (!ctx || EVP_PKEY_keygen_init(ctx) != 1 ||
            (types[type].rsa_bits && EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)types[type].rsa_bits) != 1) ||
            EVP_PKEY_generate(ctx, &key) != 1)
                return crypto_fault("A key could not be made");
        *ret_key = key;
        return 0;
}

/* ---- signatures */

static const EVP_MD *signature_digest(enum pkey_type type)
{
        return type == PKEY_P384 ? crypto_sha384() : crypto_sha256();
}

static int context_init(EVP_PKEY *key, const EVP_MD *md, bool sign, EVP_PKEY_CTX **ret_ctx)
{
        CLEANUP(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);

        if (!ctx || (sign ? EVP_PKEY_sign_init(ctx) : EVP_PKEY_verify_init(ctx)) != 1 ||
            EVP_PKEY_CTX_set_signature_md(ctx, md) != 1)
                return crypto_fault("A signature could not be started");
        *ret_ctx = TAKE(ctx);
        return 0;
}

static int sign_hash(EVP_PKEY *key, const EVP_MD *md, const uint8_t *hash, struct buf *ret_signature)
{
        CLEANUP(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = NULL;
        CLEANUP(buf_done) struct buf signature = BUF_NONE;
        size_t len = (size_t)EVP_PKEY_get_size(key);

        TRY(context_init(key, md, true, &ctx));
        buf_reserve(&signature, len);
        if (EVP_PKEY_sign(ctx, signature.data, &len, hash, (size_t)EVP_MD_get_size(md)) != 1)
                return crypto_fault("A signature could not be made");
        buf_extend(&signature, len);
        *ret_signature = buf_take(&signature);
        return 0;
}

static int does_not_verify(void)
{
        crypto_errors_clear();
        return refuse(PROBLEM_UNAUTHENTICATED, "The signature does not verify with this key.");
}

static int verify_hash(EVP_PKEY *key, const EVP_MD *md, const uint8_t *hash, struct bytes signature)
{
        CLEANUP(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = NULL;

        TRY(context_init(key, md, false, &ctx));
        if (!signature.len ||
            EVP_PKEY_verify(ctx, signature.data, signature.len, hash, (size_t)EVP_MD_get_size(md)) != 1)
                return does_not_verify();
        return 0;
}

static int sign_pure(EVP_PKEY *key, struct bytes message, struct buf *ret_signature)
{
        CLEANUP(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        uint8_t signature[64];
        size_t len = sizeof(signature);

        if (!ctx || EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL, NULL, key, NULL) != 1 ||
            EVP_DigestSign(ctx, signature, &len, message.data, message.len) != 1)
                return crypto_fault("A signature could not be made");
        *ret_signature = buf_copy_of(bytes_of(signature, len));
        return 0;
}

static int verify_pure(EVP_PKEY *key, struct bytes message, struct bytes signature)
{
        CLEANUP(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

        if (!ctx || EVP_DigestVerifyInit_ex(ctx, NULL, NULL, NULL, NULL, key, NULL) != 1)
                return crypto_fault("A signature could not be verified");
        if (!signature.len || EVP_DigestVerify(ctx, signature.data, signature.len, message.data, message.len) != 1)
                return does_not_verify();
        return 0;
}

static int hash_message(const EVP_MD *md, struct bytes message, uint8_t *hash)
{
        if (EVP_Digest(message.data ? message.data : (const uint8_t *)"", message.len, hash, NULL, md, NULL) != 1)
                return crypto_fault("A digest could not be made");
        return 0;
}

int pkey_sign(EVP_PKEY *key, struct bytes message, struct buf *ret_signature)
{
        enum pkey_type type = pkey_type_of(key);
        uint8_t hash[HASH_MOST];

        if (type == PKEY_ED25519)
                return PASS(sign_pure(key, message, ret_signature));
        TRY(hash_message(signature_digest(type), message, hash));
        return PASS(sign_hash(key, signature_digest(type), hash, ret_signature));
}

int pkey_verify(EVP_PKEY *key, struct bytes message, struct bytes signature)
{
        enum pkey_type type = pkey_type_of(key);
        uint8_t hash[HASH_MOST];

        if (type == PKEY_ED25519)
                return PASS(verify_pure(key, message, signature));
        TRY(hash_message(signature_digest(type), message, hash));
        return PASS(verify_hash(key, signature_digest(type), hash, signature));
}

void der_add_signature_algorithm(struct buf *out, enum pkey_type type)
{
        switch (type) {
        case PKEY_P256:
                der_add_algorithm(out, oid_ecdsa_sha256, false);
                break;
        case PKEY_P384:
                der_add_algorithm(out, oid_ecdsa_sha384, false);
                break;
        case PKEY_ED25519:
                der_add_algorithm(out, oid_ed25519, false);
                break;
        default:
                der_add_algorithm(out, oid_sha256_with_rsa, true); /* RFC 4055 5: the NULL is required */
        }
}

int pkey_verify_as(EVP_PKEY *key, struct bytes algorithm, struct bytes message, struct bytes signature)
{
        static const struct {
                const struct bytes *oid;
                const char *digest;
                int key; /* base id */
        } algorithms[] = {
                {&oid_sha256_with_rsa, "SHA2-256", EVP_PKEY_RSA}, {&oid_sha384_with_rsa, "SHA2-384", EVP_PKEY_RSA},
                {&oid_sha512_with_rsa, "SHA2-512", EVP_PKEY_RSA}, {&oid_ecdsa_sha256, "SHA2-256", EVP_PKEY_EC},
                {&oid_ecdsa_sha384, "SHA2-384", EVP_PKEY_EC},     {&oid_ecdsa_sha512, "SHA2-512", EVP_PKEY_EC},
                {&oid_ed25519, NULL, EVP_PKEY_ED25519},
        };
        CLEANUP(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        struct bytes content, oid;
        size_t i = 0;

        TRY(der_read_only(algorithm, DER_SEQUENCE, &content));
        TRY(der_read_oid(&content, &oid));
        while (i < ARRAY_LEN(algorithms) && !bytes_equal(oid, *algorithms[i].oid))
                i++;
        if (i == ARRAY_LEN(algorithms) || algorithms[i].key != EVP_PKEY_get_base_id(key))
                return refuse(PROBLEM_UNSUPPORTED,
                              "The signature algorithm is unknown here, or not one for this type of key.");
        if (algorithms[i].key == EVP_PKEY_RSA)
                TRY(der_read_null(&content));
        TRY(der_finish(content));
        if (!ctx || EVP_DigestVerifyInit_ex(ctx, NULL, algorithms[i].digest, NULL, NULL, key, NULL) != 1)
                return crypto_fault("A signature could not be verified");
        if (!signature.len || EVP_DigestVerify(ctx, signature.data, signature.len, message.data, message.len) != 1)
                return does_not_verify();
        return 0;
}
