/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration as children get it: what decodes encodes to the same again. */
#include <stdlib.h>

#include "base/fault.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(config_done) struct config config = {0};
        CLEANUP(config_done) struct config again = {0};
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;

        if (config_decode(bytes_of(data, size), &config))
                return 0;
        config_encode(&config, CONFIG_ENGINE, &encoded);
        if (config_decode(buf_view(&encoded), &again))
                abort();
        return 0;
}
