/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Publication to the directory: what the entries of users are to have of us. */
#include "engine/engine.h"

/*
 * What the directory has of this user is to be what it should be: call it in the transaction that changes his
 * certificates, or whether he belongs to the directory. Nothing when [publish] directory is off.
 */
int publication_queue(struct engine *engine, const struct id *user) must_check;
/* The same for the user of an entry, if there is one. */
int publication_queue_entry(struct engine *engine, const struct id *guid) must_check;
/* An entry that nobody of the server belongs to, too: nothing of ours is to be left there. */
int publication_push(struct engine *engine, const struct id *guid) must_check;
/* The file of an address in the web folder, if users are published there: this certificate, or none. Jobs of one file
 * are done in their order. */
int publication_folder(struct engine *engine, const char *address, struct bytes certificate) must_check;
/* None of his any more; that of whoever has his address by now stays. */
int publication_folder_end(struct engine *engine, const struct user_row *user) must_check;
/* The entry is about to be stored: an address that it gives up, or that of who leaves, must not lead to his certificate; that of
 * who comes back does again. */
int publication_folder_follow(struct engine *engine, const struct entry_row *entry) must_check;
/* What an entry should have as things stand now: nothing when nobody is enrolled there, or he has left. Ours is what the
 * issuing CA of "vouchsafe init" has issued: nothing replaces it. What does so one day has to name here, and to
 * publish_check, all there ever were, for which the messages have room. */
int publication_values(struct engine *engine, const struct entry_row *entry,
                       struct msg_directory_values *ret_values) must_check;
/* The user's userSMIMECertificate while both of its certificates are good; empty: none. */
int publication_smime(struct engine *engine, const struct id *user, struct buf *ret_value) must_check;
/* Certificates that have expired leave the directory; a few at a time. In a transaction. */
int publication_sweep(struct engine *engine) must_check;
