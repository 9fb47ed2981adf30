/* SPDX-License-Identifier: Apache-2.0 */
/* Filters and names: any value at all goes into one and stays one value; whole filters from outside are
 * refused or are what libldap takes too. */
#include <stdlib.h>

#include "base/dn.h"
#include "base/text.h"
#include "ldap/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void value_in_filter(struct bytes value)
{
        CLEANUP(buf_done) struct buf filter = BUF_NONE;

        filter_equal_add(&filter, "cn", value);
        if (filter.len <= FILTER_MOST && filter_check(buf_view(&filter)))
                abort();
}

static void value_in_name(struct bytes value)
{
        CLEANUP(buf_done) struct buf name = BUF_NONE;
        struct dn dn;

        buf_add_text(&name, "cn=");
        dn_value_add(&name, value);
        buf_add_text(&name, ",dc=x");
        if (value.len > 4096 || !text_is_utf8(value))
                return;
        if (dn_parse(buf_view(&name), &dn) || dn.count != 2 ||
            !bytes_equal(bytes_text(dn.parts[0].value), value))
                abort();
        dn_done(&dn);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct bytes input = bytes_of(data, size);

        value_in_filter(input);
        value_in_name(input);
        if (filter_check(input) == 0) {
                CLEANUP(buf_done) struct buf joined = BUF_NONE;

                buf_add_text(&joined, "(&(objectClass=person)");
                buf_add_bytes(&joined, input);
                buf_add_byte(&joined, ')');
                if (joined.len <= FILTER_MOST && filter_check(buf_view(&joined)) == PROBLEM_MALFORMED)
                        abort();
        }
        return 0;
}
