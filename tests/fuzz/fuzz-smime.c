/* SPDX-License-Identifier: Apache-2.0 */
/* userSMIMECertificate: what is read lies in the input, and no signature is taken without its key. */
#include <stdlib.h>

#include "crypto/smime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct bytes part, const uint8_t *data, size_t size)
{
        return part.data >= data && part.data + part.len <= data + size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(certificate_done) struct certificate signer = {0};
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        struct smime smime;

        if (smime_parse(bytes_of(data, size), &smime))
                return 0;
        for (size_t i = 0; i < smime.certificate_count; i++)
                if (!inside(smime.certificates[i], data, size))
                        abort();
        if (!inside(smime.issuer, data, size) || !inside(smime.attributes, data, size) ||
            !inside(smime.signature, data, size) || !inside(smime.message_digest, data, size))
                abort();
        if (smime_signer(&smime, &signer) || pkey_from_spki(signer.spki, &key))
                return 0;
        (void)!smime_verify(&smime, key);
        return 0;
}
