/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening archived keys with a quorum of officers. The engine hands over the terms, byte for byte what the officers
 * signed, the archive records and the approvals; nothing of that is believed. Records may come in slices of the
 * terms' list, in its order.
 *
 * A startup request is opened while sealed: by shares of f, with the trust record unverified until the database key
 * that it gives has verified it.
 */
#include "keeper/internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/archive.h"
#include "crypto/envelope.h"
#include "crypto/seal.h"
#include "crypto/statement.h"

/* One officer's contribution, once it was verified. */
struct contribution {
        const struct officer *officer;
        struct msg_partials partials;
};

struct opening {
        struct keeper *keeper;
        const struct trust *trust;
        const struct secret *transport;
        struct msg_keeper_open request;
        struct msg_terms terms;
        struct digest digest;
        struct point recipient;
        bool startup;
        size_t *positions; /* in the terms, of each record */
        struct contribution *contributions;
        size_t contribution_count;
        struct combiner combiner;
        struct msg_keeper_opened answer;
};

static void opening_done(struct opening *opening)
{
        for (size_t i = 0; i < opening->contribution_count; i++)
                msg_done(partials, &opening->contributions[i].partials);
        free(opening->contributions);
        free(opening->positions);
        msg_done(keeper_open, &opening->request);
        msg_done(terms, &opening->terms);
        msg_done(keeper_opened, &opening->answer);
}

/* ---- the terms -------------------------------------------------------------------------------------------- */

static int terms_check(struct opening *opening, const struct point *transport_public)
{
        const struct msg_terms *terms = &opening->terms;

        if (strcmp(msg_text(terms->kind), opening->startup ? "startup" : "recover") != 0)
                return refuse(opening->startup ? PROBLEM_SEALED : PROBLEM_STATE,
                              "A request of the kind \"%s\" cannot be opened while the server is %s.",
                              msg_text(terms->kind), keeper_state_name(opening->keeper));
        if (strcmp(msg_text(terms->server_id), msg_text(opening->trust->public.server_id)) != 0)
                return refuse(PROBLEM_STALE, "The request was approved for another server.");
        if (terms->expires <= clock_now())
                return refuse(PROBLEM_STALE, "The request has expired.");
        if (!bytes_equal(buf_view(&terms->transport), point_view(transport_public)))
                return refuse(PROBLEM_STALE, "The request names another transport key: ask anew.");
        TRY(point_parse(buf_view(&terms->recipient), &opening->recipient));
        if (!terms->items.count || !opening->request.archive.count)
                return refuse(PROBLEM_MALFORMED, "The request has no keys to open.");
        return 0;
}

static int shown_falsely(const struct msg_recovery_item *item)
{
        return refuse(PROBLEM_STALE, "What the officers were shown of archive record %llu is not what it is.",
                      (unsigned long long)item->record_id);
}

/* Officers decide by names and addresses, and the engine writes those. So they must be what a certificate of our own
 * says of this key; one for encryption, since only for those no engine chooses the key. */
static int owner_check(const struct opening *opening, const struct msg_archive_item *archive,
                       const struct msg_recovery_item *item)
{
        const struct authority *authority = &opening->keeper->authority;
        CLEANUP(certificate_done) struct certificate certificate = {0};
        struct digest hash;
        int r;

        TRY(certificate_parse(buf_view(&archive->certificate), &certificate));
        hash = spki_hash(certificate.spki);
        if (!bytes_equal(digest_view(&hash), buf_view(&item->spki_hash)) || !certificate.has_key_usage ||
            !certificate_may_encrypt(&certificate))
                return shown_falsely(item);
        r = pkey_verify_as(authority->issuer_key, certificate.signature_algorithm, certificate.tbs,
                           certificate.signature);
        if (r)
                return r < 0 ? PASS(r) : shown_falsely(item);
        for (size_t i = 0; i < certificate.address_count; i++)
                if (!msg_texts_have(&opening->terms.addresses, certificate_address(&certificate, i)))
                        return shown_falsely(item);
        return certificate.address_count ? 0 : shown_falsely(item);
}

/* The record of one item: the very bytes that the officers approved. */
static int record_check(const struct opening *opening, const struct msg_archive_item *archive, size_t position)
{
        const struct msg_terms *terms = &opening->terms;
        const struct msg_recovery_item *item = &terms->items.at[position];
        struct archive_record record;
        struct digest hash = sha256(buf_view(&archive->record));

        if (!bytes_equal(digest_view(&hash), buf_view(&item->record_hash)) ||
            strcmp(msg_text(archive->user), msg_text(terms->user)) != 0)
                return refuse(PROBLEM_STALE, "Archive record %llu is not the one that was approved.",
                              (unsigned long long)item->record_id);
        TRY(archive_parse(buf_view(&archive->record), &record));
        if (!bytes_equal(point_view(&record.r), buf_view(&item->point)))
                return shown_falsely(item);
        return opening->startup ? 0 : PASS(owner_check(opening, archive, item));
}

