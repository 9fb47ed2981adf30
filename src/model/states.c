/* SPDX-License-Identifier: Apache-2.0 */
#include "model/states.h"

#include "base/macro.h"

/* A table is rows of states over columns of events; what is not written is 0, not permitted. */
#define TABLE(identifier, noun_text, state_texts, event_texts, matrix)                                       \
        const struct state_table identifier = {                                                              \
            .noun = noun_text,                                                                               \
            .state_names = state_texts,                                                                      \
            .event_names = event_texts,                                                                      \
            .state_count = ARRAY_LEN(state_texts),                                                           \
            .event_count = ARRAY_LEN(event_texts),                                                           \
            .next = &matrix[0][0],                                                                           \
        };                                                                                                   \
        _Static_assert(sizeof(matrix) == ARRAY_LEN(state_texts) * ARRAY_LEN(event_texts), "one cell each")

static const char *const user_state_names[] = {
    NULL, "undefined", "new", "enrolled", "recovery", "revoked",
};
static const char *const user_event_names[] = {
    NULL,         "be given a token to enroll", "lose a token to enroll",  "enroll",
    "renew",      "be granted a recovery",      "lose a granted recovery", "recover",
    "be revoked", "be revoked again for keyCompromise",
};
static const unsigned char user_next[][ARRAY_LEN(user_event_names)] = {
    [USER_UNDEFINED] =
        {
            [USER_TOKEN_ISSUED] = USER_NEW,
            [USER_RECOVERY_GRANTED] = USER_RECOVERY, /* imported: old keys, no certificates here yet */
        },
    [USER_NEW] =
        {
            [USER_TOKEN_ISSUED] = USER_NEW,
            [USER_TOKEN_LOST] = USER_UNDEFINED,
            [USER_ENROLLS] = USER_ENROLLED,
            [USER_RECOVERY_GRANTED] = USER_RECOVERY, /* revoked before, and his old keys are wanted first */
            [USER_REVOKE] = USER_REVOKED,
        },
    [USER_ENROLLED] =
        {
            [USER_RENEWS] = USER_ENROLLED,
            [USER_RECOVERY_GRANTED] = USER_RECOVERY,
            [USER_REVOKE] = USER_REVOKED,
        },
    [USER_RECOVERY] =
        {
            [USER_RENEWS] = USER_RECOVERY,
            [USER_RECOVERY_GRANTED] = USER_RECOVERY,
            [USER_RECOVERY_LOST] = USER_ENROLLED,
            [USER_RECOVERS] = USER_ENROLLED,
            [USER_REVOKE] = USER_REVOKED,
        },
    [USER_REVOKED] =
        {
            [USER_TOKEN_ISSUED] = USER_NEW, [USER_RECOVERY_GRANTED] = USER_RECOVERY, /* to read the mail of
                                                                                        someone who left */
            [USER_RAISE] = USER_REVOKED,
        },
};
TABLE(user_states, "user", user_state_names, user_event_names, user_next);

static const char *const token_state_names[] = {NULL, "issued", "used", "cancelled", "expired", "exhausted"};
static const char *const token_event_names[] = {
    NULL, "be used", "be cancelled", "expire", "be exhausted", "wait",
};
static const unsigned char token_next[][ARRAY_LEN(token_event_names)] = {
    [TOKEN_ISSUED] =
        {
            [TOKEN_USE] = TOKEN_USED,
            [TOKEN_CANCEL] = TOKEN_CANCELLED,
            [TOKEN_EXPIRE] = TOKEN_EXPIRED,
            [TOKEN_EXHAUST] = TOKEN_EXHAUSTED,
            [TOKEN_HOLD] = TOKEN_ISSUED,
        },
    [TOKEN_EXHAUSTED] = {0},
};
TABLE(token_states, "token", token_state_names, token_event_names, token_next);

static const char *const request_state_names[] = {
    NULL, "open", "approved", "done", "refused", "expired", "cancelled",
};
static const char *const request_event_names[] = {
    NULL, "be approved by one more", "be approved", "be completed", "be refused", "expire", "be cancelled",
};
static const unsigned char request_next[][ARRAY_LEN(request_event_names)] = {
    [REQUEST_OPEN] =
        {
            [REQUEST_APPROVAL] = REQUEST_OPEN,
            [REQUEST_QUORUM] = REQUEST_APPROVED,
            [REQUEST_REFUSE] = REQUEST_REFUSED,
            [REQUEST_EXPIRE] = REQUEST_EXPIRED,
            [REQUEST_CANCEL] = REQUEST_CANCELLED,
        },
    [REQUEST_APPROVED] =
        {
            [REQUEST_COMPLETE] = REQUEST_DONE,
            [REQUEST_EXPIRE] = REQUEST_EXPIRED,
            [REQUEST_CANCEL] = REQUEST_CANCELLED,
        },
    [REQUEST_CANCELLED] = {0},
};
TABLE(request_states, "request", request_state_names, request_event_names, request_next);

static const char *const certificate_state_names[] = {NULL, "valid", "revoked", "superseded"};
static const char *const certificate_event_names[] = {NULL, "be revoked", "be superseded",
                                                            "be revoked again for keyCompromise"};
