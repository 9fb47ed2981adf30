/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Memory. Sizes that come from outside are limited before they reach these functions, so running out of memory means
 * that the machine is broken; the process says so and aborts, its supervisor starts it again, and durable state is
 * in the database. This keeps every caller free of a path that no test could ever cover.
 */
#include <stddef.h>
#include <stdlib.h>

#include "base/macro.h"

void *mem_new(size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result)); /* zeroed */
void *mem_array(size_t count, size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *mem_resize(void *memory, size_t count, size_t size) __attribute__((returns_nonnull, warn_unused_result));
void *mem_copy(const void *from, size_t size) __attribute__((returns_nonnull, warn_unused_result));
char *text_copy(const char *text) __attribute__((returns_nonnull, warn_unused_result));
char *text_copy_n(const char *text, size_t length) __attribute__((returns_nonnull, warn_unused_result));
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2), returns_nonnull, warn_unused_result));

#define NEW(type) ((type *)mem_new(sizeof(type)))

/* For CLEANUP on any pointer from here. */
static inline void mem_freep(void *place)
{
        free(*(void **)place);
}
