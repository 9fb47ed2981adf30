/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/writer.h"

#include "base/mem.h"

/* The last line may have come without its end. */
static int lines_put(struct sink *out, struct bytes lines, const char *eol)
{
        TRY(sink_write_bytes(out, lines));
        return lines.len > 0 && lines.data[lines.len - 1] != '\n' ? PASS(sink_write_text(out, eol)) : 0;
}

int writer_header(struct writer *writer, struct bytes fields)
{
        struct sink *out = &writer->out.sink;
        bool put = false;

        for (size_t i = 0; i < writer->header.count; i++) {
                const struct header_field *field = &writer->header.fields[i];

                if (!header_field_is_content(field)) {
                        TRY(lines_put(out, field->lines, writer->eol));
                } else if (!put) {
                        TRY(sink_write_bytes(out, fields));
                        put = true;
                }
        }
        if (!put)
                TRY(sink_write_bytes(out, fields));
        return PASS(sink_write_text(out, writer->eol));
}

static int writer_begin(struct writer *writer)
{
        struct bytes separator = buf_view(&writer->cutter.separator);
        bool crlf = separator.len == 2;

        writer->begun = true;
        TRY(header_parse(&writer->cutter.block, crlf, &writer->header));
        writer->eol = writer->header.crlf ? "\r\n" : "\n";
        content_parse(&writer->header, &writer->content);
        TRY(writer->begin(writer));
        for (size_t i = 0; i < writer->header.count; i++)
                if (header_field_is_content(&writer->header.fields[i]))
                        TRY(lines_put(writer->entity, writer->header.fields[i].lines, writer->eol));
        return separator.len > 0 ? PASS(sink_write_bytes(writer->entity, separator))
                                 : PASS(sink_write_text(writer->entity, writer->eol));
}

static int writer_write(struct sink *sink, const uint8_t *data, size_t len)
{
        struct writer *writer = CONTAINER_OF(sink, struct writer, sink);
        size_t used = 0;

        if (!writer->begun) {
                TRY(header_cutter_feed(&writer->cutter, bytes_of(data, len), &used));
                if (!writer->cutter.complete)
                        return 0;
                TRY(writer_begin(writer));
        }
        return PASS(sink_write(writer->entity, data + used, len - used));
}

static int writer_finish(struct sink *sink)
{
        struct writer *writer = CONTAINER_OF(sink, struct writer, sink);

        if (!writer->begun)
                TRY(writer_begin(writer));
        return PASS(sink_finish(writer->entity));
}

void writer_init(struct writer *writer, int output, int (*begin)(struct writer *writer))
{
        *writer = (struct writer){.sink = {writer_write, writer_finish}, .begin = begin, .eol = "\n"};
        fd_sink_init(&writer->out, output);
}

void writer_done(struct writer *writer)
{
        fd_sink_done(&writer->out);
        header_cutter_done(&writer->cutter);
        header_done(&writer->header);
        content_done(&writer->content);
}
