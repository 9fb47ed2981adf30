/* SPDX-License-Identifier: Apache-2.0 */
/* SignerInfo (RFC 5652 5.3) as others write it: RSA, RSA-PSS (RFC 4056), ECDSA (RFC 5753), Ed25519 (RFC 8419). */
#include <openssl/rsa.h>

#include "crypto/der.h"
#include "mail/cms-open.h"
#include "crypto/oid.h"

static int info_wrong(const char *what)
{
        return refuse(PROBLEM_MALFORMED, "The signature is not well formed: %s.", what);
}

/* ---- attributes */

static unsigned capability_of(struct bytes oid)
{
        static const struct {
                const struct bytes *oid;
                unsigned capability;
        } table[] = {
                {&oid_aes128_cbc, MAIL_READS_AES128_CBC}, {&oid_aes256_cbc, MAIL_READS_AES256_CBC},
                {&oid_aes128_gcm, MAIL_READS_AES128_GCM}, {&oid_aes256_gcm, MAIL_READS_AES256_GCM},
                {&oid_rsa_oaep, MAIL_READS_OAEP},
        };

        for (size_t i = 0; i < ARRAY_LEN(table); i++)
                if (bytes_equal(oid, *table[i].oid))
                        return table[i].capability;
        return 0;
}

static int capabilities_read(struct bytes value, struct signer_info *info)
{
        struct bytes list, oid, params;

        TRY(der_read_only(value, DER_SEQUENCE, &list));
        while (list.len > 0) {
                TRY(algorithm_read(&list, &oid, &params));
                /* An RSA-OAEP entry with parameters asks for those; ours are not promised to be among them. */
                info->capabilities |= bytes_equal(oid, oid_rsa_oaep) && params.len > 2 ? 0 : capability_of(oid);
        }
        info->capabilities_known = true;
        return 0;
}

static int signing_certificate_read(struct bytes value, struct signer_info *info)
{
        struct bytes outer, list, id, params;

        info->certificate_hash_oid = oid_sha256;
        TRY(der_read_only(value, DER_SEQUENCE, &outer));
        TRY(der_read(&outer, DER_SEQUENCE, &list));
        TRY(der_read(&list, DER_SEQUENCE, &id)); /* the first names the signer's */
        if (der_is(id, DER_SEQUENCE))
                TRY(algorithm_read(&id, &info->certificate_hash_oid, &params));
        return PASS(der_read(&id, DER_OCTET_STRING, &info->certificate_hash));
}

enum { SEEN_TYPE = 1, SEEN_DIGEST = 2, SEEN_TIME = 4, SEEN_CERTIFICATE = 8, SEEN_CAPABILITIES = 16 };

static unsigned attribute_bit(struct bytes type)
{
        return bytes_equal(type, oid_content_type)           ? SEEN_TYPE
               : bytes_equal(type, oid_message_digest)       ? SEEN_DIGEST
               : bytes_equal(type, oid_signing_time)         ? SEEN_TIME
               : bytes_equal(type, oid_signing_certificate_v2) ? SEEN_CERTIFICATE
               : bytes_equal(type, oid_smime_capabilities)   ? SEEN_CAPABILITIES
                                                             : 0;
}

static int attribute_read(unsigned bit, struct bytes value, struct signer_info *info)
{
        struct bytes cursor = value, oid;

        switch (bit) {
        case SEEN_TYPE:
                TRY(der_read_oid(&cursor, &oid));
                if (!bytes_equal(oid, oid_data))
                        return info_wrong("what it signs is not mail content but another type of data");
                return 0;
        case SEEN_DIGEST:
                return PASS(der_read_only(value, DER_OCTET_STRING, &info->message_digest));
        case SEEN_TIME:
                return PASS(der_read_time(&cursor, &info->signing_time));
        case SEEN_CERTIFICATE:
                return PASS(signing_certificate_read(value, info));
        case SEEN_CAPABILITIES:
                return PASS(capabilities_read(value, info));
        }
        return 0;
}

