/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/people.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/name.h"

void texts_to_message(const struct texts *texts, struct msg_texts *out)
{
        for (size_t i = 0; i < texts->count; i++)
                msg_texts_add(out, texts->items[i]);
}

void buf_set(struct buf *buf, struct bytes content)
{
        buf_clear(buf);
        buf_add_bytes(buf, content);
}

int row_advance(const struct state_table *table, int64_t *state, int event)
{
        int next = 0;

        TRY(state_next(table, (int)*state, event, &next));
        *state = next;
        return 0;
}

static int user_unknown(const char *name)
{
        return refuse(PROBLEM_NOT_FOUND, "There is no user %s. Users come into being when they are given a token.",
                      name);
}

int user_named(struct engine *engine, const char *name, struct user_row *ret_user)
{
        CLEANUP(buf_done) struct buf address = BUF_NONE;
        struct id id;
        int r;

        if (strchr(name, '@')) {
                TRY(address_key(bytes_text(name), &address));
                r = store_user_find_address(engine->store, buf_text(&address), ret_user);
        } else {
                if (id_parse(bytes_text(name), &id) != 0)
                        return refuse(PROBLEM_MALFORMED,
                                      "\"%s\" is neither a mail address nor an identifier of 32 hexadecimal digits.",
                                      name);
                r = store_user_find(engine->store, &id, ret_user);
                if (r == PROBLEM_NOT_FOUND)
                        r = store_user_find_guid(engine->store, &id, ret_user);
        }
        return r == PROBLEM_NOT_FOUND ? user_unknown(name) : PASS(r);
}

int subject_of(struct engine *engine, const struct user_row *user, struct msg_subject *ret_subject)
{
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        char text[ID_TEXT_SIZE];
        int r = store_entry_find(engine->store, &user->guid, &entry);

        if (r == PROBLEM_NOT_FOUND)
                return refuse(PROBLEM_STATE, "%s is no longer in the directory.", msg_text(user->cn));
        TRY(r);
        if (entry.gone)
                return refuse(PROBLEM_STATE, "%s is no longer in the directory.", msg_text(entry.cn));
        if (entry.disabled)
                return refuse(PROBLEM_STATE, "%s is disabled in the directory.", msg_text(entry.cn));
        if (!entry.addresses.count)
                return refuse(PROBLEM_STATE, "%s has no mail address in the directory.", msg_text(entry.cn));
        ret_subject->user = text_copy(id_text(&user->id, text));
        ret_subject->name = text_copy(msg_text(entry.cn));
        ret_subject->given_name = text_copy(msg_text(entry.given_name));
        ret_subject->surname = text_copy(msg_text(entry.surname));
        texts_to_message(&entry.addresses, &ret_subject->addresses);
        return 0;
}

/* ---- reasons: RFC 5280 5.3.1 */

/* Those that end something for good; a CA's own and the temporary ones are none of a user's. */
static const struct {
        int64_t reason;
        const char *name;
} reasons[] = {
    {0, "unspecified"},          {REASON_COMPROMISE, "keyCompromise"},
    {3, "affiliationChanged"},   {4, "superseded"},
    {REASON_CESSATION, "cessationOfOperation"}, {9, "privilegeWithdrawn"},
};

const char *reason_name(int64_t reason)
{
        for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
                if (reasons[i].reason == reason)
                        return reasons[i].name;
        return "";
}

int reason_parse(const char *name, int64_t *ret_reason)
{
        for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
                if (text_equal_ignoring_case(name, reasons[i].name)) {
                        *ret_reason = reasons[i].reason;
                        return 0;
                }
        }
        return refuse(PROBLEM_MALFORMED,
                      "There is no reason \"%s\"; take one of unspecified, keyCompromise, affiliationChanged, "
                      "superseded, cessationOfOperation, privilegeWithdrawn.",
                      name);
}

/* ---- lists of rows, loaded */

static int certificate_collect(void *context, struct certificate_row *row)
{
        struct certificate_rows *rows = context;

        rows->items = message_list_grow(rows->items, rows->count, sizeof(*rows->items));
        rows->items[rows->count++] = *row;
        *row = (struct certificate_row){0};
        return 0;
}

int certificates_of(struct engine *engine, const struct id *user, int kind, int state,
                    struct certificate_rows *ret_rows)
{
        CLEANUP(certificate_rows_done) struct certificate_rows rows = {0};

