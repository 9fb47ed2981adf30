/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed and unsealed: the records that the engine loads, the startup secret, and what siblings tell each other. */
#include "keeper/internal.h"

#include <stdio.h>

#include "base/clock.h"

/* ---- transitions ------------------------------------------------------------------------------------------ */

struct opened {
        struct keeper_keys keys;
        struct trust trust;
        struct authority authority;
};

static void opened_done(struct opened *opened)
{
        keeper_keys_done(&opened->keys);
        trust_done(&opened->trust);
        authority_done(&opened->authority);
}

/* All that hangs on a database key, out of these records. */
static int records_open(const struct keeper *keeper, const struct msg_keeper_records *records,
                        const struct secret *database, struct opened *opened)
{
        TRY(keeper_keys_derive(database, &opened->keys));
        TRY(trust_verify(buf_view(&records->trust), &opened->keys.trust));
        TRY(trust_parse(buf_view(&records->trust), &opened->trust));
        if (opened->trust.public.number != records->trust_number || records->trust_number < keeper->trust_seen)
                return refuse(PROBLEM_STALE, "The trust record has number %llu, and there was one with number %llu.",
                              (unsigned long long)opened->trust.public.number, (unsigned long long)keeper->trust_seen);
        return PASS(authority_open(&opened->keys, &opened->trust, buf_view(&records->authority), &opened->authority));
}

static void keeper_forget(struct keeper *keeper)
{
        keeper_keys_done(&keeper->keys);
        trust_done(&keeper->trust);
        authority_done(&keeper->authority);
}

static void keeper_take(struct keeper *keeper, struct opened *opened)
{
        keeper_forget(keeper);
        keeper->keys = opened->keys;
        keeper->trust = opened->trust;
        keeper->authority = opened->authority;
        *opened = (struct opened){0};
        keeper->trust_seen = keeper->trust.public.number;
}

int keeper_unseal_with(struct keeper *keeper, const struct secret *database)
{
        CLEANUP(opened_done) struct opened opened = {0};

        TRY(records_open(keeper, &keeper->records, database, &opened));
        keeper_take(keeper, &opened);
        keeper->state = KEEPER_UNSEALED;
        keeper->changed |= CHANGE_STATE | CHANGE_SIBLINGS;
        keeper->ordered = false;
        keeper->detail[0] = 0;
        secret_done(&keeper->transport);
        secret_done(&keeper->startup_secret);
        secret_done(&keeper->adopted);
        return 0;
}

int keeper_seal_now(struct keeper *keeper)
{
        CLEANUP(secret_done) struct secret transport = SECRET_NONE;

        TRY(scalar_random(&transport));
        TRY(point_of_scalar(&transport, &keeper->transport_public));
        secret_done(&keeper->transport);
        keeper->transport = secret_take(&transport);
        keeper->transport_since = keeper->pool_since = clock_monotonic_ms();
        secret_done(&keeper->pool);
        keeper->pool = secret_random(KEY_SIZE);
        id_set_done(&keeper->pool_used);
        buf_done(&keeper->pool_untold);
        keeper_forget(keeper);
        secret_done(&keeper->startup_secret);
        secret_done(&keeper->adopted);
        keeper->detail[0] = 0;
        keeper->state = keeper->records.wrap.len ? KEEPER_SEALED : KEEPER_UNSET;
        keeper->changed |= CHANGE_STATE;
        return 0;
}

/* ---- what is told ----------------------------------------------------------------------------------------- */

/* Borrows what it can: only the encoding is given away. */
int keeper_describe(const struct keeper *keeper, struct keeper_reply *ret_reply)
{
        bool unsealed = keeper->state == KEEPER_UNSEALED;
        const struct point *transport = unsealed ? &keeper->keys.transport_public : &keeper->transport_public;
        CLEANUP(buf_done) struct buf public = BUF_NONE, pool = BUF_NONE;
        struct msg_engine_keys keys = keeper->keys.engine;
        struct msg_keeper_state state = {
                .state = (char *)(uintptr_t)keeper_state_name(keeper),
                .detail = (char *)(uintptr_t)keeper->detail,
                .transport = {(uint8_t *)(uintptr_t)transport->data, POINT_SIZE, 0},
        };

        if (unsealed) {
                TRY(msg_encode(trust_public, &keeper->trust.public, &public));
                state.trust = public;
                pool_name(keeper, &pool);
                state.pool = (char *)(uintptr_t)buf_text(&pool);
                state.keys.at = &keys;
                state.keys.count = 1;
        }
        return PASS(reply_with_private(ret_reply, keeper_state, &state));
}

