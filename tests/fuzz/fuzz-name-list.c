/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of people to be enrolled: however it is cut up in pages, the names are the same. */
#include <stdint.h>
#include <stdlib.h>

#include "base/text.h"
#include "cli/name-list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads to the end, opening the file anew after every `step` names. */
static size_t read_all(struct bytes file, size_t step, struct buf *out)
{
        CLEANUP(name_list_done) struct name_list list = {0};
        CLEANUP(buf_done) struct buf name = BUF_NONE;
        size_t count = 0;

        if (name_list_open(file, 0, &list) != 0)
                return 0;
        while (name_list_next(&list, &name) == 0 && name.len) {
                size_t offset = name_list_offset(&list);

                if (!text_is_printable(buf_view(&name)) || name.len > NAME_LIST_MOST)
                        abort();
                buf_add_bytes(out, buf_view(&name));
                buf_add_byte(out, '\n');
                if (++count % step)
                        continue;
                name_list_done(&list);
                if (name_list_open(file, offset, &list) != 0)
                        abort();
        }
        return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct buf whole = BUF_NONE, paged = BUF_NONE;
        struct bytes file = bytes_of(data, size);

        if (read_all(file, SIZE_MAX, &whole) != read_all(file, 3, &paged) ||
            !bytes_equal(buf_view(&whole), buf_view(&paged)))
                abort();
        buf_done(&whole);
        buf_done(&paged);
        return 0;
}
