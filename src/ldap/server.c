/* SPDX-License-Identifier: Apache-2.0 */
/* Which server a URL means. */
#include <arpa/inet.h>

#include "base/text.h"
#include "ldap/internal.h"

static bool host_is_local(const char *host)
{
        struct in_addr v4;
        struct in6_addr v6;

        if (text_equal_ignoring_case(host, "localhost"))
                return true;
        if (inet_pton(AF_INET, host, &v4) == 1)
                return ntohl(v4.s_addr) >> 24 == 127;
        return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static void url_free(LDAPURLDesc **place)
{
        ldap_free_urldesc(*place);
}

bool ldap_server_is_local(const char *url)
{
        CLEANUP(url_free) LDAPURLDesc *parts = NULL;

        if (ldap_url_parse(url, &parts) != LDAP_URL_SUCCESS)
                return false;
        return strcmp(parts->lud_scheme, "ldapi") == 0 || (parts->lud_host && host_is_local(parts->lud_host));
}

static bool same_server(const LDAPURLDesc *a, const LDAPURLDesc *b)
{
        return text_equal_ignoring_case(a->lud_scheme, b->lud_scheme) && a->lud_port == b->lud_port &&
               text_equal_ignoring_case(a->lud_host ? a->lud_host : "", b->lud_host ? b->lud_host : "");
}

const char *ldap_server_find(const struct ldap_options *options, const char *url)
{
        CLEANUP(url_free) LDAPURLDesc *wanted = NULL;

        if (ldap_url_parse(url, &wanted) != LDAP_URL_SUCCESS)
                return NULL;
        for (size_t i = 0; i < options->server_count; i++) {
                CLEANUP(url_free) LDAPURLDesc *server = NULL;

                if (ldap_url_parse(options->servers[i], &server) == LDAP_URL_SUCCESS &&
                    same_server(wanted, server))
                        return options->servers[i];
        }
        return NULL;
}
