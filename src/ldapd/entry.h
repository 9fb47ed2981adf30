/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Entries as clients see them: a name and values. People are inetOrgPerson (RFC 2798) right below the base;
 * each is named by his main address, which is unique and stays when he moves. Values point into what the
 * entry was made of.
 */
#include "ldapd/names.h"
#include "wire/message.h"

struct entry_value {
        const struct attribute *attribute;
        struct bytes value;
        size_t key_at, key_len; /* what it is compared by, in the keys of its entry */
};

/* Values of one attribute stand together. */
struct entry {
        struct buf dn;
        struct entry_value *values;
        size_t count;
        struct buf keys;
        struct msg_texts owned; /* texts made for it */
};

#define SCHEMA_DN "cn=Subschema"

void entry_done(struct entry *entry);
void entry_add(struct entry *entry, const char *attribute, struct bytes value);
/* `organisation` and `base` outlive the entry, as the person does. */
void entry_person(const struct msg_lookup_person *person, const char *organisation, const char *base,
                  struct entry *ret_entry);
/* The base itself. */
void entry_base(const char *organisation, const char *base, struct entry *ret_entry);
/* What the server is: RFC 4512 section 5.1. */
void entry_root(const char *base, bool tls, struct entry *ret_entry);
/* What it knows: RFC 4512 section 4.2. */
void entry_schema(struct entry *ret_entry);
