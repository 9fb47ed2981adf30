/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/local.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "config/config.h"
#include "protocol/problem.h"
#include "wire/channel.h"

enum { WAIT_MS = 60000 };

int local_answer_check(const struct channel_answer *answer, unsigned wanted)
{
        MSG_OWN(problem) problem = {0};

        if (answer->kind == wanted)
                return 0;
        if (answer->kind != MSG_problem)
                return fault(0, "the keeper answered with a message of kind %u", answer->kind);
        TRY(msg_decode(problem, secret_view(&answer->payload), &problem));
        return problem_raise(&problem);
}

static int socket_path(const struct arguments *arguments, char **ret_path)
{
        const char *socket = argument_text(arguments, "socket"), *data = argument_text(arguments, "data");
        const char *file = argument_text(arguments, "config");
        char *inside CLEANUP(mem_freep) = data ? text_format("%s/vouchsafe.conf", data) : NULL;
        CLEANUP(config_done) struct config config = {0};

        if ((socket != NULL) + (data != NULL) + (file != NULL) > 1)
                return refuse(PROBLEM_USAGE, "--config, --data and --socket say the same in three ways; give one.");
        if (socket) {
                *ret_path = text_copy(socket);
                return 0;
        }
        TRY(config_load(file ? file : inside ? inside : CONFIG_PATH_DEFAULT, &config));
        *ret_path = config_run_path(&config, "keeper.sock");
        return 0;
}

int local_call(const struct arguments *arguments, unsigned kind, const struct msg_record *record, const void *request)
{
        CLEANUP(secret_done) struct secret encoded = SECRET_NONE;
        CLEANUP(fd_closep) int fd = -1;
        char *path CLEANUP(mem_freep) = NULL;
        struct channel_answer answer = {0};
        int r;

        TRY(message_encode_secret(record, request, &encoded));
        TRY(socket_path(arguments, &path));
        TRY(channel_connect(path, &fd));
        TRY(channel_call_blocking(fd, (uint16_t)kind, secret_view(&encoded), WAIT_MS, &answer));
        r = local_answer_check(&answer, MSG_done);
        secret_done(&answer.payload);
        return PASS(r);
}
