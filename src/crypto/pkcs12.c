/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/pkcs12.h"

#include <openssl/sha.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/der.h"

typedef STACK_OF(PKCS12_SAFEBAG) BAGS;
typedef STACK_OF(PKCS7) SAFES;

static void bags_freep(BAGS **bags)
{
        sk_PKCS12_SAFEBAG_pop_free(*bags, PKCS12_SAFEBAG_free);
}

static void safes_freep(SAFES **safes)
{
        sk_PKCS7_pop_free(*safes, PKCS7_free);
}

enum { ENTRY_MOST = 1000, MAC_ITERATIONS_MOST = 10 * 1000 * 1000 };

/* Iterations: what Windows, Apple and NSS still open without a pause that people notice, for a dozen keys. */
static const struct {
        int cipher, iterations;
        const char *mac;
} profiles[] = {
        [PKCS12_MODERN] = {NID_aes_256_cbc, 100000, "SHA2-256"},
        [PKCS12_LEGACY] = {NID_pbe_WithSHA1And3_Key_TripleDES_CBC, 20000, "SHA1"},
};

/* OpenSSL takes texts that end in 0. */
static int password_text(const struct secret *password, struct secret *ret_text)
{
        struct secret text;

        if (password->len && memchr(password->data, 0, password->len))
                return refuse(PROBLEM_MALFORMED, "The password has a zero byte in it.");
        text = secret_new(password->len + 1);
        if (password->len)
                memcpy(text.data, password->data, password->len);
        *ret_text = text;
        return 0;
}

/* ---- writing */

/* A friendlyName is a BMPString: characters beyond the first 65536, of four bytes in UTF-8, become U+FFFD. */
static void friendly_text(const char *name, struct buf *ret_text)
{
        CLEANUP(buf_done) struct buf clean = BUF_NONE;

        text_add_printable(&clean, bytes_text(name), 256);
        for (size_t i = 0; i < clean.len; i++) {
                if (clean.data[i] < 0xf0) {
                        buf_add_byte(ret_text, clean.data[i]);
                        continue;
                }
                buf_add_text(ret_text, "\xef\xbf\xbd");
                i += 3;
        }
}

static int x509_of_entry(const struct pkcs12_entry *entry, const uint8_t *key_id, const struct buf *name,
                         X509 **ret_x509)
{
        const unsigned char *at = entry->certificate.data;
        CLEANUP(X509_freep) X509 *x509 = d2i_X509(NULL, &at, (long)entry->certificate.len);

        if (!x509) {
                crypto_errors_clear();
                return refuse(PROBLEM_MALFORMED, "A certificate for the PKCS#12 file cannot be read.");
        }
        if (entry->key && X509_check_private_key(x509, entry->key) != 1) {
                crypto_errors_clear();
                return refuse(PROBLEM_MALFORMED, "A private key for the PKCS#12 file is not that of its certificate.");
        }
        if ((entry->key && X509_keyid_set1(x509, key_id, SHA_DIGEST_LENGTH) != 1) ||
            (name->len && X509_alias_set1(x509, name->data, (int)name->len) != 1))
                return crypto_fault("A certificate could not be put into PKCS#12");
        *ret_x509 = TAKE(x509);
        return 0;
}

struct bags {
        BAGS *certificates, *keys;
};

static void bags_done(struct bags *bags)
{
        bags_freep(&bags->certificates);
        bags_freep(&bags->keys);
}

