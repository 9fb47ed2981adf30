/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A token for one person of the directory. What is given to the administrator is in the reply alone; the database has
 * what its answer is checked with, and, sealed, what is mailed (deliver.h).
 */
#include "engine/people.h"

struct token_terms {
        enum token_delivery delivery;
        bool dry_run;  /* only say what would become of him */
        bool renew;    /* a token that waits is replaced … */
        int64_t since; /* … unless it was given at or after this; 0: whenever */
};

/* What became of him stands in `item`. *ret_given: he got one (dry run: would have). */
int token_give(struct request *request, const struct entry_row *entry, const struct token_terms *terms,
               struct msg_token_item *item, bool *ret_given) must_check;
/* The user of an entry; one who was none yet is not stored (version 0). */
int token_user(struct engine *engine, const struct entry_row *entry, struct user_row *ret_user) must_check;
/* He is about to be given a token: his state, and the end of an older one. PROBLEM_STATE. */
int token_user_begin(struct engine *engine, const struct entry_row *entry, struct user_row *user) must_check;
int token_outcome(struct msg_token_item *item, const char *outcome, const char *detail) must_check;
