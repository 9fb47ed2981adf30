/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/text.h"
#include "ldapd/names.h"
#include "ldapd/reader.h"
#include "ldapd/request.h"

void filter_done(struct filter *filter)
{
        free(filter->nodes);
        free(filter->pieces);
        buf_done(&filter->keys);
        *filter = (struct filter){0};
}

static int node_parse(struct reader *reader, struct filter *filter, unsigned depth);

static int nodes_parse(struct bytes content, struct filter *filter, unsigned depth, size_t *ret_count)
{
        CLEANUP(reader_done) struct reader reader = {0};

        reader_init(&reader, content);
        for (*ret_count = 0; !reader_at_end(&reader); ++*ret_count)
                TRY(node_parse(&reader, filter, depth));
        return 0;
}

static int not_parse(struct bytes content, struct filter *filter, unsigned depth)
{
        size_t count;

        TRY(nodes_parse(content, filter, depth, &count));
        return count == 1 ? 0 : refuse(PROBLEM_MALFORMED, "A filter negates %zu others.", count);
}

static int set_parse(struct bytes content, struct filter *filter, unsigned depth)
{
        size_t count;

        return PASS(nodes_parse(content, filter, depth, &count)); /* none is true or false: RFC 4526 */
}

static int assertion_parse(struct bytes content, struct filter_node *node)
{
        CLEANUP(reader_done) struct reader reader = {0};

        reader_init(&reader, content);
        TRY(reader_take(&reader, BER_OCTETS, &node->attribute));
        TRY(reader_take(&reader, BER_OCTETS, &node->value));
        return reader_at_end(&reader) ? 0
                                      : refuse(PROBLEM_MALFORMED, "There is something after an assertion.");
}

/* RFC 4511 section 4.5.1.7.2: initial first, final last, each at most once. */
static int pieces_parse(struct bytes content, struct filter *filter, struct filter_node *node)
{
        CLEANUP(reader_done) struct reader reader = {0};
        struct element piece;

        node->piece = filter->piece_count;
        reader_init(&reader, content);
        while (!reader_at_end(&reader)) {
                TRY(reader_next(&reader, &piece));
                if (piece.tag < PIECE_INITIAL || piece.tag > PIECE_FINAL || !piece.content.len ||
                    (piece.tag == PIECE_INITIAL && node->piece_count) ||
                    (piece.tag == PIECE_FINAL && !reader_at_end(&reader)))
                        return refuse(PROBLEM_MALFORMED, "A filter has substrings that are in no order.");
                if (filter->piece_count == FILTER_NODES_MOST)
                        return refuse(PROBLEM_MALFORMED, "A filter has more than %d substrings.",
                                      FILTER_NODES_MOST);
                filter->pieces = mem_resize(filter->pieces, filter->piece_count + 1, sizeof(*filter->pieces));
                filter->pieces[filter->piece_count++] =
                    (struct filter_piece){.kind = (enum piece_kind)piece.tag, .text = piece.content};
                node->piece_count++;
        }
        return node->piece_count ? 0 : refuse(PROBLEM_MALFORMED, "A filter has no substrings.");
}

static int substrings_parse(struct bytes content, struct filter *filter, struct filter_node *node)
{
        CLEANUP(reader_done) struct reader reader = {0};
        struct bytes pieces;

        reader_init(&reader, content);
        TRY(reader_take(&reader, BER_OCTETS, &node->attribute));
        TRY(reader_take(&reader, BER_SEQUENCE, &pieces));
        TRY(pieces_parse(pieces, filter, node));
        return reader_at_end(&reader) ? 0 : refuse(PROBLEM_MALFORMED, "There is something after substrings.");
}

static int inside_parse(const struct element *element, struct filter *filter, unsigned depth,
                        struct filter_node *node)
{
        switch (element->tag) {
        case FILTER_AND:
        case FILTER_OR:
                return PASS(set_parse(element->content, filter, depth + 1));
        case FILTER_NOT:
                return PASS(not_parse(element->content, filter, depth + 1));
        case FILTER_SUBSTRINGS:
                return PASS(substrings_parse(element->content, filter, node));
        case FILTER_EQUAL:
        case FILTER_GREATER:
        case FILTER_LESS:
        case FILTER_APPROXIMATE:
                return PASS(assertion_parse(element->content, node));
        case FILTER_PRESENT:
                node->attribute = element->content;
                return 0;
        case FILTER_EXTENSIBLE: /* no rule is known, so it is neither true nor false */
                return 0;
        default:
                return refuse(PROBLEM_MALFORMED, "There is no filter of kind 0x%02x.", element->tag);
        }
}

static int node_parse(struct reader *reader, struct filter *filter, unsigned depth)
{
        struct filter_node node = {0};
        struct element element;
        size_t index = filter->count;

        if (depth > FILTER_DEPTH_MOST || index >= FILTER_NODES_MOST)
                return refuse(PROBLEM_MALFORMED, "The filter has more than %d levels or %d parts.",
                              FILTER_DEPTH_MOST, FILTER_NODES_MOST);
        TRY(reader_next(reader, &element));
        node.kind = (enum filter_kind)element.tag;
        filter->nodes = mem_resize(filter->nodes, index + 1, sizeof(*filter->nodes));
        filter->count++;
        TRY(inside_parse(&element, filter, depth, &node));
        node.end = filter->count;
        filter->nodes[index] = node;
        return 0;
}

/* ---- keys ---- */

static struct filter_key key_make(struct filter *filter, const struct attribute *attribute, struct bytes text,
                                  bool at_start, bool at_end)
{
        struct filter_key key = {.at = filter->keys.len};

        attribute_key_add(attribute, &filter->keys, text, at_start, at_end);
        key.len = filter->keys.len - key.at;
        return key;
}

static void node_key(struct filter *filter, struct filter_node *node)
{
        const struct attribute *attribute = attribute_find(node->attribute);

        if (!attribute || attribute->bytes)
                return;
        node->no_text = !text_is_utf8(node->value);
        for (size_t i = 0; i < node->piece_count; i++) {
                struct filter_piece *piece = &filter->pieces[node->piece + i];

                node->no_text = node->no_text || !text_is_utf8(piece->text);
                piece->key = key_make(filter, attribute, piece->text, piece->kind == PIECE_INITIAL,
                                      piece->kind == PIECE_FINAL);
        }
        node->key = key_make(filter, attribute, node->value, true, true);
}

int filter_parse(struct bytes encoded, struct filter *ret_filter)
{
        CLEANUP(reader_done) struct reader reader = {0};
        CLEANUP(filter_done) struct filter filter = {0};

        reader_init(&reader, encoded);
        TRY(node_parse(&reader, &filter, 1));
        if (!reader_at_end(&reader))
                return refuse(PROBLEM_MALFORMED, "There is something after the filter.");
        for (size_t i = 0; i < filter.count; i++)
                node_key(&filter, &filter.nodes[i]);
        *ret_filter = filter;
        filter = (struct filter){0};
        return 0;
}
