/* SPDX-License-Identifier: Apache-2.0 */
/* RecipientInfo as others write it (RFC 5652 6.2, RFC 5753, RFC 3560), and the content ciphers (RFC 3565, 5084, 3370). */
#include <openssl/rsa.h>

#include "crypto/der.h"
#include "mail/cms-open.h"
#include "mail/cms-write.h"

int algorithm_read(struct bytes *cursor, struct bytes *ret_oid, struct bytes *ret_params)
{
        struct bytes rest = *cursor, content, oid;

        TRY(der_read(&rest, DER_SEQUENCE, &content));
        TRY(der_read_oid(&content, &oid));
        *ret_oid = oid;
        *ret_params = content;
        *cursor = rest;
        return 0;
}

int digest_find(struct bytes oid, const EVP_MD **ret_md, bool *ret_weak)
{
        static const struct {
                const struct bytes *oid;
                const EVP_MD *(*md)(void);
                bool weak;
        } digests[] = {
                {&oid_sha256, EVP_sha256, false},
                {&oid_sha384, EVP_sha384, false},
                {&oid_sha512, EVP_sha512, false},
                {&oid_sha1, EVP_sha1, true},
        };

        for (size_t i = 0; i < ARRAY_LEN(digests); i++)
                if (bytes_equal(oid, *digests[i].oid)) {
                        *ret_md = digests[i].md();
                        if (ret_weak)
                                *ret_weak = digests[i].weak;
                        return 0;
                }
        return refuse(PROBLEM_UNSUPPORTED, "The message uses a digest algorithm that is not supported.");
}

int cms_id_read_issuer(struct bytes *cursor, struct cms_id *ret_id)
{
        struct bytes rest = *cursor, content;
        struct cms_id id = {0};

        TRY(der_read(&rest, DER_SEQUENCE, &content));
        TRY(der_read_whole(&content, DER_SEQUENCE, &id.issuer));
        TRY(der_read_unsigned(&content, &id.serial));
        TRY(der_finish(content));
        *cursor = rest;
        *ret_id = id;
        return 0;
}

bool cms_id_matches(const struct cms_id *id, const struct certificate *certificate)
{
        if (id->issuer.len > 0)
                return bytes_equal(id->issuer, certificate->issuer) && bytes_equal(id->serial, certificate->serial);
        return id->key_id.len > 0 && bytes_equal(id->key_id, certificate->subject_key_id);
}

/* ---- content ciphers */

static int gcm_params_read(struct bytes params, struct cms_cipher *cipher)
{
        struct bytes content, nonce;
        uint64_t tag_len = 12; /* DEFAULT of RFC 5084 */

        TRY(der_read_only(params, DER_SEQUENCE, &content));
        TRY(der_read(&content, DER_OCTET_STRING, &nonce));
        if (content.len > 0)
                TRY(der_read_small(&content, 16, &tag_len));
        TRY(der_finish(content));
        if (nonce.len == 0 || nonce.len > sizeof(cipher->iv) || tag_len < 12)
                return refuse(PROBLEM_UNSUPPORTED, "The message is encrypted with AES-GCM with a nonce or tag of unusual length.");
        memcpy(cipher->iv, nonce.data, nonce.len);
        cipher->iv_len = nonce.len;
        cipher->tag_len = (size_t)tag_len;
        return 0;
}

