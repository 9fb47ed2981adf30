/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Percent-encoding (RFC 3986 section 2.1) of UTF-8 text. */
#include "base/buf.h"

/* Append, every byte encoded that is not unreserved. */
void percent_add(struct buf *out, struct bytes text);
/* Append what is encoded. PROBLEM_MALFORMED for an ill-formed code and for what is not UTF-8. "+" is itself. */
int percent_parse(struct bytes text, struct buf *out) must_check;
