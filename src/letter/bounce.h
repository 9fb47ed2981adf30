/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Reports of mail that could not be delivered (RFC 3464 in the multipart/report of RFC 6522), as mail systems send them to the
 * return path. Pure, over a whole message.
 */
#include "base/buf.h"

enum { BOUNCE_SIZE_MOST = 4 << 20 };

struct bounce {
        char *message_id; /* of the mail that is reported on, without angle brackets */
        char *action;     /* failed, delayed, delivered, relayed, expanded */
        char *status;     /* RFC 3463, as 5.1.1 */
        char *detail;     /* what the mail system said; printable */
};
void bounce_done(struct bounce *bounce);
/* PROBLEM_NOT_FOUND: it is no such report, or says of no message which it was. */
int bounce_read(struct bytes message, struct bounce *ret_bounce) must_check;
