/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe-ldap: the read-only LDAP service. Started by vouchsafed, which it hears on descriptor 3; opens no
 * files. */
#include <seccomp.h>
#include <unistd.h>

#include "base/dn.h"
#include "base/mem.h"
#include "base/sandbox.h"
#include "ldapd/ldapd.h"
#include "net/service.h"

#define NAME "vouchsafe-ldap"
enum { TELL_MS = 1000 };

/* "o=ORGANISATION" unless told another; the configuration has checked that it is a name. */
static int base_set(struct ldapd *ldapd)
{
        CLEANUP(buf_done) struct buf base = BUF_NONE, key = BUF_NONE;
        CLEANUP(dn_done) struct dn dn = {0};

        if (*ldapd->config.ldap.base) {
                buf_add_text(&base, ldapd->config.ldap.base);
        } else {
                buf_add_text(&base, "o=");
                dn_value_add(&base, bytes_text(ldapd->config.server.organisation));
        }
        TRY(dn_parse(buf_view(&base), &dn));
        dn_key_add(&key, &dn);
        free(ldapd->base);
        free(ldapd->base_key);
        ldapd->base = text_copy(buf_text(&base));
        ldapd->base_key = text_copy(buf_text(&key));
        return 0;
}

static int on_configure(void *context, struct msg_configure *configure)
{
        struct ldapd *ldapd = context;

        TRY(service_configure(NAME, &ldapd->config, &ldapd->tls, configure));
        TRY(base_set(ldapd));
        secret_done(&ldapd->password);
        ldapd->password = secret_take(&configure->ldap_password);
        if (ldapd->configured)
                return 0;
        ldapd->configured = true;
        loop_timer_arm(&ldapd->tell, TELL_MS);
        return PASS(control_ready(&ldapd->control, "serving"));
}

static int on_peer(void *context, const struct msg_peer *peer, int fd)
{
        if (strcmp(msg_text(peer->role), "engine") == 0)
                return PASS(engine_connect(context, fd));
        close(fd);
        return 0;
}

static int on_listen(void *context, const struct msg_listen *listen, int fd)
{
        struct ldapd *ldapd = context;

        return PASS(acceptors_listen(
            &ldapd->acceptors, strcmp(msg_text(listen->purpose), "ldaps") == 0 ? PURPOSE_LDAPS : PURPOSE_LDAP,
            fd));
}

static int on_stop(void *context)
{
        connections_stop(context);
        return 0;
}

/* For the metrics, which the engine keeps together. */
static int tell(void *context)
{
        struct ldapd *ldapd = context;
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;

        loop_timer_arm(&ldapd->tell, TELL_MS);
        TRY(msg_encode(lookup_state, &ldapd->state, &encoded));
        if (ldapd->engine && channel_send(ldapd->engine, MSG_lookup_state, buf_view(&encoded)))
                report_clear(); /* it comes again */
        return 0;
}

/* Beside the common calls: accepting connections, and what GnuTLS asks for. */
static const int calls[] = {
    SCMP_SYS(accept4),   SCMP_SYS(setsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
    SCMP_SYS(getrusage), SCMP_SYS(uname),      SCMP_SYS(sendmmsg),
};

static int ldapd_run(void *process)
{
        static const struct control_handler handler = {on_configure, on_peer, on_listen, on_stop};
        struct ldapd *ldapd = process;

        TRY(sandbox_hide());
        TRY(loop_init(&ldapd->loop));
        engine_init(ldapd);
        loop_timer_init(&ldapd->tell, &ldapd->loop, tell, ldapd);
        TRY(connections_init(ldapd));
        config_init(&ldapd->config);
        if (gnutls_certificate_allocate_credentials(&ldapd->credentials) < 0)
                return fault(0, "TLS cannot be prepared");
        gnutls_certificate_set_retrieve_function2(ldapd->credentials, tls_retrieve);
        TRY(control_init(&ldapd->control, &ldapd->loop, CONTROL_FD, &handler, ldapd));
        TRY(sandbox_restrict(calls, ARRAY_LEN(calls)));
        return PASS(loop_run(&ldapd->loop));
}

static void ldapd_done(void *process)
{
        struct ldapd *ldapd = process;

        connections_done(ldapd);
        engine_done(ldapd);
        loop_once_done(&ldapd->pump);
        control_done(&ldapd->control);
        if (ldapd->credentials)
                gnutls_certificate_free_credentials(ldapd->credentials);
        tls_done(&ldapd->tls);
        secret_done(&ldapd->password);
        config_done(&ldapd->config);
        free(ldapd->base);
        free(ldapd->base_key);
        loop_timer_done(&ldapd->tell);
        loop_done(&ldapd->loop);
}

int main(void)
{
        static struct ldapd ldapd;

        return service_main(NAME, ldapd_run, ldapd_done, &ldapd);
}
