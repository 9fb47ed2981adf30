/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and key pairs: enrollment, the pool, the server's own TLS key. */
#include "keeper/internal.h"

#include "base/mem.h"
#include "base/text.h"
#include "crypto/archive.h"
#include "crypto/envelope.h"
#include "crypto/name.h"
#include "crypto/seal.h"
#include "wire/paths.h"

/* ---- certifying ------------------------------------------------------------------------------------------- */

static char *url_of(const struct keeper *keeper, const char *path)
{
        return keeper->url ? text_format("%s%s", keeper->url, path) : NULL;
}

/* Fill in what every certificate of the issuing CA has in common, and sign. */
static int certify(const struct keeper *keeper, struct cert_template *template, struct buf *ret_der)
{
        const struct authority *authority = &keeper->authority;
        CLEANUP(mem_freep) char *crl = url_of(keeper, PATH_CRL), *issuer = url_of(keeper, PATH_ISSUER);
        uint8_t serial[SERIAL_SIZE];

        if (template->not_after <= template->not_before || template->not_before > authority->issuer.not_after)
                return refuse(PROBLEM_MALFORMED,
                              "A certificate would end before it begins, or begin after its issuer's end.");
        serial_random(serial);
        template->serial = serial;
        template->not_after = MIN(template->not_after, authority->issuer.not_after);
        template->issuer = authority->issuer.subject;
        template->issuer_key_id = authority->issuer_key_id;
        template->crl_url = crl;
        template->ca_issuers_url = issuer;
        return PASS(certificate_make(template, authority->issuer_key, ret_der));
}

/* The engine says whom a certificate names; that every address is one, and is in its only form, is checked here
 * again. */
static int addresses_check(const struct msg_texts *addresses)
{
        if (!addresses->count)
                return refuse(PROBLEM_MALFORMED, "A user without a mail address cannot have a certificate.");
        for (size_t i = 0; i < addresses->count; i++) {
                CLEANUP(buf_done) struct buf key = BUF_NONE;

                TRY(address_key(bytes_text(addresses->at[i]), &key));
                if (strcmp(buf_text(&key), addresses->at[i]) != 0)
                        return refuse(PROBLEM_MALFORMED,
                                      "A mail address is not in the form in which addresses are compared.");
        }
        return 0;
}

static int user_certify(const struct keeper *keeper, const struct msg_subject *subject, struct cert_template *template,
                        struct buf *ret_der)
{
        CLEANUP(buf_done) struct buf name = BUF_NONE;

        name_write(&name, &(struct name_attributes){.organization = msg_text(keeper->trust.public.organisation),
                                                     .common_name = msg_text(subject->name),
                                                     .given_name = msg_text(subject->given_name),
                                                     .surname = msg_text(subject->surname)});
        template->subject = buf_view(&name);
        template->addresses = (const char *const *)subject->addresses.at;
        template->address_count = subject->addresses.count;
        return PASS(certify(keeper, template, ret_der));
}

int handle_certify_tls(struct keeper *keeper, struct bytes payload, struct keeper_reply *reply)
{
        MSG_OWN(keeper_certify_tls) request = {0};
        MSG_OWN(keeper_certified) answer = {0};
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        CLEANUP(buf_done) struct buf name = BUF_NONE;
        struct cert_template template = {.profile = CERT_TLS_SERVER};

        TRY(msg_decode(keeper_certify_tls, payload, &request));
        TRY(pkey_from_spki(buf_view(&request.spki), &key));
        if (!request.host_names.count)
                return refuse(PROBLEM_MALFORMED, "A server's certificate needs a host name.");
        name_write(&name, &(struct name_attributes){.organization = msg_text(keeper->trust.public.organisation),
                                                     .common_name = request.host_names.at[0]});
        template.subject = buf_view(&name);
        template.spki = buf_view(&request.spki);
        template.hosts = (const char *const *)request.host_names.at;
        template.host_count = request.host_names.count;
        template.not_before = request.not_before;
        template.not_after = request.not_after;
        TRY(certify(keeper, &template, &answer.certificate));
        return PASS(reply_with(reply, keeper_certified, &answer));
}

/* ---- encryption pairs ------------------------------------------------------------------------------------- */

static int encryption_type(const char *profile, enum pkey_type *ret_type)
{
        enum pkey_type type = pkey_type_from_name(msg_text(profile));

        switch (type) {
        case PKEY_P256:
        case PKEY_P384:
        case PKEY_RSA2048:
        case PKEY_RSA3072:
        case PKEY_RSA4096:
                *ret_type = type;
                return 0;
        default:
                return refuse(PROBLEM_UNSUPPORTED, "There is no encryption profile \"%s\".", msg_text(profile));
        }
}

void pool_name(const struct keeper *keeper, struct buf *out)
{
        struct digest digest = hmac_sha256(&keeper->pool, bytes_text("vouchsafe pool name 1"));

        hex_add(out, bytes_of(digest.data, 8));
}

static void pool_context(const char *profile, struct buf *out)
{
        buf_add_format(out, "vouchsafe pool 1 %s", profile);
}

static int pool_open(const struct keeper *keeper, const char *profile, struct bytes sealed, EVP_PKEY **ret_key)
{
        CLEANUP(secret_done) struct secret pkcs8 = SECRET_NONE;
        CLEANUP(buf_done) struct buf context = BUF_NONE;

        pool_context(profile, &context);
        TRY(seal_open(&keeper->pool, buf_view(&context), sealed, &pkcs8));
        return PASS(pkey_from_pkcs8(secret_view(&pkcs8), ret_key));
}

