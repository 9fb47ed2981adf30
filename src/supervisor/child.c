/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervisor.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/text.h"

const struct role_info role_table[ROLE_COUNT] = {
        [ROLE_KEEPER] = {"keeper", "vouchsafe-keeper", CONFIG_KEEPER, true, 2},
        [ROLE_ENGINE] = {"engine", "vouchsafe-engine", CONFIG_ENGINE, true, 1},
        [ROLE_OUTBOUND] = {"outbound", "vouchsafe-outbound", CONFIG_OUTBOUND, false, 1},
        [ROLE_FRONT] = {"front", "vouchsafe-front", CONFIG_FRONT, true, 0},
        [ROLE_LDAP] = {"ldapd", "vouchsafe-ldap", CONFIG_LDAP, true, 0},
};

static const char *child_name(const struct child *child)
{
        return role_table[child->role].name;
}

/* ---- what it says ------------------------------------------------------------------------------------- */

/* A crash after an administrator has sealed is not to undo it. */
static void keeper_state_note(struct child *child, const struct msg_ready *ready)
{
        if (child->role == ROLE_KEEPER && ready->ordered)
                child->supervisor->sealed = true;
        else if (child->role == ROLE_KEEPER && strcmp(msg_text(ready->state), "unsealed") == 0)
                child->supervisor->sealed = false;
}

static int child_became_ready(struct child *child, struct bytes payload)
{
        MSG_OWN(ready) ready = {0};

        TRY(msg_decode(ready, payload, &ready));
        keeper_state_note(child, &ready);
        snprintf(child->state, sizeof(child->state), "%s",
                 text_is_printable(bytes_text(msg_text(ready.state))) ? msg_text(ready.state) : "");
        if (!child->ready_at) {
                child->ready_at = clock_monotonic_ms();
                log_info("%s %u serves pid=%d", child_name(child), child->index, (int)child->pid);
        }
        supervisor_changed(child->supervisor);
        return 0;
}

static int child_renewed_tls(struct child *child, struct bytes payload)
{
        MSG_OWN(tls_renewed) renewed = {0};

        TRY(msg_decode(tls_renewed, payload, &renewed));
        int r = supervisor_tls_renewed(child->supervisor, buf_view(&renewed.tls_chain));
        if (r)
                log_report(r, "the renewed TLS certificate could not be stored");
        return 0;
}

static int child_received(void *context, struct channel *channel, struct channel_message *message)
{
        struct child *child = context;

        if (message->kind == MSG_ready)
                return PASS(child_became_ready(child, message->payload));
        if (message->kind == MSG_tls_renewed && child->role == ROLE_ENGINE)
                return PASS(child_renewed_tls(child, message->payload));
        return refuse(PROBLEM_MALFORMED, "It sent a message of kind %u, which no child sends.", message->kind);
}

/* Usually its end, which the wait status explains better. A child closes its channel before it closes its database, so
 * it is given a moment; one that lives on without a channel is of no use. */
static int child_closed(void *context, struct channel *channel, int result)
{
        struct child *child = context;

        if (result && result != PROBLEM_UNREACHABLE) {
                log_report(result, "the control channel of %s %u is cut", child_name(child), child->index);
                child_kill(child);
        }
        if (!child->stopping)
                loop_timer_arm(&child->kill, EXIT_AFTER_CLOSE);
        return 0;
}

/* ---- what it is told ---------------------------------------------------------------------------------- */

int child_send(struct child *child, const struct msg_record *record, const void *message, int fd)
{
        CLEANUP(secret_done) struct secret encoded = SECRET_NONE;
        CLEANUP(fd_closep) int mine = fd;

        TRY(message_encode_secret(record, message, &encoded));
        if (fd >= 0) {
                mine = -1;
                return PASS(channel_send_descriptor(child->channel, record->kind, secret_view(&encoded), fd));
        }
        return PASS(channel_send(child->channel, record->kind, secret_view(&encoded)));
}

int child_configure(struct child *child)
{
        struct supervisor *supervisor = child->supervisor;
        bool serves_tls = child->role == ROLE_FRONT || child->role == ROLE_LDAP;
        MSG_OWN(configure) configure = {.index = child->index};

        config_encode(&supervisor->config, role_table[child->role].section, &configure.content);
        if (serves_tls)
                configure.tls_key = secret_copy(secret_view(&supervisor->material.tls_key));
        if (serves_tls || (child->role == ROLE_ENGINE && config_tls_builtin(&supervisor->config)))
                buf_add_bytes(&configure.tls_chain, buf_view(&supervisor->material.tls_chain));
        if (child->role == ROLE_KEEPER && !supervisor->sealed) {
                int r = startup_secret_load(supervisor, &configure.startup_secret);
                if (r)
                        log_report(r, "keeper %u starts sealed", child->index);
        }
        TRY(secrets_load(supervisor, child->role, &configure));
        return PASS(child_send(child, msg_record_configure(), &configure, -1));
}

/* ---- liveness ----------------------------------------------------------------------------------------- */

static void child_answered(void *context, int result, struct channel_message *reply)
{
        struct child *child = context;

        if (result == 0)
                loop_timer_arm(&child->ping, PING_EVERY);
}

