/* SPDX-License-Identifier: Apache-2.0 */
/* Revocation lists: as many entries as were counted, and to look for each is no fault. */
#include <stdlib.h>

#include "crypto/crl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bytes magnitude(const struct crl_entry *entry)
{
        size_t skip = 0;

        while (skip < SERIAL_SIZE - 1 && entry->serial[skip] == 0)
                skip++;
        return bytes_of(entry->serial + skip, SERIAL_SIZE - skip);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct crl_entry entry, found;
        struct bytes cursor;
        size_t count = 0;
        struct crl crl;

        if (crl_parse(bytes_of(data, size), &crl))
                return 0;
        for (cursor = crl.entries; crl_each(&cursor, &entry); count++)
                if (count < 100 && crl_find(&crl, magnitude(&entry), &found) < 0)
                        abort(); /* not found is possible: of a number over 16 bytes the beginning is lost */
        if (count != crl.entry_count || cursor.len)
                abort();
        return 0;
}
