/* SPDX-License-Identifier: Apache-2.0 */
/* Names: read from DER they can be shown on a terminal; written from any text at all they are good names. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An address has one key, and a certificate that was made for it is read as just that one's. */
static void key_check(const char *text)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE, again = BUF_NONE, general = BUF_NONE, back = BUF_NONE;
        struct bytes cursor;

        if (address_key(bytes_text(text), &key))
                return;
        if (address_key(buf_view(&key), &again) || !bytes_equal(buf_view(&again), buf_view(&key)))
                abort();
        general_name_add_address(&general, buf_text(&key));
        cursor = buf_view(&general);
        if (general_name_read_address(&cursor, &back) || !bytes_equal(buf_view(&back), buf_view(&key)))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(buf_done) struct buf shown = BUF_NONE, written = BUF_NONE, common = BUF_NONE, address = BUF_NONE;
        CLEANUP(mem_freep) char *text = text_copy_n((const char *)data, size);
        struct bytes input = bytes_of(data, size), cursor = input;

        if (name_check(input) == 0 && (name_add_text(&shown, input) || !text_is_printable(buf_view(&shown))))
                abort();
        key_check(text);
        name_write(&written,
                   &(struct name_attributes){
                           .common_name = text, .organization = text, .country = text, .serial_number = text});
        if (name_check(buf_view(&written)) || name_common_name(buf_view(&written), &common) || (*text && !common.len))
                abort();
        while (cursor.len) {
                buf_done(&address);
                if (general_name_read_address(&cursor, &address))
                        break;
                CLEANUP(buf_done) struct buf key = BUF_NONE;
                if (address.len && address_parse(buf_view(&address), &key))
                        abort();
        }
        return 0;
}
