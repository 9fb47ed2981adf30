/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "crypto/certificate.h"

typedef STACK_OF(X509) X509_STACK;

static void x509_stack_freep(X509_STACK **stack)
{
        sk_X509_pop_free(*stack, X509_free);
}

enum { DEPTH_MOST = 8 };

/* Errors of time are noted and passed over, so that one of another kind is found if there is one. */
static int verify_step(int ok, X509_STORE_CTX *ctx)
{
        int error = X509_STORE_CTX_get_error(ctx);

        if (ok || (error != X509_V_ERR_CERT_HAS_EXPIRED && error != X509_V_ERR_CERT_NOT_YET_VALID))
                return ok;
        *(bool *)X509_STORE_CTX_get_app_data(ctx) = true;
        return 1;
}

static int stack_of_list(const struct cert_list *list, X509_STACK **ret_stack)
{
        CLEANUP(x509_stack_freep) X509_STACK *stack = sk_X509_new_null();

        if (!stack)
                return crypto_fault("A list of certificates could not be made");
        for (size_t i = 0; list && i < list->count; i++) {
                CLEANUP(X509_freep) X509 *x509 = NULL;

                TRY(certificate_to_x509(&list->items[i], &x509));
                if (sk_X509_push(stack, x509) <= 0)
                        return crypto_fault("A list of certificates could not be made");
                x509 = NULL;
        }
        *ret_stack = TAKE(stack);
        return 0;
}

static int unverified(const char *why)
{
        return refuse(PROBLEM_MAIL_UNVERIFIED, "The certificate could not be verified: %s.", why);
}

/* OpenSSL's own purpose for mail refuses EC keys for encryption, so usages are looked at here. */
static int leaf_check(const struct chain_query *query)
{
        const struct certificate *leaf = query->leaf;

        if (query->purpose == CHAIN_MAIL_SIGNER && !certificate_may_sign(leaf))
                return unverified("it is not for signing mail");
        if (query->purpose == CHAIN_MAIL_RECIPIENT && !certificate_may_encrypt(leaf))
                return unverified("it is not for encrypting mail");
        if (query->purpose == CHAIN_TLS_SERVER && leaf->has_ext_key_usage &&
            !(leaf->ext_key_usage & (EXT_USAGE_SERVER | EXT_USAGE_ANY)))
                return unverified("it is not for a server");
        return 0;
}

/* A CA certificate that has an extended key usage vouches for no other (RFC 8550 4.4.4, and everybody's practice). */
static int chain_check(const X509_STACK *chain, enum chain_purpose purpose)
{
        uint32_t wanted = purpose == CHAIN_TLS_SERVER ? XKU_SSL_SERVER : XKU_SMIME;

        for (int i = 1; purpose != CHAIN_ANY && i < sk_X509_num(chain); i++) {
                X509 *ca = sk_X509_value(chain, i);

                if (X509_get_extension_flags(ca) & EXFLAG_XKUSAGE &&
                    !(X509_get_extended_key_usage(ca) & (wanted | XKU_ANYEKU)))
                        return unverified("its issuer may not certify for this use");
        }
        return 0;
}

static const struct certificate *list_find(const struct cert_list *list, X509 *x509)
{
        uint8_t fingerprint[DIGEST_SIZE];

        if (!list || X509_digest(x509, crypto_sha256(), fingerprint, NULL) != 1)
                return NULL;
        for (size_t i = 0; i < list->count; i++)
                if (memcmp(list->items[i].fingerprint.data, fingerprint, DIGEST_SIZE) == 0)
                        return &list->items[i];
        return NULL;
}

static const struct certificate *issuer_of(const struct chain_query *query, const X509_STACK *chain)
{
        X509 *x509 = sk_X509_value(chain, sk_X509_num(chain) > 1 ? 1 : 0);
        const struct certificate *issuer = list_find(query->roots, x509);

        return issuer ? issuer : list_find(query->intermediates, x509);
}

static int outside_validity(const struct chain_query *query)
{
        char from[TIME_TEXT_SIZE], to[TIME_TEXT_SIZE], at[TIME_TEXT_SIZE];

        time_text(query->at, at);
        if (query->at >= query->leaf->not_before && query->at <= query->leaf->not_after)
                return refuse(PROBLEM_MAIL_EXPIRED, "A certificate of the issuers was not valid at %s.", at);
        return refuse(PROBLEM_MAIL_EXPIRED, "The certificate is valid from %s to %s, and not at %s.",
                      time_text(query->leaf->not_before, from), time_text(query->leaf->not_after, to), at);
}

static int verify_run(const struct chain_query *query, X509_STORE_CTX *ctx, const struct certificate **ret_issuer)
{
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
        bool time_wrong = false;

        X509_VERIFY_PARAM_set_time(param, query->at);
        X509_VERIFY_PARAM_set_depth(param, DEPTH_MOST);
        X509_VERIFY_PARAM_set_auth_level(param, 2); /* 112 bits: RSA from 2048, no SHA-1 */
        X509_STORE_CTX_set_app_data(ctx, &time_wrong);
        X509_STORE_CTX_set_verify_cb(ctx, verify_step);
        if (X509_verify_cert(ctx) != 1) {
                crypto_errors_clear();
                return unverified(X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
        }
        TRY(leaf_check(query));
        TRY(chain_check(X509_STORE_CTX_get0_chain(ctx), query->purpose));
        if (time_wrong)
                return outside_validity(query);
        if (ret_issuer)
                *ret_issuer = issuer_of(query, X509_STORE_CTX_get0_chain(ctx));
        return 0;
}

int chain_verify(const struct chain_query *query, const struct certificate **ret_issuer)
{
        CLEANUP(x509_stack_freep) X509_STACK *intermediates = NULL, *roots = NULL;
        CLEANUP(X509_freep) X509 *leaf = NULL;
        CLEANUP(X509_STORE_freep) X509_STORE *store = X509_STORE_new();
        CLEANUP(X509_STORE_CTX_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();

        if (!query->roots || !query->roots->count)
                return unverified("there are no trusted roots");
        TRY(certificate_to_x509(query->leaf, &leaf));
        TRY(stack_of_list(query->intermediates, &intermediates));
        TRY(stack_of_list(query->roots, &roots));
        if (!store || !ctx || X509_STORE_CTX_init(ctx, store, leaf, intermediates) != 1)
                return crypto_fault("A chain could not be verified");
        X509_STORE_CTX_set0_trusted_stack(ctx, roots);
        return PASS(verify_run(query, ctx, ret_issuer));
}
