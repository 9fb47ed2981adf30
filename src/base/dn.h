/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Distinguished names as text (RFC 4514, and the quoted values of RFC 2253): taken apart, written, and as a key to compare
 * by. Pure. */
#include "base/buf.h"
#include "base/fault.h"

enum { DN_PARTS_MOST = 128 };

struct dn_part {
        char *type;  /* lower case */
        char *value; /* unescaped UTF-8 without zero bytes, or "#hex" */
        bool joined; /* to the one before by "+": both name one entry */
};

struct dn {
        struct dn_part parts[DN_PARTS_MOST]; /* as written: the entry's own first */
        size_t count;
};

/* PROBLEM_MALFORMED says where; PROBLEM_TOO_LARGE. */
int dn_parse(struct bytes text, struct dn *ret_dn) must_check;
void dn_done(struct dn *dn);
/* Append a text that is equal for equal names: blanks and spelling of escapes do not count, nor case as
 * fold_case_add() has it. */
void dn_key_add(struct buf *out, const struct dn *dn);
/* Append a value as it is written in a name (RFC 4514 section 2.4), whatever it holds. */
void dn_value_add(struct buf *out, struct bytes value);