int cms_cipher_read(struct bytes algorithm, struct cms_cipher *ret_cipher)
{
        static const struct {
                const struct bytes *oid;
                struct cms_cipher cipher;
        } ciphers[] = {
                {&oid_aes256_cbc, {.cipher = EVP_aes_256_cbc, .key_len = 32, .iv_len = 16, .name = "AES-256-CBC"}},
                {&oid_aes128_cbc, {.cipher = EVP_aes_128_cbc, .key_len = 16, .iv_len = 16, .name = "AES-128-CBC"}},
                {&oid_aes192_cbc, {.cipher = EVP_aes_192_cbc, .key_len = 24, .iv_len = 16, .name = "AES-192-CBC"}},
                {&oid_aes256_gcm, {.cipher = EVP_aes_256_gcm, .key_len = 32, .authenticated = true, .name = "AES-256-GCM"}},
                {&oid_aes128_gcm, {.cipher = EVP_aes_128_gcm, .key_len = 16, .authenticated = true, .name = "AES-128-GCM"}},
                {&oid_aes192_gcm, {.cipher = EVP_aes_192_gcm, .key_len = 24, .authenticated = true, .name = "AES-192-GCM"}},
                {&oid_des_ede3_cbc, {.cipher = EVP_des_ede3_cbc, .key_len = 24, .iv_len = 8, .weak = true, .name = "3DES"}},
        };
        struct bytes oid, params, iv;

        TRY(algorithm_read(&algorithm, &oid, &params));
        TRY(der_finish(algorithm));
        for (size_t i = 0; i < ARRAY_LEN(ciphers); i++) {
                struct cms_cipher cipher = ciphers[i].cipher;

                if (!bytes_equal(oid, *ciphers[i].oid))
                        continue;
                if (cipher.authenticated) {
                        TRY(gcm_params_read(params, &cipher));
                } else {
                        TRY(der_read_only(params, DER_OCTET_STRING, &iv));
                        if (iv.len != cipher.iv_len)
                                return refuse(PROBLEM_MALFORMED, "The message is encrypted with an IV of the wrong length.");
                        memcpy(cipher.iv, iv.data, iv.len);
                }
                *ret_cipher = cipher;
                return 0;
        }
        return refuse(PROBLEM_UNSUPPORTED, "The message is encrypted with an algorithm that is not supported (AES and 3DES are).");
}

/* ---- key transport */

/*
 * PKCS#1 v1.5 without telling by time or result whether the padding was right: the length of the key is known beforehand, so one
 * place for the zero byte is right, and anything else gives the random key.
 */
static void unpad_select(const uint8_t *block, size_t len, struct secret *key)
{
        size_t from = len - key->len;
        uint32_t wrong = block[0] | (block[1] ^ 2u) | block[from - 1];
        uint8_t mask;

        for (size_t i = 2; i < from - 1; i++)
                wrong |= ((uint32_t)block[i] - 1) >> 31; /* a zero byte */
        mask = (uint8_t)(((wrong | (0 - wrong)) >> 31) - 1); /* all ones if nothing is wrong */
        for (size_t i = 0; i < key->len; i++)
                key->data[i] = (uint8_t)((block[from + i] & mask) | (key->data[i] & ~mask));
}

/* *key holds a random key, and keeps it unless all is well. */
static void transport_pkcs1(EVP_PKEY *own, struct bytes encrypted, struct secret *key)
{
        CLEANUP(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
        CLEANUP(secret_done) struct secret block = secret_new((size_t)EVP_PKEY_get_size(own));
        size_t len = block.len;

        if (context && EVP_PKEY_decrypt_init(context) == 1 && EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING) == 1 &&
            EVP_PKEY_decrypt(context, block.data, &len, encrypted.data, encrypted.len) == 1 && len == block.len &&
            len >= key->len + 11)
                unpad_select(block.data, len, key);
        crypto_errors_clear();
}

static int oaep_params_read(struct bytes params, const EVP_MD **ret_md, const EVP_MD **ret_mgf_md)
{
        struct bytes content = BYTES_NONE, wrapped, oid, inner;
        const EVP_MD *md = EVP_sha1(), *mgf_md = EVP_sha1();

        if (params.len > 0)
                TRY(der_read_only(params, DER_SEQUENCE, &content));
        if (der_is(content, DER_CONTEXT_CONSTRUCTED(0))) {
                TRY(der_read(&content, DER_CONTEXT_CONSTRUCTED(0), &wrapped));
                TRY(algorithm_read(&wrapped, &oid, &inner));
                TRY(digest_find(oid, &md, NULL));
        }
        if (der_is(content, DER_CONTEXT_CONSTRUCTED(1))) {
                TRY(der_read(&content, DER_CONTEXT_CONSTRUCTED(1), &wrapped));
                TRY(algorithm_read(&wrapped, &oid, &inner));
                if (!bytes_equal(oid, oid_mgf1))
                        return refuse(PROBLEM_UNSUPPORTED, "The message's key is encrypted with RSA-OAEP and an unknown mask function.");
                TRY(algorithm_read(&inner, &oid, &wrapped));
                TRY(digest_find(oid, &mgf_md, NULL));
        }
        if (content.len > 0)
                return refuse(PROBLEM_UNSUPPORTED, "The message's key is encrypted with RSA-OAEP and a label.");
        *ret_md = md;
        *ret_mgf_md = mgf_md;
        return 0;
}

