/* SPDX-License-Identifier: Apache-2.0 */
#include "net/service.h"

#include <signal.h>

#include "base/log.h"

int service_configure(const char *name, struct config *config, struct tls *tls, struct msg_configure *configure)
{
        struct config fresh;
        int r;

        TRY(config_decode(buf_view(&configure->content), &fresh));
        config_done(config);
        *config = fresh;
        config_log_setup(config, name);
        r = tls_load(tls, buf_view(&configure->tls_chain), &configure->tls_key);
        if (r)
                log_report(r, tls->loaded ? "the old TLS certificate is kept" : "there is no TLS");
        return 0;
}

int service_main(const char *name, int (*run)(void *process), void (*done)(void *process), void *process)
{
        int r;

        log_setup(name, LOG_FORMAT_AUTO, LOG_LEVEL_INFO);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGINT, SIG_IGN); /* of a terminal: the supervisor decides */
        r = run(process);
        if (r)
                log_report(r, "stops");
        done(process);
        return result_exit_code(r);
}
