/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/envelope.h"

#include "crypto/aead.h"
#include "crypto/der.h"
#include "crypto/oid.h"

enum { KEK_SIZE = 32, WRAPPED_SIZE = KEK_SIZE + 8, IV_SIZE = 16, POINT_BYTES = 65 };

static int does_not_open(void)
{
        crypto_errors_clear();
        return refuse(PROBLEM_MALFORMED,
                      "The envelope does not open with this key: it is for another one, or it was altered.");
}

/* ---- keys */

/*
 * RFC 5753 7.1.4 and 7.2: SHA-256 over Z, the counter 1 and ECC-CMS-SharedInfo, which names AES-256 key wrap and 256
 * bits; there is no ukm. Everything but Z is the same each time.
 */
static struct secret kek_derive(const struct secret *shared_x)
{
        static const uint8_t rest[] = {
                0,    0,    0,    1, /* counter */
                0x30, 0x15,          /* ECC-CMS-SharedInfo */
                0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                0x65, 0x03, 0x04, 0x01, 0x2d,                /* keyInfo: id-aes256-wrap */
                0xa2, 0x06, 0x04, 0x04, 0,    0,    1,    0, /* suppPubInfo: 256 */
        };
        CLEANUP(secret_done) struct secret input = secret_new(shared_x->len + sizeof(rest));
        struct secret kek;
        struct digest digest;

        memcpy(input.data, shared_x->data, shared_x->len);
        memcpy(input.data + shared_x->len, rest, sizeof(rest));
        digest = sha256(secret_view(&input));
        kek = secret_copy(digest_view(&digest));
        memory_wipe(&digest, sizeof(digest));
        return kek;
}

static EVP_CIPHER *cipher_kept(EVP_CIPHER **place, const char *name)
{
        if (!*place && !(*place = EVP_CIPHER_fetch(NULL, name, NULL)))
                abort();
        return *place;
}

static EVP_CIPHER_CTX *wrap_context(const struct secret *kek, bool encrypt)
{
        static EVP_CIPHER *wrap;
        EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

        if (!ctx)
                return NULL;
        EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
        if (EVP_CipherInit_ex2(ctx, cipher_kept(&wrap, "AES-256-WRAP"), kek->data, NULL, encrypt, NULL) != 1) {
                EVP_CIPHER_CTX_free(ctx);
                return NULL;
        }
        return ctx;
}