static int transport_oaep(EVP_PKEY *own, struct bytes params, struct bytes encrypted, struct secret *key)
{
        CLEANUP(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
        CLEANUP(secret_done) struct secret plain = secret_new((size_t)EVP_PKEY_get_size(own));
        const EVP_MD *md = NULL, *mgf_md = NULL;
        size_t len = plain.len;

        TRY(oaep_params_read(params, &md, &mgf_md));
        if (!context || EVP_PKEY_decrypt_init(context) != 1 || EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) != 1 ||
            EVP_PKEY_CTX_set_rsa_oaep_md(context, md) != 1 || EVP_PKEY_CTX_set_rsa_mgf1_md(context, mgf_md) != 1)
                return crypto_fault("Preparing RSA-OAEP");
        if (EVP_PKEY_decrypt(context, plain.data, &len, encrypted.data, encrypted.len) == 1 && len == key->len)
                memcpy(key->data, plain.data, len);
        crypto_errors_clear();
        return 0;
}

static const struct mail_own_key *own_find(const struct mail_keys *keys, const struct cms_id *id)
{
        for (size_t i = 0; i < keys->decryption_count; i++)
                if (cms_id_matches(id, keys->decryption[i].certificate))
                        return &keys->decryption[i];
        return NULL;
}

/* A KeyTransRecipientInfo (content). *ret_own stays NULL if it is for somebody else. */
static int transport_open(struct bytes info, const struct mail_keys *keys, struct secret *key, const struct mail_own_key **ret_own)
{
        struct bytes oid, params, encrypted;
        struct cms_id id = {0};
        const struct mail_own_key *own;
        uint64_t version;

        TRY(der_read_small(&info, 2, &version));
        if (der_is(info, DER_SEQUENCE))
                TRY(cms_id_read_issuer(&info, &id));
        else
                TRY(der_read(&info, DER_CONTEXT(0), &id.key_id));
        TRY(algorithm_read(&info, &oid, &params));
        TRY(der_read(&info, DER_OCTET_STRING, &encrypted));
        TRY(der_finish(info));
        own = own_find(keys, &id);
        if (!own || !EVP_PKEY_is_a(own->key, "RSA"))
                return 0;
        if (bytes_equal(oid, oid_rsa_encryption))
                transport_pkcs1(own->key, encrypted, key);
        else if (bytes_equal(oid, oid_rsa_oaep))
                TRY(transport_oaep(own->key, params, encrypted, key));
        else
                return refuse(PROBLEM_UNSUPPORTED, "The message's key is encrypted for you with an algorithm that is not supported.");
        *ret_own = own;
        return 0;
}

/* ---- key agreement */

static int wrap_find(struct bytes oid, const EVP_CIPHER **ret_cipher, size_t *ret_key_len)
{
        if (bytes_equal(oid, oid_aes256_wrap)) {
                *ret_cipher = EVP_aes_256_wrap();
                *ret_key_len = 32;
        } else if (bytes_equal(oid, oid_aes128_wrap)) {
                *ret_cipher = EVP_aes_128_wrap();
                *ret_key_len = 16;
        } else if (bytes_equal(oid, oid_aes192_wrap)) {
                *ret_cipher = EVP_aes_192_wrap();
                *ret_key_len = 24;
        } else if (bytes_equal(oid, oid_des_ede3_wrap)) {
                *ret_cipher = EVP_des_ede3_wrap();
                *ret_key_len = 24;
        } else {
                return refuse(PROBLEM_UNSUPPORTED, "The message's key is wrapped with an algorithm that is not supported.");
        }
        return 0;
}

