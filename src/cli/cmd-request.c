/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe request recover | startup | list | show | approve | refuse */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/approve.h"
#include "cli/exchange.h"
#include "cli/home.h"
#include "cli/keystore.h"
#include "cli/session.h"
#include "cli/sheet.h"
#include "cli/show.h"
#include "cli/table.h"
#include "crypto/envelope.h"
#include "crypto/statement.h"

enum { PAGE = 500, KEYS_SHOWN = 20 };

/* ---- recover ---------------------------------------------------------------------------------------------- */

/* As asked, or as the server is configured. */
static int recovery_is_split(const struct arguments *arguments, struct session *session, bool *ret_split)
{
        const char *asked = argument_text(arguments, "deliver");
        MSG_OWN(status) request = {0};
        MSG_OWN(status_reply) reply = {0};

        if (asked && strcmp(asked, "split") != 0 && strcmp(asked, "hand") != 0)
                return refuse(PROBLEM_USAGE,
                              "The token of a recovery is delivered by hand or split, not by \"%s\": a whole one in a mail "
                              "would be good for all of a user's keys.",
                              asked);
        if (!asked)
                TRY(server_call(&session->server, status, &request, status_reply, &reply));
        *ret_split = strcmp(asked ? asked : msg_text(reply.recovery_delivery), "split") == 0;
        return 0;
}

static int recovery_ask(struct session *session, const struct token *token, const struct point *recipient, const char *user,
                        const char *reason, struct msg_request_created *ret_reply)
{
        MSG_OWN(request_create) request = {.user = text_copy(user),
                                           .reason = text_copy(reason),
                                           .selector = text_copy(token->selector),
                                           .auth = token_auth(token),
                                           .mail_part = token_mail_text(token)};

        buf_add_bytes(&request.recipient, point_view(recipient));
        return PASS(server_call(&session->server, request_create, &request, request_created, ret_reply));
}

static int recovery_sheet(const struct session *session, const struct msg_request_created *reply, const struct token *token,
                          const char *path)
{
        MSG_OWN(sheet_print) sheets = {0};
        struct msg_sheet *sheet;

        if (!path)
                return 0;
        sheet = MSG_LIST_ADD(sheets.sheets);
        sheet_fill(session, sheet);
        sheet->name = text_copy(reply->request.count ? msg_text(reply->request.at[0].name) : "");
        sheet->token = token_text(token);
        sheet->part = token_is_split(token);
        sheet->recovery = true;
        return PASS(sheets_write(path, &sheets));
}

static int show_recovery(const struct msg_request_created *reply, const struct token *token, const struct point *recipient,
                         const char *out)
{
        char fingerprint[FINGERPRINT_TEXT_SIZE];

        if (reply->request.count)
                show_request(&reply->request.at[0]);
        TRY(token_show(out, token, token_is_split(token) ? "Part by hand" : "Token"));
        say_pair("Recipient key", "%s", fingerprint_short(point_view(recipient), fingerprint));
        if (token_is_split(token))
                tell("The token was made on this machine, in two parts. This one is shown once: give it to the user yourself. The "
                     "server mails him the other one when the officers have approved. Give the officers the fingerprint of the "
                     "recipient key.");
        else
                tell("The token was made on this machine and is shown once. Give it to the user, and the fingerprint of the "
                     "recipient key to the officers.");
        return 0;
}

