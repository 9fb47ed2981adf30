/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/cms-write.h"

#include "crypto/der.h"

enum { OCTETS_AT_ONCE = 64 * 1024 };

static const uint8_t end_of_contents[6];

static void begin_indefinite(struct buf *out, uint8_t tag)
{
        buf_add_byte(out, tag);
        buf_add_byte(out, 0x80);
}

void cms_begin_info(struct buf *out, struct bytes type)
{
        begin_indefinite(out, DER_SEQUENCE);
        der_add_oid(out, type);
        begin_indefinite(out, DER_CONTEXT_CONSTRUCTED(0));
        begin_indefinite(out, DER_SEQUENCE);
}

void cms_begin_encapsulated(struct buf *out)
{
        begin_indefinite(out, DER_SEQUENCE);
        der_add_oid(out, oid_data);
        begin_indefinite(out, DER_CONTEXT_CONSTRUCTED(0));
        begin_indefinite(out, DER_OCTET_STRING | 0x20);
}

void cms_end_encapsulated(struct buf *out)
{
        buf_add(out, end_of_contents, 6);
}

void cms_begin_encrypted(struct buf *out, struct bytes algorithm)
{
        begin_indefinite(out, DER_SEQUENCE);
        der_add_oid(out, oid_data);
        buf_add_bytes(out, algorithm);
        begin_indefinite(out, DER_CONTEXT_CONSTRUCTED(0));
}

void cms_end_encrypted(struct buf *out)
{
        buf_add(out, end_of_contents, 4);
}

void cms_end_info(struct buf *out)
{
        buf_add(out, end_of_contents, 6);
}

/* ---- octets */

static int octets_put(struct octet_writer *writer, const uint8_t *data, size_t len)
{
        CLEANUP(buf_done) struct buf head = BUF_NONE;

        der_add_head(&head, DER_OCTET_STRING, len);
        TRY(sink_write(writer->next, head.data, head.len));
        return PASS(sink_write(writer->next, data, len));
}

static int octets_flush(struct octet_writer *writer)
{
        if (writer->buffer.len > 0)
                TRY(octets_put(writer, writer->buffer.data, writer->buffer.len));
        buf_clear(&writer->buffer);
        return 0;
}

static int octets_write(struct sink *sink, const uint8_t *data, size_t len)
{
        struct octet_writer *writer = CONTAINER_OF(sink, struct octet_writer, sink);

        bool large = len >= OCTETS_AT_ONCE / 2;

        if (large || writer->buffer.len + len > OCTETS_AT_ONCE)
                TRY(octets_flush(writer));
        if (large)
                return PASS(octets_put(writer, data, len));
        buf_add(&writer->buffer, data, len);
        return 0;
}

static int octets_finish(struct sink *sink)
{
        return PASS(octets_flush(CONTAINER_OF(sink, struct octet_writer, sink)));
}

void octet_writer_init(struct octet_writer *writer, struct sink *next)
{
        *writer = (struct octet_writer){.sink = {octets_write, octets_finish}, .next = next};
}

void octet_writer_done(struct octet_writer *writer)
{
        buf_done(&writer->buffer);
}

void der_add_issuer_and_serial(struct buf *out, uint8_t tag, const struct certificate *certificate)
{
        size_t sequence = der_begin(out, tag);

        buf_add_bytes(out, certificate->issuer);
        der_add_unsigned(out, certificate->serial);
        der_end(out, sequence);
}
