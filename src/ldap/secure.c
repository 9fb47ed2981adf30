/* SPDX-License-Identifier: Apache-2.0 */
/* TLS, and who we are to the server. */
#include <errno.h>
#include <sasl/sasl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "ldap/internal.h"

#define SYSTEM_CAS "/etc/ssl/certs/ca-certificates.crt"

static bool given(const char *text)
{
        return text && *text;
}

static bool over_tls(const struct ldap_connection *connection)
{
        return ldap_tls_inplace(connection->ldap);
}

static int option_set(struct ldap_connection *connection, int option, const void *value, const char *what)
{
        if (ldap_set_option(connection->ldap, option, value) != LDAP_OPT_SUCCESS)
                return refuse(PROBLEM_CONFIGURATION, "%s: TLS cannot use %s.", connection->server, what);
        return 0;
}

/* The key may have come from a file that this process cannot open: libldap is given it by a descriptor. */
static int client_certificate_set(struct ldap_connection *connection, int *ret_fd)
{
        CLEANUP(fd_closep) int fd = memfd_create("tls-key", MFD_CLOEXEC);
        CLEANUP(mem_freep) char *path = NULL;

        if (fd < 0)
                return fault(errno, "cannot keep the TLS key in memory");
        TRY(fd_write_all(fd, connection->options->key.data, connection->options->key.len));
        path = text_format("/proc/self/fd/%d", fd);
        TRY(option_set(connection, LDAP_OPT_X_TLS_CERTFILE, connection->options->certificate,
                       connection->options->certificate));
        TRY(option_set(connection, LDAP_OPT_X_TLS_KEYFILE, path, "the private key"));
        *ret_fd = fd;
        fd = -1;
        return 0;
}

static int tls_prepare(struct ldap_connection *connection)
{
        const char *cas = given(connection->options->ca_file) ? connection->options->ca_file : SYSTEM_CAS;
        CLEANUP(fd_closep) int key = -1;
        int demand = LDAP_OPT_X_TLS_DEMAND, least = LDAP_OPT_X_TLS_PROTOCOL_TLS1_2, client = 0;

        TRY(option_set(connection, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand, "verification"));
        TRY(option_set(connection, LDAP_OPT_X_TLS_PROTOCOL_MIN, &least, "TLS 1.2"));
        TRY(option_set(connection, LDAP_OPT_X_TLS_CACERTFILE, cas, cas));
        if (given(connection->options->certificate))
                TRY(client_certificate_set(connection, &key));
        return PASS(option_set(connection, LDAP_OPT_X_TLS_NEWCTX, &client,
                               "the CA certificates, or the certificate and its key; do the files exist?"));
}

static int secure_now(struct ldap_connection *connection)
{
        const struct ldap_options *options = connection->options;
        bool plain = strncmp(connection->server, "ldap:", 5) == 0;

        if (strncmp(connection->server, "ldapi:", 6) == 0)
                return PASS(
                    ldap_connection_judge(connection, ldap_connect(connection->ldap), "No connection"));
        if (plain && !options->starttls && options->bind == BIND_SIMPLE &&
            !ldap_server_is_local(connection->server))
                return refuse(PROBLEM_CONFIGURATION,
                              "%s: no password is sent without TLS. Use starttls = yes, or an ldaps:// URL.",
                              connection->server);
        TRY(tls_prepare(connection));
        TRY(ldap_connection_judge(
            connection, ldap_connect(connection->ldap),
            plain ? "No connection"
                  : "No connection (is the server there, and its certificate for this name, and "
                    "of a CA in ca-file?)"));
        if (!plain || !options->starttls)
                return 0;
        return PASS(ldap_connection_judge(
            connection, ldap_start_tls_s(connection->ldap, NULL, NULL),
            "TLS fails (is the server's certificate for this name, and of a CA in ca-file?)"));
}

/*
 * A server that falls silent within the TLS handshake holds GnuTLS in a read for ever, whatever limits libldap was given: past the
 * limit the socket is shut for reading, which ends that. One handshake at a time: these processes have one thread.
 */
static volatile sig_atomic_t handshake_socket = -1, handshake_late;

static void handshake_over(int signal)
{
        int error = errno;

        handshake_late = 1;
        if (handshake_socket >= 0)
                (void)shutdown(handshake_socket, SHUT_RD); /* what is written is no broken pipe */
        errno = error;
}

static int socket_connected(LDAP *ldap, Sockbuf *sockbuf, LDAPURLDesc *url, struct sockaddr *address,
                            struct ldap_conncb *callbacks)
{
        int fd = -1;

