/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/token.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/token.h"

static void row_fill(struct msg_token_item *item, const struct entry_row *entry, const struct user_row *user)
{
        char text[ID_TEXT_SIZE];

        item->user = text_copy(id_text(user->row.version ? &user->id : &entry->guid, text));
        item->name = text_copy(msg_text(entry->cn));
        item->address = text_copy(entry->addresses.count ? entry->addresses.items[0] : "");
}

int token_outcome(struct msg_token_item *item, const char *outcome, const char *detail)
{
        item->outcome = text_copy(outcome);
        item->detail = text_copy(detail);
        return 0;
}

static int user_of_entry(struct engine *engine, const struct entry_row *entry, struct user_row *ret_user)
{
        int r = store_user_find_guid(engine->store, &entry->guid, ret_user);

        if (r != PROBLEM_NOT_FOUND)
                return PASS(r);
        ret_user->id = id_new();
        ret_user->guid = entry->guid;
        ret_user->state = USER_UNDEFINED;
        ret_user->created = engine_now(engine);
        return 0;
}

static int user_store(struct engine *engine, const struct entry_row *entry, struct user_row *user)
{
        free(user->address);
        free(user->cn);
        user->address = text_copy(entry->addresses.items[0]);
        user->cn = text_copy(msg_text(entry->cn));
        return PASS(user->row.version ? store_user_put(engine->store, user) : store_user_add(engine->store, user));
}

static int token_issue(struct request *request, const struct user_row *user, struct msg_token_item *item)
{
        struct engine *engine = request->engine;
        CLEANUP(token_done) struct token token = TOKEN_NONE;
        CLEANUP(token_row_done) struct token_row row = {0};
        int r = PROBLEM_EXISTS;

        for (unsigned tries = 0; r == PROBLEM_EXISTS && tries < 8; tries++) {
                token_done(&token);
                token_row_done(&row);
                token = token_new();
                memcpy(row.selector, token.selector, sizeof(row.selector));
                row.kind = TOKEN_ENROLL;
                row.user = user->id;
                row.state = TOKEN_ISSUED;
                row.auth = token_auth(&token);
                row.created = engine_now(engine);
                row.expires = row.created + engine->config.token_lifetime;
                row.attempts_most = (int64_t)engine->config.token_attempts;
                row.issuer = text_copy(request_operator(request));
                row.profile = text_copy(engine->config.encryption_profile);
                r = store_token_add(engine->store, &row);
        }
        TRY(r);
        item->token = token_text(&token);
        item->expires = row.expires;
        return 0;
}

static int enroll_permitted(const struct entry_row *entry, const struct user_row *user, struct msg_token_item *item,
                            bool *ret_done)
{
        *ret_done = true;
        if (entry->disabled)
                return token_outcome(item, "refused", "The directory has this entry as disabled.");
        if (!entry->addresses.count)
                return token_outcome(item, "refused", "The directory has no mail address for it.");
        if (user->state == USER_ENROLLED)
                return token_outcome(item, "enrolled",
                                   "Enrolled already, and left as it is; revoke first to enroll anew.");
        if (!state_permits(&user_states, (int)user->state, USER_TOKEN_ISSUED))
                return token_outcome(item, "refused", "A recovery is under way; the user redeems that token.");
        *ret_done = false;
        return 0;
}

int token_give(struct request *request, const struct entry_row *entry, bool dry_run, struct msg_token_item *item,
               bool *ret_given)
{
        CLEANUP(user_row_done) struct user_row user = {0};
        bool done = false;

        TRY(user_of_entry(request->engine, entry, &user));
        row_fill(item, entry, &user);
        TRY(enroll_permitted(entry, &user, item, &done));
        *ret_given = !done;
        if (done)
                return 0;
        if (dry_run)
                return token_outcome(item, "would-be", "");
        TRY(row_advance(&user_states, &user.state, USER_TOKEN_ISSUED));
        if (user.row.version)
                TRY(token_cancel(request->engine, &user.id, TOKEN_ENROLL));
        TRY(user_store(request->engine, entry, &user));
        TRY(token_issue(request, &user, item));
        return token_outcome(item, "token", "");
}
