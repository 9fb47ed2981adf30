/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The values of the controls and messages by which changes are followed: content synchronization (RFC 4533)
 * and DirSync
 * ([MS-ADTS] 3.1.1.3.4.1.3). Pure. */
#include "ldap/roster.h"

#define SYNC_REQUEST_OID "1.3.6.1.4.1.4203.1.9.1.1"
#define SYNC_STATE_OID   "1.3.6.1.4.1.4203.1.9.1.2"
#define SYNC_INFO_OID    "1.3.6.1.4.1.4203.1.9.1.4"
#define DIRSYNC_OID      "1.2.840.113556.1.4.841"

/* Send what changed since the cookie, then go on. */
void sync_request_add(struct bytes cookie, struct buf *out);
/* The id of the entry that it came with. PROBLEM_MALFORMED, as below. */
int sync_state_parse(struct bytes value, struct id *ret_id) must_check;

struct sync_info {
        bool refreshed;     /* all that had changed was sent */
        bool present;       /* … and what was neither sent nor named as present is gone */
        bool ids_are_gone;  /* else they are present */
        struct id_list ids; /* entryUUIDs */
};

int sync_info_parse(struct bytes value, struct sync_info *ret_info) must_check;
void sync_info_done(struct sync_info *info);

/* `object_security`: as far as the account may read, without the right to replicate. */
void dirsync_request_add(bool object_security, struct bytes cookie, struct buf *out);
int dirsync_answer_parse(struct bytes value, bool *ret_more, struct buf *ret_cookie) must_check;
