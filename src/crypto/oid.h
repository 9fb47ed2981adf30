/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Object identifiers (oids.def) as their DER content octets: `oid_common_name`. */
#include "base/buf.h"

#define OID(name, dotted, content) extern const struct bytes oid_##name;
#include "crypto/oids.def"
#undef OID

void der_add_oid(struct buf *out, struct bytes oid);
/* SEQUENCE { OID, NULL } or without parameters. */
void der_add_algorithm(struct buf *out, struct bytes oid, bool with_null);
/* "1.2.840…" to content octets. PROBLEM_MALFORMED. */
int oid_parse(struct bytes dotted, struct buf *ret_content) must_check;
/* Content octets to text: "1.2.840…". The content is one that der_read_oid() gave. */
void oid_add_text(struct buf *out, struct bytes content);
