/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/crl.h"

#include "crypto/der.h"
#include "crypto/name.h"
#include "crypto/oid.h"

enum { ENTRY_SIZE = 52 /* about, with a reason */, SERIAL_MOST = 20, REASON_MOST = 10, EXTENSION_MOST = 16 };

/* ---- writing */

static void entry_add(struct buf *out, const struct crl_entry *entry)
{
        static const uint8_t reason_head[] = {0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55,
                                              0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01};
        size_t sequence = der_begin(out, DER_SEQUENCE);

        der_add_unsigned(out, bytes_of(entry->serial, SERIAL_SIZE));
        der_add_time(out, entry->time);
        if (entry->reason) { /* RFC 5280 5.3.1: unspecified is left out */
                buf_add(out, reason_head, sizeof(reason_head));
                buf_add_byte(out, entry->reason);
        }
        der_end(out, sequence);
}

static void extension_add(struct buf *out, struct bytes oid, bool critical, const struct buf *value)
{
        size_t sequence = der_begin(out, DER_SEQUENCE);

        der_add_oid(out, oid);
        if (critical)
                der_add_boolean(out, true);
        der_add(out, DER_OCTET_STRING, buf_view(value));
        der_end(out, sequence);
}

/* IssuingDistributionPoint: only where it is found, so that a list of other certificates cannot take its place. */
static void distribution_point_write(const char *url, struct buf *out)
{
        size_t sequence = der_begin(out, DER_SEQUENCE), name = der_begin(out, DER_CONTEXT_CONSTRUCTED(0));
        size_t full = der_begin(out, DER_CONTEXT_CONSTRUCTED(0));

        general_name_add_uri(out, url);
        der_end(out, full);
        der_end(out, name);
        der_end(out, sequence);
}

/* X.509 (2019) 9.5.2.8: revoked certificates stay, whenever they expire. */
static void keeps_expired_write(struct buf *out)
{
        der_add(out, DER_GENERALIZED_TIME, bytes_text("19700101000000Z"));
}

static void extensions_add(struct buf *out, const struct crl_template *tmpl)
{
        CLEANUP(buf_done) struct buf key_id = BUF_NONE, number = BUF_NONE, point = BUF_NONE, since = BUF_NONE;
        size_t wrapper = der_begin(out, DER_CONTEXT_CONSTRUCTED(0)), sequence = der_begin(out, DER_SEQUENCE), inner;

        inner = der_begin(&key_id, DER_SEQUENCE);
        der_add(&key_id, DER_CONTEXT(0), bytes_of(tmpl->issuer_key_id, KEY_ID_SIZE));
        der_end(&key_id, inner);
        extension_add(out, oid_authority_key_id, false, &key_id);
        der_add_small(&number, tmpl->number);
        extension_add(out, oid_crl_number, false, &number);
        if (tmpl->distribution_url) {
                distribution_point_write(tmpl->distribution_url, &point);
                extension_add(out, oid_issuing_distribution_point, true, &point);
        }
        if (tmpl->keeps_expired) {
                keeps_expired_write(&since);
                extension_add(out, oid_expired_certs_on_crl, false, &since);
        }
        der_end(out, sequence);
        der_end(out, wrapper);
}

void crl_tbs_write(const struct crl_template *tmpl, struct buf *ret_tbs)
{
        struct buf tbs = BUF_NONE;
        size_t sequence, entries;

        buf_reserve(&tbs, tmpl->entry_count * ENTRY_SIZE + 1024);
        sequence = der_begin(&tbs, DER_SEQUENCE);
        der_add_small(&tbs, 1);
        der_add_signature_algorithm(&tbs, tmpl->issuer_type);
        buf_add_bytes(&tbs, tmpl->issuer);
        der_add_time(&tbs, tmpl->this_update);
        der_add_time(&tbs, tmpl->next_update);
        if (tmpl->entry_count) { /* RFC 5280 5.1.2.6: absent when empty */
                entries = der_begin(&tbs, DER_SEQUENCE);
                for (size_t i = 0; i < tmpl->entry_count; i++)
                        entry_add(&tbs, &tmpl->entries[i]);
                der_end(&tbs, entries);
        }
        extensions_add(&tbs, tmpl);
        der_end(&tbs, sequence);
        *ret_tbs = tbs;
}

