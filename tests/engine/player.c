/* SPDX-License-Identifier: Apache-2.0 */
#include "player.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "base/mem.h"

static int player_received(void *context, struct channel *channel, struct channel_message *message)
{
        struct player *player = context;

        if (message->kind != MSG_job)
                return 0;
        player->given[player->count].id = message->id;
        must(msg_decode(job, message->payload, &player->given[player->count].job));
        player->count++;
        return 0;
}

static int player_closed(void *context, struct channel *channel, int result)
{
        return 0;
}

static const struct channel_handler handler = {.received = player_received, .closed = player_closed};

void player_forget(struct player *player)
{
        for (size_t i = 0; i < player->count; i++)
                msg_done(job, &player->given[i].job);
        player->count = 0;
}

void player_look(struct player *player, const char *kind)
{
        outbound_wake(&player->world.engine, kind);
        world_run(&player->world);
}

void player_connect(struct player *player)
{
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                abort();
        must(outbound_add(&player->world.engine, 0, fds[0]));
        must(channel_new(&player->world.loop, fds[1], &handler, player, &player->channel));
        world_run(&player->world);
}

void player_lose(struct player *player)
{
        channel_close(player->channel);
        channel_unref(TAKE(player->channel));
        player_forget(player);
        world_run(&player->world);
}

void player_begin(struct player *player)
{
        world_init(&player->world);
        world_open(&player->world);
        world_import(&player->world, "11111111111111111111111111111111", "Alice", "alice@example.org");
        world_import(&player->world, "22222222222222222222222222222222", "Bob", "bob@example.org");
        player_connect(player);
}

void player_end(struct player *player)
{
        player_lose(player);
        world_done(&player->world);
}

static void answer(struct player *player, size_t index, const struct msg_job_done *done)
{
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;

        must(msg_encode(job_done, done, &encoded));
        must(channel_reply(player->channel, player->given[index].id, MSG_job_done, buf_view(&encoded)));
}

void player_answer(struct player *player, const struct msg_job_done *done)
{
        for (size_t i = 0; i < player->count; i++)
                answer(player, i, done);
        player_forget(player);
        world_run(&player->world);
}