static int recover(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        CLEANUP(token_done) struct token token = TOKEN_NONE;
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE, text = SECRET_NONE;
        MSG_OWN(request_created) reply = {0};
        const char *reason, *out = argument_text(arguments, "token-out"), *sheet = argument_text(arguments, "sheet"), *form;
        struct point recipient;
        bool split = false;

        TRY(argument_needed(arguments, "reason", &reason));
        if (out && access(out, F_OK) == 0)
                return refuse(PROBLEM_EXISTS, "The file %s is there already and is not written over.", out);
        if (sheet)
                TRY(sheet_form(sheet, &form));
        if (sheet && access(sheet, F_OK) == 0)
                return refuse(PROBLEM_EXISTS, "The file %s is there already and is not written over.", sheet);
        TRY(session_operator(arguments, &session));
        TRY(recovery_is_split(arguments, &session, &split));
        token = split ? token_new_split() : token_new();
        TRY(token_recipient(&token, &scalar, &recipient));
        TRY(recovery_ask(&session, &token, &recipient, operand(arguments, 0), reason, &reply));
        TRY(recovery_sheet(&session, &reply, &token, sheet));
        if (!argument_json(arguments))
                return PASS(show_recovery(&reply, &token, &recipient, out));
        text = token_text(&token);
        if (out)
                TRY(token_to_file(out, &text));
        return PASS(show_json_of(request_created, &reply));
}

/* ---- startup ---------------------------------------------------------------------------------------------- */

static int startup_path(const char *request, char **ret_path)
{
        CLEANUP(buf_done) struct buf name = BUF_NONE;

        home_name_add(&name, request);
        return PASS(home_path(ret_path, "startup/%s", buf_text(&name)));
}

/* The one-time key waits here, under a password, until the officers have approved. */
static int keep_key(const char *request, const struct secret *password, const struct secret *scalar)
{
        MSG_OWN(pending_exchange) pending = {
                .purpose = text_copy("startup"), .recipient = secret_copy(secret_view(scalar)),
        };
        char *path CLEANUP(mem_freep) = NULL;

        TRY(startup_path(request, &path));
        return PASS(sealed_write(path, password, msg_record_pending_exchange(), &pending));
}

/* Of its own, or that of the operator. */
static int key_password(const struct arguments *arguments, const struct session *session, struct secret *ret_password)
{
        struct password_source source = {"key-password-file", NULL, "Password of the key", false};

        if (password_given(arguments, &source))
                return PASS(password_get(arguments, &source, ret_password));
        *ret_password = secret_copy(secret_view(&session->password));
        return 0;
}

static int startup(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE, password = SECRET_NONE;
        MSG_OWN(request_startup) request = {0};
        MSG_OWN(request_startup_created) reply = {0};
        const char *reason;
        char fingerprint[FINGERPRINT_TEXT_SIZE];
        struct point recipient;

        TRY(argument_needed(arguments, "reason", &reason));
        TRY(session_operator(arguments, &session));
        TRY(key_password(arguments, &session, &password));
        TRY(scalar_random(&scalar));
        TRY(point_of_scalar(&scalar, &recipient));
        request.reason = text_copy(reason);
        request.requester = text_copy(session.server.operator_name);
        buf_add_bytes(&request.recipient, point_view(&recipient));
        TRY(server_call(&session.server, request_startup, &request, request_startup_created, &reply));
        if (!reply.request.count)
                return fault(0, "the server created no request");
        TRY(keep_key(msg_text(reply.request.at[0].request), &password, &scalar));
        if (argument_json(arguments))
                return PASS(show_json_of(request_startup_created, &reply));
        show_request(&reply.request.at[0]);
        say_pair("Recipient key", "%s", fingerprint_short(point_view(&recipient), fingerprint));
        tell("Once enough officers have approved: vouchsafe request show %s --startup-secret-out FILE",
             msg_text(reply.request.at[0].request));
        return 0;
}

