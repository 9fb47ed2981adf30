/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/problem.h"

#include <errno.h>
#include <jansson.h>

#include "base/mem.h"
#include "base/text.h"
#include "protocol/writer.h"

#define TYPE_PREFIX "urn:vouchsafe:problem:"

void problem_of_result(int result, struct msg_problem *ret_problem)
{
        struct msg_problem problem = {.code = text_copy(problem_info(result)->code)};

        if (result > 0)
                problem.detail = text_copy(report_text());
        *ret_problem = problem;
}

static int problem_number(const struct msg_problem *problem)
{
        return problem_from_code(msg_text(problem->code));
}

int problem_raise(const struct msg_problem *problem)
{
        int number = problem_number(problem);
        const char *detail = msg_text(problem->detail);

        if (!number)
                return fault(EREMOTEIO, "the server failed%s%s", *detail ? ": " : "", detail);
        return refuse((enum problem)number, "%s%s", *detail ? detail : problem_info(number)->title, *detail ? "" : ".");
}

unsigned problem_status(const struct msg_problem *problem)
{
        return (unsigned)problem_info(problem_number(problem))->http_status;
}

void problem_json_add(struct buf *out, const struct msg_problem *problem)
{
        const struct problem_info *info = problem_info(problem_number(problem));
        struct json_writer writer = json_writer_of(out);
        CLEANUP(mem_freep) char *type = text_format(TYPE_PREFIX "%s", info->code);

        json_open(&writer, NULL, '{');
        json_text(&writer, "type", bytes_text(type));
        json_text(&writer, "title", bytes_text(info->title));
        json_number(&writer, "status", (uint64_t)info->http_status);
        if (*msg_text(problem->detail))
                json_text(&writer, "detail", bytes_text(problem->detail));
        json_text(&writer, "code", bytes_text(info->code));
        json_close(&writer, '}');
}

static void value_drop(json_t **value)
{
        json_decref(*value);
}

static struct bytes member(const json_t *object, const char *name)
{
        const json_t *value = json_object_get(object, name);

        return bytes_of(json_string_value(value), json_string_length(value));
}

int problem_json_parse(struct bytes text, struct msg_problem *ret_problem)
{
        CLEANUP(value_drop) json_t *value = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
        struct bytes type = member(value, "type"), detail = member(value, "detail"), prefix = bytes_text(TYPE_PREFIX);
        CLEANUP(buf_done) struct buf clean = BUF_NONE;
        CLEANUP(mem_freep) char *code = NULL;

        if (type.len <= prefix.len || memcmp(type.data, prefix.data, prefix.len) != 0)
                return refuse(PROBLEM_MALFORMED, "The answer is no problem of this service.");
        code = text_copy_n((const char *)type.data + prefix.len, type.len - prefix.len);
        if (!problem_from_code(code) && strcmp(code, problem_info(0)->code) != 0)
                return refuse(PROBLEM_MALFORMED, "The answer is a problem of a kind that is not known here.");
        text_add_printable(&clean, detail, 1024);
        *ret_problem =
                (struct msg_problem){.code = TAKE(code), .detail = detail.len ? text_copy(buf_text(&clean)) : NULL};
        return 0;
}
