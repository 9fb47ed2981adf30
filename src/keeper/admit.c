/* SPDX-License-Identifier: Apache-2.0 */
/* An officer shows by his share that an operation-signing key is his, and the trust record takes it in. */
#include "keeper/internal.h"

#include "base/mem.h"
#include "crypto/statement.h"

static int admission_check(const struct keeper *keeper, const struct msg_keeper_admit *request,
                           const struct officer *officer)
{
        CLEANUP(buf_done) struct buf statement = BUF_NONE;
        struct point key;

        if (!officer)
                return refuse(PROBLEM_NOT_FOUND, "There is no officer \"%s\".", msg_text(request->officer));
        TRY(point_spki_parse(buf_view(&request->public_key), &key));
        officer_statement(bytes_text(msg_text(keeper->trust.public.server_id)), buf_view(&request->public_key),
                          &statement);
        if (!signature_right(&officer->archive_share, buf_view(&statement), buf_view(&request->share_signature)))
                return refuse(PROBLEM_UNAUTHENTICATED, "The signature is not by the share of officer \"%s\".",
                              officer->name);
        /* Once admitted, a share alone (a stolen invitation, say) does not replace the key that approvals are
         * verified with. */
        if (officer->admitted && !point_equal(&officer->key, &key))
                return refuse(PROBLEM_EXISTS, "Officer \"%s\" was admitted with another key.", officer->name);
        return 0;
}

/* The next trust record, with the key. */
static int trust_admit(const struct keeper *keeper, const struct msg_keeper_admit *request, struct buf *ret_record)
{
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        MSG_OWN(trust_public) next = {0};

        TRY(msg_encode(trust_public, &keeper->trust.public, &encoded));
        TRY(msg_decode(trust_public, buf_view(&encoded), &next));
        next.number++;
        for (size_t i = 0; i < next.officers.count; i++)
                if (strcmp(msg_text(next.officers.at[i].name), msg_text(request->officer)) == 0)
                        buf_add_bytes(&next.officers.at[i].public_key, buf_view(&request->public_key));
        return PASS(trust_write(&next, &keeper->keys.trust, ret_record));
}

int handle_admit(struct keeper *keeper, struct bytes payload, struct keeper_reply *reply)
{
        MSG_OWN(keeper_admit) request = {0};
        MSG_OWN(keeper_admitted) answer = {0};
        CLEANUP(trust_done) struct trust next = {0};
        const struct officer *officer;

        TRY(msg_decode(keeper_admit, payload, &request));
        officer = trust_officer(&keeper->trust, msg_text(request.officer));
        TRY(admission_check(keeper, &request, officer));
        if (officer->admitted)
                buf_add_bytes(&answer.trust, buf_view(&keeper->records.trust));
        else
                TRY(trust_admit(keeper, &request, &answer.trust));
        TRY(trust_parse(buf_view(&answer.trust), &next));
        TRY(msg_encode(trust_public, &next.public, &answer.trust_public));
        answer.trust_number = next.public.number;
        /* The keeper itself takes it when the engine has stored it and loads it: a transaction that fails leaves no
         * trace. */
        return PASS(reply_with(reply, keeper_admitted, &answer));
}
