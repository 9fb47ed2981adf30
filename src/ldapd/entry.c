/* SPDX-License-Identifier: Apache-2.0 */
#include "ldapd/entry.h"

#include "base/dn.h"
#include "base/mem.h"

void entry_done(struct entry *entry)
{
        buf_done(&entry->dn);
        buf_done(&entry->keys);
        free(entry->values);
        for (size_t i = 0; i < entry->owned.count; i++)
                free(entry->owned.at[i]);
        free(entry->owned.at);
        *entry = (struct entry){0};
}

void entry_add(struct entry *entry, const char *attribute, struct bytes value)
{
        struct entry_value added = {attribute_named(attribute), value, .key_at = entry->keys.len};

        if (!value.len)
                return;
        if (!added.attribute->bytes)
                attribute_key_add(added.attribute, &entry->keys, value, true, true);
        added.key_len = entry->keys.len - added.key_at;
        entry->values = mem_resize(entry->values, entry->count + 1, sizeof(*entry->values));
        entry->values[entry->count++] = added;
}

static void add_text(struct entry *entry, const char *attribute, const char *text)
{
        entry_add(entry, attribute, bytes_text(msg_text(text)));
}

/* A text that nobody else keeps. */
static void add_owned(struct entry *entry, const char *attribute, const char *text)
{
        msg_texts_add(&entry->owned, text);
        add_text(entry, attribute, entry->owned.at[entry->owned.count - 1]);
}

static void add_classes(struct entry *entry, const char *const *classes)
{
        for (; *classes; classes++)
                add_text(entry, "objectClass", *classes);
}

/* "Europe/Sales" is two units. */
static void add_units(struct entry *entry, const char *unit)
{
        while (*unit) {
                size_t len = strcspn(unit, "/");

                entry_add(entry, "ou", bytes_of(unit, len));
                unit += len + (unit[len] == '/');
        }
}

void entry_person(const struct msg_lookup_person *person, const char *organisation, const char *base,
                  struct entry *ret_entry)
{
        static const char *const classes[] = {"top", "person", "organizationalPerson", "inetOrgPerson", NULL};
        const char *surname = msg_text(person->surname);
        struct entry entry = {0};

        buf_add_text(&entry.dn, "mail=");
        dn_value_add(&entry.dn, bytes_text(person->addresses.count ? person->addresses.at[0] : ""));
        buf_add_format(&entry.dn, ",%s", base);
        add_classes(&entry, classes);
        add_text(&entry, "cn", person->name);
        add_text(&entry, "sn",
                 *surname ? surname : person->name); /* a person must have one: RFC 4519 section 3.12 */
        add_text(&entry, "givenName", person->given_name);
        add_text(&entry, "displayName", person->name);
        for (size_t i = 0; i < person->addresses.count; i++)
                add_text(&entry, "mail", person->addresses.at[i]);
        add_units(&entry, msg_text(person->unit));
        add_text(&entry, "o", organisation);
        for (size_t i = 0; i < person->certificates.count; i++)
                entry_add(&entry, "userCertificate", buf_view(&person->certificates.at[i].der));
        entry_add(&entry, "userSMIMECertificate", buf_view(&person->smime));
        add_text(&entry, "subschemaSubentry", SCHEMA_DN);
        *ret_entry = entry;
}

void entry_base(const char *organisation, const char *base, struct entry *ret_entry)
{
        static const char *const classes[] = {"top", "organization", NULL};
        struct entry entry = {0};

        buf_add_text(&entry.dn, base);
        add_classes(&entry, classes);
        add_text(&entry, "o", organisation);
        add_text(&entry, "subschemaSubentry", SCHEMA_DN);
        *ret_entry = entry;
}

void entry_root(const char *base, bool tls, struct entry *ret_entry)
{
        struct entry entry = {0};

        add_text(&entry, "objectClass", "top");
        add_text(&entry, "namingContexts", base);
        add_text(&entry, "supportedControl", OID_PAGED_RESULTS);
        if (tls)
                add_text(&entry, "supportedExtension", OID_START_TLS);
        add_text(&entry, "supportedExtension", OID_WHO_AM_I);
        add_text(&entry, "supportedFeatures", OID_ALL_OPERATIONAL);
        add_text(&entry, "supportedFeatures", OID_TRUE_FALSE);
        add_text(&entry, "supportedLDAPVersion", "3");
        add_text(&entry, "vendorName", "Vouchsafe");
        add_text(&entry, "vendorVersion", VOUCHSAFE_VERSION);
        add_text(&entry, "subschemaSubentry", SCHEMA_DN);
        *ret_entry = entry;
}

void entry_schema(struct entry *ret_entry)
{
        static const char *const classes[] = {"top", "subschema", NULL};
        struct entry entry = {0};

        buf_add_text(&entry.dn, SCHEMA_DN);
        add_classes(&entry, classes);
        add_text(&entry, "cn", "Subschema");
        for (size_t i = 0; object_classes[i]; i++)
                add_text(&entry, "objectClasses", object_classes[i]);
        for (size_t i = 0; attribute_at(i); i++) {
                const struct attribute *attribute = attribute_at(i);
                CLEANUP(buf_done) struct buf text = BUF_NONE;

                buf_add_format(&text, "( %s NAME ", attribute->oid);
                if (attribute->alias)
                        buf_add_format(&text, "( '%s' '%s' )", attribute->name, attribute->alias);
                else
                        buf_add_format(&text, "'%s'", attribute->name);
                buf_add_format(&text, " %s )", attribute->definition);
                add_owned(&entry, "attributeTypes", buf_text(&text));
        }
        *ret_entry = entry;
}
