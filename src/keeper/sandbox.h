/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a keeper gives up before it hears its first request: swapping, and all of base/sandbox.h. */
#include "base/fault.h"

/* First of all: before any secret is in memory. */
int sandbox_memory(void) must_check;
/* Last of all: everything is opened and fetched. Faults when the kernel refuses; a keeper does not run without. */
int sandbox_enter(void) must_check;
