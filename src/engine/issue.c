/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and archived keys: asked of a keeper, and what it made put into the database. */
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/certificate.h"
#include "crypto/csr.h"
#include "engine/publication.h"
#include "engine/use.h"

/* ---- record ids: on the wire a number, in the store 16 bytes */

uint64_t record_id_new(struct engine *engine)
{
        uint64_t random = 0, id;

        /* Milliseconds in 42 bits, then 21 random ones: in the order of creation, and distinct between servers. */
        random_fill(&random, sizeof(random));
        id = ((uint64_t)engine_now(engine) * 1000) << 21 | (random & ((1u << 21) - 1));
        id &= INT64_MAX;
        if (id <= engine->last_record_id)
                id = engine->last_record_id + 1;
        engine->last_record_id = id;
        return id;
}

struct id record_id_store(uint64_t record_id)
{
        struct id id = ID_NONE;

        for (unsigned i = 0; i < 8; i++)
                id.data[8 + i] = (uint8_t)(record_id >> (56 - 8 * i));
        return id;
}

uint64_t record_id_wire(const struct id *id)
{
        return u64_of(id->data + 8);
}

/* ---- asking */

static bool profile_is_pooled(const char *profile)
{
        return strncmp(profile, "rsa", 3) == 0;
}

int issue_ask(struct request *request, struct token_use *use, bool signature_only,
              int (*resume)(struct request *request, int result, struct bytes reply))
{
        struct engine *engine = request->engine;
        MSG_OWN(keeper_enroll) ask = {0};
        int64_t now = engine_now(engine);

        msg_done(subject, &use->subject);
        TRY(subject_of(engine, &use->user, &use->subject));
        use->record_id = record_id_new(engine);
        ask.encryption_profile = text_copy(engine->config.encryption_profile);
        if (!signature_only && profile_is_pooled(ask.encryption_profile)) {
                TRY(pool_reserve(engine, ask.encryption_profile, &use->pool));
                if (use->pool)
                        buf_add_bytes(&ask.pool_key, buf_view(&use->pool->row.wrapped));
        }
        buf_add_bytes(&ask.spki, buf_view(&use->spki));
        /* Of a recovery, all keys are for the point that the officers saw. */
        buf_add_bytes(&ask.recipient,
                      buf_view(use->token.kind == TOKEN_RECOVER ? &use->token.recipient : &use->ask.recipient));
        ask.record_id = use->record_id;
        ask.not_before = now - engine->config.backdate;
        ask.signature_not_after = now + engine->config.signature_lifetime;
        ask.encryption_not_after = now + engine->config.encryption_lifetime;
        ask.signature_only = signature_only;
        /* Lent for the encoding: it is shown again when the answer is there. */
        *MSG_LIST_ADD(ask.subject) = use->subject;
        int r = request_keeper(request, MSG_keeper_enroll, &ask, resume);
        ask.subject.at[0] = (struct msg_subject){0};
        return PASS(r);
}

/* ---- storing */

void issued_done(struct issued *issued)
{
        certificate_row_done(&issued->certificate);
        buf_done(&issued->spki);
}

int issued_read(struct engine *engine, struct bytes der, const struct id *user, int kind, struct issued *ret_issued)
{
        CLEANUP(certificate_done) struct certificate parsed = {0};
        struct certificate_row *row = &ret_issued->certificate;
        struct digest hash;

        TRY(certificate_parse(der, &parsed));
        if (parsed.serial.len > SERIAL_SIZE)
                return fault(EPROTO, "a keeper gave a serial number of %zu bytes", parsed.serial.len);
        memcpy(row->serial + SERIAL_SIZE - parsed.serial.len, parsed.serial.data, parsed.serial.len);
        hash = spki_hash(parsed.spki);
        memcpy(row->spki_hash, hash.data, HASH_SIZE);
        row->user = *user;
        row->kind = kind;
        row->state = CERTIFICATE_VALID;
        row->issued = engine_now(engine);
        row->not_before = parsed.not_before;
        row->not_after = parsed.not_after;
        row->profile = text_copy(engine->config.encryption_profile);
        for (size_t i = 0; i < parsed.address_count; i++)
                TRY(texts_add(&row->addresses, certificate_address(&parsed, i)));
        buf_add_bytes(&row->der, der);
        buf_add_bytes(&ret_issued->spki, parsed.spki);
        return 0;
}

