/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new server: every key that it will ever have at its root is made here, once, and leaves only as a sealed
 * record, a share for its officer, or a secret for the person at the terminal.
 */
#include "keeper/internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/archive.h"
#include "crypto/name.h"
#include "crypto/pkcs12.h"
#include "crypto/seal.h"
#include "crypto/statement.h"
#include "crypto/token.h"
#include "wire/paths.h"

enum { BACKDATE = 3600, SERVER_ID_BYTES = 16 };

struct setup {
        struct msg_keeper_init request;
        struct msg_keeper_init_done answer;
        struct msg_trust_public public;
        struct keeper_keys keys;
        struct commitments archive, startup;
        struct secret archive_shares[SHARES_MOST], startup_shares[SHARES_MOST];
        unsigned officer_count;
        EVP_PKEY *root, *issuer, *audit;
        struct buf issuer_name;
        uint8_t issuer_key_id[KEY_ID_SIZE];
        char *crl_url, *issuer_url, *root_url;
        int64_t now;
};

static void setup_done(struct setup *setup)
{
        msg_done(keeper_init, &setup->request);
        msg_done(keeper_init_done, &setup->answer);
        msg_done(trust_public, &setup->public);
        keeper_keys_done(&setup->keys);
        for (unsigned i = 0; i < SHARES_MOST; i++) {
                secret_done(&setup->archive_shares[i]);
                secret_done(&setup->startup_shares[i]);
        }
        EVP_PKEY_free(setup->root);
        EVP_PKEY_free(setup->issuer);
        EVP_PKEY_free(setup->audit);
        buf_done(&setup->issuer_name);
        free(setup->crl_url);
        free(setup->issuer_url);
        free(setup->root_url);
}

/* ---- what is asked ---------------------------------------------------------------------------------------- */

static int operators_check(const struct msg_keeper_init *request, unsigned *ret_officers)
{
        unsigned officers = 0;

        for (size_t i = 0; i < request->operators.count; i++) {
                const struct msg_operator_setup *operator = &request->operators.at[i];

                if (!operator->operator || !operator->roles.count)
                        return refuse(PROBLEM_MALFORMED, "Operator %zu has no name or no role.", i + 1);
                for (size_t k = 0; k < i; k++)
                        if (strcmp(request->operators.at[k].operator, operator->operator) == 0)
                                return refuse(PROBLEM_MALFORMED, "Operator \"%s\" is there twice.", operator->operator);
                officers += msg_texts_have(&operator->roles, "officer");
        }
        *ret_officers = officers;
        return 0;
}

static int setup_check(struct setup *setup)
{
        const struct msg_keeper_init *request = &setup->request;

        TRY(operators_check(request, &setup->officer_count));
        if (!request->organisation)
                return refuse(PROBLEM_MALFORMED, "The organisation has no name.");
        if (setup->officer_count > SHARES_MOST || !request->quorum || request->quorum > setup->officer_count)
                return refuse(PROBLEM_UNSUPPORTED,
                              "A quorum of %llu of %u officers is not possible (1 to %d officers).",
                              (unsigned long long)request->quorum, setup->officer_count, SHARES_MOST);
        if (!request->root_password.len)
                return refuse(PROBLEM_PASSWORD, "The file of the root key needs a password.");
        if (!request->root_lifetime || !request->issuer_lifetime || !request->tls_lifetime)
                return refuse(PROBLEM_MALFORMED, "A lifetime is missing.");
        return 0;
}

/* ---- the CA ----------------------------------------------------------------------------------------------- */

static void ca_name(const struct setup *setup, const char *what, struct buf *out)
{
        CLEANUP(mem_freep) char *common_name = text_format("%s %s", setup->request.organisation, what);

        name_write(
            out, &(struct name_attributes){.organization = setup->request.organisation, .common_name = common_name});
}

/* A certificate for `key`, by the root if `by_root`, else by the issuing CA. */
static int setup_certify(const struct setup *setup, struct cert_template *template, bool by_root, struct buf *ret_der)
{
        uint8_t serial[SERIAL_SIZE];

        serial_random(serial);
        template->serial = serial;
        template->not_before = setup->now - BACKDATE;
        if (!by_root) {
                template->issuer = buf_view(&setup->issuer_name);
                template->issuer_key_id = setup->issuer_key_id;
                template->crl_url = setup->crl_url;
                template->ca_issuers_url = setup->issuer_url;
        }
        return PASS(certificate_make(template, by_root ? setup->root : setup->issuer, ret_der));
}

