/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for any child, so that supervision is tested alone: it says as its state to whom it is connected, greets
 * its peers, and answers every request on any connection with its name. Its role is its program's name.
 *
 * In the folder that the configuration names as [server] run: a file hang-ROLE makes it stop turning its loop,
 * crash-ROLE makes it exit at its start, ignore-stop-ROLE makes it deaf to `stop`, seal-ROLE makes it say that it was
 * unsealed and is sealed; and it leaves there the last configuration as seen-ROLE-INDEX.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"
#include "wire/control.h"

enum { PEERS = 256 };

struct stand_in {
        struct loop loop;
        struct control control;
        const char *role;
        struct config config;
        uint64_t index;
        struct {
                char *name;
                struct channel *channel;
        } peers[PEERS];
        unsigned listeners;
};

static bool told(const struct stand_in *self, const char *what)
{
        CLEANUP(mem_freep) char *path = text_format("%s/%s-%s", self->config.server.run, what, self->role);

        return access(path, F_OK) == 0;
}

static int state_tell(struct stand_in *self)
{
        CLEANUP(buf_done) struct buf state = BUF_NONE;

        for (size_t i = 0; i < PEERS; i++)
                if (self->peers[i].name && self->peers[i].channel && channel_is_open(self->peers[i].channel))
                        buf_add_format(&state, "%s ", self->peers[i].name);
        if (self->listeners)
                buf_add_format(&state, "listen%u", self->listeners);
        return PASS(control_ready(&self->control, buf_text(&state)));
}

static int peer_received(void *context, struct channel *channel, struct channel_message *message)
{
        struct stand_in *self = context;
        CLEANUP(mem_freep) char *name = text_format("%s%llu", self->role, (unsigned long long)self->index);

        return message->id ? PASS(channel_reply(channel, message->id, MSG_done, bytes_text(name))) : 0;
}

static int peer_closed(void *context, struct channel *channel, int result)
{
        return PASS(state_tell(context));
}

static const struct channel_handler peer_handler = {peer_received, peer_closed};

static int on_peer(void *context, const struct msg_peer *peer, int fd)
{
        struct stand_in *self = context;
        CLEANUP(mem_freep) char *name = text_format("%.1s%llu", peer->role, (unsigned long long)peer->index);
        size_t place = 0;

        if (strcmp(peer->role, "local") == 0) {
                struct channel *local;

                /* Left to the end of the process. */
                return PASS(channel_new(&self->loop, fd, &peer_handler, self, &local));
        }
        while (place < PEERS && self->peers[place].name && strcmp(self->peers[place].name, name) != 0)
                place++;
        if (place == PEERS)
                abort();
        channel_unref(TAKE(self->peers[place].channel));
        free(self->peers[place].name);
        self->peers[place].name = TAKE(name);
        TRY(channel_new(&self->loop, fd, &peer_handler, self, &self->peers[place].channel));
        TRY(channel_send(self->peers[place].channel, MSG_done, BYTES_NONE));
        return PASS(state_tell(self));
}

static int on_listen(void *context, const struct msg_listen *listening, int fd)
{
        struct stand_in *self = context;

        self->listeners++;
        close(fd);
        return PASS(state_tell(self));
}

static int on_configure(void *context, struct msg_configure *configure)
{
        struct stand_in *self = context;
        CLEANUP(buf_done) struct buf seen = BUF_NONE;
        CLEANUP(mem_freep) char *path = NULL;

        config_done(&self->config);
        TRY(config_decode(buf_view(&configure->content), &self->config));
        config_log_setup(&self->config, self->role);
        self->index = configure->index;
        if (told(self, "crash"))
                _exit(9);
        while (told(self, "hang"))
                usleep(100000);
        buf_add_format(&seen, "level=%s secret=%zu key=%zu chain=%zu\n", self->config.log.level,
                       configure->startup_secret.len, configure->tls_key.len, configure->tls_chain.len);
        buf_add_format(&seen, "mail=%zu directory=%zu\n", configure->mail_password.len, configure->directory_password.len);
        for (char **variable = environ; *variable; variable++)
                buf_add_format(&seen, "%s\n", *variable);
        for (int fd = 0; fd < 64; fd++)
                if (fcntl(fd, F_GETFD) >= 0 && fd <= CONTROL_FD)
                        buf_add_format(&seen, "fd%d\n", fd);
        path = text_format("%s/seen-%s-%llu", self->config.server.run, self->role, (unsigned long long)self->index);
        if (told(self, "seal"))
                TRY(control_ready_keeper(&self->control, "sealed", true));
        TRY(file_write(path, buf_view(&seen), 0600));
        return PASS(state_tell(self));
}

static int on_stop(void *context)
{
        struct stand_in *self = context;

        if (!told(self, "ignore-stop"))
                loop_stop(&self->loop);
        return 0;
}

int main(int argc, char **argv)
{
        static const struct control_handler handler = {on_configure, on_peer, on_listen, on_stop};
        static struct stand_in self;
        const char *dash = strchr(argv[0], '-');
        char role[32];
        int r;

        snprintf(role, sizeof(role), "%s", dash ? dash + 1 : argv[0]);
        role[strcspn(role, " ")] = 0;
        self.role = role;
        r = loop_init(&self.loop);
        if (r == 0)
                r = control_init(&self.control, &self.loop, CONTROL_FD, &handler, &self);
        if (r == 0)
                r = loop_run(&self.loop);
        if (r)
                log_report(r, "the stand-in ends");
        _exit(r ? 1 : 0); /* its leaks are nobody's concern */
}
