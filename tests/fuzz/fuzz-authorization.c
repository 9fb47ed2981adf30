/* SPDX-License-Identifier: Apache-2.0 */
/* The Authorization header: what is accepted has one spelling. */
#include <stdlib.h>
#include <strings.h>

#include "protocol/authorization.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(authorization_done) struct authorization read = {0};
        CLEANUP(buf_done) struct buf again = BUF_NONE;

        if (authorization_parse(bytes_of(data, size), &read))
                return 0;
        if (read.is_operator)
                authorization_operator_add(&again, &read.operator);
        else
                authorization_ticket_add(&again, buf_view(&read.ticket));
        size_t scheme = read.is_operator ? 9 : 6;

        if (again.len != size || strncasecmp((const char *)data, buf_text(&again), scheme) != 0 ||
            memcmp(data + scheme, again.data + scheme, size - scheme) != 0)
                abort();
        return 0;
}