static int key_wrap(const struct secret *kek, const struct secret *key, uint8_t ret_wrapped[static WRAPPED_SIZE])
{
        CLEANUP(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *ctx = wrap_context(kek, true);
        int len;

        if (!ctx || EVP_CipherUpdate(ctx, ret_wrapped, &len, key->data, (int)key->len) != 1 || len != WRAPPED_SIZE)
                return crypto_fault("A key could not be wrapped");
        return 0;
}

static int key_unwrap(const struct secret *kek, struct bytes wrapped, struct secret *ret_key)
{
        CLEANUP(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *ctx = wrap_context(kek, false);
        CLEANUP(secret_done) struct secret key = secret_new(WRAPPED_SIZE);
        int len;

        if (!ctx)
                return crypto_fault("A key could not be unwrapped");
        if (wrapped.len != WRAPPED_SIZE || EVP_CipherUpdate(ctx, key.data, &len, wrapped.data, (int)wrapped.len) != 1 ||
            len != KEK_SIZE)
                return does_not_open();
        *ret_key = secret_copy(bytes_of(key.data, KEK_SIZE));
        return 0;
}

/* spki_key_id() of a point: SHA-256 over the uncompressed form, 160 bits of it. */
static int recipient_id(const struct point *recipient, uint8_t ret_id[static KEY_ID_SIZE])
{
        uint8_t uncompressed[POINT_BYTES];
        struct digest digest;

        TRY(point_uncompressed(recipient, uncompressed));
        digest = sha256(bytes_of(uncompressed, sizeof(uncompressed)));
        memcpy(ret_id, digest.data, KEY_ID_SIZE);
        return 0;
}

/* ---- content, by AES-256-CBC: GCM is aead.h */

static int cbc_run(const struct secret *key, const uint8_t *iv, struct bytes input, bool encrypt, uint8_t *ret_output,
                   size_t *ret_len)
{
        static EVP_CIPHER *cbc;
        CLEANUP(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
        int len, last;

        if (!ctx || EVP_CipherInit_ex2(ctx, cipher_kept(&cbc, "AES-256-CBC"), key->data, iv, encrypt, NULL) != 1)
                return crypto_fault("AES-256-CBC could not be started");
        if (EVP_CipherUpdate(ctx, ret_output, &len, input.data, (int)input.len) != 1 ||
            EVP_CipherFinal_ex(ctx, ret_output + len, &last) != 1)
                return does_not_open();
        *ret_len = (size_t)len + (size_t)last;
        return 0;
}

static int cbc_encrypt(const struct secret *key, const uint8_t *iv, const struct secret *plain, struct buf *ret_sealed)
{
        CLEANUP(buf_done) struct buf sealed = BUF_NONE;

        buf_reserve(&sealed, plain->len + IV_SIZE);
        TRY(cbc_run(key, iv, secret_view(plain), true, sealed.data, &sealed.len));
        *ret_sealed = buf_take(&sealed);
        return 0;
}

static int cbc_decrypt(const struct secret *key, const uint8_t *iv, struct bytes sealed, struct secret *ret_plain)
{
        CLEANUP(secret_done) struct secret plain = secret_new(sealed.len + IV_SIZE);
        size_t len;

        TRY(cbc_run(key, iv, sealed, false, plain.data, &len));
        secret_truncate(&plain, len);
        *ret_plain = secret_take(&plain);
        return 0;
}

/* ---- writing */

struct parts {
        uint8_t id[KEY_ID_SIZE];
        uint8_t ephemeral[POINT_BYTES];
        uint8_t wrapped[WRAPPED_SIZE];
        uint8_t iv[IV_SIZE]; /* of which GCM uses AEAD_NONCE_SIZE */
        struct buf sealed;   /* GCM: with the tag at its end */
};

static void parts_done(struct parts *parts)
{
        buf_done(&parts->sealed);
}

static int parts_make(const struct point *recipient, const struct secret *plain, enum envelope_kind kind,
                      struct parts *parts)
{
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE, shared = SECRET_NONE, kek = SECRET_NONE;
        CLEANUP(secret_done) struct secret key = secret_random(KEK_SIZE);
        struct point ephemeral;

        TRY(scalar_random(&scalar));
        TRY(point_of_scalar(&scalar, &ephemeral));
        TRY(point_agree(&scalar, recipient, &shared)); /* which keeps the recipient's point ready for its id */
        TRY(recipient_id(recipient, parts->id));
        TRY(point_uncompressed(&ephemeral, parts->ephemeral));
        kek = kek_derive(&shared);
        TRY(key_wrap(&kek, &key, parts->wrapped));
        random_fill(parts->iv, sizeof(parts->iv));
        if (kind == ENVELOPE_GCM)
                return PASS(aead_encrypt(&key, parts->iv, BYTES_NONE, secret_view(plain), &parts->sealed));
        return PASS(cbc_encrypt(&key, parts->iv, plain, &parts->sealed));
}

/* originator [0] EXPLICIT, in it originatorKey [1]: id-ecPublicKey without parameters (RFC 5753 7.1.1), the point */
static void originator_add(struct buf *out, const struct parts *parts)
{
        size_t originator = der_begin(out, DER_CONTEXT_CONSTRUCTED(0)),
               key = der_begin(out, DER_CONTEXT_CONSTRUCTED(1));

        der_add_algorithm(out, oid_ec_public_key, false);
        der_add_bits(out, bytes_of(parts->ephemeral, POINT_BYTES));
        der_end(out, key);
        der_end(out, originator);
}

/* SET { KeyAgreeRecipientInfo [1] } */
static void recipients_add(struct buf *out, const struct parts *parts)
{
        size_t set = der_begin(out, DER_SET), agree = der_begin(out, DER_CONTEXT_CONSTRUCTED(1));
        size_t algorithm, keys, key, id;

        der_add_small(out, 3);
        originator_add(out, parts);
        algorithm = der_begin(out, DER_SEQUENCE);
        der_add_oid(out, oid_dh_std_sha256_kdf);
        der_add_algorithm(out, oid_aes256_wrap, false);
        der_end(out, algorithm);
        keys = der_begin(out, DER_SEQUENCE);
        key = der_begin(out, DER_SEQUENCE);
        id = der_begin(out, DER_CONTEXT_CONSTRUCTED(0));
        der_add(out, DER_OCTET_STRING, bytes_of(parts->id, KEY_ID_SIZE));
        der_end(out, id);
        der_add(out, DER_OCTET_STRING, bytes_of(parts->wrapped, WRAPPED_SIZE));
        der_end(out, key);
        der_end(out, keys);
        der_end(out, agree);
        der_end(out, set);
}

static void content_algorithm_add(struct buf *out, const struct parts *parts, enum envelope_kind kind)
{
        size_t algorithm = der_begin(out, DER_SEQUENCE), parameters;

        if (kind == ENVELOPE_CBC) {
                der_add_oid(out, oid_aes256_cbc);
                der_add(out, DER_OCTET_STRING, bytes_of(parts->iv, IV_SIZE));
        } else { /* RFC 5084 3.2 */
                der_add_oid(out, oid_aes256_gcm);
                parameters = der_begin(out, DER_SEQUENCE);
                der_add(out, DER_OCTET_STRING, bytes_of(parts->iv, AEAD_NONCE_SIZE));
                der_add_small(out, AEAD_TAG_SIZE);
                der_end(out, parameters);
        }
        der_end(out, algorithm);
}

static void envelope_write(const struct parts *parts, enum envelope_kind kind, struct buf *out)
{
        size_t tag_len = kind == ENVELOPE_GCM ? AEAD_TAG_SIZE : 0, len = parts->sealed.len - tag_len;
        size_t info, wrapper, data, content;

        buf_reserve(out, parts->sealed.len + 512);
        info = der_begin(out, DER_SEQUENCE);
        der_add_oid(out, kind == ENVELOPE_GCM ? oid_auth_enveloped_data : oid_enveloped_data);
        wrapper = der_begin(out, DER_CONTEXT_CONSTRUCTED(0));
        data = der_begin(out, DER_SEQUENCE);
        der_add_small(out, kind == ENVELOPE_GCM ? 0 : 2);
        recipients_add(out, parts);
        content = der_begin(out, DER_SEQUENCE);
        der_add_oid(out, oid_data);
        content_algorithm_add(out, parts, kind);
        der_add(out, DER_CONTEXT(0), bytes_of(parts->sealed.data, len));
        der_end(out, content);
        if (tag_len)
                der_add(out, DER_OCTET_STRING, bytes_of(parts->sealed.data + len, tag_len));
        der_end(out, data);
        der_end(out, wrapper);
        der_end(out, info);
}

int envelope_seal(const struct point *recipient, const struct secret *plain, enum envelope_kind kind,
                  struct buf *ret_der)
{
        CLEANUP(parts_done) struct parts parts = {0};
        struct buf der = BUF_NONE;

        if (!plain->len || plain->len > ENVELOPE_MOST / 2)
                return refuse(PROBLEM_TOO_LARGE, "Only from 1 to %d bytes are put into an envelope.",
                              ENVELOPE_MOST / 2);
        TRY(parts_make(recipient, plain, kind, &parts));
        envelope_write(&parts, kind, &der);
        *ret_der = der;
        return 0;
}

/* ---- reading */

struct envelope {
        enum envelope_kind kind;
        struct point ephemeral;
        struct bytes id, wrapped, iv, content, tag;
};

static int unsupported(const char *what)
{
        return refuse(PROBLEM_UNSUPPORTED, "It has another %s than Vouchsafe writes.", what);
}

static int oid_expect(struct bytes *cursor, struct bytes oid, const char *what)
{
        struct bytes found;

        TRY(der_read_oid(cursor, &found));
        return bytes_equal(found, oid) ? 0 : unsupported(what);
}

static int version_expect(struct bytes *cursor, uint64_t version)
{
        uint64_t found;

        TRY(der_read_small(cursor, 255, &found));
        return found == version ? 0 : unsupported("version");
}

static int originator_read(struct bytes originator, struct envelope *envelope)
{
        struct bytes key, algorithm, point;

        TRY(der_read_only(originator, DER_CONTEXT_CONSTRUCTED(1), &key));
        TRY(der_read(&key, DER_SEQUENCE, &algorithm));
        TRY(oid_expect(&algorithm, oid_ec_public_key, "type of key"));
        TRY(der_finish(algorithm));
        TRY(der_read_bits(&key, &point));
        TRY(der_finish(key));
        return PASS(point_parse_any(point, &envelope->ephemeral));
}

static int recipient_key_read(struct bytes keys, struct envelope *envelope)
{
        struct bytes key, id;

        TRY(der_read_only(keys, DER_SEQUENCE, &key));
        TRY(der_read(&key, DER_CONTEXT_CONSTRUCTED(0), &id));
        TRY(der_read_only(id, DER_OCTET_STRING, &envelope->id));
        TRY(der_read(&key, DER_OCTET_STRING, &envelope->wrapped));
        return PASS(der_finish(key));
}

static int recipients_read(struct bytes set, struct envelope *envelope)
{
        struct bytes agree, originator, algorithm, wrap, keys;

        TRY(der_read_only(set, DER_CONTEXT_CONSTRUCTED(1), &agree));
        TRY(version_expect(&agree, 3));
        TRY(der_read(&agree, DER_CONTEXT_CONSTRUCTED(0), &originator));
        TRY(originator_read(originator, envelope));
        TRY(der_read(&agree, DER_SEQUENCE, &algorithm));
        TRY(oid_expect(&algorithm, oid_dh_std_sha256_kdf, "key agreement"));
        TRY(der_read_only(algorithm, DER_SEQUENCE, &wrap));
        TRY(oid_expect(&wrap, oid_aes256_wrap, "key wrap"));
        TRY(der_finish(wrap));
        TRY(der_read(&agree, DER_SEQUENCE, &keys));
        TRY(der_finish(agree));
        return PASS(recipient_key_read(keys, envelope));
}

static int gcm_parameters_read(struct bytes algorithm, struct envelope *envelope)
{
        struct bytes parameters;

        TRY(oid_expect(&algorithm, oid_aes256_gcm, "cipher"));
        TRY(der_read_only(algorithm, DER_SEQUENCE, &parameters));
        TRY(der_read(&parameters, DER_OCTET_STRING, &envelope->iv));
        TRY(version_expect(&parameters, AEAD_TAG_SIZE));
        TRY(der_finish(parameters));
        return envelope->iv.len == AEAD_NONCE_SIZE ? 0 : unsupported("length of nonce");
}

static int cbc_parameters_read(struct bytes algorithm, struct envelope *envelope)
{
        TRY(oid_expect(&algorithm, oid_aes256_cbc, "cipher"));
        TRY(der_read_only(algorithm, DER_OCTET_STRING, &envelope->iv));
        return envelope->iv.len == IV_SIZE ? 0 : unsupported("length of IV");
}

static int data_read(struct bytes data, struct envelope *envelope)
{
        struct bytes recipients, content, algorithm;

        TRY(version_expect(&data, envelope->kind == ENVELOPE_GCM ? 0 : 2));
        TRY(der_read(&data, DER_SET, &recipients));
        TRY(recipients_read(recipients, envelope));
        TRY(der_read(&data, DER_SEQUENCE, &content));
        TRY(oid_expect(&content, oid_data, "content"));
        TRY(der_read(&content, DER_SEQUENCE, &algorithm));
        if (envelope->kind == ENVELOPE_GCM)
                TRY(gcm_parameters_read(algorithm, envelope));
        else
                TRY(cbc_parameters_read(algorithm, envelope));
        TRY(der_read(&content, DER_CONTEXT(0), &envelope->content));
        TRY(der_finish(content));
        if (envelope->kind == ENVELOPE_GCM) {
                TRY(der_read(&data, DER_OCTET_STRING, &envelope->tag));
                if (envelope->tag.len != AEAD_TAG_SIZE)
                        return unsupported("length of tag");
        }
        return PASS(der_finish(data));
}

static int envelope_read(struct bytes der, struct envelope *envelope)
{
        struct bytes info, type, wrapper, data;

        TRY(der_read_only(der, DER_SEQUENCE, &info));
        TRY(der_read_oid(&info, &type));
        if (!bytes_equal(type, oid_auth_enveloped_data) && !bytes_equal(type, oid_enveloped_data))
                return unsupported("kind of content");
        envelope->kind = bytes_equal(type, oid_auth_enveloped_data) ? ENVELOPE_GCM : ENVELOPE_CBC;
        TRY(der_read(&info, DER_CONTEXT_CONSTRUCTED(0), &wrapper));
        TRY(der_finish(info));
        TRY(der_read_only(wrapper, DER_SEQUENCE, &data));
        return PASS(data_read(data, envelope));
}

static int content_open(const struct secret *key, const struct envelope *envelope, struct secret *ret_plain)
{
        CLEANUP(buf_done) struct buf sealed = BUF_NONE;
        int result;

        if (envelope->kind == ENVELOPE_CBC)
                return PASS(cbc_decrypt(key, envelope->iv.data, envelope->content, ret_plain));
        sealed = buf_copy_of(envelope->content);
        buf_add_bytes(&sealed, envelope->tag);
        result = aead_decrypt(key, envelope->iv.data, BYTES_NONE, buf_view(&sealed), ret_plain);
        return result > 0 ? does_not_open() : PASS(result);
}

int envelope_open(const struct secret *scalar, struct bytes der, struct secret *ret_plain)
{
        CLEANUP(secret_done) struct secret shared = SECRET_NONE, kek = SECRET_NONE, key = SECRET_NONE;
        struct envelope envelope = {0};
        uint8_t id[KEY_ID_SIZE];
        struct point own;
        int result;

        if (der.len > ENVELOPE_MOST)
                return refuse(PROBLEM_TOO_LARGE, "An envelope is longer than %d bytes.", ENVELOPE_MOST);
        result = envelope_read(der, &envelope);
        if (result)
                return PASS(report_prefix(result, "An envelope cannot be read. "));
        TRY(point_of_scalar(scalar, &own));
        TRY(recipient_id(&own, id));
        if (!bytes_equal(envelope.id, bytes_of(id, sizeof(id))))
                return does_not_open();
        TRY(point_agree(scalar, &envelope.ephemeral, &shared));
        kek = kek_derive(&shared);
        TRY(key_unwrap(&kek, envelope.wrapped, &key));
        return PASS(content_open(&key, &envelope, ret_plain));
}
