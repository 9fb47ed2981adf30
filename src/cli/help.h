/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Usage of all commands, a noun, a command, from the table; and the nearest of some words to a mistyped one. */
#include <stdio.h>

#include "cli/command.h"

void help_all(FILE *out);
void help_noun(FILE *out, const char *noun);
void help_command(FILE *out, const struct command *command);
/* The word with the least number of letters wrong, missing, too many or exchanged; NULL when none is near. */
const char *help_nearest(const char *word, const char *const *words, size_t count);
/* A script for bash, for `vouchsafe completion`. */
void help_completion(FILE *out);
