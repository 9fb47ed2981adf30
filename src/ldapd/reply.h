/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a client is answered: each function appends one whole message. */
#include "ldapd/entry.h"
#include "ldapd/request.h"

/* RFC 4511 section 4.1.9. */
enum ldap_result {
        RESULT_SUCCESS = 0,
        RESULT_OPERATIONS_ERROR = 1,
        RESULT_PROTOCOL_ERROR = 2,
        RESULT_TIME_LIMIT_EXCEEDED = 3,
        RESULT_SIZE_LIMIT_EXCEEDED = 4,
        RESULT_AUTH_METHOD_NOT_SUPPORTED = 7,
        RESULT_STRONGER_AUTH_REQUIRED = 8,
        RESULT_ADMIN_LIMIT_EXCEEDED = 11,
        RESULT_UNAVAILABLE_CRITICAL_EXTENSION = 12,
        RESULT_CONFIDENTIALITY_REQUIRED = 13,
        RESULT_NO_SUCH_OBJECT = 32,
        RESULT_INVALID_DN_SYNTAX = 34,
        RESULT_INAPPROPRIATE_AUTHENTICATION = 48,
        RESULT_INVALID_CREDENTIALS = 49,
        RESULT_UNAVAILABLE = 52,
        RESULT_UNWILLING_TO_PERFORM = 53,
        RESULT_OTHER = 80,
};

struct outcome {
        enum ldap_result code;
        const char *matched; /* for RESULT_NO_SUCH_OBJECT: how much of the name there is; NULL is "" */
        const char *text;    /* a sentence; NULL is none */
};

/* The response to any operation but those that have none. */
void reply_outcome(struct buf *out, const struct ldap_request *request, const struct outcome *outcome);
/* With the control of RFC 2696; an empty cookie says that this was the last page. */
void reply_page(struct buf *out, const struct ldap_request *request, const struct outcome *outcome,
                struct bytes cookie);
/* The entry with those attributes that the search asks for. */
void reply_entry(struct buf *out, const struct ldap_request *request, const struct entry *entry);
/* Success of an extended operation, with its name or with a value (either may be NULL). */
void reply_extended(struct buf *out, const struct ldap_request *request, const char *name, const char *value);
/* Notice of disconnection: RFC 4511 section 4.4.1. */
void reply_disconnection(struct buf *out, const struct outcome *outcome);