static int entry_add(struct bags *bags, const struct pkcs12_entry *entry, enum pkcs12_profile profile,
                     const char *password)
{
        CLEANUP(buf_done) struct buf name = BUF_NONE;
        CLEANUP(X509_freep) X509 *x509 = NULL;
        uint8_t key_id[EVP_MAX_MD_SIZE];
        PKCS12_SAFEBAG *bag;

        if (entry->friendly_name)
                friendly_text(entry->friendly_name, &name);
        if (EVP_Q_digest(NULL, "SHA1", NULL, entry->certificate.data, entry->certificate.len, key_id, NULL) != 1)
                return crypto_fault("A digest could not be made");
        TRY(x509_of_entry(entry, key_id, &name, &x509));
        if (!PKCS12_add_cert(&bags->certificates, x509))
                return crypto_fault("A certificate could not be put into PKCS#12");
        if (!entry->key)
                return 0;
        bag = PKCS12_add_key(&bags->keys, entry->key, 0, profiles[profile].iterations, profiles[profile].cipher,
                             password);
        if (!bag || PKCS12_add_localkeyid(bag, key_id, SHA_DIGEST_LENGTH) != 1 ||
            (name.len && PKCS12_add_friendlyname_utf8(bag, buf_text(&name), (int)name.len) != 1))
                return crypto_fault("A key could not be put into PKCS#12");
        return 0;
}

static int p12_make(const struct bags *bags, enum pkcs12_profile profile, const char *password, PKCS12 **ret_p12)
{
        CLEANUP(safes_freep) SAFES *safes = NULL;
        CLEANUP(PKCS12_freep) PKCS12 *p12 = NULL;
        CLEANUP(EVP_MD_freep) EVP_MD *md = EVP_MD_fetch(NULL, profiles[profile].mac, NULL);

        /* Keys are encrypted one by one already (the last -1: not once more). */
        if (!PKCS12_add_safe(&safes, bags->certificates, profiles[profile].cipher, profiles[profile].iterations,
                             password) ||
            (bags->keys && !PKCS12_add_safe(&safes, bags->keys, -1, 0, NULL)))
                return crypto_fault("PKCS#12 could not be made");
        p12 = PKCS12_add_safes(safes, 0);
        if (!p12 || !md || PKCS12_set_mac(p12, password, -1, NULL, 0, profiles[profile].iterations, md) != 1)
                return crypto_fault("PKCS#12 could not be made");
        *ret_p12 = TAKE(p12);
        return 0;
}

int pkcs12_write(const struct pkcs12_entry *entries, size_t count, enum pkcs12_profile profile,
                 const struct secret *password, struct buf *ret_der)
{
        CLEANUP(secret_done) struct secret text = SECRET_NONE;
        CLEANUP(PKCS12_freep) PKCS12 *p12 = NULL;
        CLEANUP(bags_done) struct bags bags = {0};
        unsigned char *der = NULL;
        int len;

        if (!count || count > ENTRY_MOST)
                return refuse(PROBLEM_TOO_LARGE, "A PKCS#12 file has from 1 to %d certificates.", ENTRY_MOST);
        TRY(password_text(password, &text));
        for (size_t i = 0; i < count; i++)
                TRY(entry_add(&bags, &entries[i], profile, (const char *)text.data));
        TRY(p12_make(&bags, profile, (const char *)text.data, &p12));
        len = i2d_PKCS12(p12, &der);
        if (len <= 0)
                return crypto_fault("PKCS#12 could not be written");
        *ret_der = buf_copy_of(bytes_of(der, (size_t)len));
        OPENSSL_free(der);
        return 0;
}

/* ---- reading */

struct reading {
        const char *password;
        int password_len;
        struct pkcs12_content content; /* certificates, then their keys */
        EVP_PKEY **keys;
        size_t key_count;
};

static void reading_done(struct reading *reading)
{
        pkcs12_content_done(&reading->content);
        for (size_t i = 0; i < reading->key_count; i++)
                EVP_PKEY_free(reading->keys[i]);
        free(reading->keys);
}

static int damaged(void)
{
        crypto_errors_clear();
        return refuse(PROBLEM_MALFORMED, "The PKCS#12 file is damaged, or has something in it that is unknown here.");
}

