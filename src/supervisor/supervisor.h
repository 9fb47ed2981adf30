/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The supervisor: the one process that reads the configuration, opens sockets and starts the others. It looks at
 * nothing that comes from outside. Children may die at any moment, all at once too: each is started again after a delay
 * that grows while it does not stay up, and gets new connections to its living peers. All durations here are
 * milliseconds of the monotonic clock.
 *
 *   child.c      one child: start, control channel, liveness, end, delay before the next start
 *   spawn.c      fork and exec, with nothing inherited but what is meant
 *   peers.c      which children talk to which, and their socket pairs
 *   listeners.c  listening sockets: a set for each process that serves them, kept while those come and go
 *   local.c      the socket of the administrator's tool; its connections go to a keeper unread
 *   material.c   TLS certificate and key, startup secret: read here, handed on
 *   secrets.c    passwords and keys of the outbound and LDAP processes, likewise
 *   process.c    limits, privileges, the lock on the data folder
 *   notify.c     systemd's notification protocol
 *   status.c     the status file
 *   run.c        signals, reload, orderly stop
 */
#include <netinet/in.h>
#include <sys/types.h>

#include "base/loop.h"
#include "config/config.h"
#include "wire/control.h"

enum {
        RESTART_DELAY_MOST = 5000,
        STABLE_AFTER = 1000, /* a child that served this long is no longer in a crash loop */
        PING_EVERY = 10000,
        PING_ANSWER = 60000,    /* a loop that has not turned for so long does not turn */
        MATERIAL_EVERY = 60000, /* how often TLS files are looked at for a change */
        STOP_PHASE = 10000,     /* then SIGKILL */
        EXIT_AFTER_CLOSE = 3000,
        ACCEPT_PAUSE = 1000,
        SECRET_FILES = 5, /* rows of the table in secrets.c */
};

enum role { ROLE_KEEPER, ROLE_ENGINE, ROLE_OUTBOUND, ROLE_FRONT, ROLE_LDAP, ROLE_COUNT };

struct role_info {
        const char *name, *executable;
        enum config_child section;
        bool pinged;    /* outbound may block */
        int stop_phase; /* fronts first, keepers last */
};
extern const struct role_info role_table[ROLE_COUNT];

struct supervisor;

struct child {
        struct supervisor *supervisor;
        enum role role;
        unsigned index;
        pid_t pid; /* 0 while it is not running */
        struct channel *channel;
        struct loop_timer start, kill, ping;
        struct channel_call ping_call;
        uint64_t ready_at; /* 0 until it serves */
        unsigned failures; /* in a row */
        uint64_t starts;
        bool stopping; /* it was asked to */
        char state[65];
        char last_end[160];
};

enum { PURPOSE_HTTPS, PURPOSE_HTTP, PURPOSE_METRICS, PURPOSE_LDAP, PURPOSE_LDAPS, PURPOSE_COUNT };

struct listener {
        int purpose;
        struct sockaddr_in6 address; /* or sockaddr_in, by family; with the port that was got */
        int *fds;                    /* one for each process of its role */
        unsigned count;
};

struct material {
        struct secret tls_key;
        struct buf tls_chain;
        struct {
                ino_t inode;
                struct timespec time;
        } seen[2]; /* the files as they were when last looked at */
};

struct supervisor {
        struct loop loop;
        struct config config;
        const char *config_path;
        struct child *children;
        size_t child_count;
        struct listener *listeners;
        size_t listener_count;
        unsigned fronts, ldaps;
        struct material material;
        char *libexec; /* from the environment, or NULL */
        int lock, signals, local;
        int startup; /* the file of the startup secret, -1 */
        int secrets[SECRET_FILES]; /* their files, -1 */
        bool sealed; /* by an administrator: no keeper is given the startup secret until one was unsealed again */
        struct loop_source signal_source, local_source;
        struct loop_timer local_pause, material_timer, watchdog;
        struct loop_once changed;
        unsigned next_keeper;
        uint64_t watchdog_ms;
        bool announced;
        int stop_phase; /* -1 while running */
};

