/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>

#include "base/mem.h"
#include "protocol/authorization.h"
#include "protocol/json.h"
#include "protocol/openapi.h"
#include "protocol/percent.h"
#include "protocol/problem.h"
#include "protocol/routes.h"

#define TEXT(s) bytes_of(s, sizeof(s) - 1)

/* ---- JSON ---- */

static void fill_import(struct msg_directory_import *import)
{
        struct msg_person *person = MSG_LIST_ADD(import->people);

        person->guid = text_copy("a-1");
        person->name = text_copy("Zoë \"the\" O'Neil\\ \x01 😀");
        msg_texts_add(&person->addresses, "zoe@example.org");
        msg_texts_add(&person->addresses, "");
        person->disabled = true;
        MSG_LIST_ADD(import->people);
        import->dry_run = true;
}

static void a_message_survives_json(void **state)
{
        MSG_OWN(directory_import) import = {0}, back = {0};
        CLEANUP(buf_done) struct buf json = BUF_NONE, a = BUF_NONE, b = BUF_NONE;

        fill_import(&import);
        assert_int_equal(json_add(directory_import, &import, &json), 0);
        assert_int_equal(json_parse(directory_import, buf_view(&json), &back), 0);
        assert_int_equal(msg_encode(directory_import, &import, &a), 0);
        assert_int_equal(msg_encode(directory_import, &back, &b), 0);
        assert_true(bytes_equal(buf_view(&a), buf_view(&b)));
}

static void each_type_has_its_form(void **state)
{
        MSG_OWN(user_enroll_reply) reply = {0}, back = {0};
        MSG_OWN(request_create) create = {0};
        CLEANUP(buf_done) struct buf json = BUF_NONE, json2 = BUF_NONE;
        struct msg_token_item *row = MSG_LIST_ADD(reply.rows);

        row->token = secret_copy(TEXT("ABCDEFG"));
        row->expires = 1795402290;
        assert_int_equal(json_add(user_enroll_reply, &reply, &json), 0);
        assert_string_equal(buf_text(&json),
                            "{\"rows\":[{\"user\":\"\",\"name\":\"\",\"address\":\"\",\"outcome\":\"\",\"detail\":"
                            "\"\",\"token\":\"ABCDEFG\",\"expires\":\"2026-11-23T02:51:30Z\",\"unit\":"
                            "\"\",\"delivery\":\"\",\"language\":\"\"}],\"cursor\":\"\"}");
        assert_int_equal(json_parse(user_enroll_reply, buf_view(&json), &back), 0);
        assert_int_equal(back.rows.at[0].expires, row->expires);
        create.auth = secret_copy(bytes_of("\xff\x00\x01", 3));
        assert_int_equal(json_add(request_create, &create, &json2), 0);
        assert_non_null(strstr(buf_text(&json2), "\"auth\":\"/wAB\""));
}

static void numbers_beyond_doubles_are_text(void **state)
{
        MSG_OWN(audit_list) list = {.from = INT64_MAX}, back = {0};
        CLEANUP(buf_done) struct buf json = BUF_NONE;

        assert_int_equal(json_add(audit_list, &list, &json), 0);
        assert_non_null(strstr(buf_text(&json), "{\"from\":\"9223372036854775807\",\"limit\":0,"));
        assert_int_equal(json_parse(audit_list, buf_view(&json), &back), 0);
        assert_true(back.from == INT64_MAX);
        assert_int_equal(json_parse(audit_list, TEXT("{\"from\": 9007199254740991}"), &back), 0);
        assert_int_equal(json_parse(audit_list, TEXT("{\"from\": 9007199254740992}"), &back), PROBLEM_MALFORMED);
        assert_int_equal(json_parse(audit_list, TEXT("{\"limit\": 1001}"), &back), PROBLEM_MALFORMED);
        assert_int_equal(json_parse(audit_list, TEXT("{\"limit\": -1}"), &back), PROBLEM_MALFORMED);
        assert_int_equal(json_parse(audit_list, TEXT("{\"limit\": 1.0}"), &back), PROBLEM_MALFORMED);
        assert_int_equal(json_parse(audit_list, TEXT("{\"limit\": \"01\"}"), &back), PROBLEM_MALFORMED);
}