static int open_startup_secret(const struct arguments *arguments, const struct session *session,
                               const struct msg_request_shown *shown, const char *request)
{
        CLEANUP(secret_done) struct secret password = SECRET_NONE, secret = SECRET_NONE;
        MSG_OWN(pending_exchange) pending = {0};
        char *path CLEANUP(mem_freep) = NULL;
        int r;

        if (!shown->startup_envelope.len)
                return refuse(PROBLEM_QUORUM, "The request is not done: there is no new startup secret yet.");
        TRY(startup_path(request, &path));
        TRY(key_password(arguments, session, &password));
        r = sealed_read(path, &password, msg_record_pending_exchange(), &pending);
        if (r == PROBLEM_NOT_FOUND)
                return refuse(PROBLEM_NOT_FOUND,
                              "The key of request %s is not in this folder; the secret opens on the machine of the "
                              "requester only.",
                              request);
        TRY(r);
        TRY(envelope_open(&pending.recipient, buf_view(&shown->startup_envelope), &secret));
        TRY(token_to_file(argument_text(arguments, "startup-secret-out"), &secret));
        if (argument_json(arguments))
                say("{}");
        else
                say_pair("Startup secret", "written to %s", argument_text(arguments, "startup-secret-out"));
        return 0;
}

/* ---- list, show ------------------------------------------------------------------------------------------- */

static int list(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        const char *state = argument_text(arguments, "state");
        MSG_OWN(request_list) request = {.state = state ? text_copy(state) : NULL, .limit = PAGE};
        MSG_OWN(request_listed) all = {0};

        TRY(session_operator(arguments, &session));
        for (;;) {
                MSG_OWN(request_listed) page = {0};
                TRY(server_call(&session.server, request_list, &request, request_listed, &page));
                LIST_MOVE(all.requests, page.requests);
                free(request.cursor);
                request.cursor = TAKE(page.cursor);
                if (!*msg_text(request.cursor))
                        break;
        }
        if (argument_json(arguments))
                return PASS(show_json_of(request_listed, &all));
        show_requests(all.requests.at, all.requests.count);
        return 0;
}

static void show_terms(const struct msg_terms *terms)
{
        bool startup = strcmp(msg_text(terms->kind), "startup") == 0;
        char fingerprint[FINGERPRINT_TEXT_SIZE], from[TIME_TEXT_SIZE], until[TIME_TEXT_SIZE];

        say_pair("Request", "%s", msg_text(terms->request));
        say_pair("What", "%s", startup ? "set a new startup secret" : "give a user all archived encryption keys");
        if (!startup)
                say_pair("User", "%s", msg_text(terms->name));
        /* All of them, each alone: the keeper answers for the addresses, and the name may look like one. */
        for (size_t i = 0; i < terms->addresses.count; i++)
                say_pair(i ? "" : "Addresses", "%s", terms->addresses.at[i]);
        say_pair("Reason", "%s", msg_text(terms->reason));
        say_pair("Requester", "%s", msg_text(terms->requester));
        say_pair("Recipient key", "%s", fingerprint_short(buf_view(&terms->recipient), fingerprint));
        if (startup)
                say_pair("Keeper's key", "%s", fingerprint_short(buf_view(&terms->transport), fingerprint));
        say_pair("Created", "%s", time_short(terms->created, from));
        say_pair("Expires", "%s", time_short(terms->expires, until));
        for (size_t i = 0; i < terms->items.count && i < KEYS_SHOWN; i++) {
                const struct msg_recovery_item *item = &terms->items.at[i];
                say_pair(i ? "" : "Keys", "%s%s%s to %s",
                         startup ? "the archived database key" : msg_text(item->serial), startup ? "" : ", ",
                         startup ? "" : time_short(item->not_before, from),
                         startup ? "its next change" : time_short(item->not_after, until));
        }
        if (terms->items.count > KEYS_SHOWN)
                say_pair("", "and %zu more", terms->items.count - KEYS_SHOWN);
}

static int fetch(struct session *session, const char *request, struct msg_request_shown *ret_shown,
                 struct msg_terms *ret_terms)
{
        MSG_OWN(request_show) ask = {.request = text_copy(request)};
        MSG_OWN(request_shown) shown = {0};

        TRY(server_call(&session->server, request_show, &ask, request_shown, &shown));
        if (!shown.request.count)
                return fault(0, "the server showed no request");
        TRY(msg_decode(terms, buf_view(&shown.terms), ret_terms));
        *ret_shown = shown;
        shown = (struct msg_request_shown){0};
        return 0;
}