static int agreement_md_find(struct bytes oid, const EVP_MD **ret_md)
{
        if (bytes_equal(oid, oid_dh_std_sha256_kdf))
                *ret_md = EVP_sha256();
        else if (bytes_equal(oid, oid_dh_std_sha1_kdf))
                *ret_md = EVP_sha1();
        else if (bytes_equal(oid, oid_dh_std_sha384_kdf))
                *ret_md = EVP_sha384();
        else if (bytes_equal(oid, oid_dh_std_sha512_kdf))
                *ret_md = EVP_sha512();
        else
                return refuse(PROBLEM_UNSUPPORTED, "The message's key is agreed by a scheme that is not supported.");
        return 0;
}

/* The originator's ephemeral point, as a key on the curve of our own; setting it checks that it is on the curve. */
static int originator_key(EVP_PKEY *own, struct bytes point, EVP_PKEY **ret_key)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = EVP_PKEY_new();

        if (!key || EVP_PKEY_copy_parameters(key, own) != 1)
                return crypto_fault("Reading an ephemeral key");
        if (EVP_PKEY_set1_encoded_public_key(key, point.data, point.len) != 1) {
                crypto_errors_clear();
                return refuse(PROBLEM_MALFORMED, "The message's ephemeral key is not a point of your key's curve.");
        }
        *ret_key = TAKE(key);
        return 0;
}

struct agreement {
        struct bytes point, ukm, wrap_algorithm;
        const EVP_MD *md;
        const EVP_CIPHER *wrap;
        size_t kek_len;
};

static int unwrap(const struct agreement *agreement, const struct mail_own_key *own, struct bytes wrapped, struct secret *key)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *peer = NULL;
        CLEANUP(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
        CLEANUP(secret_done) struct secret kek = SECRET_NONE, plain = secret_new(wrapped.len + 16);
        CLEANUP(buf_done) struct buf info = BUF_NONE;
        int len = 0;

        TRY(originator_key(own->key, agreement->point, &peer));
        shared_info_add(&info, agreement->wrap_algorithm, agreement->ukm, agreement->kek_len);
        TRY(agreed_key(own->key, peer, agreement->md, buf_view(&info), agreement->kek_len, &kek));
        if (!context)
                abort();
        EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
        if (EVP_DecryptInit_ex(context, agreement->wrap, NULL, kek.data, NULL) != 1)
                return crypto_fault("Preparing to unwrap a key");
        if (wrapped.len < 16 || wrapped.len > 256 ||
            EVP_DecryptUpdate(context, plain.data, &len, wrapped.data, (int)wrapped.len) != 1 || (size_t)len != key->len) {
                crypto_errors_clear();
                return refuse(PROBLEM_MAIL_ALTERED, "The message's key does not unwrap: it was altered, or not encrypted for your key.");
        }
        memcpy(key->data, plain.data, key->len);
        return 0;
}

/* A KeyAgreeRecipientInfo as it stands there: what of it is not supported matters only to whom it is for. */
struct agreement_info {
        struct bytes originator, ukm, algorithm, entries;
};

static int agreement_split(struct bytes info, struct agreement_info *parts)
{
        struct bytes wrapped;
        uint64_t version;

        TRY(der_read_small(&info, 3, &version));
        TRY(der_read(&info, DER_CONTEXT_CONSTRUCTED(0), &parts->originator));
        if (der_is(info, DER_CONTEXT_CONSTRUCTED(1))) {
                TRY(der_read(&info, DER_CONTEXT_CONSTRUCTED(1), &wrapped));
                TRY(der_read(&wrapped, DER_OCTET_STRING, &parts->ukm));
        }
        TRY(der_read_whole(&info, DER_SEQUENCE, &parts->algorithm));
        return PASS(der_read(&info, DER_SEQUENCE, &parts->entries));
}

