/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe queue list | show | retry | cancel | bounce */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/session.h"
#include "cli/show.h"
#include "cli/table.h"
#include "letter/bounce.h"

enum { PAGE = 500 };

/* ---- list, show ------------------------------------------------------------------------------------------- */

static int fetch_jobs(struct session *session, const struct arguments *arguments, struct msg_queue_listed *all)
{
        const char *state = argument_text(arguments, "state"), *kind = argument_text(arguments, "kind");
        MSG_OWN(queue_list) request = {
                .state = state ? text_copy(state) : NULL, .kind = kind ? text_copy(kind) : NULL, .limit = PAGE};

        do {
                MSG_OWN(queue_listed) page = {0};
                TRY(server_call(&session->server, queue_list, &request, queue_listed, &page));
                LIST_MOVE(all->jobs, page.jobs);
                free(request.cursor);
                request.cursor = TAKE(page.cursor);
        } while (*msg_text(request.cursor));
        return 0;
}

static int list(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        MSG_OWN(queue_listed) all = {0};
        CLEANUP(table_freep)
        struct table *table = table_new(
            (const char *const[]){">Job", "Kind", "Address", "State", ">Tries", "Created", "Next try", "~Last answer", NULL});

        TRY(session_operator(arguments, &session));
        TRY(fetch_jobs(&session, arguments, &all));
        if (argument_json(arguments))
                return PASS(show_json_of(queue_listed, &all));
        for (size_t i = 0; i < all.jobs.count; i++) {
                const struct msg_job_item *job = &all.jobs.at[i];
                char created[TIME_TEXT_SIZE], next[TIME_TEXT_SIZE];
                char *number CLEANUP(mem_freep) = text_format("%llu", (unsigned long long)job->job);
                char *tries CLEANUP(mem_freep) = text_format("%llu", (unsigned long long)job->attempts);
                table_row(table, (const char *const[]){number, job->kind,
                                                       *msg_text(job->address) ? job->address : msg_text(job->subject),
                                                       job->state, tries, time_short(job->created, created),
                                                       time_short(job->next_try, next), job->detail});
        }
        table_print(table, "Nothing is in the queue.");
        return 0;
}

static int job_number(const struct arguments *arguments, size_t index, uint64_t *ret_number)
{
        if (number_parse(bytes_text(operand(arguments, index)), INT64_MAX, ret_number) != 0 || !*ret_number)
                return refuse(PROBLEM_USAGE, "\"%s\" is not the number of a job; see \"vouchsafe queue list\".",
                              operand(arguments, index));
        return 0;
}

static void show_job(const struct msg_job_item *job)
{
        char time[TIME_TEXT_SIZE];

        say_pair("Job", "%llu (%s)", (unsigned long long)job->job, msg_text(job->kind));
        say_pair("Subject", "%s", msg_text(job->subject));
        if (*msg_text(job->address))
                say_pair("Address", "%s", job->address);
        say_pair("State", "%s", msg_text(job->state));
        say_pair("Created", "%s", time_short(job->created, time));
        say_pair("Tries", "%llu", (unsigned long long)job->attempts);
        if (job->next_try)
                say_pair("Next try", "%s", time_short(job->next_try, time));
        if (*msg_text(job->detail))
                say_pair("Last answer", "%s", job->detail);
}

static int show(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        MSG_OWN(queue_list) request = {0};
        MSG_OWN(queue_listed) reply = {0};

        TRY(job_number(arguments, 0, &request.job));
        TRY(session_operator(arguments, &session));
        TRY(server_call(&session.server, queue_list, &request, queue_listed, &reply));
        if (argument_json(arguments))
                return PASS(show_json_of(queue_listed, &reply));
        for (size_t i = 0; i < reply.jobs.count; i++)
                show_job(&reply.jobs.at[i]);
        return 0;
}

/* ---- retry, cancel ---------------------------------------------------------------------------------------- */

/* `state` "": in whatever it is. */
static int change_one(struct session *session, uint64_t job, const char *state, const char *change,
                      struct msg_queue_changed *all)
{
        MSG_OWN(queue_change) request = {.job = job, .change = text_copy(change), .state = text_copy(state)};
        MSG_OWN(queue_changed) reply = {0};

        TRY(server_call(&session->server, queue_change, &request, queue_changed, &reply));
        LIST_MOVE(all->jobs, reply.jobs);
        return 0;
}

/* All of a state; one that was settled meanwhile is none of them any more. */
static int change_state(struct session *session, const struct arguments *arguments, const char *change,
                        struct msg_queue_changed *all)
{
        MSG_OWN(queue_listed) jobs = {0};

        TRY(fetch_jobs(session, arguments, &jobs));
        for (size_t i = 0; i < jobs.jobs.count; i++) {
                int r = change_one(session, jobs.jobs.at[i].job, msg_text(jobs.jobs.at[i].state), change, all);

                if (r != PROBLEM_NOT_FOUND && r != PROBLEM_STATE)
                        TRY(r);
        }
        return 0;
}

static int change_jobs(struct arguments *arguments, const char *change, const char *done)
{
        CLEANUP(session_done) struct session session = {0};
        MSG_OWN(queue_changed) all = {0};
        bool some = argument_text(arguments, "state") || argument_text(arguments, "kind");
        uint64_t number;

        if (some == (operand_count(arguments) > 0))
                return refuse(PROBLEM_USAGE, "Name jobs by their numbers, or choose them with --state and --kind.");
        for (size_t i = 0; i < operand_count(arguments); i++)
                TRY(job_number(arguments, i, &number));
        TRY(session_operator(arguments, &session));
        if (some)
                TRY(change_state(&session, arguments, change, &all));
        for (size_t i = 0; i < operand_count(arguments); i++) {
                TRY(job_number(arguments, i, &number));
                TRY(change_one(&session, number, "", change, &all));
        }
        if (argument_json(arguments))
                return PASS(show_json_of(queue_changed, &all));
        say("%zu job%s %s.", all.jobs.count, all.jobs.count == 1 ? "" : "s", done);
        return 0;
}

