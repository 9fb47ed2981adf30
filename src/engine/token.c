/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/token.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/deliver.h"

static void row_fill(struct msg_token_item *item, const struct entry_row *entry)
{
        char text[ID_TEXT_SIZE];

        item->user = text_copy(id_text(&entry->guid, text));
        item->name = text_copy(msg_text(entry->cn));
        item->address = text_copy(entry->addresses.count ? entry->addresses.items[0] : "");
        item->unit = text_copy(msg_text(entry->unit));
        item->language = text_copy(msg_text(entry->language));
}

int token_outcome(struct msg_token_item *item, const char *outcome, const char *detail)
{
        item->outcome = text_copy(outcome);
        item->detail = text_copy(detail);
        return 0;
}

int token_user(struct engine *engine, const struct entry_row *entry, struct user_row *ret_user)
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

int token_user_begin(struct engine *engine, const struct entry_row *entry, struct user_row *user)
{
        TRY(row_advance(&user_states, &user->state, USER_TOKEN_ISSUED));
        if (user->row.version)
                TRY(token_cancel(engine, &user->id, TOKEN_ENROLL));
        return PASS(user_store(engine, entry, user));
}

static int token_issue(struct request *request, const struct user_row *user, enum token_delivery delivery,
                       struct msg_token_item *item)
{
        struct engine *engine = request->engine;
        CLEANUP(token_done) struct token token = TOKEN_NONE;
        CLEANUP(token_row_done) struct token_row row = {0};
        int r = PROBLEM_EXISTS;

        for (unsigned tries = 0; r == PROBLEM_EXISTS && tries < 8; tries++) {
                token_done(&token);
                token_row_done(&row);
                token = delivery_token(delivery, &row.mail);
                memcpy(row.selector, token.selector, sizeof(row.selector));
                row.kind = TOKEN_ENROLL;
                row.delivery = delivery;
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
        if (delivery != DELIVER_MAIL)
                item->token = token_text(&token);
        item->expires = row.expires;
        item->delivery = text_copy(delivery_name(delivery));
        return PASS(token_deliver(engine, &row));
}

/* ---- who gets one */

static int person_permitted(const struct entry_row *entry, const struct user_row *user, struct msg_token_item *item)
{
        if (entry->kind == ENTRY_GROUP)
                return token_outcome(item, "refused", "This is a group; group: before its name selects its members.");
        if (entry->gone)
                return token_outcome(item, "refused", "It has left the directory.");
        if (entry->disabled)
                return token_outcome(item, "refused", "The directory has this entry as disabled.");
        if (!entry->addresses.count)
                return token_outcome(item, "refused", "The directory has no mail address for it.");
        if (user->state == USER_ENROLLED)
                return token_outcome(item, "enrolled",
                                     "Enrolled already, and left as it is; revoke first to enroll anew.");
        if (!state_permits(&user_states, (int)user->state, USER_TOKEN_ISSUED))
                return token_outcome(item, "refused", "A recovery is under way; the user redeems that token.");
        return 0;
}

/* He has a token that can still be used, and the terms leave it to him. */
static int token_waits(struct engine *engine, const struct user_row *user, const struct token_terms *terms,
                       struct msg_token_item *item)
{
        CLEANUP(token_row_done) struct token_row token = {0};
        char *detail CLEANUP(mem_freep) = NULL;
        char time[TIME_TEXT_SIZE];
        int r = user->row.version ? store_token_find_issued(engine->store, &user->id, TOKEN_ENROLL, &token)
                                  : PROBLEM_NOT_FOUND;

        if (r == PROBLEM_NOT_FOUND)
                return 0;
        TRY(r);
        if (token.expires <= engine_now(engine) || (terms->renew && (!terms->since || token.created < terms->since)))
                return 0;
        item->expires = token.expires;
        detail = text_format("Has a token from %s, given by %.200s; it is left as it is.",
                             time_text(token.created, time), msg_text(token.issuer));
        return token_outcome(item, "waiting", detail);
}

int token_give(struct request *request, const struct entry_row *entry, const struct token_terms *terms,
               struct msg_token_item *item, bool *ret_given)
{
        CLEANUP(user_row_done) struct user_row user = {0};

        TRY(token_user(request->engine, entry, &user));
        row_fill(item, entry);
        TRY(person_permitted(entry, &user, item));
        if (!item->outcome)
                TRY(token_waits(request->engine, &user, terms, item));
        *ret_given = !item->outcome;
        if (item->outcome)
                return 0;
        if (terms->dry_run)
                return token_outcome(item, "new", "");
        TRY(token_user_begin(request->engine, entry, &user));
        TRY(token_issue(request, &user, terms->delivery, item));
        return token_outcome(item, "token",
                             terms->delivery == DELIVER_MAIL    ? "It goes to the user by mail."
                             : terms->delivery == DELIVER_SPLIT ? "The other part goes to the user by mail."
                                                         : "");
}
