/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/certificate.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/der.h"
#include "crypto/name.h"
#include "crypto/oid.h"

enum { EXTENSION_MOST = 64, ADDRESS_MOST = 256, SERIAL_MOST = 20 /* RFC 5280 4.1.2.2 */ };

/* ---- extensions, each: its content into the certificate */

static int basic_constraints_read(struct certificate *certificate, struct bytes value)
{
        uint64_t path_len;
        struct bytes content;

        TRY(der_read_only(value, DER_SEQUENCE, &content));
        if (der_is(content, DER_BOOLEAN))
                TRY(der_read_boolean(&content, &certificate->is_ca));
        if (der_is(content, DER_INTEGER)) {
                TRY(der_read_small(&content, 255, &path_len));
                certificate->path_len = (int)path_len;
        }
        return PASS(der_finish(content));
}

static int key_usage_read(struct certificate *certificate, struct bytes value)
{
        TRY(der_read_named_bits(&value, &certificate->key_usage));
        certificate->has_key_usage = true;
        return PASS(der_finish(value));
}

static unsigned ext_key_usage_of(struct bytes oid)
{
        static const struct {
                const struct bytes *oid;
                enum ext_key_usage usage;
        } usages[] = {
                {&oid_server_auth, EXT_USAGE_SERVER},   {&oid_client_auth, EXT_USAGE_CLIENT},
                {&oid_email_protection, EXT_USAGE_EMAIL}, {&oid_ocsp_signing, EXT_USAGE_OCSP},
                {&oid_any_ext_key_usage, EXT_USAGE_ANY},
        };

        for (size_t i = 0; i < ARRAY_LEN(usages); i++)
                if (bytes_equal(oid, *usages[i].oid))
                        return usages[i].usage;
        return EXT_USAGE_OTHER;
}

static int ext_key_usage_read(struct certificate *certificate, struct bytes value)
{
        struct bytes content, oid;

        TRY(der_read_only(value, DER_SEQUENCE, &content));
        do {
                TRY(der_read_oid(&content, &oid));
                certificate->ext_key_usage |= ext_key_usage_of(oid);
        } while (content.len);
        certificate->has_ext_key_usage = true;
        return 0;
}

static int subject_key_id_read(struct certificate *certificate, struct bytes value)
{
        return PASS(der_read_only(value, DER_OCTET_STRING, &certificate->subject_key_id));
}

/* Issuer and serial number in it ([1], [2]) only repeat what a chain shows; they are passed over. */
static int authority_key_id_read(struct certificate *certificate, struct bytes value)
{
        struct bytes content, other;
        uint8_t tag;

        TRY(der_read_only(value, DER_SEQUENCE, &content));
        if (der_is(content, DER_CONTEXT(0)))
                TRY(der_read(&content, DER_CONTEXT(0), &certificate->authority_key_id));
        while (content.len)
                TRY(der_read_any(&content, &tag, &other));
        return 0;
}

static int alt_names_read(struct certificate *certificate, struct bytes value)
{
        struct bytes content;

        TRY(der_read_only(value, DER_SEQUENCE, &content));
        do {
                CLEANUP(buf_done) struct buf address = BUF_NONE;

                TRY(general_name_read_address(&content, &address));
                if (!address.len)
                        continue;
                if (++certificate->address_count > ADDRESS_MOST)
                        return refuse(PROBLEM_TOO_LARGE, "A certificate has more than %d addresses.", ADDRESS_MOST);
                buf_add(&certificate->addresses, address.data, address.len + 1);
        } while (content.len);
        return 0;
}

/* A URI of http or https, in printable ASCII. */
static char *url_of(struct bytes uri)
{
        bool http = (uri.len > 7 && memcmp(uri.data, "http://", 7) == 0) ||
                    (uri.len > 8 && memcmp(uri.data, "https://", 8) == 0);

        for (size_t i = 0; i < uri.len; i++)
                if (uri.data[i] <= ' ' || uri.data[i] >= 0x7f)
                        return NULL;
        return http && uri.len <= 2048 ? text_copy_n((const char *)uri.data, uri.len) : NULL;
}

static int urls_read(struct bytes names, char **url)
{
        struct bytes content;
        uint8_t tag;

        while (names.len) {
                TRY(der_read_any(&names, &tag, &content));
                if (tag == DER_CONTEXT(6) && !*url)
                        *url = url_of(content);
        }
        return 0;
}

