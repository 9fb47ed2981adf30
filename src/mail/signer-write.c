/* SPDX-License-Identifier: Apache-2.0 */
/* SignerInfo with the signed attributes of RFC 8551 2.5 and RFC 5035. */
#include <stdlib.h>

#include "base/mem.h"
#include "crypto/der.h"
#include "mail/cms-write.h"

int signer_digest_choose(const struct mail_own_key *signer, struct signer_digest *ret_digest)
{
        struct signer_digest digest = {.md = EVP_sha256(), .oid = oid_sha256, .micalg = "sha-256"};

        if (!signer->certificate || !signer->key)
                return refuse(PROBLEM_NOT_FOUND, "There is no key to sign with.");
        if (!certificate_may_sign(signer->certificate))
                return refuse(PROBLEM_UNSUPPORTED, "The certificate to sign with does not permit signatures.");
        TRY(spki_type(signer->certificate->spki, &digest.key_type));
        if (digest.key_type == PKEY_P384) {
                digest.md = EVP_sha384();
                digest.oid = oid_sha384;
                digest.micalg = "sha-384";
        } else if (digest.key_type == PKEY_ED25519) { /* RFC 8419 3.1 */
                digest.md = EVP_sha512();
                digest.oid = oid_sha512;
                digest.micalg = "sha-512";
        }
        *ret_digest = digest;
        return 0;
}

static void signer_digest_algorithm_add(struct buf *out, const struct signer_digest *digest)
{
        der_add_algorithm(out, digest->oid, false);
}

void signer_digests_add(struct buf *out, const struct signer_digest *digest)
{
        size_t set = der_begin(out, DER_SET);

        signer_digest_algorithm_add(out, digest);
        der_end(out, set);
}

void cms_detached_add(struct buf *out, const struct signer_digest *digest, struct bytes tail)
{
        size_t info = der_begin(out, DER_SEQUENCE), explicit, body, inner;

        der_add_oid(out, oid_signed_data);
        explicit = der_begin(out, DER_CONTEXT_CONSTRUCTED(0));
        body = der_begin(out, DER_SEQUENCE);
        der_add_small(out, 1);
        signer_digests_add(out, digest);
        inner = der_begin(out, DER_SEQUENCE);
        der_add_oid(out, oid_data);
        der_end(out, inner);
        buf_add_bytes(out, tail);
        der_end(out, body);
        der_end(out, explicit);
        der_end(out, info);
}

/* ---- attributes: a SET OF, whose members DER sorts by their encoding */

enum { ATTRIBUTES_MOST = 8 };

struct attributes {
        struct buf items[ATTRIBUTES_MOST];
        size_t count;
};

static void attributes_done(struct attributes *attributes)
{
        for (size_t i = 0; i < attributes->count; i++)
                buf_done(&attributes->items[i]);
}

static void attribute_add(struct attributes *attributes, struct bytes type, const struct buf *value)
{
        struct buf *item = &attributes->items[attributes->count++];
        size_t sequence, set;

        sequence = der_begin(item, DER_SEQUENCE);
        der_add_oid(item, type);
        set = der_begin(item, DER_SET);
        buf_add_bytes(item, buf_view(value));
        der_end(item, set);
        der_end(item, sequence);
}

static int attribute_compare(const void *a, const void *b)
{
        const struct buf *x = a, *y = b;
        int order = memcmp(x->data, y->data, MIN(x->len, y->len));

        return order ? order : (x->len > y->len) - (x->len < y->len);
}

static void attributes_write(struct attributes *attributes, uint8_t tag, struct buf *out)
{
        size_t set = der_begin(out, tag);

        qsort(attributes->items, attributes->count, sizeof(*attributes->items), attribute_compare);
        for (size_t i = 0; i < attributes->count; i++)
                buf_add_bytes(out, buf_view(&attributes->items[i]));
        der_end(out, set);
}

/* RFC 8551 2.5.2: the preferred first. */
static void capabilities_write(struct buf *out, unsigned capabilities)
{
        static const struct {
                const struct bytes *oid;
                unsigned capability;
        } table[] = {
            {&oid_aes256_gcm, MAIL_READS_AES256_GCM}, {&oid_aes128_gcm, MAIL_READS_AES128_GCM},
            {&oid_aes256_cbc, MAIL_READS_AES256_CBC}, {&oid_aes128_cbc, MAIL_READS_AES128_CBC},
            {&oid_rsa_oaep, MAIL_READS_OAEP},
        };
        size_t sequence = der_begin(out, DER_SEQUENCE);

        for (size_t i = 0; i < ARRAY_LEN(table); i++)
                if (capabilities & table[i].capability)
                        der_add_algorithm(out, *table[i].oid, false);
        der_end(out, sequence);
}

