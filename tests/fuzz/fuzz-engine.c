/* SPDX-License-Identifier: Apache-2.0 */
/*
 * API requests to an engine, as a front hands them on: the first byte chooses who signs (an operator, nobody, or a ticket that is the rest's beginning), the
 * second the kind, the rest is the payload. A keeper answers what the engine asks it. Each input begins with a user who has
 * a token; what inputs change in the database stays, as in life.
 */
#include <stdlib.h>

#include "base/log.h"
#include "world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world world;

static void fuzz_end(void)
{
        world_done(&world);
}

static void fuzz_start(void)
{
        CLEANUP(token_done) struct token token = TOKEN_NONE;

        log_setup("fuzz-engine", LOG_FORMAT_TEXT, 0);
        world_init(&world);
        world_open(&world);
        world_import(&world, "11111111111111111111111111111111", "Alice", "alice@example.org");
        token = world_token(&world, "alice@example.org");
        atexit(fuzz_end);
}

static const enum msg_kind kinds[] = {
    MSG_status,       MSG_authority,       MSG_token_use,        MSG_certificate_find, MSG_directory_import, MSG_directory_list,
    MSG_user_enroll,  MSG_user_list,       MSG_user_show,        MSG_user_revoke,      MSG_request_create,   MSG_request_list,
    MSG_request_show, MSG_request_approve, MSG_request_refuse,   MSG_request_startup,  MSG_operator_invite,  MSG_operator_list,
    MSG_audit_list,   MSG_verify,          MSG_keeper_load,      MSG_queue_list,      MSG_queue_change,     MSG_queue_bounce,
    MSG_self_enroll,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct world_answer answer;
        enum msg_kind kind;
        int operator;

        if (!world.database)
                fuzz_start();
        if (size < 2)
                return 0;
        operator = data[0] % 5 < 4 ? data[0] % 5 : -1;
        kind = kinds[data[1] % ARRAY_LEN(kinds)];
        world.ticket = operator < 0 ? bytes_of(data + 2, size - 2 < 65 ? size - 2 : 65) : BYTES_NONE;
        if (operator >= 0)
                world.people[operator].nonce++;
        world_send_raw(&world, operator, kind, bytes_of(data + 2, size - 2), &answer);
        world_run(&world);
        if (!answer.there)
                abort();
        world_answer_done(&answer);
        return 0;
}
