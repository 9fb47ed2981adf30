/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The certificates of directory entries: which there are, and which of them to take. No network here. */
#include "cli/ldap-find.h"
#include "ldap/entry.h"

/* Add those of an entry; what is none is left out. */
int ldap_entry_collect(const struct ldap_entry *entry, struct msg_kept_certificates *kept) must_check;
/*
 * The best one for the address: out of userSMIMECertificate before others, then the newest.
 * PROBLEM_MAIL_NO_RECIPIENT says why none can be used.
 */
int ldap_choose(const struct ldap_query *query, const struct msg_kept_certificates *kept,
                struct found_certificates *found) must_check;
