/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The section [directory] of the configuration as options of connections. */
#include "config/config.h"
#include "ldap/connection.h"

/* What the configuration names files for; whoever read them hands it in. Borrowed. */
struct ldap_secrets {
        struct bytes password, keytab, key;
};

/* The options point into the configuration and the secrets. */
struct ldap_options ldap_options_of(const struct config *config, const struct ldap_secrets *secrets);