        handshake_socket = ber_sockbuf_ctrl(sockbuf, LBER_SB_OPT_GET_FD, &fd) > 0 ? fd : -1;
        return 0;
}

static void socket_closed(LDAP *ldap, Sockbuf *sockbuf, struct ldap_conncb *callbacks)
{
}

int ldap_secure(struct ldap_connection *connection)
{
        static struct ldap_conncb callbacks = {.lc_add = socket_connected, .lc_del = socket_closed};
        unsigned seconds = connection->options->connect_limit;
        struct itimerval limit = {.it_value.tv_sec = seconds, .it_interval.tv_sec = 1}, none = {0};
        struct sigaction over = {.sa_handler = handshake_over, .sa_flags = SA_RESTART}, before;
        int r;

        if (ldap_set_option(connection->ldap, LDAP_OPT_CONNECT_CB, &callbacks) || sigaction(SIGALRM, &over, &before) < 0)
                return fault(errno, "cannot limit a handshake");
        handshake_socket = -1;
        handshake_late = 0;
        (void)setitimer(ITIMER_REAL, &limit, NULL);
        r = secure_now(connection);
        (void)setitimer(ITIMER_REAL, &none, NULL);
        (void)sigaction(SIGALRM, &before, NULL);
        return r > 0 && handshake_late
                       ? refuse(PROBLEM_TIMEOUT, "%s did not answer within %u s.", connection->server, seconds)
                       : PASS(r);
}

/* ---- who we are -------------------------------------------------------------------------------------------
 */

/* What SASL asks: what it proposes itself will do. */
static int sasl_answer(LDAP *ldap, unsigned flags, void *defaults, void *questions)
{
        for (sasl_interact_t *question = questions; question->id != SASL_CB_LIST_END; question++) {
                question->result = question->defresult ? question->defresult : "";
                question->len = (unsigned)strlen(question->result);
        }
        return LDAP_SUCCESS;
}

/* Active Directory takes no SASL protection inside TLS; without TLS everything must be protected by it. */
static int bind_gssapi(struct ldap_connection *connection)
{
        const struct ldap_options *options = connection->options;
        const char *protection = over_tls(connection) ? "maxssf=0" : "minssf=56";
        int binding = LDAP_OPT_X_SASL_CBINDING_TLS_ENDPOINT;

        TRY(kerberos_login(options->principal, options->keytab));
        (void)ldap_set_option(connection->ldap, LDAP_OPT_X_SASL_NOCANON, LDAP_OPT_ON);
        if (over_tls(connection))
                (void)ldap_set_option(connection->ldap, LDAP_OPT_X_SASL_CBINDING, &binding);
        TRY(option_set(connection, LDAP_OPT_X_SASL_SECPROPS, protection, "SASL"));
        return PASS(
            ldap_connection_judge(connection,
                                  ldap_sasl_interactive_bind_s(connection->ldap, NULL, "GSSAPI", NULL, NULL,
                                                               LDAP_SASL_QUIET, sasl_answer, NULL),
                                  "The Kerberos login is refused"));
}

static int bind_simple(struct ldap_connection *connection)
{
        const struct ldap_options *options = connection->options;
        struct berval password = {options->password.len, (char *)(uintptr_t)options->password.data};

        if (!given(options->bind_dn) || !password.bv_len)
                return refuse(PROBLEM_CONFIGURATION,
                              "A simple bind needs bind-dn and its password, which is not empty.");
        return PASS(ldap_connection_judge(connection,
                                          ldap_sasl_bind_s(connection->ldap, options->bind_dn,
                                                           LDAP_SASL_SIMPLE, &password, NULL, NULL, NULL),
                                          "The account (bind-dn) or its password is refused"));
}

static int bind_external(struct ldap_connection *connection)
{
        struct berval nothing = {0, (char *)(uintptr_t) ""};

        return PASS(ldap_connection_judge(
            connection, ldap_sasl_bind_s(connection->ldap, NULL, "EXTERNAL", &nothing, NULL, NULL, NULL),
            "The certificate, or the system user, is refused"));
}

int ldap_identify(struct ldap_connection *connection)
{
        switch (connection->options->bind) {
        case BIND_SIMPLE:
                return PASS(bind_simple(connection));
        case BIND_EXTERNAL:
                return PASS(bind_external(connection));
        case BIND_GSSAPI:
                return PASS(bind_gssapi(connection));
        case BIND_ANONYMOUS:
                break;
        }
        return 0;
}
