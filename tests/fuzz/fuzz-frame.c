/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of a channel: whatever comes, each is inside the input, and parsing what was parsed gives the same bytes. */
#include <stdlib.h>

#include "base/fault.h"
#include "wire/channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct bytes input = bytes_of(data, size);

        for (;;) {
                CLEANUP(buf_done) struct buf again = BUF_NONE;
                struct frame frame;
                size_t used;

                if (frame_parse(input, 4096, &frame, &used) || !used)
                        return 0;
                frame_header_add(&again, frame.kind, frame.id, frame.payload.len);
                buf_add_bytes(&again, frame.payload);
                if (used > input.len || !bytes_equal(buf_view(&again), bytes_of(input.data, used)))
                        abort();
                input = bytes_of(input.data + used, input.len - used);
        }
}
