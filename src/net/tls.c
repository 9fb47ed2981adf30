/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls.h"

static struct tls *current;

static int wrong(const char *what, int error)
{
        return refuse(PROBLEM_CONFIGURATION, "%s: %s.", what, gnutls_strerror(error));
}

static gnutls_datum_t datum(struct bytes bytes)
{
        return (gnutls_datum_t){(unsigned char *)(uintptr_t)bytes.data, (unsigned)bytes.len};
}

void tls_done(struct tls *tls)
{
        for (unsigned i = 0; i < tls->chain_count; i++)
                gnutls_pcert_deinit(&tls->chain[i]);
        if (tls->key)
                gnutls_privkey_deinit(tls->key);
        *tls = (struct tls){0};
}

static int load(struct bytes chain_pem, struct bytes key_pem, struct tls *tls)
{
        gnutls_datum_t chain = datum(chain_pem), key = datum(key_pem);
        unsigned count = TLS_CHAIN_MOST;
        int r;

        r = gnutls_pcert_list_import_x509_raw(tls->chain, &count, &chain, GNUTLS_X509_FMT_PEM, 0);
        if (r < 0)
                return wrong("The TLS certificate cannot be read", r);
        tls->chain_count = count;
        r = gnutls_privkey_init(&tls->key);
        if (!r)
                r = gnutls_privkey_import_x509_raw(tls->key, &key, GNUTLS_X509_FMT_PEM, NULL, 0);
        if (r < 0)
                return wrong("The TLS key cannot be read", r);
        return 0;
}

/* Whether the key is that of the first certificate. */
static int check_pair(struct tls *tls)
{
        uint8_t of_chain[64], of_key[64];
        size_t chain_len = sizeof(of_chain), key_len = sizeof(of_key);
        gnutls_pubkey_t pubkey;
        int r = gnutls_pubkey_init(&pubkey);

        if (r < 0)
                return wrong("The TLS key cannot be checked", r);
        r = gnutls_pubkey_import_privkey(pubkey, tls->key, 0, 0);
        if (!r)
                r = gnutls_pubkey_get_key_id(pubkey, GNUTLS_KEYID_USE_SHA256, of_key, &key_len);
        if (!r)
                r = gnutls_pubkey_get_key_id(tls->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, of_chain, &chain_len);
        gnutls_pubkey_deinit(pubkey);
        if (r < 0)
                return wrong("The TLS key cannot be checked", r);
        if (!bytes_equal(bytes_of(of_chain, chain_len), bytes_of(of_key, key_len)))
                return refuse(PROBLEM_CONFIGURATION, "The TLS key is not the key of the first TLS certificate.");
        return 0;
}

int tls_load(struct tls *tls, struct bytes chain, const struct secret *key)
{
        struct tls fresh = {0};

        if (!chain.len || !key->len)
                return refuse(PROBLEM_CONFIGURATION, "There is no TLS certificate, or no key for it.");
        int r = load(chain, secret_view(key), &fresh);

        if (!r)
                r = check_pair(&fresh);
        if (r) {
                tls_done(&fresh);
                return PASS(r);
        }
        tls_done(tls);
        *tls = fresh;
        tls->loaded = true;
        current = tls;
        return 0;
}

int tls_retrieve(gnutls_session_t session, const gnutls_datum_t *authorities, int authority_count,
                 const gnutls_pk_algorithm_t *algorithms, int algorithm_count, gnutls_pcert_st **ret_chain,
                 unsigned *ret_chain_count, gnutls_privkey_t *ret_key)
{
        if (!current || !current->loaded)
                return -1;
        *ret_chain = current->chain;
        *ret_chain_count = current->chain_count;
        *ret_key = current->key;
        return 0;
}
