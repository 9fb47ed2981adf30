/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe status | unseal | seal */
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/local.h"
#include "cli/session.h"
#include "cli/show.h"
#include "cli/table.h"

static void show_status(const struct session *session, const struct msg_status_reply *reply)
{
        char time[TIME_TEXT_SIZE];
        bool open = strcmp(msg_text(reply->state), "unsealed") == 0;

        say_pair("Server", "%s%s", session->server.url,
                 session->server.ca.len ? "" : " (its identity was not checked: its CA is not known here)");
        say_pair("Organisation", "%s", msg_text(reply->organisation));
        printf("%s", open ? style(stdout, STYLE_GREEN) : style(stdout, STYLE_YELLOW));
        say_pair("State", "%s%s%s", msg_text(reply->state), *msg_text(reply->detail) ? ": " : "",
                 msg_text(reply->detail));
        printf("%s", style(stdout, STYLE_OFF));
        say_pair("Version", "%s", msg_text(reply->version));
        say_pair("Time", "%s", time_short(reply->time, time));
        say_pair("Keepers", "%llu", (unsigned long long)reply->keepers);
        for (size_t i = 0; i < reply->warnings.count; i++)
                say_pair("Warning", "%s", reply->warnings.at[i]);
        if (!open)
                return;
        say_pair("Quorum", "%llu", (unsigned long long)reply->quorum);
        say_pair("Users", "%llu", (unsigned long long)reply->users);
        say_pair("Keys in pool", "%llu", (unsigned long long)reply->pool);
        say_pair("Queue", "%llu", (unsigned long long)reply->queue);
        say_pair("Next CRL", "%s", time_short(reply->crl_next_update, time));
}

static int status(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        MSG_OWN(status) request = {0};
        MSG_OWN(status_reply) reply = {0};

        TRY(session_anyone(arguments, &session));
        TRY(server_call(&session.server, status, &request, status_reply, &reply));
        if (argument_json(arguments))
                return PASS(show_json_of(status_reply, &reply));
        show_status(&session, &reply);
        return 0;
}

static int unseal(struct arguments *arguments)
{
        struct password_source source = {"startup-secret-file", "password-fd", "Startup secret", false};
        MSG_OWN(unseal) request = {0};

        TRY(password_get(arguments, &source, &request.startup_secret));
        TRY(local_call(arguments, MSG_unseal, msg_record_unseal(), &request));
        say(argument_json(arguments) ? "{}" : "The server is unsealed.");
        return 0;
}

static int seal(struct arguments *arguments)
{
        MSG_OWN(seal) request = {0};

        TRY(local_call(arguments, MSG_seal, msg_record_seal(), &request));
        say(argument_json(arguments) ? "{}" : "The server is sealed: it does nothing but status until it is unsealed.");
        return 0;
}

static const struct command_option status_options[] = {
    {"server", "URL", "the server (default: that of the folder's operator or user, or $VOUCHSAFE_SERVER)", 's',
     false},
    OPTIONS_END,
};

static const struct command_option unseal_options[] = {
    OPTIONS_LOCAL,
    {"startup-secret-file", "FILE", "read the startup secret from the first line of FILE (- is standard input)", 0,
     false},
    {"password-fd", "N", "read it from file descriptor N", 0, false},
    OPTIONS_END,
};

static const struct command_option seal_options[] = {OPTIONS_LOCAL, OPTIONS_END};

const struct command command_status = {
    .noun = "status",
    .summary = "Show what state a server is in",
    .operands = "",
    .options = status_options,
    .about = "Needs no password. Exit code 23 when the server cannot be reached; a sealed server is reached, and "
             "says so.\n",
    .examples = "  vouchsafe status --server https://keys.example.org:8443\n",
    .run = status,
};

const struct command command_unseal = {
    .noun = "unseal",
    .summary = "Open the database key with the startup secret, on the server's machine",
    .operands = "",
    .options = unseal_options,
    .about = "The secret goes through a local socket to a keeper, past all other processes.\n",
    .examples = "  vouchsafe unseal\n  vouchsafe unseal --config /etc/vouchsafe/vouchsafe.conf --startup-secret-file "
                "/run/secret\n",
    .run = unseal,
};

const struct command command_seal = {
    .noun = "seal",
    .summary = "Make the server forget its keys until it is unsealed again",
    .operands = "",
    .options = seal_options,
    .about = "Mail is not affected: users have their keys and certificates.\n",
    .examples = "  vouchsafe seal\n",
    .run = seal,
};
