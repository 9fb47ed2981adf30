/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/crypto.h"

#include <openssl/err.h>

int crypto_fault(const char *what)
{
        char reason[256] = "no reason given";
        unsigned long first = 0, error;

        /* The first error is the cause; the later ones say who passed it on. */
        while ((error = ERR_get_error()))
                if (!first)
                        first = error;
        if (first)
                ERR_error_string_n(first, reason, sizeof(reason));
        return fault(0, "%s: %s", what, reason);
}

void crypto_errors_clear(void)
{
        ERR_clear_error();
}

static const EVP_MD *md_fetch(const char *name)
{
        EVP_MD *md = EVP_MD_fetch(NULL, name, NULL);

        if (!md)
                abort();
        return md;
}

const EVP_MD *crypto_sha256(void)
{
        static const EVP_MD *md;

        return md ? md : (md = md_fetch("SHA2-256"));
}

const EVP_MD *crypto_sha384(void)
{
        static const EVP_MD *md;

        return md ? md : (md = md_fetch("SHA2-384"));
}
