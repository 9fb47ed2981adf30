/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/structure.h"

#include "base/mem.h"
#include "mail/multipart.h"

enum { LINE_MOST = BOUNDARY_MOST + 100, CUTS_MOST = 100 };

static bool is_message(const struct content *content)
{
        return strcmp(content->type, "message/rfc822") == 0 || strcmp(content->type, "message/global") == 0;
}

/* RFC 2046 5.2.1 permits it for no message; RFC 6532 3.5 does for message/global. */
static bool is_encoded(const struct content *content)
{
        return strcmp(content->encoding, "7bit") != 0 && strcmp(content->encoding, "8bit") != 0 && strcmp(content->encoding, "binary") != 0;
}

static void structure_push(struct structure *structure, const char *boundary)
{
        if (structure->depth == STRUCTURE_DEPTH || strlen(boundary) > BOUNDARY_MOST) {
                structure->too_deep = true;
                return;
        }
        structure->in_message[structure->depth] = structure->attached;
        structure->boundaries[structure->depth++] = text_copy(boundary);
}

static void structure_pop(struct structure *structure, unsigned depth)
{
        while (structure->depth > depth)
                free(structure->boundaries[--structure->depth]);
}

/* A whole line that begins with "--": is it a boundary? */
static bool structure_line(struct structure *structure, struct bytes line)
{
        for (unsigned i = structure->depth; i > 0; i--) {
                const char *boundary = structure->boundaries[i - 1];
                enum boundary_line kind = boundary_match(line, boundary, strlen(boundary));

                if (kind == BOUNDARY_NONE)
                        continue;
                structure->attached = structure->in_message[i - 1];
                structure_pop(structure, kind == BOUNDARY_CLOSE ? i - 1 : i);
                structure->in_header = kind == BOUNDARY_PART;
                structure->message_next = false;
                structure->parts++;
                return true;
        }
        return false;
}

/* What the header of a part says. */
static void structure_part(struct structure *structure, const struct header *header)
{
        struct content content;
        bool is_signed;

        content_parse(header, &content);
        structure->binary = structure->binary || strcmp(content.encoding, "binary") == 0;
        structure->ambiguous = structure->ambiguous || ((content.ambiguous || header_has_false_ends(header)) && !structure->attached);
        is_signed = content_is_signed(&content) || (content.smime_type && strcmp(content.smime_type, "signed-data") == 0);
        if (content_is_signed(&content) || content_is_pkcs7(&content)) {
                if (structure->attached)
                        structure->attached_secured = true;
                else if (is_signed)
                        structure->wrapped_signed = true;
                else
                        structure->wrapped_encrypted = true;
        }
        if (content_is_multipart(&content))
                structure_push(structure, content.boundary);
        if (is_message(&content))
                structure->in_header = structure->message_next = true;
        content_done(&content);
}

/* A header block is complete. A boundary inside it cuts it short, with or without an empty line: programs differ, we look at both. */
static int structure_header(struct structure *structure)
{
        CLEANUP(header_done) struct header header = {0};
        bool in_message = structure->message_next, cut = false;

        structure->in_header = false;
        structure->line_start = true;
        structure->message_next = false;
        TRY(header_parse(&structure->cutter.block, false, &header));
        header_cutter_done(&structure->cutter);
        structure->cutter = (struct header_cutter){0};
        structure->attached = structure->attached || in_message;
        for (size_t i = 0; i < header.count && !cut && structure->cuts < CUTS_MOST; i++) {
                const struct bytes lines = header.fields[i].lines;

                cut = lines.data[0] == '-' && structure_line(structure, lines);
                if (cut)
                        buf_add(&structure->cutter.block, lines.data + lines.len,
                                (size_t)(header.block.data + header.block.len - lines.data) - lines.len);
        }
        structure->cuts += cut;
        structure->too_deep = structure->too_deep || structure->cuts == CUTS_MOST;
        if (cut && structure->in_header && structure->cutter.block.len > 0)
                return 0; /* again, with the rest of the block */
        structure_part(structure, &header);
        if (in_message && !structure->has_inner && structure->parts == 0) {
                structure->inner = header;
                structure->has_inner = true;
                header = (struct header){0};
        }
        return 0;
}

/* Only lines that begin with "--" matter. */
static int structure_body(struct structure *structure, const uint8_t **at, const uint8_t *end)
{
        while (*at < end && !structure->in_header) {
                const uint8_t *newline = memchr(*at, '\n', (size_t)(end - *at));
                size_t len = newline ? (size_t)(newline - *at) + 1 : (size_t)(end - *at);

                if (structure->line_start && (structure->line.len > 0 || **at == '-')) {
                        buf_add(&structure->line, *at, MIN(len, LINE_MOST - MIN(structure->line.len, (size_t)LINE_MOST)));
                        if (newline) {
                                structure_line(structure, buf_view(&structure->line));
                                buf_clear(&structure->line);
                        }
                } else {
                        structure->line_start = false;
                }
                *at += len;
                if (newline)
                        structure->line_start = true;
        }
        return 0;
}

/* Bytes of a header; *used tells how many of them. */
static int structure_head(struct structure *structure, struct bytes data, size_t *used)
{
        TRY(header_cutter_feed(&structure->cutter, data, used));
        while (structure->cutter.complete && structure->in_header) {
                TRY(structure_header(structure));
                structure->cutter.complete = structure->in_header && structure->cutter.block.len > 0;
        }
        return 0;
}

static int structure_write(struct sink *sink, const uint8_t *data, size_t len)
{
        struct structure *structure = CONTAINER_OF(sink, struct structure, sink);
        const uint8_t *at = data, *end = data + len;

        while (at < end) {
                size_t used = 0;
                int result = 0;

                if (structure->in_header)
                        result = structure_head(structure, bytes_of(at, (size_t)(end - at)), &used);
                else
                        TRY(structure_body(structure, &at, end));
                at += used;
                if (result == PROBLEM_TOO_LARGE) { /* broken, or made so; what follows is not looked at any more */
                        structure->too_deep = true;
                        structure->in_header = false;
                        structure_pop(structure, 0);
                        return 0;
                }
                TRY(result);
        }
        return 0;
}

static int structure_finish(struct sink *sink)
{
        struct structure *structure = CONTAINER_OF(sink, struct structure, sink);
        int result;

        if (!structure->in_header || structure->cutter.block.len == 0)
                return 0;
        result = structure_header(structure);
        structure->too_deep = structure->too_deep || result == PROBLEM_TOO_LARGE;
        return result == PROBLEM_TOO_LARGE ? 0 : PASS(result);
}

void structure_init(struct structure *structure, const struct content *content)
{
        *structure = (struct structure){.sink = {structure_write, structure_finish}, .line_start = true};
        if (content_is_multipart(content))
                structure_push(structure, content->boundary);
        if (is_message(content))
                structure->in_header = structure->message_next = true;
        structure->encoded_inner = is_message(content) && is_encoded(content);
}

void structure_done(struct structure *structure)
{
        structure_pop(structure, 0);
        header_cutter_done(&structure->cutter);
        buf_done(&structure->line);
        header_done(&structure->inner);
}