static void refused_json(const char *text, const char *words)
{
        struct msg_directory_import import = {.dry_run = true};

        assert_int_equal(json_parse(directory_import, bytes_text(text), &import), PROBLEM_MALFORMED);
        if (!strstr(report_text(), words))
                fail_msg("%s: %s", text, report_text());
        assert_true(import.dry_run && !import.people.at); /* untouched */
}

static void what_json_may_not_be_is_refused_with_its_place(void **state)
{
        MSG_OWN(token_use) use = {0};

        refused_json("", "ends too early");
        refused_json("{\"people\":[}", "no JSON");
        refused_json("{} {}", "follows its end");
        refused_json("{\"dry_run\":true,\"dry_run\":true}", "twice");
        refused_json("[]", "the whole is no object");
        refused_json("{\"people\":{}}", "people is no array");
        refused_json("{\"people\":null}", "people is no array");
        refused_json("{\"people\":[{},{\"addresses\":[\"a\",7]}]}", "people[1].addresses[1] is no text");
        refused_json("{\"people\":[{},{\"colour\":1}]}", "people[1].colour is no member");
        refused_json("{\"dry_run\":1}", "dry_run is neither");
        refused_json("{\"dry_run\":\"\xff\"}", "UTF-8");
        refused_json("{\"people\":[{\"guid\":\"a\\u0000b\"}]}", "NUL");
        refused_json("{\"people\":[{\"guid\":\"12345678901234567890123456789012345678901234567890123456789012345\"}]}",
                     "people[0].guid is longer");
        assert_int_equal(json_parse(token_use, TEXT("{\"mac\":\"AA=A\"}"), &use), PROBLEM_MALFORMED);
        assert_int_equal(
                json_parse(token_use, TEXT("{\"mac\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}"), &use),
                PROBLEM_MALFORMED);
        assert_int_equal(
                json_parse(token_use, TEXT("{\"mac\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}"), &use), 0);
}

static void deep_nesting_ends_in_an_answer(void **state)
{
        struct msg_directory_import import;
        CLEANUP(buf_done) struct buf text = BUF_NONE;

        for (int i = 0; i < 1000000; i++)
                buf_add_byte(&text, '[');
        assert_int_equal(json_parse(directory_import, buf_view(&text), &import), PROBLEM_MALFORMED);
}

/* ---- routes ---- */

static void every_request_of_the_api_has_a_route_and_its_reply(void **state)
{
        for (size_t i = 0; msg_record_at(i); i++) {
                unsigned kind = msg_record_at(i)->kind;

                if (kind < 100 || kind % 2)
                        continue;
                assert_non_null(route_of_kind(kind));
                assert_int_equal(route_of_kind(kind)->reply_kind, kind + 1);
        }
}

/* Every name in a path or query is a field of a fitting type, and a GET has no field left over for a body. */
static void templates_name_fields(void **state)
{
        for (const struct route *route = route_at(0);
             route < route_at(0) + 1000 && route_at((size_t)(route - route_at(0))); route++) {
                const struct msg_record *record = route->request();
                size_t placed = 0, named = 0;

                for (size_t i = 0; i < record->field_count; i++) {
                        enum route_place place = route_field_place(route, record->fields[i].name);

                        placed += place != ROUTE_IN_BODY;
                        assert_true(route->method == ROUTE_POST || place != ROUTE_IN_BODY);
                        assert_true(place != ROUTE_IN_PATH || record->fields[i].type == MSG_TYPE_TEXT);
                }
                for (const char *c = route->path; *c; c++)
                        named += *c == '{';
                for (const char *c = route->query; *c; c++)
                        named += c == route->query || c[-1] == ' ';
                assert_int_equal(placed, named);
        }
}

