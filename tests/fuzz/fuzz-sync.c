/* SPDX-License-Identifier: Apache-2.0 */
/* What a directory sends about changes: states of entries, news of the content, DirSync cookies. */
#include <stdlib.h>

#include "ldap/sync.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(sync_info_done) struct sync_info info = {0};
        CLEANUP(buf_done) struct buf cookie = BUF_NONE, again = BUF_NONE;
        struct bytes input = bytes_of(data, size);
        struct id id;
        bool more;

        (void)!sync_state_parse(input, &id);
        if (sync_info_parse(input, &info) == 0 && info.ids.count * ID_SIZE > size)
                abort();
        if (dirsync_answer_parse(input, &more, &cookie) == 0)
                dirsync_request_add(more, buf_view(&cookie), &again);
        return 0;
}
