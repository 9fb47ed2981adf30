/* SPDX-License-Identifier: Apache-2.0 */
/* Envelopes for one fixed key: the seeds open, and whatever is refused gives nothing out. */
#include <stdlib.h>

#include "crypto/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(secret_done) struct secret scalar = secret_new(SCALAR_SIZE), plain = SECRET_NONE;

        memset(scalar.data, 0x17, scalar.len);
        int result = envelope_open(&scalar, bytes_of(data, size), &plain);
        if (result < 0 || (result > 0 && plain.data))
                abort();
        return 0;
}
