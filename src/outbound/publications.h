/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the engine publishes as it becomes current: the revocation list and the CA's certificates. Of each path only the
 * newest counts, so these are notices and no jobs: what cannot be written is kept here and tried again until it can, or
 * a newer one comes; the engine sends all of them again whenever this process is started.
 */
#include "base/loop.h"
#include "config/config.h"
#include "wire/message.h"

enum { PUBLICATIONS_RETRY = 10000 /* ms */ };

struct publications {
        const struct config *config;
        struct list waiting; /* not written yet */
        struct loop_timer retry;
};

void publications_init(struct publications *publications, struct loop *loop, const struct config *config);
void publications_done(struct publications *publications);
/* Is there something that could not be written? */
static inline bool publications_fail(const struct publications *publications)
{
        return !list_empty(&publications->waiting);
}
/* Write it, or keep it; takes its content. Nothing when no folder is configured. */
void publications_take(struct publications *publications, struct msg_publish *publication);
