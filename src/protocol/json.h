/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Messages of wire/message.h as JSON objects (RFC 8259, I-JSON of RFC 7493), by their tables:
 *
 *   U64              number; above 2^53 - 1 decimal text (both are read)
 *   INSTANT          RFC 3339 in UTC, "2026-11-23T02:51:30Z"; 0 is left out
 *   FLAG             true, false
 *   TEXT, CODE       text
 *   BYTES, SECRET    text in base64 (RFC 4648 section 4)
 *   TEXTS, LIST      array
 *
 * Members have the names of the fields. Empty texts, bytes and lists, and false, are written too, so that readers see
 * every member; when reading, an absent member is empty (null is not accepted in its place).
 *
 * Reading is strict and pure: one object and nothing after it, no unknown or repeated member, no other type, the limits
 * of messages.def. PROBLEM_MALFORMED otherwise, with a sentence that names the place
 * ("people[3].addresses[0] is no text"), never the value.
 *
 * Values may be secrets: memory that reading takes is wiped when it is given back (json_setup()).
 */
#include "base/buf.h"
#include "protocol/writer.h"
#include "wire/message.h"

/* Once a process, before any other function here: jansson's memory is wiped on release. */
void json_setup(void);

int json_message_parse(const struct msg_record *record, struct bytes text, void *ret_message) must_check;
/* Append. A CODE that is no UTF-8 and an instant past the year 9999 are faults. */
int json_message_add(const struct msg_record *record, const void *message, struct buf *out) must_check;
/* The same as a member of what `writer` writes (name NULL: an element, or the whole). */
int json_message_write(const struct msg_record *record, const void *message, const char *name,
                       struct json_writer *writer) must_check;
/* The same with those fields only that the choice takes. */
struct json_choice {
        bool (*takes)(const void *context, const char *field);
        const void *context;
};
int json_message_add_some(const struct msg_record *record, const void *message, const struct json_choice *choice,
                          struct buf *out) must_check;

#define json_parse(name, text, ret_message)                                                                            \
        ({                                                                                                             \
                struct msg_##name *typed_ = (ret_message);                                                             \
                json_message_parse(msg_record_##name(), (text), typed_);                                               \
        })
#define json_add(name, message, out)                                                                                   \
        ({                                                                                                             \
                const struct msg_##name *typed_ = (message);                                                           \
                json_message_add(msg_record_##name(), typed_, (out));                                                  \
        })
