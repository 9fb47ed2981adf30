/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/init.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "store/store.h"

static int records_put(struct store *store, const struct msg_engine_init *init)
{
        const struct msg_keeper_records *records = init->records.at;

        if (init->records.count != 1 || init->keys.count != 1 || !init->server_id)
                return refuse(PROBLEM_MALFORMED,
                              "The set-up lacks the keeper's records, the keys, or the server's id.");
        TRY(store_bootstrap_put(store, "server", 1, bytes_text(init->server_id)));
        TRY(store_bootstrap_put(store, "wrap", 1, buf_view(&records->wrap)));
        TRY(store_bootstrap_put(store, "trust", (int64_t)records->trust_number, buf_view(&records->trust)));
        TRY(store_bootstrap_put(store, "authority", 1, buf_view(&records->authority)));
        TRY(store_bootstrap_put(store, "database-key", 1, buf_view(&records->database_key)));
        return PASS(store_bootstrap_put(store, "trust-public", 1, buf_view(&init->trust)));
}

/* The index of an officer's share is in the trust record; the order of invitations is that of the officers. */
static int64_t share_index(const struct msg_trust_public *trust, const char *name)
{
        for (size_t i = 0; i < trust->officers.count; i++)
                if (strcmp(msg_text(trust->officers.at[i].name), name) == 0)
                        return (int64_t)trust->officers.at[i].index;
        return 0;
}

static int operator_put(struct store *store, const struct msg_engine_init *init, const struct msg_trust_public *trust,
                        const struct msg_invitation_item *item)
{
        CLEANUP(operator_row_done) struct operator_row row = {0};

        if (strlen(msg_text(item->selector)) != SELECTOR_SIZE)
                return refuse(PROBLEM_MALFORMED, "The invitation of %s has no selector.", msg_text(item->operator));
        row.name = text_copy(msg_text(item->operator));
        for (size_t i = 0; i < item->roles.count; i++) {
                enum operator_role role;

                TRY(role_parse(bytes_text(item->roles.at[i]), &role));
                row.roles |= role;
        }
        row.state = OPERATOR_INVITED;
        row.share = row.roles & ROLE_OFFICER ? share_index(trust, row.name) : 0;
        memcpy(row.invitation, item->selector, sizeof(row.invitation));
        row.invitation_auth = secret_copy(secret_view(&item->auth));
        row.invitation_expires = init->invitations_expire;
        row.invitation_share = buf_copy_of(buf_view(&item->shares));
        row.created = row.changed = clock_now();
        return PASS(store_operator_add(store, &row));
}

static int fill(struct store *store, const struct msg_engine_init *init)
{
        MSG_OWN(trust_public) trust = {0};
        struct audit_record record = {
            .time = clock_now(),
            .actor = bytes_text("server"),
            .action = bytes_text("server.init"),
            .subject = bytes_text(msg_text(init->organisation)),
            .outcome = bytes_text("done"),
        };

        TRY(msg_decode(trust_public, buf_view(&init->trust), &trust));
        TRY(store_begin(store));
        TRY(records_put(store, init));
        TRY(store_commit(store));
        TRY(store_set_keys(store, &init->keys.at[0].row, &init->keys.at[0].column));
        TRY(store_begin(store));
        TRY(store_bootstrap_adopt(store));
        for (size_t i = 0; i < init->invitations.count; i++)
                TRY(operator_put(store, init, &trust, &init->invitations.at[i]));
        TRY(store_audit_append(store, &record, NULL));
        return PASS(store_commit(store));
}

/* ---- SQLite: aside, then renamed */

static int folder_sync(const char *path)
{
        CLEANUP(mem_freep) char *copy = text_copy(path);
        CLEANUP(fd_closep) int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0 || fsync(fd) < 0)
                return fault(errno, "cannot make the folder of %s durable", path);
        return 0;
}

static void aside_remove(const char *path)
{
        static const char *const endings[] = {"", "-wal", "-shm", "-journal"};

        for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
                CLEANUP(mem_freep) char *name = text_format("%s%s", path, endings[i]);

                unlink(name);
        }
}

/* link() refuses where there is something, rename() would not. */
static int aside_place(const char *aside, const char *path)
{
        if (link(aside, path) < 0) {
                if (errno == EEXIST)
                        return refuse(PROBLEM_EXISTS, "There is a database at %s already; it is left as it is.",
                                      path);
                return fault(errno, "cannot put the database at %s", path);
        }
        return PASS(folder_sync(path));
}

static int create_file(const char *path, const struct msg_engine_init *init)
{
        CLEANUP(mem_freep) char *aside = text_format("%s.new-%d", path, (int)getpid());
        struct store *store = NULL;
        int r;

        if (access(path, F_OK) == 0)
                return refuse(PROBLEM_EXISTS, "There is a database at %s already; it is left as it is.", path);
        aside_remove(aside);
        r = store_open(aside, STORE_CREATE, &store);
        if (!r)
                r = fill(store, init);
        store_free(store);
        if (!r)
                r = aside_place(aside, path);
        aside_remove(aside);
        return PASS(r);
}

/* ---- PostgreSQL */

static int create_there(const char *location, const struct msg_engine_init *init)
{
        CLEANUP(store_freep) struct store *store = NULL;

        TRY(store_open(location, STORE_CREATE, &store));
        /* What a set-up left behind that was cut off before the chain began is written over. */
        if (!store_is_new(store))
                return refuse(PROBLEM_EXISTS,
                              "There is a server's data in that database already; it is left as it is.");
        return PASS(fill(store, init));
}

int engine_create(const char *location, const struct msg_engine_init *init)
{
        if (strncmp(location, "sqlite:", 7) == 0)
                location += 7;
        if (location[0] == '/' || (!strstr(location, "://") && !strchr(location, '=')))
                return PASS(create_file(location, init));
        return PASS(create_there(location, init));
}
