/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "crypto/certificate.h"
#include "crypto/der.h"
#include "crypto/name.h"
#include "crypto/oid.h"

/* What a profile says of its certificates; lifetimes and addresses are the template's. */
static const struct profile {
        unsigned usage;
        const struct bytes *ext_usage; /* NULL: none */
        bool is_ca;
        int path_len; /* -1: no limit */
} profiles[] = {
        [CERT_ROOT] = {USAGE_KEY_CERT_SIGN | USAGE_CRL_SIGN, NULL, true, -1},
        [CERT_ISSUING] = {USAGE_KEY_CERT_SIGN | USAGE_CRL_SIGN, NULL, true, 0},
        [CERT_USER_SIGNATURE] = {USAGE_DIGITAL_SIGNATURE | USAGE_NON_REPUDIATION, &oid_email_protection, false, 0},
        [CERT_USER_ENCRYPTION] = {0 /* by the key: key_usage_of() */, &oid_email_protection, false, 0},
        [CERT_TLS_SERVER] = {USAGE_DIGITAL_SIGNATURE, &oid_server_auth, false, 0},
        [CERT_AUDIT] = {USAGE_DIGITAL_SIGNATURE, NULL, false, 0},
        [CERT_OCSP] = {USAGE_DIGITAL_SIGNATURE, &oid_ocsp_signing, false, 0},
};

void serial_random(uint8_t ret_serial[static SERIAL_SIZE])
{
        random_fill(ret_serial, SERIAL_SIZE);
        ret_serial[0] = (ret_serial[0] & 0x3f) | 0x40;
}

/* Extension ::= SEQUENCE { extnID, critical DEFAULT FALSE, extnValue OCTET STRING }; closed by extension_end(). */
struct extension {
        size_t sequence, octets;
};

static struct extension extension_begin(struct buf *out, struct bytes oid, bool critical)
{
        struct extension extension = {.sequence = der_begin(out, DER_SEQUENCE)};

        der_add_oid(out, oid);
        if (critical)
                der_add_boolean(out, true);
        extension.octets = der_begin(out, DER_OCTET_STRING);
        return extension;
}

static void extension_end(struct buf *out, struct extension extension)
{
        der_end(out, extension.octets);
        der_end(out, extension.sequence);
}

static void basic_constraints_add(struct buf *out, const struct profile *profile)
{
        struct extension extension = extension_begin(out, oid_basic_constraints, true);
        size_t sequence = der_begin(out, DER_SEQUENCE);

        der_add_boolean(out, true);
        if (profile->path_len >= 0)
                der_add_small(out, (uint64_t)profile->path_len);
        der_end(out, sequence);
        extension_end(out, extension);
}

/* RFC 8551 and RFC 3279, RFC 8550 4.4.2: RSA keys encipher keys, EC keys agree upon them. */
static int key_usage_of(const struct cert_template *tmpl, unsigned *ret_usage)
{
        enum pkey_type type;

        TRY(spki_type(tmpl->spki, &type));
        *ret_usage = profiles[tmpl->profile].usage;
        if (tmpl->profile != CERT_USER_ENCRYPTION)
                return 0;
        if (type == PKEY_ED25519)
                return refuse(PROBLEM_MALFORMED, "An Ed25519 key cannot be certified for encryption.");
        *ret_usage = pkey_type_is_rsa(type) ? USAGE_KEY_ENCIPHERMENT : USAGE_KEY_AGREEMENT;
        return 0;
}

static void key_usages_add(struct buf *out, const struct profile *profile, unsigned usage)
{
        struct extension extension = extension_begin(out, oid_key_usage, true);

        der_add_named_bits(out, usage);
        extension_end(out, extension);
        if (profile->ext_usage) {
                extension = extension_begin(out, oid_ext_key_usage, false);
                size_t sequence = der_begin(out, DER_SEQUENCE);
                der_add_oid(out, *profile->ext_usage);
                der_end(out, sequence);
                extension_end(out, extension);
        }
        if (profile->ext_usage == &oid_ocsp_signing) { /* RFC 6960 4.2.2.2.1 */
                extension = extension_begin(out, oid_ocsp_no_check, false);
                der_add_null(out);
                extension_end(out, extension);
        }
}