static int retry(struct arguments *arguments)
{
        return change_jobs(arguments, "retry", "will be tried again now");
}

static int cancel(struct arguments *arguments)
{
        return change_jobs(arguments, "cancel", "taken out of the queue");
}

/* ---- bounce ----------------------------------------------------------------------------------------------- */

static int bounce_tell(const struct arguments *arguments, const struct bounce *bounce)
{
        CLEANUP(session_done) struct session session = {0};
        MSG_OWN(queue_bounce) request = {.message_id = text_copy(bounce->message_id),
                                         .status = text_copy_n(msg_text(bounce->status), strnlen(msg_text(bounce->status), 16)),
                                         .detail = text_copy(msg_text(bounce->detail))};
        MSG_OWN(queue_bounced) reply = {0};

        TRY(session_anyone(arguments, &session));
        TRY(server_call(&session.server, queue_bounce, &request, queue_bounced, &reply));
        say("Job %llu has bounced: %s %s", (unsigned long long)reply.job, msg_text(bounce->status),
            msg_text(bounce->detail));
        return 0;
}

/*
 * A mail system that runs this does not know our exit codes. What is no report, or of none of our mails, is done with; when
 * the server cannot take it now, sysexits.h has a code by which it is given again.
 */
static int bounce_ended(int result)
{
        if (result == PROBLEM_NOT_FOUND || result == PROBLEM_TOO_LARGE) {
                tell("%s", report_text());
                return 0;
        }
        if (!result || result == PROBLEM_USAGE)
                return result;
        tell("%s", report_text());
        exit(EX_TEMPFAIL);
}

static int bounce_run(const struct arguments *arguments)
{
        CLEANUP(secret_done) struct secret message = SECRET_NONE; /* it may return a token */
        CLEANUP(bounce_done) struct bounce bounce = {0};

        TRY(secret_read(STDIN_FILENO, BOUNCE_SIZE_MOST, &message));
        TRY(bounce_read(secret_view(&message), &bounce));
        if (strcasecmp(bounce.action, "failed") != 0)
                return refuse(PROBLEM_NOT_FOUND, "The report says \"%s\": nothing has failed.", bounce.action);
        return PASS(bounce_tell(arguments, &bounce));
}

static int bounce(struct arguments *arguments)
{
        return bounce_ended(bounce_run(arguments));
}

#define OPTION_STATE {"state", "STATE", "only those: waiting, running, failed, sent, bounced", 0, false}
#define OPTION_KIND  {"kind", "KIND", "only those: mail-token, publish-user, publish-file, remove-file", 0, false}

static const struct command_option list_options[] = {OPTION_STATE, OPTION_KIND, OPTIONS_OPERATOR, OPTIONS_END};
static const struct command_option show_options[] = {OPTIONS_OPERATOR, OPTIONS_END};
static const struct command_option bounce_options[] = {
    {"server", "URL", "the server (default: that of the folder's operator or user, or $VOUCHSAFE_SERVER)", 's', false},
    OPTIONS_END,
};

const struct command command_queue_list = {
    .noun = "queue",
    .verb = "list",
    .summary = "List what waits to be published and mailed, and what became of it",
    .operands = "",
    .options = list_options,
    .about = "A job that is done leaves the queue. Mail stays as sent for a while ([mail] keep), since a report that it did\n"
             "not arrive may come later; then it has bounced.\n",
    .examples = "  vouchsafe queue list --state bounced\n",
    .run = list,
};

const struct command command_queue_show = {
    .noun = "queue",
    .verb = "show",
    .summary = "Show one job, with the whole of its last answer",
    .operands = "JOB",
    .least = 1,
    .most = 1,
    .options = show_options,
    .examples = "  vouchsafe queue show 17\n",
    .run = show,
};

const struct command command_queue_retry = {
    .noun = "queue",
    .verb = "retry",
    .summary = "Try jobs again now; also mail that was sent or has bounced",
    .operands = "[JOB…]",
    .most = 1000,
    .options = list_options,
    .about = "A token is mailed again only while it is good, and to the address that the directory has now.\n",
    .examples = "  vouchsafe queue retry 17\n"
                "  vouchsafe queue retry --state bounced --kind mail-token\n",
    .run = retry,
};

const struct command command_queue_cancel = {
    .noun = "queue",
    .verb = "cancel",
    .summary = "Take jobs out of the queue",
    .operands = "[JOB…]",
    .most = 1000,
    .options = list_options,
    .about = "A token that is not mailed stays good; whoever has it can use it.\n",
    .examples = "  vouchsafe queue cancel 17\n",
    .run = cancel,
};

const struct command command_queue_bounce = {
    .noun = "queue",
    .verb = "bounce",
    .summary = "Take a report of failed delivery (RFC 3464) from standard input, as a filter of the mail system",
    .operands = "",
    .options = bounce_options,
    .about = "For the address that [mail] return-path names. No password is needed: the report has the Message-ID, which\n"
             "only those know who had the mail. Ends with 0 also when the message is no such report or is of no mail of this\n"
             "server, and with 75 (EX_TEMPFAIL) when the mail system should give it again later.\n",
    .examples = "  In /etc/aliases:\n"
                "  vouchsafe-bounces: \"|vouchsafe queue bounce --server https://keys.example.org:8443\"\n",
    .run = bounce,
};
