/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/seal.h"

#include <limits.h>
#include "base/fault.h"
#include "crypto/aead.h"
#include "crypto/crypto.h"

enum { SUITE = 1 };

/* ---- AES-256-GCM ------------------------------------------------------------------------------------------ */

static _Thread_local struct {
        EVP_CIPHER *cipher;
        EVP_CIPHER_CTX *context;
} kept;

static int aead_start(const struct secret *key, const uint8_t *nonce, struct bytes associated, struct bytes data,
                      bool encrypt)
{
        int len;

        if (!kept.context) {
                kept.cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
                kept.context = EVP_CIPHER_CTX_new();
        }
        if (!kept.cipher || !kept.context || key->len != 32)
                return crypto_fault("AES-256-GCM");
        if (data.len > INT_MAX || associated.len > INT_MAX)
                return refuse(PROBLEM_TOO_LARGE, "What is to be sealed is larger than 2 GiB.");
        if (EVP_CipherInit_ex2(kept.context, kept.cipher, key->data, nonce, encrypt, NULL) != 1 ||
            (associated.len && EVP_CipherUpdate(kept.context, NULL, &len, associated.data, (int)associated.len) != 1))
                return crypto_fault("start AES-256-GCM");
        return 0;
}

/* The key does not stay in the context that is kept. */
static void aead_end(void *unused)
{
        EVP_CIPHER_CTX_reset(kept.context);
}

int aead_encrypt(const struct secret *key, const uint8_t nonce[static AEAD_NONCE_SIZE], struct bytes associated,
                 struct bytes plain, struct buf *out)
{
        CLEANUP(aead_end) int scope = 0;
        int len = 0;

        (void)scope;
        TRY(aead_start(key, nonce, associated, plain, true));
        buf_reserve(out, plain.len + AEAD_TAG_SIZE);
        if ((plain.len &&
             EVP_CipherUpdate(kept.context, out->data + out->len, &len, plain.data, (int)plain.len) != 1) ||
            EVP_CipherFinal_ex(kept.context, out->data + out->len + plain.len, &len) != 1 ||
            EVP_CIPHER_CTX_ctrl(kept.context, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_SIZE,
                                out->data + out->len + plain.len) != 1)
                return crypto_fault("encrypt");
        buf_extend(out, plain.len + AEAD_TAG_SIZE);
        return 0;
}

int aead_decrypt(const struct secret *key, const uint8_t nonce[static AEAD_NONCE_SIZE], struct bytes associated,
                 struct bytes sealed, struct secret *ret_plain)
{
        CLEANUP(aead_end) int scope = 0;
        CLEANUP(secret_done) struct secret plain = SECRET_NONE;
        uint8_t none[1], tag[AEAD_TAG_SIZE];
        size_t size = sealed.len - AEAD_TAG_SIZE;
        int len = 0;

        (void)scope;
        if (sealed.len < AEAD_TAG_SIZE)
                return refuse(PROBLEM_MALFORMED, "What is sealed is cut off.");
        TRY(aead_start(key, nonce, associated, sealed, false));
        plain = secret_new(size);
        memcpy(tag, sealed.data + size, AEAD_TAG_SIZE);
        if (size && EVP_CipherUpdate(kept.context, plain.data, &len, sealed.data, (int)size) != 1)
                return crypto_fault("decrypt");
        if (EVP_CIPHER_CTX_ctrl(kept.context, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_SIZE, tag) != 1 ||
            EVP_CipherFinal_ex(kept.context, none, &len) != 1)
                return refuse(PROBLEM_TAMPERED, "What is sealed does not open: it was altered, or belongs elsewhere.");
        *ret_plain = secret_take(&plain);
        return 0;
}

/* ---- under a key ------------------------------------------------------------------------------------------ */

static void associated_add(struct buf *out, const char *format, struct bytes head, struct bytes context)
{
        buf_add_text(out, format);
        buf_add_byte(out, 0);
        buf_add_bytes(out, head); /* of fixed length in each format */
        buf_add_bytes(out, context);
}

