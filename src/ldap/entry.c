/* SPDX-License-Identifier: Apache-2.0 */
#include "ldap/entry.h"

#include "base/mem.h"
#include "base/text.h"

void ldap_entry_done(struct ldap_entry *entry)
{
        for (size_t i = 0; i < entry->count; i++) {
                free(entry->attributes[i].type);
                free(entry->attributes[i].values);
                if (entry->owned)
                        ldap_value_free_len(entry->owned[i]);
        }
        if (entry->controls)
                ldap_controls_free(entry->controls);
        free(entry->owned);
        free(entry->attributes);
        free(entry->dn);
        *entry = (struct ldap_entry){0};
}

static char *lower_copy(const char *text)
{
        char *copy = text_copy(text);

        for (char *c = copy; *c; c++)
                if (*c >= 'A' && *c <= 'Z')
                        *c = (char)(*c | 0x20);
        return copy;
}

static void attribute_add(struct ldap_entry *entry, const char *type, struct berval **values)
{
        struct ldap_attribute attribute = {.type = lower_copy(type),
                                           .count = (size_t)ldap_count_values_len(values)};

        attribute.values = mem_array(attribute.count + 1, sizeof(struct bytes));
        for (size_t i = 0; i < attribute.count; i++)
                attribute.values[i] = bytes_of(values[i]->bv_val, values[i]->bv_len);
        entry->attributes = mem_resize(entry->attributes, entry->count + 1, sizeof(struct ldap_attribute));
        entry->owned = mem_resize(entry->owned, entry->count + 1, sizeof(struct berval **));
        entry->owned[entry->count] = values;
        entry->attributes[entry->count++] = attribute;
}

void ldap_entry_take(LDAP *ldap, LDAPMessage *message, struct ldap_entry *ret_entry)
{
        BerElement *place = NULL;
        char *dn = ldap_get_dn(ldap, message);

        *ret_entry = (struct ldap_entry){.dn = text_copy(dn ? dn : "")};
        ldap_memfree(dn);
        for (char *type = ldap_first_attribute(ldap, message, &place); type;
             type = ldap_next_attribute(ldap, message, place)) {
                attribute_add(ret_entry, type, ldap_get_values_len(ldap, message, type));
                ldap_memfree(type);
        }
        ber_free(place, 0);
        if (ldap_get_entry_controls(ldap, message, &ret_entry->controls))
                ret_entry->controls = NULL;
}

const struct ldap_attribute *ldap_entry_find(const struct ldap_entry *entry, const char *type)
{
        for (size_t i = 0; i < entry->count; i++)
                if (text_equal_ignoring_case(entry->attributes[i].type, type))
                        return &entry->attributes[i];
        return NULL;
}