/* RFC 5035 4: SHA-256 is the default hash and so left out. */
static void signing_certificate_write(struct buf *out, const struct certificate *certificate)
{
        size_t outer = der_begin(out, DER_SEQUENCE), list = der_begin(out, DER_SEQUENCE);
        size_t id = der_begin(out, DER_SEQUENCE), issuer, names, name;

        der_add(out, DER_OCTET_STRING, digest_view(&certificate->fingerprint));
        issuer = der_begin(out, DER_SEQUENCE);
        names = der_begin(out, DER_SEQUENCE);
        name = der_begin(out, DER_CONTEXT_CONSTRUCTED(4));
        buf_add_bytes(out, certificate->issuer);
        der_end(out, name);
        der_end(out, names);
        der_add_unsigned(out, certificate->serial);
        der_end(out, issuer);
        der_end(out, id);
        der_end(out, list);
        der_end(out, outer);
}

static void attributes_make(struct attributes *attributes, const struct mail_keys *keys, struct bytes hash, int64_t now)
{
        CLEANUP(buf_done) struct buf value = BUF_NONE;

        der_add_oid(&value, oid_data);
        attribute_add(attributes, oid_content_type, &value);
        buf_clear(&value);
        der_add(&value, DER_OCTET_STRING, hash);
        attribute_add(attributes, oid_message_digest, &value);
        buf_clear(&value);
        der_add_time(&value, now);
        attribute_add(attributes, oid_signing_time, &value);
        buf_clear(&value);
        capabilities_write(&value, keys->capabilities ? keys->capabilities : MAIL_READS_EVERYTHING);
        attribute_add(attributes, oid_smime_capabilities, &value);
        buf_clear(&value);
        signing_certificate_write(&value, keys->signer.certificate);
        attribute_add(attributes, oid_signing_certificate_v2, &value);
        if (keys->encryption) {
                buf_clear(&value);
                der_add_issuer_and_serial(&value, DER_CONTEXT_CONSTRUCTED(0), keys->encryption);
                attribute_add(attributes, oid_encrypt_key_preference, &value);
                buf_clear(&value);
                der_add_issuer_and_serial(&value, DER_SEQUENCE, keys->encryption);
                attribute_add(attributes, oid_microsoft_encrypt_key_preference, &value);
        }
}

static void certificates_write(struct buf *out, const struct mail_keys *keys)
{
        size_t set = der_begin(out, DER_CONTEXT_CONSTRUCTED(0));

        buf_add_bytes(out, buf_view(&keys->signer.certificate->der));
        for (size_t i = 0; keys->signer_chain && i < keys->signer_chain->count; i++)
                buf_add_bytes(out, buf_view(&keys->signer_chain->items[i].der));
        if (keys->encryption && !digest_equal(&keys->encryption->fingerprint, &keys->signer.certificate->fingerprint))
                buf_add_bytes(out, buf_view(&keys->encryption->der));
        der_end(out, set);
}

int signer_tail_add(struct buf *out, const struct mail_keys *keys, const struct signer_digest *digest, struct bytes hash, int64_t now)
{
        CLEANUP(attributes_done) struct attributes attributes = {0};
        CLEANUP(buf_done) struct buf covered = BUF_NONE, signature = BUF_NONE;
        size_t set, info;

        attributes_make(&attributes, keys, hash, now);
        attributes_write(&attributes, DER_SET, &covered);
        TRY(pkey_sign(keys->signer.key, buf_view(&covered), &signature));

        certificates_write(out, keys);
        set = der_begin(out, DER_SET);
        info = der_begin(out, DER_SEQUENCE);
        der_add_small(out, 1);
        der_add_issuer_and_serial(out, DER_SEQUENCE, keys->signer.certificate);
        signer_digest_algorithm_add(out, digest);
        attributes_write(&attributes, DER_CONTEXT_CONSTRUCTED(0), out);
        if (digest->key_type == PKEY_P256 || digest->key_type == PKEY_P384 || digest->key_type == PKEY_ED25519)
                der_add_signature_algorithm(out, digest->key_type);
        else /* RFC 5754 3.2 permits both; this is what old programs know. */
                der_add_algorithm(out, oid_rsa_encryption, true);
        der_add(out, DER_OCTET_STRING, buf_view(&signature));
        der_end(out, info);
        der_end(out, set);
        return 0;
}
