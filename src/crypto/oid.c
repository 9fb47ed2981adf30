/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/oid.h"

#include <inttypes.h>

#include "base/fault.h"
#include "base/text.h"
#include "crypto/der.h"

#define OID(name, dotted, content) const struct bytes oid_##name = {(const uint8_t *)content, sizeof(content) - 1};
#include "crypto/oids.def"
#undef OID

void der_add_oid(struct buf *out, struct bytes oid)
{
        der_add(out, DER_OID, oid);
}

void der_add_algorithm(struct buf *out, struct bytes oid, bool with_null)
{
        size_t seq = der_begin(out, DER_SEQUENCE);

        der_add_oid(out, oid);
        if (with_null)
                der_add_null(out);
        der_end(out, seq);
}

static void arc_add(struct buf *out, uint64_t arc)
{
        int shift = 63;

        while (shift > 0 && !(arc >> shift))
                shift -= 7;
        for (; shift > 0; shift -= 7)
                buf_add_byte(out, (uint8_t)(0x80 | (arc >> shift & 0x7f)));
        buf_add_byte(out, arc & 0x7f);
}

int oid_parse(struct bytes dotted, struct buf *ret_content)
{
        CLEANUP(buf_done) struct buf content = BUF_NONE;
        uint64_t first = 0, arc;

        for (size_t count = 0; dotted.len || count < 2; count++) {
                const uint8_t *dot = dotted.len ? memchr(dotted.data, '.', dotted.len) : NULL;
                size_t len = dot ? (size_t)(dot - dotted.data) : dotted.len;

                /* The last arc has no dot after it, every other has one and something behind it. */
                if ((dot && len + 1 == dotted.len) || (!dot && count == 0) || content.len > 50 ||
                    number_parse(bytes_of(dotted.data, len), count == 0 ? 2 : (uint64_t)INT64_MAX - 80, &arc) != 0 ||
                    (count == 1 && first < 2 && arc > 39))
                        return refuse(PROBLEM_MALFORMED, "An object identifier is not of the form 1.2.840.113549.");
                if (count == 0)
                        first = arc;
                else
                        arc_add(&content, count == 1 ? first * 40 + arc : arc);
                dotted = bytes_of(dotted.data + len + (dot != NULL), dotted.len - len - (dot != NULL));
        }
        *ret_content = buf_take(&content);
        return 0;
}

void oid_add_text(struct buf *out, struct bytes content)
{
        uint64_t arc = 0;
        bool first = true;

        for (size_t i = 0; i < content.len; i++) {
                /* Arcs beyond 64 bits (UUIDs) are shown without their upper part; nothing is decided by this text. */
                arc = arc << 7 | (content.data[i] & 0x7f);
                if (content.data[i] & 0x80)
                        continue;
                if (first) {
                        uint64_t top = MIN(arc / 40, (uint64_t)2);
                        buf_add_format(out, "%" PRIu64 ".%" PRIu64, top, arc - top * 40);
                } else {
                        buf_add_format(out, ".%" PRIu64, arc);
                }
                first = false;
                arc = 0;
        }
}