static void a_request_survives_its_http_form(void **state)
{
        MSG_OWN(user_revoke) revoke = {.user = text_copy("zoë+x/y@example.org"), .reason = text_copy("keyCompromise")};
        MSG_OWN(user_revoke) back = {0};
        CLEANUP(buf_done) struct buf target = BUF_NONE, body = BUF_NONE;
        const struct route *route;

        assert_int_equal(route_encode(route_of_kind(MSG_user_revoke), &revoke, &target, &body), 0);
        assert_string_equal(buf_text(&target), "/api/v1/users/zo%C3%AB%2Bx%2Fy%40example.org/revoke");
        assert_string_equal(buf_text(&body), "{\"reason\":\"keyCompromise\",\"note\":\"\"}");
        assert_int_equal(route_find("POST", buf_view(&target), &route), 0);
        assert_int_equal(route->kind, MSG_user_revoke);
        assert_int_equal(route_decode(route, buf_view(&target), buf_view(&body), &back), 0);
        assert_string_equal(back.user, revoke.user);
        assert_string_equal(back.reason, revoke.reason);
}

static void a_query_survives_its_http_form(void **state)
{
        MSG_OWN(user_list) list = {.search = text_copy("a&b=c"), .limit = 50}, back = {0};
        CLEANUP(buf_done) struct buf target = BUF_NONE, body = BUF_NONE;
        const struct route *route;

        assert_int_equal(route_encode(route_of_kind(MSG_user_list), &list, &target, &body), 0);
        assert_string_equal(buf_text(&target), "/api/v1/users?search=a%26b%3Dc&limit=50");
        assert_int_equal(body.len, 0);
        assert_int_equal(route_find("GET", buf_view(&target), &route), 0);
        assert_int_equal(route_decode(route, buf_view(&target), BYTES_NONE, &back), 0);
        assert_string_equal(back.search, "a&b=c");
        assert_int_equal(back.limit, 50);
}

static void addresses_that_are_none_are_told_apart(void **state)
{
        static const char *const missing[] = {"/",
                                              "",
                                              "/api/v1",
                                              "/api/v1/",
                                              "/api/v1/users/",
                                              "/api/v1//users",
                                              "/api/v1/users/a/",
                                              "/api/v2/users",
                                              "/api/v1/users/a/b",
                                              "/api/v1/users//revoke",
                                              "/api/v1/Users",
                                              "api/v1/users",
                                              "/api/v1/users/a/revoke/b",
                                              "/api/v1/statusx",
                                              "*"};
        const struct route *route;
        CLEANUP(buf_done) struct buf allow = BUF_NONE;

        for (size_t i = 0; i < ARRAY_LEN(missing); i++)
                assert_int_equal(route_find("POST", bytes_text(missing[i]), &route), PROBLEM_NOT_FOUND);
        assert_int_equal(route_find("PUT", TEXT("/api/v1/people?x"), &route), PROBLEM_METHOD);
        route_methods(TEXT("/api/v1/people?x"), &allow);
        assert_string_equal(buf_text(&allow), "GET, POST");
}

static void refused_target(const char *text, const char *words)
{
        struct msg_user_list list = {.limit = 7};
        const struct route *route = route_of_kind(MSG_user_list);

        assert_int_equal(route_decode(route, bytes_text(text), BYTES_NONE, &list), PROBLEM_MALFORMED);
        if (!strstr(report_text(), words))
                fail_msg("%s: %s", text, report_text());
        assert_int_equal(list.limit, 7);
}

