/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/routes.h"

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "protocol/json.h"
#include "protocol/percent.h"

#define YES true
#define NO  false

static const struct route routes[] = {
#define ROUTE(method, path, query, request, reply, status, who, sealed)                                                \
        {ROUTE_##method, path,        query,  msg_record_##request, msg_record_##reply,                                \
         MSG_##request,  MSG_##reply, status, ROUTE_##who,          sealed},
#include "protocol/routes.def"
#undef ROUTE
};

const struct route *route_at(size_t index)
{
        return index < ARRAY_LEN(routes) ? &routes[index] : NULL;
}

const struct route *route_of_kind(unsigned kind)
{
        for (size_t i = 0; i < ARRAY_LEN(routes); i++)
                if (routes[i].kind == kind)
                        return &routes[i];
        return NULL;
}

const char *route_method_text(enum route_method method)
{
        return method == ROUTE_GET ? "GET" : "POST";
}

/* ---- pieces of text ---- */

/* What stands before the first `end` (all of it when there is none); `rest` moves behind it. */
static struct bytes piece(struct bytes *rest, uint8_t end)
{
        const uint8_t *at = rest->len ? memchr(rest->data, end, rest->len) : NULL;
        struct bytes found = at ? bytes_of(rest->data, (size_t)(at - rest->data)) : *rest;
        size_t used = at ? found.len + 1 : found.len;

        *rest = bytes_of(rest->data + used, rest->len - used);
        return found;
}

static bool is_text(struct bytes piece, const char *text)
{
        return bytes_equal(piece, bytes_text(text));
}

static struct bytes without_query(struct bytes target)
{
        return piece(&target, '?');
}

/* The name in "{name}", or nothing. */
static struct bytes parameter_name(struct bytes segment)
{
        if (segment.len < 2 || segment.data[0] != '{')
                return BYTES_NONE;
        return bytes_of(segment.data + 1, segment.len - 2);
}

/* What clients and proxies take out of a path (RFC 3986 section 5.2.4), percent-encoded or not. */
static bool is_dots(const char *text)
{
        return strcmp(text, ".") == 0 || strcmp(text, "..") == 0;
}

static bool names_have(const char *names, struct bytes name)
{
        struct bytes rest = bytes_text(names);

        while (rest.len)
                if (bytes_equal(piece(&rest, ' '), name))
                        return true;
        return false;
}

static const struct msg_field *route_field(const struct route *route, struct bytes name)
{
        const struct msg_record *record = route->request();

        for (size_t i = 0; i < record->field_count; i++)
                if (is_text(name, record->fields[i].name))
                        return &record->fields[i];
        return NULL;
}

static void *field_in(const struct msg_field *field, void *message)
{
        return (char *)message + field->offset;
}

enum route_place route_field_place(const struct route *route, const char *field)
{
        struct bytes template = bytes_text(route->path);

        while (template.len)
                if (is_text(parameter_name(piece(&template, '/')), field))
                        return ROUTE_IN_PATH;
        return names_have(route->query, bytes_text(field)) ? ROUTE_IN_QUERY : ROUTE_IN_BODY;
}

/* ---- finding ---- */

static bool path_matches(const struct route *route, struct bytes path)
{
        struct bytes template = bytes_text(route->path + 1);

        while (template.len && path.len) {
                struct bytes want = piece(&template, '/'), have = piece(&path, '/');

                if (!template.len != !path.len)
                        return false;
                if (parameter_name(want).len ? !have.len : !bytes_equal(want, have))
                        return false;
        }
        return !template.len && !path.len;
}

/* The path below the prefix, without its first slash. */
static bool path_below(struct bytes target, struct bytes *ret_path)
{
        struct bytes path = without_query(target), prefix = bytes_text(ROUTE_PREFIX "/");

        if (path.len <= prefix.len || memcmp(path.data, prefix.data, prefix.len) != 0 || path.data[path.len - 1] == '/')
                return false;
        *ret_path = bytes_of(path.data + prefix.len, path.len - prefix.len);
        return true;
}

int route_find(const char *method, struct bytes target, const struct route **ret_route)
{
        struct bytes path;
        bool exists = false;

        if (!path_below(target, &path))
                return refuse(PROBLEM_NOT_FOUND,
                              "There is nothing at this address; %s/openapi.json describes what there is.",
                              ROUTE_PREFIX);
        for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
                if (!path_matches(&routes[i], path))
                        continue;
                exists = true;
                if (strcmp(route_method_text(routes[i].method), method) != 0)
                        continue;
                *ret_route = &routes[i];
                return 0;
        }
        if (exists)
                return refuse(PROBLEM_METHOD, "This address does not take the method %s.", method);
        return refuse(PROBLEM_NOT_FOUND, "There is nothing at this address; %s/openapi.json describes what there is.",
                      ROUTE_PREFIX);
}