static int records_check(struct opening *opening)
{
        const struct msg_terms *terms = &opening->terms;
        size_t position = 0;

        opening->positions = mem_array(opening->request.archive.count, sizeof(size_t));
        for (size_t i = 0; i < opening->request.archive.count; i++) {
                const struct msg_archive_item *archive = &opening->request.archive.at[i];

                while (position < terms->items.count && terms->items.at[position].record_id != archive->record_id)
                        position++;
                if (position == terms->items.count)
                        return refuse(PROBLEM_STALE, "Archive record %llu was not approved, or is not in its order.",
                                      (unsigned long long)archive->record_id);
                TRY(record_check(opening, archive, position));
                opening->positions[i] = position++;
        }
        return 0;
}

/* ---- the approvals ---------------------------------------------------------------------------------------- */

static int partials_check(const struct opening *opening, const struct officer *officer,
                          const struct msg_partials *partials)
{
        struct partial_context context = {.index = officer->index,
                                          .public_share =
                                              opening->startup ? officer->startup_share : officer->archive_share,
                                          .context = opening->digest};

        if (partials->points.len != opening->terms.items.count * POINT_SIZE ||
            partials->proof.len != opening->terms.items.count * PROOF_SIZE)
                return refuse(PROBLEM_PARTIAL_FALSE, "The contribution of officer \"%s\" is not for these keys.",
                              officer->name);
        for (size_t i = 0; i < opening->request.archive.count; i++) {
                const struct msg_recovery_item *item = &opening->terms.items.at[opening->positions[i]];
                struct partial partial;
                struct point r;

                TRY(point_parse(buf_view(&item->point), &r));
                TRY(partial_parse(secret_view(&partials->points), buf_view(&partials->proof), opening->positions[i],
                                  &partial));
                TRY(partial_verify(&context, &r, &partial));
        }
        return 0;
}

static int approval_check(const struct opening *opening, const struct msg_approval_item *approval,
                          const struct officer *officer, struct msg_partials *ret_partials)
{
        CLEANUP(buf_done) struct buf statement = BUF_NONE;
        CLEANUP(secret_done) struct secret plain = SECRET_NONE;
        MSG_OWN(partials) partials = {0};

        if (!officer || !officer->admitted)
                return refuse(PROBLEM_FORBIDDEN, "\"%s\" is no officer of this server.", msg_text(approval->officer));
        if (!bytes_equal(buf_view(&approval->digest), digest_view(&opening->digest)))
                return refuse(PROBLEM_STALE, "Officer \"%s\" approved something else.", officer->name);
        approval_statement(&opening->digest, buf_view(&approval->box), &statement);
        if (!signature_right(&officer->key, buf_view(&statement), buf_view(&approval->signature)))
                return refuse(PROBLEM_UNAUTHENTICATED, "The approval of officer \"%s\" is not signed by him.",
                              officer->name);
        TRY(box_open(opening->transport, digest_view(&opening->digest), buf_view(&approval->box), &plain));
        TRY(msg_decode(partials, secret_view(&plain), &partials));
        TRY(partials_check(opening, officer, &partials));
        *ret_partials = partials;
        partials = (struct msg_partials){0};
        return 0;
}

static bool has_contributed(const struct opening *opening, const struct officer *officer)
{
        for (size_t i = 0; i < opening->contribution_count; i++)
                if (opening->contributions[i].officer == officer)
                        return true;
        return false;
}

/* Every approval is verified, and each one that is not right is named, so that one false officer can be left out the
 * next time. */
static int approvals_check(struct opening *opening)
{
        opening->contributions = mem_array(opening->request.approvals.count, sizeof(*opening->contributions));
        for (size_t i = 0; i < opening->request.approvals.count; i++) {
                const struct msg_approval_item *approval = &opening->request.approvals.at[i];
                const struct officer *officer = trust_officer(opening->trust, msg_text(approval->officer));
                struct contribution *next = &opening->contributions[opening->contribution_count];
                int r;

                if (officer && has_contributed(opening, officer))
                        return refuse(PROBLEM_QUORUM, "Officer \"%s\" is there twice.", officer->name);
                r = approval_check(opening, approval, officer, &next->partials);
                if (r < 0)
                        return PASS(r);
                if (r == 0) {
                        next->officer = officer;
                        opening->contribution_count++;
                } else if (!msg_texts_have(&opening->answer.struck, msg_text(approval->officer))) {
                        msg_texts_add(&opening->answer.struck, msg_text(approval->officer));
                }
        }
        return 0;
}

static int quorum_take(struct opening *opening)
{
        unsigned indexes[SHARES_MOST], quorum = opening->trust->archive.quorum;

        if (opening->contribution_count < quorum)
                return refuse(PROBLEM_QUORUM, "%zu of the %u officers that are needed have approved.",
                              opening->contribution_count, quorum);
        for (unsigned i = 0; i < quorum; i++)
                indexes[i] = opening->contributions[i].officer->index;
        return PASS(combiner_init(&opening->combiner, indexes, quorum));
}