int keeper_describe_to_sibling(const struct keeper *keeper, struct keeper_reply *ret_reply)
{
        CLEANUP(buf_done) struct buf used = BUF_NONE;
        struct msg_adopt adopt = {.trust_number = keeper->trust_seen, .seal = keeper->ordered};

        if (!keeper->ordered) {
                adopt.pool = keeper->pool;
                adopt.pool_since = keeper->pool_since;
                for (size_t i = 0; i < keeper->pool_used.size; i++)
                        if (!id_is_none(&keeper->pool_used.slots[i]))
                                buf_add_bytes(&used, id_view(&keeper->pool_used.slots[i]));
                adopt.pool_used = used;
        }
        if (keeper->state == KEEPER_UNSEALED) {
                adopt.database_key = keeper->keys.database;
        } else {
                adopt.transport = keeper->transport;
                adopt.transport_since = keeper->transport_since;
        }
        return PASS(reply_with_private(ret_reply, adopt, &adopt));
}

int keeper_describe_pool_use(struct keeper *keeper, struct keeper_reply *ret_reply)
{
        CLEANUP(buf_done) struct buf untold = buf_take(&keeper->pool_untold);
        struct msg_adopt adopt = {.trust_number = keeper->trust_seen, .pool_used = untold};

        return PASS(reply_with_private(ret_reply, adopt, &adopt));
}

/* ---- requests --------------------------------------------------------------------------------------------- */

static int server_id_of(const struct keeper *keeper, struct buf *ret_id)
{
        CLEANUP(trust_done) struct trust trust = {0};

        /* Not verified yet; it is a part of what the wrap record is bound to, so a wrong one opens nothing. */
        TRY(trust_parse(buf_view(&keeper->records.trust), &trust));
        buf_add_text(ret_id, msg_text(trust.public.server_id));
        return 0;
}

static int unseal_by_secret(struct keeper *keeper, const struct secret *startup)
{
        CLEANUP(secret_done) struct secret database = SECRET_NONE;
        CLEANUP(buf_done) struct buf server_id = BUF_NONE;

        TRY(server_id_of(keeper, &server_id));
        TRY(wrap_open(buf_view(&server_id), buf_view(&keeper->records.wrap), startup, &database));
        return PASS(keeper_unseal_with(keeper, &database));
}

int handle_unseal(struct keeper *keeper, struct bytes payload, struct keeper_reply *reply)
{
        MSG_OWN(unseal) request = {0};
        struct msg_done done = {0};

        TRY(msg_decode(unseal, payload, &request));
        TRY(unseal_by_secret(keeper, &request.startup_secret));
        return PASS(reply_with(reply, done, &done));
}

int handle_seal(struct keeper *keeper, struct bytes payload, struct keeper_reply *reply)
{
        MSG_OWN(seal) request = {0};
        struct msg_done done = {0};

        TRY(msg_decode(seal, payload, &request));
        TRY(keeper_seal_now(keeper));
        keeper->ordered = true;
        keeper->changed |= CHANGE_SIBLINGS;
        return PASS(reply_with(reply, done, &done));
}

/* Of two transport keys the older stays; but that of an administrator's order before all others, and of two orders, which
 * may cross, that of the later. Of two of the same moment it is the lesser. */
static bool transport_yields(const struct keeper *keeper, const struct msg_adopt *adopt, const struct point *public)
{
        if (adopt->seal != keeper->ordered)
                return false;
        if (adopt->transport_since == keeper->transport_since)
                return memcmp(public->data, keeper->transport_public.data, POINT_SIZE) < 0;
        return adopt->seal ? adopt->transport_since > keeper->transport_since
                           : adopt->transport_since < keeper->transport_since;
}

static int transport_adopt(struct keeper *keeper, const struct msg_adopt *adopt)
{
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE;
        struct point public;

        TRY(scalar_parse(secret_view(&adopt->transport), &scalar));
        TRY(point_of_scalar(&scalar, &public));
        if (!transport_yields(keeper, adopt, &public))
                return 0;
        secret_done(&keeper->transport);
        keeper->transport = secret_take(&scalar);
        keeper->transport_public = public;
        keeper->transport_since = adopt->transport_since;
        keeper->changed |= CHANGE_STATE;
        return 0;
}

