/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The state machines of users, tokens, requests, certificates, operators and jobs as constant tables (state, event → next).
 * What a table does not permit is refused with a sentence; the caller audits that. The numbers are stored and keep
 * their meaning; the names are those of the API. 0 is never a state.
 */
#include "base/buf.h"
#include "base/fault.h"

/* As the original had it. A user who is only in the address book has no row: undefined. When a token or recovery is
 * lost
 * by a user whose certificates were revoked before, the event is USER_REVOKE: he is revoked again. */
enum user_state { USER_UNDEFINED = 1, USER_NEW, USER_ENROLLED, USER_RECOVERY, USER_REVOKED };
enum user_event {
        USER_TOKEN_ISSUED = 1, /* authorised to enroll */
        USER_TOKEN_LOST,       /* the token was cancelled, expired or exhausted before it was used */
        USER_ENROLLS,
        USER_RENEWS,
        USER_RECOVERY_GRANTED, /* officers have approved */
        USER_RECOVERY_LOST,    /* … but the token was never used; the certificates still stand */
        USER_RECOVERS,
        USER_REVOKE,
        USER_RAISE, /* the reason becomes keyCompromise */
};

enum token_state { TOKEN_ISSUED = 1, TOKEN_USED, TOKEN_CANCELLED, TOKEN_EXPIRED, TOKEN_EXHAUSTED };
enum token_event {
        TOKEN_USE = 1,
        TOKEN_CANCEL,
        TOKEN_EXPIRE,
        TOKEN_EXHAUST, /* too many wrong attempts */
        TOKEN_HOLD,    /* its reply waits for something, it stays issued */
};

enum request_state {
        REQUEST_OPEN = 1,
        REQUEST_APPROVED,
        REQUEST_DONE,
        REQUEST_REFUSED,
        REQUEST_EXPIRED,
        REQUEST_CANCELLED,
};
enum request_event {
        REQUEST_APPROVAL = 1, /* one more, not enough yet */
        REQUEST_QUORUM,       /* the one that completes the quorum */
        REQUEST_COMPLETE,     /* the keeper has opened, the result is stored */
        REQUEST_REFUSE,
        REQUEST_EXPIRE,
        REQUEST_CANCEL,
};

enum certificate_state { CERTIFICATE_VALID = 1, CERTIFICATE_REVOKED, CERTIFICATE_SUPERSEDED };
enum certificate_event { CERTIFICATE_REVOKE = 1, CERTIFICATE_SUPERSEDE, CERTIFICATE_RAISE /* as USER_RAISE */ };

enum operator_state { OPERATOR_INVITED = 1, OPERATOR_ACTIVE, OPERATOR_DISABLED };
enum operator_event { OPERATOR_ACCEPT = 1, OPERATOR_INVITE_AGAIN, OPERATOR_DISABLE, OPERATOR_ENABLE };

/* Work for the outbound process. Mail that a server took is not there yet: it stays known as sent for a while. */
enum job_state { JOB_WAITING = 1, JOB_RUNNING, JOB_FAILED, JOB_SENT, JOB_BOUNCED, JOB_OVER /* its row goes */ };
enum job_event {
        JOB_GIVE_OUT = 1,
        JOB_TAKE_BACK, /* it is tried again later */
        JOB_GIVE_UP,
        JOB_FINISH,
        JOB_HAND_OVER, /* to a mail server */
        JOB_BOUNCE,
        JOB_REPEAT,    /* an operator wants it tried again now */
        JOB_CANCEL,
        JOB_FORGET,    /* sent or bounced so long ago that nobody asks any more */
};

struct state_table {
        const char *noun;               /* "user", for the sentence */
        const char *const *state_names; /* by state; [0] is unused */
        const char *const *event_names; /* in words that complete "cannot …" */
        int state_count, event_count;   /* one more than the largest */
        const unsigned char *next;      /* [state * event_count + event]; 0 = not permitted */
};

extern const struct state_table user_states, token_states, request_states, certificate_states, operator_states,
    job_states;

/* The next state; PROBLEM_STATE, with a sentence that names both, when the table does not permit it. A state that is
 * out of range is a fault. */
int state_next(const struct state_table *table, int state, int event, int *ret_next) must_check;
bool state_permits(const struct state_table *table, int state, int event);
/* "enrolled"; "?" when out of range. */
const char *state_name(const struct state_table *table, int state);
/* PROBLEM_MALFORMED when there is no state of this name. */
int state_parse(const struct state_table *table, struct bytes name, int *ret_state) must_check;