static int attributes_read(struct signer_info *info)
{
        struct bytes list, attribute, type, values, value;
        unsigned seen = 0, bit;
        uint8_t tag;

        TRY(der_read_only(info->attributes, DER_CONTEXT_CONSTRUCTED(0), &list));
        while (list.len > 0) {
                TRY(der_read(&list, DER_SEQUENCE, &attribute));
                TRY(der_read_oid(&attribute, &type));
                TRY(der_read(&attribute, DER_SET, &values));
                TRY(der_finish(attribute));
                bit = attribute_bit(type);
                if (bit == 0)
                        continue;
                /* RFC 5652 11: none of these may be there twice, or have several values. */
                value = values;
                TRY(der_read_any(&values, &tag, &attribute));
                if ((seen & bit) || values.len > 0)
                        return info_wrong("a signed attribute is there more than once");
                seen |= bit;
                TRY(attribute_read(bit, value, info));
        }
        if ((seen & (SEEN_TYPE | SEEN_DIGEST)) != (SEEN_TYPE | SEEN_DIGEST))
                return info_wrong("the signed attributes lack the content type or the digest of the message");
        return 0;
}

int mail_smime_capabilities(struct bytes attributes, unsigned *ret_capabilities)
{
        struct signer_info info = {.attributes = attributes};

        TRY(attributes_read(&info));
        if (!info.capabilities_known)
                return refuse(PROBLEM_NOT_FOUND, "There are no capabilities.");
        *ret_capabilities = info.capabilities;
        return 0;
}

int signer_info_read(struct bytes *cursor, struct signer_info *ret_info)
{
        struct signer_info info = {0};
        struct bytes content, params;
        uint64_t version;

        TRY(der_read(cursor, DER_SEQUENCE, &content));
        TRY(der_read_small(&content, 3, &version));
        if (der_is(content, DER_SEQUENCE))
                TRY(cms_id_read_issuer(&content, &info.id));
        else
                TRY(der_read(&content, DER_CONTEXT(0), &info.id.key_id));
        TRY(algorithm_read(&content, &info.digest_oid, &params));
        if (der_is(content, DER_CONTEXT_CONSTRUCTED(0)))
                TRY(der_read_whole(&content, DER_CONTEXT_CONSTRUCTED(0), &info.attributes));
        TRY(algorithm_read(&content, &info.algorithm, &info.params));
        TRY(der_read(&content, DER_OCTET_STRING, &info.signature));
        if (der_is(content, DER_CONTEXT_CONSTRUCTED(1)))
                TRY(der_read(&content, DER_CONTEXT_CONSTRUCTED(1), &params));
        TRY(der_finish(content));
        TRY(digest_find(info.digest_oid, &info.md, &info.weak));
        if (info.attributes.len > 0)
                TRY(attributes_read(&info));
        *ret_info = info;
        return 0;
}

/* ---- the signature */

/* The digest that the signature algorithm implies must be the one that the signer names. */
static int algorithm_check(const struct signer_info *info, EVP_PKEY *key)
{
        static const struct {
                const struct bytes *algorithm, *digest; /* NULL: any */
                const char *key;
        } table[] = {
                {&oid_rsa_encryption, NULL, "RSA"},
                {&oid_sha256_with_rsa, &oid_sha256, "RSA"},
                {&oid_sha384_with_rsa, &oid_sha384, "RSA"},
                {&oid_sha512_with_rsa, &oid_sha512, "RSA"},
                {&oid_sha1_with_rsa, &oid_sha1, "RSA"},
                {&oid_rsa_pss, NULL, "RSA"},
                {&oid_ec_public_key, NULL, "EC"},
                {&oid_ecdsa_sha1, &oid_sha1, "EC"},
                {&oid_ecdsa_sha256, &oid_sha256, "EC"},
                {&oid_ecdsa_sha384, &oid_sha384, "EC"},
                {&oid_ecdsa_sha512, &oid_sha512, "EC"},
                {&oid_ed25519, &oid_sha512, "ED25519"},
        };

        for (size_t i = 0; i < ARRAY_LEN(table); i++) {
                if (!bytes_equal(info->algorithm, *table[i].algorithm))
                        continue;
                if (!EVP_PKEY_is_a(key, table[i].key))
                        return refuse(PROBLEM_MAIL_ALTERED, "The signature is of another kind than the signer's key.");
                if (table[i].digest && !bytes_equal(info->digest_oid, *table[i].digest))
                        return refuse(PROBLEM_UNSUPPORTED, "The signature mixes two digest algorithms.");
                return 0;
        }
        return refuse(PROBLEM_UNSUPPORTED, "The message is signed with an algorithm that is not supported.");
}

