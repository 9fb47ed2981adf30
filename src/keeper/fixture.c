/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/fixture.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/archive.h"
#include "crypto/seal.h"
#include "crypto/statement.h"
#include "crypto/token.h"

static void must(int result)
{
        if (result == 0)
                return;
        fprintf(stderr, "fixture: %d: %s (%s)\n", result, report_text(), report_trace());
        abort();
}

static void replace(char **text, const char *by)
{
        free(*text);
        *text = text_copy(by);
}

/* ---- asking ----------------------------------------------------------------------------------------------- */

int fixture_ask_as(struct fixture *fixture, enum keeper_peer peer, enum msg_kind kind, const void *message,
                   struct keeper_reply *ret_answer)
{
        CLEANUP(secret_done) struct secret encoded = SECRET_NONE;
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        MSG_OWN(problem) problem = {0};

        must(message_encode_secret(msg_record_of_kind(kind), message, &encoded));
        TRY(keeper_handle(&fixture->keeper, peer, (uint16_t)kind, secret_view(&encoded), &answer));
        if (answer.kind == MSG_problem) {
                must(msg_decode(problem, keeper_reply_view(&answer), &problem));
                return refuse(problem_from_code(problem.code) ?: PROBLEM_COUNT, "%s", msg_text(problem.detail));
        }
        *ret_answer = answer;
        answer = (struct keeper_reply){0};
        return 0;
}

int fixture_ask(struct fixture *fixture, enum msg_kind kind, const void *message, struct keeper_reply *ret_answer)
{
        return fixture_ask_as(fixture, PEER_ENGINE, kind, message, ret_answer);
}

/* ---- set-up ----------------------------------------------------------------------------------------------- */

static void operator_add(struct msg_keeper_init *request, const char *name, const char *role)
{
        struct msg_operator_setup *operator = MSG_LIST_ADD(request->operators);

        operator->operator = text_copy(name);
        msg_texts_add(&operator->roles, role);
}

static void fixture_setup(struct fixture *fixture)
{
        MSG_OWN(keeper_init) request = {0};
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *tls = NULL;

        request.organisation = text_copy("Example");
        request.url = text_copy("http://ca.example.org");
        operator_add(&request, "ada", "officer");
        operator_add(&request, "rob", "registrar");
        operator_add(&request, "ben", "officer");
        operator_add(&request, "cyd", "officer");
        request.quorum = 2;
        request.root_password = secret_copy(bytes_text("root password"));
        msg_texts_add(&request.host_names, "ca.example.org");
        request.root_lifetime = request.issuer_lifetime = 3650ull * 86400;
        request.tls_lifetime = 90ull * 86400;
        must(pkey_generate(PKEY_P256, &tls));
        must(pkey_to_spki(tls, &request.tls_spki));
        must(fixture_ask_as(fixture, PEER_SETUP, MSG_keeper_init, &request, &answer));
        must(msg_decode(keeper_init_done, keeper_reply_view(&answer), &fixture->setup));
        must(msg_decode(trust_public, buf_view(&fixture->setup.trust), &fixture->trust));
}

/* What an officer's machine does with his code. */
static void officer_accept(struct fixture *fixture, unsigned officer, const char *name)
{
        CLEANUP(token_done) struct token code = TOKEN_NONE;
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE, plain = SECRET_NONE;
        MSG_OWN(share_pair) pair = {0};
        struct digest basis;
        struct point public;

        for (size_t i = 0; i < fixture->setup.codes.count; i++) {
                if (strcmp(fixture->setup.codes.at[i].operator, name) != 0)
                        continue;
                must(token_parse(secret_view(&fixture->setup.codes.at[i].code), &code));
                must(token_recipient(&code, &scalar, &public));
                must(box_open(&scalar, bytes_text(SHARES_CONTEXT), buf_view(&fixture->setup.invitations.at[i].shares),
                              &plain));
        }
        must(msg_decode(share_pair, secret_view(&plain), &pair));
        if (pair.index != officer + 1)
                abort();
        basis = trust_basis(bytes_text(fixture->trust.server_id), buf_view(&fixture->trust.root), buf_view(&fixture->trust.transport_key),
                            buf_view(&fixture->trust.archive_commitments), buf_view(&fixture->trust.startup_commitments));
        if (!bytes_equal(digest_view(&basis), buf_view(&pair.basis)))
                abort();
        fixture->archive_shares[officer] = secret_take(&pair.archive_share);
        fixture->startup_shares[officer] = secret_take(&pair.startup_share);
        must(scalar_random(&fixture->signing[officer]));
}

static void fixture_load(struct fixture *fixture)
{
        struct msg_keeper_load load = {{fixture->setup.records.at, 1}, 0};
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};

        must(fixture_ask(fixture, MSG_keeper_load, &load, &answer));
}