static void ill_formed_parameters_are_refused_by_name(void **state)
{
        const struct route *show = route_of_kind(MSG_user_show), *revoke = route_of_kind(MSG_user_revoke);
        MSG_OWN(user_show) user = {0};
        MSG_OWN(user_revoke) twice = {0};

        refused_target("/api/v1/users?limit=1&limit=1", "limit comes more than once");
        refused_target("/api/v1/users?search=a&search=b", "search comes more than once");
        refused_target("/api/v1/users?search=&search=", "search comes more than once");
        refused_target("/api/v1/users?limit=0x1", "limit");
        refused_target("/api/v1/users?limit=", "limit");
        refused_target("/api/v1/users?limit=1001", "limit");
        refused_target("/api/v1/users?colour=red", "colour");
        refused_target("/api/v1/users?&limit=1", "not known");
        refused_target("/api/v1/users?search=%zz", "search");
        refused_target("/api/v1/users?search=%2", "search");
        refused_target("/api/v1/users?search=%ff", "search");
        refused_target("/api/v1/users?search=%00", "search");
        assert_int_equal(route_decode(show, TEXT("/api/v1/users/.."), BYTES_NONE, &user), PROBLEM_MALFORMED);
        assert_int_equal(route_decode(show, TEXT("/api/v1/users/%2e%2E"), BYTES_NONE, &user), PROBLEM_MALFORMED);
        assert_int_equal(route_decode(show, TEXT("/api/v1/users/a"), TEXT("{}"), &user), PROBLEM_MALFORMED);
        assert_int_equal(route_decode(revoke, TEXT("/api/v1/users/a/revoke"), TEXT("{\"user\":\"b\"}"), &twice),
                         PROBLEM_MALFORMED);
}