/* RSASSA-PSS-params. RFC 4056: the digest is that of the signer; the mask function's as well in all that is seen. */
static int pss_params_set(const struct signer_info *info, EVP_PKEY_CTX *context)
{
        const EVP_MD *md = EVP_sha1(), *mgf_md = EVP_sha1();
        struct bytes content, wrapped, oid, params;
        uint64_t salt = 20;

        TRY(der_read_only(info->params, DER_SEQUENCE, &content));
        if (der_is(content, DER_CONTEXT_CONSTRUCTED(0))) {
                TRY(der_read(&content, DER_CONTEXT_CONSTRUCTED(0), &wrapped));
                TRY(algorithm_read(&wrapped, &oid, &params));
                TRY(digest_find(oid, &md, NULL));
        }
        if (der_is(content, DER_CONTEXT_CONSTRUCTED(1))) {
                TRY(der_read(&content, DER_CONTEXT_CONSTRUCTED(1), &wrapped));
                TRY(algorithm_read(&wrapped, &oid, &params));
                if (!bytes_equal(oid, oid_mgf1))
                        return refuse(PROBLEM_UNSUPPORTED, "The message is signed with RSA-PSS and an unknown mask function.");
                TRY(algorithm_read(&params, &oid, &wrapped));
                TRY(digest_find(oid, &mgf_md, NULL));
        }
        if (der_is(content, DER_CONTEXT_CONSTRUCTED(2))) {
                TRY(der_read(&content, DER_CONTEXT_CONSTRUCTED(2), &wrapped));
                TRY(der_read_small(&wrapped, 1024, &salt));
        }
        if (md != info->md)
                return refuse(PROBLEM_UNSUPPORTED, "The signature mixes two digest algorithms.");
        if (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) != 1 ||
            EVP_PKEY_CTX_set_rsa_pss_saltlen(context, (int)salt) != 1 || EVP_PKEY_CTX_set_rsa_mgf1_md(context, mgf_md) != 1)
                return crypto_fault("Preparing RSA-PSS");
        return 0;
}

static int verdict(int verified, const char *what)
{
        crypto_errors_clear();
        if (verified != 1)
                return refuse(PROBLEM_MAIL_ALTERED, "%s", what);
        return 0;
}

/* RFC 5652 5.4: over the DER of the attributes as a SET OF, whose tag is another than that in the message. */
static int attributes_verify(const struct signer_info *info, EVP_PKEY *key)
{
        CLEANUP(EVP_MD_CTX_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
        CLEANUP(buf_done) struct buf covered = buf_copy_of(info->attributes);
        bool edwards = bytes_equal(info->algorithm, oid_ed25519);
        EVP_PKEY_CTX *parameters = NULL;

        covered.data[0] = DER_SET;
        if (!context || EVP_DigestVerifyInit(context, &parameters, edwards ? NULL : info->md, NULL, key) != 1)
                return crypto_fault("Preparing to verify a signature");
        if (bytes_equal(info->algorithm, oid_rsa_pss))
                TRY(pss_params_set(info, parameters));
        return verdict(EVP_DigestVerify(context, info->signature.data, info->signature.len, covered.data, covered.len),
                       "The signature is not one by the key that it names: it was altered.");
}

static int digest_verify(const struct signer_info *info, EVP_PKEY *key, struct bytes hash)
{
        CLEANUP(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);

        if (bytes_equal(info->algorithm, oid_ed25519))
                return refuse(PROBLEM_UNSUPPORTED, "The message has an Ed25519 signature without signed attributes, which is not supported.");
        if (!context || EVP_PKEY_verify_init(context) != 1 || EVP_PKEY_CTX_set_signature_md(context, info->md) != 1)
                return crypto_fault("Preparing to verify a signature");
        if (bytes_equal(info->algorithm, oid_rsa_pss))
                TRY(pss_params_set(info, context));
        return verdict(EVP_PKEY_verify(context, info->signature.data, info->signature.len, hash.data, hash.len),
                       "The content is not what was signed: it was altered, or the signature belongs to something else.");
}

int signer_info_verify(const struct signer_info *info, EVP_PKEY *key, struct bytes hash)
{
        TRY(algorithm_check(info, key));
        if (info->attributes.len == 0)
                return PASS(digest_verify(info, key, hash));
        if (!bytes_equal(info->message_digest, hash))
                return refuse(PROBLEM_MAIL_ALTERED,
                              "The content is not what was signed: it was altered, or the signature belongs to something else.");
        return PASS(attributes_verify(info, key));
}
