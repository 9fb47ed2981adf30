/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the server remembers, a struct each. A row owns all that it holds: char * from mem.h (NULL reads as ""), buf,
 * texts, secret. x_row_done() releases it and leaves it zero; it is idempotent. Instants are seconds since 1970 UTC,
 * 0 = never.
 *
 * `row` comes first and is the store's: version 0 is a row that was never stored. Load a row, change it, put it back;
 * when somebody else stored it meanwhile, that is refused (PROBLEM_STALE). States are those of states.h.
 *
 * Fields in struct secret are sealed in the database under the column key; all others are in clear there, and all are
 * under the row's MAC. Private keys are in no field but wrapped or enveloped.
 */
#include "base/secret.h"
#include "model/id.h"
#include "model/states.h"
#include "model/texts.h"

struct row {
        int64_t version;
        int counted; /* the state under which the row is counted */
};

enum { SELECTOR_SIZE = 6 };

/* A person, mailbox or group of the directory. Nothing takes it away again: it may be some user's, who has keys. */
enum entry_kind { ENTRY_PERSON = 1, ENTRY_GROUP };
enum entry_source { ENTRY_EMBEDDED = 1 /* an operator, or his import */, ENTRY_LDAP };

struct entry_row {
        struct row row;
        struct id guid;          /* key: the directory's stable id */
        int64_t kind;            /* enum entry_kind */
        char *name;              /* the directory's own name (DN), unique unless empty, ignoring case */
        char *cn;                /* as shown */
        char *given_name, *surname;
        struct texts addresses;  /* keys of address_parse(), the primary one first; each belongs to one entry only */
        char *unit;              /* organisational units from the top, "Sales/Berlin" */
        char *server;            /* home mail server */
        struct texts groups;     /* names (DN) of the groups that have it as a member */
        int64_t disabled;        /* 0 or 1 */
        char *language;          /* RFC 5646, of what is written to him; "" = not known */
        int64_t source;          /* enum entry_source: who says so */
        int64_t gone;            /* when it left the directory; it keeps an address until somebody else has it */
        int64_t updated;
        struct buf origin;       /* digest of the source record, to skip what did not change */
};

/* An entry that the server has keys for, or is to make keys for. */
struct user_row {
        struct row row;
        struct id id;            /* key */
        struct id guid;          /* of its entry; unique */
        char *address;           /* the primary one when last enrolled */
        char *cn;
        int64_t state;           /* enum user_state */
        char *profile;           /* of the certificates */
        int64_t created, enrolled, revoked;
};

enum token_kind { TOKEN_ENROLL = 1, TOKEN_RECOVER };
/* How it reaches its user: by hand, whole by mail, or in two parts by both. */
enum token_delivery { DELIVER_HAND = 1, DELIVER_MAIL, DELIVER_SPLIT };

struct token_row {
        struct row row;
        char selector[SELECTOR_SIZE + 1]; /* key */
        int64_t kind;
        struct id user;
        struct id request;       /* of a recovery */
        int64_t state;           /* enum token_state */
        struct secret auth;      /* MAC key, 32 bytes */
        struct buf recipient;    /* public point to which a recovery is enveloped */
        int64_t created, expires, used;
        int64_t attempts, attempts_most; /* wrong ones so far; at most */
        uint8_t digest[HASH_SIZE];       /* of the request that used it */
        char *issuer;            /* operator */
        char *profile;
        int64_t delivery;        /* enum token_delivery */
        struct secret mail;      /* what is mailed: the token, or its part by mail; only while it is issued */
};

enum certificate_kind { CERTIFICATE_SIGNATURE = 1, CERTIFICATE_ENCRYPTION, CERTIFICATE_SERVICE };

/* Every certificate that the CA ever issued; `service` are the server's own, without user. */
struct certificate_row {
        struct row row;
        uint8_t serial[SERIAL_SIZE]; /* key */
        struct id user;
        int64_t kind;
        int64_t state;               /* enum certificate_state */
        uint8_t spki_hash[HASH_SIZE];
        struct texts addresses;
        int64_t issued, not_before, not_after;
        int64_t revoked, reason;     /* reason: CRLReason (RFC 5280, 5.3.1) */
        char *profile;
        struct buf der;
};

/* What a user's client made for the directory: a userSMIMECertificate (RFC 2798 2.8) with both of his certificates. Public. */
struct smime_row {
        struct row row;
        struct id user;              /* key */
        uint8_t signature_serial[SERIAL_SIZE], encryption_serial[SERIAL_SIZE];
        int64_t created;
        struct buf value;
};

/* A revocation as CRL and OCSP need it. Numbers grow by one and are never reused; one that changes gets the next. */
struct revocation_row {
        struct row row;
        int64_t number; /* key */
        uint8_t serial[SERIAL_SIZE];
        int64_t time, reason, not_after;
};

