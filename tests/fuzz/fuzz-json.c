/* SPDX-License-Identifier: Apache-2.0 */
/* JSON to message: the first byte chooses the message. What is read is within its limits, and survives writing and
 * reading again. */
#include <stdlib.h>

#include "base/mem.h"
#include "protocol/json.h"
#include "protocol/problem.h"
#include "protocol/routes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct msg_record *record, struct bytes text)
{
        CLEANUP(mem_freep) void *message = mem_new(record->size), *back = mem_new(record->size);
        CLEANUP(buf_done) struct buf json = BUF_NONE, once = BUF_NONE, twice = BUF_NONE;

        if (json_message_parse(record, text, message))
                return;
        if (message_encode(record, message, &once) || json_message_add(record, message, &json) ||
            json_message_parse(record, buf_view(&json), back) || message_encode(record, back, &twice) ||
            !bytes_equal(buf_view(&once), buf_view(&twice)))
                abort();
        message_done(record, message);
        message_done(record, back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static bool ready;
        static size_t count;
        MSG_OWN(problem) problem = {0};

        if (!ready) {
                json_setup();
                while (route_at(count))
                        count++;
                ready = true;
        }
        if (!size)
                return 0;
        struct bytes text = bytes_of(data + 1, size - 1);
        const struct route *route = route_at((data[0] >> 1) % count);

        check(data[0] & 1 ? route->reply() : route->request(), text);
        (void)!problem_json_parse(text, &problem);
        return 0;
}
