/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of a directory: whatever they hold, the person that comes out fits its message, can be shown, and
 * has an id and addresses; and groups give up their members. Input: first byte the schema; then "TYPE=VALUE"
 * with two bytes of length before it, the first as DN.
 */
#include <stdlib.h>

#include "base/fault.h"
#include "base/mem.h"
#include "base/text.h"
#include "ldap/roster.h"
#include "ldap/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct schema schemas[2];

static void schemas_prepare(void)
{
        if (schemas[0].id)
                return;
        for (int i = 0; i < 2; i++) {
                CLEANUP(config_done) struct config config;

                config_init(&config);
                free(config.directory.schema);
                config.directory.schema = text_copy(i ? "ad" : "inetorgperson");
                if (schema_init(&config, &schemas[i]))
                        abort();
        }
}

static bool part_next(struct bytes *input, struct bytes *ret_part)
{
        size_t len;

        if (input->len < 2)
                return false;
        len = MIN((size_t)(input->data[0] << 8 | input->data[1]), input->len - 2);
        *ret_part = bytes_of(input->data + 2, len);
        *input = bytes_of(input->data + 2 + len, input->len - 2 - len);
        return true;
}

static void entry_read(struct bytes input, struct ldap_entry *entry)
{
        struct bytes part = BYTES_NONE;

        if (part_next(&input, &part))
                entry->dn = text_copy_n((const char *)part.data, part.len);
        else
                entry->dn = text_copy("");
        while (part_next(&input, &part)) {
                const uint8_t *equal = part.len ? memchr(part.data, '=', part.len) : NULL;
                size_t type = equal ? (size_t)(equal - part.data) : 0;
                struct ldap_attribute *attribute;

                if (!equal)
                        continue;
                entry->attributes = mem_resize(entry->attributes, entry->count + 1, sizeof(*attribute));
                attribute = &entry->attributes[entry->count++];
                *attribute =
                    (struct ldap_attribute){text_copy_n((const char *)part.data, type), NEW(struct bytes), 1};
                attribute->values[0] = bytes_of(equal + 1, part.len - type - 1);
        }
}

static void person_check(const struct msg_person *person, bool group)
{
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        MSG_OWN(person) again = {0};

        if (msg_encode(person, person, &encoded) || msg_decode(person, buf_view(&encoded), &again))
                abort();
        if (!text_is_printable(bytes_text(person->name)) || !*msg_text(person->name) || !person->guid ||
            !person->dn)
                abort();
        if (!text_is_printable(bytes_text(msg_text(person->unit))) || (!group && !person->addresses.count))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(ldap_entry_done) struct ldap_entry entry = {0};
        MSG_OWN(directory_page) findings = {0};
        MSG_OWN(person) person = {0};
        MSG_OWN(person) group = {0};
        struct schema_members cursor = {0};
        struct bytes member;
        struct id name;

        schemas_prepare();
        if (!size)
                return 0;
        const struct schema *schema = &schemas[data[0] & 1];
        entry_read(bytes_of(data + 1, size - 1), &entry);
        if (schema_person(schema, &entry, &findings, &person) == 0)
                person_check(&person, false);
        if (schema_group(schema, &entry, &findings, &group) == 0)
                person_check(&group, true);
        while (schema_member_next(schema, &entry, &cursor, &member))
                (void)!roster_name(member, &name);
        (void)schema_members_more(schema, &entry);
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        if (msg_encode(directory_page, &findings, &encoded))
                abort();
        return 0;
}
