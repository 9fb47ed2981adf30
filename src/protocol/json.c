/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/json.h"

#include <errno.h>
#include <jansson.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

#define INSTANT_MAX INT64_C(253402300799) /* the last second of 9999 */

/* Layout of every list field, whatever its elements. */
struct list_field {
        void *at;
        size_t count;
};

/* ---- memory ---- */

/* The size stands before what jansson gets, so that it is known when it is given back. */
struct block {
        _Alignas(max_align_t) size_t size;
        _Alignas(max_align_t) uint8_t data[];
};

static void *block_new(size_t size)
{
        struct block *block = mem_new(sizeof(struct block) + size);

        block->size = size;
        return block->data;
}

static void block_free(void *data)
{
        if (!data)
                return;
        struct block *block = CONTAINER_OF(data, struct block, data);
        memory_wipe(block->data, block->size);
        free(block);
}

void json_setup(void)
{
        json_set_alloc_funcs(block_new, block_free);
}

static void value_drop(json_t **value)
{
        json_decref(*value);
}

/* ---- reading ---- */

/* Where a value stands, for the sentence about it. */
struct place {
        const struct place *up;
        const char *name; /* NULL: an element */
        size_t index;
};

static void place_add(struct buf *out, const struct place *place)
{
        if (place->up)
                place_add(out, place->up);
        if (!place->name)
                buf_add_format(out, "[%zu]", place->index);
        else if (*place->name)
                buf_add_format(out, "%s%s", out->len ? "." : "", place->name);
}

static int bad(const struct place *place, const char *what)
{
        CLEANUP(buf_done) struct buf path = BUF_NONE;

        place_add(&path, place);
        return refuse(PROBLEM_MALFORMED, "In the JSON text, %s %s.", path.len ? buf_text(&path) : "the whole", what);
}

static int read_object(const struct place *place, const struct msg_record *record, json_t *value, void *message);

static int read_string(const struct place *place, json_t *value, struct bytes *ret_text)
{
        if (!json_is_string(value))
                return bad(place, "is no text");
        *ret_text = bytes_of(json_string_value(value), json_string_length(value));
        return 0;
}

static int read_number(const struct place *place, uint64_t max, json_t *value, uint64_t *ret_number)
{
        uint64_t number = 0;

        if (json_is_string(value)) {
                if (number_parse(bytes_of(json_string_value(value), json_string_length(value)), UINT64_MAX, &number))
                        return bad(place, "is no decimal number");
        } else {
                if (!json_is_integer(value) || json_integer_value(value) < 0)
                        return bad(place, "is no whole number from 0 up");
                number = (uint64_t)json_integer_value(value);
                if (number > JSON_NUMBER_MAX)
                        return bad(place, "is a number above 2^53 - 1; write it as text");
        }
        if (number > max)
                return bad(place, "is beyond its limit");
        *ret_number = number;
        return 0;
}

static int read_instant(const struct place *place, json_t *value, int64_t *ret_instant)
{
        struct bytes text = BYTES_NONE; /* for compilers that do not see that bad() never gives 0 */
        int64_t instant = 0;

        TRY(read_string(place, value, &text));
        if (time_parse(text, &instant) || instant < 0)
                return bad(place, "is no time from 1970 on in the form 2026-11-23T02:51:30Z");
        *ret_instant = instant;
        return 0;
}

static int read_text(const struct place *place, uint64_t max, json_t *value, struct bytes *ret_text)
{
        struct bytes text = BYTES_NONE;

        TRY(read_string(place, value, &text));
        if (text.len > max)
                return bad(place, "is longer than its limit");
        *ret_text = text;
        return 0;
}

static int read_base64(const struct place *place, uint64_t max, json_t *value, struct buf *ret_bytes)
{
        CLEANUP(json_buf_done) struct buf bytes = BUF_NONE;
        struct bytes text = BYTES_NONE;

        TRY(read_string(place, value, &text));
        if (text.len / 4 * 3 > max + 2)
                return bad(place, "is longer than its limit");
        if (base64_parse(text, &bytes))
                return bad(place, "is no base64");
        if (bytes.len > max)
                return bad(place, "is longer than its limit");
        if (bytes.len)
                *ret_bytes = buf_take(&bytes);
        return 0;
}