void fixture_init(struct fixture *fixture)
{
        *fixture = (struct fixture){0};
        must(keeper_init(&fixture->keeper));
        fixture->keeper.cost = PASSWORD_COST_TESTS;
        fixture_setup(fixture);
        officer_accept(fixture, 0, "ada");
        officer_accept(fixture, 1, "ben");
        officer_accept(fixture, 2, "cyd");
        must(scalar_random(&fixture->recipient));
        must(point_of_scalar(&fixture->recipient, &fixture->recipient_public));
        fixture_load(fixture);
}

void fixture_restart(struct fixture *fixture)
{
        keeper_done(&fixture->keeper);
        must(keeper_init(&fixture->keeper));
        fixture->keeper.cost = PASSWORD_COST_TESTS;
        fixture_load(fixture);
}

void fixture_done(struct fixture *fixture)
{
        keeper_done(&fixture->keeper);
        msg_done(keeper_init_done, &fixture->setup);
        msg_done(trust_public, &fixture->trust);
        for (unsigned i = 0; i < OFFICERS; i++) {
                secret_done(&fixture->archive_shares[i]);
                secret_done(&fixture->startup_shares[i]);
                secret_done(&fixture->signing[i]);
        }
        secret_done(&fixture->recipient);
        for (size_t i = 0; i < fixture->key_count; i++)
                msg_done(archive_item, &fixture->keys[i]);
}

void fixture_unseal(struct fixture *fixture)
{
        struct msg_unseal request = {fixture->setup.startup_secret, 0};
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};

        must(fixture_ask_as(fixture, PEER_LOCAL, MSG_unseal, &request, &answer));
}

static void officer_admit(struct fixture *fixture, unsigned officer)
{
        MSG_OWN(keeper_admit) request = {0};
        MSG_OWN(keeper_admitted) admitted = {0};
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        CLEANUP(buf_done) struct buf statement = BUF_NONE;
        struct msg_keeper_records *records = &fixture->setup.records.at[0];
        uint8_t signature[SIGNATURE_SIZE];
        struct point key;

        request.officer = text_copy(fixture->trust.officers.at[officer].name);
        must(point_of_scalar(&fixture->signing[officer], &key));
        must(point_to_spki(&key, &request.public_key));
        officer_statement(bytes_text(fixture->trust.server_id), buf_view(&request.public_key), &statement);
        must(signature_make(&fixture->archive_shares[officer], buf_view(&statement), signature));
        buf_add(&request.share_signature, signature, sizeof(signature));
        must(fixture_ask(fixture, MSG_keeper_admit, &request, &answer));
        must(msg_decode(keeper_admitted, keeper_reply_view(&answer), &admitted));
        buf_done(&records->trust);
        records->trust = buf_take(&admitted.trust);
        records->trust_number = admitted.trust_number;
        msg_done(trust_public, &fixture->trust);
        must(msg_decode(trust_public, buf_view(&admitted.trust_public), &fixture->trust));
        fixture_load(fixture);
}

void fixture_admit(struct fixture *fixture)
{
        for (unsigned i = 0; i < OFFICERS; i++)
                officer_admit(fixture, i);
}

/* ---- users ------------------------------------------------------------------------------------------------ */

static void enroll_request(const struct fixture *fixture, struct msg_keeper_enroll *request)
{
        struct msg_subject *subject = MSG_LIST_ADD(request->subject);
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;

        subject->user = text_copy("user");
        subject->name = text_copy("Zoë Ångström");
        msg_texts_add(&subject->addresses, "zoe@example.org");
        must(pkey_generate(PKEY_P256, &key));
        must(pkey_to_spki(key, &request->spki));
        buf_add_bytes(&request->recipient, point_view(&fixture->recipient_public));
        request->record_id = 100 + fixture->key_count;
        request->encryption_profile = text_copy("p256");
        request->not_before = clock_now() - 60;
        request->signature_not_after = request->encryption_not_after = clock_now() + 86400;
}

void fixture_enroll(struct fixture *fixture)
{
        MSG_OWN(keeper_enroll) request = {0};
        MSG_OWN(keeper_enrolled) enrolled = {0};
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        struct msg_archive_item *key = &fixture->keys[fixture->key_count];

        enroll_request(fixture, &request);
        must(fixture_ask(fixture, MSG_keeper_enroll, &request, &answer));
        must(msg_decode(keeper_enrolled, keeper_reply_view(&answer), &enrolled));
        *key = (struct msg_archive_item){.record_id = request.record_id, .user = text_copy("user")};
        key->certificate = buf_take(&enrolled.encryption_certificate);
        key->record = buf_take(&enrolled.archive_record);
        fixture->key_count++;
}

/* ---- requests --------------------------------------------------------------------------------------------- */

static void terms_common(const struct fixture *fixture, const char *kind, struct msg_terms *terms)
{
        const struct point *transport = fixture->keeper.state == KEEPER_UNSEALED
                                            ? &fixture->keeper.keys.transport_public
                                            : &fixture->keeper.transport_public;

        replace(&terms->server_id, fixture->trust.server_id);
        replace(&terms->request, "request-1");
        replace(&terms->kind, kind);
        replace(&terms->reason, "lost laptop");
        replace(&terms->requester, "rob");
        buf_add_bytes(&terms->recipient, point_view(&fixture->recipient_public));
        buf_add_bytes(&terms->transport, point_view(transport));
        terms->created = clock_now();
        terms->expires = terms->created + 3600;
}

