/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens and the answers to them. */
#include "store/internal.h"

int store_token_add(struct store *store, struct token_row *row)
{
        return PASS(row_insert(store, &table_tokens, row));
}

/* What is used, void or expired is mailed to nobody any more. */
int store_token_put(struct store *store, struct token_row *row)
{
        if (row->state != TOKEN_ISSUED)
                secret_done(&row->mail);
        return PASS(row_update(store, &table_tokens, row));
}

int store_token_find(struct store *store, const char *selector, struct token_row *ret_row)
{
        return PASS(row_find(store, &table_tokens, "WHERE selector = $1", VALUES(TEXT(selector)), ret_row));
}

int store_token_find_issued(struct store *store, const struct id *user, int kind, struct token_row *ret_row)
{
        return PASS(
            row_find(store, &table_tokens,
                     "WHERE user_id = $1 AND kind = $2 AND state = 1 ORDER BY created DESC, selector LIMIT 1",
                     VALUES(BYTES(id_view(user)), NUMBER(kind)), ret_row));
}

int store_token_list_due(struct store *store, int64_t now, size_t most, void *context,
                         int (*each)(void *context, struct token_row *row))
{
        return ROWS_EACH(store, &table_tokens, token_row, context, each,
                         "WHERE state = 1 AND expires <= $1 ORDER BY expires LIMIT $2", NUMBER(now),
                         NUMBER((int64_t)most));
}

int store_reply_add(struct store *store, struct reply_row *row)
{
        return PASS(row_insert(store, &table_replies, row));
}

int store_reply_find(struct store *store, const char *selector, const uint8_t *digest,
                     struct reply_row *ret_row)
{
        return PASS(row_find(store, &table_replies, "WHERE selector = $1 AND digest = $2",
                             VALUES(TEXT(selector), BYTES(bytes_of(digest, HASH_SIZE))), ret_row));
}

int store_reply_purge(struct store *store, int64_t before, size_t most, size_t *ret_count)
{
        return PASS(rows_purge(store, &table_replies, "WHERE created < $1 ORDER BY created LIMIT $2",
                               VALUES(NUMBER(before), NUMBER((int64_t)most)), ret_count));
}