static inline struct child *supervisor_child_next(struct supervisor *supervisor, struct child *child)
{
        child = child ? child + 1 : supervisor->children;
        return child < supervisor->children + supervisor->child_count ? child : NULL;
}
#define CHILD_EACH(each, of)                                                                                           \
        for (struct child *each = supervisor_child_next((of), NULL); each; each = supervisor_child_next((of), each))

/* child.c */
void child_init(struct child *child, struct supervisor *supervisor, enum role role, unsigned index);
/* Start now; what prevents it counts as its end. */
int child_start(void *child);
/* It ended with this wait status. */
void child_ended(struct child *child, int status);
void child_stop(struct child *child);
void child_kill(struct child *child);
/* Send its part of the configuration. */
int child_configure(struct child *child) must_check;
int child_send(struct child *child, const struct msg_record *record, const void *message,
               int fd) must_check; /* takes fd; -1 is none */

/* spawn.c: the parent's end of the control channel in *ret_fd. */
int child_spawn(const struct child *child, pid_t *ret_pid, int *ret_fd) must_check;

/* peers.c: connect a child to all its peers that run. */
int peers_connect(struct child *child) must_check;

/* listeners.c */
int listeners_open(struct supervisor *supervisor) must_check;
/* Those of its role. */
int listeners_give(struct child *child) must_check;
void listeners_close(struct supervisor *supervisor);
void listener_text(const struct listener *listener, struct buf *out);
extern const char *const purpose_names[PURPOSE_COUNT];

/* local.c */
int local_open(struct supervisor *supervisor) must_check;
void local_close(struct supervisor *supervisor);

/* material.c */
int material_load(const struct config *config, struct material *ret_material) must_check;
void material_done(struct material *material);
bool material_equal(const struct material *a, const struct material *b);
/* The files are others than when it was last asked. */
bool material_changed(const struct config *config, struct material *material);
/* Opened while this process may be root still, and kept: -1 when the secret is to be typed. */
int startup_secret_open(const struct config *config, int *ret_fd) must_check;
/* SECRET_NONE when it is to be typed. */
int startup_secret_load(struct supervisor *supervisor, struct secret *ret_secret) must_check;

/* A file that holds a secret and that others cannot read. */
int secret_file_open(const char *path, const char *what, int *ret_fd) must_check;
/* Its content, from the beginning. */
int secret_fd_read(int fd, size_t most, const char *what, struct secret *ret_secret) must_check;

/* secrets.c */
void secrets_init(struct supervisor *supervisor);
void secrets_done(struct supervisor *supervisor);
/* PROBLEM_CONFIGURATION: one that is configured cannot be read. */
int secrets_open(struct supervisor *supervisor) must_check;
/* On reload: those that can be opened (still) are opened anew, since a file may have been replaced. */
void secrets_renew(struct supervisor *supervisor);
/* Those that processes of this role are given. */
int secrets_load(struct supervisor *supervisor, enum role role, struct msg_configure *configure) must_check;

/* process.c */
int process_limits(void) must_check;
/* Before sockets are opened: the folders. After: give up root and every capability. */
int process_folders(const struct config *config) must_check;
int process_privileges_drop(const struct config *config) must_check;
int process_lock(const struct config *config, int *ret_fd) must_check;

/* notify.c: nothing without $NOTIFY_SOCKET. */
void notify_systemd(const char *state);
uint64_t notify_watchdog_ms(void); /* how often WATCHDOG=1 is due, 0 for never */

/* status.c */
void status_write(struct supervisor *supervisor);
void status_remove(struct supervisor *supervisor);

/* run.c */
int supervisor_run(struct supervisor *supervisor) must_check;
/* The engine has a new certificate from the built-in CA. */
int supervisor_tls_renewed(struct supervisor *supervisor, struct bytes chain) must_check;
/* After a child ended or became ready. */
void supervisor_changed(struct supervisor *supervisor);
