/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe verify */
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/session.h"
#include "cli/show.h"

enum { POLL_US = 200000 };

static int wait_for_end(struct session *session, struct msg_verify_reply *reply)
{
        MSG_OWN(verify) request = {.start = true};
        struct progress progress;
        int r;

        progress_begin(&progress, "Verifying rows", 0);
        while ((r = server_call(&session->server, verify, &request, verify_reply, reply)) == 0 && reply->running) {
                progress.total = reply->rows_total;
                progress_step(&progress, reply->rows_done);
                msg_done(verify_reply, reply);
                request.start = false;
                usleep(POLL_US);
        }
        progress_end(&progress);
        return PASS(r);
}

static int verify(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        MSG_OWN(verify_reply) reply = {0};
        size_t errors = 0;

        TRY(session_operator(arguments, &session));
        TRY(wait_for_end(&session, &reply));
        for (size_t i = 0; i < reply.findings.count; i++)
                errors += strcmp(msg_text(reply.findings.at[i].severity), "error") == 0;
        if (argument_json(arguments)) {
                TRY(show_json_of(verify_reply, &reply));
        } else {
                for (size_t i = 0; i < reply.findings.count; i++) {
                        const struct msg_finding *finding = &reply.findings.at[i];
                        bool bad = strcmp(msg_text(finding->severity), "error") == 0;
                        say_styled(bad ? STYLE_RED : STYLE_YELLOW, "%s: %s: %s", msg_text(finding->severity),
                                   msg_text(finding->subject), msg_text(finding->detail));
                }
                if (!errors)
                        say_styled(STYLE_GREEN, "The database is whole: %llu rows and %llu audit records verify.",
                                   (unsigned long long)reply.rows_done, (unsigned long long)reply.audit_records);
        }
        if (errors)
                return refuse(PROBLEM_TAMPERED,
                              "%zu things are wrong with the database; it was changed by something other than the "
                              "server, or is damaged.",
                              errors);
        return 0;
}

static const struct command_option options[] = {OPTIONS_OPERATOR, OPTIONS_END};

const struct command command_verify = {
    .noun = "verify",
    .summary = "Prove row by row that the database is whole, chained and openable",
    .operands = "",
    .options = options,
    .about = "The server goes on meanwhile. Each row that was altered, removed, swapped or brought back from the "
             "past is named;\n"
             "the exit code is then 28.\n",
    .examples = "  vouchsafe verify\n",
    .run = verify,
};
