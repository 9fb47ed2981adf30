/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Reading BER element by element, on liblber: lengths are definite (RFC 4511 section 5.1) and end where they
 * must. */
#include <lber.h>

#include "base/buf.h"
#include "base/fault.h"

struct reader {
        BerElement *ber; /* reads the bytes in place */
        struct bytes left;
};

struct element {
        unsigned tag;
        struct bytes content;
        struct bytes whole;
};

void reader_init(struct reader *reader, struct bytes encoded);
void reader_done(struct reader *reader);
bool reader_at_end(const struct reader *reader);
/* PROBLEM_MALFORMED at the end, too. */
int reader_next(struct reader *reader, struct element *ret_element) must_check;
/* The next one, which must have this tag. */
int reader_take(struct reader *reader, unsigned tag, struct bytes *ret_content) must_check;
/* The same of a number from 0 to `most`. */
int reader_number(struct reader *reader, unsigned tag, uint32_t most, uint32_t *ret_number) must_check;
int reader_flag(struct reader *reader, bool *ret_flag) must_check;

enum {
        BER_BOOLEAN = 0x01,
        BER_INTEGER = 0x02,
        BER_OCTETS = 0x04,
        BER_ENUMERATED = 0x0a,
        BER_SEQUENCE = 0x30,
        BER_SET = 0x31
};
