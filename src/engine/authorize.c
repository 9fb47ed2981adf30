/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/authorize.h"

#include <stdlib.h>

#include "base/mem.h"
#include "crypto/operation.h"
#include "crypto/pkey.h"
#include "engine/engine.h"

/* ---- the table */

#define REGISTRARS (ROLE_REGISTRAR | ROLE_OFFICER)
#define EVERYBODY  (ROLE_REGISTRAR | ROLE_OFFICER | ROLE_AUDITOR)

static const struct request_entry kinds[] = {
    {MSG_status, WHO_ANYONE, 0, REQUEST_SEALED | REQUEST_PUBLIC, "status", status_handle},
    {MSG_authority, WHO_ANYONE, 0, REQUEST_SEALED | REQUEST_PUBLIC, "authority", authority_handle},
    {MSG_token_use, WHO_TOKEN, 0, REQUEST_OWN_WAY | REQUEST_SECRET, "token.use", token_use_handle},
    {MSG_self_enroll, WHO_TOKEN, 0, REQUEST_OWN_WAY | REQUEST_SECRET, "user.self-enroll", self_enroll_handle},
    {MSG_certificate_find, WHO_TICKET, EVERYBODY, 0, "certificate.find", certificate_find_handle},
    {MSG_smime_put, WHO_TICKET, REGISTRARS, REQUEST_OWN_WAY, "smime.put", smime_put_handle},
    {MSG_directory_import, WHO_OPERATOR, REGISTRARS, REQUEST_CHANGES, "directory.import", directory_import_handle},
    {MSG_directory_list, WHO_OPERATOR, EVERYBODY, 0, "directory.list", directory_list_handle},
    {MSG_directory_edit, WHO_OPERATOR, REGISTRARS, REQUEST_CHANGES, "directory.edit", directory_edit_handle},
    {MSG_directory_status, WHO_OPERATOR, EVERYBODY, 0, "directory.status", directory_status_handle},
    {MSG_directory_sync, WHO_OPERATOR, REGISTRARS, REQUEST_CHANGES, "directory.sync", directory_sync_handle},
    {MSG_user_enroll, WHO_OPERATOR, REGISTRARS, REQUEST_CHANGES, "user.enroll", user_enroll_handle},
    {MSG_user_list, WHO_OPERATOR, EVERYBODY, 0, "user.list", user_list_handle},
    {MSG_user_show, WHO_OPERATOR, EVERYBODY, 0, "user.show", user_show_handle},
    {MSG_user_revoke, WHO_OPERATOR, REGISTRARS, REQUEST_CHANGES, "user.revoke", user_revoke_handle},
    {MSG_request_create, WHO_OPERATOR, REGISTRARS, REQUEST_CHANGES | REQUEST_SECRET, "request.create",
     request_create_handle},
    {MSG_request_list, WHO_OPERATOR, EVERYBODY, REQUEST_SEALED, "request.list", request_list_handle},
    {MSG_request_show, WHO_OPERATOR, EVERYBODY, REQUEST_SEALED | REQUEST_REVEALS, "request.show",
     request_show_handle},
    {MSG_request_approve, WHO_OPERATOR, ROLE_OFFICER, REQUEST_SEALED | REQUEST_OWN_WAY, "request.approve",
     request_approve_handle},
    {MSG_request_refuse, WHO_OPERATOR, REGISTRARS, REQUEST_SEALED | REQUEST_CHANGES, "request.refuse",
     request_refuse_handle},
    {MSG_request_startup, WHO_OPERATOR, REGISTRARS, REQUEST_SEALED | REQUEST_OWN_WAY, "request.startup",
     request_startup_handle},
    {MSG_operator_invite, WHO_OPERATOR, ROLE_OFFICER, REQUEST_CHANGES | REQUEST_SECRET, "operator.invite",
     operator_invite_handle},
    {MSG_operator_list, WHO_OPERATOR, EVERYBODY, 0, "operator.list", operator_list_handle},
    {MSG_operator_disable, WHO_OPERATOR, ROLE_OFFICER, REQUEST_CHANGES, "operator.disable", operator_disable_handle},
    {MSG_queue_list, WHO_OPERATOR, EVERYBODY, 0, "queue.list", queue_list_handle},
    {MSG_queue_change, WHO_OPERATOR, REGISTRARS, REQUEST_CHANGES, "queue.change", queue_change_handle},
    {MSG_queue_bounce, WHO_TOKEN, 0, REQUEST_OWN_WAY, "queue.bounce", queue_bounce_handle},
    {MSG_audit_list, WHO_OPERATOR, EVERYBODY, REQUEST_REVEALS, "audit.list", audit_list_handle},
    {MSG_publish_check, WHO_OPERATOR, EVERYBODY, 0, "publish.check", publish_check_handle},
    {MSG_verify, WHO_OPERATOR, EVERYBODY, 0, "verify", verify_handle},
};

const struct request_entry *request_entry_find(unsigned kind)
{
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
                if (kinds[i].kind == kind)
                        return &kinds[i];
        return NULL;
}

/* ---- operators */