/* ---- opening ---------------------------------------------------------------------------------------------- */

/* x(S) of the record number i, from the partials of the quorum. */
static int shared_secret(const struct opening *opening, size_t i, struct secret *ret_x)
{
        struct point points[SHARES_MOST];
        int r = 0;

        for (unsigned k = 0; !r && k < opening->combiner.count; k++) {
                const struct msg_partials *partials = &opening->contributions[k].partials;
                size_t at = opening->positions[i] * POINT_SIZE;

                r = point_parse(bytes_of(partials->points.data + at, POINT_SIZE), &points[k]);
        }
        if (!r)
                r = combiner_agree(&opening->combiner, points, ret_x);
        memory_wipe(points, sizeof(points));
        return PASS(r);
}

static int record_open(struct opening *opening, size_t i)
{
        const struct msg_archive_item *archive = &opening->request.archive.at[i];
        const struct msg_recovery_item *item = &opening->terms.items.at[opening->positions[i]];
        struct archive_subject subject = {.record_id = item->record_id,
                                          .user_id = bytes_text(msg_text(opening->terms.user))};
        CLEANUP(secret_done) struct secret x = SECRET_NONE, pkcs8 = SECRET_NONE;
        struct msg_key_envelope *key;
        struct archive_record record;

        memcpy(subject.spki_hash.data, item->spki_hash.data, DIGEST_SIZE);
        TRY(shared_secret(opening, i, &x));
        TRY(archive_parse(buf_view(&archive->record), &record));
        TRY(archive_open(&x, &opening->keeper->keys.archive, &subject, &record, &pkcs8));
        key = MSG_LIST_ADD(opening->answer.keys);
        key->record_id = item->record_id;
        buf_add_bytes(&key->certificate, buf_view(&archive->certificate));
        return PASS(envelope_seal(&opening->recipient, &pkcs8, ENVELOPE_GCM, &key->envelope));
}

/* The database key itself: unseal with it, which verifies the trust record, and give it a new startup secret. */
static int database_open(struct opening *opening)
{
        struct keeper *keeper = opening->keeper;
        const char *server_id = msg_text(opening->trust->public.server_id);
        CLEANUP(secret_done) struct secret x = SECRET_NONE, database = SECRET_NONE, startup = SECRET_NONE;
        struct archive_subject subject;
        struct archive_record record;

        if (!bytes_equal(buf_view(&opening->request.archive.at[0].record), buf_view(&keeper->records.database_key)))
                return refuse(PROBLEM_STALE, "The record is not the database key that was loaded.");
        database_subject(server_id, &subject);
        TRY(shared_secret(opening, 0, &x));
        TRY(archive_parse(buf_view(&keeper->records.database_key), &record));
        TRY(archive_open(&x, NULL, &subject, &record, &database));
        TRY(wrap_make(keeper, bytes_text(server_id), &database, &startup, &opening->answer.wrap));
        TRY(envelope_seal(&opening->recipient, &startup, ENVELOPE_GCM, &opening->answer.startup_envelope));
        TRY(keeper_unseal_with(keeper, &database));
        buf_clear(&keeper->records.wrap);
        buf_add_bytes(&keeper->records.wrap, buf_view(&opening->answer.wrap));
        return 0;
}

static int opening_run(struct opening *opening, const struct point *transport_public)
{
        TRY(msg_decode(terms, buf_view(&opening->request.terms), &opening->terms));
        opening->digest = terms_digest(buf_view(&opening->request.terms));
        TRY(terms_check(opening, transport_public));
        TRY(records_check(opening));
        TRY(approvals_check(opening));
        if (opening->answer.struck.count)
                return 0;
        TRY(quorum_take(opening));
        if (opening->startup)
                return PASS(database_open(opening));
        for (size_t i = 0; i < opening->request.archive.count; i++)
                TRY(record_open(opening, i));
        return 0;
}

int handle_open(struct keeper *keeper, struct bytes payload, struct keeper_reply *reply)
{
        CLEANUP(trust_done) struct trust unverified = {0};
        CLEANUP(opening_done) struct opening opening = {.keeper = keeper, .startup = keeper->state == KEEPER_SEALED};

        TRY(msg_decode(keeper_open, payload, &opening.request));
        if (opening.startup) {
                TRY(trust_parse(buf_view(&keeper->records.trust), &unverified));
                opening.trust = &unverified;
                opening.transport = &keeper->transport;
                TRY(opening_run(&opening, &keeper->transport_public));
        } else {
                opening.trust = &keeper->trust;
                opening.transport = &keeper->keys.transport;
                TRY(opening_run(&opening, &keeper->keys.transport_public));
        }
        return PASS(reply_with(reply, keeper_opened, &opening.answer));
}
