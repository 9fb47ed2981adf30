/* SPDX-License-Identifier: Apache-2.0 */
/* Certification requests: parts lie in the input; only a request with a good key and signature passes. */
#include <stdlib.h>

#include "crypto/csr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct csr csr, verified;

        if (csr_parse(bytes_of(data, size), &csr))
                return 0;
        if (csr.spki.data < csr.info.data || csr.spki.data + csr.spki.len > csr.info.data + csr.info.len ||
            csr.signature.data + csr.signature.len != data + size)
                abort();
        (void)!csr_verify(bytes_of(data, size), &verified, NULL);
        return 0;
}
