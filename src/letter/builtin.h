/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The templates that are built in, out of templates/: made by embed.py. Ends with a name of NULL. */
struct builtin {
        const char *name, *content;
};
extern const struct builtin builtins[];
