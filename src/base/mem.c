/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void *mem_checked(void *memory)
{
        if (unlikely(!memory)) {
                fputs("out of memory\n", stderr);
                abort();
        }
        return memory;
}

void *mem_array(size_t count, size_t size)
{
        return mem_checked(calloc(count ? count : 1, size ? size : 1));
}

void *mem_new(size_t size)
{
        return mem_array(1, size);
}

void *mem_resize(void *memory, size_t count, size_t size)
{
        size_t total;

        if (__builtin_mul_overflow(count, size, &total))
                return mem_checked(NULL);
        return mem_checked(realloc(memory, total ? total : 1));
}

void *mem_copy(const void *from, size_t size)
{
        void *copy = mem_array(size, 1);

        if (size)
                memcpy(copy, from, size);
        return copy;
}

char *text_copy_n(const char *text, size_t length)
{
        char *copy = mem_array(length + 1, 1);

        if (length)
                memcpy(copy, text, length);
        return copy;
}

char *text_copy(const char *text)
{
        return text_copy_n(text, strlen(text));
}

char *text_format(const char *format, ...)
{
        char *text = NULL;
        va_list arguments;

        va_start(arguments, format);
        if (vasprintf(&text, format, arguments) < 0)
                text = NULL;
        va_end(arguments);
        return mem_checked(text);
}
