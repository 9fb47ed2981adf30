/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a keeper gives up before it hears its first request: dumps and debuggers, swapping, new privileges, the file
 * system (Landlock, where the kernel has it) and every system call but those of memory and of the sockets that it
 * has.
 */
#include <stdbool.h>

#include "base/fault.h"

/* First of all: before any secret is in memory. */
int sandbox_memory(void) must_check;
/* Last of all: everything is opened and fetched. Faults when the kernel refuses; a keeper does not run without. */
int sandbox_enter(void) must_check;
/* Whether all of the process is locked in memory (the limit permitted it), not only its secrets. */
bool sandbox_locked(void);
