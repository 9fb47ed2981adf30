/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A recovery, from Rob's request to the user's machine. */
#include "room.h"

struct recovery {
        struct token token;
        char *request;
        struct buf terms;
};

/* What was created, with its terms as the officer is shown them. */
void recovery_take(struct world *world, int officer, const struct msg_request_item *created, struct recovery *recovery);
int recovery_ask(struct world *world, const char *user, struct recovery *recovery);
void recovery_done(struct recovery *recovery);
int approve(struct world *world, int officer, const struct recovery *recovery, bool false_partial,
            struct msg_request_approved *ret_reply);
/* The client has got so many keys, which are those of their certificates. */
void redeemed_opens(struct client *client, const struct recovery *recovery, size_t keys);
