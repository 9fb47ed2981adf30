/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/name.h"

#include "base/fault.h"
#include "base/text.h"
#include "crypto/der.h"
#include "crypto/oid.h"

enum { NAME_MOST = 4096, RDN_MOST = 64 };

/* ---- writing */

/* The length of at most `count` characters of well-formed UTF-8. */
static size_t cut_characters(struct bytes text, size_t count)
{
        size_t at = 0;

        while (at < text.len && count-- > 0) {
                at++;
                while (at < text.len && (text.data[at] & 0xc0) == 0x80)
                        at++;
        }
        return at;
}

/* PrintableString (X.680 41.4) has no more than these; anything else is shown as "?". */
static void add_printable_string(struct buf *out, struct bytes text)
{
        static const char others[] = " '()+,-./:=?";

        for (size_t i = 0; i < text.len; i++) {
                uint8_t c = text.data[i];
                bool permitted = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                                 (c && strchr(others, c));

                if ((c & 0xc0) != 0x80) /* one for each character, not for each byte */
                        buf_add_byte(out, permitted ? c : '?');
        }
}

static void attribute_add(struct buf *out, struct bytes oid, uint8_t tag, struct bytes value)
{
        size_t set = der_begin(out, DER_SET), sequence = der_begin(out, DER_SEQUENCE);

        der_add_oid(out, oid);
        der_add(out, tag, value);
        der_end(out, sequence);
        der_end(out, set);
}

static void text_attribute_add(struct buf *out, struct bytes oid, const char *text, size_t most)
{
        CLEANUP(buf_done) struct buf clean = BUF_NONE, printable = BUF_NONE;
        bool serial = bytes_equal(oid, oid_serial_number);

        if (!text || !*text)
                return;
        text_add_printable(&clean, bytes_text(text), 16 * most);
        buf_truncate(&clean, cut_characters(buf_view(&clean), most));
        if (serial)
                add_printable_string(&printable, buf_view(&clean));
        attribute_add(out, oid, serial ? DER_PRINTABLE_STRING : DER_UTF8_STRING,
                      buf_view(serial ? &printable : &clean));
}

static void country_add(struct buf *out, const char *country)
{
        uint8_t code[2];

        if (!country || strlen(country) != 2)
                return;
        for (size_t i = 0; i < 2; i++) {
                code[i] = (uint8_t)country[i] & 0xdf; /* upper case */
                if (code[i] < 'A' || code[i] > 'Z')
                        return;
        }
        attribute_add(out, oid_country, DER_PRINTABLE_STRING, bytes_of(code, 2));
}

/* Upper bounds: RFC 5280 appendix A.1; names of persons (32768 there) are cut like common names, as directories
 * expect. */
void name_write(struct buf *out, const struct name_attributes *attributes)
{
        size_t name = der_begin(out, DER_SEQUENCE);

        country_add(out, attributes->country);
        text_attribute_add(out, oid_state, attributes->state, 128);
        text_attribute_add(out, oid_locality, attributes->locality, 128);
        text_attribute_add(out, oid_organization, attributes->organization, 64);
        text_attribute_add(out, oid_unit, attributes->unit, 64);
        text_attribute_add(out, oid_title, attributes->title, 64);
        text_attribute_add(out, oid_given_name, attributes->given_name, 64);
        text_attribute_add(out, oid_surname, attributes->surname, 64);
        text_attribute_add(out, oid_serial_number, attributes->serial_number, 64);
        text_attribute_add(out, oid_common_name, attributes->common_name, 64);
        der_end(out, name);
}

/* ---- reading */

struct attribute {
        struct bytes oid;
        uint8_t tag;
        struct bytes value;
        struct bytes element; /* value with its head */
};

static int attribute_read(struct bytes *rdn, struct attribute *ret_attribute)
{
        struct attribute attribute;
        struct bytes sequence;

        TRY(der_read(rdn, DER_SEQUENCE, &sequence));
        TRY(der_read_oid(&sequence, &attribute.oid));
        attribute.element = sequence;
        TRY(der_read_any(&sequence, &attribute.tag, &attribute.value));
        TRY(der_finish(sequence));
        *ret_attribute = attribute;
        return 0;
}

int name_check(struct bytes name)
{
        struct attribute attribute;
        struct bytes rdns, rdn;
        size_t count = 0;

        if (name.len > NAME_MOST)
                return refuse(PROBLEM_MALFORMED, "A name in a certificate is longer than %d bytes.", NAME_MOST);
        TRY(der_read_only(name, DER_SEQUENCE, &rdns));
        while (rdns.len) {
                TRY(der_read(&rdns, DER_SET, &rdn));
                if (++count > RDN_MOST || !rdn.len)
                        return refuse(PROBLEM_MALFORMED,
                                      "A name in a certificate has too many parts, or an empty one.");
                while (rdn.len)
                        TRY(attribute_read(&rdn, &attribute));
        }
        return 0;
}