static int show(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        MSG_OWN(request_shown) shown = {0};
        MSG_OWN(terms) terms = {0};

        TRY(session_operator(arguments, &session));
        TRY(fetch(&session, operand(arguments, 0), &shown, &terms));
        if (argument_text(arguments, "startup-secret-out"))
                return PASS(open_startup_secret(arguments, &session, &shown, operand(arguments, 0)));
        if (argument_json(arguments))
                return PASS(show_json_of(request_shown, &shown));
        show_request(&shown.request.at[0]);
        say("%s", "");
        say_styled(STYLE_BOLD, "What officers approve:");
        show_terms(&terms);
        return 0;
}

/* ---- approve, refuse -------------------------------------------------------------------------------------- */

static void on_progress(void *context, size_t done)
{
        progress_step(context, done);
}

static int send_approval(struct session *session, const struct msg_request_shown *shown,
                         const struct msg_terms *terms, struct msg_request_approved *ret_reply)
{
        MSG_OWN(request_approve) request = {.request = text_copy(msg_text(terms->request))};
        struct progress progress;

        progress_begin(&progress, "Computing your pieces", terms->items.count);
        TRY(approval_make(buf_view(&shown->terms), terms, &session->envelope, on_progress, &progress,
                          MSG_LIST_ADD(request.approval)));
        progress_end(&progress);
        return PASS(server_call(&session->server, request_approve, &request, request_approved, ret_reply));
}

static int approve(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        MSG_OWN(request_shown) shown = {0};
        MSG_OWN(request_approved) reply = {0};
        MSG_OWN(terms) terms = {0};
        MSG_OWN(trust_public) pinned = {0};

        if (argument_json(arguments) && !argument_flag(arguments, "yes"))
                return refuse(PROBLEM_USAGE, "With --json nothing is shown that you could approve; say --yes too.");
        TRY(session_operator(arguments, &session));
        TRY(fetch(&session, operand(arguments, 0), &shown, &terms));
        TRY(msg_decode(trust_public, buf_view(&session.envelope.trust), &pinned));
        TRY(approval_check(&terms, operand(arguments, 0), &session.envelope, &pinned));
        if (!argument_json(arguments))
                show_terms(&terms);
        if (!argument_flag(arguments, "yes"))
                TRY(confirm("Do you approve exactly this?", "--yes"));
        TRY(send_approval(&session, &shown, &terms, &reply));
        if (argument_json(arguments))
                return PASS(show_json_of(request_approved, &reply));
        say_styled(STYLE_GREEN, "Approved as %s.%s%s", session.server.operator_name,
                   *msg_text(reply.detail) ? " " : "", msg_text(reply.detail));
        if (reply.request.count) {
                const struct msg_request_item *item = &reply.request.at[0];
                say_pair("Approvals", "%zu of %llu", item->approved_by.count, (unsigned long long)item->quorum);
                say_pair("State", "%s", msg_text(item->state));
        }
        return 0;
}

static int refuse_request(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        const char *note = argument_text(arguments, "note");
        MSG_OWN(request_refuse) request = {
                .request = text_copy(operand(arguments, 0)), .note = note ? text_copy(note) : NULL,
        };
        MSG_OWN(request_refused) reply = {0};

        TRY(session_operator(arguments, &session));
        TRY(server_call(&session.server, request_refuse, &request, request_refused, &reply));
        if (argument_json(arguments))
                return PASS(show_json_of(request_refused, &reply));
        say("Request %s is %s.", operand(arguments, 0),
            reply.request.count ? msg_text(reply.request.at[0].state) : "refused");
        return 0;
}