static int key_info_add(struct reading *reading, const PKCS8_PRIV_KEY_INFO *info)
{
        int len = i2d_PKCS8_PRIV_KEY_INFO(info, NULL);
        CLEANUP(secret_done) struct secret pkcs8 = SECRET_NONE;
        unsigned char *at;
        EVP_PKEY *key;

        if (len <= 0)
                return damaged();
        pkcs8 = secret_new((size_t)len);
        at = pkcs8.data;
        i2d_PKCS8_PRIV_KEY_INFO(info, &at);
        TRY(pkey_from_pkcs8(secret_view(&pkcs8), &key));
        reading->keys = mem_resize(reading->keys, reading->key_count + 1, sizeof(EVP_PKEY *));
        reading->keys[reading->key_count++] = key;
        return 0;
}

static int shrouded_key_add(struct reading *reading, const PKCS12_SAFEBAG *bag)
{
        CLEANUP(PKCS8_PRIV_KEY_INFO_freep) PKCS8_PRIV_KEY_INFO *info =
                PKCS12_decrypt_skey(bag, reading->password, reading->password_len);

        if (!info) {
                crypto_errors_clear();
                return refuse(PROBLEM_UNSUPPORTED,
                              "A key in the PKCS#12 file cannot be decrypted: its cipher is not supported, or "
                              "it has another password than the file.");
        }
        return PASS(key_info_add(reading, info));
}

/* NULL when there is none. Not by PKCS12_get_friendlyname(), which gives nothing for umlauts in OpenSSL 3.0.19. */
static char *friendly_name_of(const PKCS12_SAFEBAG *bag)
{
        const ASN1_TYPE *value = PKCS12_SAFEBAG_get0_attr(bag, NID_friendlyName);
        unsigned char *text = NULL;
        char *name = NULL;
        int len = value && value->type == V_ASN1_BMPSTRING ? ASN1_STRING_to_UTF8(&text, value->value.bmpstring) : -1;

        if (len >= 0)
                name = text_copy_n((const char *)text, (size_t)len);
        else
                crypto_errors_clear();
        OPENSSL_free(text);
        return name;
}

static int certificate_add(struct reading *reading, PKCS12_SAFEBAG *bag)
{
        CLEANUP(X509_freep) X509 *x509 = NULL;
        struct pkcs12_item *item;
        unsigned char *der = NULL;
        int len;

        if (PKCS12_SAFEBAG_get_bag_nid(bag) != NID_x509Certificate)
                return 0;
        x509 = PKCS12_SAFEBAG_get1_cert(bag);
        len = x509 ? i2d_X509(x509, &der) : 0;
        if (len <= 0)
                return damaged();
        reading->content.items = mem_resize(reading->content.items, reading->content.count + 1, sizeof(*item));
        item = &reading->content.items[reading->content.count++];
        *item = (struct pkcs12_item){.certificate = buf_copy_of(bytes_of(der, (size_t)len))};
        OPENSSL_free(der);
        item->friendly_name = friendly_name_of(bag);
        return 0;
}

static int bag_read(struct reading *reading, PKCS12_SAFEBAG *bag)
{
        if (reading->content.count + reading->key_count >= ENTRY_MOST)
                return refuse(PROBLEM_TOO_LARGE, "The PKCS#12 file has more than %d entries.", ENTRY_MOST);
        switch (PKCS12_SAFEBAG_get_nid(bag)) {
        case NID_keyBag:
                return PASS(key_info_add(reading, PKCS12_SAFEBAG_get0_p8inf(bag)));
        case NID_pkcs8ShroudedKeyBag:
                return PASS(shrouded_key_add(reading, bag));
        case NID_certBag:
                return PASS(certificate_add(reading, bag));
        default: /* CRLs, secrets: not asked for */
                return 0;
        }
}

static int safe_read(struct reading *reading, PKCS7 *safe)
{
        CLEANUP(bags_freep) BAGS *bags = NULL;

        if (PKCS7_type_is_data(safe))
                bags = PKCS12_unpack_p7data(safe);
        else if (PKCS7_type_is_encrypted(safe))
                bags = PKCS12_unpack_p7encdata(safe, reading->password, reading->password_len);
        if (!bags) {
                crypto_errors_clear();
                return refuse(PROBLEM_UNSUPPORTED,
                              "A part of the PKCS#12 file cannot be decrypted: its cipher is not supported (RC2 is "
                              "not; export the file again with AES or 3DES).");
        }
        for (int i = 0; i < sk_PKCS12_SAFEBAG_num(bags); i++)
                TRY(bag_read(reading, sk_PKCS12_SAFEBAG_value(bags, i)));
        return 0;
}