void route_methods(struct bytes target, struct buf *out)
{
        struct bytes path;

        if (!path_below(target, &path))
                return;
        for (size_t i = 0; i < ARRAY_LEN(routes); i++)
                if (path_matches(&routes[i], path))
                        buf_add_format(out, "%s%s", out->len ? ", " : "", route_method_text(routes[i].method));
}

/* ---- reading ---- */

static int beyond_limit(const char *name)
{
        return refuse(PROBLEM_MALFORMED, "The parameter %s of the address is beyond its limit.", name);
}

static int text_fill(const struct msg_field *field, const struct buf *value, char **to)
{
        if (*to)
                return refuse(PROBLEM_MALFORMED, "The parameter %s comes more than once.", field->name);
        if (value->len > field->max)
                return beyond_limit(field->name);
        *to = value->len ? text_copy(buf_text(value)) : NULL;
        return 0;
}

static int number_fill(const struct msg_field *field, const struct buf *value, uint64_t *to)
{
        if (number_parse(buf_view(value), field->max, to))
                return refuse(PROBLEM_MALFORMED, "The parameter %s of the address is no number up to %llu.",
                              field->name, (unsigned long long)field->max);
        return 0;
}

static int flag_fill(const struct msg_field *field, const struct buf *value, bool *to)
{
        if (!is_text(buf_view(value), "true") && !is_text(buf_view(value), "false"))
                return refuse(PROBLEM_MALFORMED, "The parameter %s of the address is neither true nor false.",
                              field->name);
        *to = is_text(buf_view(value), "true");
        return 0;
}

static int texts_fill(const struct msg_field *field, const struct buf *value, struct msg_texts *to)
{
        if (value->len > field->max || to->count >= field->most)
                return beyond_limit(field->name);
        msg_texts_add(to, buf_text(value));
        return 0;
}

static int field_fill(const struct msg_field *field, struct bytes encoded, void *message)
{
        CLEANUP(buf_done) struct buf value = BUF_NONE;
        void *to = field_in(field, message);

        if (percent_parse(encoded, &value))
                return refuse(PROBLEM_MALFORMED, "The parameter %s of the address is not percent-encoded UTF-8.",
                              field->name);
        if (field->type == MSG_TYPE_TEXT)
                return PASS(text_fill(field, &value, to));
        if (field->type == MSG_TYPE_U64)
                return PASS(number_fill(field, &value, to));
        if (field->type == MSG_TYPE_FLAG)
                return PASS(flag_fill(field, &value, to));
        if (field->type == MSG_TYPE_TEXTS)
                return PASS(texts_fill(field, &value, to));
        return fault(EINVAL, "field %s cannot be a parameter", field->name);
}

static int path_fill(const struct route *route, struct bytes path, void *message)
{
        struct bytes template = bytes_text(route->path + 1);

        while (template.len) {
                struct bytes name = parameter_name(piece(&template, '/')), value = piece(&path, '/');
                const struct msg_field *field = name.len ? route_field(route, name) : NULL;

                if (!field)
                        continue;
                TRY(field_fill(field, value, message));
                if (is_dots(*(char **)field_in(field, message)))
                        return refuse(PROBLEM_MALFORMED, "The parameter %s of the address may not be \".\" or \"..\".",
                                      field->name);
        }
        return 0;
}

enum { QUERY_MOST = 256 };