/* The outer sequence of a list is that of a certificate. */
void crl_join(struct bytes tbs, enum pkey_type issuer_type, struct bytes signature, struct buf *ret_der)
{
        certificate_join(tbs, issuer_type, signature, ret_der);
}

int crl_make(const struct crl_template *tmpl, EVP_PKEY *issuer_key, struct buf *ret_der)
{
        CLEANUP(buf_done) struct buf tbs = BUF_NONE, signature = BUF_NONE;

        crl_tbs_write(tmpl, &tbs);
        TRY(pkey_sign(issuer_key, buf_view(&tbs), &signature));
        crl_join(buf_view(&tbs), tmpl->issuer_type, buf_view(&signature), ret_der);
        return 0;
}

/* ---- reading */

static int unknown_critical(void)
{
        return refuse(PROBLEM_UNSUPPORTED, "It has a critical extension that is unknown here.");
}

static int extension_read(struct bytes *cursor, struct bytes *ret_oid, bool *ret_critical, struct bytes *ret_value)
{
        struct bytes extension;
        bool critical = false;

        TRY(der_read(cursor, DER_SEQUENCE, &extension));
        TRY(der_read_oid(&extension, ret_oid));
        if (der_is(extension, DER_BOOLEAN))
                TRY(der_read_boolean(&extension, &critical));
        TRY(der_read(&extension, DER_OCTET_STRING, ret_value));
        *ret_critical = critical;
        return PASS(der_finish(extension));
}

static int reason_read(struct bytes value, uint8_t *ret_reason)
{
        struct bytes content;

        TRY(der_read_only(value, DER_ENUMERATED, &content));
        if (content.len != 1 || content.data[0] > REASON_MOST)
                return refuse(PROBLEM_MALFORMED, "An entry has no valid reason.");
        *ret_reason = content.data[0];
        return 0;
}

static int entry_extensions_read(struct bytes extensions, uint8_t *ret_reason)
{
        struct bytes oid, value;
        bool critical;

        while (extensions.len) {
                TRY(extension_read(&extensions, &oid, &critical, &value));
                if (bytes_equal(oid, oid_reason_code))
                        TRY(reason_read(value, ret_reason));
                else if (bytes_equal(oid, oid_certificate_issuer))
                        return refuse(PROBLEM_UNSUPPORTED, "It has entries of other issuers.");
                else if (critical)
                        return unknown_critical();
        }
        return 0;
}

/* The entry at the cursor's front; its serial number as it stands there. */
static int entry_read(struct bytes *cursor, struct bytes *ret_serial, struct crl_entry *ret_entry)
{
        struct bytes content, serial, extensions;
        struct crl_entry entry = {0};
        size_t skip;

        TRY(der_read(cursor, DER_SEQUENCE, &content));
        TRY(der_read_unsigned(&content, &serial));
        TRY(der_read_time(&content, &entry.time));
        if (der_is(content, DER_SEQUENCE)) {
                TRY(der_read(&content, DER_SEQUENCE, &extensions));
                TRY(entry_extensions_read(extensions, &entry.reason));
        }
        TRY(der_finish(content));
        if (serial.len > SERIAL_MOST)
                return refuse(PROBLEM_MALFORMED, "A serial number is longer than %d bytes.", SERIAL_MOST);
        skip = serial.len > SERIAL_SIZE ? serial.len - SERIAL_SIZE : 0;
        memcpy(entry.serial + SERIAL_SIZE - (serial.len - skip), serial.data + skip, serial.len - skip);
        *ret_serial = serial;
        *ret_entry = entry;
        return 0;
}

static int entries_check(struct crl *crl)
{
        struct bytes cursor = crl->entries, serial;
        struct crl_entry entry;

        for (; cursor.len; crl->entry_count++)
                TRY(entry_read(&cursor, &serial, &entry));
        return 0;
}