static int key_ids_add(struct buf *out, const struct cert_template *tmpl)
{
        struct extension extension = extension_begin(out, oid_subject_key_id, false);
        uint8_t id[KEY_ID_SIZE];

        TRY(spki_key_id(tmpl->spki, id));
        der_add(out, DER_OCTET_STRING, bytes_of(id, sizeof(id)));
        extension_end(out, extension);
        if (tmpl->issuer_key_id) {
                extension = extension_begin(out, oid_authority_key_id, false);
                size_t sequence = der_begin(out, DER_SEQUENCE);
                der_add(out, DER_CONTEXT(0), bytes_of(tmpl->issuer_key_id, KEY_ID_SIZE));
                der_end(out, sequence);
                extension_end(out, extension);
        }
        return 0;
}

/* RFC 5280 4.1.2.6: critical when there is no other name. */
static void alt_names_add(struct buf *out, const struct cert_template *tmpl)
{
        if (!tmpl->address_count && !tmpl->host_count)
                return;
        struct extension extension = extension_begin(out, oid_subject_alt_name, name_is_empty(tmpl->subject));
        size_t sequence = der_begin(out, DER_SEQUENCE);

        for (size_t i = 0; i < tmpl->address_count; i++)
                general_name_add_address(out, tmpl->addresses[i]);
        for (size_t i = 0; i < tmpl->host_count; i++)
                general_name_add_host(out, tmpl->hosts[i]);
        der_end(out, sequence);
        extension_end(out, extension);
}

static void crl_point_add(struct buf *out, const char *url)
{
        struct extension extension = extension_begin(out, oid_crl_distribution_points, false);
        size_t points = der_begin(out, DER_SEQUENCE), point = der_begin(out, DER_SEQUENCE);
        size_t name = der_begin(out, DER_CONTEXT_CONSTRUCTED(0)), full = der_begin(out, DER_CONTEXT_CONSTRUCTED(0));

        general_name_add_uri(out, url);
        der_end(out, full);
        der_end(out, name);
        der_end(out, point);
        der_end(out, points);
        extension_end(out, extension);
}

static void access_add(struct buf *out, struct bytes method, const char *url)
{
        size_t description;

        if (!url)
                return;
        description = der_begin(out, DER_SEQUENCE);
        der_add_oid(out, method);
        general_name_add_uri(out, url);
        der_end(out, description);
}

static void urls_add(struct buf *out, const struct cert_template *tmpl)
{
        if (tmpl->crl_url)
                crl_point_add(out, tmpl->crl_url);
        if (tmpl->ocsp_url || tmpl->ca_issuers_url) {
                struct extension extension = extension_begin(out, oid_authority_info_access, false);
                size_t sequence = der_begin(out, DER_SEQUENCE);

                access_add(out, oid_ocsp, tmpl->ocsp_url);
                access_add(out, oid_ca_issuers, tmpl->ca_issuers_url);
                der_end(out, sequence);
                extension_end(out, extension);
        }
}

static int policy_add(struct buf *out, const char *policy)
{
        CLEANUP(buf_done) struct buf oid = BUF_NONE;

        TRY(oid_parse(bytes_text(policy), &oid));
        struct extension extension = extension_begin(out, oid_certificate_policies, false);
        size_t policies = der_begin(out, DER_SEQUENCE), information = der_begin(out, DER_SEQUENCE);
        der_add_oid(out, buf_view(&oid));
        der_end(out, information);
        der_end(out, policies);
        extension_end(out, extension);
        return 0;
}

