/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* From the text of one option to its value, and back to nothing. Private to config. */
#include "config/config.h"

enum { CONFIG_LINE_MAX = 190 };

/* Set a member from text; PROBLEM_CONFIGURATION, with a sentence that starts after "KEY ", leaves it as it was. */
int value_set(struct config *config, const struct config_option *option, const char *text) must_check;
void value_done(struct config *config, const struct config_option *option);
size_t config_option_count(void);
/* The index of an option; -1. */
int config_option_find(const char *section, const char *key);
bool config_section_known(const char *section);
/* Remember and set. PROBLEM_CONFIGURATION. */
int config_set(struct config *config, size_t index, const char *text) must_check;
/* [mail] and [token] as a whole; `name` is the file's. PROBLEM_CONFIGURATION. */
int config_check_mail(const char *name, const struct config *config) must_check;
/* Fill in the defaults that depend on others. */
void config_complete(struct config *config);
