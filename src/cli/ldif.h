/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * LDIF content records (RFC 2849), one after the other; pure. Folded lines, comments, base64 values, "version: 1",
 * CRLF or LF, and a UTF-8 byte order mark are read. Values that lie elsewhere (":<") are kept as such and never
 * fetched. Change records are taken when they add.
 */
#include "base/buf.h"
#include "base/fault.h"

struct ldif_attribute {
        char *type;       /* lower case, without options; "" for one whose option says that it is binary */
        struct buf value; /* any bytes */
        bool elsewhere;   /* the value is a URL */
        unsigned line;
};

struct ldif_entry {
        unsigned line;
        struct buf dn; /* UTF-8 */
        struct ldif_attribute *attributes;
        size_t count;
};

struct ldif_reader {
        struct bytes rest;
        unsigned line; /* of the next byte */
        bool begun;
};

struct ldif_reader ldif_read(struct bytes file);
/* PROBLEM_NOT_FOUND at the end; PROBLEM_MALFORMED, PROBLEM_UNSUPPORTED name the line. */
int ldif_next(struct ldif_reader *reader, struct ldif_entry *ret_entry) must_check;
void ldif_entry_done(struct ldif_entry *entry);
/* The value number `index` of a type that is UTF-8 text, as a view; false beyond the last. */
bool ldif_text(const struct ldif_entry *entry, const char *type, size_t index, struct bytes *ret_value);
/* The first value of a type, whatever its bytes. */
bool ldif_value(const struct ldif_entry *entry, const char *type, struct bytes *ret_value);