/* What was valid until now: encryption certificates are superseded; signature certificates too, or revoked. */
static int former_certificates(struct engine *engine, const struct id *user, int kind, bool revoke)
{
        CLEANUP(certificate_rows_done) struct certificate_rows rows = {0};

        TRY(certificates_of(engine, user, kind, CERTIFICATE_VALID, &rows));
        for (size_t i = 0; i < rows.count; i++) {
                if (revoke) {
                        TRY(certificate_revoke(engine, &rows.items[i], 4 /* superseded */));
                        continue;
                }
                TRY(row_advance(&certificate_states, &rows.items[i].state, CERTIFICATE_SUPERSEDE));
                TRY(store_certificate_put(engine->store, &rows.items[i]));
        }
        return 0;
}

static int former_archives(struct engine *engine, const struct id *user)
{
        CLEANUP(archive_rows_done) struct archive_rows rows = {0};

        TRY(archives_of(engine, user, &rows));
        for (size_t i = 0; i < rows.count; i++) {
                if (rows.items[i].state == ARCHIVE_FORMER)
                        continue;
                rows.items[i].state = ARCHIVE_FORMER;
                TRY(store_archive_put(engine->store, &rows.items[i]));
        }
        return 0;
}

static int archive_store(struct engine *engine, const struct token_use *use, const struct issued *encryption,
                         struct bytes record)
{
        CLEANUP(archive_row_done) struct archive_row row = {0};

        row.id = record_id_store(use->record_id);
        row.user = use->user.id;
        row.state = ARCHIVE_CURRENT;
        memcpy(row.serial, encryption->certificate.serial, SERIAL_SIZE);
        memcpy(row.spki_hash, encryption->certificate.spki_hash, HASH_SIZE);
        row.archive_key = 1;
        row.created = engine_now(engine);
        buf_add_bytes(&row.record, record);
        return PASS(store_archive_add(engine->store, &row));
}

static int encryption_store(struct engine *engine, struct token_use *use, const struct msg_keeper_enrolled *made)
{
        CLEANUP(issued_done) struct issued encryption = {0};

        TRY(issued_read(engine, buf_view(&made->encryption_certificate), &use->user.id, CERTIFICATE_ENCRYPTION,
                        &encryption));
        TRY(former_certificates(engine, &use->user.id, CERTIFICATE_ENCRYPTION, false));
        TRY(store_certificate_add(engine->store, &encryption.certificate));
        TRY(former_archives(engine, &use->user.id));
        TRY(archive_store(engine, use, &encryption, buf_view(&made->archive_record)));
        return use->pool ? PASS(pool_consume(use->pool)) : 0;
}

int issue_store(struct request *request, struct token_use *use, const struct msg_keeper_enrolled *made, bool revoke)
{
        struct engine *engine = request->engine;
        CLEANUP(issued_done) struct issued signature = {0};

        TRY(issued_read(engine, buf_view(&made->signature_certificate), &use->user.id, CERTIFICATE_SIGNATURE,
                        &signature));
        if (!bytes_equal(buf_view(&signature.spki), buf_view(&use->spki)))
                return fault(EPROTO, "a keeper certified another key than the one that was asked");
        TRY(former_certificates(engine, &use->user.id, CERTIFICATE_SIGNATURE, revoke));
        TRY(store_certificate_add(engine->store, &signature.certificate));
        if (made->encryption_certificate.len)
                TRY(encryption_store(engine, use, made));
        free(use->user.cn);
        use->user.cn = text_copy(msg_text(use->subject.name));
        /* The address is that of his file in the web folder, whose certificate stays as it is in a recovery. */
        if (made->encryption_certificate.len || !msg_texts_have(&use->subject.addresses, msg_text(use->user.address))) {
                free(use->user.address);
                use->user.address = text_copy(use->subject.addresses.at[0]);
        }
        use->user.enrolled = engine_now(engine);
        if (made->encryption_certificate.len)
                TRY(publication_folder(engine, use->user.address, buf_view(&made->encryption_certificate)));
        TRY(publication_queue(engine, &use->user.id));
        return PASS(store_user_put(engine->store, &use->user));
}
