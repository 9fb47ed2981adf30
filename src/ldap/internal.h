/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of connections share. */
#include "ldap/connection.h"

struct ldap_connection {
        const struct ldap_options *options;
        LDAP *ldap;
        const char *server; /* of the options */
        struct buf notes;
        char **supported; /* OIDs of the rootDSE, once asked */
        bool asked;
};

/* server.c */
/* It is on this machine, so that nobody sees what goes there. */
bool ldap_server_is_local(const char *url);
/* The server of the options with this scheme, host and port; NULL. */
const char *ldap_server_find(const struct ldap_options *options, const char *url);

/* secure.c: TLS and who we are. */
int ldap_secure(struct ldap_connection *connection) must_check;
int ldap_identify(struct ldap_connection *connection) must_check;

/* kerberos.c: a ticket of the principal, in memory, for SASL to find. */
int kerberos_login(const char *principal, struct bytes keytab) must_check;

/* result.c */
struct timeval ldap_limit(unsigned seconds);
/* Wait for the answer to an operation that was sent; the caller frees it. */
int ldap_wait(struct ldap_connection *connection, int number, int all, unsigned seconds, const char *what,
              LDAPMessage **ret_message) must_check;
