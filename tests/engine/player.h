/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* An engine with an outbound process that notes what it is given and answers when told to. */
#include "wire/channel.h"
#include "world.h"

struct player {
        struct world world;
        struct channel *channel;
        struct {
                uint64_t id;
                struct msg_job job;
        } given[64];
        size_t count;
};

/* Unsealed, with Alice and Bob in the directory. */
void player_begin(struct player *player);
void player_end(struct player *player);
/* Engines look for jobs at once when one was pushed, and else every second: tests do not wait for that. */
void player_look(struct player *player, const char *kind);
void player_connect(struct player *player);
void player_lose(struct player *player);
void player_forget(struct player *player);
/* All that was given ends like this. */
void player_answer(struct player *player, const struct msg_job_done *done);
