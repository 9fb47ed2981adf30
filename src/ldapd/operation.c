/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "ldapd/ldapd.h"

enum { WRONG_PASSWORD_MS = 1000, WRONG_PASSWORDS_MOST = 3 };

static void answer(struct connection *connection, const struct ldap_request *request, enum ldap_result code,
                   const char *text)
{
        struct outcome outcome = {.code = code, .text = text};

        reply_outcome(&connection->stream.out, request, &outcome);
}

static struct search *search_find(struct connection *connection, int32_t id)
{
        LIST_EACH (search, &connection->searches, struct search, link)
                if (search->request.id == id)
                        return search;
        return NULL;
}

/* ---- bind: RFC 4511 section 4.2, RFC 4513 section 5.1 ---- */

static void bind_anonymous(struct connection *connection, const struct ldap_request *request)
{
        if (connection->ldapd->config.ldap.anonymous)
                answer(connection, request, RESULT_SUCCESS, NULL);
        else
                answer(connection, request, RESULT_INAPPROPRIATE_AUTHENTICATION,
                       "Nobody may search here without a name and a password.");
}

static bool is_bind_right(const struct ldapd *ldapd, const struct ldap_request *request)
{
        CLEANUP(mem_freep)
        char *name = text_copy_n((const char *)request->bind.name.data, request->bind.name.len);
        bool known = ldapd->config.ldap.bind_name[0] && ldapd->password.len &&
                     strlen(name) == request->bind.name.len &&
                     text_equal_ignoring_case(name, ldapd->config.ldap.bind_name);
        bool right = bytes_equal_constant_time(request->bind.password, secret_view(&ldapd->password));

        return known && right;
}

/* Whoever guesses waits; after some guesses he must connect again, and connections are limited. */
static void bind_password(struct connection *connection, const struct ldap_request *request)
{
        if (is_bind_right(connection->ldapd, request)) {
                connection->bound = true;
                answer(connection, request, RESULT_SUCCESS, NULL);
                return;
        }
        connection->ldapd->state.binds_refused++;
        connection->wrong_passwords++;
        connection->refused_bind.id = request->id;
        connection->refused_bind.due_ms = clock_monotonic_ms() + WRONG_PASSWORD_MS;
}

void operation_bind_refused(struct connection *connection)
{
        struct ldap_request request = {.id = connection->refused_bind.id, .operation = LDAP_BIND};

        connection->refused_bind.id = 0;
        answer(connection, &request, RESULT_INVALID_CREDENTIALS, "The name or the password is wrong.");
        connection->closing = connection->closing || connection->wrong_passwords >= WRONG_PASSWORDS_MOST;
}

static void bind_do(struct connection *connection, const struct ldap_request *request)
{
        LIST_EACH (search, &connection->searches, struct search, link)
                search_free(search); /* RFC 4511 section 4.2.1 */
        connection->bound = false;
        if (request->bind.version != 3)
                answer(connection, request, RESULT_PROTOCOL_ERROR, "Only version 3 of LDAP is spoken here.");
        else if (!request->bind.simple)
                answer(connection, request, RESULT_AUTH_METHOD_NOT_SUPPORTED,
                       "Only simple binds are known here.");
        else if (!request->bind.name.len && !request->bind.password.len)
                bind_anonymous(connection, request);
        else if (!request->bind.password.len)
                answer(connection, request, RESULT_UNWILLING_TO_PERFORM,
                       "A name without a password proves nothing.");
        else if (!connection->stream.tls && !connection->loopback)
                answer(connection, request, RESULT_CONFIDENTIALITY_REQUIRED,
                       "Passwords are taken under TLS only: use StartTLS or ldaps. The one just sent was "
                       "readable.");
        else
                bind_password(connection, request);
}

/* ---- extended operations ---- */

static void start_tls(struct connection *connection, const struct ldap_request *request)
{
        if (connection->stream.tls || connection->search_count)
                answer(connection, request, RESULT_OPERATIONS_ERROR,
                       connection->stream.tls
                           ? "TLS is in use already."
                           : "TLS cannot begin while searches run (RFC 4511 section 4.14.1).");
        else if (!connection->ldapd->tls.loaded)
                answer(connection, request, RESULT_UNAVAILABLE, "The server has no TLS certificate.");
        else if (connection->stream.in.len)
                /* It was sent in the clear, by whomever, and would be taken for what comes under TLS. */
                answer(connection, request, RESULT_PROTOCOL_ERROR, "Nothing may follow before TLS begins.");
        else {
                reply_extended(&connection->stream.out, request, OID_START_TLS, NULL);
                connection->secure_next = true;
        }
}

static void who_am_i(struct connection *connection, const struct ldap_request *request)
{
        CLEANUP(mem_freep) char *name = text_format("u:%s", connection->ldapd->config.ldap.bind_name);

        reply_extended(&connection->stream.out, request, NULL, connection->bound ? name : "");
}

static int extended_do(struct connection *connection, const struct ldap_request *request)
{
        if (bytes_equal(request->extended, bytes_text(OID_START_TLS)) && !request->extended_value) {
                start_tls(connection, request);
                return connection->stream.in.len && !connection->stream.tls
                           ? refuse(PROBLEM_STATE, "Something followed the wish for TLS.")
                           : 0;
        }
        if (bytes_equal(request->extended, bytes_text(OID_WHO_AM_I)) && !request->extended_value)
                who_am_i(connection, request);
        else
                answer(connection, request, RESULT_PROTOCOL_ERROR,
                       "This extended operation is not known here.");
        return 0;
}

/* ---- all ---- */

static void search_do(struct connection *connection, struct buf *message, struct ldap_request *request)
{
        if (search_find(connection, request->id))
                answer(connection, request, RESULT_PROTOCOL_ERROR, "A search with this number is running.");
        else
                search_start(connection, message, request);
}

static void abandon_do(struct connection *connection, const struct ldap_request *request)
{
        struct search *search = search_find(connection, request->abandon);

        if (search)
                search_free(search);
}

static bool has_no_answer(const struct ldap_request *request)
{
        return request->operation == LDAP_UNBIND || request->operation == LDAP_ABANDON;
}

int operation_do(struct connection *connection, struct buf *message, struct ldap_request *request)
{
        if (request->critical_unknown && !has_no_answer(request)) {
                answer(connection, request, RESULT_UNAVAILABLE_CRITICAL_EXTENSION,
                       "A control that is marked critical is not known here.");
                return 0;
        }
        switch ((enum ldap_operation)request->operation) {
        case LDAP_UNBIND:
                return refuse(PROBLEM_STATE, "The client has what it wants.");
        case LDAP_BIND:
                bind_do(connection, request);
                return 0;
        case LDAP_SEARCH:
                search_do(connection, message, request);
                return 0;
        case LDAP_ABANDON:
                abandon_do(connection, request);
                return 0;
        case LDAP_EXTENDED:
                return PASS(extended_do(connection, request));
        case LDAP_COMPARE:
        case LDAP_MODIFY:
        case LDAP_ADD:
        case LDAP_DELETE:
        case LDAP_RENAME:
                break;
        }
        answer(connection, request, RESULT_UNWILLING_TO_PERFORM, "Here one can search, and nothing else.");
        return 0;
}
