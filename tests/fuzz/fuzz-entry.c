/* SPDX-License-Identifier: Apache-2.0 */
/* A person as the process that follows a directory sends it, or an import brings it: what is taken from it can be stored, shown on a
 * line of a terminal and put in a certificate. */
#include <stdlib.h>

#include "base/text.h"
#include "engine/entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_printable(const char *text)
{
        if (!text_is_printable(bytes_text(msg_text(text))))
                abort();
}

/* What is stored as one text comes back as the same set. */
static void check_texts(const struct texts *texts)
{
        struct buf joined = BUF_NONE;
        struct texts again = TEXTS_NONE;

        texts_join(texts, &joined);
        if (texts_split(buf_view(&joined), &again) != 0 || again.count != texts->count)
                abort();
        texts_done(&again);
        buf_done(&joined);
}

static void check_entry(const struct entry_row *entry)
{
        char *key = store_name_key(msg_text(entry->name));

        check_printable(entry->cn);
        check_printable(entry->name);
        check_printable(entry->unit);
        check_printable(entry->language);
        check_texts(&entry->addresses);
        check_texts(&entry->groups);
        if (entry->kind != ENTRY_PERSON && (entry->kind != ENTRY_GROUP || entry->addresses.count))
                abort();
        for (size_t i = 0; i < entry->addresses.count; i++)
                check_printable(entry->addresses.items[i]);
        free(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct msg_person person = {0};
        struct entry_row entry = {0};

        if (msg_decode(person, bytes_of(data, size), &person) != 0)
                return 0;
        if (entry_fill(&person, &entry) == 0)
                check_entry(&entry);
        entry_row_done(&entry);
        msg_done(person, &person);
        return 0;
}
