/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/internal.h"

#include "base/mem.h"

struct kind {
        enum msg_kind kind;
        unsigned peers, states;
        int (*handle)(struct keeper *keeper, struct bytes payload, struct keeper_reply *reply);
};

enum { ANY_STATE = KEEPER_UNSET | KEEPER_SEALED | KEEPER_UNSEALED };

/* All that anyone can ask of a keeper. A line more here is a decision. */
static const struct kind kinds[] = {
        {MSG_keeper_init, PEER_SETUP, KEEPER_UNSET, handle_init},
        {MSG_unseal, PEER_LOCAL, KEEPER_SEALED, handle_unseal},
        {MSG_seal, PEER_LOCAL, ANY_STATE, handle_seal},
        {MSG_adopt, PEER_SIBLING, ANY_STATE, handle_adopt},
        {MSG_keeper_load, PEER_ENGINE, ANY_STATE, handle_load},
        {MSG_keeper_enroll, PEER_ENGINE, KEEPER_UNSEALED, handle_enroll},
        {MSG_keeper_certify_tls, PEER_ENGINE, KEEPER_UNSEALED, handle_certify_tls},
        {MSG_keeper_pool, PEER_ENGINE, KEEPER_UNSEALED, handle_pool},
        {MSG_keeper_crl, PEER_ENGINE, KEEPER_UNSEALED, handle_crl},
        {MSG_keeper_head, PEER_ENGINE, KEEPER_UNSEALED, handle_head},
        {MSG_keeper_open, PEER_ENGINE, KEEPER_SEALED | KEEPER_UNSEALED, handle_open},
        {MSG_keeper_admit, PEER_ENGINE, KEEPER_UNSEALED, handle_admit},
};
_Static_assert(ARRAY_LEN(kinds) <= 12, "a keeper's surface stays countable on one page");

int keeper_init(struct keeper *keeper)
{
        *keeper = (struct keeper){.state = KEEPER_UNSET, .cost = PASSWORD_COST_DEFAULT};
        return PASS(keeper_seal_now(keeper));
}

void keeper_done(struct keeper *keeper)
{
        keeper_keys_done(&keeper->keys);
        trust_done(&keeper->trust);
        authority_done(&keeper->authority);
        secret_done(&keeper->startup_secret);
        secret_done(&keeper->adopted);
        secret_done(&keeper->transport);
        secret_done(&keeper->pool);
        id_set_done(&keeper->pool_used);
        buf_done(&keeper->pool_untold);
        msg_done(keeper_records, &keeper->records);
        free(keeper->url);
        *keeper = (struct keeper){0};
}

const char *keeper_state_name(const struct keeper *keeper)
{
        switch (keeper->state) {
        case KEEPER_UNSET:
                return "unset";
        case KEEPER_SEALED:
                return "sealed";
        case KEEPER_UNSEALED:
                return "unsealed";
        }
        return "";
}

/* ---- answers ---------------------------------------------------------------------------------------------- */

int reply_encode(struct keeper_reply *reply, const struct msg_record *record, const void *message)
{
        buf_clear(&reply->plain);
        TRY(message_encode(record, message, &reply->plain));
        reply->kind = record->kind;
        return 0;
}

int reply_encode_private(struct keeper_reply *reply, const struct msg_record *record, const void *message)
{
        secret_done(&reply->private);
        TRY(message_encode_secret(record, message, &reply->private));
        reply->kind = record->kind;
        return 0;
}

void keeper_reply_done(struct keeper_reply *reply)
{
        buf_done(&reply->plain);
        secret_done(&reply->private);
        *reply = (struct keeper_reply){0};
}

struct bytes keeper_reply_view(const struct keeper_reply *reply)
{
        return reply->private.len ? secret_view(&reply->private) : buf_view(&reply->plain);
}

static int reply_problem(struct keeper_reply *reply, int result)
{
        struct msg_problem problem = {.code = (char *)(uintptr_t)(result < 0 ? "fault" : problem_info(result)->code),
                                      .detail = (char *)(uintptr_t)report_text()};

        keeper_reply_done(reply);
        return PASS(reply_with(reply, problem, &problem));
}

/* ---- dispatch --------------------------------------------------------------------------------------------- */

static int state_refused(const struct keeper *keeper)
{
        if (keeper->state == KEEPER_UNSEALED)
                return refuse(PROBLEM_STATE, "The server is unsealed already.");
        return refuse(PROBLEM_SEALED, "The server is sealed: unseal it first (vouchsafe unseal).");
}

int keeper_handle(struct keeper *keeper, enum keeper_peer peer, uint16_t kind, struct bytes payload,
                  struct keeper_reply *ret_reply)
{
        struct keeper_reply reply = {0};
        const struct kind *row = NULL;
        int r;

        for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
                if (kinds[i].kind == kind && (kinds[i].peers & peer))
                        row = &kinds[i];
        if (!row)
                return refuse(PROBLEM_FORBIDDEN, "A peer asked for kind %u, which is not its to ask.", kind);
        r = row->states & keeper->state ? row->handle(keeper, payload, &reply) : state_refused(keeper);
        if (r)
                r = reply_problem(&reply, r);
        if (r) {
                keeper_reply_done(&reply);
                return PASS(r);
        }
        *ret_reply = reply;
        return 0;
}