static int read_secret(const struct place *place, const struct msg_field *field, json_t *value,
                       struct secret *ret_secret)
{
        CLEANUP(json_buf_done) struct buf bytes = BUF_NONE;
        struct bytes text = BYTES_NONE;

        if (field->code) {
                TRY(read_text(place, field->max, value, &text));
                *ret_secret = secret_copy(text);
                return 0;
        }
        TRY(read_base64(place, field->max, value, &bytes));
        *ret_secret = secret_copy(buf_view(&bytes));
        return 0;
}

static int read_element(const struct place *place, const struct msg_field *field, json_t *value, void *element)
{
        struct bytes text = BYTES_NONE;

        if (field->record)
                return PASS(read_object(place, field->record(), value, element));
        TRY(read_text(place, field->max, value, &text));
        *(char **)element = text_copy_n((const char *)text.data, text.len);
        return 0;
}

static int read_list(const struct place *place, const struct msg_field *field, json_t *value, struct list_field *list)
{
        size_t size = field->record ? field->record()->size : sizeof(char *);

        if (!json_is_array(value))
                return bad(place, "is no array");
        if (json_array_size(value) > field->most)
                return bad(place, "has more elements than its limit");
        for (size_t i = 0; i < json_array_size(value); i++) {
                struct place here = {.up = place, .index = i};

                list->at = message_list_grow(list->at, i, size);
                list->count++;
                TRY(read_element(&here, field, json_array_get(value, i), (char *)list->at + i * size));
        }
        return 0;
}

static int read_field(const struct place *place, const struct msg_field *field, json_t *value, void *to)
{
        struct bytes text = BYTES_NONE;

        switch (field->type) {
        case MSG_TYPE_U64:
                return PASS(read_number(place, field->max, value, to));
        case MSG_TYPE_INSTANT:
                return PASS(read_instant(place, value, to));
        case MSG_TYPE_FLAG:
                if (!json_is_boolean(value))
                        return bad(place, "is neither true nor false");
                *(bool *)to = json_is_true(value);
                return 0;
        case MSG_TYPE_TEXT:
                TRY(read_text(place, field->max, value, &text));
                *(char **)to = text.len ? text_copy_n((const char *)text.data, text.len) : NULL;
                return 0;
        case MSG_TYPE_BYTES:
                return PASS(read_base64(place, field->max, value, to));
        case MSG_TYPE_SECRET:
                return PASS(read_secret(place, field, value, to));
        case MSG_TYPE_TEXTS:
        case MSG_TYPE_LIST:
                return PASS(read_list(place, field, value, to));
        }
        return fault(EINVAL, "field %s has no type", field->name);
}

static const struct msg_field *field_named(const struct msg_record *record, const char *name)
{
        for (size_t i = 0; i < record->field_count; i++)
                if (strcmp(record->fields[i].name, name) == 0)
                        return &record->fields[i];
        return NULL;
}

/* Members that come twice were refused by jansson. What was read before a failure belongs to the message and goes with
 * it. */
static int read_object(const struct place *place, const struct msg_record *record, json_t *value, void *message)
{
        const char *name;
        json_t *member;

        if (!json_is_object(value))
                return bad(place, "is no object");
        json_object_foreach(value, name, member)
        {
                const struct msg_field *field = field_named(record, name);
                struct place here = {.up = place, .name = name};

                if (!field)
                        return bad(&here, "is no member that is known here");
                TRY(read_field(&here, field, member, (char *)message + field->offset));
        }
        return 0;
}

/* Jansson's own words quote the text, which may hold secrets. */
static const char *load_error(const json_error_t *error)
{
        switch (json_error_code(error)) {
        case json_error_premature_end_of_input:
                return "it ends too early";
        case json_error_end_of_input_expected:
                return "something follows its end";
        case json_error_invalid_utf8:
                return "it is not UTF-8";
        case json_error_null_character:
        case json_error_null_byte_in_key:
                return "a text contains NUL";
        case json_error_duplicate_key:
                return "a member comes twice";
        case json_error_numeric_overflow:
                return "a number is too large";
        case json_error_stack_overflow:
                return "it is nested too deeply";
        default:
                return "this is no JSON";
        }
}