/* By the public key, and not by localKeyID: not every program writes one that is right. */
static int keys_assign(struct reading *reading)
{
        for (size_t i = 0; i < reading->content.count; i++) {
                struct pkcs12_item *item = &reading->content.items[i];
                const unsigned char *at = item->certificate.data;
                CLEANUP(X509_freep) X509 *x509 = d2i_X509(NULL, &at, (long)item->certificate.len);

                for (size_t k = 0; x509 && k < reading->key_count && !item->key; k++)
                        if (X509_check_private_key(x509, reading->keys[k]) == 1) {
                                EVP_PKEY_up_ref(reading->keys[k]);
                                item->key = reading->keys[k];
                        }
                crypto_errors_clear();
        }
        return 0;
}

/* An empty password is two things in PKCS#12; both are tried. */
static int mac_verify(PKCS12 *p12, struct reading *reading)
{
        const ASN1_INTEGER *iterations = NULL;

        if (!PKCS12_mac_present(p12))
                return refuse(PROBLEM_UNSUPPORTED, "The PKCS#12 file has no MAC, so nothing says that it is whole.");
        PKCS12_get0_mac(NULL, NULL, NULL, &iterations, p12);
        if (iterations && ASN1_INTEGER_get(iterations) > MAC_ITERATIONS_MOST)
                return refuse(PROBLEM_TOO_LARGE, "The PKCS#12 file asks for more than %d iterations.",
                              MAC_ITERATIONS_MOST);
        if (PKCS12_verify_mac(p12, reading->password, reading->password_len) == 1)
                return 0;
        if (!reading->password_len && PKCS12_verify_mac(p12, NULL, 0) == 1) {
                reading->password = NULL;
                return 0;
        }
        crypto_errors_clear();
        return refuse(PROBLEM_PASSWORD, "The password of the PKCS#12 file is wrong, or the file was altered.");
}

static int p12_read(PKCS12 *p12, struct reading *reading)
{
        CLEANUP(safes_freep) SAFES *safes = NULL;

        TRY(mac_verify(p12, reading));
        safes = PKCS12_unpack_authsafes(p12);
        if (!safes)
                return damaged();
        for (int i = 0; i < sk_PKCS7_num(safes); i++)
                TRY(safe_read(reading, sk_PKCS7_value(safes, i)));
        return PASS(keys_assign(reading));
}

int pkcs12_read(struct bytes der, const struct secret *password, struct pkcs12_content *ret_content)
{
        CLEANUP(secret_done) struct secret text = SECRET_NONE;
        CLEANUP(reading_done) struct reading reading = {0};
        CLEANUP(PKCS12_freep) PKCS12 *p12 = NULL;
        const unsigned char *at = der.data;

        if (der.len > PKCS12_MOST)
                return refuse(PROBLEM_TOO_LARGE, "A PKCS#12 file is longer than %d bytes.", PKCS12_MOST);
        TRY(password_text(password, &text));
        reading.password = (const char *)text.data;
        reading.password_len = (int)password->len;
        p12 = d2i_PKCS12(NULL, &at, (long)der.len);
        if (!p12 || at != der.data + der.len)
                return damaged();
        TRY(p12_read(p12, &reading));
        *ret_content = reading.content;
        reading.content = (struct pkcs12_content){0};
        return 0;
}

void pkcs12_content_done(struct pkcs12_content *content)
{
        for (size_t i = 0; i < content->count; i++) {
                EVP_PKEY_free(content->items[i].key);
                buf_done(&content->items[i].certificate);
                free(content->items[i].friendly_name);
        }
        free(content->items);
        *content = (struct pkcs12_content){0};
}
