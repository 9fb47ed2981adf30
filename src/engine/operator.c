/* SPDX-License-Identifier: Apache-2.0 */
/* Operators: invited (registrars and auditors; officers are made with the archive key), listed, disabled. */
#include "base/mem.h"
#include "base/text.h"
#include "crypto/kdf.h"
#include "crypto/token.h"
#include "engine/recover.h"

static void item_fill(const struct operator_row *row, struct msg_operator_item *item)
{
        item->operator = text_copy(msg_text(row->name));
        item->state = text_copy(state_name(&operator_states, (int)row->state));
        item->since = row->changed ? row->changed : row->created;
        for (int role = ROLE_OFFICER; role <= ROLE_AUDITOR; role <<= 1)
                if (row->roles & role)
                        msg_texts_add(&item->roles, role_name((enum operator_role)role));
}

static int roles_parse(const struct msg_texts *names, int64_t *ret_roles)
{
        *ret_roles = 0;
        for (size_t i = 0; i < names->count; i++) {
                enum operator_role role;

                TRY(role_parse(bytes_text(names->at[i]), &role));
                *ret_roles |= role;
        }
        if (!*ret_roles)
                return refuse(PROBLEM_MALFORMED, "An operator needs a role: registrar or auditor.");
        if (*ret_roles & ROLE_OFFICER)
                return refuse(PROBLEM_UNSUPPORTED, "Officers hold shares of the archive key and are named when it is "
                                                   "made; they cannot be invited later.");
        return 0;
}

static int invitation_row(struct request *request, const struct msg_operator_invite *ask, struct operator_row *row)
{
        int64_t roles = 0;
        int r;

        TRY(operator_name_check(msg_text(ask->operator)));
        TRY(selector_check(bytes_text(msg_text(ask->selector))));
        if (ask->auth.len != KEY_SIZE)
                return refuse(PROBLEM_MALFORMED, "The invitation's MAC key has %zu bytes in place of %d.",
                              ask->auth.len, KEY_SIZE);
        TRY(roles_parse(&ask->roles, &roles));
        r = store_operator_find(request->engine->store, ask->operator, row);
        if (r == PROBLEM_NOT_FOUND) {
                row->name = text_copy(ask->operator);
                row->state = OPERATOR_INVITED;
                row->created = engine_now(request->engine);
        } else {
                TRY(r);
                if (row->state == OPERATOR_ACTIVE || row->roles & ROLE_OFFICER)
                        return refuse(PROBLEM_EXISTS, "There is an operator %s already.", ask->operator);
                TRY(row_advance(&operator_states, &row->state, OPERATOR_INVITE_AGAIN));
        }
        row->roles = roles;
        return 0;
}

int operator_invite_handle(struct request *request)
{
        const struct msg_operator_invite *ask = request->message;
        struct msg_operator_invited *reply = request->reply;
        struct store *store = request->engine->store;
        CLEANUP(operator_row_done) struct operator_row row = {0}, other = {0};
        int r;

        request_subject(request, "%s", msg_text(ask->operator));
        TRY(invitation_row(request, ask, &row));
        r = store_operator_find_invitation(store, ask->selector, &other);
        if (r == 0)
                return refuse(PROBLEM_EXISTS, "The invitation code is taken; make another one.");
        if (r != PROBLEM_NOT_FOUND)
                return PASS(r);
        memcpy(row.invitation, ask->selector, sizeof(row.invitation));
        secret_done(&row.invitation_auth);
        row.invitation_auth = secret_copy(secret_view(&ask->auth));
        row.attempts = 0;
        row.changed = engine_now(request->engine);
        row.invitation_expires = row.changed + request->engine->config.invitation_lifetime;
        TRY(row.row.version ? store_operator_put(store, &row) : store_operator_add(store, &row));
        item_fill(&row, MSG_LIST_ADD(reply->operator));
        reply->expires = row.invitation_expires;
        return 0;
}

static int list_add(void *context, struct operator_row *row)
{
        struct msg_operator_listed *reply = context;

        if (reply->operators.count < 1000)
                item_fill(row, MSG_LIST_ADD(reply->operators));
        return 0;
}

int operator_list_handle(struct request *request)
{
        return PASS(store_operator_list(request->engine->store, request->reply, list_add));
}

struct officers {
        const char *without;
        unsigned count;
};

static int officer_count(void *context, struct operator_row *row)
{
        struct officers *officers = context;

        officers->count +=
            row->roles & ROLE_OFFICER && row->state != OPERATOR_DISABLED && strcmp(row->name, officers->without) != 0;
        return 0;
}

/* Without a quorum of officers no key could be recovered any more. */
static int quorum_remains(struct request *request, const struct operator_row *row)
{
        struct officers officers = {.without = row->name};

        if (!(row->roles & ROLE_OFFICER))
                return 0;
        TRY(store_operator_list(request->engine->store, &officers, officer_count));
        if (officers.count >= request->engine->trust.quorum)
                return 0;
        return refuse(PROBLEM_QUORUM, "Without %s only %u officers are left, and recovery needs %u.", row->name,
                      officers.count, (unsigned)request->engine->trust.quorum);
}

int operator_disable_handle(struct request *request)
{
        const struct msg_operator_disable *ask = request->message;
        struct msg_operator_disabled *reply = request->reply;
        struct store *store = request->engine->store;
        CLEANUP(operator_row_done) struct operator_row row = {0};
        int r = store_operator_find(store, msg_text(ask->operator), &row);

        request_subject(request, "%s", msg_text(ask->operator));
        request_details(request, "%s", msg_text(ask->note));
        if (r == PROBLEM_NOT_FOUND)
                return refuse(PROBLEM_NOT_FOUND, "There is no operator %s.", msg_text(ask->operator));
        TRY(r);
        TRY(row_advance(&operator_states, &row.state, OPERATOR_DISABLE));
        TRY(quorum_remains(request, &row));
        row.changed = engine_now(request->engine);
        TRY(store_operator_put(store, &row));
        /* Perhaps it was not he who approved: the keeper, which knows him as an officer still, is not to be shown it. */
        if (row.roles & ROLE_OFFICER)
                TRY(approvals_withdraw(request->engine, row.name));
        item_fill(&row, MSG_LIST_ADD(reply->operator));
        return 0;
}
