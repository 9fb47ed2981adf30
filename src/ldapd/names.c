/* SPDX-License-Identifier: Apache-2.0 */
#include "ldapd/names.h"

#include <stdlib.h>
#include <strings.h>

#include "base/fold.h"
#include "base/text.h"

/* RFC 4512, 4519, 4523, 4524, 2798. */
#define NAME_SYNTAX                                                                                          \
        "EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15"
static const struct attribute attributes[] = {
    {"objectClass", NULL, "2.5.4.0", "EQUALITY objectIdentifierMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.38"},
    {"cn", "commonName", "2.5.4.3", NAME_SYNTAX, .words = true, .name_like = true},
    {"sn", "surname", "2.5.4.4", NAME_SYNTAX, .words = true, .name_like = true},
    {"givenName", "gn", "2.5.4.42", NAME_SYNTAX, .words = true, .name_like = true},
    {"displayName", NULL, "2.16.840.1.113730.3.1.241", NAME_SYNTAX " SINGLE-VALUE", .words = true,
     .name_like = true},
    {"mail", "rfc822Mailbox", "0.9.2342.19200300.100.1.3",
     "EQUALITY caseIgnoreIA5Match SUBSTR caseIgnoreIA5SubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.26"},
    {"ou", "organizationalUnitName", "2.5.4.11", NAME_SYNTAX, .words = true},
    {"o", "organizationName", "2.5.4.10", NAME_SYNTAX, .words = true},
    {"userCertificate", NULL, "2.5.4.36",
     "EQUALITY certificateExactMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.8", .bytes = true, .binary = true},
    {"userSMIMECertificate", NULL, "2.16.840.1.113730.3.1.40", "SYNTAX 1.3.6.1.4.1.1466.115.121.1.5",
     .bytes = true},
    {"subschemaSubentry", NULL, "2.5.18.10",
     "EQUALITY distinguishedNameMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.12 SINGLE-VALUE NO-USER-MODIFICATION "
     "USAGE directoryOperation",
     .operational = true},
    /* without values, but clients want to know of them before they read the schema */
    {"createTimestamp", NULL, "2.5.18.1",
     "SYNTAX 1.3.6.1.4.1.1466.115.121.1.24 SINGLE-VALUE NO-USER-MODIFICATION USAGE directoryOperation",
     .operational = true},
    {"modifyTimestamp", NULL, "2.5.18.2",
     "SYNTAX 1.3.6.1.4.1.1466.115.121.1.24 SINGLE-VALUE NO-USER-MODIFICATION USAGE directoryOperation",
     .operational = true},
    {"namingContexts", NULL, "1.3.6.1.4.1.1466.101.120.5",
     "SYNTAX 1.3.6.1.4.1.1466.115.121.1.12 USAGE dSAOperation"},
    {"supportedControl", NULL, "1.3.6.1.4.1.1466.101.120.13",
     "SYNTAX 1.3.6.1.4.1.1466.115.121.1.38 USAGE dSAOperation"},
    {"supportedExtension", NULL, "1.3.6.1.4.1.1466.101.120.7",
     "SYNTAX 1.3.6.1.4.1.1466.115.121.1.38 USAGE dSAOperation"},
    {"supportedFeatures", NULL, "1.3.6.1.4.1.4203.1.3.5",
     "EQUALITY objectIdentifierMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.38 USAGE dSAOperation"},
    {"supportedLDAPVersion", NULL, "1.3.6.1.4.1.1466.101.120.15",
     "SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 USAGE dSAOperation"},
    {"vendorName", NULL, "1.3.6.1.1.4",
     "SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE NO-USER-MODIFICATION USAGE dSAOperation"},
    {"vendorVersion", NULL, "1.3.6.1.1.5",
     "SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE NO-USER-MODIFICATION USAGE dSAOperation"},
    {"attributeTypes", NULL, "2.5.21.5",
     "EQUALITY objectIdentifierFirstComponentMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.3 USAGE "
     "directoryOperation"},
    {"objectClasses", NULL, "2.5.21.6",
     "EQUALITY objectIdentifierFirstComponentMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.37 USAGE "
     "directoryOperation"},
};

const char *const object_classes[] = {
    "( 2.5.6.0 NAME 'top' ABSTRACT MUST objectClass )",
    "( 2.5.6.4 NAME 'organization' SUP top STRUCTURAL MUST o )",
    "( 2.5.6.6 NAME 'person' SUP top STRUCTURAL MUST ( sn $ cn ) )",
    "( 2.5.6.7 NAME 'organizationalPerson' SUP person STRUCTURAL MAY ou )",
    "( 2.16.840.1.113730.3.2.2 NAME 'inetOrgPerson' SUP organizationalPerson STRUCTURAL "
    "MAY ( displayName $ givenName $ mail $ o $ userCertificate $ userSMIMECertificate ) )",
    "( 2.5.20.1 NAME 'subschema' AUXILIARY MAY ( attributeTypes $ objectClasses ) )",
    NULL,
};

static bool is_named(struct bytes name, const char *text)
{
        return text && name.len == strlen(text) && strncasecmp((const char *)name.data, text, name.len) == 0;
}

const struct attribute *attribute_find(struct bytes description)
{
        const uint8_t *semicolon = description.len ? memchr(description.data, ';', description.len) : NULL;
        struct bytes name =
            bytes_of(description.data, semicolon ? (size_t)(semicolon - description.data) : description.len);
        struct bytes option = bytes_of(semicolon, description.len - name.len);

        for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
                if (is_named(name, attributes[i].name) || is_named(name, attributes[i].alias) ||
                    is_named(name, attributes[i].oid))
                        return !option.len || (attributes[i].bytes && is_named(option, ";binary"))
                                   ? &attributes[i]
                                   : NULL;
        return NULL;
}

const struct attribute *attribute_at(size_t index)
{
        return index < ARRAY_LEN(attributes) ? &attributes[index] : NULL;
}

const struct attribute *attribute_named(const char *name)
{
        const struct attribute *found = attribute_find(bytes_text(name));

        if (!found)
                abort(); /* the name is a constant of ours */
        return found;
}

void attribute_key_add(const struct attribute *attribute, struct buf *out, struct bytes text, bool at_start,
                       bool at_end)
{
        if (attribute->words) {
                fold_search_add(out, text, at_start, at_end);
                return;
        }
        while (at_start && text.len && text.data[0] == ' ')
                text = bytes_of(text.data + 1, text.len - 1);
        while (at_end && text.len && text.data[text.len - 1] == ' ')
                text.len--;
        for (size_t i = 0; i < text.len; i++)
                if (text.data[i] != ' ' || i == 0 || text.data[i - 1] != ' ')
                        buf_add_byte(out, text_lower(text.data[i]));
}
