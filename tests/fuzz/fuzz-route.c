/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request targets: "METHOD TARGET", then a line feed and the body. What is understood means the same after it was
 * written and read again.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "protocol/json.h"
#include "protocol/routes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct route *route, const void *message)
{
        const struct msg_record *record = route->request();
        CLEANUP(buf_done) struct buf target = BUF_NONE, body = BUF_NONE, once = BUF_NONE, twice = BUF_NONE;
        CLEANUP(mem_freep) void *back = mem_new(record->size);
        const struct route *found;

        if (route_encode(route, message, &target, &body) ||
            route_find(route_method_text(route->method), buf_view(&target), &found) || found != route ||
            route_decode(route, buf_view(&target), buf_view(&body), back) || message_encode(record, message, &once) ||
            message_encode(record, back, &twice) || !bytes_equal(buf_view(&once), buf_view(&twice)))
                abort();
        message_done(record, back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct bytes target = bytes_of(data, size), body = BYTES_NONE;
        const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
        const struct route *route;
        CLEANUP(buf_done) struct buf methods = BUF_NONE;

        json_setup();
        if (line) {
                target.len = (size_t)(line - data);
                body = bytes_of(line + 1, size - target.len - 1);
        }
        bool post = target.len && target.data[0] == 'P';
        struct bytes path = target.len ? bytes_of(target.data + 1, target.len - 1) : target;

        route_methods(path, &methods);
        if (route_find(post ? "POST" : "GET", path, &route))
                return 0;
        CLEANUP(mem_freep) void *message = mem_new(route->request()->size);

        if (route_decode(route, path, body, message))
                return 0;
        again(route, message);
        message_done(route->request(), message);
        return 0;
}
