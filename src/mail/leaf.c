/* SPDX-License-Identifier: Apache-2.0 */
/* The content that is given out: the innermost layer that was asked for. */
#include "base/mem.h"
#include "base/text.h"
#include "mail/reading.h"
#include "mail/structure.h"

struct leaf {
        struct body base;
        struct layer *layer;
        struct structure structure;
};

static struct sink *leaf_output(const struct leaf *leaf)
{
        return &leaf->layer->reading->output.sink;
}

static int field_put(struct sink *out, const struct header_field *field, const char *eol)
{
        struct bytes lines = field->lines;

        TRY(sink_write_bytes(out, lines));
        return lines.len > 0 && lines.data[lines.len - 1] != '\n' ? PASS(sink_write_text(out, eol)) : 0;
}

static int content_fields_put(const struct leaf *leaf, const char *eol)
{
        const struct header *inner = &leaf->layer->header, *outer = leaf->layer->reading->outer;
        const struct header_field *version = header_find(outer, "MIME-Version", NULL);

        if (version && header_find(inner, "Content-Type", NULL) && !header_find(inner, "MIME-Version", NULL))
                TRY(field_put(leaf_output(leaf), version, eol));
        for (size_t i = 0; i < inner->count; i++)
                if (header_field_is_content(&inner->fields[i]))
                        TRY(field_put(leaf_output(leaf), &inner->fields[i], eol));
        return 0;
}

/* RFC 9788: header fields that were protected with the content, in whose place the reader sees those of the outside. */
static void protected_fields_say(const struct leaf *leaf)
{
        const struct header *inner = &leaf->layer->header;
        CLEANUP(buf_done) struct buf names = BUF_NONE;

        for (size_t i = 0; i < inner->count && names.len < 200; i++)
                if (inner->fields[i].name.len > 0 && inner->fields[i].name.len < 100 && !header_field_is_content(&inner->fields[i]))
                        buf_add_format(&names, "%s%.*s", names.len ? ", " : "", (int)inner->fields[i].name.len,
                                       (const char *)inner->fields[i].name.data);
        if (names.len > 0)
                finding_add(leaf->layer->reading->report, PROBLEM_NONE, leaf->layer->depth,
                            "The content has protected header fields of its own (%s); shown are those of the outside, which anybody may have "
                            "changed. Only the entity by itself has the protected ones.", buf_text(&names));
}

/* The outer header with the content fields of the inner one in the place of its own. */
static int header_put(const struct leaf *leaf)
{
        const struct header *outer = leaf->layer->reading->outer;
        const char *eol = outer->crlf ? "\r\n" : "\n";
        bool put = false;

        for (size_t i = 0; i < outer->count; i++) {
                if (!header_field_is_content(&outer->fields[i])) {
                        TRY(field_put(leaf_output(leaf), &outer->fields[i], eol));
                } else if (!put) {
                        put = true;
                        TRY(content_fields_put(leaf, eol));
                }
        }
        return put ? 0 : PASS(content_fields_put(leaf, eol));
}

static int leaf_begin(struct body *body, struct bytes separator)
{
        struct leaf *leaf = CONTAINER_OF(body, struct leaf, base);
        const struct layer *layer = leaf->layer;

        if (layer->reading->with_header && layer->depth > 0) {
                protected_fields_say(leaf);
                TRY(header_put(leaf));
        } else {
                TRY(sink_write_bytes(leaf_output(leaf), buf_view(&layer->header.block)));
        }
        return PASS(sink_write_bytes(leaf_output(leaf), separator));
}

static int leaf_write(struct sink *sink, const uint8_t *data, size_t len)
{
        struct leaf *leaf = CONTAINER_OF(CONTAINER_OF(sink, struct body, sink), struct leaf, base);

        if (structure_is_wanted(&leaf->structure))
                TRY(sink_write(&leaf->structure.sink, data, len));
        return PASS(sink_write(leaf_output(leaf), data, len));
}

static void structure_judge(const struct leaf *leaf)
{
        const struct structure *structure = &leaf->structure;
        struct mail_report *report = leaf->layer->reading->report;
        unsigned depth = leaf->layer->depth;

        if (structure->wrapped_encrypted)
                finding_add(report, PROBLEM_MAIL_DECEPTIVE, depth,
                            "A part that is encrypted, or may be, stands beside other parts, which can draw its text out when both are shown together; it was not decrypted.");
        if (structure->wrapped_signed)
                finding_add(report, PROBLEM_MAIL_DECEPTIVE, depth,
                            "A signed part stands beside other parts that nobody signed; the message as a whole is not signed.");
        if (structure->attached_secured)
                finding_add(report, PROBLEM_NONE, depth, "A message that is attached is itself signed or encrypted; it was left as it is.");
        if (structure->ambiguous)
                finding_add(report, PROBLEM_MAIL_DECEPTIVE, depth,
                            "A part of the message says more than once what it is: programs disagree about which of them counts.");
        if (structure->too_deep)
                finding_add(report, PROBLEM_MAIL_DECEPTIVE, depth, "The parts of the message are nested deeper than %d, or so broken that programs read them differently.",
                            STRUCTURE_DEPTH);
        if (structure->encoded_inner && leaf->layer->origin != LAYER_MESSAGE)
                finding_add(report, PROBLEM_MAIL_DECEPTIVE, depth,
                            "Inside is a whole message that is encoded, which nobody looked into: a program that decodes it may show another sender.");
        if (structure->has_inner && leaf->layer->origin != LAYER_MESSAGE)
                inner_header_judge(leaf->layer->reading, depth, &structure->inner);
}

static int leaf_finish(struct sink *sink)
{
        struct leaf *leaf = CONTAINER_OF(CONTAINER_OF(sink, struct body, sink), struct leaf, base);

        TRY(sink_finish(&leaf->structure.sink));
        if (leaf->structure.binary || strcmp(leaf->layer->content.encoding, "binary") == 0)
                leaf->layer->reading->binary_depth = MAX(leaf->layer->reading->binary_depth, leaf->layer->depth);
        /* The parts of a multipart/signed that is left as it is belong together. */
        if (!content_is_signed(&leaf->layer->content))
                structure_judge(leaf);
        return 0;
}

static void leaf_free(struct body *body)
{
        struct leaf *leaf = CONTAINER_OF(body, struct leaf, base);

        structure_done(&leaf->structure);
        free(leaf);
}

struct body *leaf_new(struct layer *layer)
{
        struct leaf *leaf = NEW(struct leaf);

        leaf->base = (struct body){{leaf_write, leaf_finish}, leaf_begin, leaf_free};
        leaf->layer = layer;
        structure_init(&leaf->structure, &layer->content);
        return &leaf->base;
}
