/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What commands show alike: a message as JSON, certificates, requests. */
#include "cli/terminal.h"
#include "wire/message.h"

/* The message as one JSON object on standard output. */
int show_json(const struct msg_record *record, const void *message) must_check;
#define show_json_of(name, message)                                                                                  \
        ({                                                                                                           \
                const struct msg_##name *typed_ = (message);                                                         \
                show_json(msg_record_##name(), typed_);                                                              \
        })

struct msg_certificate_item;
void show_certificates(const struct msg_certificate_item *items, size_t count);
struct msg_person;
void show_person(const struct msg_person *person);
void show_requests(const struct msg_request_item *items, size_t count);
void show_request(const struct msg_request_item *request);
/* Move the elements of a list to the end of another. */
#define LIST_MOVE(to, from)                                                                                          \
        do {                                                                                                         \
                for (size_t move_ = 0; move_ < (from).count; move_++)                                                \
                        *MSG_LIST_ADD(to) = (from).at[move_];                                                        \
                free((from).at);                                                                                     \
                (from).at = NULL;                                                                                    \
                (from).count = 0;                                                                                    \
        } while (0)