int handle_pool(struct keeper *keeper, struct bytes payload, struct keeper_reply *reply)
{
        MSG_OWN(keeper_pool) request = {0};
        MSG_OWN(keeper_pooled) answer = {0};
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        CLEANUP(secret_done) struct secret pkcs8 = SECRET_NONE;
        CLEANUP(buf_done) struct buf context = BUF_NONE, spki = BUF_NONE, name = BUF_NONE;
        enum pkey_type type = PKEY_NONE;
        struct digest hash;

        TRY(msg_decode(keeper_pool, payload, &request));
        TRY(encryption_type(request.profile, &type));
        TRY(pkey_generate(type, &key));
        TRY(pkey_to_pkcs8(key, &pkcs8));
        TRY(pkey_to_spki(key, &spki));
        pool_context(request.profile, &context);
        TRY(seal(&keeper->pool, buf_view(&context), secret_view(&pkcs8), &answer.pool_key));
        hash = spki_hash(buf_view(&spki));
        buf_add_bytes(&answer.spki_hash, digest_view(&hash));
        pool_name(keeper, &name);
        answer.pool = text_copy(buf_text(&name));
        return PASS(reply_with(reply, keeper_pooled, &answer));
}

static int pool_take(struct keeper *keeper, const char *profile, struct bytes sealed, EVP_PKEY **ret_key)
{
        struct digest digest = sha256(sealed);
        struct id id;

        memcpy(id.data, digest.data, ID_SIZE);
        if (id_set_has(&keeper->pool_used, &id) || keeper->pool_used.count >= POOL_USED_MOST)
                return PROBLEM_TAMPERED;
        TRY(pool_open(keeper, profile, sealed, ret_key));
        (void)id_set_add(&keeper->pool_used, &id);
        buf_add_bytes(&keeper->pool_untold, id_view(&id));
        keeper->changed |= CHANGE_POOL;
        return 0;
}

/* From the pool; or new, when there is none, or only one that was taken already or that keepers sealed who are gone. */
static int encryption_pair(struct keeper *keeper, const struct msg_keeper_enroll *request, enum pkey_type type,
                           EVP_PKEY **ret_key)
{
        int r = PROBLEM_TAMPERED;

        if (request->pool_key.len)
                r = pool_take(keeper, request->encryption_profile, buf_view(&request->pool_key), ret_key);
        return r == PROBLEM_TAMPERED ? PASS(pkey_generate(type, ret_key)) : PASS(r);
}

/* The pair from the pool or new, certified, archived, enveloped. */
static int encryption_issue(struct keeper *keeper, const struct msg_keeper_enroll *request, enum pkey_type type,
                            struct msg_keeper_enrolled *answer)
{
        const struct msg_subject *subject = &request->subject.at[0];
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        CLEANUP(secret_done) struct secret pkcs8 = SECRET_NONE;
        CLEANUP(buf_done) struct buf spki = BUF_NONE;
        struct cert_template template = {.profile = CERT_USER_ENCRYPTION,
                                         .not_before = request->not_before,
                                         .not_after = request->encryption_not_after};
        struct archive_subject bound = {.record_id = request->record_id,
                                        .user_id = bytes_text(msg_text(subject->user))};
        struct point recipient;

        TRY(point_parse_key(buf_view(&request->recipient), &recipient));
        TRY(encryption_pair(keeper, request, type, &key));
        TRY(pkey_to_pkcs8(key, &pkcs8));
        TRY(pkey_to_spki(key, &spki));
        template.spki = buf_view(&spki);
        TRY(user_certify(keeper, subject, &template, &answer->encryption_certificate));
        bound.spki_hash = spki_hash(buf_view(&spki));
        TRY(archive_wrap(commitments_key(&keeper->trust.archive), &keeper->keys.archive, &bound, secret_view(&pkcs8),
                         &answer->archive_record));
        return PASS(envelope_seal(&recipient, &pkcs8, ENVELOPE_GCM, &answer->envelope));
}

static int enroll_check(const struct msg_keeper_enroll *request, enum pkey_type *ret_type)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *signature_key = NULL;

        if (request->subject.count != 1 || !request->subject.at[0].user)
                return refuse(PROBLEM_MALFORMED, "An enrollment is of exactly one user with an id.");
        TRY(addresses_check(&request->subject.at[0].addresses));
        TRY(pkey_from_spki(buf_view(&request->spki), &signature_key));
        if (!request->signature_only)
                TRY(encryption_type(request->encryption_profile, ret_type));
        return 0;
}

int handle_enroll(struct keeper *keeper, struct bytes payload, struct keeper_reply *reply)
{
        MSG_OWN(keeper_enroll) request = {0};
        MSG_OWN(keeper_enrolled) answer = {0};
        struct cert_template template = {.profile = CERT_USER_SIGNATURE};
        enum pkey_type type = PKEY_NONE;

        TRY(msg_decode(keeper_enroll, payload, &request));
        TRY(enroll_check(&request, &type));
        template.spki = buf_view(&request.spki);
        template.not_before = request.not_before;
        template.not_after = request.signature_not_after;
        TRY(user_certify(keeper, &request.subject.at[0], &template, &answer.signature_certificate));
        if (!request.signature_only)
                TRY(encryption_issue(keeper, &request, type, &answer));
        return PASS(reply_with(reply, keeper_enrolled, &answer));
}