static const unsigned char certificate_next[][ARRAY_LEN(certificate_event_names)] = {
    [CERTIFICATE_VALID] =
        {
            [CERTIFICATE_REVOKE] = CERTIFICATE_REVOKED,
            [CERTIFICATE_SUPERSEDE] = CERTIFICATE_SUPERSEDED,
        },
    /* What else it was revoked for does not say that signatures of before are not to be believed. */
    [CERTIFICATE_REVOKED] = {[CERTIFICATE_RAISE] = CERTIFICATE_REVOKED},
    /* A superseded certificate is still in time: when its key is compromised it must go on the list too. */
    [CERTIFICATE_SUPERSEDED] = {[CERTIFICATE_REVOKE] = CERTIFICATE_REVOKED},
};
TABLE(certificate_states, "certificate", certificate_state_names, certificate_event_names, certificate_next);

static const char *const operator_state_names[] = {NULL, "invited", "active", "disabled"};
static const char *const operator_event_names[] = {
    NULL, "accept an invitation", "be invited again", "be disabled", "be enabled",
};
static const unsigned char operator_next[][ARRAY_LEN(operator_event_names)] = {
    [OPERATOR_INVITED] =
        {
            [OPERATOR_ACCEPT] = OPERATOR_ACTIVE,
            [OPERATOR_INVITE_AGAIN] = OPERATOR_INVITED,
            [OPERATOR_DISABLE] = OPERATOR_DISABLED,
        },
    [OPERATOR_ACTIVE] = {[OPERATOR_DISABLE] = OPERATOR_DISABLED},
    [OPERATOR_DISABLED] =
        {
            [OPERATOR_ENABLE] = OPERATOR_ACTIVE,
            [OPERATOR_INVITE_AGAIN] = OPERATOR_INVITED,
        },
};
TABLE(operator_states, "operator", operator_state_names, operator_event_names, operator_next);

static const char *const job_state_names[] = {NULL, "waiting", "running", "failed", "sent", "bounced", "over"};
static const char *const job_event_names[] = {
    NULL,     "be given out",   "be taken back",          "be given up", "be finished", "be handed over",
    "bounce", "be tried again", "be cancelled", "be forgotten",
};
static const unsigned char job_next[][ARRAY_LEN(job_event_names)] = {
    [JOB_WAITING] =
        {
            [JOB_GIVE_OUT] = JOB_RUNNING,
            [JOB_REPEAT] = JOB_WAITING,
            [JOB_CANCEL] = JOB_OVER,
        },
    [JOB_RUNNING] =
        {
            [JOB_TAKE_BACK] = JOB_WAITING,
            [JOB_GIVE_UP] = JOB_FAILED,
            [JOB_FINISH] = JOB_OVER,
            [JOB_HAND_OVER] = JOB_SENT,
            [JOB_BOUNCE] = JOB_BOUNCED,
        },
    [JOB_FAILED] = {[JOB_REPEAT] = JOB_WAITING, [JOB_CANCEL] = JOB_OVER},
    [JOB_SENT] =
        {
            [JOB_BOUNCE] = JOB_BOUNCED,
            [JOB_REPEAT] = JOB_WAITING,
            [JOB_CANCEL] = JOB_OVER,
            [JOB_FORGET] = JOB_OVER,
        },
    [JOB_BOUNCED] =
        {
            [JOB_BOUNCE] = JOB_BOUNCED, /* reported twice */
            [JOB_REPEAT] = JOB_WAITING,
            [JOB_CANCEL] = JOB_OVER,
            [JOB_FORGET] = JOB_OVER,
        },
    [JOB_OVER] = {0},
};
TABLE(job_states, "job", job_state_names, job_event_names, job_next);

static bool in_range(const struct state_table *table, int state, int event)
{
        return state > 0 && state < table->state_count && event > 0 && event < table->event_count;
}

bool state_permits(const struct state_table *table, int state, int event)
{
        return in_range(table, state, event) && table->next[state * table->event_count + event] != 0;
}

int state_next(const struct state_table *table, int state, int event, int *ret_next)
{
        if (!in_range(table, state, event))
                return fault(0, "There is no state %d or event %d of a %s", state, event, table->noun);
        if (!state_permits(table, state, event))
                return refuse(PROBLEM_STATE, "A %s that is %s cannot %s.", table->noun,
                              table->state_names[state], table->event_names[event]);
        *ret_next = table->next[state * table->event_count + event];
        return 0;
}

const char *state_name(const struct state_table *table, int state)
{
        return state > 0 && state < table->state_count ? table->state_names[state] : "?";
}

int state_parse(const struct state_table *table, struct bytes name, int *ret_state)
{
        for (int state = 1; state < table->state_count; state++)
                if (bytes_equal(name, bytes_text(table->state_names[state]))) {
                        *ret_state = state;
                        return 0;
                }
        return refuse(PROBLEM_MALFORMED, "\"%.*s\" is no state of a %s.", (int)MIN(name.len, 40),
                      name.data ? (const char *)name.data : "", table->noun);
}