static int setup_root(struct setup *setup)
{
        CLEANUP(buf_done) struct buf root_name = BUF_NONE, root_spki = BUF_NONE, issuer_spki = BUF_NONE;
        struct cert_template root = {.profile = CERT_ROOT}, issuer = {.profile = CERT_ISSUING};
        uint8_t root_key_id[KEY_ID_SIZE];

        TRY(pkey_generate(PKEY_P256, &setup->root));
        TRY(pkey_generate(PKEY_P256, &setup->issuer));
        TRY(pkey_to_spki(setup->root, &root_spki));
        TRY(pkey_to_spki(setup->issuer, &issuer_spki));
        TRY(spki_key_id(buf_view(&root_spki), root_key_id));
        TRY(spki_key_id(buf_view(&issuer_spki), setup->issuer_key_id));
        ca_name(setup, "Root CA", &root_name);
        ca_name(setup, "Issuing CA", &setup->issuer_name);
        root.subject = root.issuer = buf_view(&root_name);
        root.spki = buf_view(&root_spki);
        root.not_after = setup->now + (int64_t)setup->request.root_lifetime;
        TRY(setup_certify(setup, &root, true, &setup->public.root));
        issuer.subject = buf_view(&setup->issuer_name);
        issuer.issuer = buf_view(&root_name);
        issuer.issuer_key_id = root_key_id;
        issuer.spki = buf_view(&issuer_spki);
        issuer.ca_issuers_url = setup->root_url;
        issuer.not_after = setup->now + (int64_t)MIN(setup->request.issuer_lifetime, setup->request.root_lifetime);
        return PASS(setup_certify(setup, &issuer, true, &setup->public.issuer));
}

static int setup_audit(struct setup *setup)
{
        CLEANUP(buf_done) struct buf name = BUF_NONE, spki = BUF_NONE;
        struct cert_template audit = {.profile = CERT_AUDIT};

        TRY(pkey_generate(PKEY_P256, &setup->audit));
        TRY(pkey_to_spki(setup->audit, &spki));
        ca_name(setup, "Audit", &name);
        audit.subject = buf_view(&name);
        audit.spki = buf_view(&spki);
        audit.not_after = setup->now + (int64_t)MIN(setup->request.issuer_lifetime, setup->request.root_lifetime);
        return PASS(setup_certify(setup, &audit, false, &setup->public.audit_certificate));
}

/* Without a TLS key there is no certificate: the server was given one by somebody else. */
static int setup_tls(struct setup *setup)
{
        const struct msg_keeper_init *request = &setup->request;
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        CLEANUP(buf_done) struct buf name = BUF_NONE;
        struct cert_template tls = {.profile = CERT_TLS_SERVER};

        if (!request->tls_spki.len)
                return 0;
        TRY(pkey_from_spki(buf_view(&request->tls_spki), &key));
        if (!request->host_names.count)
                return refuse(PROBLEM_MALFORMED, "The server has no host name.");
        name_write(&name, &(struct name_attributes){.organization = request->organisation,
                                                    .common_name = request->host_names.at[0]});
        tls.subject = buf_view(&name);
        tls.spki = buf_view(&request->tls_spki);
        tls.hosts = (const char *const *)request->host_names.at;
        tls.host_count = request->host_names.count;
        tls.not_after = setup->now + (int64_t)request->tls_lifetime;
        return PASS(setup_certify(setup, &tls, false, &setup->answer.tls_certificate));
}

/* The one way in which the root's key lives on: a file with a password, to be put away. */
static int setup_root_file(struct setup *setup)
{
        CLEANUP(mem_freep) char *name = text_format("%s Root CA", setup->request.organisation);
        struct pkcs12_entry entry = {setup->root, buf_view(&setup->public.root), name};

        return PASS(pkcs12_write(&entry, 1, PKCS12_MODERN, &setup->request.root_password, &setup->answer.root_pkcs12));
}

/* ---- the archive key, the startup key, the officers -------------------------------------------------------- */

static int setup_deal(struct setup *setup)
{
        CLEANUP(secret_done) struct secret archive = SECRET_NONE, startup = SECRET_NONE;
        unsigned quorum = (unsigned)setup->request.quorum;

        TRY(scalar_random(&archive));
        TRY(scalar_random(&startup));
        TRY(shares_deal(&archive, quorum, setup->officer_count, setup->archive_shares, &setup->archive));
        TRY(shares_deal(&startup, quorum, setup->officer_count, setup->startup_shares, &setup->startup));
        commitments_add(&setup->public.archive_commitments, &setup->archive);
        commitments_add(&setup->public.startup_commitments, &setup->startup);
        return 0;
}

static int shares_box(struct setup *setup, unsigned index, const struct token *code, struct buf *ret_box)
{
        struct msg_share_pair pair = {.index = index,
                                      .archive_share = setup->archive_shares[index - 1],
                                      .startup_share = setup->startup_shares[index - 1]};
        CLEANUP(secret_done) struct secret encoded = SECRET_NONE, scalar = SECRET_NONE;
        const struct msg_trust_public *public = &setup->public;
        struct digest basis = trust_basis(bytes_text(public->server_id), buf_view(&public->root), buf_view(&public->transport_key),
                                          buf_view(&public->archive_commitments), buf_view(&public->startup_commitments));
        struct point recipient;

        pair.basis = (struct buf){basis.data, DIGEST_SIZE, 0}; /* a view, as the shares are */
        TRY(token_recipient(code, &scalar, &recipient));
        TRY(message_encode_secret(msg_record_share_pair(), &pair, &encoded));
        return PASS(box_seal(&recipient, bytes_text(SHARES_CONTEXT), secret_view(&encoded), ret_box));
}