static void character_add(struct buf *out, unsigned c)
{
        if (c >= 0x800) {
                buf_add_byte(out, (uint8_t)(0xe0 | c >> 12));
                buf_add_byte(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
                buf_add_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
        } else if (c >= 0x80) {
                buf_add_byte(out, (uint8_t)(0xc0 | c >> 6));
                buf_add_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
        } else {
                buf_add_byte(out, (uint8_t)c);
        }
}

/* The value as printable UTF-8; false for what is no string. Surrogates of BMPString become U+FFFD, as they are no
 * characters. */
static bool attribute_text(const struct attribute *attribute, struct buf *out)
{
        CLEANUP(buf_done) struct buf wide = BUF_NONE;
        struct bytes value = attribute->value, text = value;

        switch (attribute->tag) {
        case DER_UTF8_STRING:
        case DER_PRINTABLE_STRING:
        case DER_IA5_STRING:
        case 0x12: /* NumericString */
        case 0x1a: /* VisibleString */
                break;
        case DER_TELETEX_STRING: /* as everybody reads it: Latin-1 */
                for (size_t i = 0; i < value.len; i++)
                        character_add(&wide, value.data[i]);
                text = buf_view(&wide);
                break;
        case DER_BMP_STRING:
                for (size_t i = 0; i + 1 < value.len; i += 2)
                        character_add(&wide, (unsigned)value.data[i] << 8 | value.data[i + 1]);
                text = buf_view(&wide);
                break;
        default:
                return false;
        }
        text_add_printable(out, text, NAME_MOST);
        return true;
}

static const char *attribute_short_name(struct bytes oid)
{
        static const struct {
                const struct bytes *oid;
                const char *name;
        } names[] = {
                {&oid_common_name, "CN"},       {&oid_surname, "SN"},        {&oid_given_name, "GN"},
                {&oid_serial_number, "serialNumber"}, {&oid_country, "C"},   {&oid_locality, "L"},
                {&oid_state, "ST"},             {&oid_organization, "O"},    {&oid_unit, "OU"},
                {&oid_title, "title"},          {&oid_domain_component, "DC"}, {&oid_user_id, "UID"},
                {&oid_email_address, "emailAddress"}, {&oid_organization_id, "organizationIdentifier"},
        };

        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                if (bytes_equal(oid, *names[i].oid))
                        return names[i].name;
        return NULL;
}

/* RFC 4514 2.4 */
static void escaped_add(struct buf *out, struct bytes text)
{
        for (size_t i = 0; i < text.len; i++) {
                uint8_t c = text.data[i];
                bool at_edge = (i == 0 && (c == ' ' || c == '#')) || (i + 1 == text.len && c == ' ');

                if (at_edge || (c && strchr(",+\"\\<>;=", c)))
                        buf_add_byte(out, '\\');
                buf_add_byte(out, c);
        }
}

static void attribute_add_text(struct buf *out, const struct attribute *attribute)
{
        const char *name = attribute_short_name(attribute->oid);
        CLEANUP(buf_done) struct buf text = BUF_NONE;

        if (name && attribute_text(attribute, &text)) {
                buf_add_format(out, "%s=", name);
                escaped_add(out, buf_view(&text));
                return;
        }
        oid_add_text(out, attribute->oid);
        buf_add_text(out, "=#");
        hex_add(out, attribute->element);
}

int name_add_text(struct buf *out, struct bytes name)
{
        struct bytes rdns, rdn[RDN_MOST];
        size_t count = 0;

        TRY(name_check(name));
        TRY(der_read_only(name, DER_SEQUENCE, &rdns));
        while (rdns.len)
                TRY(der_read(&rdns, DER_SET, &rdn[count++]));
        while (count-- > 0) { /* RFC 4514 2.1: the last comes first */
                for (bool first = true; rdn[count].len; first = false) {
                        struct attribute attribute;

                        TRY(attribute_read(&rdn[count], &attribute));
                        if (!first)
                                buf_add_text(out, "+");
                        attribute_add_text(out, &attribute);
                }
                if (count)
                        buf_add_text(out, ",");
        }
        return 0;
}

int name_common_name(struct bytes name, struct buf *ret_text)
{
        CLEANUP(buf_done) struct buf text = BUF_NONE;
        struct attribute attribute;
        struct bytes rdns, rdn;

        TRY(name_check(name));
        TRY(der_read_only(name, DER_SEQUENCE, &rdns));
        while (rdns.len && !text.len) {
                TRY(der_read(&rdns, DER_SET, &rdn));
                while (rdn.len && !text.len) {
                        TRY(attribute_read(&rdn, &attribute));
                        if (bytes_equal(attribute.oid, oid_common_name))
                                (void)attribute_text(&attribute, &text);
                }
        }
        *ret_text = buf_take(&text);
        return 0;
}
