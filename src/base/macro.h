/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The few words of the dialect that all code here is written in. */
#include <stddef.h>

#define likely(x)    __builtin_expect(!!(x), 1)
#define unlikely(x)  __builtin_expect(!!(x), 0)
#define must_check   __attribute__((warn_unused_result))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)    ((a) < (b) ? (a) : (b))
#define MAX(a, b)    ((a) > (b) ? (a) : (b))

/* Call `function(&variable)` when the variable goes out of scope. */
#define CLEANUP(function) __attribute__((cleanup(function)))

/* Move an owned pointer out of a variable, leaving NULL: `*ret_x = TAKE(x)`. */
#define TAKE(pointer)                                                                                        \
        ({                                                                                                   \
                __typeof__(pointer) *take_place_ = &(pointer);                                               \
                __typeof__(pointer) take_value_ = *take_place_;                                              \
                *take_place_ = NULL;                                                                         \
                take_value_;                                                                                 \
        })

/* The structure that has `member` at `pointer`. */
#define CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

/* Define `x_freep(T **)` for CLEANUP from `free_function(T *)`. */
#define DEFINE_CLEANUP(type, free_function)                                                                  \
        static inline void free_function##p(type *place_)                                                    \
        {                                                                                                    \
                if (*place_)                                                                                 \
                        free_function(*place_);                                                              \
        }
