/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Object identifiers that only mail needs; the others are in crypto/oid.h. */
#include "crypto/oid.h"

#define OID(name, dotted, content) extern const struct bytes oid_##name;
#include "mail/oids.def"
#undef OID