/* The names of a DistributionPoint: one for some reasons only, or of another issuer, is not ours to use. */
static int crl_point_read(struct bytes point, struct bytes *ret_names)
{
        struct bytes name = BYTES_NONE, other;
        bool special = false;
        uint8_t tag;

        if (der_is(point, DER_CONTEXT_CONSTRUCTED(0)))
                TRY(der_read(&point, DER_CONTEXT_CONSTRUCTED(0), &name));
        for (; point.len; special = true)
                TRY(der_read_any(&point, &tag, &other));
        *ret_names = BYTES_NONE;
        if (special || !der_is(name, DER_CONTEXT_CONSTRUCTED(0)))
                return 0;
        return PASS(der_read_only(name, DER_CONTEXT_CONSTRUCTED(0), ret_names));
}

static int crl_points_read(struct certificate *certificate, struct bytes value)
{
        struct bytes content, point, names;

        TRY(der_read_only(value, DER_SEQUENCE, &content));
        certificate->crl_points = content;
        while (content.len) {
                TRY(der_read(&content, DER_SEQUENCE, &point));
                TRY(crl_point_read(point, &names));
                TRY(urls_read(names, &certificate->crl_url));
        }
        return 0;
}

static int info_access_read(struct certificate *certificate, struct bytes value)
{
        struct bytes content, description, method;

        TRY(der_read_only(value, DER_SEQUENCE, &content));
        while (content.len) {
                char *none = NULL, **url = &none;

                TRY(der_read(&content, DER_SEQUENCE, &description));
                TRY(der_read_oid(&description, &method));
                if (bytes_equal(method, oid_ca_issuers))
                        url = &certificate->ca_issuers_url;
                else if (bytes_equal(method, oid_ocsp))
                        url = &certificate->ocsp_url;
                if (url != &none)
                        TRY(urls_read(description, url));
        }
        return 0;
}

/* What the verification of a chain handles (chain_verify(), by OpenSSL), and nothing here needs. */
static int left_to_chain(struct certificate *certificate, struct bytes value)
{
        return 0;
}

static const struct {
        const struct bytes *oid;
        int (*read)(struct certificate *certificate, struct bytes value);
} extension_table[] = {
        {&oid_basic_constraints, basic_constraints_read}, {&oid_key_usage, key_usage_read},
        {&oid_ext_key_usage, ext_key_usage_read},         {&oid_subject_key_id, subject_key_id_read},
        {&oid_authority_key_id, authority_key_id_read},   {&oid_subject_alt_name, alt_names_read},
        {&oid_crl_distribution_points, crl_points_read},  {&oid_authority_info_access, info_access_read},
        {&oid_name_constraints, left_to_chain},           {&oid_certificate_policies, left_to_chain},
        {&oid_policy_constraints, left_to_chain},         {&oid_policy_mappings, left_to_chain},
        {&oid_inhibit_any_policy, left_to_chain},
};

static int extension_read(struct certificate *certificate, struct bytes oid, bool critical, struct bytes value)
{
        CLEANUP(buf_done) struct buf text = BUF_NONE;

        for (size_t i = 0; i < ARRAY_LEN(extension_table); i++)
                if (bytes_equal(oid, *extension_table[i].oid))
                        return PASS(extension_table[i].read(certificate, value));
        if (!critical)
                return 0;
        oid_add_text(&text, oid);
        return refuse(PROBLEM_UNSUPPORTED, "It has the critical extension %s, which is unknown here.", buf_text(&text));
}

static int extensions_read(struct certificate *certificate, struct bytes extensions)
{
        struct bytes content, extension, value, seen[EXTENSION_MOST];

        TRY(der_read_only(extensions, DER_SEQUENCE, &content));
        for (size_t count = 0; content.len; count++) {
                bool critical = false;

                if (count == EXTENSION_MOST)
                        return refuse(PROBLEM_TOO_LARGE, "It has more than %d extensions.", EXTENSION_MOST);
                TRY(der_read(&content, DER_SEQUENCE, &extension));
                TRY(der_read_oid(&extension, &seen[count]));
                if (der_is(extension, DER_BOOLEAN))
                        TRY(der_read_boolean(&extension, &critical));
                TRY(der_read(&extension, DER_OCTET_STRING, &value));
                TRY(der_finish(extension));
                for (size_t i = 0; i < count; i++)
                        if (bytes_equal(seen[i], seen[count])) /* RFC 5280 4.2 */
                                return refuse(PROBLEM_MALFORMED, "It has an extension twice.");
                TRY(extension_read(certificate, seen[count], critical, value));
        }
        return 0;
}

/* ---- the certificate */

