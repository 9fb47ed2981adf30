/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe directory status | sync */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "cli/session.h"
#include "cli/show.h"
#include "cli/table.h"

enum { POLL_MS = 500 };

/* ---- status ----------------------------------------------------------------------------------------------- */

static void show_run(const char *label, const struct msg_directory_run *run)
{
        char begun[TIME_TEXT_SIZE];
        const char *outcome = msg_text(run->outcome);

        say_pair(label, "run %" PRIu64 " of %s, %s%s%s", run->run, time_short(run->begun, begun),
                 *outcome ? outcome : "under way", *msg_text(run->server) ? ", from " : "", msg_text(run->server));
        say_pair("", "%" PRIu64 " entries seen: %" PRIu64 " new, %" PRIu64 " changed, %" PRIu64 " returned, %" PRIu64
                     " %s; %" PRIu64 " findings",
                 run->seen, run->added, run->changed, run->returned, run->left,
                 strcmp(outcome, "refused") == 0 ? "would have left" : "left", run->findings);
        if (strcmp(outcome, "complete") == 0 && *msg_text(run->detail))
                say_pair("", "%s", run->detail);
}

static const char *state_words(const struct msg_directory_status_reply *status)
{
        if (strcmp(msg_text(status->state), "embedded") == 0)
                return "the server's own address book";
        if (strcmp(msg_text(status->state), "following") == 0)
                return "LDAP; changes are followed";
        if (strcmp(msg_text(status->state), "reading") == 0)
                return "LDAP; all of it is being read";
        return "LDAP; waiting for the next try";
}

static void show_departing(const struct msg_directory_status_reply *status)
{
        char after[TIME_TEXT_SIZE];

        if (status->revoke_left_after)
                say_pair("Left", "%" PRIu64 ", revoked after %s", status->left,
                         duration_text((int64_t)status->revoke_left_after, after));
        else
                say_pair("Left", "%" PRIu64 ", not revoked by themselves", status->left);
}

static void show_findings(const struct msg_directory_status_reply *status)
{
        for (size_t i = 0; i < status->findings.count; i++)
                say("%s: %s", msg_text(status->findings.at[i].subject), msg_text(status->findings.at[i].detail));
}

static void show_status(const struct msg_directory_status_reply *status)
{
        char next[TIME_TEXT_SIZE];
        const struct msg_directory_run *complete = status->complete.at, *last = status->last.at;

        say_pair("Directory", "%s", state_words(status));
        if (*msg_text(status->detail))
                say_pair("Wrong", "%s", status->detail);
        say_pair("People", "%" PRIu64, status->people);
        say_pair("Groups", "%" PRIu64, status->groups);
        show_departing(status);
        if (status->last.count && (!status->complete.count || last->run != complete->run))
                show_run("Last run", last);
        if (status->complete.count)
                show_run("Last complete", complete);
        if (status->next)
                say_pair("Next run", "%s", time_short(status->next, next));
        show_findings(status);
}

static int status_fetch(struct session *session, struct msg_directory_status_reply *ret_status)
{
        struct msg_directory_status request = {0};

        msg_done(directory_status_reply, ret_status);
        return PASS(server_call(&session->server, directory_status, &request, directory_status_reply, ret_status));
}

static int status(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        MSG_OWN(directory_status_reply) reply = {0};

        TRY(session_operator(arguments, &session));
        TRY(status_fetch(&session, &reply));
        if (argument_json(arguments))
                return PASS(show_json_of(directory_status_reply, &reply));
        show_status(&reply);
        return 0;
}

/* ---- sync ------------------------------------------------------------------------------------------------- */

/* The run with this number, or the one that took its place, is over. */
static bool run_is_over(const struct msg_directory_status_reply *status, uint64_t run)
{
        return status->last.count && status->last.at[0].run >= run && *msg_text(status->last.at[0].outcome);
}

static int sync_outcome(const struct msg_directory_run *run)
{
        enum problem problem;

        if (strcmp(msg_text(run->outcome), "complete") == 0)
                return 0;
        if (strcmp(msg_text(run->outcome), "refused") == 0)
                return refuse(PROBLEM_STATE, "%s", msg_text(run->detail));
        problem = problem_from_code(msg_text(run->problem));
        return refuse(problem ? problem : PROBLEM_UNREACHABLE, "%s", msg_text(run->detail));
}

static int sync_wait(struct session *session, uint64_t run, struct msg_directory_status_reply *status)
{
        struct progress progress;

        progress_begin(&progress, "Reading the directory", 0);
        for (;;) {
                TRY(status_fetch(session, status));
                if (run_is_over(status, run))
                        break;
                if (status->last.count && status->last.at[0].run >= run)
                        progress_step(&progress, status->last.at[0].seen);
                nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
        }
        progress_end(&progress);
        return 0;
}

static int sync_directory(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        struct msg_directory_sync request = {.accept_departures = argument_flag(arguments, "accept-departures")};
        struct msg_directory_syncing reply = {0};
        MSG_OWN(directory_status_reply) now = {0};

        TRY(session_operator(arguments, &session));
        TRY(server_call(&session.server, directory_sync, &request, directory_syncing, &reply));
        if (!argument_flag(arguments, "wait")) {
                if (argument_json(arguments))
                        return PASS(show_json_of(directory_syncing, &reply));
                say("Run %" PRIu64 " reads the directory; \"vouchsafe directory status\" shows how far it is.", reply.run);
                return 0;
        }
        TRY(sync_wait(&session, reply.run, &now));
        if (argument_json(arguments))
                TRY(show_json_of(directory_status_reply, &now));
        else
                show_status(&now);
        return PASS(sync_outcome(&now.last.at[0]));
}

static const struct command_option status_options[] = {OPTIONS_OPERATOR, OPTIONS_END};
static const struct command_option sync_options[] = {
    {"wait", NULL, "until the run is over, and say what became of it", 'w', false},
    {"accept-departures", NULL, "let leave whoever is missing, however many they are", 0, false},
    OPTIONS_OPERATOR,
    OPTIONS_END,
};

const struct command command_directory_status = {
    .noun = "directory",
    .verb = "status",
    .summary = "Show where people come from, how current that is, and what could not be taken",
    .operands = "",
    .options = status_options,
    .about = "Findings are of the last run and of what was followed since: entries that the directory has and that could\n"
             "not be taken, with the reason.\n",
    .examples = "  vouchsafe directory status\n",
    .run = status,
};

const struct command command_directory_sync = {
    .noun = "directory",
    .verb = "sync",
    .summary = "Read the whole LDAP directory now",
    .operands = "",
    .options = sync_options,
    .about = "Who is not in it any more leaves. When more would than [directory] left-most permits, nobody does, and the\n"
             "command says so; look at the directory first, then accept that with --accept-departures. With --wait the exit\n"
             "code says why it failed: 52 when the directory does not take the server's account, 23 when it does not answer.\n",
    .examples = "  vouchsafe directory sync --wait\n",
    .run = sync_directory,
};
