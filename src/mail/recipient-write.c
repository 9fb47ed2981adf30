/* SPDX-License-Identifier: Apache-2.0 */
/* RecipientInfo (RFC 5652 6.2): key transport with RSA (RFC 3370, 3560), key agreement with ECDH (RFC 5753). */
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

#include "crypto/der.h"
#include "mail/cms-write.h"

DEFINE_CLEANUP(EVP_KDF *, EVP_KDF_free)
DEFINE_CLEANUP(EVP_KDF_CTX *, EVP_KDF_CTX_free)

bool recipient_agrees(const struct mail_recipient *recipient)
{
        enum pkey_type type;

        return spki_type(recipient->certificate->spki, &type) == 0 && (type == PKEY_P256 || type == PKEY_P384);
}

void shared_info_add(struct buf *out, struct bytes wrap_algorithm, struct bytes ukm, size_t key_len)
{
        uint32_t bits = (uint32_t)key_len * 8;
        uint8_t big_endian[4] = {(uint8_t)(bits >> 24), (uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits};
        size_t sequence = der_begin(out, DER_SEQUENCE), wrap;

        buf_add_bytes(out, wrap_algorithm);
        if (ukm.len > 0) {
                wrap = der_begin(out, DER_CONTEXT_CONSTRUCTED(0));
                der_add(out, DER_OCTET_STRING, ukm);
                der_end(out, wrap);
        }
        wrap = der_begin(out, DER_CONTEXT_CONSTRUCTED(2));
        der_add(out, DER_OCTET_STRING, bytes_of(big_endian, sizeof(big_endian)));
        der_end(out, wrap);
        der_end(out, sequence);
}

static int kdf_x963(const struct secret *shared, const EVP_MD *md, struct bytes info, struct secret *key)
{
        CLEANUP(EVP_KDF_freep) EVP_KDF *kdf = EVP_KDF_fetch(NULL, "X963KDF", NULL);
        CLEANUP(EVP_KDF_CTX_freep) EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
        OSSL_PARAM params[] = {
                OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)EVP_MD_get0_name(md), 0),
                OSSL_PARAM_octet_string(OSSL_KDF_PARAM_KEY, shared->data, shared->len),
                OSSL_PARAM_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info.data, info.len),
                OSSL_PARAM_END,
        };

        if (!context || EVP_KDF_derive(context, key->data, key->len, params) != 1)
                return crypto_fault("Deriving an agreed key");
        return 0;
}

int agreed_key(EVP_PKEY *own, EVP_PKEY *peer, const EVP_MD *md, struct bytes shared_info, size_t len, struct secret *ret_key)
{
        CLEANUP(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
        CLEANUP(secret_done) struct secret shared = SECRET_NONE, key = SECRET_NONE;
        size_t shared_len;

        if (!context || EVP_PKEY_derive_init(context) != 1 || EVP_PKEY_derive_set_peer(context, peer) != 1 ||
            EVP_PKEY_derive(context, NULL, &shared_len) != 1)
                return crypto_fault("Agreeing on a key");
        shared = secret_new(shared_len);
        if (EVP_PKEY_derive(context, shared.data, &shared_len) != 1 || shared_len != shared.len)
                return crypto_fault("Agreeing on a key");
        key = secret_new(len);
        TRY(kdf_x963(&shared, md, shared_info, &key));
        *ret_key = secret_take(&key);
        return 0;
}

/* ---- key transport */

static void oaep_algorithm_add(struct buf *out)
{
        size_t sequence = der_begin(out, DER_SEQUENCE), params, wrap, mgf;

        der_add_oid(out, oid_rsa_oaep);
        params = der_begin(out, DER_SEQUENCE);
        wrap = der_begin(out, DER_CONTEXT_CONSTRUCTED(0));
        der_add_algorithm(out, oid_sha256, true);
        der_end(out, wrap);
        wrap = der_begin(out, DER_CONTEXT_CONSTRUCTED(1));
        mgf = der_begin(out, DER_SEQUENCE);
        der_add_oid(out, oid_mgf1);
        der_add_algorithm(out, oid_sha256, true);
        der_end(out, mgf);
        der_end(out, wrap);
        der_end(out, params);
        der_end(out, sequence);
}

static int rsa_encrypt(EVP_PKEY *peer, bool oaep, const struct secret *key, struct buf *ret_encrypted)
{
        CLEANUP(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, peer, NULL);
        CLEANUP(buf_done) struct buf encrypted = BUF_NONE;
        size_t len;

        if (!context || EVP_PKEY_encrypt_init(context) != 1 ||
            EVP_PKEY_CTX_set_rsa_padding(context, oaep ? RSA_PKCS1_OAEP_PADDING : RSA_PKCS1_PADDING) != 1 ||
            (oaep && (EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()) != 1 ||
                      EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256()) != 1)) ||
            EVP_PKEY_encrypt(context, NULL, &len, key->data, key->len) != 1)
                return crypto_fault("Encrypting a key with RSA");
        buf_reserve(&encrypted, len);
        if (EVP_PKEY_encrypt(context, encrypted.data, &len, key->data, key->len) != 1)
                return crypto_fault("Encrypting a key with RSA");
        buf_extend(&encrypted, len);
        *ret_encrypted = buf_take(&encrypted);
        return 0;
}