static int name_read(struct bytes *cursor, struct bytes *name)
{
        TRY(der_read_whole(cursor, DER_SEQUENCE, name));
        return PASS(name_check(*name));
}

static int head_read(struct certificate *certificate, struct bytes *cursor, struct bytes *ret_algorithm)
{
        struct bytes wrapper;
        uint64_t version;

        if (!der_is(*cursor, DER_CONTEXT_CONSTRUCTED(0)))
                return refuse(PROBLEM_UNSUPPORTED, "It is not of version 3.");
        TRY(der_read(cursor, DER_CONTEXT_CONSTRUCTED(0), &wrapper));
        TRY(der_read_small(&wrapper, 255, &version));
        TRY(der_finish(wrapper));
        if (version != 2)
                return refuse(PROBLEM_UNSUPPORTED, "It is not of version 3.");
        TRY(der_read_unsigned(cursor, &certificate->serial));
        if (certificate->serial.len > SERIAL_MOST)
                return refuse(PROBLEM_MALFORMED, "Its serial number is longer than %d bytes.", SERIAL_MOST);
        return PASS(der_read_whole(cursor, DER_SEQUENCE, ret_algorithm));
}

static int tbs_read(struct certificate *certificate, struct bytes tbs, struct bytes *ret_algorithm)
{
        struct bytes cursor, validity, extensions;

        TRY(der_read_only(tbs, DER_SEQUENCE, &cursor));
        TRY(head_read(certificate, &cursor, ret_algorithm));
        TRY(name_read(&cursor, &certificate->issuer));
        TRY(der_read(&cursor, DER_SEQUENCE, &validity));
        TRY(der_read_time(&validity, &certificate->not_before));
        TRY(der_read_time(&validity, &certificate->not_after));
        TRY(der_finish(validity));
        TRY(name_read(&cursor, &certificate->subject));
        TRY(der_read_whole(&cursor, DER_SEQUENCE, &certificate->spki));
        if (der_is(cursor, DER_CONTEXT_CONSTRUCTED(3))) {
                TRY(der_read(&cursor, DER_CONTEXT_CONSTRUCTED(3), &extensions));
                TRY(extensions_read(certificate, extensions));
        }
        return PASS(der_finish(cursor)); /* unique identifiers, of version 2, end here too */
}

static int parts_read(struct certificate *certificate)
{
        struct bytes content, algorithm;

        TRY(der_read_only(buf_view(&certificate->der), DER_SEQUENCE, &content));
        TRY(der_read_whole(&content, DER_SEQUENCE, &certificate->tbs));
        TRY(der_read_whole(&content, DER_SEQUENCE, &certificate->signature_algorithm));
        TRY(der_read_bits(&content, &certificate->signature));
        TRY(der_finish(content));
        TRY(tbs_read(certificate, certificate->tbs, &algorithm));
        if (!bytes_equal(algorithm, certificate->signature_algorithm)) /* RFC 5280 4.1.1.2 */
                return refuse(PROBLEM_MALFORMED, "Its signature algorithm inside is not the one outside.");
        return 0;
}

int certificate_parse(struct bytes der, struct certificate *ret_certificate)
{
        CLEANUP(certificate_done) struct certificate certificate = {.path_len = -1};
        int result;

        if (der.len > CERTIFICATE_MOST)
                return refuse(PROBLEM_TOO_LARGE, "A certificate is longer than %d bytes.", CERTIFICATE_MOST);
        certificate.der = buf_copy_of(der);
        result = parts_read(&certificate);
        if (result)
                return PASS(report_prefix(result, "A certificate cannot be read. "));
        certificate.fingerprint = sha256(der);
        *ret_certificate = certificate_take(&certificate);
        return 0;
}

void certificate_done(struct certificate *certificate)
{
        buf_done(&certificate->der);
        buf_done(&certificate->addresses);
        free(certificate->crl_url);
        free(certificate->ca_issuers_url);
        free(certificate->ocsp_url);
        *certificate = (struct certificate){0};
}

struct certificate certificate_take(struct certificate *certificate)
{
        struct certificate taken = *certificate;

        *certificate = (struct certificate){0};
        return taken;
}

const char *certificate_address(const struct certificate *certificate, size_t index)
{
        const char *address = (const char *)certificate->addresses.data;

        while (index-- > 0)
                address += strlen(address) + 1;
        return address;
}

