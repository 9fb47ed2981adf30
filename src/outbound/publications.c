/* SPDX-License-Identifier: Apache-2.0 */
#include "outbound/publications.h"

#include "base/log.h"
#include "base/mem.h"
#include "outbound/job.h"

struct waiting {
        struct list link;
        char *path;
        struct buf content;
};

static void waiting_free(struct waiting *waiting)
{
        list_remove(&waiting->link);
        free(waiting->path);
        buf_done(&waiting->content);
        free(waiting);
}

/* The engine's path is that of a URL, and begins with a slash. */
static int write_now(struct publications *publications, const char *path, const struct buf *content)
{
        int r = job_publish(publications->config, path + (path[0] == '/'), buf_view(content));

        if (r)
                log_report(r, "%s is not published; trying again every %d s", path, PUBLICATIONS_RETRY / 1000);
        return r;
}

static int publications_retry(void *context)
{
        struct publications *publications = context;

        LIST_EACH(waiting, &publications->waiting, struct waiting, link)
                if (write_now(publications, waiting->path, &waiting->content) == 0)
                        waiting_free(waiting);
        if (!list_empty(&publications->waiting))
                loop_timer_arm(&publications->retry, PUBLICATIONS_RETRY);
        return 0;
}

void publications_init(struct publications *publications, struct loop *loop, const struct config *config)
{
        *publications = (struct publications){.config = config};
        list_init(&publications->waiting);
        loop_timer_init(&publications->retry, loop, publications_retry, publications);
}

void publications_done(struct publications *publications)
{
        loop_timer_done(&publications->retry);
        LIST_EACH(waiting, &publications->waiting, struct waiting, link)
                waiting_free(waiting);
}

void publications_take(struct publications *publications, struct msg_publish *publication)
{
        const char *path = msg_text(publication->path);

        if (!*publications->config->publish.folder)
                return;
        LIST_EACH(former, &publications->waiting, struct waiting, link)
                if (strcmp(former->path, path) == 0)
                        waiting_free(former);
        if (write_now(publications, path, &publication->content) == 0)
                return;
        struct waiting *waiting = NEW(struct waiting);
        waiting->path = text_copy(path);
        waiting->content = buf_take(&publication->content);
        list_append(&publications->waiting, &waiting->link);
        if (!publications->retry.due_ms)
                loop_timer_arm(&publications->retry, PUBLICATIONS_RETRY);
}
