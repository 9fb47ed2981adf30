/* SPDX-License-Identifier: Apache-2.0 */
/* CMS in pieces: the pieces do not matter, and what was collected is read by the strict readers behind it. */
#include <stdlib.h>

#include "crypto/der.h"
#include "mail/cms-open.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int feed(struct cms_reader *reader, struct buf_sink *content, struct bytes data, size_t piece)
{
        cms_reader_init(reader, NULL, NULL);
        buf_sink_init(content, 1 << 20);
        reader->content = &content->sink;
        for (size_t at = 0; at < data.len; at += piece) {
                int result = sink_write(&reader->sink, data.data + at, MIN(piece, data.len - at));

                if (result != 0)
                        return result;
        }
        return cms_reader_check(reader);
}

static void fields_read(const struct cms_reader *reader)
{
        static const struct mail_keys keys;
        struct bytes signers = BYTES_NONE;
        struct secret key = SECRET_NONE;
        const struct mail_own_key *own;
        struct cms_cipher cipher;
        struct signer_info info;

        if (der_read_only(buf_view(&reader->fields[CMS_SIGNERS]), DER_SET, &signers) == 0)
                while (signers.len > 0 && signer_info_read(&signers, &info) == 0)
                        ;
        if (cms_cipher_read(buf_view(&reader->fields[CMS_ALGORITHM]), &cipher) == 0 &&
            recipients_open(buf_view(&reader->fields[CMS_RECIPIENTS]), &keys, cipher.key_len, &key, &own) == 0)
                abort(); /* there was no key to open it with */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct cms_reader whole, pieces;
        struct buf_sink whole_content, pieces_content;
        size_t piece = size > 0 ? 1 + data[size - 1] % 13 : 1;
        int a = feed(&whole, &whole_content, bytes_of(data, size), size ? size : 1);
        int b = feed(&pieces, &pieces_content, bytes_of(data, size), piece);

        if (a != b || (a == 0 && !bytes_equal(buf_view(&whole_content.buf), buf_view(&pieces_content.buf))))
                abort();
        for (size_t i = 0; a == 0 && i < CMS_FIELD_COUNT; i++)
                if (!bytes_equal(buf_view(&whole.fields[i]), buf_view(&pieces.fields[i])))
                        abort();
        if (a == 0)
                fields_read(&whole);
        cms_reader_done(&whole);
        cms_reader_done(&pieces);
        buf_sink_done(&whole_content);
        buf_sink_done(&pieces_content);
        return 0;
}