static const struct command_option recover_options[] = {
    {"reason", "TEXT", "why; officers and auditors read it", 'r', false},
    {"token-out", "FILE", "write the token, or its part by hand, to a new file that only you can read", 0, false},
    {"sheet", "FILE", "also print it on a sheet of paper: a new file .pdf or .txt", 0, false},
    {"deliver", "HOW", "hand: the whole token here; split: the other part by mail once approved (default: [token] recovery-delivery)",
     'd', false},
    OPTIONS_OPERATOR,
    OPTIONS_END,
};
static const struct command_option startup_options[] = {
    {"reason", "TEXT", "why; officers and auditors read it", 'r', false},
    {"key-password-file", "FILE",
     "read a password for the key that the new secret will be sent to from its first line", 0, false},
    OPTIONS_OPERATOR,
    OPTIONS_END,
};
static const struct command_option list_options[] = {
    {"state", "STATE", "only those: open, approved, done, refused, expired, cancelled", 0, false},
    OPTIONS_OPERATOR,
    OPTIONS_END,
};
static const struct command_option show_options[] = {
    {"startup-secret-out", "FILE", "write the new startup secret of your own startup request to a new file", 0,
     false},
    {"key-password-file", "FILE", "the password of its key, when it is not your own", 0, false},
    OPTIONS_OPERATOR,
    OPTIONS_END,
};
static const struct command_option approve_options[] = {
    {"yes", NULL, "do not ask: what is shown now is approved, whatever was shown before", 'y', false},
    OPTIONS_OPERATOR,
    OPTIONS_END,
};
static const struct command_option refuse_options[] = {
    {"note", "TEXT", "why", 0, false}, OPTIONS_OPERATOR, OPTIONS_END};

const struct command command_request_recover = {
    .noun = "request",
    .verb = "recover",
    .summary = "Ask officers to recover a user's keys, and make the token for them",
    .operands = "USER",
    .least = 1,
    .most = 1,
    .options = recover_options,
    .about = "The recovery token is made on this machine. The server learns only what lets it recognise the token "
             "and the key\n"
             "that it envelopes to, so it cannot open what the officers release.\n",
    .examples = "  vouchsafe request recover bob@example.org --reason 'laptop broken, ticket 4711'\n",
    .run = recover,
};

const struct command command_request_startup = {
    .noun = "request",
    .verb = "startup",
    .summary = "While sealed: ask officers to set a new startup secret for one that is lost",
    .operands = "",
    .options = startup_options,
    .examples = "  vouchsafe request startup --reason 'envelope burnt'\n",
    .run = startup,
};

const struct command command_request_list = {
    .noun = "request",
    .verb = "list",
    .summary = "List requests and how many officers have approved",
    .operands = "",
    .options = list_options,
    .examples = "  vouchsafe request list --state open\n",
    .run = list,
};

const struct command command_request_show = {
    .noun = "request",
    .verb = "show",
    .summary = "Show a request and exactly what officers approve",
    .operands = "REQUEST",
    .least = 1,
    .most = 1,
    .options = show_options,
    .examples = "  vouchsafe request show 0193a4…\n",
    .run = show,
};

const struct command command_request_approve = {
    .noun = "request",
    .verb = "approve",
    .summary = "Approve a request as officer, with the pieces that your share contributes",
    .operands = "REQUEST",
    .least = 1,
    .most = 1,
    .options = approve_options,
    .about = "Shows the terms, asks, and computes your pieces on this machine. They are bound to exactly these "
             "terms, proved against\n"
             "your commitment, and encrypted to the keeper. Compare the fingerprint of the recipient key with the "
             "requester.\n",
    .examples = "  vouchsafe request approve 0193a4…\n",
    .run = approve,
};

const struct command command_request_refuse = {
    .noun = "request",
    .verb = "refuse",
    .summary = "Refuse a request as officer, or withdraw your own",
    .operands = "REQUEST",
    .least = 1,
    .most = 1,
    .options = refuse_options,
    .examples = "  vouchsafe request refuse 0193a4… --note 'not agreed with the works council'\n",
    .run = refuse_request,
};