static void the_description_is_json_and_complete(void **state)
{
        CLEANUP(buf_done) struct buf text = BUF_NONE;
        json_t *document, *paths;

        openapi_add(&text);
        document = json_loadb(buf_text(&text), text.len, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(document);
        paths = json_object_get(document, "paths");
        for (size_t i = 0; route_at(i); i++) {
                CLEANUP(mem_freep) char *path = text_format("%s%s", ROUTE_PREFIX, route_at(i)->path);
                const char *method = route_at(i)->method == ROUTE_GET ? "get" : "post";

                assert_non_null(json_object_get(json_object_get(paths, path), method));
        }
        json_decref(document);
}

/* ---- authorization ---- */

static const char good_header[] =
        "Vouchsafe operator=\"Jos%C3%A9\", created=\"1795000000\", nonce=\"AAECAwQFBgcICQoLDA0ODw\", "
        "signature=\"MEUCIQ\"";

static void a_signature_survives_its_header(void **state)
{
        CLEANUP(authorization_done) struct authorization read = {0};
        CLEANUP(buf_done) struct buf again = BUF_NONE;

        assert_int_equal(authorization_parse(TEXT(good_header), &read), 0);
        assert_true(read.is_operator);
        assert_string_equal(read.operator.operator, "José");
        assert_int_equal(read.operator.nonce.len, 16);
        authorization_operator_add(&again, &read.operator);
        assert_string_equal(buf_text(&again), good_header);
}

static void a_ticket_survives_its_header(void **state)
{
        CLEANUP(authorization_done) struct authorization read = {0};
        CLEANUP(buf_done) struct buf header = BUF_NONE;

        authorization_ticket_add(&header, TEXT("ticket"));
        assert_int_equal(authorization_parse(buf_view(&header), &read), 0);
        assert_false(read.is_operator);
        assert_true(bytes_equal(buf_view(&read.ticket), TEXT("ticket")));
}

static void other_headers_are_refused(void **state)
{
        static const char *const headers[] = {
                "",
                "Bearer",
                "Bearer ",
                "Bearer a",
                "Bearer  YWJj",
                "Bearer YWJj ",
                "Basic YWJj",
                "Vouchsafe ",
                "Vouchsafe operator=\"",
                "Vouchsafe operator=\"a\", nonce=\"AAECAwQFBgcICQoLDA0ODw\", created=\"1\", signature=\"MEUCIQ\"",
                "Vouchsafe operator=\"\", created=\"1\", nonce=\"AAECAwQFBgcICQoLDA0ODw\", signature=\"MEUCIQ\"",
                "Vouchsafe operator=\"%61\", created=\"1\", nonce=\"AAECAwQFBgcICQoLDA0ODw\", signature=\"MEUCIQ\"",
                "Vouchsafe operator=\"a b\", created=\"1\", nonce=\"AAECAwQFBgcICQoLDA0ODw\", signature=\"MEUCIQ\"",
                "Vouchsafe operator=\"a\", created=\"-1\", nonce=\"AAECAwQFBgcICQoLDA0ODw\", signature=\"MEUCIQ\"",
                "Vouchsafe operator=\"a\", created=\"01\", nonce=\"AAECAwQFBgcICQoLDA0ODw\", signature=\"MEUCIQ\"",
                "Vouchsafe operator=\"a\", created=\"1\", nonce=\"AAECAwQFBgcICQoLDA0O\", signature=\"MEUCIQ\"",
                "Vouchsafe operator=\"a\", created=\"1\", nonce=\"AAECAwQFBgcICQoLDA0ODw\", signature=\"\"",
                "Vouchsafe operator=\"a\", created=\"1\", nonce=\"AAECAwQFBgcICQoLDA0ODw\", signature=\"MEUCIQ\", "
                "x=\"y\"",
                "Vouchsafe operator=\"a\",created=\"1\", nonce=\"AAECAwQFBgcICQoLDA0ODw\", signature=\"MEUCIQ\""};
        struct authorization read = {.is_operator = true};

        for (size_t i = 0; i < ARRAY_LEN(headers); i++)
                assert_int_equal(authorization_parse(bytes_text(headers[i]), &read), PROBLEM_UNAUTHENTICATED);
        for (size_t len = 0; len < sizeof(good_header) - 1; len++)
                assert_int_equal(authorization_parse(bytes_of(good_header, len), &read), PROBLEM_UNAUTHENTICATED);
        assert_true(read.is_operator && !read.ticket.data);
}

/* ---- problems ---- */

static void every_problem_survives_its_json(void **state)
{
        for (int i = 0; i < PROBLEM_COUNT; i++) {
                MSG_OWN(problem) problem = {0}, back = {0};
                CLEANUP(buf_done) struct buf json = BUF_NONE;

                (void)!refuse(PROBLEM_STATE, "A \"sentence\".");
                problem_of_result(i ? i : -1, &problem);
                problem_json_add(&json, &problem);
                assert_int_equal(problem_json_parse(buf_view(&json), &back), 0);
                assert_string_equal(back.code, problem.code);
                assert_string_equal(msg_text(back.detail), i ? "A \"sentence\"." : "");
                assert_int_equal(problem_status(&back), problem_info(i)->http_status);
                int raised = problem_raise(&back);
                assert_true(i ? raised == i : raised < 0);
        }
}

static void strange_problems_are_refused(void **state)
{
        struct msg_problem problem;

        assert_int_equal(problem_json_parse(TEXT("{\"type\":\"about:blank\"}"), &problem), PROBLEM_MALFORMED);
        assert_int_equal(problem_json_parse(TEXT("{\"type\":\"urn:vouchsafe:problem:none\"}"), &problem),
                         PROBLEM_MALFORMED);
        assert_int_equal(problem_json_parse(TEXT("[]"), &problem), PROBLEM_MALFORMED);
        assert_int_equal(problem_json_parse(BYTES_NONE, &problem), PROBLEM_MALFORMED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_message_survives_json),
                cmocka_unit_test(each_type_has_its_form),
                cmocka_unit_test(numbers_beyond_doubles_are_text),
                cmocka_unit_test(what_json_may_not_be_is_refused_with_its_place),
                cmocka_unit_test(deep_nesting_ends_in_an_answer),
                cmocka_unit_test(every_request_of_the_api_has_a_route_and_its_reply),
                cmocka_unit_test(templates_name_fields),
                cmocka_unit_test(a_request_survives_its_http_form),
                cmocka_unit_test(a_query_survives_its_http_form),
                cmocka_unit_test(addresses_that_are_none_are_told_apart),
                cmocka_unit_test(ill_formed_parameters_are_refused_by_name),
                cmocka_unit_test(the_description_is_json_and_complete),
                cmocka_unit_test(a_signature_survives_its_header),
                cmocka_unit_test(a_ticket_survives_its_header),
                cmocka_unit_test(other_headers_are_refused),
                cmocka_unit_test(every_problem_survives_its_json),
                cmocka_unit_test(strange_problems_are_refused),
        };

        json_setup();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