int operator_point(struct bytes spki, struct point *ret_point)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;

        TRY(pkey_from_spki(spki, &key));
        if (pkey_type_of(key) != PKEY_P256)
                return refuse(PROBLEM_UNSUPPORTED, "Operations are signed with P-256 keys only.");
        return PASS(pkey_to_point(key, ret_point));
}

static int operator_unknown(void)
{
        return refuse(
            PROBLEM_UNAUTHENTICATED,
            "The request is not signed by an active operator of this server. Check the operator's name, and "
            "that his invitation was accepted on this machine.");
}

int operator_decoy_init(struct engine *engine)
{
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE;
        struct point key;

        TRY(scalar_random(&scalar));
        TRY(point_of_scalar(&scalar, &key));
        return PASS(point_to_spki(&key, &engine->operator_decoy));
}

/* One answer for all of it: no such operator, not active, another key; and the same work. */
static int operator_signature_check(struct request *request, const struct msg_authorization *authorization)
{
        struct operator_row *row = &request->operator_row;
        bool active = row->public_key.len && row->state == OPERATOR_ACTIVE;
        struct point key;
        int r;

        TRY(operator_point(buf_view(active ? &row->public_key : &request->engine->operator_decoy), &key));
        r = operation_verify(&(struct operation){.server_id = engine_server_id(request->engine),
                                                 .created = authorization->created,
                                                 .nonce = buf_view(&authorization->nonce),
                                                 .kind = bytes_text(request->message_record->name),
                                                 .message = buf_view(&request->api.payload)},
                             &key, buf_view(&authorization->signature));
        return !active || r > 0 ? operator_unknown() : PASS(r);
}

