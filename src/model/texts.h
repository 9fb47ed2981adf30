/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * An ordered set of short texts: the addresses of an entry, its groups. Owns its items. None contains a newline or is
 * empty, so that one text joined by newlines is its stored form.
 */
#include "base/buf.h"

struct texts {
        char **items;
        size_t count;
};

#define TEXTS_NONE ((struct texts){0})

void texts_done(struct texts *texts); /* leaves TEXTS_NONE */
/* Adds a copy unless it is there, or is empty. PROBLEM_MALFORMED for a text with a control character. */
int texts_add(struct texts *texts, const char *text) must_check;
bool texts_have(const struct texts *texts, const char *text);
/* Append the items, joined by newlines. */
void texts_join(const struct texts *texts, struct buf *out);
/* The inverse. PROBLEM_MALFORMED for what texts_join() does not give. */
int texts_split(struct bytes joined, struct texts *ret_texts) must_check;
