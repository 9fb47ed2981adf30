/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/message.h"

#include <errno.h>

#include "base/mem.h"
#include "base/text.h"

/* One function a record, so that a list can name the record of its elements whatever the order; the tables are constant. */
#define TABLE(kind, name, doc)                                                                               \
        const struct msg_record *msg_record_##name(void)                                                     \
        {                                                                                                    \
                typedef struct msg_##name self;                                                              \
                static const char record_name[] = #name, record_doc[] = doc;                                 \
                enum { record_kind = kind };                                                                 \
                static const struct msg_field fields[] = {
#define RECORD(name, doc)        TABLE(0, name, doc)
#define MESSAGE(kind, name, doc) TABLE(kind, name, doc)
#define U64(field, max)          {#field, MSG_TYPE_U64, offsetof(self, field), max, 0, NULL},
#define INSTANT(field)           {#field, MSG_TYPE_INSTANT, offsetof(self, field), INT64_MAX, 0, NULL},
#define FLAG(field)              {#field, MSG_TYPE_FLAG, offsetof(self, field), 1, 0, NULL},
#define TEXT(field, max)         {#field, MSG_TYPE_TEXT, offsetof(self, field), max, 0, NULL},
#define BYTES(field, max)        {#field, MSG_TYPE_BYTES, offsetof(self, field), max, 0, NULL},
#define SECRET(field, max)       {#field, MSG_TYPE_SECRET, offsetof(self, field), max, 0, NULL},
#define CODE(field, max)         {#field, MSG_TYPE_SECRET, offsetof(self, field), max, 0, NULL, .code = true},
#define TEXTS(field, max, most)  {#field, MSG_TYPE_TEXTS, offsetof(self, field), max, most, NULL},
#define LIST(field, name, most)  {#field, MSG_TYPE_LIST, offsetof(self, field), 0, most, msg_record_##name},
#define END(name)                                                                                            \
        {NULL, 0, 0, 0, 0, NULL}                                                                             \
        }                                                                                                    \
        ;                                                                                                    \
        static const struct msg_record record = {record_name, record_doc, record_kind, sizeof(self), fields, \
                                                 ARRAY_LEN(fields) - 1};                                     \
        return &record;                                                                                      \
        }
#include "wire/messages.def"
#include "wire/messages-undef.h"
#undef TABLE

static const struct msg_record *(*const messages[])(void) = {
#define MESSAGE(kind, name, doc) msg_record_##name,
#include "wire/messages-ignore.h"
#include "wire/messages.def"
#include "wire/messages-undef.h"
};

const struct msg_record *msg_record_at(size_t index)
{
        return index < ARRAY_LEN(messages) ? messages[index]() : NULL;
}

const struct msg_record *msg_record_of_kind(unsigned kind)
{
        switch (kind) {
#define MESSAGE(number, name, doc)                                                                           \
        case number:                                                                                         \
                return msg_record_##name();
#include "wire/messages-ignore.h"
#include "wire/messages.def"
#include "wire/messages-undef.h"
        default:
                return NULL;
        }
}

/* ---- lists ------------------------------------------------------------------------------------------------ */

/* Every list field has this layout; the types differ only in what `at` points to. */
struct list_field {
        void *at;
        size_t count;
};

/* Grows by powers of two, so that a list of n costs O(n). */
void *message_list_grow(void *at, size_t count, size_t size)
{
        if ((count & (count - 1)) == 0)
                at = mem_resize(at, count ? count * 2 : 1, size);
        memset((char *)at + count * size, 0, size);
        return at;
}

void msg_texts_add(struct msg_texts *texts, const char *text)
{
        *MSG_LIST_ADD(*texts) = text_copy(text);
}

void msg_texts_copy(struct msg_texts *texts, const struct msg_texts *from)
{
        for (size_t i = 0; i < from->count; i++)
                msg_texts_add(texts, from->at[i]);
}

bool msg_texts_have(const struct msg_texts *texts, const char *text)
{
        for (size_t i = 0; i < texts->count; i++)
                if (strcmp(texts->at[i], text) == 0)
                        return true;
        return false;
}

/* ---- encode ----------------------------------------------------------------------------------------------- */

/* Where the encoding goes: an ordinary buffer, a secret of known size, or nowhere but a count. */
struct sink {
        struct buf *buf;
        uint8_t *place;
        size_t len;
};

static void sink_add(struct sink *sink, const void *data, size_t len)
{
        if (sink->buf)
                buf_add(sink->buf, data, len);
        if (sink->place && len)
                memcpy(sink->place + sink->len, data, len);
        sink->len += len;
}

