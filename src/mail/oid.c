/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/oid.h"

#define OID(name, dotted, content) const struct bytes oid_##name = {(const uint8_t *)(content), sizeof(content) - 1};
#include "mail/oids.def"
#undef OID
