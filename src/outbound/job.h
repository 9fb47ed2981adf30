/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Jobs that wait: what may take long or fail for reasons outside, taken off the engine's durable queue one at a time. A job is
 * done again until it is reported done, so each kind must bear being repeated, and must leave nothing half done.
 *
 * A kind is a row of the table in job.c. Its function returns 0; a fault or PROBLEM_STORAGE, UNREACHABLE, TIMEOUT, BUSY
 * when trying again may help; any other problem when it will not.
 *
 * "publish-user" is none of these: it is under way beside others (publish.h).
 *
 *   publish-file   subject: path in [publish] folder; content: the file. It replaces the old one at once, never half.
 *   remove-file    subject: path in [publish] folder. Also fine when there is none.
 */
#include "config/config.h"
#include "wire/message.h"

/* Does it, and says in *ret_done how it went; never fails itself. */
void job_run(const struct config *config, const struct msg_job *job, struct msg_job_done *ret_done);
/* Write a file of the publish folder. The same results. */
int job_publish(const struct config *config, const char *subject, struct bytes content) must_check;
/* A path inside the folder: of names without "..", hidden ones or control characters. PROBLEM_MALFORMED. */
int job_path_check(const char *path) must_check;
