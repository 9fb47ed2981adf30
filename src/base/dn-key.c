/* SPDX-License-Identifier: Apache-2.0 */
/* By itself, so that only those who compare names bring libunistring. */
#include "base/dn.h"
#include "base/fold.h"

/* Several blanks as one; what has a meaning in a key is escaped. */
static void add_value(struct buf *out, struct bytes value)
{
        for (size_t i = 0; i < value.len; i++) {
                uint8_t c = value.data[i];

                if (c == ' ' && i && value.data[i - 1] == ' ')
                        continue;
                if (c == ',' || c == '+' || c == '=' || c == '\\')
                        buf_add_byte(out, '\\');
                buf_add_byte(out, c);
        }
}

void dn_key_add(struct buf *out, const struct dn *dn)
{
        CLEANUP(buf_done) struct buf value = BUF_NONE;

        for (size_t i = 0; i < dn->count; i++) {
                if (dn->parts[i].joined && i)
                        out->data[out->len - 1] = '+'; /* in place of the comma */
                else if (dn->parts[i].joined)
                        buf_add_byte(out, '+'); /* half of a name is none */
                buf_add_text(out, dn->parts[i].type);
                buf_add_byte(out, '=');
                buf_clear(&value);
                fold_case_add(&value, bytes_text(dn->parts[i].value));
                add_value(out, buf_view(&value));
                buf_add_byte(out, ',');
        }
}