int seal(const struct secret *key, struct bytes context, struct bytes plain, struct buf *out)
{
        CLEANUP(buf_done) struct buf associated = BUF_NONE;
        static const uint8_t suite[] = {SUITE};
        uint8_t nonce[AEAD_NONCE_SIZE];
        size_t before = out->len;
        int r;

        random_fill(nonce, sizeof(nonce));
        associated_add(&associated, "vouchsafe seal", bytes_of(suite, 1), context);
        buf_add(out, suite, 1);
        buf_add(out, nonce, sizeof(nonce));
        r = aead_encrypt(key, nonce, buf_view(&associated), plain, out);
        if (r)
                buf_truncate(out, before);
        return PASS(r);
}

int seal_open(const struct secret *key, struct bytes context, struct bytes sealed, struct secret *ret_plain)
{
        CLEANUP(buf_done) struct buf associated = BUF_NONE;

        if (sealed.len < SEAL_OVERHEAD)
                return refuse(PROBLEM_MALFORMED, "What is sealed is cut off (%zu bytes).", sealed.len);
        if (sealed.data[0] != SUITE)
                return refuse(PROBLEM_UNSUPPORTED, "What is sealed has the unknown suite %u.", sealed.data[0]);
        associated_add(&associated, "vouchsafe seal", bytes_of(sealed.data, 1), context);
        return PASS(aead_decrypt(key, sealed.data + 1, buf_view(&associated),
                                 bytes_of(sealed.data + 1 + AEAD_NONCE_SIZE, sealed.len - 1 - AEAD_NONCE_SIZE),
                                 ret_plain));
}

/* ---- under a password ------------------------------------------------------------------------------------- */

enum { PASSWORD_HEAD = 1 + 3 * 4 + SALT_SIZE };

static void put32(uint8_t *out, uint32_t number)
{
        for (int i = 0; i < 4; i++)
                out[i] = (uint8_t)(number >> (24 - 8 * i));
}