static int load(struct bytes text, json_t **ret_value)
{
        json_error_t error;
        json_t *value = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &error);

        if (!value)
                return refuse(PROBLEM_MALFORMED, "The JSON text is malformed at line %d, column %d: %s.", error.line,
                              error.column, load_error(&error));
        *ret_value = value;
        return 0;
}

int json_message_parse(const struct msg_record *record, struct bytes text, void *ret_message)
{
        CLEANUP(value_drop) json_t *value = NULL;
        CLEANUP(mem_freep) void *message = mem_new(record->size);
        const struct place whole = {.name = ""};

        TRY(load(text, &value));
        int r = read_object(&whole, record, value, message);
        if (r)
                message_done(record, message);
        else
                memcpy(ret_message, message, record->size);
        return PASS(r);
}

/* ---- writing ---- */

static int write_instant(const struct msg_field *field, int64_t instant, struct json_writer *writer)
{
        char text[TIME_TEXT_SIZE];

        if (instant < 0 || instant > INSTANT_MAX)
                return fault(ERANGE, "field %s of a message is no time that can be written", field->name);
        if (instant)
                json_text(writer, field->name, bytes_text(time_text(instant, text)));
        return 0;
}

static int write_secret(const struct msg_field *field, const struct secret *secret, struct json_writer *writer)
{
        if (!field->code) {
                json_base64(writer, field->name, secret_view(secret));
                return 0;
        }
        if (!text_is_utf8(secret_view(secret)))
                return fault(EILSEQ, "field %s of a message is no text", field->name);
        json_text(writer, field->name, secret_view(secret));
        return 0;
}

static int write_list(const struct msg_field *field, const struct list_field *list, struct json_writer *writer)
{
        const struct msg_record *element = field->record ? field->record() : NULL;

        json_open(writer, field->name, '[');
        for (size_t i = 0; i < list->count; i++) {
                if (element)
                        TRY(json_message_write(element, (const char *)list->at + i * element->size, NULL, writer));
                else
                        json_text(writer, NULL, bytes_text(((char *const *)list->at)[i]));
        }
        json_close(writer, ']');
        return 0;
}

static int write_field(const struct msg_field *field, const void *from, struct json_writer *writer)
{
        switch (field->type) {
        case MSG_TYPE_U64:
                json_number(writer, field->name, *(const uint64_t *)from);
                return 0;
        case MSG_TYPE_INSTANT:
                return PASS(write_instant(field, *(const int64_t *)from, writer));
        case MSG_TYPE_FLAG:
                json_flag(writer, field->name, *(const bool *)from);
                return 0;
        case MSG_TYPE_TEXT:
                json_text(writer, field->name, bytes_text(msg_text(*(char *const *)from)));
                return 0;
        case MSG_TYPE_BYTES:
                json_base64(writer, field->name, buf_view(from));
                return 0;
        case MSG_TYPE_SECRET:
                return PASS(write_secret(field, from, writer));
        case MSG_TYPE_TEXTS:
        case MSG_TYPE_LIST:
                return PASS(write_list(field, from, writer));
        }
        return fault(EINVAL, "field %s has no type", field->name);
}

static int write_fields(const struct msg_record *record, const void *message, const struct json_choice *choice,
                        struct json_writer *writer)
{
        for (size_t i = 0; i < record->field_count; i++) {
                const struct msg_field *field = &record->fields[i];

                if (!choice || choice->takes(choice->context, field->name))
                        TRY(write_field(field, (const char *)message + field->offset, writer));
        }
        return 0;
}

int json_message_write(const struct msg_record *record, const void *message, const char *name,
                       struct json_writer *writer)
{
        json_open(writer, name, '{');
        TRY(write_fields(record, message, NULL, writer));
        json_close(writer, '}');
        return 0;
}

int json_message_add_some(const struct msg_record *record, const void *message, const struct json_choice *choice,
                          struct buf *out)
{
        struct json_writer writer = json_writer_of(out);
        size_t before = out->len;

        json_open(&writer, NULL, '{');
        int r = write_fields(record, message, choice, &writer);
        if (r)
                buf_truncate(out, before);
        else
                json_close(&writer, '}');
        return PASS(r);
}

int json_message_add(const struct msg_record *record, const void *message, struct buf *out)
{
        return PASS(json_message_add_some(record, message, NULL, out));
}
