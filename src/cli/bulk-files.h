/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The files of an enrollment of many, and its journal: what is in them counts once the journal says how long they are.
 */
#include "cli/bulk.h"

int list_file_read(const char *path, struct buf *ret_content) must_check;
int bulk_files_open(struct bulk *bulk, const char *tokens, const char *report) must_check;
/* The rows of a page, durable. */
int bulk_files_add(struct bulk *bulk, const struct msg_user_enroll_reply *page) must_check;
/* The page is done, and the next one begins with a new nonce. */
int bulk_journal_keep(struct bulk *bulk) must_check;
/* Nothing is done: all that was made for the command goes. */
void bulk_files_discard(struct bulk *bulk);
/* All is done: the journal goes. */
int bulk_files_finish(struct bulk *bulk) must_check;
void bulk_files_close(struct bulk *bulk);

void nonce_renew(struct bulk *bulk);
/* False: it was there. */
bool seen_add(struct seen *seen, const uint8_t key[static 16]);
