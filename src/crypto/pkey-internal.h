/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What pkey.c (making, signing) and pkey-coding.c (encodings) share. Lives as long as the process. */
#include "crypto/pkey.h"

struct curve {
        const char *name; /* as OpenSSL's group name */
        const struct bytes *oid;
        size_t size;          /* bytes of a field element, and of a scalar */
        EVP_PKEY *parameters; /* a key without a key: copying it is three times as fast as naming the group */
        EC_GROUP *group;
};

const struct curve *pkey_curve(enum pkey_type type); /* of PKEY_P256 and PKEY_P384 */
enum pkey_type rsa_type(unsigned bits);               /* PKEY_NONE when the size is not accepted */
