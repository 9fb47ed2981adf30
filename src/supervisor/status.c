/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervisor.h"

#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

/* RUN/status.json: for scripts and tests, above all the ports that were got for port 0. Texts here are our own or
 * printable. */
static void quoted_add(struct buf *out, const char *text)
{
        buf_add_byte(out, '"');
        for (; *text; text++) {
                if (*text == '"' || *text == '\\')
                        buf_add_byte(out, '\\');
                buf_add_byte(out, (uint8_t)*text);
        }
        buf_add_byte(out, '"');
}

static void listeners_add(const struct supervisor *supervisor, struct buf *out)
{
        buf_add_text(out, "\"listen\":{");
        for (int purpose = 0; purpose < PURPOSE_COUNT; purpose++) {
                const char *separator = "";

                buf_add_format(out, "%s\"%s\":[", purpose ? "," : "", purpose_names[purpose]);
                for (size_t i = 0; i < supervisor->listener_count; i++) {
                        if (supervisor->listeners[i].purpose != purpose)
                                continue;
                        buf_add_format(out, "%s\"", separator);
                        listener_text(&supervisor->listeners[i], out);
                        buf_add_byte(out, '"');
                        separator = ",";
                }
                buf_add_byte(out, ']');
        }
        buf_add_byte(out, '}');
}

static void child_add(const struct child *child, struct buf *out)
{
        buf_add_format(out, "{\"role\":\"%s\",\"index\":%u,\"pid\":%d,\"ready\":%s,\"starts\":%llu,\"state\":",
                       role_table[child->role].name, child->index, (int)child->pid, child->ready_at ? "true" : "false",
                       (unsigned long long)child->starts);
        quoted_add(out, child->state);
        buf_add_text(out, ",\"last_end\":");
        quoted_add(out, child->last_end);
        buf_add_byte(out, '}');
}

void status_write(struct supervisor *supervisor)
{
        CLEANUP(mem_freep) char *path = config_run_path(&supervisor->config, "status.json");
        CLEANUP(buf_done) struct buf out = BUF_NONE;
        const char *separator = "\n";

        buf_add_format(&out, "{\"pid\":%d,\"version\":\"" VOUCHSAFE_VERSION "\",\"ready\":%s,\n", (int)getpid(),
                       supervisor->announced ? "true" : "false");
        listeners_add(supervisor, &out);
        buf_add_text(&out, ",\n\"children\":[");
        CHILD_EACH(child, supervisor)
        {
                buf_add_text(&out, separator);
                child_add(child, &out);
                separator = ",\n";
        }
        buf_add_text(&out, "]}\n");
        int r = file_write(path, buf_view(&out), 0600);
        if (r)
                log_report(r, "the status file is out of date");
}

void status_remove(struct supervisor *supervisor)
{
        CLEANUP(mem_freep) char *path = config_run_path(&supervisor->config, "status.json");

        unlink(path);
}