        TRY(store_certificate_list(engine->store, user, kind, state, &rows, certificate_collect));
        *ret_rows = rows;
        rows = (struct certificate_rows){0};
        return 0;
}

void certificate_rows_done(struct certificate_rows *rows)
{
        for (size_t i = 0; i < rows->count; i++)
                certificate_row_done(&rows->items[i]);
        free(rows->items);
        *rows = (struct certificate_rows){0};
}

static int archive_collect(void *context, struct archive_row *row)
{
        struct archive_rows *rows = context;

        rows->items = message_list_grow(rows->items, rows->count, sizeof(*rows->items));
        rows->items[rows->count++] = *row;
        *row = (struct archive_row){0};
        return 0;
}

int archives_of(struct engine *engine, const struct id *user, struct archive_rows *ret_rows)
{
        CLEANUP(archive_rows_done) struct archive_rows rows = {0};

        TRY(store_archive_list(engine->store, user, 0, &rows, archive_collect));
        for (size_t i = 0, j = rows.count; i + 1 < j; i++) {
                struct archive_row other = rows.items[--j];

                rows.items[j] = rows.items[i];
                rows.items[i] = other;
        }
        *ret_rows = rows;
        rows = (struct archive_rows){0};
        return 0;
}

void archive_rows_done(struct archive_rows *rows)
{
        for (size_t i = 0; i < rows->count; i++)
                archive_row_done(&rows->items[i]);
        free(rows->items);
        *rows = (struct archive_rows){0};
}

/* ---- items */

int certificate_item_fill(const struct certificate_row *row, bool with_der, struct msg_certificate_item *ret_item)
{
        CLEANUP(buf_done) struct buf serial = BUF_NONE;

        hex_add(&serial, bytes_of(row->serial, SERIAL_SIZE));
        ret_item->serial = text_copy(buf_text(&serial));
        ret_item->kind = text_copy(row->kind == CERTIFICATE_SIGNATURE    ? "signature"
                                   : row->kind == CERTIFICATE_ENCRYPTION ? "encryption"
                                                                         : "service");
        ret_item->state = text_copy(state_name(&certificate_states, (int)row->state));
        ret_item->not_before = row->not_before;
        ret_item->not_after = row->not_after;
        ret_item->revoked = row->revoked;
        if (row->state == CERTIFICATE_REVOKED)
                ret_item->reason = text_copy(reason_name(row->reason));
        if (with_der)
                buf_add_bytes(&ret_item->der, buf_view(&row->der));
        return 0;
}

static int token_item_fill(struct engine *engine, const struct user_row *user, struct msg_user_item *item)
{
        for (int kind = TOKEN_ENROLL; kind <= TOKEN_RECOVER; kind++) {
                CLEANUP(token_row_done) struct token_row token = {0};
                int r = store_token_find_issued(engine->store, &user->id, kind, &token);

                if (r == PROBLEM_NOT_FOUND)
                        continue;
                TRY(r);
                free(item->token);
                item->token = text_copy(state_name(&token_states, (int)token.state));
                item->token_expires = token.expires;
        }
        return 0;
}

static int validity_fill(struct engine *engine, const struct user_row *user, struct msg_user_item *item)
{
        CLEANUP(certificate_rows_done) struct certificate_rows rows = {0};

        TRY(certificates_of(engine, &user->id, CERTIFICATE_SIGNATURE, CERTIFICATE_VALID, &rows));
        if (rows.count) {
                item->activated = rows.items[0].not_before;
                item->expires = rows.items[0].not_after;
        }
        return 0;
}

int user_item_fill(struct engine *engine, const struct user_row *user, const struct entry_row *entry,
                   struct msg_user_item *ret_item)
{
        char text[ID_TEXT_SIZE];

        if (entry) {
                ret_item->name = text_copy(msg_text(entry->cn));
                ret_item->unit = text_copy(msg_text(entry->unit));
                texts_to_message(&entry->addresses, &ret_item->addresses);
        } else {
                ret_item->name = text_copy(msg_text(user->cn));
                msg_texts_add(&ret_item->addresses, msg_text(user->address));
        }
        if (!user) {
                ret_item->user = text_copy(id_text(&entry->guid, text));
                ret_item->state = text_copy(state_name(&user_states, USER_UNDEFINED));
                return 0;
        }
        ret_item->user = text_copy(id_text(&user->guid, text));
        ret_item->state = text_copy(state_name(&user_states, (int)user->state));
        TRY(token_item_fill(engine, user, ret_item));
        return PASS(validity_fill(engine, user, ret_item));
}