enum archive_state { ARCHIVE_CURRENT = 1, ARCHIVE_FORMER };

struct archive_row {
        struct row row;
        struct id id;                /* key */
        struct id user;
        int64_t state;
        uint8_t serial[SERIAL_SIZE]; /* of its certificate */
        uint8_t spki_hash[HASH_SIZE]; /* unique: a key is archived once */
        int64_t archive_key;         /* the generation of the archive key that wraps it */
        int64_t created;
        struct buf record;           /* crypto/archive.h */
};

enum request_kind { REQUEST_RECOVER = 1, REQUEST_STARTUP };

struct request_row {
        struct row row;
        struct id id;                /* key */
        int64_t kind;
        struct id user;
        int64_t state;               /* enum request_state */
        char *requester;             /* operator */
        char *reason;
        struct buf recipient;        /* public point */
        struct buf records;          /* the list that officers see and sign; encoded by the engine */
        uint8_t digest[HASH_SIZE];
        int64_t created, expires, decided;
        char selector[SELECTOR_SIZE + 1]; /* of the token that opens the result */
        struct buf result;           /* enveloped to the recipient */
};

enum approval_verdict { APPROVAL_GIVEN = 1, APPROVAL_REFUSED, APPROVAL_STRUCK /* its partials did not verify */ };

struct approval_row {
        struct row row;
        struct id request;           /* key */
        char *officer;               /* key */
        int64_t verdict;
        int64_t created;
        struct buf partials;         /* boxed to the keeper */
        struct buf signature;
        char *comment;
};

enum operator_role { ROLE_OFFICER = 1, ROLE_REGISTRAR = 2, ROLE_AUDITOR = 4 }; /* bits */

struct operator_row {
        struct row row;
        char *name;                  /* key */
        char *cn, *address;
        int64_t roles;
        int64_t state;               /* enum operator_state */
        int64_t share;               /* index of an officer's share, from 1; 0 = none */
        struct buf public_key;       /* of operation signatures */
        struct buf admission;        /* the share's signature over it */
        struct buf envelope;         /* shares and signing key under the operator's password */
        char invitation[SELECTOR_SIZE + 1]; /* selector of the code; "" = none outstanding */
        struct secret invitation_auth;
        int64_t invitation_expires, attempts;
        struct buf invitation_share; /* the shares boxed to the code */
        int64_t created, changed;
};

/* An encryption pair made ahead of need. */
struct pool_row {
        struct row row;
        struct id id;                /* key */
        char *profile;
        int64_t created;
        struct buf public_key;       /* SubjectPublicKeyInfo */
        struct buf wrapped;          /* the private key, under a key that only the keeper has */
};

struct setting_row {
        struct row row;
        char *name;                  /* key */
        struct buf value;
};

/* The answer to an operator's operation, by its nonce: who repeats it gets the same answer. */
struct operation_row {
        struct row row;
        char *operator_name;         /* key */
        uint8_t nonce[16];           /* key */
        uint8_t digest[HASH_SIZE];   /* of the message; another message under the same nonce is refused */
        int64_t created;
        int64_t problem;             /* 0 or the outcome */
        struct secret answer;
};

/* The answer to the holder of a token, by token and request. */
struct reply_row {
        struct row row;
        char selector[SELECTOR_SIZE + 1]; /* key */
        uint8_t digest[HASH_SIZE];        /* key */
        int64_t created;
        struct secret answer;
};

/* Work for the outbound process. Jobs of one subject are done in their order; a later one waits for the earlier. */
struct job_row {
        struct row row;
        int64_t number;              /* key; given by the store */
        char *subject;
        char *kind;
        int64_t state;               /* enum job_state */
        int64_t created;
        int64_t due;                 /* next try; sent or bounced: when it is forgotten */
        int64_t attempts;
        char *error;                 /* of the last attempt */
        char *recipient;             /* of a mail: to whom it was given out last */
        struct secret payload;
};

void entry_row_done(struct entry_row *row);
void user_row_done(struct user_row *row);
void token_row_done(struct token_row *row);
void certificate_row_done(struct certificate_row *row);
void smime_row_done(struct smime_row *row);
void revocation_row_done(struct revocation_row *row);
void archive_row_done(struct archive_row *row);
void request_row_done(struct request_row *row);
void approval_row_done(struct approval_row *row);
void operator_row_done(struct operator_row *row);
void pool_row_done(struct pool_row *row);
void setting_row_done(struct setting_row *row);
void operation_row_done(struct operation_row *row);
void reply_row_done(struct reply_row *row);
void job_row_done(struct job_row *row);

/* "officer", "registrar", "auditor" for one bit. */
const char *role_name(enum operator_role role);
int role_parse(struct bytes name, enum operator_role *ret_role) must_check;
/* Operators' names go into file names, records and headers. PROBLEM_MALFORMED. */
int operator_name_check(const char *name) must_check;