static int operator_invite(struct setup *setup, const struct msg_operator_setup *operator, unsigned *officers)
{
        CLEANUP(token_done) struct token code = token_new();
        struct msg_invitation_item *invitation = MSG_LIST_ADD(setup->answer.invitations);
        struct msg_invitation_code *shown = MSG_LIST_ADD(setup->answer.codes);

        invitation->operator = text_copy(operator->operator);
        msg_texts_copy(&invitation->roles, &operator->roles);
        invitation->selector = text_copy(code.selector);
        invitation->auth = token_auth(&code);
        shown->operator = text_copy(operator->operator);
        msg_texts_copy(&shown->roles, &operator->roles);
        shown->code = token_text(&code);
        if (msg_texts_have(&operator->roles, "officer")) {
                struct msg_officer_item *officer = MSG_LIST_ADD(setup->public.officers);

                officer->index = ++*officers;
                officer->name = text_copy(operator->operator);
                TRY(shares_box(setup, *officers, &code, &invitation->shares));
        }
        return 0;
}

static int setup_operators(struct setup *setup)
{
        unsigned officers = 0;

        for (size_t i = 0; i < setup->request.operators.count; i++)
                TRY(operator_invite(setup, &setup->request.operators.at[i], &officers));
        return 0;
}

/* ---- records ---------------------------------------------------------------------------------------------- */

static int setup_authority(struct setup *setup, struct buf *ret_record)
{
        MSG_OWN(authority_keys) keys = {0};

        TRY(pkey_to_pkcs8(setup->issuer, &keys.issuer));
        TRY(pkey_to_pkcs8(setup->audit, &keys.audit));
        return PASS(authority_seal(&setup->keys, &keys, ret_record));
}

static int setup_records(struct keeper *keeper, struct setup *setup)
{
        struct msg_keeper_records *records = MSG_LIST_ADD(setup->answer.records);
        struct archive_subject subject;

        setup->public.number = records->trust_number = 1;
        TRY(trust_write(&setup->public, &setup->keys.trust, &records->trust));
        TRY(setup_authority(setup, &records->authority));
        database_subject(setup->public.server_id, &subject);
        TRY(archive_wrap(commitments_key(&setup->startup), NULL, &subject, secret_view(&setup->keys.database),
                         &records->database_key));
        return PASS(wrap_make(keeper, bytes_text(setup->public.server_id), &setup->keys.database,
                              &setup->answer.startup_secret, &records->wrap));
}

static int setup_answer(struct setup *setup)
{
        struct msg_engine_keys *keys = MSG_LIST_ADD(setup->answer.keys);

        keys->row = secret_copy(secret_view(&setup->keys.engine.row));
        keys->column = secret_copy(secret_view(&setup->keys.engine.column));
        keys->token = secret_copy(secret_view(&setup->keys.engine.token));
        keys->ticket = secret_copy(secret_view(&setup->keys.engine.ticket));
        setup->answer.server_id = text_copy(setup->public.server_id);
        return PASS(msg_encode(trust_public, &setup->public, &setup->answer.trust));
}

static int setup_begin(struct setup *setup)
{
        CLEANUP(secret_done) struct secret database = secret_random(KEY_SIZE);
        CLEANUP(buf_done) struct buf id = BUF_NONE;
        uint8_t random[SERVER_ID_BYTES];

        random_fill(random, sizeof(random));
        hex_add(&id, bytes_of(random, sizeof(random)));
        setup->now = clock_now();
        setup->public.server_id = text_copy(buf_text(&id));
        setup->public.organisation = text_copy(setup->request.organisation);
        setup->public.quorum = setup->request.quorum;
        TRY(keeper_keys_derive(&database, &setup->keys));
        buf_add_bytes(&setup->public.transport_key, point_view(&setup->keys.transport_public));
        if (setup->request.url) {
                setup->crl_url = text_format("%s%s", setup->request.url, PATH_CRL);
                setup->issuer_url = text_format("%s%s", setup->request.url, PATH_ISSUER);
                setup->root_url = text_format("%s%s", setup->request.url, PATH_ROOT);
        }
        return 0;
}

int handle_init(struct keeper *keeper, struct bytes payload, struct keeper_reply *reply)
{
        CLEANUP(setup_done) struct setup setup = {0};

        TRY(msg_decode(keeper_init, payload, &setup.request));
        TRY(setup_check(&setup));
        TRY(setup_begin(&setup));
        TRY(setup_root(&setup));
        TRY(setup_audit(&setup));
        TRY(setup_tls(&setup));
        TRY(setup_root_file(&setup));
        TRY(setup_deal(&setup));
        TRY(setup_operators(&setup));
        TRY(setup_records(keeper, &setup));
        TRY(setup_answer(&setup));
        return PASS(reply_with_private(reply, keeper_init_done, &setup.answer));
}
