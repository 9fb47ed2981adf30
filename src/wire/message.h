/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Messages: `struct msg_NAME` for each RECORD and MESSAGE of messages.def, `MSG_NAME` for each kind, and one codec that works
 * from tables.
 *
 * Encoding: the fields in order. Number, instant: 8 bytes, big endian. Flag: 1 byte, 0 or 1. Text, bytes, secret: length in
 * 4 bytes, big endian, then the content. List: count in 4 bytes, then the elements. There is one encoding for each
 * value, so it can be hashed, signed and compared.
 *
 * Decoding is strict and pure: limits of messages.def, UTF-8, flags, no bytes left over; PROBLEM_MALFORMED otherwise, and
 * nothing to release. A structure owns all that its fields point to; message_done() releases it and wipes its secrets.
 */
#include "base/buf.h"
#include "base/fault.h"
#include "base/secret.h"

struct msg_texts {
        char **at;
        size_t count;
};

#define RECORD(name, doc)        struct msg_##name {
#define MESSAGE(kind, name, doc) struct msg_##name {
#define U64(field, max)                 uint64_t field;
#define INSTANT(field)                  int64_t field;
#define FLAG(field)                     bool field;
#define TEXT(field, max)                char *field; /* NULL is "" */
#define BYTES(field, max)               struct buf field;
#define SECRET(field, max)              struct secret field;
#define CODE(field, max)                struct secret field;
#define TEXTS(field, max, most)         struct msg_texts field;
#define LIST(field, record, most)                                                                            \
        struct {                                                                                             \
                struct msg_##record *at;                                                                     \
                size_t count;                                                                                \
        } field;
/* A message without fields still has a size. */
#define END(name)                                                                                            \
        uint8_t end_;                                                                                        \
        }                                                                                                    \
        ;
#include "wire/messages.def"
#include "wire/messages-undef.h"

enum msg_kind {
        MSG_none = 0,
#define MESSAGE(kind, name, doc) MSG_##name = kind,
#include "wire/messages-ignore.h"
#include "wire/messages.def"
#include "wire/messages-undef.h"
};

enum msg_type { MSG_TYPE_U64, MSG_TYPE_INSTANT, MSG_TYPE_FLAG, MSG_TYPE_TEXT, MSG_TYPE_BYTES, MSG_TYPE_SECRET, MSG_TYPE_TEXTS, MSG_TYPE_LIST };

struct msg_record;

struct msg_field {
        const char *name;
        enum msg_type type;
        size_t offset;
        uint64_t max;                             /* of the number, or bytes */
        uint32_t most;                            /* elements of a list */
        const struct msg_record *(*record)(void); /* of a list's elements */
        bool code;                                /* a secret that people type: text in JSON */
};

struct msg_record {
        const char *name, *doc;
        uint16_t kind; /* 0: travels only inside others */
        size_t size;   /* of the structure */
        const struct msg_field *fields;
        size_t field_count;
};

/* The table of a record: msg_record_NAME(). */
#define RECORD(name, doc)        const struct msg_record *msg_record_##name(void);
#define MESSAGE(kind, name, doc) const struct msg_record *msg_record_##name(void);
#include "wire/messages-ignore.h"
#include "wire/messages.def"
#include "wire/messages-undef.h"

/* The table of a kind, or NULL. */
const struct msg_record *msg_record_of_kind(unsigned kind);
/* All messages, in order of kind; NULL at the end of the indexes. */
const struct msg_record *msg_record_at(size_t index);

/* Append the encoding. The message must keep the limits of its schema: what does not is a fault (EMSGSIZE) that names the field. */
int message_encode(const struct msg_record *record, const void *message, struct buf *out) must_check;
/* The same into a secret, for records that hold private material. */
int message_encode_secret(const struct msg_record *record, const void *message, struct secret *ret_encoded) must_check;
int message_decode(const struct msg_record *record, struct bytes encoded, void *ret_message) must_check;
void message_done(const struct msg_record *record, void *message);

/* Append a zeroed element to a list field, owned by the message: MSG_LIST_ADD(message.users). */
#define MSG_LIST_ADD(list)                                                                                   \
        ({                                                                                                   \
                __typeof__(list) *list_ = &(list);                                                           \
                list_->at = message_list_grow(list_->at, list_->count, sizeof(*list_->at));                  \
                &list_->at[list_->count++];                                                                  \
        })
void *message_list_grow(void *at, size_t count, size_t size) must_check;
void msg_texts_add(struct msg_texts *texts, const char *text); /* copies */
void msg_texts_copy(struct msg_texts *texts, const struct msg_texts *from);
bool msg_texts_have(const struct msg_texts *texts, const char *text);
/* "" for NULL: how readers look at a TEXT field. */
static inline const char *msg_text(const char *text)
{
        return text ? text : "";
}

/*
 * For a structure on the stack: MSG_OWN(user_list) request = {0};
 * and typed forms: msg_encode(user_list, &request, &buf), msg_decode(user_list, bytes, &request), msg_done(user_list, &request).
 */
#define MSG_OWN(name) CLEANUP(msg_done_##name) struct msg_##name
#define RECORD(name, doc)                                                                                    \
        static inline void msg_done_##name(struct msg_##name *message)                                       \
        {                                                                                                    \
                message_done(msg_record_##name(), message);                                                  \
        }
#define MESSAGE(kind, name, doc) RECORD(name, doc)
#include "wire/messages-ignore.h"
#include "wire/messages.def"
#include "wire/messages-undef.h"

#define msg_encode(name, message, out)                                                                       \
        ({                                                                                                   \
                const struct msg_##name *typed_ = (message);                                                 \
                message_encode(msg_record_##name(), typed_, (out));                                          \
        })
#define msg_decode(name, encoded, ret_message)                                                               \
        ({                                                                                                   \
                struct msg_##name *typed_ = (ret_message);                                                   \
                message_decode(msg_record_##name(), (encoded), typed_);                                      \
        })
#define msg_done(name, message) msg_done_##name(message)
