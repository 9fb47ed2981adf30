/* SPDX-License-Identifier: Apache-2.0 */
/* Operators, the requests that need them, their approvals, the answers to their operations, and settings. */
#include "store/internal.h"

int store_operator_add(struct store *store, struct operator_row *row)
{
        return PASS(row_insert(store, &table_operators, row));
}

int store_operator_put(struct store *store, struct operator_row *row)
{
        return PASS(row_update(store, &table_operators, row));
}

int store_operator_find(struct store *store, const char *name, struct operator_row *ret_row)
{
        TRY(store_need_keys(store));
        return PASS(row_find(store, &table_operators, "WHERE name = $1", VALUES(TEXT(name)), ret_row));
}

int store_operator_find_invitation(struct store *store, const char *selector, struct operator_row *ret_row)
{
        TRY(store_need_keys(store));
        return PASS(row_find(store, &table_operators, "WHERE invitation = $1 AND invitation <> ''",
                             VALUES(TEXT(selector)), ret_row));
}

int store_operator_list(struct store *store, void *context,
                        int (*each)(void *context, struct operator_row *row))
{
        TRY(store_need_keys(store));
        return ROWS_EACH(store, &table_operators, operator_row, context, each,
                         "WHERE version > $1 ORDER BY name", NUMBER(0));
}

/* ---- requests ---- */

int store_request_add(struct store *store, struct request_row *row)
{
        return PASS(row_insert(store, &table_requests, row));
}

int store_request_put(struct store *store, struct request_row *row)
{
        return PASS(row_update(store, &table_requests, row));
}

int store_request_find(struct store *store, const struct id *id, struct request_row *ret_row)
{
        return PASS(row_find(store, &table_requests, "WHERE id = $1", VALUES(BYTES(id_view(id))), ret_row));
}

int store_request_list(struct store *store, int state, const struct id *user, const struct id *after,
                       size_t most, void *context, int (*each)(void *context, struct request_row *row))
{
        struct value from = after ? BYTES(id_view(after)) : BYTES(BYTES_NONE), limit = NUMBER((int64_t)most);

        if (user)
                return ROWS_EACH(
                    store, &table_requests, request_row, context, each,
                    "WHERE user_id = $1 AND id > $2 AND ($3 = 0 OR state = $3) ORDER BY id LIMIT $4",
                    BYTES(id_view(user)), from, NUMBER(state), limit);
        if (state)
                return ROWS_EACH(store, &table_requests, request_row, context, each,
                                 "WHERE state = $1 AND id > $2 ORDER BY id LIMIT $3", NUMBER(state), from,
                                 limit);
        return ROWS_EACH(store, &table_requests, request_row, context, each,
                         "WHERE id > $1 ORDER BY id LIMIT $2", from, limit);
}

int store_approval_add(struct store *store, struct approval_row *row)
{
        return PASS(row_insert(store, &table_approvals, row));
}

int store_approval_put(struct store *store, struct approval_row *row)
{
        return PASS(row_update(store, &table_approvals, row));
}

int store_approval_list(struct store *store, const struct id *request, void *context,
                        int (*each)(void *context, struct approval_row *row))
{
        return ROWS_EACH(store, &table_approvals, approval_row, context, each,
                         "WHERE request_id = $1 ORDER BY created, officer", BYTES(id_view(request)));
}

/* ---- operations ---- */

int store_operation_add(struct store *store, struct operation_row *row)
{
        return PASS(row_insert(store, &table_operations, row));
}

int store_operation_find(struct store *store, const char *operator_name, const uint8_t *nonce,
                         struct operation_row *ret_row)
{
        return PASS(row_find(store, &table_operations, "WHERE operator_name = $1 AND nonce = $2",
                             VALUES(TEXT(operator_name), BYTES(bytes_of(nonce, sizeof(ret_row->nonce)))),
                             ret_row));
}

int store_operation_purge(struct store *store, int64_t before, size_t most, size_t *ret_count)
{
        return PASS(rows_purge(store, &table_operations, "WHERE created < $1 ORDER BY created LIMIT $2",
                               VALUES(NUMBER(before), NUMBER((int64_t)most)), ret_count));
}

/* ---- settings ---- */

int store_setting_put(struct store *store, struct setting_row *row)
{
        return PASS(row->row.version ? row_update(store, &table_settings, row)
                                     : row_insert(store, &table_settings, row));
}

int store_setting_find(struct store *store, const char *name, struct setting_row *ret_row)
{
        return PASS(row_find(store, &table_settings, "WHERE name = $1", VALUES(TEXT(name)), ret_row));
}

