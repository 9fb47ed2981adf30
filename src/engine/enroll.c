/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enrollment and the redemption of a recovery. First round: the token, the proof of possession, whom the directory
 * says it is; then a keeper makes keys and certificates; second round: one transaction with everything, or nothing.
 * Whoever is cut off repeats the same request: before the commit he gets new certificates (those of the first try
 * were never stored nor told), after it the stored answer.
 */
#include "base/mem.h"
#include "base/text.h"
#include "crypto/curve.h"
#include "engine/authorize.h"
#include "engine/use.h"

static int answer_person(struct request *request, const struct token_use *use, const struct msg_keeper_enrolled *made,
                         struct msg_token_answer *answer)
{
        struct engine *engine = request->engine;

        TRY(token_answer_begin(engine, answer));
        answer->user = text_copy(msg_text(use->subject.user));
        answer->name = text_copy(msg_text(use->subject.name));
        msg_texts_copy(&answer->addresses, &use->subject.addresses);
        buf_add_bytes(&answer->signature_certificate, buf_view(&made->signature_certificate));
        return PASS(ticket_make(engine, &use->user.id, engine_now(engine) + engine->config.signature_lifetime,
                                &answer->ticket));
}

/* ---- enrollment */

static void answer_new_key(const struct token_use *use, struct msg_keeper_enrolled *made, struct msg_token_answer *answer)
{
        struct msg_key_envelope *key = MSG_LIST_ADD(answer->keys);

        key->record_id = use->record_id;
        key->certificate = buf_take(&made->encryption_certificate);
        key->envelope = buf_take(&made->envelope);
}

static int enroll_answer(struct request *request, struct token_use *use, struct msg_keeper_enrolled *made)
{
        MSG_OWN(token_answer) answer = {0};

        TRY(answer_person(request, use, made, &answer));
        answer_new_key(use, made, &answer);
        return PASS(token_answer_finish(request, use, &answer, true));
}

static int enroll_made(struct request *request, int result, struct bytes reply)
{
        struct token_use *use = request->work;
        MSG_OWN(keeper_enrolled) made = {0};

        TRY(result);
        TRY(msg_decode(keeper_enrolled, reply, &made));
        TRY(token_use_reload(request, use));
        TRY(row_advance(&user_states, &use->user.state, USER_ENROLLS));
        TRY(issue_store(request, use, &made, false));
        TRY(token_use_spend(request, use));
        TRY(enroll_answer(request, use, &made));
        request->engine->enrolled++;
        return 0;
}

int enroll_begin(struct request *request, struct token_use *use)
{
        TRY(token_use_user(request, use));
        request_actor(request, "user:%s", msg_text(use->user.address));
        request_subject(request, "enroll %s", msg_text(use->user.address));
        TRY(token_use_csr(request, use));
        return PASS(issue_ask(request, use, false, enroll_made)); /* the keeper checks the point of the recipient */
}

/* ---- recovery */

static int request_done_of(struct request *request, const struct token_use *use, struct request_row *ret_row)
{
        TRY(store_request_find(request->engine->store, &use->token.request, ret_row));
        if (ret_row->state != REQUEST_DONE)
                return refuse(
                    PROBLEM_STATE,
                    "The officers have not decided on the recovery yet; it is %s. Try again when they have.",
                    state_name(&request_states, (int)ret_row->state));
        return 0;
}

/* Is there something of his that others can encrypt for? */
static int is_reachable(struct engine *engine, const struct user_row *user, bool *ret_reachable)
{
        CLEANUP(certificate_rows_done) struct certificate_rows rows = {0};

        *ret_reachable = false;
        TRY(certificates_of(engine, &user->id, CERTIFICATE_ENCRYPTION, CERTIFICATE_VALID, &rows));
        for (size_t i = 0; i < rows.count; i++)
                *ret_reachable = *ret_reachable || rows.items[i].not_after > engine_now(engine);
        return 0;
}

static int redeem_keys(const struct request_row *row, struct msg_token_answer *answer)
{
        MSG_OWN(keeper_opened) opened = {0};

        TRY(msg_decode(keeper_opened, buf_view(&row->result), &opened));
        for (size_t i = 0; i < opened.keys.count; i++) {
                *MSG_LIST_ADD(answer->keys) = opened.keys.at[i];
                opened.keys.at[i] = (struct msg_key_envelope){0};
        }
        return 0;
}

static int redeem_made(struct request *request, int result, struct bytes reply)
{
        struct token_use *use = request->work;
        CLEANUP(request_row_done) struct request_row row = {0};
        MSG_OWN(keeper_enrolled) made = {0};
        MSG_OWN(token_answer) answer = {0};
        size_t new;

        TRY(result);
        TRY(msg_decode(keeper_enrolled, reply, &made));
        TRY(token_use_reload(request, use));
        TRY(request_done_of(request, use, &row));
        TRY(row_advance(&user_states, &use->user.state, USER_RECOVERS));
        TRY(issue_store(request, use, &made, true));
        TRY(token_use_spend(request, use));
        TRY(answer_person(request, use, &made, &answer));
        if (made.encryption_certificate.len)
                answer_new_key(use, &made, &answer);
        new = answer.keys.count;
        TRY(redeem_keys(&row, &answer));
        request_details(request, "%zu keys recovered%s", answer.keys.count - new, new ? ", and a new one" : "");
        return PASS(token_answer_finish(request, use, &answer, true));
}

/* Who left the directory, or is disabled in it, gets no certificate; what was written to him can still be read. */
static int redeem_keys_only(struct request *request, struct token_use *use, const struct request_row *row)
{
        MSG_OWN(token_answer) answer = {0};
        char text[ID_TEXT_SIZE];

        TRY(user_recovery_end(request->engine, &use->user, USER_RECOVERS));
        TRY(store_user_put(request->engine->store, &use->user));
        TRY(token_use_spend(request, use));
        TRY(token_answer_begin(request->engine, &answer));
        answer.user = text_copy(id_text(&use->user.id, text));
        answer.name = text_copy(msg_text(use->user.cn));
        msg_texts_add(&answer.addresses, msg_text(use->user.address));
        TRY(redeem_keys(row, &answer));
        request_details(request, "%zu keys recovered; no certificate, since he is not in the directory", answer.keys.count);
        return PASS(token_answer_finish(request, use, &answer, true));
}

int redeem_begin(struct request *request, struct token_use *use)
{
        CLEANUP(request_row_done) struct request_row row = {0};
        bool reachable = false;
        int r;

        TRY(token_use_user(request, use));
        request_actor(request, "user:%s", msg_text(use->user.address));
        request_subject(request, "recover %s", msg_text(use->user.address));
        TRY(request_done_of(request, use, &row));
        TRY(token_use_csr(request, use));
        r = subject_of(request->engine, &use->user, &use->subject);
        if (r == PROBLEM_STATE)
                return PASS(redeem_keys_only(request, use, &row));
        TRY(r);
        /* Else he were enrolled, and nobody could write to him. */
        TRY(is_reachable(request->engine, &use->user, &reachable));
        return PASS(issue_ask(request, use, reachable, redeem_made));
}