static int query_fill(const struct route *route, struct bytes query, void *message)
{
        const struct msg_field *seen[QUERY_MOST];
        size_t count = 0;

        while (query.len) {
                struct bytes value = piece(&query, '&'), name = piece(&value, '=');
                const struct msg_field *field = names_have(route->query, name) ? route_field(route, name) : NULL;

                if (!field || count == QUERY_MOST)
                        return refuse(PROBLEM_MALFORMED,
                                      "The address has the parameter \"%.*s\", which is not known here.",
                                      (int)MIN(name.len, (size_t)64), name.len ? (const char *)name.data : "");
                for (size_t i = 0; i < count; i++)
                        if (seen[i] == field && field->type != MSG_TYPE_TEXTS)
                                return refuse(PROBLEM_MALFORMED, "The parameter %s comes more than once.", field->name);
                seen[count++] = field;
                TRY(field_fill(field, value, message));
        }
        return 0;
}

int route_decode(const struct route *route, struct bytes target, struct bytes body, void *ret_message)
{
        const struct msg_record *record = route->request();
        CLEANUP(mem_freep) void *message = mem_new(record->size);
        struct bytes path, query = target;

        if (route->method == ROUTE_GET && body.len)
                return refuse(PROBLEM_MALFORMED, "A GET request has no body.");
        if (!path_below(target, &path))
                return refuse(PROBLEM_NOT_FOUND, "There is nothing at this address.");
        (void)piece(&query, '?');
        if (body.len)
                TRY(json_message_parse(record, body, message));
        int r = path_fill(route, path, message);
        if (!r)
                r = query_fill(route, query, message);
        if (r)
                message_done(record, message);
        else
                memcpy(ret_message, message, record->size);
        return PASS(r);
}

/* ---- writing ---- */

static int path_encode(const struct route *route, void *message, struct buf *out)
{
        struct bytes template = bytes_text(route->path + 1);

        buf_add_text(out, ROUTE_PREFIX);
        while (template.len) {
                struct bytes segment = piece(&template, '/'), name = parameter_name(segment);
                const struct msg_field *field = name.len ? route_field(route, name) : NULL;

                buf_add_byte(out, '/');
                if (!field) {
                        buf_add_bytes(out, segment);
                        continue;
                }
                const char *value = msg_text(*(char **)field_in(field, message));

                if (!*value || is_dots(value))
                        return fault(EINVAL, "field %s cannot stand in an address when it is empty or dots",
                                     field->name);
                percent_add(out, bytes_text(value));
        }
        return 0;
}

static void parameter_add(struct buf *out, const char *name, const char *value, char *separator)
{
        buf_add_format(out, "%c%s=", *separator, name);
        percent_add(out, bytes_text(value));
        *separator = '&';
}

static void parameter_encode(const struct msg_field *field, void *from, struct buf *out, char *separator)
{
        const struct msg_texts *texts = from;
        char number[24];

        if (field->type == MSG_TYPE_TEXT && *msg_text(*(char **)from))
                parameter_add(out, field->name, *(char **)from, separator);
        if (field->type == MSG_TYPE_FLAG && *(bool *)from)
                parameter_add(out, field->name, "true", separator);
        if (field->type == MSG_TYPE_U64 && *(uint64_t *)from) {
                snprintf(number, sizeof(number), "%llu", (unsigned long long)*(uint64_t *)from);
                parameter_add(out, field->name, number, separator);
        }
        for (size_t i = 0; field->type == MSG_TYPE_TEXTS && i < texts->count; i++)
                parameter_add(out, field->name, texts->at[i], separator);
}

static void query_encode(const struct route *route, void *message, struct buf *out)
{
        struct bytes names = bytes_text(route->query);
        char separator = '?';

        while (names.len) {
                const struct msg_field *field = route_field(route, piece(&names, ' '));

                if (field)
                        parameter_encode(field, field_in(field, message), out, &separator);
        }
}

static bool body_takes(const void *context, const char *field)
{
        return route_field_place(context, field) == ROUTE_IN_BODY;
}

int route_encode(const struct route *route, const void *message, struct buf *ret_target, struct buf *ret_body)
{
        CLEANUP(buf_done) struct buf target = BUF_NONE;
        CLEANUP(json_buf_done) struct buf body = BUF_NONE;
        struct json_choice choice = {body_takes, route};

        /* The helpers only read it, but share the look-up of fields with those that write. */
        TRY(path_encode(route, (void *)(uintptr_t)message, &target));
        query_encode(route, (void *)(uintptr_t)message, &target);
        if (route->method == ROUTE_POST)
                TRY(json_message_add_some(route->request(), message, &choice, &body));
        *ret_target = buf_take(&target);
        *ret_body = buf_take(&body);
        return 0;
}
