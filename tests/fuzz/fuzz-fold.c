/* SPDX-License-Identifier: Apache-2.0 */
/* Names as keys: whatever a name holds, its keys are text if it is, and their own; what begins with a text is
 * found by it. */
#include <stdlib.h>

#include "base/fold.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(void (*add)(struct buf *out, struct bytes text), struct bytes text, bool may_grow)
{
        struct buf key = BUF_NONE, again = BUF_NONE;

        add(&key, text);
        add(&again, buf_view(&key));
        if (!bytes_equal(buf_view(&key), buf_view(&again)) || (!may_grow && key.len > text.len) ||
            text_is_utf8(buf_view(&key)) != text_is_utf8(text))
                abort();
        buf_done(&key);
        buf_done(&again);
}

/* A part of a key begins it, for whatever part is a text. */
static void check_beginning(const char *key, size_t len)
{
        struct bytes part = bytes_of(key, len < strlen(key) ? len : strlen(key));
        char *beginning;

        if (!text_is_utf8(part))
                return;
        beginning = fold_search_beginning(part);
        if (strlen(beginning) != part.len || memcmp(beginning, key, part.len) != 0)
                abort();
        free(beginning);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct bytes text;
        char *key;

        if (!size)
                return 0;
        text = bytes_of(data + 1, size - 1);
        check_same(fold_case_add, text, false);
        check_same(fold_name_add, text, true);
        key = fold_search_key(text);
        if (strlen(key) > FOLD_SEARCH_MOST || (text_is_utf8(text) && !text_is_utf8(bytes_text(key))))
                abort();
        if (text_is_utf8(text))
                check_beginning(key, data[0]);
        free(key);
        return 0;
}
