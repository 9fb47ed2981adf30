/* SPDX-License-Identifier: Apache-2.0 */
/* Showing users: user_list, user_show; and revoking their certificates. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/name.h"
#include "engine/people.h"
#include "engine/publication.h"

struct listing {
        struct engine *engine;
        struct msg_user_listed *reply;
        int state; /* 0: any */
        size_t seen;
        struct id last;
};

static int list_entry(void *context, struct entry_row *entry)
{
        struct listing *listing = context;
        CLEANUP(user_row_done) struct user_row user = {0};
        int r = store_user_find_guid(listing->engine->store, &entry->guid, &user);

        listing->seen++;
        listing->last = entry->guid;
        if (r && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        if (listing->state && listing->state != (r ? USER_UNDEFINED : user.state))
                return 0;
        return PASS(user_item_fill(listing->engine, r ? NULL : &user, entry, MSG_LIST_ADD(listing->reply->users)));
}

static int list_user(void *context, struct user_row *user)
{
        struct listing *listing = context;
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        int r = store_entry_find(listing->engine->store, &user->guid, &entry);

        listing->seen++;
        listing->last = user->id;
        if (r && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        return PASS(user_item_fill(listing->engine, user, r ? NULL : &entry, MSG_LIST_ADD(listing->reply->users)));
}

int user_list_handle(struct request *request)
{
        const struct msg_user_list *ask = request->message;
        struct listing listing = {.engine = request->engine, .reply = request->reply};
        struct store_entry_filter filter = {
            .text = ask->search, .kind = ENTRY_PERSON, .presence = ask->search ? ENTRY_EITHER : ENTRY_PRESENT};
        size_t limit = ask->limit ? (size_t)ask->limit : 100;
        struct id after = ID_NONE;
        char text[ID_TEXT_SIZE];

        if (ask->cursor)
                TRY(id_parse(bytes_text(ask->cursor), &after));
        if (ask->state)
                TRY(state_parse(&user_states, bytes_text(ask->state), &listing.state));
        /* Those who are only in the directory have no row: they, and searches, go by the directory. */
        if (listing.state && listing.state != USER_UNDEFINED && !ask->search)
                TRY(store_user_list(request->engine->store, listing.state, ask->cursor ? &after : NULL, limit,
                                    &listing, list_user));
        else
                TRY(store_entry_list(request->engine->store, &filter, ask->cursor ? &after : NULL, limit, &listing,
                                     list_entry));
        if (listing.seen == limit)
                listing.reply->cursor = text_copy(id_text(&listing.last, text));
        return 0;
}

static int shown_undefined(struct request *request, const char *name)
{
        struct msg_user_shown *reply = request->reply;
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        CLEANUP(buf_done) struct buf address = BUF_NONE;
        struct id guid;
        int r;

        if (strchr(name, '@')) {
                TRY(address_key(bytes_text(name), &address));
                r = store_entry_find_address(request->engine->store, buf_text(&address), &entry);
        } else {
                if (id_parse(bytes_text(name), &guid) != 0)
                        return refuse(PROBLEM_MALFORMED,
                                      "\"%s\" is neither a mail address nor an identifier of 32 hexadecimal digits.",
                                      name);
                r = store_entry_find(request->engine->store, &guid, &entry);
        }
        if (r == PROBLEM_NOT_FOUND)
                return refuse(PROBLEM_NOT_FOUND, "Neither the users nor the directory know %s.", name);
        TRY(r);
        return PASS(user_item_fill(request->engine, NULL, &entry, MSG_LIST_ADD(reply->user)));
}

int user_show_handle(struct request *request)
{
        const struct msg_user_show *ask = request->message;
        struct msg_user_shown *reply = request->reply;
        CLEANUP(user_row_done) struct user_row user = {0};
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        CLEANUP(certificate_rows_done) struct certificate_rows rows = {0};
        int r = user_named(request->engine, msg_text(ask->user), &user);

        request_subject(request, "%s", msg_text(ask->user));
        if (r == PROBLEM_NOT_FOUND)
                return PASS(shown_undefined(request, msg_text(ask->user)));
        TRY(r);
        r = store_entry_find(request->engine->store, &user.guid, &entry);
        if (r && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        TRY(user_item_fill(request->engine, &user, r ? NULL : &entry, MSG_LIST_ADD(reply->user)));
        TRY(certificates_of(request->engine, &user.id, 0, 0, &rows));
        for (size_t i = 0; i < rows.count && i < 4096; i++)
                TRY(certificate_item_fill(&rows.items[i], true, MSG_LIST_ADD(reply->certificates)));
        return 0;
}

/* ---- revocation */

int certificate_revoke(struct engine *engine, struct certificate_row *row, int64_t reason)
{
        struct revocation_row revocation = {
            .time = engine_now(engine), .reason = reason, .not_after = row->not_after};

        TRY(row_advance(&certificate_states, &row->state, CERTIFICATE_REVOKE));
        row->revoked = revocation.time;
        row->reason = reason;
        memcpy(revocation.serial, row->serial, SERIAL_SIZE);
        TRY(store_certificate_put(engine->store, row));
        return PASS(store_revocation_add(engine->store, &revocation));
}

/* Of whoever may have the key nothing is believed, whenever that says it was signed. */
static int certificate_raise(struct engine *engine, struct certificate_row *row)
{
        TRY(row_advance(&certificate_states, &row->state, CERTIFICATE_RAISE));
        row->reason = REASON_COMPROMISE;
        TRY(store_certificate_put(engine->store, row));
        return PASS(store_revocation_again(engine->store, row->serial, row->reason));
}

int token_cancel(struct engine *engine, const struct id *user, int kind)
{
        CLEANUP(token_row_done) struct token_row token = {0};
        int r = store_token_find_issued(engine->store, user, kind, &token);

        if (r == PROBLEM_NOT_FOUND)
                return 0;
        TRY(r);
        TRY(row_advance(&token_states, &token.state, TOKEN_CANCEL));
        return PASS(store_token_put(engine->store, &token));
}

int user_recovery_end(struct engine *engine, struct user_row *user, int event)
{
        CLEANUP(certificate_rows_done) struct certificate_rows rows = {0};

        TRY(row_advance(&user_states, &user->state, event));
        TRY(certificates_of(engine, &user->id, 0, CERTIFICATE_VALID, &rows));
        return rows.count ? 0 : PASS(row_advance(&user_states, &user->state, USER_REVOKE));
}

int user_lose(struct engine *engine, const struct token_row *token)
{
        CLEANUP(user_row_done) struct user_row user = {0};
        int event = token->kind == TOKEN_ENROLL ? USER_TOKEN_LOST : USER_RECOVERY_LOST;

        TRY(store_user_find(engine->store, &token->user, &user));
        if (!state_permits(&user_states, (int)user.state, event))
                return 0;
        if (event == USER_RECOVERY_LOST)
                TRY(user_recovery_end(engine, &user, event));
        else
                TRY(row_advance(&user_states, &user.state, user.revoked ? USER_REVOKE : event));
        return PASS(store_user_put(engine->store, &user));
}

/* All that are not revoked and still in time: a superseded one could be used as well. Of those that are revoked, the
 * reason. */
static int certificate_end(struct engine *engine, struct certificate_row *row, int64_t reason, bool *ret_ended)
{
        bool revoked = row->state == CERTIFICATE_REVOKED;

        *ret_ended = revoked ? reason == REASON_COMPROMISE && row->reason != reason
                             : row->not_after >= engine_now(engine);
        if (!*ret_ended)
                return 0;
        return revoked ? PASS(certificate_raise(engine, row)) : PASS(certificate_revoke(engine, row, reason));
}

static int revoke_all(struct engine *engine, const struct user_row *user, int64_t reason,
                      struct certificate_rows *ret_revoked)
{
        CLEANUP(certificate_rows_done) struct certificate_rows rows = {0};
        size_t revoked = 0;

        TRY(certificates_of(engine, &user->id, 0, 0, &rows));
        for (size_t i = 0; i < rows.count; i++) {
                struct certificate_row row;
                bool ended;

                TRY(certificate_end(engine, &rows.items[i], reason, &ended));
                if (!ended)
                        continue;
                row = rows.items[i];
                rows.items[i] = rows.items[revoked];
                rows.items[revoked++] = row;
        }
        for (size_t i = revoked; i < rows.count; i++)
                certificate_row_done(&rows.items[i]);
        rows.count = revoked;
        *ret_revoked = rows;
        rows = (struct certificate_rows){0};
        return 0;
}

/* Who is revoked already. */
static int user_raise(struct engine *engine, struct user_row *user, int64_t reason, struct certificate_rows *ret_raised)
{
        if (reason != REASON_COMPROMISE)
                return refuse(PROBLEM_STATE,
                              "%s is revoked already; afterwards, only keyCompromise can be given as the reason.",
                              msg_text(user->cn));
        TRY(row_advance(&user_states, &user->state, USER_RAISE));
        TRY(revoke_all(engine, user, reason, ret_raised));
        if (!ret_raised->count)
                return refuse(PROBLEM_STATE,
                              "%s is revoked already, and has no certificate that is still to be revoked for keyCompromise.",
                              msg_text(user->cn));
        return PASS(store_user_put(engine->store, user));
}

int user_revoke(struct engine *engine, struct user_row *user, int64_t reason, struct certificate_rows *ret_revoked)
{
        if (user->state == USER_REVOKED)
                return PASS(user_raise(engine, user, reason, ret_revoked));
        /* What was granted to who is in a recovery ends. A request that officers have still to decide goes on, as one
         * that is made after this would. */
        if (user->state == USER_RECOVERY)
                TRY(token_cancel(engine, &user->id, TOKEN_RECOVER));
        TRY(row_advance(&user_states, &user->state, USER_REVOKE));
        TRY(revoke_all(engine, user, reason, ret_revoked));
        TRY(token_cancel(engine, &user->id, TOKEN_ENROLL));
        user->revoked = engine_now(engine);
        TRY(store_user_put(engine->store, user));
        TRY(publication_folder_end(engine, user));
        return PASS(publication_queue(engine, &user->id));
}

int user_revoke_handle(struct request *request)
{
        const struct msg_user_revoke *ask = request->message;
        struct msg_user_revoked *reply = request->reply;
        CLEANUP(user_row_done) struct user_row user = {0};
        CLEANUP(certificate_rows_done) struct certificate_rows revoked = {0};
        int64_t reason = 0;

        request_subject(request, "%s", msg_text(ask->user));
        TRY(reason_parse(ask->reason ? ask->reason : "unspecified", &reason));
        TRY(user_named(request->engine, msg_text(ask->user), &user));
        TRY(user_revoke(request->engine, &user, reason, &revoked));
        for (size_t i = 0; i < revoked.count && i < 16; i++) {
                CLEANUP(buf_done) struct buf serial = BUF_NONE;

                hex_add(&serial, bytes_of(revoked.items[i].serial, SERIAL_SIZE));
                msg_texts_add(&reply->serials, buf_text(&serial));
        }
        reply->crl_number = request->engine->crl.number + 1;
        if (request->engine->crl.signing) /* that one has it not yet */
                reply->crl_number++;
        request_details(request, "%zu certificates revoked, %s; %s", revoked.count, reason_name(reason),
                        msg_text(ask->note));
        return 0;
}
