/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and revocations. */
#include "store/internal.h"

int store_certificate_add(struct store *store, struct certificate_row *row)
{
        return PASS(row_insert(store, &table_certificates, row));
}

int store_certificate_put(struct store *store, struct certificate_row *row)
{
        return PASS(row_update(store, &table_certificates, row));
}

int store_certificate_find(struct store *store, const uint8_t *serial, struct certificate_row *ret_row)
{
        return PASS(row_find(store, &table_certificates, "WHERE serial = $1",
                             VALUES(BYTES(bytes_of(serial, SERIAL_SIZE))), ret_row));
}

int store_certificate_find_key(struct store *store, const uint8_t *spki_hash, struct certificate_row *ret_row)
{
        return PASS(row_find(store, &table_certificates, "WHERE spki_hash = $1 AND kind <> 2 ORDER BY serial LIMIT 1",
                             VALUES(BYTES(bytes_of(spki_hash, HASH_SIZE))), ret_row));
}

int store_certificate_list(struct store *store, const struct id *user, int kind, int state, void *context,
                           int (*each)(void *context, struct certificate_row *row))
{
        return ROWS_EACH(store, &table_certificates, certificate_row, context, each,
                         "WHERE user_id = $1 AND ($2 = 0 OR kind = $2) AND ($3 = 0 OR state = $3) ORDER BY "
                         "issued DESC, serial",
                         BYTES(id_view(user)), NUMBER(kind), NUMBER(state));
}

int store_certificate_list_address(struct store *store, const char *address, int64_t now, void *context,
                                   int (*each)(void *context, struct certificate_row *row))
{
        CLEANUP(user_row_done) struct user_row user = {0};
        CLEANUP(rows_done) struct rows rows = {0};

        TRY(store_user_find_address(store, address, &user));
        TRY(rows_select(
            store, &table_certificates,
            "WHERE user_id = $1 AND kind = 2 AND state = 1 AND not_before <= $2 AND not_after >= $2 "
            "ORDER BY issued DESC, serial",
            VALUES(BYTES(id_view(&user.id)), NUMBER(now)), &rows));
        for (size_t i = 0; i < rows.count; i++) {
                struct certificate_row *row = &((struct certificate_row *)(void *)rows.items)[i];
                int r;

                /* One from before the user had this address must not be used for it. */
                if (!texts_have(&row->addresses, address))
                        continue;
                r = each(context, row);
                if (r != 0)
                        return PASS(r);
        }
        return 0;
}

int store_certificate_list_expired(struct store *store, const struct store_certificate_place *after, int64_t now,
                                   size_t most, void *context,
                                   int (*each)(void *context, struct certificate_row *row))
{
        return ROWS_EACH(store, &table_certificates, certificate_row, context, each,
                         "WHERE state = 1 AND (not_after, serial) > ($1, $2) AND not_after < $3 "
                         "ORDER BY not_after, serial LIMIT $4",
                         NUMBER(after->not_after), BYTES(bytes_of(after->serial, SERIAL_SIZE)), NUMBER(now),
                         NUMBER((int64_t)most));
}

/* ---- userSMIMECertificate ---- */

int store_smime_put(struct store *store, struct smime_row *row)
{
        return row->row.version ? PASS(row_update(store, &table_smime, row))
                                : PASS(row_insert(store, &table_smime, row));
}

int store_smime_find(struct store *store, const struct id *user, struct smime_row *ret_row)
{
        return PASS(row_find(store, &table_smime, "WHERE user_id = $1", VALUES(BYTES(id_view(user))), ret_row));
}

/* ---- revocations ---- */

int store_revocation_add(struct store *store, struct revocation_row *row)
{
        TRY(store_write(store));
        row->number = store->chain.revocations + 1;
        TRY(row_insert(store, &table_revocations, row));
        store->chain.revocations = row->number;
        return 0;
}

int store_revocation_again(struct store *store, const uint8_t *serial, int64_t reason)
{
        struct revocation_row row = {0};

        TRY(store_write(store));
        TRY(row_find(store, &table_revocations, "WHERE serial = $1", VALUES(BYTES(bytes_of(serial, SERIAL_SIZE))),
                     &row));
        TRY(row_remove(store, &table_revocations, &row));
        row.reason = reason;
        return PASS(store_revocation_add(store, &row));
}

int store_revocation_list(struct store *store, int64_t after, size_t most, void *context,
                          int (*each)(void *context, const struct revocation_row *row))
{
        return ROWS_EACH(store, &table_revocations, revocation_row, context, each,
                         "WHERE number > $1 ORDER BY number LIMIT $2", NUMBER(after), NUMBER((int64_t)most));
}

int store_revocation_last(struct store *store, int64_t *ret_number)
{
        TRY(store_need_keys(store));
        if (!store->writing)
                TRY(chain_load(store));
        *ret_number = store->chain.revocations;
        return 0;
}
