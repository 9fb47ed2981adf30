/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* An entry of a directory as it came: names and values are whatever bytes the server sent, and nothing is
 * believed of them. */
#include <ldap.h>

#include "base/buf.h"

struct ldap_attribute {
        char *type; /* lower case, with its options: "userCertificate;binary" is "usercertificate;binary" */
        struct bytes *values;
        size_t count;
};

struct ldap_entry {
        char *dn; /* "" when the server sent none */
        struct ldap_attribute *attributes;
        size_t count;
        struct berval ***owned; /* what the values point into */
        LDAPControl **controls; /* that came with it, or NULL */
};

void ldap_entry_done(struct ldap_entry *entry);
/* From a message of libldap. */
void ldap_entry_take(LDAP *ldap, LDAPMessage *message, struct ldap_entry *ret_entry);
/* NULL when the entry has none; `type` in any case. */
const struct ldap_attribute *ldap_entry_find(const struct ldap_entry *entry, const char *type);
