/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator asks of a server, many times over one connection, so that the benchmarks see the server and not the start
 * of a program and the unsealing of a signing key: `operate look-up|revoke ADDRESS…`, and `operate rekey ADDRESS --times N`,
 * which revokes a user N times, and uses a new token. Prints {"count": n, "seconds": s}.
 */
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "bench.h"
#include "cli/enroll.h"
#include "cli/session.h"

static int look_up(struct session *session, const char *address)
{
        MSG_OWN(certificate_find) request = {0};
        MSG_OWN(certificate_found) reply = {0};

        msg_texts_add(&request.addresses, address);
        return PASS(server_call(&session->server, certificate_find, &request, certificate_found, &reply));
}

static int revoke(struct session *session, const char *address)
{
        MSG_OWN(user_revoke) request = {.user = text_copy(address), .reason = text_copy("superseded")};
        MSG_OWN(user_revoked) reply = {0};

        return PASS(server_call(&session->server, user_revoke, &request, user_revoked, &reply));
}

/* Whoever is enrolled gets no token, so he is revoked first. */
static int token_for(struct session *session, const char *address, struct token *ret_token)
{
        MSG_OWN(user_enroll) request = {0};

        msg_texts_add(&request.selection, address);
        for (int i = 0; i < 2; i++) {
                MSG_OWN(user_enroll_reply) reply = {0};

                TRY(server_call(&session->server, user_enroll, &request, user_enroll_reply, &reply));
                if (reply.rows.count == 1 && reply.rows.at[0].token.len)
                        return PASS(token_parse(secret_view(&reply.rows.at[0].token), ret_token));
                TRY(revoke(session, address));
        }
        return refuse(PROBLEM_STATE, "There is no token for %s.", address);
}

static int rekey(struct session *session, const char *address)
{
        MSG_OWN(pending_exchange) pending = {0};
        MSG_OWN(token_answer) answer = {0};
        CLEANUP(token_done) struct token token = TOKEN_NONE;

        TRY(token_for(session, address, &token));
        TRY(enroll_prepare("enroll", session->server.url, &token, "p256", &pending));
        return PASS(exchange_send(&session->server, &token, buf_view(&pending.request), &answer));
}

/* `times` for each operand. The first request makes the connection, and is not counted. */
static int repeat(struct arguments *arguments, int (*work)(struct session *session, const char *address))
{
        CLEANUP(session_done) struct session session = {0};
        uint64_t times, count = 0;
        double start;

        TRY(argument_number(arguments, "times", 1000000, 1, &times));
        TRY(session_operator(arguments, &session));
        TRY(look_up(&session, operand(arguments, 0)));
        start = seconds_now(CLOCK_MONOTONIC);
        for (size_t i = 0; i < operand_count(arguments); i++)
                for (uint64_t k = 0; k < times; k++, count++)
                        TRY(work(&session, operand(arguments, i)));
        printf("{\"count\": %llu, \"seconds\": %.4f}\n", (unsigned long long)count, seconds_now(CLOCK_MONOTONIC) - start);
        return 0;
}

static int run_look_up(struct arguments *arguments)
{
        return PASS(repeat(arguments, look_up));
}

static int run_revoke(struct arguments *arguments)
{
        return PASS(repeat(arguments, revoke));
}

static int run_rekey(struct arguments *arguments)
{
        return PASS(repeat(arguments, rekey));
}

static const struct command_option options[] = {
        {"times", "N", "how often for each address", 0, false},
        OPTIONS_OPERATOR,
        OPTIONS_END,
};

#define OPERATE(word, text, function)                                                                                  \
        &(const struct command){.noun = word, .summary = text, .operands = "ADDRESS…", .least = 1,                     \
                                .most = OPERANDS_ANY, .options = options, .run = function}

const struct command *const commands[] = {
        OPERATE("look-up", "Look certificates up", run_look_up),
        OPERATE("revoke", "Revoke certificates", run_revoke),
        OPERATE("rekey", "Make and archive new keys", run_rekey),
        NULL,
};

int main(int argc, char **argv)
{
        return command_main(argc, argv);
}
