/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A token for one person of the directory. Its text is in the reply alone; the database has what its answer is
 * checked with.
 */
#include "engine/people.h"

/* What became of him stands in `item`. *ret_given: he got one (dry run: would have). */
int token_give(struct request *request, const struct entry_row *entry, bool dry_run, struct msg_token_item *item,
               bool *ret_given) must_check;
int token_outcome(struct msg_token_item *item, const char *outcome, const char *detail) must_check;