bool certificate_has_address(const struct certificate *certificate, const char *address_key)
{
        CLEANUP(buf_done) struct buf wanted = BUF_NONE;
        bool found = false;

        address_to_ascii(address_key, &wanted);
        for (size_t i = 0; i < certificate->address_count && !found; i++) {
                CLEANUP(buf_done) struct buf own = BUF_NONE;

                address_to_ascii(certificate_address(certificate, i), &own);
                found = bytes_equal(buf_view(&own), buf_view(&wanted));
        }
        return found;
}

bool certificate_has_crl_at(const struct certificate *certificate, struct bytes uri)
{
        struct bytes points = certificate->crl_points, point, names, name;
        uint8_t tag;

        while (points.len && der_read(&points, DER_SEQUENCE, &point) == 0 && crl_point_read(point, &names) == 0)
                while (names.len && der_read_any(&names, &tag, &name) == 0)
                        if (tag == DER_CONTEXT(6) && bytes_equal(name, uri))
                                return true;
        return false;
}

/* RFC 8550 4.4.4: an extended key usage must permit mail; one for any purpose does. */
static bool permits_mail(const struct certificate *certificate)
{
        return !certificate->has_ext_key_usage || certificate->ext_key_usage & (EXT_USAGE_EMAIL | EXT_USAGE_ANY);
}

bool certificate_may_sign(const struct certificate *certificate)
{
        return permits_mail(certificate) &&
               (!certificate->has_key_usage ||
                certificate->key_usage & (USAGE_DIGITAL_SIGNATURE | USAGE_NON_REPUDIATION));
}

bool certificate_may_encrypt(const struct certificate *certificate)
{
        return permits_mail(certificate) &&
               (!certificate->has_key_usage || certificate->key_usage & (USAGE_KEY_ENCIPHERMENT | USAGE_KEY_AGREEMENT));
}

int certificate_to_x509(const struct certificate *certificate, X509 **ret_x509)
{
        const unsigned char *at = certificate->der.data;
        X509 *x509 = d2i_X509(NULL, &at, (long)certificate->der.len);

        if (!x509) {
                crypto_errors_clear();
                return refuse(PROBLEM_MALFORMED, "A certificate is not one that OpenSSL reads.");
        }
        *ret_x509 = x509;
        return 0;
}

bool certificate_has_host(const struct certificate *certificate, const char *host)
{
        X509 *x509;
        bool has;

        if (certificate_to_x509(certificate, &x509))
                return false;
        has = X509_check_host(x509, host, 0, 0, NULL) == 1 || X509_check_ip_asc(x509, host, 0) == 1;
        X509_free(x509);
        crypto_errors_clear(); /* what is no IP address leaves one */
        return has;
}

int cert_list_add(struct cert_list *list, struct bytes der)
{
        struct certificate certificate;

        TRY(certificate_parse(der, &certificate));
        list->items = mem_resize(list->items, list->count + 1, sizeof(*list->items));
        list->items[list->count++] = certificate;
        return 0;
}

static int pem_next(BIO *pem, struct buf *ret_der, bool *ret_end)
{
        char *name = NULL, *header = NULL;
        unsigned char *data = NULL;
        long len = 0;
        int result = 0;

        *ret_end = PEM_read_bio(pem, &name, &header, &data, &len) != 1;
        if (*ret_end)
                crypto_errors_clear();
        else if (strcmp(name, PEM_STRING_X509) != 0)
                result = refuse(PROBLEM_MALFORMED, "There is something else than a certificate in the PEM text.");
        else
                *ret_der = buf_copy_of(bytes_of(data, (size_t)len));
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(data);
        return result;
}

int cert_list_add_pem(struct cert_list *list, struct bytes pem)
{
        CLEANUP(BIO_free_allp) BIO *bio = NULL;
        size_t before = list->count;

        if (der_is(pem, DER_SEQUENCE))
                return PASS(cert_list_add(list, pem));
        if (pem.len > INT32_MAX)
                return refuse(PROBLEM_TOO_LARGE, "The PEM text is too long.");
        bio = BIO_new_mem_buf(pem.data, (int)pem.len);
        if (!bio)
                return crypto_fault("A PEM text could not be read");
        for (;;) {
                CLEANUP(buf_done) struct buf der = BUF_NONE;
                bool end;

                TRY(pem_next(bio, &der, &end));
                if (end)
                        break;
                TRY(cert_list_add(list, buf_view(&der)));
        }
        if (list->count == before)
                return refuse(PROBLEM_MALFORMED, "There is no certificate in PEM or DER.");
        return 0;
}

void cert_list_done(struct cert_list *list)
{
        for (size_t i = 0; i < list->count; i++)
                certificate_done(&list->items[i]);
        free(list->items);
        *list = (struct cert_list){0};
}
