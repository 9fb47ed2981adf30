/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a process gives up before it hears its first request: new privileges, every file system (Landlock, where the kernel has it), executable
 * memory, and every system call but those of memory, time and the descriptors that it has. Another call kills it; opening a file is
 * answered with "there is none" instead, since libraries look for files that they do without.
 *
 * Nothing happens under a sanitizer, which needs files and threads of its own. A library of its own: it brings libseccomp.
 */
#include <stdbool.h>

#include "base/fault.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

/* No core dumps, and nobody of the same user looks into the memory. First of all: before any secret is there. */
int sandbox_hide(void) must_check;
/* Last of all. `more` are the numbers (SCMP_SYS) of what the process calls beside the common ones. A fault when the kernel
 * refuses: nothing runs without. */
int sandbox_restrict(const int *more, size_t count) must_check;
/*
 * Less strict, for a process that has a database or asks other servers: no other programs, no debugging, no mounts or name spaces, nobody to listen
 * for; and of files and network what it is given here.
 */
enum { SANDBOX_HIDDEN_MOST = 4 };
struct sandbox_bounds {
        const char *folder;                      /* where it reads and writes; NULL: nowhere */
        bool reads;                              /* files elsewhere too, as libraries do … */
        /* … but not these, nor what is in them (NULL and "" are none), nor what is put into folders on the way to one of them later:
         * but where the user of the process may not read it anyway, nothing is hidden. */
        const char *hidden[SANDBOX_HIDDEN_MOST];
        bool network;                            /* sockets of its own */
};
int sandbox_confine(const struct sandbox_bounds *bounds) must_check;