static uint32_t get32(const uint8_t *in)
{
        return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

int password_seal(struct bytes password, const struct password_cost *cost, struct bytes context, struct bytes plain,
                  struct buf *out)
{
        CLEANUP(buf_done) struct buf associated = BUF_NONE;
        CLEANUP(secret_done) struct secret key = SECRET_NONE;
        uint8_t head[PASSWORD_HEAD] = {SUITE}, nonce[AEAD_NONCE_SIZE];
        size_t before = out->len;
        int r;

        put32(head + 1, cost->memory_kib);
        put32(head + 5, cost->passes);
        put32(head + 9, cost->lanes);
        random_fill(head + 13, SALT_SIZE);
        random_fill(nonce, sizeof(nonce));
        TRY(password_derive(password, bytes_of(head + 13, SALT_SIZE), cost, &key));
        associated_add(&associated, "vouchsafe password", bytes_of(head, sizeof(head)), context);
        buf_add(out, head, sizeof(head));
        buf_add(out, nonce, sizeof(nonce));
        r = aead_encrypt(&key, nonce, buf_view(&associated), plain, out);
        if (r)
                buf_truncate(out, before);
        return PASS(r);
}

int password_open(struct bytes password, struct bytes context, struct bytes sealed, struct secret *ret_plain)
{
        CLEANUP(buf_done) struct buf associated = BUF_NONE;
        CLEANUP(secret_done) struct secret key = SECRET_NONE;
        struct password_cost cost;
        int r;

        if (sealed.len < PASSWORD_OVERHEAD)
                return refuse(PROBLEM_MALFORMED, "What is sealed under a password is cut off (%zu bytes).", sealed.len);
        if (sealed.data[0] != SUITE)
                return refuse(PROBLEM_UNSUPPORTED, "What is sealed under a password has the unknown suite %u.",
                              sealed.data[0]);
        cost = (struct password_cost){get32(sealed.data + 1), get32(sealed.data + 5), get32(sealed.data + 9)};
        TRY(password_derive(password, bytes_of(sealed.data + 13, SALT_SIZE), &cost, &key));
        associated_add(&associated, "vouchsafe password", bytes_of(sealed.data, PASSWORD_HEAD), context);
        r = aead_decrypt(
            &key, sealed.data + PASSWORD_HEAD, buf_view(&associated),
            bytes_of(sealed.data + PASSWORD_HEAD + AEAD_NONCE_SIZE, sealed.len - PASSWORD_HEAD - AEAD_NONCE_SIZE),
            ret_plain);
        if (r == PROBLEM_TAMPERED)
                return refuse(PROBLEM_PASSWORD, "The password does not open it.");
        return PASS(r);
}

/* ---- to a public key -------------------------------------------------------------------------------------- */

/* Key and nonce of a box; the key serves once, so the nonce may come with it. */
static struct secret box_key(const struct secret *x, const struct point *ephemeral, const struct point *to)
{
        CLEANUP(buf_done) struct buf info = BUF_NONE;

        buf_add_text(&info, "vouchsafe box");
        buf_add_byte(&info, SUITE);
        buf_add_bytes(&info, point_view(ephemeral));
        buf_add_bytes(&info, point_view(to));
        return hkdf(secret_view(x), BYTES_NONE, buf_view(&info), KEY_SIZE + AEAD_NONCE_SIZE);
}

static void box_key_split(const struct secret *both, struct secret *ret_key, uint8_t *ret_nonce)
{
        *ret_key = secret_copy(bytes_of(both->data, KEY_SIZE));
        memcpy(ret_nonce, both->data + KEY_SIZE, AEAD_NONCE_SIZE);
}

int box_seal(const struct point *to, struct bytes context, struct bytes plain, struct buf *out)
{
        CLEANUP(buf_done) struct buf associated = BUF_NONE;
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE, x = SECRET_NONE, both = SECRET_NONE, key = SECRET_NONE;
        uint8_t nonce[AEAD_NONCE_SIZE], head[1 + POINT_SIZE] = {SUITE};
        struct point ephemeral;
        size_t before = out->len;
        int r;

        TRY(scalar_random(&scalar));
        TRY(point_of_scalar(&scalar, &ephemeral));
        TRY(point_agree(&scalar, to, &x));
        both = box_key(&x, &ephemeral, to);
        box_key_split(&both, &key, nonce);
        memcpy(head + 1, ephemeral.data, POINT_SIZE);
        associated_add(&associated, "vouchsafe box", bytes_of(head, sizeof(head)), context);
        buf_add(out, head, sizeof(head));
        r = aead_encrypt(&key, nonce, buf_view(&associated), plain, out);
        if (r)
                buf_truncate(out, before);
        return PASS(r);
}

int box_open(const struct secret *private_scalar, struct bytes context, struct bytes boxed, struct secret *ret_plain)
{
        CLEANUP(buf_done) struct buf associated = BUF_NONE;
        CLEANUP(secret_done) struct secret x = SECRET_NONE, both = SECRET_NONE, key = SECRET_NONE;
        uint8_t nonce[AEAD_NONCE_SIZE];
        struct point ephemeral, to;
        int r;

        if (boxed.len < BOX_OVERHEAD)
                return refuse(PROBLEM_MALFORMED, "What is sealed to a key is cut off (%zu bytes).", boxed.len);
        if (boxed.data[0] != SUITE)
                return refuse(PROBLEM_UNSUPPORTED, "What is sealed to a key has the unknown suite %u.", boxed.data[0]);
        TRY(point_parse(bytes_of(boxed.data + 1, POINT_SIZE), &ephemeral));
        TRY(point_of_scalar(private_scalar, &to));
        TRY(point_agree(private_scalar, &ephemeral, &x));
        both = box_key(&x, &ephemeral, &to);
        box_key_split(&both, &key, nonce);
        associated_add(&associated, "vouchsafe box", bytes_of(boxed.data, 1 + POINT_SIZE), context);
        r = aead_decrypt(&key, nonce, buf_view(&associated),
                         bytes_of(boxed.data + 1 + POINT_SIZE, boxed.len - 1 - POINT_SIZE), ret_plain);
        if (r == PROBLEM_TAMPERED)
                return refuse(PROBLEM_MALFORMED,
                              "What is sealed to a key does not open: it is for another, or was altered.");
        return PASS(r);
}