/* RFC 5280 5.2.5: anything but the name of the point says that the list is not for all certificates or reasons. */
static int distribution_point_read(struct bytes value, struct bytes *ret_point)
{
        struct bytes content;

        TRY(der_read_only(value, DER_SEQUENCE, &content));
        if (der_is(content, DER_CONTEXT_CONSTRUCTED(0)))
                TRY(der_read(&content, DER_CONTEXT_CONSTRUCTED(0), ret_point));
        if (content.len)
                return refuse(PROBLEM_UNSUPPORTED, "It is not for all certificates and reasons.");
        return 0;
}

static int key_id_read(struct bytes value, struct bytes *ret_id)
{
        struct bytes content;

        TRY(der_read_only(value, DER_SEQUENCE, &content));
        if (der_is(content, DER_CONTEXT(0)))
                TRY(der_read(&content, DER_CONTEXT(0), ret_id));
        return 0;
}

static int number_read(struct bytes value, uint64_t *ret_number)
{
        struct bytes magnitude;
        uint64_t number = 0;

        TRY(der_read_unsigned(&value, &magnitude));
        TRY(der_finish(value));
        if (magnitude.len > 8)
                return 0;
        for (size_t i = 0; i < magnitude.len; i++)
                number = number << 8 | magnitude.data[i];
        *ret_number = number;
        return 0;
}

static int crl_extension_read(struct crl *crl, struct bytes oid, bool critical, struct bytes value)
{
        if (bytes_equal(oid, oid_authority_key_id))
                return PASS(key_id_read(value, &crl->authority_key_id));
        if (bytes_equal(oid, oid_crl_number))
                return PASS(number_read(value, &crl->number));
        if (bytes_equal(oid, oid_issuing_distribution_point))
                return PASS(distribution_point_read(value, &crl->point));
        if (bytes_equal(oid, oid_expired_certs_on_crl)) {
                TRY(der_read_generalized_time(&value, &crl->expired_since));
                return PASS(der_finish(value));
        }
        if (bytes_equal(oid, oid_delta_crl_indicator))
                return refuse(PROBLEM_UNSUPPORTED, "It has only the changes since another list.");
        return critical ? unknown_critical() : 0;
}

static int crl_extensions_read(struct crl *crl, struct bytes wrapper)
{
        struct bytes content, value, seen[EXTENSION_MOST];
        bool critical;

        TRY(der_read_only(wrapper, DER_SEQUENCE, &content));
        for (size_t count = 0; content.len; count++) {
                if (count == EXTENSION_MOST)
                        return refuse(PROBLEM_TOO_LARGE, "It has more than %d extensions.", EXTENSION_MOST);
                TRY(extension_read(&content, &seen[count], &critical, &value));
                for (size_t i = 0; i < count; i++)
                        if (bytes_equal(seen[i], seen[count]))
                                return refuse(PROBLEM_MALFORMED, "It has an extension twice.");
                TRY(crl_extension_read(crl, seen[count], critical, value));
        }
        return 0;
}

static int tbs_read(struct crl *crl, struct bytes *ret_algorithm)
{
        struct bytes cursor, wrapper;
        uint64_t version;

        TRY(der_read_only(crl->tbs, DER_SEQUENCE, &cursor));
        if (!der_is(cursor, DER_INTEGER))
                return refuse(PROBLEM_UNSUPPORTED, "It is not of version 2.");
        TRY(der_read_small(&cursor, 255, &version));
        if (version != 1)
                return refuse(PROBLEM_UNSUPPORTED, "It is not of version 2.");
        TRY(der_read_whole(&cursor, DER_SEQUENCE, ret_algorithm));
        TRY(der_read_whole(&cursor, DER_SEQUENCE, &crl->issuer));
        TRY(name_check(crl->issuer));
        TRY(der_read_time(&cursor, &crl->this_update));
        TRY(der_read_time(&cursor, &crl->next_update)); /* RFC 5280 5.1.2.5 demands what X.509 leaves optional */
        if (der_is(cursor, DER_SEQUENCE)) {
                TRY(der_read(&cursor, DER_SEQUENCE, &crl->entries));
                TRY(entries_check(crl));
        }
        if (der_is(cursor, DER_CONTEXT_CONSTRUCTED(0))) {
                TRY(der_read(&cursor, DER_CONTEXT_CONSTRUCTED(0), &wrapper));
                TRY(crl_extensions_read(crl, wrapper));
        }
        return PASS(der_finish(cursor));
}

