/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Search filters as text (RFC 4515). Values that come from outside enter a filter through filter_value_add()
 * alone, and whole filters from outside through filter_check(): then neither can become more than it is.
 * Pure.
 */
#include "base/buf.h"
#include "base/fault.h"

enum { FILTER_MOST = 4096, FILTER_DEPTH_MOST = 32 };

/* Append a value, whatever bytes it has: it stands for itself and for nothing else. */
void filter_value_add(struct buf *out, struct bytes value);
/* Append "(attribute=value)". */
void filter_equal_add(struct buf *out, const char *attribute, struct bytes value);
/* Exactly one filter, in parentheses, of known form. PROBLEM_MALFORMED says where; PROBLEM_TOO_LARGE. */
int filter_check(struct bytes text) must_check;
