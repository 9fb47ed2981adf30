/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The user's userSMIMECertificate, which tells mail programs by way of the directory whom to encrypt for and how. It
 * takes his signature key, so it is made here, when the key store is open, kept as users/ADDRESS/smime, and handed in
 * to the server as soon as that answers; then the file goes away.
 */
#include "cli/session.h"
#include "mail/mail.h"

/* Make it from the newest keys of a store and keep it. Nothing when the store has no pair of them that could be used
 * now. */
int smime_make(const char *folder, const struct msg_client_config *config, const struct msg_key_store *store,
               unsigned capabilities) must_check;
/* What every mail program of today reads. */
enum { SMIME_CAPABILITIES = MAIL_READS_AES256_CBC | MAIL_READS_AES128_CBC };
/* Hand in what waits, if anything does. One that the server refuses is given up, with its sentence; while it cannot be
 * reached, it stays: PROBLEM_UNREACHABLE, TIMEOUT, SEALED, BUSY, TOO_MANY. */
int smime_hand_in(struct server *server, const char *folder) must_check;
/* The same by the way, after something else was asked of the server: nothing of it is an error. */
void smime_remember(struct session *session);
