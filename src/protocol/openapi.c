/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/openapi.h"

#include "base/mem.h"
#include "protocol/problem.h"
#include "protocol/routes.h"
#include "protocol/writer.h"

enum { RECORDS_MOST = 128 };

/* Records that replies and requests are made of, each once. */
struct records {
        const struct msg_record *at[RECORDS_MOST];
        size_t count;
};

static void records_add(struct records *records, const struct msg_record *record)
{
        for (size_t i = 0; i < records->count; i++)
                if (records->at[i] == record)
                        return;
        if (records->count == RECORDS_MOST)
                abort(); /* the schema is constant: a test sees this */
        records->at[records->count++] = record;
}

static void records_add_parts(struct records *records, const struct msg_record *record)
{
        for (size_t i = 0; i < record->field_count; i++)
                if (record->fields[i].record)
                        records_add(records, record->fields[i].record());
}

static void reference(struct json_writer *w, const char *name, const char *section, const char *what)
{
        CLEANUP(mem_freep) char *pointer = text_format("#/components/%s/%s", section, what);

        json_open(w, name, '{');
        json_text(w, "$ref", bytes_text(pointer));
        json_close(w, '}');
}

static void member_text(struct json_writer *w, const char *name, const char *text)
{
        json_text(w, name, bytes_text(text));
}

static void string_members(struct json_writer *w, const struct msg_field *field)
{
        member_text(w, "type", "string");
        json_number(w, "maxLength", field->max);
}

static void number_members(struct json_writer *w, const struct msg_field *field)
{
        if (field->max > JSON_NUMBER_MAX) {
                json_open(w, "type", '[');
                member_text(w, NULL, "integer");
                member_text(w, NULL, "string");
                json_close(w, ']');
                member_text(w, "pattern", "^[0-9]+$");
                json_number(w, "maximum", JSON_NUMBER_MAX);
        } else {
                member_text(w, "type", "integer");
                json_number(w, "maximum", field->max);
        }
        json_number(w, "minimum", 0);
}

static void bytes_members(struct json_writer *w, const struct msg_field *field)
{
        member_text(w, "type", "string");
        member_text(w, "contentEncoding", "base64");
        json_number(w, "maxLength", (field->max + 2) / 3 * 4);
}

static void list_members(struct json_writer *w, const struct msg_field *field)
{
        member_text(w, "type", "array");
        json_number(w, "maxItems", field->most);
        if (field->record) {
                reference(w, "items", "schemas", field->record()->name);
                return;
        }
        json_open(w, "items", '{');
        string_members(w, field);
        json_close(w, '}');
}

static void field_schema(struct json_writer *w, const char *name, const struct msg_field *field)
{
        json_open(w, name, '{');
        if (field->type == MSG_TYPE_U64) {
                number_members(w, field);
        } else if (field->type == MSG_TYPE_INSTANT) {
                member_text(w, "type", "string");
                member_text(w, "format", "date-time");
        } else if (field->type == MSG_TYPE_FLAG) {
                member_text(w, "type", "boolean");
        } else if (field->type == MSG_TYPE_TEXTS || field->type == MSG_TYPE_LIST) {
                list_members(w, field);
        } else if (field->type == MSG_TYPE_BYTES || (field->type == MSG_TYPE_SECRET && !field->code)) {
                bytes_members(w, field);
        } else {
                string_members(w, field);
        }
        json_close(w, '}');
}

/* The record as an object; of a request (`route`) what stands in the body. */
static void object_schema(struct json_writer *w, const char *name, const struct msg_record *record,
                          const struct route *route)
{
        json_open(w, name, '{');
        member_text(w, "type", "object");
        member_text(w, "description", record->doc);
        json_open(w, "properties", '{');
        for (size_t i = 0; i < record->field_count; i++)
                if (!route || route_field_place(route, record->fields[i].name) == ROUTE_IN_BODY)
                        field_schema(w, record->fields[i].name, &record->fields[i]);
        json_close(w, '}');
        json_flag(w, "additionalProperties", false);
        json_close(w, '}');
}

static void content(struct json_writer *w, const char *media_type)
{
        json_open(w, "content", '{');
        json_open(w, media_type, '{');
}

static void content_end(struct json_writer *w)
{
        json_close(w, '}');
        json_close(w, '}');
}

static void parameters(struct json_writer *w, const struct route *route)
{
        const struct msg_record *record = route->request();

        json_open(w, "parameters", '[');
        for (size_t i = 0; i < record->field_count; i++) {
                enum route_place place = route_field_place(route, record->fields[i].name);

                if (place == ROUTE_IN_BODY)
                        continue;
                json_open(w, NULL, '{');
                member_text(w, "name", record->fields[i].name);
                member_text(w, "in", place == ROUTE_IN_PATH ? "path" : "query");
                json_flag(w, "required", place == ROUTE_IN_PATH);
                field_schema(w, "schema", &record->fields[i]);
                json_close(w, '}');
        }
        json_close(w, ']');
}

