/* SPDX-License-Identifier: Apache-2.0 */
#include "model/id.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/fault.h"
#include "base/text.h"

bool id_is_none(const struct id *id)
{
        return id_equal(id, &ID_NONE);
}

int id_from_bytes(struct bytes bytes, struct id *ret_id)
{
        if (bytes.len != ID_SIZE)
                return refuse(PROBLEM_MALFORMED, "An identifier has %zu bytes instead of %d.", bytes.len,
                              ID_SIZE);
        memcpy(ret_id->data, bytes.data, ID_SIZE);
        return 0;
}

int id_parse(struct bytes text, struct id *ret_id)
{
        CLEANUP(buf_done) struct buf digits = BUF_NONE;
        CLEANUP(buf_done) struct buf bytes = BUF_NONE;
        bool uuid = text.len == 36;

        /* The dashes of a UUID are where RFC 9562 has them, or nowhere. */
        for (size_t i = 0; i < text.len; i++)
                if (!(uuid && text.data[i] == '-' && (i == 8 || i == 13 || i == 18 || i == 23)))
                        buf_add_byte(&digits, text.data[i] >= 'A' && text.data[i] <= 'F' ? text.data[i] | 0x20
                                                                                         : text.data[i]);
        if (digits.len != 2 * ID_SIZE || hex_parse(buf_view(&digits), &bytes) != 0)
                return refuse(PROBLEM_MALFORMED, "\"%.*s\" is not an identifier of 32 hexadecimal digits.",
                              (int)MIN(text.len, 64), text.data ? (const char *)text.data : "");
        return id_from_bytes(buf_view(&bytes), ret_id);
}

const char *id_text(const struct id *id, char text[static ID_TEXT_SIZE])
{
        static const char digits[] = "0123456789abcdef";

        for (size_t i = 0; i < ID_SIZE; i++) {
                text[2 * i] = digits[id->data[i] >> 4];
                text[2 * i + 1] = digits[id->data[i] & 15];
        }
        text[2 * ID_SIZE] = 0;
        return text;
}

/* The same either way. */
static const uint8_t active_directory_order[ID_SIZE] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

int id_from_active_directory(struct bytes bytes, struct id *ret_id)
{
        struct id id;

        TRY(id_from_bytes(bytes, &id));
        id_to_active_directory(&id, ret_id->data);
        return 0;
}

void id_to_active_directory(const struct id *id, uint8_t ret_bytes[static ID_SIZE])
{
        for (size_t i = 0; i < ID_SIZE; i++)
                ret_bytes[i] = id->data[active_directory_order[i]];
}

struct id id_new(void)
{
        struct id id;
        struct timespec now;
        uint64_t milliseconds;

        clock_gettime(CLOCK_REALTIME, &now);
        milliseconds = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
        for (int i = 0; i < 6; i++)
                id.data[i] = (uint8_t)(milliseconds >> (40 - 8 * i));
        /* Up to 256 bytes come whole once the system has entropy; without it there is nothing to go on with.
         */
        if (getrandom(id.data + 6, ID_SIZE - 6, 0) != ID_SIZE - 6)
                abort();
        return id;
}
