/* SPDX-License-Identifier: Apache-2.0 */
#include "ldap/connection.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ldap/internal.h"

enum { MESSAGE_MOST = 256 << 20 /* a group with millions of members; libldap sets no limit */ };

/* Before libldap is first used: nothing of ldap.conf, ~/.ldaprc or LDAP… of the environment may weaken what
 * is set here. */
static void library_prepare(void)
{
        static bool prepared;

        if (!prepared && setenv("LDAPNOINIT", "1", 1) == 0)
                prepared = true;
}

/* Whatever libldap does inside, no read may wait for the rest of what a server sends slowly: limits are its
 * business. */
static int socket_prepare(struct ldap_connection *connection)
{
        ber_len_t most = MESSAGE_MOST;
        Sockbuf *sockbuf = NULL;

        if (ldap_get_option(connection->ldap, LDAP_OPT_SOCKBUF, &sockbuf) != LDAP_OPT_SUCCESS || !sockbuf ||
            ber_sockbuf_ctrl(sockbuf, LBER_SB_OPT_SET_NONBLOCK, sockbuf) < 0 ||
            ber_sockbuf_ctrl(sockbuf, LBER_SB_OPT_SET_MAX_INCOMING, &most) < 0)
                return fault(0, "libldap does not let its socket go on without waiting");
        return 0;
}

static int handle_new(struct ldap_connection *connection)
{
        struct timeval limit = ldap_limit(connection->options->connect_limit);
        int version = LDAP_VERSION3, idle = 60, interval = 15,
            probes = 4; /* a peer that vanished is noticed in 2 minutes */

        if (ldap_initialize(&connection->ldap, connection->server) != LDAP_SUCCESS)
                return refuse(PROBLEM_CONFIGURATION, "\"%s\" is no URL of an LDAP server.",
                              connection->server);
        if (ldap_set_option(connection->ldap, LDAP_OPT_PROTOCOL_VERSION, &version) ||
            ldap_set_option(connection->ldap, LDAP_OPT_REFERRALS, LDAP_OPT_OFF) ||
            ldap_set_option(connection->ldap, LDAP_OPT_RESTART, LDAP_OPT_ON) ||
            ldap_set_option(connection->ldap, LDAP_OPT_X_KEEPALIVE_IDLE, &idle) ||
            ldap_set_option(connection->ldap, LDAP_OPT_X_KEEPALIVE_INTERVAL, &interval) ||
            ldap_set_option(connection->ldap, LDAP_OPT_X_KEEPALIVE_PROBES, &probes) ||
            ldap_set_option(connection->ldap, LDAP_OPT_NETWORK_TIMEOUT, &limit) ||
            ldap_set_option(connection->ldap, LDAP_OPT_TIMEOUT, &limit))
                return fault(0, "libldap does not take its options");
        return 0;
}

static int connect_now(struct ldap_connection *connection)
{
        struct timeval limit = ldap_limit(connection->options->time_limit);

        TRY(handle_new(connection));
        TRY(ldap_secure(connection));
        TRY(socket_prepare(connection));
        TRY(ldap_identify(connection));
        if (ldap_set_option(connection->ldap, LDAP_OPT_TIMEOUT, &limit))
                return fault(0, "libldap does not take its options");
        return 0;
}

static void handle_free(struct ldap_connection *connection)
{
        if (connection->ldap)
                ldap_unbind_ext(connection->ldap, NULL, NULL);
        connection->ldap = NULL;
}

/* A wrong password is wrong everywhere, and trying it on every server would lock the account. */
static bool next_may_help(int result)
{
        return result == PROBLEM_UNREACHABLE || result == PROBLEM_TIMEOUT || result == PROBLEM_BUSY;
}

static int open_first(const struct ldap_options *options, const char *const *servers, size_t count,
                      struct ldap_connection **ret_connection)
{
        CLEANUP(ldap_connection_closep) struct ldap_connection *connection = NEW(struct ldap_connection);
        int r = 0;