static int extensions_add(struct buf *out, const struct cert_template *tmpl)
{
        const struct profile *profile = &profiles[tmpl->profile];
        size_t wrapper = der_begin(out, DER_CONTEXT_CONSTRUCTED(3)), sequence = der_begin(out, DER_SEQUENCE);
        unsigned usage = 0;

        TRY(key_usage_of(tmpl, &usage));
        if (profile->is_ca)
                basic_constraints_add(out, profile);
        key_usages_add(out, profile, usage);
        TRY(key_ids_add(out, tmpl));
        alt_names_add(out, tmpl);
        urls_add(out, tmpl);
        if (tmpl->policy)
                TRY(policy_add(out, tmpl->policy));
        der_end(out, sequence);
        der_end(out, wrapper);
        return 0;
}

static int template_check(const struct cert_template *tmpl)
{
        if (tmpl->not_before >= tmpl->not_after)
                return refuse(PROBLEM_MALFORMED, "A certificate would end before it begins.");
        if (name_is_empty(tmpl->subject) &&
            (profiles[tmpl->profile].is_ca || !(tmpl->address_count + tmpl->host_count)))
                return refuse(PROBLEM_MALFORMED, "A certificate would name nobody.");
        TRY(name_check(tmpl->subject));
        return PASS(name_check(tmpl->issuer));
}

static int tbs_add(struct buf *out, const struct cert_template *tmpl, enum pkey_type issuer_type)
{
        size_t tbs = der_begin(out, DER_SEQUENCE), version, validity;

        version = der_begin(out, DER_CONTEXT_CONSTRUCTED(0));
        der_add_small(out, 2);
        der_end(out, version);
        der_add_unsigned(out, bytes_of(tmpl->serial, SERIAL_SIZE));
        der_add_signature_algorithm(out, issuer_type);
        buf_add_bytes(out, tmpl->issuer);
        validity = der_begin(out, DER_SEQUENCE);
        der_add_time(out, tmpl->not_before);
        der_add_time(out, tmpl->not_after);
        der_end(out, validity);
        buf_add_bytes(out, tmpl->subject);
        buf_add_bytes(out, tmpl->spki);
        TRY(extensions_add(out, tmpl));
        der_end(out, tbs);
        return 0;
}

int certificate_tbs_write(const struct cert_template *tmpl, enum pkey_type issuer_type, struct buf *ret_tbs)
{
        CLEANUP(buf_done) struct buf tbs = BUF_NONE;

        TRY(template_check(tmpl));
        buf_reserve(&tbs, 2048);
        TRY(tbs_add(&tbs, tmpl, issuer_type));
        *ret_tbs = buf_take(&tbs);
        return 0;
}

void certificate_join(struct bytes tbs, enum pkey_type issuer_type, struct bytes signature, struct buf *ret_der)
{
        struct buf der = BUF_NONE;
        size_t sequence;

        buf_reserve(&der, tbs.len + signature.len + 64);
        sequence = der_begin(&der, DER_SEQUENCE);
        buf_add_bytes(&der, tbs);
        der_add_signature_algorithm(&der, issuer_type);
        der_add_bits(&der, signature);
        der_end(&der, sequence);
        *ret_der = der;
}

int certificate_make(const struct cert_template *tmpl, EVP_PKEY *issuer_key, struct buf *ret_der)
{
        CLEANUP(buf_done) struct buf tbs = BUF_NONE, signature = BUF_NONE;
        enum pkey_type type = pkey_type_of(issuer_key);

        TRY(certificate_tbs_write(tmpl, type, &tbs));
        TRY(pkey_sign(issuer_key, buf_view(&tbs), &signature));
        certificate_join(buf_view(&tbs), type, buf_view(&signature), ret_der);
        return 0;
}

void certificate_add_pem(struct buf *out, struct bytes der)
{
        CLEANUP(mem_freep) char *text = mem_array(der.len / 3 + 1, 4 + 1);
        int len = EVP_EncodeBlock((unsigned char *)text, der.data, (int)der.len);

        buf_add_text(out, "-----BEGIN CERTIFICATE-----\n");
        for (int at = 0; at < len; at += 64) {
                buf_add(out, text + at, (size_t)MIN(64, len - at));
                buf_add_byte(out, '\n');
        }
        buf_add_text(out, "-----END CERTIFICATE-----\n");
}
