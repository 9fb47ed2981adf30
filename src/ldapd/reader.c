/* SPDX-License-Identifier: Apache-2.0 */
#include "ldapd/reader.h"

#include "base/mem.h"

void reader_init(struct reader *reader, struct bytes encoded)
{
        struct berval value = {.bv_len = encoded.len, .bv_val = (char *)(uintptr_t)encoded.data};

        *reader = (struct reader){.ber = ber_alloc_t(0), .left = encoded};
        if (!reader->ber)
                abort();
        if (encoded.len)
                ber_init2(reader->ber, &value, 0);
}

void reader_done(struct reader *reader)
{
        if (reader->ber)
                ber_free(TAKE(reader->ber), 0);
}

bool reader_at_end(const struct reader *reader)
{
        return reader->left.len == 0;
}

int reader_next(struct reader *reader, struct element *ret_element)
{
        const uint8_t *start = reader->left.data, *after;
        struct berval content;
        ber_tag_t tag;

        if (!reader->left.len)
                return refuse(PROBLEM_MALFORMED, "An element is missing.");
        tag = ber_skip_element(reader->ber, &content);
        if (tag == LBER_DEFAULT || tag > 0xff)
                return refuse(PROBLEM_MALFORMED, "An element is cut off, or of no kind that LDAP has.");
        after = (const uint8_t *)content.bv_val + content.bv_len;
        reader->left = bytes_of(after, reader->left.len - (size_t)(after - start));
        *ret_element = (struct element){(unsigned)tag, bytes_of(content.bv_val, content.bv_len),
                                        bytes_of(start, (size_t)(after - start))};
        return 0;
}

int reader_take(struct reader *reader, unsigned tag, struct bytes *ret_content)
{
        struct element element;

        TRY(reader_next(reader, &element));
        if (element.tag != tag)
                return refuse(PROBLEM_MALFORMED, "There is an element of kind 0x%02x where 0x%02x belongs.",
                              element.tag, tag);
        *ret_content = element.content;
        return 0;
}

int reader_number(struct reader *reader, unsigned tag, uint32_t most, uint32_t *ret_number)
{
        struct bytes content;
        uint64_t number = 0;

        TRY(reader_take(reader, tag, &content));
        if (!content.len || content.len > 5 || content.data[0] & 0x80)
                return refuse(PROBLEM_MALFORMED, "A number is not from 0 to %u.", most);
        for (size_t i = 0; i < content.len; i++)
                number = number << 8 | content.data[i];
        if (number > most)
                return refuse(PROBLEM_MALFORMED, "A number is not from 0 to %u.", most);
        *ret_number = (uint32_t)number;
        return 0;
}

int reader_flag(struct reader *reader, bool *ret_flag)
{
        struct bytes content;

        TRY(reader_take(reader, BER_BOOLEAN, &content));
        if (content.len != 1)
                return refuse(PROBLEM_MALFORMED, "A truth value is not of one byte.");
        *ret_flag = content.data[0] != 0;
        return 0;
}