static int transport_add(struct buf *out, const struct mail_recipient *recipient, EVP_PKEY *peer, const struct secret *key)
{
        bool oaep = recipient->capabilities_known && (recipient->capabilities & MAIL_READS_OAEP);
        CLEANUP(buf_done) struct buf encrypted = BUF_NONE;
        size_t sequence;

        TRY(rsa_encrypt(peer, oaep, key, &encrypted));
        sequence = der_begin(out, DER_SEQUENCE);
        der_add_small(out, 0);
        der_add_issuer_and_serial(out, DER_SEQUENCE, recipient->certificate);
        if (oaep)
                oaep_algorithm_add(out);
        else
                der_add_algorithm(out, oid_rsa_encryption, true);
        der_add(out, DER_OCTET_STRING, buf_view(&encrypted));
        der_end(out, sequence);
        return 0;
}

/* ---- key agreement */

static int key_wrap(const struct secret *kek, const struct secret *key, struct buf *ret_wrapped)
{
        CLEANUP(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
        CLEANUP(buf_done) struct buf wrapped = BUF_NONE;
        int len = 0;

        if (!context)
                abort();
        EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
        buf_reserve(&wrapped, key->len + 16);
        if (EVP_EncryptInit_ex(context, EVP_aes_256_wrap(), NULL, kek->data, NULL) != 1 ||
            EVP_EncryptUpdate(context, wrapped.data, &len, key->data, (int)key->len) != 1)
                return crypto_fault("Wrapping a key");
        buf_extend(&wrapped, (size_t)len);
        *ret_wrapped = buf_take(&wrapped);
        return 0;
}

static int ephemeral_make(EVP_PKEY *like, EVP_PKEY **ret_key, struct buf *ret_point)
{
        CLEANUP(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, like, NULL);
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        uint8_t *point = NULL;
        size_t len;

        if (!context || EVP_PKEY_keygen_init(context) != 1 || EVP_PKEY_keygen(context, &key) != 1 ||
            (len = EVP_PKEY_get1_encoded_public_key(key, &point)) == 0)
                return crypto_fault("Making an ephemeral key");
        *ret_point = buf_copy_of(bytes_of(point, len));
        OPENSSL_free(point);
        *ret_key = TAKE(key);
        return 0;
}

static void originator_add(struct buf *out, const struct buf *point)
{
        size_t explicit = der_begin(out, DER_CONTEXT_CONSTRUCTED(0)), key = der_begin(out, DER_CONTEXT_CONSTRUCTED(1));

        der_add_algorithm(out, oid_ec_public_key, false); /* RFC 5753 3.1.1: parameters absent */
        der_add_bits(out, buf_view(point));
        der_end(out, key);
        der_end(out, explicit);
}

static int agreement_add(struct buf *out, const struct mail_recipient *recipient, EVP_PKEY *peer, const struct secret *key)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *ephemeral = NULL;
        CLEANUP(buf_done) struct buf point = BUF_NONE, algorithm = BUF_NONE, info = BUF_NONE, wrapped = BUF_NONE;
        CLEANUP(secret_done) struct secret kek = SECRET_NONE;
        size_t outer, sequence, keys;

        TRY(ephemeral_make(peer, &ephemeral, &point));
        der_add_algorithm(&algorithm, oid_aes256_wrap, false);
        shared_info_add(&info, buf_view(&algorithm), BYTES_NONE, 32);
        TRY(agreed_key(ephemeral, peer, EVP_sha256(), buf_view(&info), 32, &kek));
        TRY(key_wrap(&kek, key, &wrapped));

        outer = der_begin(out, DER_CONTEXT_CONSTRUCTED(1));
        der_add_small(out, 3);
        originator_add(out, &point);
        sequence = der_begin(out, DER_SEQUENCE);
        der_add_oid(out, oid_dh_std_sha256_kdf);
        buf_add_bytes(out, buf_view(&algorithm));
        der_end(out, sequence);
        keys = der_begin(out, DER_SEQUENCE);
        sequence = der_begin(out, DER_SEQUENCE);
        der_add_issuer_and_serial(out, DER_SEQUENCE, recipient->certificate);
        der_add(out, DER_OCTET_STRING, buf_view(&wrapped));
        der_end(out, sequence);
        der_end(out, keys);
        der_end(out, outer);
        return 0;
}

int recipient_info_add(struct buf *out, const struct mail_recipient *recipient, const struct secret *key)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *peer = NULL;
        const char *who = recipient->address ? recipient->address : "a recipient";
        enum pkey_type type;
        int result = spki_type(recipient->certificate->spki, &type);

        if (result == 0)
                result = pkey_from_spki(recipient->certificate->spki, &peer);
        if (result < 0)
                return PASS(result);
        if (result > 0 || type == PKEY_ED25519)
                return refuse(PROBLEM_MAIL_NO_RECIPIENT,
                              "The certificate of %s has a key that mail cannot be encrypted for; ask for an RSA, P-256 or P-384 one.", who);
        return pkey_type_is_rsa(type) ? PASS(transport_add(out, recipient, peer, key)) : PASS(agreement_add(out, recipient, peer, key));
}