static struct msg_recovery_item *item_add(struct msg_terms *terms, struct bytes bytes)
{
        struct msg_recovery_item *item = MSG_LIST_ADD(terms->items);
        struct archive_record record;
        struct digest hash = sha256(bytes);

        must(archive_parse(bytes, &record));
        buf_add_bytes(&item->point, point_view(&record.r));
        buf_add_bytes(&item->record_hash, digest_view(&hash));
        return item;
}

void fixture_terms(const struct fixture *fixture, struct msg_terms *terms)
{
        terms_common(fixture, "recover", terms);
        terms->user = text_copy("user");
        terms->name = text_copy("Zoë Ångström");
        msg_texts_add(&terms->addresses, "zoe@example.org");
        for (size_t i = 0; i < fixture->key_count; i++) {
                struct msg_recovery_item *item = item_add(terms, buf_view(&fixture->keys[i].record));
                CLEANUP(certificate_done) struct certificate certificate = {0};
                struct digest hash;

                must(certificate_parse(buf_view(&fixture->keys[i].certificate), &certificate));
                hash = spki_hash(certificate.spki);
                item->record_id = fixture->keys[i].record_id;
                buf_add_bytes(&item->spki_hash, digest_view(&hash));
        }
}

void fixture_startup_terms(const struct fixture *fixture, struct msg_terms *terms)
{
        terms_common(fixture, "startup", terms);
        item_add(terms, buf_view(&fixture->setup.records.at[0].database_key));
}

static void partials_fill(const struct fixture *fixture, unsigned officer, const struct msg_terms *terms,
                          const struct digest *digest, struct msg_partials *partials)
{
        bool startup = strcmp(terms->kind, "startup") == 0;
        struct buf points = BUF_NONE;
        const struct secret *share = startup ? &fixture->startup_shares[officer] : &fixture->archive_shares[officer];
        struct partial_context context = {.index = officer + 1, .context = *digest};

        must(point_of_scalar(share, &context.public_share));
        buf_reserve(&points, terms->items.count * POINT_SIZE);
        for (size_t i = 0; i < terms->items.count; i++) {
                struct partial partial;
                struct point r;

                must(point_parse(buf_view(&terms->items.at[i].point), &r));
                must(partial_make(&context, share, &r, &partial));
                partial_add(&partial, &points, &partials->proof);
                memory_wipe(&partial, sizeof(partial));
        }
        partials->points = secret_copy(buf_view(&points));
        buf_wipe(&points);
}

void fixture_approve(const struct fixture *fixture, unsigned officer, const struct msg_terms *terms,
                     struct msg_approval_item *approval)
{
        CLEANUP(buf_done) struct buf encoded = BUF_NONE, statement = BUF_NONE;
        CLEANUP(secret_done) struct secret plain = SECRET_NONE;
        MSG_OWN(partials) partials = {0};
        uint8_t signature[SIGNATURE_SIZE];
        struct digest digest;
        struct point transport;

        must(msg_encode(terms, terms, &encoded));
        digest = terms_digest(buf_view(&encoded));
        partials_fill(fixture, officer, terms, &digest, &partials);
        must(message_encode_secret(msg_record_partials(), &partials, &plain));
        must(point_parse(buf_view(&terms->transport), &transport));
        approval->officer = text_copy(fixture->trust.officers.at[officer].name);
        approval->time = clock_now();
        buf_add_bytes(&approval->digest, digest_view(&digest));
        must(box_seal(&transport, digest_view(&digest), secret_view(&plain), &approval->box));
        approval_statement(&digest, buf_view(&approval->box), &statement);
        must(signature_make(&fixture->signing[officer], buf_view(&statement), signature));
        buf_add(&approval->signature, signature, sizeof(signature));
}

void fixture_open(const struct fixture *fixture, const struct msg_terms *terms, struct msg_keeper_open *request)
{
        must(msg_encode(terms, terms, &request->terms));
        if (strcmp(terms->kind, "startup") == 0) {
                struct msg_archive_item *item = MSG_LIST_ADD(request->archive);

                buf_add_bytes(&item->record, buf_view(&fixture->setup.records.at[0].database_key));
                return;
        }
        for (size_t i = 0; i < fixture->key_count; i++) {
                struct msg_archive_item *item = MSG_LIST_ADD(request->archive);

                item->record_id = fixture->keys[i].record_id;
                item->user = text_copy(fixture->keys[i].user);
                buf_add_bytes(&item->certificate, buf_view(&fixture->keys[i].certificate));
                buf_add_bytes(&item->record, buf_view(&fixture->keys[i].record));
        }
}
