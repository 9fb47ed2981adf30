/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/internal.h"

#include "crypto/archive.h"
#include "crypto/seal.h"
#include "crypto/token.h"

#define AUTHORITY_CONTEXT bytes_text("vouchsafe authority 1")

/* ---- derived keys ----------------------------------------------------------------------------------------- */

int keeper_keys_derive(const struct secret *database, struct keeper_keys *ret_keys)
{
        CLEANUP(secret_done) struct secret uniform = SECRET_NONE, transport = SECRET_NONE;
        struct keeper_keys keys = {0};

        if (database->len != KEY_SIZE)
                return refuse(PROBLEM_MALFORMED, "A database key has %zu bytes instead of %d.", database->len,
                              KEY_SIZE);
        uniform = hkdf(secret_view(database), BYTES_NONE, bytes_text("vouchsafe transport"), 48);
        TRY(scalar_from_uniform(&uniform, &transport));
        TRY(point_of_scalar(&transport, &keys.transport_public));
        keys.transport = secret_take(&transport);
        keys.database = secret_copy(secret_view(database));
        keys.archive = key_derive(database, "archive");
        keys.ca = key_derive(database, "ca");
        keys.trust = key_derive(database, "trust");
        keys.engine.row = key_derive(database, "row");
        keys.engine.column = key_derive(database, "column");
        keys.engine.token = key_derive(database, "token");
        keys.engine.ticket = key_derive(database, "ticket");
        *ret_keys = keys;
        return 0;
}

void keeper_keys_done(struct keeper_keys *keys)
{
        secret_done(&keys->database);
        secret_done(&keys->archive);
        secret_done(&keys->ca);
        secret_done(&keys->trust);
        secret_done(&keys->transport);
        msg_done(engine_keys, &keys->engine);
        *keys = (struct keeper_keys){0};
}

/* ---- the CA's keys ---------------------------------------------------------------------------------------- */

void authority_done(struct authority *authority)
{
        EVP_PKEY_free(authority->issuer_key);
        EVP_PKEY_free(authority->audit_key);
        certificate_done(&authority->issuer);
        *authority = (struct authority){0};
}

int authority_seal(const struct keeper_keys *keys, const struct msg_authority_keys *authority, struct buf *out)
{
        CLEANUP(secret_done) struct secret encoded = SECRET_NONE;

        TRY(message_encode_secret(msg_record_authority_keys(), authority, &encoded));
        return PASS(seal(&keys->ca, AUTHORITY_CONTEXT, secret_view(&encoded), out));
}

static int key_check(const EVP_PKEY *key, const struct certificate *certificate)
{
        CLEANUP(buf_done) struct buf spki = BUF_NONE;

        TRY(pkey_to_spki(key, &spki));
        if (!bytes_equal(buf_view(&spki), certificate->spki))
                return refuse(PROBLEM_TAMPERED, "The CA's keys are not those of the certificates in the trust record.");
        return 0;
}

static int authority_read(const struct msg_authority_keys *keys, const struct trust *trust, struct authority *authority)
{
        CLEANUP(certificate_done) struct certificate audit = {0};

        TRY(certificate_parse(buf_view(&trust->public.issuer), &authority->issuer));
        TRY(certificate_parse(buf_view(&trust->public.audit_certificate), &audit));
        TRY(pkey_from_pkcs8(secret_view(&keys->issuer), &authority->issuer_key));
        TRY(pkey_from_pkcs8(secret_view(&keys->audit), &authority->audit_key));
        TRY(key_check(authority->issuer_key, &authority->issuer));
        TRY(key_check(authority->audit_key, &audit));
        return PASS(spki_key_id(authority->issuer.spki, authority->issuer_key_id));
}

int authority_open(const struct keeper_keys *keys, const struct trust *trust, struct bytes sealed,
                   struct authority *ret_authority)
{
        CLEANUP(secret_done) struct secret encoded = SECRET_NONE;
        MSG_OWN(authority_keys) opened = {0};
        struct authority authority = {0};
        int r;

        TRY(seal_open(&keys->ca, AUTHORITY_CONTEXT, sealed, &encoded));
        TRY(msg_decode(authority_keys, secret_view(&encoded), &opened));
        r = authority_read(&opened, trust, &authority);
        if (r)
                authority_done(&authority);
        else
                *ret_authority = authority;
        return PASS(r);
}

/* ---- the database key ------------------------------------------------------------------------------------- */

static void wrap_context(struct bytes server_id, struct buf *out)
{
        buf_add_text(out, "vouchsafe wrap 1 ");
        buf_add_bytes(out, server_id);
}

/* The startup secret has the form of a token, 130 bits in all, for the sake of its check symbols: a typing error is
 * told from a wrong secret. */
int wrap_make(const struct keeper *keeper, struct bytes server_id, const struct secret *database,
              struct secret *ret_startup, struct buf *ret_wrap)
{
        CLEANUP(token_done) struct token token = token_new();
        CLEANUP(secret_done) struct secret startup = token_text(&token);
        CLEANUP(buf_done) struct buf context = BUF_NONE;

        wrap_context(server_id, &context);
        buf_clear(ret_wrap);
        TRY(password_seal(secret_view(&startup), &keeper->cost, buf_view(&context), secret_view(database), ret_wrap));
        *ret_startup = secret_take(&startup);
        return 0;
}

int wrap_open(struct bytes server_id, struct bytes wrap, const struct secret *startup, struct secret *ret_database)
{
        CLEANUP(token_done) struct token token = TOKEN_NONE;
        CLEANUP(secret_done) struct secret normal = SECRET_NONE;
        CLEANUP(buf_done) struct buf context = BUF_NONE;
        int r = token_parse(secret_view(startup), &token);

        if (r)
                return report_prefix(r, "The startup secret: ");
        normal = token_text(&token);
        wrap_context(server_id, &context);
        r = password_open(secret_view(&normal), buf_view(&context), wrap, ret_database);
        if (r == PROBLEM_PASSWORD)
                return refuse(r, "The startup secret is not that of this server.");
        return PASS(r);
}

void database_subject(const char *server_id, struct archive_subject *ret_subject)
{
        *ret_subject = (struct archive_subject){.user_id = bytes_text(server_id),
                                                .spki_hash = sha256(bytes_text("vouchsafe database key"))};
}
