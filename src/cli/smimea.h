/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* DNS records that say which certificate a mail address has (RFC 8162), as lines of a zone. Pure. */
#include "base/buf.h"
#include "base/fault.h"

enum smimea_form {
        SMIMEA_CERTIFICATE, /* 3 0 0: the whole certificate, with which one can encrypt */
        SMIMEA_KEY,         /* 3 1 1: SHA-256 of its key, with which one can check it */
};

/* Append the name of an address (a key of address_parse()), with a dot at its end. PROBLEM_MALFORMED when DNS
 * has no such. */
int smimea_name_add(struct buf *out, const char *address) must_check;
/* Append what the record says: "3 0 0 30820…". PROBLEM_MALFORMED: that is no certificate. */
int smimea_data_add(struct buf *out, struct bytes certificate, enum smimea_form form) must_check;
