/* SPDX-License-Identifier: Apache-2.0 */
#include "outbound/job.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

int job_path_check(const char *path)
{
        const char *part = path;

        if (!*path || strlen(path) > 512 || !text_is_printable(bytes_text(path)))
                return refuse(PROBLEM_MALFORMED, "\"%s\" is no path of a file to publish.", path);
        for (;;) {
                size_t len = strcspn(part, "/");

                /* A leading dot covers "." and "..", and what web servers treat in special ways. */
                if (len == 0 || len > NAME_MAX - 8 || part[0] == '.')
                        return refuse(PROBLEM_MALFORMED,
                                      "\"%s\" has a part that is empty, too long or begins with a dot.", path);
                if (!part[len])
                        return 0;
                part += len + 1;
        }
}

static int target_of(const struct config *config, const char *subject, char **ret_path)
{
        if (!*config->publish.folder)
                return refuse(PROBLEM_CONFIGURATION, "[publish] folder is empty: there is nowhere to publish to.");
        TRY(job_path_check(subject));
        *ret_path = text_format("%s/%s", config->publish.folder, subject);
        return 0;
}

int job_publish(const struct config *config, const char *subject, struct bytes content)
{
        CLEANUP(mem_freep) char *path = NULL;
        CLEANUP(mem_freep) char *folder = NULL;

        TRY(target_of(config, subject, &path));
        folder = text_copy_n(path, (size_t)(strrchr(path, '/') - path));
        TRY(folder_make(folder, 0755));
        return PASS(file_write(path, content, 0644));
}

static int publish_file(const struct config *config, const struct msg_job *job)
{
        return PASS(job_publish(config, msg_text(job->subject), buf_view(&job->content)));
}

static int remove_file(const struct config *config, const struct msg_job *job)
{
        CLEANUP(mem_freep) char *path = NULL;

        TRY(target_of(config, msg_text(job->subject), &path));
        if (unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
                return errno == EROFS
                               ? refuse(PROBLEM_STORAGE, "%s cannot be removed: the file system is read-only.", path)
                               : fault(errno, "cannot remove %s", path);
        return 0;
}

static const struct {
        const char *name;
        int (*run)(const struct config *config, const struct msg_job *job);
} kinds[] = {
        {"publish-file", publish_file},
        {"remove-file", remove_file},
};

static int job_try(const struct config *config, const struct msg_job *job)
{
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
                if (strcmp(kinds[i].name, msg_text(job->kind)) == 0)
                        return PASS(kinds[i].run(config, job));
        return refuse(PROBLEM_UNSUPPORTED, "There is no kind of job \"%s\".", msg_text(job->kind));
}

static bool worth_trying_again(int result)
{
        return result < 0 || result == PROBLEM_STORAGE || result == PROBLEM_UNREACHABLE || result == PROBLEM_TIMEOUT ||
               result == PROBLEM_BUSY;
}

void job_run(const struct config *config, const struct msg_job *job, struct msg_job_done *ret_done)
{
        int result = job_try(config, job);

        *ret_done = (struct msg_job_done){
                .id = job->id,
                .success = result == 0,
                .permanent = result && !worth_trying_again(result),
                .detail = text_copy(result ? report_text() : ""),
        };
}
