/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to a keeper that is unsealed or sealed, from any peer: the first byte says which state and peer, the
 * second which kind, the rest is the payload. The server is set up once, so an input that is found works again for
 * its form and not its keys.
 */
#include <stdlib.h>

#include "keeper/fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fixture unsealed, sealed;

static void fuzz_start(void)
{
        fixture_init(&unsealed);
        fixture_unseal(&unsealed);
        fixture_admit(&unsealed);
        fixture_enroll(&unsealed);
        fixture_init(&sealed);
}

/* What takes long or changes what the next input finds is left out: set-up, passwords, RSA keys, sealing. */
static const enum msg_kind kinds[] = {
    MSG_keeper_load, MSG_keeper_enroll, MSG_keeper_certify_tls, MSG_keeper_crl,
    MSG_keeper_head, MSG_keeper_open,   MSG_keeper_admit,       MSG_done,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const enum keeper_peer peers[] = {PEER_ENGINE, PEER_ENGINE, PEER_ENGINE, PEER_LOCAL};
        CLEANUP(keeper_reply_done) struct keeper_reply reply = {0};
        struct keeper *keeper;
        enum msg_kind kind;

        if (!unsealed.keeper.state)
                fuzz_start();
        if (size < 2)
                return 0;
        keeper = data[0] & 1 ? &sealed.keeper : &unsealed.keeper;
        kind = kinds[data[1] % ARRAY_LEN(kinds)];
        if (keeper_handle(keeper, peers[data[0] >> 1 & 3], (uint16_t)kind, bytes_of(data + 2, size - 2), &reply) == 0 &&
            !msg_record_of_kind(reply.kind))
                abort();
        /* Nothing that the engine sends seals or unseals. */
        if (keeper->state != (data[0] & 1 ? KEEPER_SEALED : KEEPER_UNSEALED))
                abort();
        return 0;
}
