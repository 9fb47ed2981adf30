/* SPDX-License-Identifier: Apache-2.0 */
/* From what libldap and servers say to results of ours. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "ldap/internal.h"

static const struct {
        int code;
        enum problem problem;
} meanings[] = {
    {LDAP_SERVER_DOWN, PROBLEM_UNREACHABLE},
    {LDAP_CONNECT_ERROR, PROBLEM_UNREACHABLE},
    {LDAP_UNAVAILABLE, PROBLEM_UNREACHABLE},
    {LDAP_DECODING_ERROR, PROBLEM_UNREACHABLE},
    {LDAP_BUSY, PROBLEM_BUSY},
    {LDAP_OTHER, PROBLEM_BUSY},
    {LDAP_OPERATIONS_ERROR, PROBLEM_BUSY},
    {LDAP_TIMEOUT, PROBLEM_TIMEOUT},
    {LDAP_TIMELIMIT_EXCEEDED, PROBLEM_TIMEOUT},
    {LDAP_INVALID_CREDENTIALS, PROBLEM_UNAUTHENTICATED},
    {LDAP_INAPPROPRIATE_AUTH, PROBLEM_UNAUTHENTICATED},
    {LDAP_STRONG_AUTH_REQUIRED, PROBLEM_UNAUTHENTICATED},
    {LDAP_CONFIDENTIALITY_REQUIRED, PROBLEM_UNAUTHENTICATED},
    {LDAP_AUTH_METHOD_NOT_SUPPORTED, PROBLEM_UNAUTHENTICATED},
    {LDAP_AUTH_UNKNOWN, PROBLEM_UNAUTHENTICATED},
    {LDAP_LOCAL_ERROR, PROBLEM_UNAUTHENTICATED}, /* of SASL */
    {LDAP_INSUFFICIENT_ACCESS, PROBLEM_FORBIDDEN},
    {LDAP_NO_SUCH_OBJECT, PROBLEM_NOT_FOUND},
    {LDAP_ALREADY_EXISTS, PROBLEM_EXISTS},
    {LDAP_TYPE_OR_VALUE_EXISTS, PROBLEM_EXISTS},
    {LDAP_NO_SUCH_ATTRIBUTE, PROBLEM_STALE},
    {LDAP_SIZELIMIT_EXCEEDED, PROBLEM_TOO_LARGE},
    {LDAP_ADMINLIMIT_EXCEEDED, PROBLEM_TOO_LARGE},
    {LDAP_INVALID_DN_SYNTAX, PROBLEM_MALFORMED},
    {LDAP_INVALID_SYNTAX, PROBLEM_MALFORMED},
    {LDAP_FILTER_ERROR, PROBLEM_MALFORMED},
    {LDAP_PROTOCOL_ERROR, PROBLEM_UNSUPPORTED},
    {LDAP_REFERRAL, PROBLEM_CONFIGURATION},
};

static enum problem meaning_of(int code)
{
        for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
                if (meanings[i].code == code)
                        return meanings[i].problem;
        return PROBLEM_UNSUPPORTED;
}

/* Codes below 0 are libldap's own: the server has said nothing. */
static int judge(struct ldap_connection *connection, int code, const char *detail, const char *what)
{
        CLEANUP(buf_done) struct buf words = BUF_NONE;

        if (code == LDAP_SUCCESS)
                return 0;
        if (detail && *detail)
                text_add_printable(&words, bytes_text(detail), 300);
        return refuse(meaning_of(code), "%s: %s%s%s%s%s%s.", what, connection->server,
                      code < 0 ? ": " : " says \"", ldap_err2string(code), code < 0 ? "" : "\"",
                      words.len ? ": " : "", buf_text(&words));
}

int ldap_connection_judge(struct ldap_connection *connection, int code, const char *what)
{
        char *detail = NULL;
        int r;

        (void)ldap_get_option(connection->ldap, LDAP_OPT_DIAGNOSTIC_MESSAGE, &detail);
        r = judge(connection, code, detail, what);
        ldap_memfree(detail);
        return r;
}

int ldap_connection_answer(struct ldap_connection *connection, LDAPMessage *answer, const char *what)
{
        char *detail = NULL;
        int code = LDAP_OTHER;
        int parsed = ldap_parse_result(connection->ldap, answer, &code, NULL, &detail, NULL, NULL, 0);
        int r = judge(connection, parsed == LDAP_SUCCESS ? code : parsed, detail, what);

        ldap_memfree(detail);
        return r;
}

struct timeval ldap_limit(unsigned seconds)
{
        return (struct timeval){.tv_sec = (time_t)seconds};
}

int ldap_wait(struct ldap_connection *connection, int number, int all, unsigned seconds, const char *what,
              LDAPMessage **ret_message)
{
        struct timeval limit = ldap_limit(seconds);
        int type = ldap_result(connection->ldap, number, all, &limit, ret_message);
        int code = LDAP_SERVER_DOWN;

        if (type > 0)
                return 0;
        if (type == 0) {
                ldap_abandon_ext(connection->ldap, number, NULL, NULL);
                return refuse(PROBLEM_TIMEOUT, "%s: %s did not answer within %u s.", what, connection->server,
                              seconds);
        }
        (void)ldap_get_option(connection->ldap, LDAP_OPT_RESULT_CODE, &code);
        return PASS(ldap_connection_judge(connection, code == LDAP_SUCCESS ? LDAP_SERVER_DOWN : code, what));
}
