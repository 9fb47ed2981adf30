/* SPDX-License-Identifier: Apache-2.0 */
#include "recovery.h"

void recovery_done(struct recovery *recovery)
{
        token_done(&recovery->token);
        free(recovery->request);
        buf_done(&recovery->terms);
}

void recovery_take(struct world *world, int officer, const struct msg_request_item *created, struct recovery *recovery)
{
        MSG_OWN(request_shown) shown = {0};
        struct msg_request_show show = {.request = created->request};

        recovery->request = text_copy(created->request);
        must(world_ask(world, officer, MSG_request_show, &show, &shown));
        recovery->terms = buf_take(&shown.terms);
}

int recovery_ask(struct world *world, const char *user, struct recovery *recovery)
{
        MSG_OWN(request_create) ask = {.user = text_copy(user), .reason = text_copy("lost laptop")};
        MSG_OWN(request_created) created = {0};
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE;
        struct point recipient;

        recovery->token = token_new();
        must(token_recipient(&recovery->token, &scalar, &recipient));
        ask.selector = text_copy(recovery->token.selector);
        ask.auth = token_auth(&recovery->token);
        buf_add_bytes(&ask.recipient, point_view(&recipient));
        TRY(world_ask(world, ROB, MSG_request_create, &ask, &created));
        recovery_take(world, ADA, &created.request.at[0], recovery);
        return 0;
}

int approve(struct world *world, int officer, const struct recovery *recovery, bool false_partial,
            struct msg_request_approved *ret_reply)
{
        MSG_OWN(request_approve) ask = {.request = text_copy(recovery->request)};

        officer_approval(world, officer, buf_view(&recovery->terms), false_partial, MSG_LIST_ADD(ask.approval));
        return world_ask(world, officer, MSG_request_approve, &ask, ret_reply);
}

void redeemed_opens(struct client *client, const struct recovery *recovery, size_t keys)
{
        struct point recipient;

        assert_int_equal(client->answer.keys.count, keys);
        secret_done(&client->recipient_scalar);
        must(token_recipient(&recovery->token, &client->recipient_scalar, &recipient));
        for (size_t i = 0; i < keys; i++)
                client_opens(client, i);
}