static void sink_number(struct sink *sink, uint64_t number, unsigned size)
{
        uint8_t bytes[8];

        for (unsigned i = 0; i < size; i++)
                bytes[i] = (uint8_t)(number >> (8 * (size - 1 - i)));
        sink_add(sink, bytes, size);
}

static int encode_record(const struct msg_record *record, const void *message, struct sink *sink);

static int field_too_large(const struct msg_field *field)
{
        return fault(EMSGSIZE, "field %s of a message is beyond its limit", field->name);
}

static int encode_bytes(const struct msg_field *field, struct bytes bytes, struct sink *sink)
{
        if (bytes.len > field->max)
                return field_too_large(field);
        sink_number(sink, bytes.len, 4);
        sink_add(sink, bytes.data, bytes.len);
        return 0;
}

static int encode_text(const struct msg_field *field, const char *text, struct sink *sink)
{
        struct bytes bytes = bytes_text(msg_text(text));

        if (!text_is_utf8(bytes))
                return fault(EILSEQ, "field %s of a message is not UTF-8", field->name);
        return PASS(encode_bytes(field, bytes, sink));
}

static int encode_list(const struct msg_field *field, const struct list_field *list, struct sink *sink)
{
        const struct msg_record *element = field->record ? field->record() : NULL;

        if (list->count > field->most)
                return field_too_large(field);
        sink_number(sink, list->count, 4);
        for (size_t i = 0; i < list->count; i++) {
                if (element)
                        TRY(encode_record(element, (const char *)list->at + i * element->size, sink));
                else
                        TRY(encode_text(field, ((char *const *)list->at)[i], sink));
        }
        return 0;
}

static int encode_field(const struct msg_field *field, const void *place, struct sink *sink)
{
        switch (field->type) {
        case MSG_TYPE_U64:
        case MSG_TYPE_INSTANT:
                if (*(const uint64_t *)place > field->max)
                        return field_too_large(field);
                sink_number(sink, *(const uint64_t *)place, 8);
                return 0;
        case MSG_TYPE_FLAG:
                sink_number(sink, *(const bool *)place, 1);
                return 0;
        case MSG_TYPE_TEXT:
                return PASS(encode_text(field, *(char *const *)place, sink));
        case MSG_TYPE_BYTES:
                return PASS(encode_bytes(field, buf_view(place), sink));
        case MSG_TYPE_SECRET:
                return PASS(encode_bytes(field, secret_view(place), sink));
        case MSG_TYPE_TEXTS:
        case MSG_TYPE_LIST:
                return PASS(encode_list(field, place, sink));
        }
        return fault(EINVAL, "field %s has no type", field->name);
}

static int encode_record(const struct msg_record *record, const void *message, struct sink *sink)
{
        for (size_t i = 0; i < record->field_count; i++)
                TRY(encode_field(&record->fields[i], (const char *)message + record->fields[i].offset, sink));
        return 0;
}

int message_encode(const struct msg_record *record, const void *message, struct buf *out)
{
        struct sink sink = {.buf = out};
        size_t before = out->len;
        int r = encode_record(record, message, &sink);

        if (r)
                buf_truncate(out, before);
        return PASS(r);
}

int message_encode_secret(const struct msg_record *record, const void *message, struct secret *ret_encoded)
{
        CLEANUP(secret_done) struct secret encoded = SECRET_NONE;
        struct sink count = {0}, sink = {0};

        TRY(encode_record(record, message, &count));
        encoded = secret_new(count.len);
        sink.place = encoded.data;
        TRY(encode_record(record, message, &sink));
        *ret_encoded = secret_take(&encoded);
        return 0;
}

/* ---- decode ----------------------------------------------------------------------------------------------- */

static int malformed(const struct msg_field *field, const char *why)
{
        return refuse(PROBLEM_MALFORMED, "Field %s of the message %s.", field->name, why);
}

static int take_number(const struct msg_field *field, struct bytes *rest, unsigned size, uint64_t *ret_number)
{
        uint64_t number = 0;

        if (rest->len < size)
                return malformed(field, "is cut off");
        for (unsigned i = 0; i < size; i++)
                number = number << 8 | rest->data[i];
        *rest = bytes_of(rest->data + size, rest->len - size);
        *ret_number = number;
        return 0;
}

static int take_bytes(const struct msg_field *field, struct bytes *rest, struct bytes *ret_bytes)
{
        uint64_t len = 0;

        TRY(take_number(field, rest, 4, &len));
        if (len > field->max)
                return malformed(field, "is beyond its limit");
        if (len > rest->len)
                return malformed(field, "is cut off");
        *ret_bytes = bytes_of(rest->data, (size_t)len);
        *rest = bytes_of(rest->data + len, rest->len - (size_t)len);
        return 0;
}

