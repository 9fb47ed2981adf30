/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The frame of a process that listens: what the supervisor configures it with, and main(). */
#include "config/config.h"
#include "net/tls.h"
#include "wire/message.h"

/* The new configuration in place of the old, with the log and TLS that come of it. TLS that cannot be used is told in the
 * log, and leaves what was loaded before. */
int service_configure(const char *name, struct config *config, struct tls *tls, struct msg_configure *configure) must_check;

/* run() to its end, then done(); the exit code. */
int service_main(const char *name, int (*run)(void *process), void (*done)(void *process), void *process);
