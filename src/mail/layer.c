/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "mail/reading.h"

/* Is it certain from the header that this CMS is of a kind that was not asked to be taken off? */
static bool cms_is_unwanted(const struct reading *reading, const struct content *content)
{
        const char *type = content->smime_type;

        if (!type)
                return false;
        if (strcmp(type, "signed-data") == 0)
                return !reading->verifies;
        if (strcmp(type, "enveloped-data") == 0 || strcmp(type, "authenveloped-data") == 0)
                return !reading->decrypts;
        return true; /* certs-only, compressed-data */
}

/* As far as the header says; cms_head() knows better. */
static enum outside outside_of(const struct content *content)
{
        const char *type = content->smime_type ? content->smime_type : "";

        if (content_is_signed(content))
                return OUTSIDE_SIGNED;
        if (!content_is_pkcs7(content))
                return OUTSIDE_PLAIN;
        if (strcmp(type, "signed-data") == 0)
                return OUTSIDE_SIGNED;
        return strcmp(type, "enveloped-data") == 0 || strcmp(type, "authenveloped-data") == 0 ? OUTSIDE_ENCRYPTED : OUTSIDE_OTHER;
}

static struct body *body_choose(struct layer *layer)
{
        struct reading *reading = layer->reading;
        const struct content *content = &layer->content;

        if (reading->layers_left == 0)
                return leaf_new(layer);
        if (content_is_signed(content) && content->boundary && reading->verifies) {
                reading->layers_left--;
                return signed_body_new(layer);
        }
        if (content_is_pkcs7(content) && !cms_is_unwanted(reading, content)) {
                reading->layers_left--;
                return cms_body_new(layer);
        }
        return leaf_new(layer);
}

static int layer_begin(struct layer *layer)
{
        struct reading *reading = layer->reading;
        bool crlf = layer->cutter.separator.len == 2;

        layer->begun = true;
        TRY(header_parse(&layer->cutter.block, crlf, &layer->header));
        /* What was decrypted begins with proper header fields, or it was not decrypted rightly. */
        if (layer->origin >= LAYER_SEALED && layer->header.strange > 0)
                return refuse(PROBLEM_MAIL_ALTERED,
                              "The message does not decrypt to mail: it was altered, or its key is not the one that it names.");
        content_parse(&layer->header, &layer->content);
        if (layer->depth == 0) {
                reading->lf = !layer->header.crlf;
                reading->outer = &layer->header;
                identity_read(&layer->header, reading->report, &reading->identity);
        } else if (reading->verifies) {
                inner_header_judge(reading, layer->depth, &layer->header);
        }
        if (layer->content.ambiguous)
                finding_add(reading->report, PROBLEM_MAIL_DECEPTIVE, layer->depth,
                            "The header says more than once what the content is: programs disagree about which of them counts.");
        if (layer->depth == 0)
                reading->outside = outside_of(&layer->content);
        layer->body = body_choose(layer);
        return layer->body->begin ? PASS(layer->body->begin(layer->body, buf_view(&layer->cutter.separator))) : 0;
}

static int layer_feed(struct layer *layer, const uint8_t *data, size_t len)
{
        size_t used = 0;

        if (!layer->begun) {
                TRY(header_cutter_feed(&layer->cutter, bytes_of(data, len), &used));
                if (!layer->cutter.complete)
                        return 0;
                TRY(layer_begin(layer));
        }
        return PASS(sink_write(&layer->body->sink, data + used, len - used));
}

/* The innermost layer that ends the reading is the one that it failed in. */
static int layer_outcome(struct layer *layer, int result)
{
        struct reading *reading = layer->reading;

        if (result > 0 && !reading->failed) {
                reading->failed = true;
                reading->failed_layer = layer->depth;
        }
        return PASS(result);
}

static int layer_write(struct sink *sink, const uint8_t *data, size_t len)
{
        struct layer *layer = CONTAINER_OF(sink, struct layer, entity);

        return layer_outcome(layer, layer_feed(layer, data, len));
}

static int layer_finish(struct sink *sink)
{
        struct layer *layer = CONTAINER_OF(sink, struct layer, entity);
        int result = 0;

        if (!layer->begun)
                result = layer_begin(layer);
        if (result == 0)
                result = sink_finish(&layer->body->sink);
        return layer_outcome(layer, result);
}

/* ---- line ends of what comes out of CMS */

/* The first line decides: CRLF inside a message of LF goes back to LF. */
static int adapt_decide(struct layer *layer)
{
        struct buf first = buf_take(&layer->first_line);
        const uint8_t *newline = first.len > 0 ? memchr(first.data, '\n', first.len) : NULL;
        bool strip = layer->reading->lf && newline && newline > first.data && newline[-1] == '\r';
        int result;

        layer->adapts = false;
        line_filter_init(&layer->lines, strip ? LINE_ENDS_STRIP : LINE_ENDS_KEEP, &layer->entity);
        result = sink_write(&layer->lines.sink, first.data, first.len);
        buf_done(&first);
        return PASS(result);
}

static int adapt_write(struct sink *sink, const uint8_t *data, size_t len)
{
        struct layer *layer = CONTAINER_OF(sink, struct layer, sink);

        if (!layer->adapts)
                return PASS(sink_write(&layer->lines.sink, data, len));
        if (layer->first_line.len + len > HEADER_MOST + STREAM_BLOCK)
                return refuse(PROBLEM_TOO_LARGE, "The header of the message is larger than %d bytes.", HEADER_MOST);
        buf_add(&layer->first_line, data, len);
        return memchr(data, '\n', len) ? PASS(adapt_decide(layer)) : 0;
}

static int adapt_finish(struct sink *sink)
{
        struct layer *layer = CONTAINER_OF(sink, struct layer, sink);

        if (layer->adapts)
                TRY(adapt_decide(layer));
        return PASS(sink_finish(&layer->lines.sink));
}

static int plain_write(struct sink *sink, const uint8_t *data, size_t len)
{
        return PASS(layer_write(&CONTAINER_OF(sink, struct layer, sink)->entity, data, len));
}

static int plain_finish(struct sink *sink)
{
        return PASS(layer_finish(&CONTAINER_OF(sink, struct layer, sink)->entity));
}

struct layer *layer_new(struct reading *reading, unsigned depth, enum layer_origin origin, bool from_cms)
{
        struct layer *layer = NEW(struct layer);

        layer->reading = reading;
        layer->depth = depth;
        layer->origin = origin;
        layer->adapts = from_cms;
        layer->entity = (struct sink){layer_write, layer_finish};
        layer->sink = from_cms ? (struct sink){adapt_write, adapt_finish} : (struct sink){plain_write, plain_finish};
        return layer;
}

void layer_free(struct layer *layer)
{
        if (layer->body)
                layer->body->free(layer->body);
        header_cutter_done(&layer->cutter);
        header_done(&layer->header);
        content_done(&layer->content);
        buf_done(&layer->first_line);
        line_filter_done(&layer->lines);
        free(layer);
}
