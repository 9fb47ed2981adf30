/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The local socket of a server on this machine, whose connections reach a keeper unread. */
#include "cli/command.h"
#include "wire/message.h"

/* clang-format off */
#define OPTIONS_LOCAL                                                                                        \
        {"config", "FILE", "the server's configuration (default /etc/vouchsafe/vouchsafe.conf)", 'c', false}, \
        {"data", "DIR", "instead: the folder of a server with DIR/vouchsafe.conf", 'd', false},               \
        {"socket", "FILE", "instead: the socket itself", 0, false}
/* clang-format on */

/* Ask for what is answered with "done". PROBLEM_UNREACHABLE names the socket; problems are the keeper's own. */
int local_call(const struct arguments *arguments, unsigned kind, const struct msg_record *record,
               const void *request) must_check;
/* An answer on a channel as one's own result: 0 when it is of the kind `wanted`. */
struct channel_answer;
int local_answer_check(const struct channel_answer *answer, unsigned wanted) must_check;
