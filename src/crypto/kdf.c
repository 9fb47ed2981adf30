/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/kdf.h"

#include <argon2.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "base/fault.h"

/* Fetched once per thread: a fetch by name costs more than hashing a row. */
static _Thread_local struct {
        EVP_MD *sha256;
        EVP_MAC *hmac;
        EVP_MD_CTX *once;
        EVP_KDF_CTX *hkdf;
} kept;

/* What libcrypto can refuse here only for want of memory, or when it lacks the algorithm altogether. */
static void certain(bool ok, const char *what)
{
        if (likely(ok))
                return;
        fprintf(stderr, "libcrypto failed: %s\n", what);
        abort();
}

static void kept_open(void)
{
        EVP_KDF *kdf;

        if (likely(kept.hkdf))
                return;
        kept.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
        kept.hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
        kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
        certain(kept.sha256 && kept.hmac && kdf, "SHA-256, HMAC or HKDF is missing");
        kept.once = EVP_MD_CTX_new();
        kept.hkdf = EVP_KDF_CTX_new(kdf);
        EVP_KDF_free(kdf);
        certain(kept.once && kept.hkdf, "no memory");
}

void random_fill(void *data, size_t len)
{
        certain(len <= INT32_MAX && RAND_priv_bytes(data, (int)len) == 1, "no random bytes");
}

struct secret secret_random(size_t len)
{
        struct secret secret = secret_new(len);

        random_fill(secret.data, len);
        return secret;
}

struct digest sha256(struct bytes bytes)
{
        struct digest digest = {0};

        kept_open();
        certain(EVP_DigestInit_ex2(kept.once, kept.sha256, NULL) == 1 &&
                    EVP_DigestUpdate(kept.once, bytes.data, bytes.len) == 1 &&
                    EVP_DigestFinal_ex(kept.once, digest.data, NULL) == 1,
                "SHA-256");
        return digest;
}

static void mac_key(EVP_MAC_CTX *context, const struct secret *key)
{
        char name[] = "SHA256";
        OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                               OSSL_PARAM_construct_end()};

        certain(key->len > 0 && EVP_MAC_init(context, key->data, key->len, params) == 1, "HMAC key");
}

void hasher_init(struct hasher *hasher)
{
        EVP_MD_CTX *context = EVP_MD_CTX_new();

        kept_open();
        certain(context && EVP_DigestInit_ex2(context, kept.sha256, NULL) == 1, "SHA-256");
        *hasher = (struct hasher){context, false};
}

void hasher_init_keyed(struct hasher *hasher, const struct secret *key)
{
        EVP_MAC_CTX *context;

        kept_open();
        context = EVP_MAC_CTX_new(kept.hmac);
        certain(context != NULL, "no memory");
        mac_key(context, key);
        *hasher = (struct hasher){context, true};
}

void hasher_done(struct hasher *hasher)
{
        if (hasher->keyed)
                EVP_MAC_CTX_free(hasher->context);
        else
                EVP_MD_CTX_free(hasher->context);
        *hasher = HASHER_NONE;
}

void hasher_add(struct hasher *hasher, struct bytes bytes)
{
        if (hasher->keyed)
                certain(EVP_MAC_update(hasher->context, bytes.data, bytes.len) == 1, "HMAC");
        else
                certain(EVP_DigestUpdate(hasher->context, bytes.data, bytes.len) == 1, "SHA-256");
}

void hasher_add_number(struct hasher *hasher, uint64_t number)
{
        uint8_t bytes[8];

        for (int i = 7; i >= 0; i--, number >>= 8)
                bytes[i] = (uint8_t)number;
        hasher_add(hasher, bytes_of(bytes, sizeof(bytes)));
}

void hasher_add_part(struct hasher *hasher, struct bytes bytes)
{
        hasher_add_number(hasher, bytes.len);
        hasher_add(hasher, bytes);
}

struct digest hasher_end(struct hasher *hasher)
{
        struct digest digest = {0};
        size_t len;

        if (hasher->keyed)
                certain(EVP_MAC_final(hasher->context, digest.data, &len, DIGEST_SIZE) == 1 &&
                                EVP_MAC_init(hasher->context, NULL, 0, NULL) == 1,
                        "HMAC");
        else
                certain(EVP_DigestFinal_ex(hasher->context, digest.data, NULL) == 1 &&
                                EVP_DigestInit_ex2(hasher->context, NULL, NULL) == 1,
                        "SHA-256");
        return digest;
}

/* Not on a context that is kept: it would keep the key too. */
struct digest hmac_sha256(const struct secret *key, struct bytes bytes)
{
        CLEANUP(hasher_done) struct hasher hasher = HASHER_NONE;

        hasher_init_keyed(&hasher, key);
        hasher_add(&hasher, bytes);
        return hasher_end(&hasher);
}

struct secret hkdf(struct bytes key, struct bytes salt, struct bytes info, size_t len)
{
        struct secret out = secret_new(len);
        char name[] = "SHA256";
        OSSL_PARAM params[5], *p = params;

        kept_open();
        *p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, name, 0);
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key.data, key.len);
        if (salt.len)
                *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt.data, salt.len);
        if (info.len)
                *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info.data, info.len);
        *p = OSSL_PARAM_construct_end();
        certain(EVP_KDF_derive(kept.hkdf, out.data, len, params) == 1, "HKDF");
        EVP_KDF_CTX_reset(kept.hkdf);
        return out;
}

struct secret key_derive(const struct secret *key, const char *label)
{
        CLEANUP(buf_done) struct buf info = BUF_NONE;

        buf_add_format(&info, "vouchsafe %s", label);
        return hkdf(secret_view(key), BYTES_NONE, buf_view(&info), KEY_SIZE);
}

int password_cost_check(const struct password_cost *cost)
{
        if (cost->passes < 1 || cost->passes > PASSWORD_PASSES_MOST || cost->lanes < 1 ||
            cost->lanes > PASSWORD_LANES_MOST || cost->memory_kib < 8 * cost->lanes ||
            cost->memory_kib > PASSWORD_MEMORY_MOST_KIB)
                return refuse(PROBLEM_UNSUPPORTED,
                              "The cost of the password (%u KiB, %u passes, %u lanes) is out of bounds.",
                              cost->memory_kib, cost->passes, cost->lanes);
        return 0;
}

int password_derive(struct bytes password, struct bytes salt, const struct password_cost *cost, struct secret *ret_key)
{
        CLEANUP(secret_done) struct secret key = secret_new(KEY_SIZE);
        argon2_context context = {
                .out = key.data,
                .outlen = KEY_SIZE,
                .pwd = (uint8_t *)password.data,
                .salt = (uint8_t *)salt.data,
                .saltlen = (uint32_t)salt.len,
                .t_cost = cost->passes,
                .m_cost = cost->memory_kib,
                .lanes = cost->lanes,
                .threads = 1, /* the keeper's sandbox permits no threads */
                .version = ARGON2_VERSION_13,
                .flags = ARGON2_DEFAULT_FLAGS,
        };
        int error;

        TRY(password_cost_check(cost));
        if (password.len > 64 * 1024)
                return refuse(PROBLEM_TOO_LARGE, "The password is longer than 64 KiB.");
        context.pwdlen = (uint32_t)password.len;
        error = argon2id_ctx(&context);
        if (error != ARGON2_OK)
                return fault(error == ARGON2_MEMORY_ALLOCATION_ERROR ? ENOMEM : EINVAL, "argon2id with %u KiB: %s",
                             cost->memory_kib, argon2_error_message(error));
        *ret_key = secret_take(&key);
        return 0;
}
