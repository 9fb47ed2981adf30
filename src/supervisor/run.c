/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

/* ---- orderly stop ------------------------------------------------------------------------------------- */

enum { STOP_PHASES = 3 };

/* Stop the children of this phase; when none is left, of the next; then leave the loop. */
static void stop_advance(struct supervisor *supervisor)
{
        while (supervisor->stop_phase < STOP_PHASES) {
                bool left = false;

                CHILD_EACH(child, supervisor)
                {
                        if (!child->pid || role_table[child->role].stop_phase != supervisor->stop_phase)
                                continue;
                        child_stop(child);
                        left = true;
                }
                if (left)
                        return;
                supervisor->stop_phase++;
        }
        loop_stop(&supervisor->loop);
}

static void supervisor_stop(struct supervisor *supervisor, const char *why)
{
        if (supervisor->stop_phase >= 0) { /* asked a second time: no more waiting */
                CHILD_EACH(child, supervisor)
                child_kill(child);
                return;
        }
        log_notice("stopping: %s", why);
        notify_systemd("STOPPING=1\nSTATUS=Stopping");
        local_close(supervisor);
        supervisor->stop_phase = 0;
        stop_advance(supervisor);
}

/* ---- reload ------------------------------------------------------------------------------------------- */

static void children_configure(struct supervisor *supervisor, unsigned sections)
{
        CHILD_EACH(child, supervisor)
        if ((role_table[child->role].section & sections) && child->pid && child->channel && !child->stopping &&
            child_configure(child))
                child_kill(child);
}

static void material_renew(struct supervisor *supervisor)
{
        struct material material = {0};
        int r = material_load(&supervisor->config, &material);

        if (r) {
                log_report(r, "the TLS certificate stays as it was");
                return;
        }
        if (material_equal(&material, &supervisor->material)) {
                material_done(&material);
                return;
        }
        log_notice("there is a new TLS certificate");
        material_done(&supervisor->material);
        supervisor->material = material;
        children_configure(supervisor, CONFIG_FRONT | CONFIG_ENGINE | CONFIG_LDAP);
}

int supervisor_tls_renewed(struct supervisor *supervisor, struct bytes chain)
{
        if (!config_tls_builtin(&supervisor->config) || supervisor->stop_phase >= 0)
                return 0;
        TRY(file_write(supervisor->config.tls.certificate, chain, 0644));
        material_renew(supervisor);
        return 0;
}

static int material_due(void *context)
{
        struct supervisor *supervisor = context;

        if (supervisor->stop_phase < 0 && material_changed(&supervisor->config, &supervisor->material))
                material_renew(supervisor);
        loop_timer_arm(&supervisor->material_timer, MATERIAL_EVERY);
        return 0;
}

static void config_replace(struct supervisor *supervisor, struct config *config)
{
        CLEANUP(buf_done) struct buf restart = BUF_NONE;

        config_restart_needed(&supervisor->config, config, &restart);
        if (restart.len)
                log_warning("these options need a restart and stay as they were: %s", buf_text(&restart));
        config_keep_fixed(config, &supervisor->config);
        config_done(&supervisor->config);
        supervisor->config = *config;
        *config = (struct config){0};
        config_log_setup(&supervisor->config, "vouchsafed");
        secrets_renew(supervisor);
        children_configure(supervisor, CONFIG_KEEPER | CONFIG_ENGINE | CONFIG_FRONT | CONFIG_OUTBOUND | CONFIG_LDAP);
}

static void supervisor_reload(struct supervisor *supervisor)
{
        char text[64];
        struct config config = {0};
        int r = config_load(supervisor->config_path, &config);

        if (supervisor->stop_phase >= 0)
                return config_done(&config);
        snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
                 (unsigned long long)clock_monotonic_ms() * 1000);
        notify_systemd(text);
        if (r) {
                log_report(r, "the configuration stays as it was");
        } else {
                config_replace(supervisor, &config);
                log_notice("the configuration was read again");
        }
        material_renew(supervisor);
        notify_systemd("READY=1");
}

/* ---- signals and children ----------------------------------------------------------------------------- */

static void children_wait(struct supervisor *supervisor)
{
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
                CHILD_EACH(child, supervisor)
        if (child->pid == pid)
                child_ended(child, status);
}

