/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Jobs "mail-token": a letter is written and handed to a mail server over SMTP, by libcurl, several at once, while the loop goes
 * on. Servers are tried in their order.
 *
 * What a server says about this message or its recipient is about the job: 5xx is permanent, 4xx is tried again. Whatever
 * else is wrong (no answer, no TLS, no login, a sender that is refused, nonsense) is about the server: the next one is
 * tried, and when none is left the job could not be done for reasons that are not its own (job_done.unreachable).
 *
 * A token is in no log and in no detail: what a server says is left out where it repeats the message.
 */
#include <curl/curl.h>

#include "base/loop.h"
#include "config/config.h"
#include "wire/message.h"

struct mailer {
        struct loop *loop;
        const struct config *config;
        struct secret password;
        CURLM *multi;
        struct loop_timer timer;
        struct list mailings, sockets;
};

/* How a job ended; takes nothing. */
typedef void mailer_done_fn(void *context, const struct msg_job_done *done);

int mailer_init(struct mailer *mailer, struct loop *loop, const struct config *config) must_check;
void mailer_done(struct mailer *mailer);
/* Of the mail server; taken over. */
void mailer_password(struct mailer *mailer, struct secret *password);
/* Begin; `done` is called once, maybe before this returns. Takes `job`. */
void mailer_run(struct mailer *mailer, struct msg_job *job, mailer_done_fn *done, void *context);
