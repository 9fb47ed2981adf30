/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Names of the protocol: object identifiers, and the attributes that entries have. */
#include "base/buf.h"

#define OID_START_TLS       "1.3.6.1.4.1.1466.20037"
#define OID_DISCONNECTION   "1.3.6.1.4.1.1466.20036"
#define OID_WHO_AM_I        "1.3.6.1.4.1.4203.1.11.3"
#define OID_PAGED_RESULTS   "1.2.840.113556.1.4.319"
#define OID_ALL_OPERATIONAL "1.3.6.1.4.1.4203.1.5.1" /* RFC 3673 */
#define OID_TRUE_FALSE      "1.3.6.1.4.1.4203.1.5.3" /* RFC 4526 */

struct attribute {
        const char *name, *alias, *oid;
        const char *definition; /* the rest of it, in the subschema */
        bool bytes;             /* no text: may be asked for with ";binary" */
        bool binary;            /* only transferred so: RFC 4523 section 2 */
        bool operational;
        bool words;     /* compared as RFC 4518 prepares it; else without case of ASCII letters */
        bool name_like; /* found by its beginning in the index of people */
};

/* By a description with or without options ("userCertificate;binary"); NULL for what no entry has, and for
 * options that are not known. */
const struct attribute *attribute_find(struct bytes description);
const struct attribute *attribute_at(size_t index); /* NULL at the end */
/* One that is known to be there. */
const struct attribute *attribute_named(const char *name);
/* Append what a text is compared by. Blanks at its ends go unless they may be in the middle of a value (RFC
 * 4518 section 2.6.1). */
void attribute_key_add(const struct attribute *attribute, struct buf *out, struct bytes text, bool at_start,
                       bool at_end);

extern const char *const object_classes[]; /* definitions, NULL at the end */
