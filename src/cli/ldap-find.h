/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Certificates straight from LDAP directories, of people whom our server does not know. What a directory says
 * is kept in the cache for a day, that it knows nothing for some minutes. Nothing is believed of it: a
 * certificate is taken when it leads to a trusted root, is in time, may be encrypted for and names the
 * address.
 *
 * A directory is a URL (RFC 4516): ldaps://ldap.example.org/dc=example,dc=org. Without a base, the
 * directory's own is asked for. Extensions after four question marks, with commas between them: StartTLS;
 * bindname=DN, whose password is in the file $VOUCHSAFE_LDAP_PASSWORD_FILE; gssapi, with the Kerberos tickets
 * of the user. Otherwise anonymous.
 */
#include "cli/directory.h"

/* Those of --ldap, else of $VOUCHSAFE_LDAP, else the lines of the file `ldap` of the home. PROBLEM_USAGE for
 * what is no such URL. */
int ldap_urls(const struct arguments *arguments, struct msg_texts *ret_urls) must_check;

struct ldap_query {
        const struct msg_texts *urls;
        const struct cert_list *roots, *intermediates;
        int64_t now;           /* 0: clock_now() */
        bool refresh, offline; /* ask in any case; never */
};

/*
 * For each address whose place has no certificate that is valid now: the best one that a directory has, with
 * what its owner's mail program says that it reads. Where there is none, `why` says why, if there is more to
 * say than that nobody has one. Directories that do not answer are no failure.
 */
int ldap_find(const struct ldap_query *query, const struct msg_texts *addresses,
              struct found_certificates *found) must_check;