static int operator_authenticate(struct request *request, const struct msg_authorization *authorization)
{
        struct store *store = request->engine->store;
        const char *name = msg_text(authorization->operator);
        int r = store_sealed(store) ? store_operator_find_unverified(store, name, &request->operator_row)
                                    : store_operator_find(store, name, &request->operator_row);

        if (r && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        if (authorization->nonce.len != OPERATION_NONCE_SIZE)
                return operator_unknown();
        TRY(operator_signature_check(request, authorization));
        request->is_operator = true;
        request_actor(request, "operator:%s", name);
        return 0;
}

static int clock_check(struct request *request, int64_t created)
{
        int64_t ahead = created - engine_now(request->engine), most = request->engine->config.clock_tolerance;

        if (ahead >= -most && ahead <= most)
                return 0;
        return refuse(PROBLEM_CLOCK,
                      "The clock of the machine that signed this is %lld seconds %s the server's; at most %lld are "
                      "permitted. Set it, and repeat the command.",
                      (long long)(ahead < 0 ? -ahead : ahead), ahead < 0 ? "behind" : "ahead of", (long long)most);
}

/* ---- kept answers */

int answer_keep(struct request *request)
{
        CLEANUP(operation_row_done) struct operation_row row = {0};
        const struct msg_authorization *authorization = &request->api.authorization.at[0];

        row.operator_name = text_copy(request_operator(request));
        memcpy(row.nonce, authorization->nonce.data, sizeof(row.nonce));
        memcpy(row.digest, request->digest.data, sizeof(row.digest));
        row.created = engine_now(request->engine);
        row.answer = secret_copy(buf_view(&request->answer));
        return PASS(store_operation_add(request->engine->store, &row));
}

static int answer_repeat(struct request *request, bool *ret_answered)
{
        CLEANUP(operation_row_done) struct operation_row row = {0};
        MSG_OWN(api_reply) reply = {0};
        const struct msg_authorization *authorization = &request->api.authorization.at[0];
        int r =
            store_operation_find(request->engine->store, request_operator(request), authorization->nonce.data, &row);

        if (r == PROBLEM_NOT_FOUND)
                return 0;
        TRY(r);
        if (memcmp(row.digest, request->digest.data, sizeof(row.digest)) != 0)
                return refuse(PROBLEM_EXISTS,
                              "Another request was signed with the same nonce; sign this one with a new one.");
        TRY(msg_decode(api_reply, secret_view(&row.answer), &reply));
        if (reply.kind != request->reply_record->kind)
                return refuse(PROBLEM_EXISTS, "Another kind of request was signed with the same nonce.");
        TRY(message_decode(request->reply_record, buf_view(&reply.payload), request->reply));
        if (reply.payload.len)
                memory_wipe(reply.payload.data, reply.payload.len);
        request->repeated = true;
        *ret_answered = true;
        return 0;
}

/* ---- tickets */

enum { TICKET_SIZE = 1 + ID_SIZE + 8 + 8 + DIGEST_SIZE };

static void ticket_mac(struct engine *engine, struct bytes body, struct digest *ret_mac)
{
        CLEANUP(hasher_done) struct hasher hasher = HASHER_NONE;

        hasher_init_keyed(&hasher, &engine->keys.ticket);
        hasher_add_part(&hasher, bytes_text("vouchsafe ticket 1"));
        hasher_add_part(&hasher, body);
        *ret_mac = hasher_end(&hasher);
}

int ticket_make(struct engine *engine, const struct id *user, int64_t expires, struct buf *ret_ticket)
{
        struct digest mac;
        size_t start = ret_ticket->len;

        buf_add_byte(ret_ticket, 1);
        buf_add_bytes(ret_ticket, id_view(user));
        buf_add_u64(ret_ticket, (uint64_t)engine_now(engine));
        buf_add_u64(ret_ticket, (uint64_t)expires);
        ticket_mac(engine, bytes_of(ret_ticket->data + start, ret_ticket->len - start), &mac);
        buf_add_bytes(ret_ticket, digest_view(&mac));
        return 0;
}

static int ticket_user_check(struct engine *engine, const struct id *id, int64_t made)
{
        CLEANUP(user_row_done) struct user_row user = {0};
        int r = store_user_find(engine->store, id, &user);

        if (r && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        /* Whoever was given a new token is no longer revoked, but has enrolled only when he uses it. */
        if (r || user.state == USER_REVOKED ||
            (user.revoked && (user.enrolled < user.revoked || made < user.enrolled)))
                return refuse(PROBLEM_UNAUTHENTICATED,
                              "The ticket ended when the certificates of its user were revoked; enroll again to get a "
                              "new one.");
        return 0;
}

int ticket_check(struct engine *engine, struct bytes ticket, struct id *ret_user)
{
        const uint8_t *times;
        struct digest mac;
        struct id user;

        if (ticket.len != TICKET_SIZE || ticket.data[0] != 1)
                return refuse(PROBLEM_UNAUTHENTICATED, "This is no ticket of this server; enroll to get one.");
        ticket_mac(engine, bytes_of(ticket.data, TICKET_SIZE - DIGEST_SIZE), &mac);
        if (!bytes_equal_constant_time(digest_view(&mac),
                                       bytes_of(ticket.data + TICKET_SIZE - DIGEST_SIZE, DIGEST_SIZE)))
                return refuse(PROBLEM_UNAUTHENTICATED, "This is no ticket of this server; enroll to get one.");
        times = ticket.data + 1 + ID_SIZE;
        if ((int64_t)u64_of(times + 8) < engine_now(engine))
                return refuse(PROBLEM_UNAUTHENTICATED, "The ticket has expired; enroll again to get a new one.");
        memcpy(user.data, ticket.data + 1, ID_SIZE);
        TRY(ticket_user_check(engine, &user, (int64_t)u64_of(times)));
        *ret_user = user;
        return 0;
}

/* ---- all together */

static int role_missing(const struct request *request)
{
        CLEANUP(buf_done) struct buf names = BUF_NONE;

        for (unsigned role = ROLE_OFFICER; role <= ROLE_AUDITOR; role <<= 1)
                if (request->kind->roles & role)
                        buf_add_format(&names, "%s%s", names.len ? " or " : "", role_name((enum operator_role)role));
        return refuse(PROBLEM_FORBIDDEN, "%s has no role that permits %s; ask an operator who is %s.",
                      request_operator(request), request->kind->action, buf_text(&names));
}

static int authorize_operator(struct request *request, bool *ret_answered)
{
        const struct msg_authorization *authorization = request->api.authorization.at;

        if (!request->api.authorization.count)
                return refuse(
                    PROBLEM_UNAUTHENTICATED,
                    "This needs the signature of an operator, as the commands for operators make it.");
        TRY(operator_authenticate(request, authorization));
        if (request->kind->flags & REQUEST_CHANGES && !store_sealed(request->engine->store))
                TRY(answer_repeat(request, ret_answered));
        if (*ret_answered)
                return 0;
        TRY(clock_check(request, authorization->created));
        return request_has_role(request, request->kind->roles) ? 0 : PASS(role_missing(request));
}

static int authorize_ticket(struct request *request)
{
        bool answered = false;
        char text[ID_TEXT_SIZE];

        if (request->api.authorization.count)
                return PASS(authorize_operator(request, &answered));
        TRY(ticket_check(request->engine, buf_view(&request->api.ticket), &request->ticket_user));
        request_actor(request, "user:%s", id_text(&request->ticket_user, text));
        return 0;
}

int request_authorize(struct request *request, bool *ret_answered)
{
        struct engine *engine = request->engine;

        if (!request->kind)
                return refuse(PROBLEM_UNSUPPORTED, "This server knows no request of kind %u.",
                              (unsigned)request->api.kind);
        if (engine->state != ENGINE_UNSEALED && !(request->kind->flags & REQUEST_SEALED))
                return refuse(PROBLEM_SEALED,
                              engine->state == ENGINE_STARTING
                                  ? "The server is starting; try again in a moment."
                                  : "The server is sealed: unseal it with \"vouchsafe unseal\" on its machine.");
        /* A request that was parked begins anew. */
        operator_row_done(&request->operator_row);
        message_done(request->message_record, request->message);
        message_done(request->reply_record, request->reply);
        TRY(message_decode(request->message_record, buf_view(&request->api.payload), request->message));
        if (request->kind->who == WHO_OPERATOR)
                return PASS(authorize_operator(request, ret_answered));
        if (request->kind->who == WHO_TICKET)
                return PASS(authorize_ticket(request));
        return 0;
}
