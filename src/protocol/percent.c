/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/percent.h"

#include "base/fault.h"
#include "base/text.h"

static bool unreserved(uint8_t c)
{
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '.' ||
               c == '_' || c == '~';
}

void percent_add(struct buf *out, struct bytes text)
{
        for (size_t i = 0; i < text.len; i++) {
                if (unreserved(text.data[i]))
                        buf_add_byte(out, text.data[i]);
                else
                        buf_add_format(out, "%%%02X", text.data[i]);
        }
}

static int digit(uint8_t c)
{
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                      : -1;
}

int percent_parse(struct bytes text, struct buf *out)
{
        size_t start = out->len;

        for (size_t i = 0; i < text.len; i++) {
                int high, low;

                if (text.data[i] != '%') {
                        buf_add_byte(out, text.data[i]);
                        continue;
                }
                high = text.len - i > 2 ? digit(text.data[i + 1]) : -1;
                low = text.len - i > 2 ? digit(text.data[i + 2]) : -1;
                if (high < 0 || low < 0)
                        return refuse(PROBLEM_MALFORMED, "A percent code is ill-formed.");
                buf_add_byte(out, (uint8_t)(high << 4 | low));
                i += 2;
        }
        if (out->len > start && !text_is_utf8(bytes_of(out->data + start, out->len - start)))
                return refuse(PROBLEM_MALFORMED, "What is percent-encoded is not UTF-8.");
        return 0;
}
