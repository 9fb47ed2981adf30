/* SPDX-License-Identifier: Apache-2.0 */
#include "ldap/settings.h"

#include "base/macro.h"

static enum bind_method method_of(const char *name)
{
        static const char *const names[] = {
            [BIND_SIMPLE] = "simple",
            [BIND_EXTERNAL] = "external",
            [BIND_GSSAPI] = "gssapi",
            [BIND_ANONYMOUS] = "anonymous",
        };

        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                if (strcmp(names[i], name) == 0)
                        return (enum bind_method)i;
        return BIND_ANONYMOUS;
}

struct ldap_options ldap_options_of(const struct config *config, const struct ldap_secrets *secrets)
{
        return (struct ldap_options){
            .servers = (const char *const *)config->directory.servers.at,
            .server_count = config->directory.servers.count,
            .starttls = config->directory.starttls,
            .ca_file = config->directory.ca_file,
            .bind = method_of(config->directory.bind),
            .bind_dn = config->directory.bind_dn,
            .password = secrets->password,
            .principal = config->directory.principal,
            .keytab = secrets->keytab,
            .certificate = config->directory.certificate,
            .key = secrets->key,
            .base = config->directory.base,
            .page_size = (unsigned)config->directory.page_size,
            .connect_limit = (unsigned)config->directory.connect_limit,
            .time_limit = (unsigned)config->directory.time_limit,
            .domain_scope = strcmp(config->directory.schema, "ad") == 0,
        };
}