/* Likewise: what is in the database was sealed with the older one. */
static int pool_adopt(struct keeper *keeper, struct msg_adopt *adopt)
{
        if (adopt->pool.len != KEY_SIZE)
                return refuse(PROBLEM_MALFORMED, "A sibling gave a key of the pool of %zu bytes.", adopt->pool.len);
        if (adopt->pool_since > keeper->pool_since ||
            (adopt->pool_since == keeper->pool_since && memcmp(adopt->pool.data, keeper->pool.data, KEY_SIZE) >= 0))
                return 0;
        secret_done(&keeper->pool);
        keeper->pool = secret_take(&adopt->pool);
        keeper->pool_since = adopt->pool_since;
        keeper->changed |= CHANGE_STATE;
        return 0;
}

static void pool_use_adopt(struct keeper *keeper, struct bytes used)
{
        for (size_t i = 0; i < used.len / ID_SIZE && keeper->pool_used.count < POOL_USED_MOST; i++) {
                struct id id;

                memcpy(id.data, used.data + i * ID_SIZE, ID_SIZE);
                (void)id_set_add(&keeper->pool_used, &id);
        }
}

int handle_adopt(struct keeper *keeper, struct bytes payload, struct keeper_reply *reply)
{
        MSG_OWN(adopt) adopt = {0};
        struct msg_done done = {0};

        TRY(msg_decode(adopt, payload, &adopt));
        keeper->trust_seen = MAX(keeper->trust_seen, adopt.trust_number);
        /* Also before there are records: a secret may wait for them. */
        if (adopt.seal && (!keeper->ordered || adopt.transport_since > keeper->transport_since)) {
                TRY(keeper_seal_now(keeper));
                keeper->ordered = true;
                keeper->transport_since = 0; /* before that of any order */
        }
        if (adopt.transport.len && keeper->state != KEEPER_UNSEALED)
                TRY(transport_adopt(keeper, &adopt));
        if (adopt.pool.len)
                TRY(pool_adopt(keeper, &adopt));
        pool_use_adopt(keeper, buf_view(&adopt.pool_used));
        if (adopt.database_key.len && keeper->state == KEEPER_SEALED)
                TRY(keeper_unseal_with(keeper, &adopt.database_key));
        if (adopt.database_key.len && keeper->state == KEEPER_UNSET) {
                secret_done(&keeper->adopted);
                keeper->adopted = secret_take(&adopt.database_key);
        }
        return PASS(reply_with(reply, done, &done));
}

static void records_take(struct keeper *keeper, struct msg_keeper_records *records)
{
        msg_done(keeper_records, &keeper->records);
        keeper->records = *records;
        *records = (struct msg_keeper_records){0};
}

/* The records of a server change when an officer is admitted or a startup secret is replaced; the database key does
 * not. */
static int load_unsealed(struct keeper *keeper, struct msg_keeper_records *records)
{
        CLEANUP(opened_done) struct opened opened = {0};

        TRY(records_open(keeper, records, &keeper->keys.database, &opened));
        if (records->trust_number == keeper->records.trust_number &&
            !bytes_equal(buf_view(&records->trust), buf_view(&keeper->records.trust)))
                return refuse(PROBLEM_STALE, "There are two trust records with number %llu.",
                              (unsigned long long)records->trust_number);
        keeper_take(keeper, &opened);
        records_take(keeper, records);
        return 0;
}

void keeper_unseal_at_hand(struct keeper *keeper)
{
        int r = 0;

        if (keeper->state != KEEPER_SEALED)
                return;
        if (keeper->adopted.len)
                r = keeper_unseal_with(keeper, &keeper->adopted);
        else if (keeper->startup_secret.len)
                r = unseal_by_secret(keeper, &keeper->startup_secret);
        if (r) {
                snprintf(keeper->detail, sizeof(keeper->detail), "%.500s", report_text());
                keeper->changed |= CHANGE_STATE;
        }
        secret_done(&keeper->adopted);
        secret_done(&keeper->startup_secret);
}

int handle_load(struct keeper *keeper, struct bytes payload, struct keeper_reply *reply)
{
        MSG_OWN(keeper_load) load = {0};
        CLEANUP(trust_done) struct trust trust = {0};

        TRY(msg_decode(keeper_load, payload, &load));
        if (load.records.count != 1 || !load.records.at[0].wrap.len)
                return refuse(PROBLEM_MALFORMED, "There are no records to load.");
        if (keeper->state == KEEPER_UNSEALED) {
                TRY(load_unsealed(keeper, &load.records.at[0]));
        } else {
                TRY(trust_parse(buf_view(&load.records.at[0].trust), &trust));
                records_take(keeper, &load.records.at[0]);
                keeper->state = KEEPER_SEALED;
                keeper->changed |= CHANGE_STATE;
                keeper_unseal_at_hand(keeper);
        }
        return PASS(keeper_describe(keeper, reply));
}
