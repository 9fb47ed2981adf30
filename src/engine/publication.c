/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the directory is to have of each user. A job in the queue says only which entry is to be brought up to date;
 * what the values are is decided when it is given out. So however long the directory was away, one job an entry is
 * enough, it can be repeated, and nobody is ever given an older state after a newer one.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "engine/people.h"
#include "engine/publication.h"

#define KIND           "publish-user"
#define SUBJECT_PREFIX "directory "
#define SWEPT          "publication-swept"

enum { CERTIFICATES_MOST = 16, SWEEP_MOST = 50 };

/* ---- jobs */

int publication_push(struct engine *engine, const struct id *guid)
{
        CLEANUP(job_row_done) struct job_row job = {0};
        char text[ID_TEXT_SIZE];

        job.kind = text_copy(KIND);
        /* Not the user: a mail to him that waits is not to hold this up. */
        job.subject = text_format(SUBJECT_PREFIX "%s", id_text(guid, text));
        job.created = job.due = engine_now(engine);
        TRY(store_job_push_once(engine->store, &job));
        outbound_wake(engine, KIND);
        return 0;
}

int publication_queue(struct engine *engine, const struct id *user)
{
        CLEANUP(user_row_done) struct user_row row = {0};

        if (!engine->config.publish_directory)
                return 0;
        TRY(store_user_find(engine->store, user, &row));
        return PASS(publication_push(engine, &row.guid));
}

int publication_queue_entry(struct engine *engine, const struct id *guid)
{
        CLEANUP(user_row_done) struct user_row user = {0};
        int r;

        if (!engine->config.publish_directory)
                return 0;
        r = store_user_find_guid(engine->store, guid, &user);
        if (r == PROBLEM_NOT_FOUND)
                return 0;
        TRY(r);
        return PASS(publication_push(engine, guid));
}

int publication_folder(struct engine *engine, const char *address, struct bytes certificate)
{
        CLEANUP(job_row_done) struct job_row job = {0};

        if (!engine->config.publish_users || !*address)
                return 0;
        job.kind = text_copy(certificate.len ? "publish-file" : "remove-file");
        job.subject = text_format("users/%s.cer", address);
        job.created = job.due = engine_now(engine);
        if (certificate.len)
                job.payload = secret_copy(certificate);
        return PASS(store_job_push(engine->store, &job));
}

