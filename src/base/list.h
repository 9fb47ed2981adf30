/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Intrusive doubly linked list with a head: nothing is allocated, nothing can fail. */
#include "base/macro.h"

struct list {
        struct list *next, *prev;
};

static inline void list_init(struct list *head)
{
        head->next = head->prev = head;
}
static inline int list_empty(const struct list *head)
{
        return head->next == head;
}
static inline void list_append(struct list *head, struct list *node)
{
        node->prev = head->prev;
        node->next = head;
        head->prev->next = node;
        head->prev = node;
}
/* Safe on a node that is in no list, once it was initialised. */
static inline void list_remove(struct list *node)
{
        node->prev->next = node->next;
        node->next->prev = node->prev;
        list_init(node);
}
#define LIST_EACH(node, head, type, member)                                                                  \
        for (type *node = CONTAINER_OF((head)->next, type, member), *node##_next_;                           \
             node##_next_ = CONTAINER_OF(node->member.next, type, member), &node->member != (head);          \
             node = node##_next_)
