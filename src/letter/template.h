/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Templates: text with placeholders %NAME%, of capital letters and dashes. Pure. %% is a percent sign, as is one that begins
 * no placeholder ("100 %", "width: 50%;"). One that is not known is refused, with its line: whoever edits a template hears of it.
 *
 * Values are put in as text: control characters and line breaks are replaced, and in HTML what would be markup is written as
 * character references.
 */
#include "base/secret.h"

struct template_value {
        const char *name;
        struct bytes value;
};

/* PROBLEM_CONFIGURATION; `name` is what the sentence calls the template. */
int template_render(const char *name, struct bytes text, bool html, const struct template_value *values, size_t count,
                    struct secret *ret_text) must_check;
/* Does it have this placeholder? */
bool template_has(struct bytes text, const char *name);
