/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <idn2.h>
#include <strings.h>

#include "base/fault.h"
#include "base/fold.h"
#include "base/text.h"
#include "crypto/der.h"
#include "crypto/name.h"
#include "crypto/oid.h"

enum {
        OTHER_NAME = DER_CONTEXT_CONSTRUCTED(0),
        RFC822_NAME = DER_CONTEXT(1),
        DNS_NAME = DER_CONTEXT(2),
        URI = DER_CONTEXT(6),
        IP_ADDRESS = DER_CONTEXT(7)
};

/* Everything up to and with the @, then the domain as converted. */
static void domain_replace(const char *address, const char *domain, const char *converted, struct buf *ret_address)
{
        struct buf result = BUF_NONE;

        buf_add(&result, address, (size_t)(domain - address));
        buf_add_text(&result, converted);
        *ret_address = result;
}

static const char *domain_of(const char *address)
{
        const char *at = strrchr(address, '@');

        return at ? at + 1 : address;
}

void address_to_ascii(const char *address, struct buf *ret_address)
{
        const char *domain = domain_of(address);
        char *converted = NULL;

        if (address_is_ascii(domain) ||
            idn2_to_ascii_8z(domain, &converted, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
                domain_replace(address, domain, domain, ret_address);
        else
                domain_replace(address, domain, converted, ret_address);
        idn2_free(converted);
}

/*
 * An A-label can be made of anything: of characters that no address may have, or that the way back maps to others or to
 * nothing, and so to somebody else's domain. It is one only if it is what its U-label gives (RFC 5890 2.3.2.1), or if that
 * has no way back, as with emoji, and nothing in it that is not seen; and never if it looks like another that is composed.
 */
static bool is_proper(const char *address, const char *unicode, struct buf *ret_checked)
{
        CLEANUP(buf_done) struct buf back = BUF_NONE, composed = BUF_NONE;
        struct bytes domain = bytes_text(domain_of(unicode));

        fold_composed_add(&composed, domain);
        if (address_parse(bytes_text(unicode), ret_checked) != 0 || !bytes_equal(buf_view(&composed), domain))
                return false;
        address_to_ascii(buf_text(ret_checked), &back);
        return strcasecmp(buf_text(&back), address) == 0 ||
               (!fold_has_unseen(domain) && bytes_equal(buf_view(&back), buf_view(ret_checked)));
}

void address_to_unicode(const char *address, struct buf *ret_address)
{
        CLEANUP(buf_done) struct buf result = BUF_NONE, checked = BUF_NONE;
        const char *domain = domain_of(address);
        char *converted = NULL;

        if (!strstr(domain, "xn--") || idn2_to_unicode_8z8z(domain, &converted, 0) != IDN2_OK) {
                domain_replace(address, domain, domain, ret_address);
        } else {
                domain_replace(address, domain, converted, &result);
                if (is_proper(address, buf_text(&result), &checked))
                        *ret_address = buf_take(&checked);
                else
                        domain_replace(address, domain, domain, ret_address);
        }
        idn2_free(converted);
}

void address_normalize(struct buf *key)
{
        CLEANUP(buf_done) struct buf ascii = BUF_NONE, unicode = BUF_NONE;

        address_to_ascii(buf_text(key), &ascii);
        address_to_unicode(buf_text(&ascii), &unicode);
        buf_done(key);
        *key = buf_take(&unicode);
}

int address_key(struct bytes text, struct buf *ret_key)
{
        CLEANUP(buf_done) struct buf parsed = BUF_NONE, key = BUF_NONE, ascii = BUF_NONE;

        TRY(address_parse(text, &parsed));
        fold_composed_add(&key, buf_view(&parsed));
        address_normalize(&key);
        address_to_ascii(buf_text(&key), &ascii); /* of what is not seen, joiners have their place in proper domains */
        if (fold_has_unseen(buf_view(&ascii)))
                return refuse(PROBLEM_MALFORMED, "The mail address \"%s\" has a character that cannot be seen.",
                              buf_text(&parsed));
        /* Once more: letters are mapped to signs too, to "/", "," or "@". */
        return PASS(address_parse(buf_view(&key), ret_key));
}

void general_name_add_address(struct buf *out, const char *address)
{
        CLEANUP(buf_done) struct buf ascii = BUF_NONE;
        size_t other, value;

        address_to_ascii(address, &ascii);
        if (address_is_ascii(buf_text(&ascii))) {
                der_add(out, RFC822_NAME, buf_view(&ascii));
                return;
        }
        other = der_begin(out, OTHER_NAME);
        der_add_oid(out, oid_smtp_utf8_mailbox);
        value = der_begin(out, DER_CONTEXT_CONSTRUCTED(0));
        der_add(out, DER_UTF8_STRING, buf_view(&ascii));
        der_end(out, value);
        der_end(out, other);
}

void general_name_add_uri(struct buf *out, const char *uri)
{
        der_add(out, URI, bytes_text(uri));
}

void general_name_add_dns(struct buf *out, const char *host)
{
        CLEANUP(buf_done) struct buf ascii = BUF_NONE;

        address_to_ascii(host, &ascii);
        der_add(out, DNS_NAME, buf_view(&ascii));
}

void general_name_add_host(struct buf *out, const char *host)
{
        uint8_t address[16];

        if (inet_pton(AF_INET, host, address) == 1)
                der_add(out, IP_ADDRESS, bytes_of(address, 4));
        else if (inet_pton(AF_INET6, host, address) == 1)
                der_add(out, IP_ADDRESS, bytes_of(address, 16));
        else
                general_name_add_dns(out, host);
}

static int mailbox_read(struct bytes other, struct bytes *ret_text)
{
        struct bytes oid, value;

        TRY(der_read_oid(&other, &oid));
        TRY(der_read(&other, DER_CONTEXT_CONSTRUCTED(0), &value));
        TRY(der_finish(other));
        if (!bytes_equal(oid, oid_smtp_utf8_mailbox))
                return 0;
        return PASS(der_read_only(value, DER_UTF8_STRING, ret_text));
}

int general_name_read_address(struct bytes *cursor, struct buf *ret_address)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE;
        struct bytes content, text = BYTES_NONE;
        struct buf address = BUF_NONE;
        uint8_t tag;

        TRY(der_read_any(cursor, &tag, &content));
        if ((tag & 0xc0) != 0x80 || (tag & 0x1f) > 8)
                return refuse(PROBLEM_MALFORMED, "A general name in a certificate has the unknown tag %02x.", tag);
        if (tag == RFC822_NAME)
                text = content;
        else if (tag == OTHER_NAME)
                TRY(mailbox_read(content, &text));
        /* An rfc822Name is IA5String; an address beyond ASCII there is none. */
        if (text.len && address_parse(text, &key) == 0 && (tag != RFC822_NAME || address_is_ascii(buf_text(&key))))
                address_to_unicode(buf_text(&key), &address);
        *ret_address = address;
        return 0;
}
