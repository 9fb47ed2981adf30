/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <krb5.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "ldap/internal.h"

#define CACHE "MEMORY:vouchsafe-ldap"

struct login {
        krb5_context context;
        krb5_principal principal;
        krb5_keytab keytab;
        krb5_creds creds;
        krb5_ccache cache;
};

static void login_done(struct login *login)
{
        if (!login->context)
                return;
        if (login->cache)
                krb5_cc_close(login->context, login->cache);
        krb5_free_cred_contents(login->context, &login->creds);
        if (login->keytab)
                krb5_kt_close(login->context, login->keytab);
        krb5_free_principal(login->context, login->principal);
        krb5_free_context(login->context);
}

static int judge(struct login *login, krb5_error_code code, const char *principal)
{
        const char *words;
        int r;

        if (code == 0)
                return 0;
        words = krb5_get_error_message(login->context, code);
        r = refuse(code == KRB5_KDC_UNREACH || code == KRB5_REALM_CANT_RESOLVE ? PROBLEM_UNREACHABLE
                                                                               : PROBLEM_UNAUTHENTICATED,
                   "Kerberos gives no ticket to %s: %s.", principal, words);
        krb5_free_error_message(login->context, words);
        return r;
}

/* The library reads keytabs from files only; this one is in memory, and ours alone. */
static int keytab_file(struct bytes keytab, int *ret_fd)
{
        CLEANUP(fd_closep) int fd = memfd_create("keytab", MFD_CLOEXEC);

        if (fd < 0)
                return fault(errno, "cannot keep the keytab in memory");
        TRY(fd_write_all(fd, keytab.data, keytab.len));
        *ret_fd = fd;
        fd = -1;
        return 0;
}

static int ticket_get(struct login *login, const char *principal, const char *keytab)
{
        TRY(judge(login, krb5_parse_name(login->context, principal, &login->principal), principal));
        TRY(judge(login, krb5_kt_resolve(login->context, keytab, &login->keytab), principal));
        TRY(judge(login,
                  krb5_get_init_creds_keytab(login->context, &login->creds, login->principal, login->keytab,
                                             0, NULL, NULL),
                  principal));
        TRY(judge(login, krb5_cc_resolve(login->context, CACHE, &login->cache), principal));
        TRY(judge(login, krb5_cc_initialize(login->context, login->cache, login->principal), principal));
        return PASS(judge(login, krb5_cc_store_cred(login->context, login->cache, &login->creds), principal));
}

int kerberos_login(const char *principal, struct bytes keytab)
{
        CLEANUP(login_done) struct login login = {0};
        CLEANUP(fd_closep) int fd = -1;
        CLEANUP(mem_freep) char *path = NULL;

        if (!keytab.len)
                return 0;
        TRY(keytab_file(keytab, &fd));
        path = text_format("FILE:/proc/self/fd/%d", fd);
        if (krb5_init_context(&login.context)) {
                login.context = NULL;
                return refuse(PROBLEM_CONFIGURATION,
                              "Kerberos cannot be used: its configuration (krb5.conf) is wrong.");
        }
        TRY(ticket_get(&login, principal, path));
        if (setenv("KRB5CCNAME", CACHE, 1) < 0)
                return fault(errno, "cannot tell SASL where the ticket is");
        return 0;
}
