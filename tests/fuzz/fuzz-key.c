/* SPDX-License-Identifier: Apache-2.0 */
/* Public and private keys: what is read is written again as the same bytes (a private key: read again as the same
 * key). */
#include <stdlib.h>

#include "crypto/pkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void public_key(struct bytes input)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        CLEANUP(buf_done) struct buf again = BUF_NONE;
        enum pkey_type type;
        uint8_t id[KEY_ID_SIZE];

        if (pkey_from_spki(input, &key))
                return;
        if (pkey_to_spki(key, &again) || !bytes_equal(buf_view(&again), input) || spki_type(input, &type) ||
            type != pkey_type_of(key) || spki_key_id(input, id))
                abort();
}

static void private_key(struct bytes input)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL, *back = NULL;
        CLEANUP(secret_done) struct secret again = SECRET_NONE;

        if (pkey_from_pkcs8(input, &key))
                return;
        if (pkey_to_pkcs8(key, &again) || pkey_from_pkcs8(secret_view(&again), &back) || EVP_PKEY_eq(key, back) != 1)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        public_key(bytes_of(data, size));
        private_key(bytes_of(data, size));
        return 0;
}