static int parts_read(struct crl *crl, struct bytes der)
{
        struct bytes content, algorithm;

        TRY(der_read_only(der, DER_SEQUENCE, &content));
        TRY(der_read_whole(&content, DER_SEQUENCE, &crl->tbs));
        TRY(der_read_whole(&content, DER_SEQUENCE, &crl->signature_algorithm));
        TRY(der_read_bits(&content, &crl->signature));
        TRY(der_finish(content));
        TRY(tbs_read(crl, &algorithm));
        if (!bytes_equal(algorithm, crl->signature_algorithm))
                return refuse(PROBLEM_MALFORMED, "Its signature algorithm inside is not the one outside.");
        return 0;
}

static int parse(struct bytes input, bool signed_list, struct crl *ret_crl)
{
        struct bytes algorithm;
        struct crl crl = {.expired_since = INT64_MAX};
        int result;

        if (input.len > CRL_MOST)
                return refuse(PROBLEM_TOO_LARGE, "A revocation list is longer than %d bytes.", CRL_MOST);
        crl.tbs = input;
        result = signed_list ? parts_read(&crl, input) : tbs_read(&crl, &algorithm);
        if (result)
                return PASS(report_prefix(result, "A revocation list cannot be read. "));
        *ret_crl = crl;
        return 0;
}

int crl_parse(struct bytes der, struct crl *ret_crl)
{
        return PASS(parse(der, true, ret_crl));
}

int crl_tbs_parse(struct bytes tbs, struct crl *ret_crl)
{
        return PASS(parse(tbs, false, ret_crl));
}

int crl_verify(const struct crl *crl, const struct certificate *issuer)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;

        if (!bytes_equal(crl->issuer, issuer->subject) ||
            (crl->authority_key_id.len && issuer->subject_key_id.len &&
             !bytes_equal(crl->authority_key_id, issuer->subject_key_id)))
                return refuse(PROBLEM_UNAUTHENTICATED, "The revocation list is of another issuer.");
        if (issuer->has_key_usage && !(issuer->key_usage & USAGE_CRL_SIGN))
                return refuse(PROBLEM_UNAUTHENTICATED, "The issuer of the revocation list may not sign one.");
        TRY(pkey_from_spki(issuer->spki, &key));
        return PASS(pkey_verify_as(key, crl->signature_algorithm, crl->tbs, crl->signature));
}

/* RFC 5280 6.3.3 (b)(2)(i): of issuers with several lists, each has only some of the certificates. One name in common will do. */
bool crl_is_for(const struct crl *crl, const struct certificate *certificate)
{
        struct bytes point = crl->point, names, name;
        uint8_t tag;

        if (!point.len)
                return true;
        if (!der_is(point, DER_CONTEXT_CONSTRUCTED(0)) || der_read(&point, DER_CONTEXT_CONSTRUCTED(0), &names) != 0)
                return false;
        while (names.len && der_read_any(&names, &tag, &name) == 0)
                if (tag == DER_CONTEXT(6) && certificate_has_crl_at(certificate, name))
                        return true;
        return false;
}

bool crl_each(struct bytes *cursor, struct crl_entry *ret_entry)
{
        struct bytes serial;

        return cursor->len && entry_read(cursor, &serial, ret_entry) == 0;
}

bool crl_covers(const struct crl *crl, const struct certificate *certificate)
{
        return certificate->not_after >= crl->this_update || certificate->not_after >= crl->expired_since;
}

int crl_find(const struct crl *crl, struct bytes serial, struct crl_entry *ret_entry)
{
        struct bytes cursor = crl->entries, element, found;
        struct crl_entry entry;

        while (cursor.len) {
                TRY(der_read_whole(&cursor, DER_SEQUENCE, &element));
                /* Only one whose bytes contain the number is taken apart: SEQUENCE and INTEGER heads are at least 4
                 * bytes. */
                if (!serial.len || !memmem(element.data, MIN(element.len, (size_t)32), serial.data, serial.len))
                        continue;
                TRY(entry_read(&element, &found, &entry));
                if (bytes_equal(found, serial)) {
                        *ret_entry = entry;
                        return 0;
                }
        }
        return refuse(PROBLEM_NOT_FOUND, "The certificate is not on the revocation list.");
}
