/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invitations: what an operator is shown for his code, and his acceptance. An officer's operation-signing key is
 * vouched for by his share; the keeper takes it into the trust record, which the engine stores and gives to every
 * keeper before the next officer's turn.
 */
#include "base/mem.h"
#include "base/text.h"
#include "crypto/curve.h"
#include "engine/use.h"

static void roles_fill(int64_t roles, struct msg_texts *out)
{
        for (int role = ROLE_OFFICER; role <= ROLE_AUDITOR; role <<= 1)
                if (roles & role)
                        msg_texts_add(out, role_name((enum operator_role)role));
}

static int answer_operator(struct request *request, const struct token_use *use, struct msg_token_answer *answer)
{
        TRY(token_answer_begin(request->engine, answer));
        answer->user = text_copy(msg_text(use->operator.name));
        answer->name = text_copy(msg_text(use->operator.name));
        roles_fill(use->operator.roles, &answer->roles);
        buf_add_bytes(&answer->trust, buf_view(&request->engine->trust_encoded));
        return 0;
}

int invitation_show(struct request *request, struct token_use *use)
{
        MSG_OWN(token_answer) answer = {0};

        request_actor(request, "operator:%s", msg_text(use->operator.name));
        request_subject(request, "invitation %s", msg_text(use->operator.name));
        TRY(answer_operator(request, use, &answer));
        buf_add_bytes(&answer.shares, buf_view(&use->operator.invitation_share));
        return PASS(token_answer_finish(request, use, &answer, false));
}

/* ---- acceptance */

static int accept_store(struct request *request, struct token_use *use)
{
        struct operator_row *row = &use->operator;

        TRY(row_advance(&operator_states, &row->state, OPERATOR_ACCEPT));
        buf_set(&row->public_key, buf_view(&use->spki));
        buf_set(&row->admission, buf_view(&use->ask.share_signature));
        buf_set(&row->envelope, buf_view(&use->ask.envelope));
        /* Selector and MAC key stay, for who repeats his request; the shares are his alone from now on. */
        buf_done(&row->invitation_share);
        row->changed = engine_now(request->engine);
        return PASS(store_operator_put(request->engine->store, row));
}

static int accept_answer(struct request *request, struct token_use *use)
{
        MSG_OWN(token_answer) answer = {0};

        TRY(answer_operator(request, use, &answer));
        return PASS(token_answer_finish(request, use, &answer, true));
}

static int operator_reload(struct request *request, struct token_use *use)
{
        operator_row_done(&use->operator);
        TRY(store_operator_find_invitation(request->engine->store, msg_text(use->ask.selector), &use->operator));
        return use->operator.state == OPERATOR_INVITED ? 0 : token_refused();
}

/* Numbers of trust records only grow; an older one shows. */
static int trust_store(struct engine *engine, const struct msg_keeper_admitted *admitted)
{
        TRY(store_bootstrap_put(engine->store, "trust", (int64_t)admitted->trust_number, buf_view(&admitted->trust)));
        TRY(store_bootstrap_put(engine->store, "trust-public", 1, buf_view(&admitted->trust_public)));
        return PASS(engine_trust_set(engine, buf_view(&admitted->trust_public)));
}

static int accept_admitted(struct request *request, int result, struct bytes reply)
{
        struct token_use *use = request->work;
        MSG_OWN(keeper_admitted) admitted = {0};

        TRY(result);
        TRY(msg_decode(keeper_admitted, reply, &admitted));
        TRY(operator_reload(request, use));
        TRY(trust_store(request->engine, &admitted));
        TRY(accept_store(request, use));
        request_details(request, "trust record %llu", (unsigned long long)admitted.trust_number);
        TRY(accept_answer(request, use));
        request->engine->keepers_reload = true;
        return 0;
}

static int accept_admit(struct request *request, struct token_use *use)
{
        MSG_OWN(keeper_admit) ask = {0};

        ask.officer = text_copy(msg_text(use->operator.name));
        buf_add_bytes(&ask.public_key, buf_view(&use->spki));
        buf_add_bytes(&ask.share_signature, buf_view(&use->ask.share_signature));
        return PASS(request_keeper(request, MSG_keeper_admit, &ask, accept_admitted));
}

int accept_begin(struct request *request, struct token_use *use)
{
        request_actor(request, "operator:%s", msg_text(use->operator.name));
        request_subject(request, "accept %s", msg_text(use->operator.name));
        TRY(token_use_csr(request, use));
        if (!use->ask.envelope.len)
                return refuse(PROBLEM_MALFORMED, "The acceptance has no sealed envelope of the operator's keys.");
        if (use->operator.roles & ROLE_OFFICER)
                return PASS(accept_admit(request, use));
        TRY(accept_store(request, use));
        return PASS(accept_answer(request, use));
}