static int signals_ready(void *context, uint32_t events)
{
        struct supervisor *supervisor = context;
        struct signalfd_siginfo info;
        size_t len;

        TRY(fd_read(supervisor->signals, &info, sizeof(info), &len));
        switch (info.ssi_signo) {
        case SIGCHLD:
                children_wait(supervisor);
                break;
        case SIGHUP:
                supervisor_reload(supervisor);
                break;
        case SIGTERM:
        case SIGINT:
                supervisor_stop(supervisor, info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
                break;
        default:
                break;
        }
        return 0;
}

static int signals_open(struct supervisor *supervisor)
{
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        sigaddset(&set, SIGHUP);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGCHLD, SIG_DFL); /* who starts us may have it ignored, and children would vanish unseen */
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return fault(errno, "cannot block signals");
        supervisor->signals = signalfd(-1, &set, SFD_CLOEXEC);
        if (supervisor->signals < 0)
                return fault(errno, "cannot receive signals");
        return PASS(loop_source_init(&supervisor->signal_source, &supervisor->loop, supervisor->signals, EPOLLIN,
                                     signals_ready, supervisor));
}

/* ---- start -------------------------------------------------------------------------------------------- */

static bool all_ready(struct supervisor *supervisor)
{
        CHILD_EACH(child, supervisor)
        if (!child->ready_at)
                return false;
        return true;
}

static int changed_run(void *context)
{
        struct supervisor *supervisor = context;

        if (supervisor->stop_phase >= 0) {
                stop_advance(supervisor);
                return 0;
        }
        if (!supervisor->announced && all_ready(supervisor)) {
                supervisor->announced = true;
                log_notice("ready");
                notify_systemd("READY=1\nSTATUS=Serving");
        }
        status_write(supervisor);
        return 0;
}

void supervisor_changed(struct supervisor *supervisor)
{
        loop_once_schedule(&supervisor->changed, &supervisor->loop);
}

static int watchdog_due(void *context)
{
        struct supervisor *supervisor = context;

        notify_systemd("WATCHDOG=1");
        loop_timer_arm(&supervisor->watchdog, supervisor->watchdog_ms);
        return 0;
}

static void children_init(struct supervisor *supervisor)
{
        const size_t counts[ROLE_COUNT] = {
                [ROLE_KEEPER] = supervisor->config.process.keepers,
                [ROLE_ENGINE] = 1,
                [ROLE_OUTBOUND] = strcmp(supervisor->config.directory.kind, "ldap") == 0 ? 2 : 1,
                [ROLE_FRONT] = supervisor->fronts,
                [ROLE_LDAP] = supervisor->ldaps,
        };
        struct child *child;

        for (int role = 0; role < ROLE_COUNT; role++)
                supervisor->child_count += counts[role];
        child = supervisor->children = mem_array(supervisor->child_count, sizeof(struct child));
        for (enum role role = 0; role < ROLE_COUNT; role++)
                for (unsigned i = 0; i < counts[role]; i++)
                        child_init(child++, supervisor, role, i);
}

static void listeners_log(const struct supervisor *supervisor)
{
        for (size_t i = 0; i < supervisor->listener_count; i++) {
                CLEANUP(buf_done) struct buf text = BUF_NONE;

                listener_text(&supervisor->listeners[i], &text);
                log_info("listens for %s on %s", purpose_names[supervisor->listeners[i].purpose], buf_text(&text));
        }
}

static void timers_init(struct supervisor *supervisor)
{
        loop_once_init(&supervisor->changed, changed_run, supervisor);
        loop_timer_init(&supervisor->material_timer, &supervisor->loop, material_due, supervisor);
        loop_timer_arm(&supervisor->material_timer, MATERIAL_EVERY);
        loop_timer_init(&supervisor->watchdog, &supervisor->loop, watchdog_due, supervisor);
        supervisor->watchdog_ms = notify_watchdog_ms();
        if (supervisor->watchdog_ms)
                loop_timer_arm(&supervisor->watchdog, supervisor->watchdog_ms);
}

int supervisor_run(struct supervisor *supervisor)
{
        supervisor->stop_phase = -1;
        TRY(loop_init(&supervisor->loop));
        TRY(signals_open(supervisor));
        TRY(local_open(supervisor));
        timers_init(supervisor);
        children_init(supervisor);
        listeners_log(supervisor);
        CHILD_EACH(child, supervisor)
        TRY(child_start(child));
        supervisor_changed(supervisor);
        TRY(loop_run(&supervisor->loop));
        status_remove(supervisor);
        log_notice("stopped");
        return 0;
}