/* A later holder of his address has a file of the same name. */
int publication_folder_end(struct engine *engine, const struct user_row *user)
{
        CLEANUP(user_row_done) struct user_row holder = {0};
        int r;

        if (!engine->config.publish_users)
                return 0;
        r = store_user_find_address(engine->store, msg_text(user->address), &holder);
        if (r && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        if (r == 0 && !id_equal(&holder.id, &user->id) && strcmp(msg_text(holder.address), user->address) == 0 &&
            (holder.state == USER_ENROLLED || holder.state == USER_RECOVERY))
                return 0;
        return PASS(publication_folder(engine, msg_text(user->address), BYTES_NONE));
}

static int folder_again(struct engine *engine, const struct user_row *user)
{
        CLEANUP(certificate_rows_done) struct certificate_rows rows = {0};

        TRY(certificates_of(engine, &user->id, CERTIFICATE_ENCRYPTION, CERTIFICATE_VALID, &rows));
        for (size_t i = 0; i < rows.count; i++)
                if (texts_have(&rows.items[i].addresses, user->address) && rows.items[i].not_after > engine_now(engine))
                        return PASS(publication_folder(engine, user->address, buf_view(&rows.items[i].der)));
        return 0;
}

static bool entry_serves(const struct entry_row *entry, const struct user_row *user)
{
        return !entry->gone && texts_have(&entry->addresses, msg_text(user->address));
}

int publication_folder_follow(struct engine *engine, const struct entry_row *entry)
{
        CLEANUP(entry_row_done) struct entry_row before = {0};
        CLEANUP(user_row_done) struct user_row user = {0};
        int r;

        if (!engine->config.publish_users || !entry->row.version)
                return 0;
        TRY(store_entry_find(engine->store, &entry->guid, &before));
        r = store_user_find_guid(engine->store, &entry->guid, &user);
        if (r)
                return r == PROBLEM_NOT_FOUND ? 0 : PASS(r);
        if (entry_serves(&before, &user) == entry_serves(entry, &user))
                return 0;
        return entry_serves(entry, &user) ? PASS(folder_again(engine, &user))
                                          : PASS(publication_folder(engine, user.address, BYTES_NONE));
}

/* ---- values */

struct collecting {
        struct engine *engine;
        struct msg_directory_values *values;
};

static int certificate_add(void *context, struct certificate_row *row)
{
        struct collecting *collecting = context;
        int64_t now = engine_now(collecting->engine);

        if (row->not_before > now || row->not_after < now ||
            collecting->values->certificates.count >= CERTIFICATES_MOST)
                return 0;
        MSG_LIST_ADD(collecting->values->certificates)->value = buf_take(&row->der);
        return 0;
}

/* A certificate that is neither revoked, superseded nor expired. */
static int serial_is_current(struct engine *engine, const uint8_t *serial, bool *ret_current)
{
        CLEANUP(certificate_row_done) struct certificate_row row = {0};
        int64_t now = engine_now(engine);

        TRY(store_certificate_find(engine->store, serial, &row));
        *ret_current = row.state == CERTIFICATE_VALID && row.not_before <= now && row.not_after >= now;
        return 0;
}

int publication_smime(struct engine *engine, const struct id *user, struct buf *ret_value)
{
        CLEANUP(smime_row_done) struct smime_row row = {0};
        bool signature = false, encryption = false;
        int r = store_smime_find(engine->store, user, &row);

        if (r == PROBLEM_NOT_FOUND)
                return 0;
        TRY(r);
        TRY(serial_is_current(engine, row.signature_serial, &signature));
        TRY(serial_is_current(engine, row.encryption_serial, &encryption));
        if (signature && encryption)
                *ret_value = buf_take(&row.value);
        return 0;
}

/* Of no user, or of one who has left: none at all. */
static int values_of_user(struct engine *engine, const struct entry_row *entry, struct msg_directory_values *values)
{
        CLEANUP(user_row_done) struct user_row user = {0};
        struct collecting collecting = {engine, values};
        int r = entry->gone ? PROBLEM_NOT_FOUND : store_user_find_guid(engine->store, &entry->guid, &user);

        if (r == PROBLEM_NOT_FOUND)
                return 0;
        TRY(r);
        TRY(store_certificate_list(engine->store, &user.id, CERTIFICATE_ENCRYPTION, CERTIFICATE_VALID, &collecting,
                                   certificate_add));
        return PASS(publication_smime(engine, &user.id, &values->smime));
}

int publication_values(struct engine *engine, const struct entry_row *entry, struct msg_directory_values *ret_values)
{
        char text[ID_TEXT_SIZE];

        ret_values->guid = text_copy(id_text(&entry->guid, text));
        ret_values->dn = text_copy(msg_text(entry->name));
        buf_add_bytes(&MSG_LIST_ADD(ret_values->issuers)->value, buf_view(&engine->trust.issuer));
        return PASS(values_of_user(engine, entry, ret_values));
}

int publication_fill(struct engine *engine, struct job_row *job, struct buf *ret_content)
{
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        MSG_OWN(directory_values) values = {0};
        struct id guid;
        int r;

        if (strncmp(msg_text(job->subject), SUBJECT_PREFIX, strlen(SUBJECT_PREFIX)) != 0)
                return refuse(PROBLEM_MALFORMED, "The job's subject \"%s\" names no entry.", msg_text(job->subject));
        TRY(id_parse(bytes_text(job->subject + strlen(SUBJECT_PREFIX)), &guid));
        r = store_entry_find(engine->store, &guid, &entry);
        if (r == PROBLEM_NOT_FOUND)
                entry.guid = guid;
        else
                TRY(r);
        TRY(publication_values(engine, &entry, &values));
        return PASS(msg_encode(directory_values, &values, ret_content));
}

/* ---- expiry */

static int swept_load(struct engine *engine, struct setting_row *ret_row, struct store_certificate_place *ret_place)
{
        int r = store_setting_find(engine->store, SWEPT, ret_row);

        *ret_place = (struct store_certificate_place){0};
        if (r == PROBLEM_NOT_FOUND) {
                ret_row->name = text_copy(SWEPT);
                return 0;
        }
        TRY(r);
        if (ret_row->value.len != 8 + SERIAL_SIZE)
                return refuse(PROBLEM_TAMPERED, "The setting %s has another size than it is stored with.", SWEPT);
        ret_place->not_after = (int64_t)u64_of(ret_row->value.data);
        memcpy(ret_place->serial, ret_row->value.data + 8, SERIAL_SIZE);
        return 0;
}

static int swept_store(struct engine *engine, const struct store_certificate_place *place, struct setting_row *row)
{
        buf_clear(&row->value);
        buf_add_u64(&row->value, (uint64_t)place->not_after);
        buf_add(&row->value, place->serial, SERIAL_SIZE);
        return PASS(store_setting_put(engine->store, row));
}

struct sweep {
        struct engine *engine;
        struct store_certificate_place place;
        size_t count;
};

static int folder_expired(struct engine *engine, const struct id *id)
{
        CLEANUP(certificate_rows_done) struct certificate_rows rows = {0};
        CLEANUP(user_row_done) struct user_row user = {0};

        if (!engine->config.publish_users)
                return 0;
        TRY(certificates_of(engine, id, CERTIFICATE_ENCRYPTION, CERTIFICATE_VALID, &rows));
        for (size_t i = 0; i < rows.count; i++)
                if (rows.items[i].not_after >= engine_now(engine))
                        return 0;
        TRY(store_user_find(engine->store, id, &user));
        return PASS(publication_folder_end(engine, &user));
}

static int expired_one(void *context, struct certificate_row *row)
{
        struct sweep *sweep = context;

        sweep->place.not_after = row->not_after;
        memcpy(sweep->place.serial, row->serial, SERIAL_SIZE);
        sweep->count++;
        if (id_is_none(&row->user))
                return 0;
        TRY(folder_expired(sweep->engine, &row->user));
        return PASS(publication_queue(sweep->engine, &row->user));
}

int publication_sweep(struct engine *engine)
{
        struct sweep sweep = {.engine = engine};
        CLEANUP(setting_row_done) struct setting_row setting = {0};
        CLEANUP(mem_freep) char *details = NULL;

        if (!engine->config.publish_directory && !engine->config.publish_users)
                return 0;
        TRY(swept_load(engine, &setting, &sweep.place));
        TRY(store_certificate_list_expired(engine->store, &sweep.place, engine_now(engine), SWEEP_MOST, &sweep,
                                           expired_one));
        if (!sweep.count)
                return 0;
        TRY(swept_store(engine, &sweep.place, &setting));
        details = text_format("%zu certificates have expired", sweep.count);
        return PASS(engine_audit_server(engine, "server.publication", "", "done", details));
}