/* Either it is time to ask, or the answer is overdue. */
static int child_ping(void *context)
{
        struct child *child = context;

        if (!child->channel || !child->pid)
                return 0;
        if (child->ping_call.channel) {
                log_error("%s %u has not answered for %d s and is killed pid=%d", child_name(child), child->index,
                          PING_ANSWER / 1000, (int)child->pid);
                child_kill(child);
                return 0;
        }
        child->ping_call.replied = child_answered;
        child->ping_call.context = child;
        loop_timer_arm(&child->ping, PING_ANSWER);
        if (channel_call(child->channel, &child->ping_call, MSG_ping, BYTES_NONE))
                child_kill(child);
        return 0;
}

/* ---- start and end ------------------------------------------------------------------------------------ */

static int child_overdue(void *context)
{
        struct child *child = context;

        log_warning("%s %u did not stop in time and is killed pid=%d", child_name(child), child->index,
                    (int)child->pid);
        child_kill(child);
        return 0;
}

void child_init(struct child *child, struct supervisor *supervisor, enum role role, unsigned index)
{
        *child = (struct child){.supervisor = supervisor, .role = role, .index = index};
        loop_timer_init(&child->start, &supervisor->loop, child_start, child);
        loop_timer_init(&child->kill, &supervisor->loop, child_overdue, child);
        loop_timer_init(&child->ping, &supervisor->loop, child_ping, child);
}

static int child_prepare(struct child *child)
{
        static const struct channel_handler handler = {child_received, child_closed};
        int fd = -1;

        TRY(child_spawn(child, &child->pid, &fd));
        TRY(channel_new(&child->supervisor->loop, fd, &handler, child, &child->channel));
        TRY(child_configure(child));
        TRY(listeners_give(child));
        TRY(peers_connect(child));
        return 0;
}

/* 0 the first time, then 50 ms, 100 ms, 200 ms … */
static uint64_t child_delay(const struct child *child)
{
        unsigned doublings = child->failures ? MIN(child->failures - 1, 10u) : 0;

        return child->failures > 1 ? MIN((uint64_t)25 << doublings, (uint64_t)RESTART_DELAY_MOST) : 0;
}

static void child_again(struct child *child)
{
        if (child->supervisor->stop_phase < 0)
                loop_timer_arm(&child->start, child_delay(child));
}

int child_start(void *context)
{
        struct child *child = context;
        int r;

        if (child->pid || child->supervisor->stop_phase >= 0)
                return 0;
        child->stopping = false;
        child->ready_at = 0;
        child->state[0] = 0;
        child->starts++;
        r = child_prepare(child);
        if (r == 0) {
                if (role_table[child->role].pinged)
                        loop_timer_arm(&child->ping, PING_EVERY);
                return 0;
        }
        log_report(r, "%s %u cannot be started", child_name(child), child->index);
        if (child->pid) {
                child_kill(child); /* the rest follows when it is waited for */
                return 0;
        }
        snprintf(child->last_end, sizeof(child->last_end), "%.150s", report_text());
        child->failures++;
        child_again(child);
        return 0;
}

static void child_describe_end(struct child *child, int status)
{
        if (WIFSIGNALED(status))
                snprintf(child->last_end, sizeof(child->last_end), "was killed by signal %d (%s)", WTERMSIG(status),
                         strsignal(WTERMSIG(status)));
        else if (WEXITSTATUS(status) == 126)
                snprintf(child->last_end, sizeof(child->last_end),
                         "could not be prepared: no memory, or too many open files");
        else if (WEXITSTATUS(status) == 127)
                snprintf(child->last_end, sizeof(child->last_end), "could not be executed: is the program broken?");
        else
                snprintf(child->last_end, sizeof(child->last_end), "exited with status %d (%s)", WEXITSTATUS(status),
                         WEXITSTATUS(status) ? "its own log says why" : "success");
}

static void child_log_end(const struct child *child)
{
        if (child->stopping)
                log_info("%s %u stopped: it %s", child_name(child), child->index, child->last_end);
        else if (child->failures < 5)
                log_warning("%s %u %s and is started again", child_name(child), child->index, child->last_end);
        else
                log_error("%s %u does not stay up: it %s, %u times in a row; the next start is in %llu ms",
                          child_name(child), child->index, child->last_end, child->failures,
                          (unsigned long long)child_delay(child));
}

void child_ended(struct child *child, int status)
{
        bool stable = child->ready_at && clock_monotonic_ms() - child->ready_at >= STABLE_AFTER;

        child_describe_end(child, status);
        child->pid = 0;
        child->ready_at = 0;
        child->state[0] = 0;
        child->failures = stable ? 1 : child->failures + 1;
        loop_timer_done(&child->kill);
        loop_timer_done(&child->ping);
        loop_timer_init(&child->kill, &child->supervisor->loop, child_overdue, child);
        loop_timer_init(&child->ping, &child->supervisor->loop, child_ping, child);
        channel_call_cancel(&child->ping_call);
        if (child->channel)
                channel_close(child->channel);
        channel_unref(TAKE(child->channel));
        child_log_end(child);
        child_again(child);
        supervisor_changed(child->supervisor);
}

void child_stop(struct child *child)
{
        MSG_OWN(stop) stop = {0};

        if (!child->pid || child->stopping)
                return;
        child->stopping = true;
        loop_timer_arm(&child->kill, STOP_PHASE);
        if (!child->channel || child_send(child, msg_record_stop(), &stop, -1))
                child_kill(child);
}

void child_kill(struct child *child)
{
        if (child->pid)
                kill(child->pid, SIGKILL);
}
