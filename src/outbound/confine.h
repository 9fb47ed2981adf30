/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What is open to the process from its first configuration on. It talks to servers of others, and reads what libraries
 * do: their configuration, trusted certificates, tickets. It writes to the folder of publication alone, and number 1,
 * which has the directory and publishes nothing, nowhere. Its user owns more than it has any use for, which is hidden.
 */
#include "config/config.h"

/* Before it hears from anybody. */
int outbound_confine(const struct config *config, bool has_directory) must_check;