static int agreement_read(const struct agreement_info *parts, struct agreement *agreement)
{
        struct bytes originator = parts->originator, algorithm = parts->algorithm, oid, params, cursor;

        if (!der_is(originator, DER_CONTEXT_CONSTRUCTED(1)))
                return refuse(PROBLEM_UNSUPPORTED, "The message's key is agreed with a sender's certificate, which is not supported.");
        TRY(der_read(&originator, DER_CONTEXT_CONSTRUCTED(1), &cursor));
        TRY(algorithm_read(&cursor, &oid, &params));
        if (!bytes_equal(oid, oid_ec_public_key))
                return refuse(PROBLEM_UNSUPPORTED, "The message's key is agreed with another algorithm than ECDH.");
        TRY(der_read_bits(&cursor, &agreement->point));
        agreement->ukm = parts->ukm;
        TRY(algorithm_read(&algorithm, &oid, &params));
        TRY(agreement_md_find(oid, &agreement->md));
        agreement->wrap_algorithm = params;
        TRY(algorithm_read(&params, &oid, &cursor));
        return PASS(wrap_find(oid, &agreement->wrap, &agreement->kek_len));
}

/* RecipientEncryptedKey */
static int agreement_entry_read(struct bytes *list, struct cms_id *id, struct bytes *ret_wrapped)
{
        struct bytes entry, content;

        TRY(der_read(list, DER_SEQUENCE, &entry));
        if (der_is(entry, DER_SEQUENCE)) {
                TRY(cms_id_read_issuer(&entry, id));
        } else {
                TRY(der_read(&entry, DER_CONTEXT_CONSTRUCTED(0), &content));
                TRY(der_read(&content, DER_OCTET_STRING, &id->key_id));
        }
        return PASS(der_read(&entry, DER_OCTET_STRING, ret_wrapped));
}

/* A KeyAgreeRecipientInfo (content). */
static int agreement_open(struct bytes info, const struct mail_keys *keys, struct secret *key, const struct mail_own_key **ret_own)
{
        struct agreement_info parts = {0};
        struct agreement agreement = {0};
        struct bytes wrapped;

        TRY(agreement_split(info, &parts));
        while (parts.entries.len > 0) {
                struct cms_id id = {0};
                const struct mail_own_key *own;

                TRY(agreement_entry_read(&parts.entries, &id, &wrapped));
                own = own_find(keys, &id);
                if (!own || !EVP_PKEY_is_a(own->key, "EC"))
                        continue;
                TRY(agreement_read(&parts, &agreement));
                TRY(unwrap(&agreement, own, wrapped, key));
                *ret_own = own;
                return 0;
        }
        return 0;
}

static int recipient_open(uint8_t tag, struct bytes info, const struct mail_keys *keys, struct secret *key, const struct mail_own_key **ret_own)
{
        if (tag == DER_SEQUENCE)
                return PASS(transport_open(info, keys, key, ret_own));
        if (tag == DER_CONTEXT_CONSTRUCTED(1))
                return PASS(agreement_open(info, keys, key, ret_own));
        return 0;
}

int recipients_open(struct bytes recipients, const struct mail_keys *keys, size_t key_len, struct secret *ret_key,
                    const struct mail_own_key **ret_own)
{
        CLEANUP(secret_done) struct secret key = secret_random(key_len);
        CLEANUP(buf_done) struct buf why = BUF_NONE;
        const struct mail_own_key *own = NULL;
        int problem, first = 0;
        size_t count = 0;
        struct bytes set, info;
        uint8_t tag;

        TRY(der_read_only(recipients, DER_SET, &set));
        while (set.len > 0 && !own) {
                TRY(der_read_any(&set, &tag, &info));
                count++;
                problem = recipient_open(tag, info, keys, &key, &own);
                if (problem < 0)
                        return PASS(problem);
                if (problem > 0 && !why.len) { /* another of our keys may do */
                        buf_add_text(&why, report_text());
                        first = problem;
                }
        }
        if (!own && first)
                return refuse(first, "%s", buf_text(&why));
        if (!own)
                return refuse(PROBLEM_MAIL_NO_KEY,
                              "The message is encrypted for %zu recipient%s, and none of your %zu keys is among them; if it was meant for you, "
                              "an older key may be missing here.", count, count == 1 ? "" : "s", keys->decryption_count);
        *ret_key = secret_take(&key);
        *ret_own = own;
        return 0;
}
