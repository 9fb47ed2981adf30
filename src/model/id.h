/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Identifiers of 16 bytes: users, directory entries (GUID), requests, archive records, pool keys. Values: they own
 * nothing and are copied. All zero means none. The text form is 32 lower-case hexadecimal digits; parsing takes the
 * dashes of a UUID too.
 */
#include "base/buf.h"

enum { ID_SIZE = 16, ID_TEXT_SIZE = 33, HASH_SIZE = 32 };
#define SERIAL_SIZE 16 /* as crypto/certificate.h has it */

struct id {
        uint8_t data[ID_SIZE];
};

#define ID_NONE ((struct id){0})

static inline struct bytes id_view(const struct id *id)
{
        return bytes_of(id->data, ID_SIZE);
}
static inline bool id_equal(const struct id *a, const struct id *b)
{
        return memcmp(a->data, b->data, ID_SIZE) == 0;
}
bool id_is_none(const struct id *id);
/* From 16 bytes; PROBLEM_MALFORMED for another length. */
int id_from_bytes(struct bytes bytes, struct id *ret_id) must_check;
/* PROBLEM_MALFORMED */
int id_parse(struct bytes text, struct id *ret_id) must_check;
const char *id_text(const struct id *id, char text[static ID_TEXT_SIZE]);
/* objectGUID of Active Directory, which keeps the first three fields little endian: from there and back. */
int id_from_active_directory(struct bytes bytes, struct id *ret_id) must_check;
void id_to_active_directory(const struct id *id, uint8_t ret_bytes[static ID_SIZE]);
/* Random but for the first six bytes, the milliseconds since 1970, so that rows are stored in the order of their
 * creation. */
struct id id_new(void);
