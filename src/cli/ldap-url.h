/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where a directory is, and who we are to it: its URL (see ldap-find.h), as the connection wants it. */
#include "base/secret.h"
#include "ldap/connection.h"
#include "ldap/filter.h"

struct ldap_place {
        struct ldap_options options; /* borrows from the rest */
        const char *server_list[1];
        char *server, *base, *bind_name; /* base NULL: not known yet */
        struct secret password;
};

/* PROBLEM_USAGE says what is wrong with it. */
int ldap_place_parse(const char *url, struct ldap_place *ret_place) must_check;
void ldap_place_done(struct ldap_place *place);
/* Ask the directory what its base is, when the URL does not say. */
int ldap_place_complete(struct ldap_place *place, struct ldap_connection *connection) must_check;
