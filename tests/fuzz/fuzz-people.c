/* SPDX-License-Identifier: Apache-2.0 */
/* Address books as files: LDIF, CSV, and the names in them. The first byte says which. */
#include <stdint.h>
#include <stdlib.h>

#include "base/text.h"
#include "base/dn.h"
#include "cli/people.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is taken must be what the server takes: text, an id, of people an address. */
static void check_people(struct people *people)
{
        for (size_t i = 0; i < people->list.count; i++) {
                const struct msg_person *person = &people->list.at[i];
                bool group = strcmp(msg_text(person->kind), "group") == 0;

                if ((!person->addresses.count && !group) || !person->guid || !person->name || !text_is_utf8(bytes_text(person->name)))
                        abort();
        }
        people_done(people);
}

/* What is written is read again as it was. */
static void check_written(const char *value)
{
        struct buf written = BUF_NONE;
        struct dn dn = {0};

        buf_add_text(&written, "cn=");
        dn_value_add(&written, bytes_text(value));
        if (dn_parse(buf_view(&written), &dn) != 0 || dn.count != 1 || strcmp(dn.parts[0].value, value) != 0)
                abort();
        buf_done(&written);
        dn_done(&dn);
}

static void check_dn(struct bytes text)
{
        struct buf key = BUF_NONE;
        struct dn dn;

        if (dn_parse(text, &dn) != 0)
                return;
        dn_key_add(&key, &dn);
        if (!dn.count || !text_is_utf8(buf_view(&key)))
                abort();
        buf_done(&key);
        for (size_t i = 0; i < dn.count; i++)
                check_written(dn.parts[i].value);
        dn_done(&dn);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct people people = {0};
        struct bytes file;

        if (!size)
                return 0;
        file = bytes_of(data + 1, size - 1);
        if (data[0] == 'd')
                check_dn(file);
        else if ((data[0] == 'c' ? people_from_csv(file, &people) : people_from_ldif(file, &people)) == 0)
                check_people(&people);
        return 0;
}