        library_prepare();
        connection->options = options;
        for (size_t i = 0; i < count; i++) {
                connection->server = servers[i];
                r = connect_now(connection);
                if (r == 0) {
                        *ret_connection = TAKE(connection);
                        return 0;
                }
                handle_free(connection);
                if (!next_may_help(r))
                        return PASS(r);
                buf_add_format(&connection->notes, "%s%s", connection->notes.len ? " " : "", report_text());
        }
        return r ? refuse(r, "%s", buf_text(&connection->notes))
                 : refuse(PROBLEM_CONFIGURATION, "No LDAP server is configured ([directory] servers).");
}

int ldap_connection_open(const struct ldap_options *options, struct ldap_connection **ret_connection)
{
        return PASS(open_first(options, options->servers, options->server_count, ret_connection));
}

int ldap_connection_open_at(const struct ldap_options *options, const char *server,
                            struct ldap_connection **ret_connection)
{
        return PASS(open_first(options, &server, 1, ret_connection));
}

void ldap_connection_close(struct ldap_connection *connection)
{
        if (!connection)
                return;
        handle_free(connection);
        ber_memvfree((void **)connection->supported);
        buf_done(&connection->notes);
        free(connection);
}

const char *ldap_connection_server(const struct ldap_connection *connection)
{
        return connection->server;
}

const char *ldap_connection_notes(const struct ldap_connection *connection)
{
        return buf_text(&connection->notes);
}

LDAP *ldap_connection_handle(struct ldap_connection *connection)
{
        return connection->ldap;
}

int ldap_connection_fd(struct ldap_connection *connection)
{
        int fd = -1;

        return ldap_get_option(connection->ldap, LDAP_OPT_DESC, &fd) == LDAP_OPT_SUCCESS ? fd : -1;
}

static void supported_add(struct ldap_connection *connection, const struct ldap_entry *root, const char *type)
{
        const struct ldap_attribute *oids = ldap_entry_find(root, type);
        size_t have = 0;

        while (connection->supported && connection->supported[have])
                have++;
        if (!oids)
                return;
        connection->supported = mem_resize(connection->supported, have + oids->count + 1, sizeof(char *));
        for (size_t i = 0; i < oids->count; i++)
                connection->supported[have++] =
                    text_copy_n((const char *)oids->values[i].data, oids->values[i].len);
        connection->supported[have] = NULL;
}

bool ldap_connection_supports(struct ldap_connection *connection, const char *oid)
{
        static const char *const attributes[] = {"supportedControl", "supportedExtension",
                                                 "supportedCapabilities", NULL};
        CLEANUP(ldap_entry_done) struct ldap_entry root = {0};

        if (!connection->asked && ldap_connection_read(connection, "", attributes, &root) == 0) {
                connection->asked = true;
                for (size_t i = 0; attributes[i]; i++)
                        supported_add(connection, &root, attributes[i]);
        }
        for (char **at = connection->supported; at && *at; at++)
                if (strcmp(*at, oid) == 0)
                        return true;
        return false;
}

int ldap_password_check(const struct ldap_options *options, const char *dn, struct bytes password)
{
        CLEANUP(ldap_connection_closep) struct ldap_connection *connection = NULL;
        struct ldap_options his = *options;
        int r;

        /* A bind without password succeeds anywhere: it is anonymous (RFC 4513 5.1.2). Some servers and what they
         * ask end it at a zero byte. */
        if (!*dn || !password.len || memchr(password.data, 0, password.len))
                return refuse(PROBLEM_PASSWORD, "The password is empty, or has a zero byte.");
        his.bind = BIND_SIMPLE;
        his.bind_dn = dn;
        his.password = password;
        his.certificate = NULL;
        /* Where Kerberos protects our own connections there may be no TLS; it does not protect his password.
         */
        his.starttls = options->starttls || options->bind == BIND_GSSAPI;
        r = ldap_connection_open(&his, &connection);
        if (r == PROBLEM_UNAUTHENTICATED || r == PROBLEM_NOT_FOUND || r == PROBLEM_FORBIDDEN ||
            r == PROBLEM_MALFORMED)
                return refuse(PROBLEM_PASSWORD, "The directory does not take the password.");
        return PASS(r);
}
