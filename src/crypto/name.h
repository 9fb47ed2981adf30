/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Names in certificates: X.500 names from what a directory says of a person, and GeneralNames.
 *
 * Nobody is refused because of his name: what is longer than RFC 5280's upper bounds (in characters: commonName 64,
 * organization 64, unit 64, …) is cut at a character, control characters and malformed UTF-8 become U+FFFD, empty
 * attributes are left out. All text is UTF8String but for country (PrintableString of two letters; left out when it is
 * not), serialNumber and domainComponent.
 */
#include "base/buf.h"

/* UTF-8; NULL or "" is absent. */
struct name_attributes {
        const char *country, *state, *locality;
        const char *organization, *unit;
        const char *common_name, *given_name, *surname, *title;
        const char *serial_number;
};

/* Append a Name; no attributes give the empty name. */
void name_write(struct buf *out, const struct name_attributes *attributes);
/* RFC 4514: "CN=Zoë Ångström,O=Example\, Inc.,C=DE"; attributes without a short name as dotted OID with #hex.
 * PROBLEM_MALFORMED. */
int name_add_text(struct buf *out, struct bytes name) must_check;
/* Well formed: a Name (whole element) of SEQUENCE of SET of AttributeTypeAndValue, at most 4096 bytes. */
int name_check(struct bytes name) must_check;
static inline bool name_is_empty(struct bytes name)
{
        return name.len == 2;
}
/* The first commonName as printable UTF-8, "" if there is none. PROBLEM_MALFORMED. */
int name_common_name(struct bytes name, struct buf *ret_text) must_check;

/*
 * Append one GeneralName. An address with an ASCII local part is an rfc822Name, with the domain as A-labels; one with
 * another local part an otherName of SmtpUTF8Mailbox (RFC 9598). `address` is a key of address_parse().
 */
void general_name_add_address(struct buf *out, const char *address);
/*
 * The same address with its domain in A-labels (bücher.example → xn--bcher-kva.example), and in U-labels, the form that
 * people read; unchanged when the domain has no such form. Two addresses are one when they are equal in A-labels.
 */
void address_to_ascii(const char *address, struct buf *ret_address);
void address_to_unicode(const char *address, struct buf *ret_address);
/*
 * A key of address_parse() with its domain in the one form that stands for it: letters of full width, in upper case and
 * others that are mapped (UTS 46) become what they are mapped to, A-labels the U-labels that they are of.
 */
void address_normalize(struct buf *key);
/*
 * Both at once, and accents composed: the address as entries of the directory have it, and as they are found by it. Whom
 * a certificate names has it in this form, so that it names nobody else. PROBLEM_MALFORMED for what is no address, and
 * also when there is something in it that cannot be seen, but for joiners that belong to its domain.
 */
int address_key(struct bytes text, struct buf *ret_key) must_check;
void general_name_add_uri(struct buf *out, const char *uri);
void general_name_add_dns(struct buf *out, const char *host);
/* `host` as iPAddress if it is an IPv4 or IPv6 address, else as dNSName. */
void general_name_add_host(struct buf *out, const char *host);
/*
 * One GeneralName off the cursor's front: if it is an rfc822Name or SmtpUTF8Mailbox with a proper address, the key of
 * address_parse() with the domain in U-labels; otherwise `ret_address` gets BUF_NONE. PROBLEM_MALFORMED.
 */
int general_name_read_address(struct bytes *cursor, struct buf *ret_address) must_check;