static int take_text(const struct msg_field *field, struct bytes *rest, char **ret_text)
{
        struct bytes bytes;

        TRY(take_bytes(field, rest, &bytes));
        if (!text_is_utf8(bytes))
                return malformed(field, "is not UTF-8");
        *ret_text = bytes.len ? text_copy_n((const char *)bytes.data, bytes.len) : NULL;
        return 0;
}

static int decode_record(const struct msg_record *record, struct bytes *rest, void *message);

/* Elements take memory only as they are found, so a count that lies costs nothing. */
static int decode_list(const struct msg_field *field, struct bytes *rest, struct list_field *list)
{
        const struct msg_record *element = field->record ? field->record() : NULL;
        size_t size = element ? element->size : sizeof(char *);
        uint64_t count = 0;

        TRY(take_number(field, rest, 4, &count));
        if (count > field->most)
                return malformed(field, "has more elements than its limit");
        for (uint64_t i = 0; i < count; i++) {
                /* An element has at least one byte unless its record is empty, and no listed record is. */
                if (!rest->len)
                        return malformed(field, "is cut off");
                list->at = message_list_grow(list->at, list->count, size);
                list->count++;
                void *place = (char *)list->at + i * size;
                if (element) {
                        TRY(decode_record(element, rest, place));
                } else {
                        TRY(take_text(field, rest, place));
                        if (!*(char **)place)
                                *(char **)place = text_copy("");
                }
        }
        return 0;
}

static int decode_field(const struct msg_field *field, struct bytes *rest, void *place)
{
        struct bytes bytes = BYTES_NONE;
        uint64_t number = 0;

        switch (field->type) {
        case MSG_TYPE_U64:
        case MSG_TYPE_INSTANT:
                TRY(take_number(field, rest, 8, &number));
                if (number > field->max)
                        return malformed(field, "is beyond its limit");
                *(uint64_t *)place = number;
                return 0;
        case MSG_TYPE_FLAG:
                TRY(take_number(field, rest, 1, &number));
                if (number > 1)
                        return malformed(field, "is neither true nor false");
                *(bool *)place = number;
                return 0;
        case MSG_TYPE_TEXT:
                return PASS(take_text(field, rest, place));
        case MSG_TYPE_BYTES:
                TRY(take_bytes(field, rest, &bytes));
                *(struct buf *)place = bytes.len ? buf_copy_of(bytes) : BUF_NONE;
                return 0;
        case MSG_TYPE_SECRET:
                TRY(take_bytes(field, rest, &bytes));
                *(struct secret *)place = secret_copy(bytes);
                return 0;
        case MSG_TYPE_TEXTS:
        case MSG_TYPE_LIST:
                return PASS(decode_list(field, rest, place));
        }
        return fault(EINVAL, "field %s has no type", field->name);
}

static int decode_record(const struct msg_record *record, struct bytes *rest, void *message)
{
        for (size_t i = 0; i < record->field_count; i++)
                TRY(decode_field(&record->fields[i], rest, (char *)message + record->fields[i].offset));
        return 0;
}

int message_decode(const struct msg_record *record, struct bytes encoded, void *ret_message)
{
        void *message = mem_new(record->size);
        int r = decode_record(record, &encoded, message);

        if (!r && encoded.len)
                r = refuse(PROBLEM_MALFORMED, "The message %s has bytes after its end.", record->name);
        if (r)
                message_done(record, message);
        else
                memcpy(ret_message, message, record->size);
        free(message);
        return PASS(r);
}

/* ---- release ---------------------------------------------------------------------------------------------- */

static void list_done(const struct msg_field *field, struct list_field *list)
{
        const struct msg_record *element = field->record ? field->record() : NULL;

        for (size_t i = 0; i < list->count; i++) {
                if (element)
                        message_done(element, (char *)list->at + i * element->size);
                else
                        free(((char **)list->at)[i]);
        }
        free(list->at);
}

void message_done(const struct msg_record *record, void *message)
{
        for (size_t i = 0; i < record->field_count; i++) {
                const struct msg_field *field = &record->fields[i];
                void *place = (char *)message + field->offset;

                if (field->type == MSG_TYPE_TEXT)
                        free(*(char **)place);
                else if (field->type == MSG_TYPE_BYTES)
                        buf_done(place);
                else if (field->type == MSG_TYPE_SECRET)
                        secret_done(place);
                else if (field->type == MSG_TYPE_TEXTS || field->type == MSG_TYPE_LIST)
                        list_done(field, place);
        }
        memset(message, 0, record->size);
}
