/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the files of the keeper share. A handler decodes its request, checks everything in it, and either fills the
 * answer and returns 0, or returns a fault or a problem and has changed nothing.
 */
#include "keeper/keeper.h"

/* Encode the answer. */
int reply_encode(struct keeper_reply *reply, const struct msg_record *record, const void *message) must_check;
int reply_encode_private(struct keeper_reply *reply, const struct msg_record *record, const void *message) must_check;
#define reply_with(reply, name, message)                                                                     \
        ({                                                                                                   \
                const struct msg_##name *typed_ = (message);                                                 \
                reply_encode((reply), msg_record_##name(), typed_);                                          \
        })
#define reply_with_private(reply, name, message)                                                             \
        ({                                                                                                   \
                const struct msg_##name *typed_ = (message);                                                 \
                reply_encode_private((reply), msg_record_##name(), typed_);                                  \
        })

/* Told to a sibling in one frame (CHANNEL_FRAME_LIMIT). Pairs beyond that are made when they are needed. */
enum { POOL_USED_MOST = 1 << 19 };

/* keys.c: from a database key to everything that hangs on it, and back to nothing. */
int keeper_keys_derive(const struct secret *database, struct keeper_keys *ret_keys) must_check;
void keeper_keys_done(struct keeper_keys *keys);
void authority_done(struct authority *authority);
/* PROBLEM_TAMPERED when the keys are not those of the trust record's certificates. */
int authority_open(const struct keeper_keys *keys, const struct trust *trust, struct bytes sealed,
                   struct authority *ret_authority) must_check;
int authority_seal(const struct keeper_keys *keys, const struct msg_authority_keys *authority,
                   struct buf *out) must_check;
/*
 * Become unsealed with this database key, which is copied: derive, verify the trust record and the CA's keys.
 * PROBLEM_TAMPERED, PROBLEM_STALE (a trust record older than one seen); nothing has changed then.
 */
int keeper_unseal_with(struct keeper *keeper, const struct secret *database) must_check;
/* Forget everything but the records; a new transport key for startup requests. */
int keeper_seal_now(struct keeper *keeper) must_check;
/* Wrap the database key under a new startup secret, which comes in the form of a token's text. */
int wrap_make(const struct keeper *keeper, struct bytes server_id, const struct secret *database,
              struct secret *ret_startup, struct buf *ret_wrap) must_check;
/* PROBLEM_TOKEN_TYPO, PROBLEM_PASSWORD */
int wrap_open(struct bytes server_id, struct bytes wrap, const struct secret *startup,
              struct secret *ret_database) must_check;
/* Appends the name of the key that seals the pool: 16 hexadecimal digits of its digest. */
void pool_name(const struct keeper *keeper, struct buf *out);
/* How the database key is bound in its archive record. */
struct archive_subject;
void database_subject(const char *server_id, struct archive_subject *ret_subject);

/* The handlers. */
#define HANDLER(name) int name(struct keeper *keeper, struct bytes payload, struct keeper_reply *reply) must_check
HANDLER(handle_init);         /* setup.c */
HANDLER(handle_unseal);       /* state.c */
HANDLER(handle_seal);
HANDLER(handle_adopt);
HANDLER(handle_load);
HANDLER(handle_enroll);       /* issue.c */
HANDLER(handle_certify_tls);
HANDLER(handle_pool);
HANDLER(handle_crl);          /* publish.c */
HANDLER(handle_head);
HANDLER(handle_open);         /* open.c */
HANDLER(handle_admit);        /* admit.c */
#undef HANDLER
