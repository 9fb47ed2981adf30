/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Problems over HTTP: application/problem+json (RFC 9457) from and to MSG_problem.
 *
 *   {"type": "urn:vouchsafe:problem:CODE", "title": …, "status": …, "detail": …, "code": "CODE"}
 *
 * CODE is of base/problems.def, or "fault" for a failure of the server's own (status 500).
 */
#include "base/buf.h"
#include "wire/message.h"

#define PROBLEM_MEDIA_TYPE "application/problem+json"

/* The result of a function and its current report (base/fault.h) as a message. The sentence of a fault stays in the
 * server: the detail is then empty. */
void problem_of_result(int result, struct msg_problem *ret_problem);
/* Raise what came as a message as one's own: the problem's number with its detail as report, or a fault. Never 0. */
int problem_raise(const struct msg_problem *problem) must_check;

unsigned problem_status(const struct msg_problem *problem);
void problem_json_add(struct buf *out, const struct msg_problem *problem);
/* Reads the code and the detail; other members are ignored, as RFC 9457 section 3.2 asks. PROBLEM_MALFORMED when it is
 * no problem, or of a type that is not ours. */
int problem_json_parse(struct bytes text, struct msg_problem *ret_problem) must_check;
