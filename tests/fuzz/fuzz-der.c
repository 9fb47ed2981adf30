/* SPDX-License-Identifier: Apache-2.0 */
/* DER: an element that is read lies in the input, and writing it again gives the same bytes, because there is one
 * encoding only. */
#include <stdlib.h>

#include "crypto/der.h"
#include "crypto/oid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct buf *again, struct bytes element)
{
        if (!bytes_equal(buf_view(again), element))
                abort();
}

static void primitive(uint8_t tag, struct bytes element)
{
        CLEANUP(buf_done) struct buf again = BUF_NONE, text = BUF_NONE;
        struct bytes cursor = element, view;
        int64_t instant;
        unsigned bits;
        bool truth;

        if (tag == DER_INTEGER && der_read_unsigned(&cursor, &view) == 0) {
                der_add_unsigned(&again, view);
                check(&again, element);
        } else if (tag == DER_BOOLEAN && der_read_boolean(&cursor, &truth) == 0) {
                der_add_boolean(&again, truth);
                check(&again, element);
        } else if ((tag == DER_UTC_TIME || tag == DER_GENERALIZED_TIME) && der_read_time(&cursor, &instant) == 0) {
                der_add_time(&again, instant);
                check(&again, element);
        } else if (tag == DER_BIT_STRING && element.len < 5 && der_read_named_bits(&cursor, &bits) == 0) {
                der_add_named_bits(&again, bits);
                check(&again, element);
        } else if (tag == DER_OID && der_read_oid(&cursor, &view) == 0) {
                oid_add_text(&text, view);
                if (element.len < 10) { /* all arcs fit into 64 bits */
                        if (oid_parse(buf_view(&text), &again) || !bytes_equal(buf_view(&again), view))
                                abort();
                }
        }
}

static void walk(struct bytes cursor, int depth)
{
        while (cursor.len) {
                CLEANUP(buf_done) struct buf again = BUF_NONE;
                struct bytes before = cursor, content;
                uint8_t tag;

                if (der_read_any(&cursor, &tag, &content))
                        return;
                struct bytes element = bytes_of(before.data, before.len - cursor.len);
                if (content.data + content.len != cursor.data)
                        abort();
                der_add(&again, tag, content);
                check(&again, element);
                primitive(tag, element);
                if (tag & 0x20 && depth < 20)
                        walk(content, depth + 1);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        walk(bytes_of(data, size), 0);
        return 0;
}