static void security(struct json_writer *w, const struct route *route)
{
        json_open(w, "security", '[');
        for (int scheme = ROUTE_TICKET; scheme <= ROUTE_OPERATOR; scheme++) {
                if (route->who < ROUTE_TICKET || (scheme == ROUTE_TICKET && route->who == ROUTE_OPERATOR))
                        continue;
                json_open(w, NULL, '{');
                json_open(w, scheme == ROUTE_TICKET ? "ticket" : "operator", '[');
                json_close(w, ']');
                json_close(w, '}');
        }
        json_close(w, ']');
}

static void responses(struct json_writer *w, const struct route *route)
{
        CLEANUP(mem_freep) char *status = text_format("%u", route->status);

        json_open(w, "responses", '{');
        json_open(w, status, '{');
        member_text(w, "description", route->reply()->doc);
        content(w, "application/json");
        reference(w, "schema", "schemas", route->reply()->name);
        content_end(w);
        json_close(w, '}');
        reference(w, "default", "responses", "problem");
        json_close(w, '}');
}

static void operation(struct json_writer *w, const struct route *route)
{
        json_open(w, route->method == ROUTE_GET ? "get" : "post", '{');
        member_text(w, "operationId", route->request()->name);
        member_text(w, "summary", route->request()->doc);
        if (!route->sealed)
                member_text(w, "description", "Answers with the problem \"sealed\" while the server is sealed.");
        parameters(w, route);
        if (route->method == ROUTE_POST) {
                json_open(w, "requestBody", '{');
                content(w, "application/json");
                object_schema(w, "schema", route->request(), route);
                content_end(w);
                json_close(w, '}');
        }
        security(w, route);
        responses(w, route);
        json_close(w, '}');
}

static bool path_is_first(size_t index)
{
        for (size_t i = 0; i < index; i++)
                if (strcmp(route_at(i)->path, route_at(index)->path) == 0)
                        return false;
        return true;
}

static void paths(struct json_writer *w)
{
        json_open(w, "paths", '{');
        for (size_t i = 0; route_at(i); i++) {
                CLEANUP(mem_freep) char *path = text_format(ROUTE_PREFIX "%s", route_at(i)->path);

                if (!path_is_first(i))
                        continue;
                json_open(w, path, '{');
                for (size_t k = i; route_at(k); k++)
                        if (strcmp(route_at(k)->path, route_at(i)->path) == 0)
                                operation(w, route_at(k));
                json_close(w, '}');
        }
        json_close(w, '}');
}

static void schemas(struct json_writer *w)
{
        struct records records = {.count = 0};

        for (size_t i = 0; route_at(i); i++) {
                records_add(&records, route_at(i)->reply());
                records_add_parts(&records, route_at(i)->request());
        }
        for (size_t i = 0; i < records.count; i++)
                records_add_parts(&records, records.at[i]);
        json_open(w, "schemas", '{');
        for (size_t i = 0; i < records.count; i++)
                object_schema(w, records.at[i]->name, records.at[i], NULL);
        json_open(w, "problem", '{');
        member_text(w, "type", "object");
        json_open(w, "properties", '{');
        for (const char *const *name = (const char *const[]){"type", "title", "detail", "code", NULL}; *name; name++) {
                json_open(w, *name, '{');
                member_text(w, "type", "string");
                json_close(w, '}');
        }
        json_open(w, "status", '{');
        member_text(w, "type", "integer");
        json_close(w, '}');
        json_close(w, '}');
        json_close(w, '}');
        json_close(w, '}');
}

static void scheme(struct json_writer *w, const char *name, const char *http_scheme, const char *what)
{
        json_open(w, name, '{');
        member_text(w, "type", "http");
        member_text(w, "scheme", http_scheme);
        member_text(w, "description", what);
        json_close(w, '}');
}

static void components(struct json_writer *w)
{
        json_open(w, "components", '{');
        schemas(w);
        json_open(w, "responses", '{');
        json_open(w, "problem", '{');
        member_text(w, "description", "Why it was not done (RFC 9457)");
        content(w, PROBLEM_MEDIA_TYPE);
        reference(w, "schema", "schemas", "problem");
        content_end(w);
        json_close(w, '}');
        json_close(w, '}');
        json_open(w, "securitySchemes", '{');
        scheme(w, "operator", "Vouchsafe",
               "An operator's signature over the request. Its nonce makes the request idempotent: repeated, it gets "
               "the same answer.");
        scheme(w, "ticket", "bearer", "The ticket that a user got with his certificates");
        json_close(w, '}');
        json_close(w, '}');
}

void openapi_add(struct buf *out)
{
        struct json_writer w = json_writer_of(out);

        json_open(&w, NULL, '{');
        member_text(&w, "openapi", "3.1.1");
        json_open(&w, "info", '{');
        member_text(&w, "title", "Vouchsafe");
        member_text(&w, "version", VOUCHSAFE_VERSION);
        member_text(&w, "description",
                    "What is not done is answered with a problem (RFC 9457) that says why. Only what is no HTTP request at all (a request line or "
                    "a header section that cannot be read or is too long: statuses 400, 414, 431 and 505) is answered in HTML, with \"Connection: close\".");
        json_open(&w, "license", '{');
        member_text(&w, "name", "Apache-2.0");
        member_text(&w, "identifier", "Apache-2.0");
        json_close(&w, '}');
        json_close(&w, '}');
        paths(&w);
        components(&w);
        json_close(&w, '}');
}
