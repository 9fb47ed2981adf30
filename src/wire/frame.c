/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/channel.h"

#include "base/fault.h"

static uint64_t little_endian(const uint8_t *from, int size)
{
        uint64_t number = 0;

        while (size--)
                number = number << 8 | from[size];
        return number;
}

int frame_header_parse(const uint8_t header[static CHANNEL_HEADER_SIZE], size_t limit, struct frame *ret_frame,
                       size_t *ret_payload_len)
{
        uint64_t len = little_endian(header, 4), id = little_endian(header + 6, 8);

        if (len < CHANNEL_HEADER_SIZE - 4)
                return refuse(PROBLEM_MALFORMED, "A frame of %llu bytes is too short for its header.",
                              (unsigned long long)len);
        if (len + 4 > limit)
                return refuse(PROBLEM_TOO_LARGE, "A frame of %llu bytes is above the limit of %zu.",
                              (unsigned long long)len + 4, limit);
        if (id == CHANNEL_REPLY || id == (CHANNEL_REPLY | CHANNEL_DESCRIPTOR))
                return refuse(PROBLEM_MALFORMED, "A frame is a reply to no request.");
        *ret_frame = (struct frame){.kind = (uint16_t)little_endian(header + 4, 2), .id = id};
        *ret_payload_len = len + 4 - CHANNEL_HEADER_SIZE;
        return 0;
}

int frame_parse(struct bytes input, size_t limit, struct frame *ret_frame, size_t *ret_used)
{
        struct frame frame;
        size_t len;

        *ret_used = 0;
        if (input.len < CHANNEL_HEADER_SIZE)
                return 0;
        TRY(frame_header_parse(input.data, limit, &frame, &len));
        if (input.len - CHANNEL_HEADER_SIZE < len)
                return 0;
        frame.payload = bytes_of(input.data + CHANNEL_HEADER_SIZE, len);
        *ret_frame = frame;
        *ret_used = CHANNEL_HEADER_SIZE + len;
        return 0;
}

static void little_endian_add(struct buf *out, uint64_t number, int size)
{
        while (size--) {
                buf_add_byte(out, (uint8_t)number);
                number >>= 8;
        }
}

void frame_header_add(struct buf *out, uint16_t kind, uint64_t id, size_t payload_len)
{
        little_endian_add(out, payload_len + CHANNEL_HEADER_SIZE - 4, 4);
        little_endian_add(out, kind, 2);
        little_endian_add(out, id, 8);
}
