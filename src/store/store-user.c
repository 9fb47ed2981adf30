/* SPDX-License-Identifier: Apache-2.0 */
/* Users, and the archive of their keys. */
#include "store/internal.h"

#define NONE_BYTES BYTES(BYTES_NONE)

int store_user_add(struct store *store, struct user_row *row)
{
        return PASS(row_insert(store, &table_users, row));
}

int store_user_put(struct store *store, struct user_row *row)
{
        return PASS(row_update(store, &table_users, row));
}

int store_user_find(struct store *store, const struct id *id, struct user_row *ret_row)
{
        return PASS(row_find(store, &table_users, "WHERE id = $1", VALUES(BYTES(id_view(id))), ret_row));
}

int store_user_find_guid(struct store *store, const struct id *guid, struct user_row *ret_row)
{
        return PASS(row_find(store, &table_users, "WHERE guid = $1", VALUES(BYTES(id_view(guid))), ret_row));
}

/* Through the entry, whose row says under its MAC that it has the address. */
int store_user_find_address(struct store *store, const char *address, struct user_row *ret_row)
{
        CLEANUP(entry_row_done) struct entry_row entry = {0};

        TRY(store_entry_find_address(store, address, &entry));
        return PASS(store_user_find_guid(store, &entry.guid, ret_row));
}

int store_user_list_left(struct store *store, int state, int64_t before, size_t most, void *context,
                         int (*each)(void *context, struct user_row *row))
{
        return ROWS_EACH(store, &table_users, user_row, context, each,
                         "WHERE id IN (SELECT users.id FROM entries CROSS JOIN users WHERE entries.gone > 0 AND "
                         "entries.gone <= $2 AND users.guid = entries.guid AND users.state = $1 LIMIT $3)",
                         NUMBER(state), NUMBER(before), NUMBER((int64_t)most));
}

int store_user_list(struct store *store, int state, const struct id *after, size_t most, void *context,
                    int (*each)(void *context, struct user_row *row))
{
        struct value from = after ? BYTES(id_view(after)) : NONE_BYTES;

        if (state)
                return ROWS_EACH(store, &table_users, user_row, context, each,
                                 "WHERE state = $1 AND id > $2 ORDER BY id LIMIT $3", NUMBER(state), from,
                                 NUMBER((int64_t)most));
        return ROWS_EACH(store, &table_users, user_row, context, each, "WHERE id > $1 ORDER BY id LIMIT $2",
                         from, NUMBER((int64_t)most));
}

/* ---- archive ---- */

int store_archive_add(struct store *store, struct archive_row *row)
{
        return PASS(row_insert(store, &table_archives, row));
}

int store_archive_put(struct store *store, struct archive_row *row)
{
        return PASS(row_update(store, &table_archives, row));
}

int store_archive_find(struct store *store, const struct id *id, struct archive_row *ret_row)
{
        return PASS(row_find(store, &table_archives, "WHERE id = $1", VALUES(BYTES(id_view(id))), ret_row));
}

int store_archive_find_key(struct store *store, const uint8_t *spki_hash, struct archive_row *ret_row)
{
        return PASS(row_find(store, &table_archives, "WHERE spki_hash = $1",
                             VALUES(BYTES(bytes_of(spki_hash, HASH_SIZE))), ret_row));
}

int store_archive_list(struct store *store, const struct id *user, int state, void *context,
                       int (*each)(void *context, struct archive_row *row))
{
        return ROWS_EACH(store, &table_archives, archive_row, context, each,
                         "WHERE user_id = $1 AND ($2 = 0 OR state = $2) ORDER BY created, id",
                         BYTES(id_view(user)), NUMBER(state));
}

/* ---- pool ---- */

int store_pool_add(struct store *store, struct pool_row *row)
{
        return PASS(row_insert(store, &table_pool, row));
}

int store_pool_take(struct store *store, const char *profile, struct pool_row *ret_row)
{
        CLEANUP(pool_row_done) struct pool_row row = {0};

        TRY(store_write(store)); /* the lock first, so that no other server takes the same */
        TRY(row_find(store, &table_pool, "WHERE profile = $1 ORDER BY id LIMIT 1", VALUES(TEXT(profile)),
                     &row));
        TRY(row_remove(store, &table_pool, &row));
        *ret_row = row;
        row = (struct pool_row){0};
        return 0;
}

int store_pool_list(struct store *store, const char *profile, const struct id *after, size_t most,
                    void *context, int (*each)(void *context, struct pool_row *row))
{
        struct id none = ID_NONE;

        return ROWS_EACH(store, &table_pool, pool_row, context, each,
                         "WHERE profile = $1 AND id > $2 ORDER BY id LIMIT $3", TEXT(profile),
                         BYTES(id_view(after ? after : &none)), NUMBER((int64_t)most));
}

int store_pool_remove(struct store *store, const struct pool_row *row)
{
        TRY(store_write(store));
        return PASS(row_remove(store, &table_pool, row));
}

int store_pool_purge(struct store *store, const char *profile, size_t most, size_t *ret_count)
{
        return PASS(rows_purge(store, &table_pool, "WHERE profile <> $1 ORDER BY id LIMIT $2",
                               VALUES(TEXT(profile), NUMBER((int64_t)most)), ret_count));
}

int store_pool_count(struct store *store, const char *profile, int64_t *ret_count)
{
        return PASS(db_number(&store->db, "SELECT count(*) FROM pool WHERE profile = $1",
                              VALUES(TEXT(profile)), ret_count));
}
