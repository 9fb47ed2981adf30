/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The server's certificate and key for TLS, from memory, replaceable while connections are open: those that are keep
 * theirs. There is one in a process, since libmicrohttpd's callback has no room for more.
 */
#include <gnutls/abstract.h>

#include "base/buf.h"
#include "base/fault.h"
#include "base/secret.h"

enum { TLS_CHAIN_MOST = 8 };

struct tls {
        bool loaded;
        gnutls_pcert_st chain[TLS_CHAIN_MOST];
        unsigned chain_count;
        gnutls_privkey_t key;
};

/* TLS 1.2 and later, forward secrecy, no ciphers with known weaknesses. */
#define TLS_PRIORITIES                                                                                                 \
        "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-CIPHER-ALL:+AES-256-GCM:+AES-128-GCM:+CHACHA20-POLY1305"

/* PEM. PROBLEM_CONFIGURATION says what is wrong, and keeps what was loaded before. */
int tls_load(struct tls *tls, struct bytes chain, const struct secret *key) must_check;
void tls_done(struct tls *tls);
/* For MHD_OPTION_HTTPS_CERT_CALLBACK. */
int tls_retrieve(gnutls_session_t session, const gnutls_datum_t *authorities, int authority_count,
                 const gnutls_pk_algorithm_t *algorithms, int algorithm_count, gnutls_pcert_st **ret_chain,
                 unsigned *ret_chain_count, gnutls_privkey_t *ret_key);
