/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/cms-body.h"

#include "base/mem.h"
#include "crypto/der.h"

enum { RAW_MOST = 4 * CMS_FIELDS_MOST }; /* the fields before the content, in base64 and in short lines */

static struct cms_body *cms_body_of(struct sink *sink)
{
        return CONTAINER_OF(CONTAINER_OF(sink, struct body, sink), struct cms_body, base);
}

/* ---- signed content */

static int hashing_write(struct sink *sink, const uint8_t *data, size_t len)
{
        struct cms_body *body = CONTAINER_OF(sink, struct cms_body, hashing);

        TRY(digest_set_update(&body->digests, data, len));
        return PASS(sink_write(&body->inner->sink, data, len));
}

static int digests_prepare(struct cms_body *body)
{
        struct bytes field = buf_view(&body->cms.fields[CMS_DIGESTS]), set, oid, params;
        const EVP_MD *md;

        TRY(der_read_only(field, DER_SET, &set));
        while (set.len > 0) {
                TRY(algorithm_read(&set, &oid, &params));
                if (digest_find(oid, &md, NULL) == 0)
                        TRY(digest_set_add(&body->digests, md));
        }
        return 0;
}

static int signed_begin(struct cms_body *body)
{
        struct reading *reading = body->layer->reading;

        TRY(digests_prepare(body));
        body->inner = layer_new(reading, body->layer->depth + 1, LAYER_SIGNED, true);
        body->hashing = (struct sink){hashing_write, NULL};
        body->cms.content = &body->hashing;
        return 0;
}

static int signed_finish(struct cms_body *body)
{
        struct reading *reading = body->layer->reading;

        if (!body->cms.has_content)
                return refuse(PROBLEM_MAIL_ALTERED, "The message has a signature, but no content that belongs to it.");
        reading->report->signed_layers++;
        reading->signed_depth = MAX(reading->signed_depth, body->inner->depth);
        TRY(signers_judge(reading, body->layer->depth, &body->cms, &body->digests));
        return PASS(sink_finish(&body->inner->sink));
}

/* ---- both */

/* Is this kind of layer one that was asked to be taken off? */
static bool kind_is_wanted(const struct cms_body *body)
{
        const struct reading *reading = body->layer->reading;

        return body->cms.kind == CMS_SIGNED ? reading->verifies : reading->decrypts;
}

/* A layer inside others that is not wanted, or cannot be opened, is content. On the outside there is nothing else to give. */
static int cms_head(void *context)
{
        struct cms_body *body = context;
        unsigned depth = body->layer->depth;
        struct mail_report *report = body->layer->reading->report;
        int result;

        if (depth == 0)
                body->layer->reading->outside = body->cms.kind == CMS_SIGNED ? OUTSIDE_SIGNED : OUTSIDE_ENCRYPTED;
        if (!kind_is_wanted(body)) {
                body->leaf = leaf_new(body->layer);
                return PROBLEM_STATE; /* ends the reading of CMS; cms_body_write() knows */
        }
        result = body->cms.kind == CMS_SIGNED ? signed_begin(body) : sealed_begin(body);
        if (depth > 0 && (result == PROBLEM_MAIL_NO_KEY || result == PROBLEM_UNSUPPORTED)) {
                TRY(finding_add_result(report, depth, result));
                body->leaf = leaf_new(body->layer);
                return PROBLEM_STATE;
        }
        body->decided = result == 0;
        return PASS(result);
}

static int cms_feed(struct cms_body *body, const uint8_t *data, size_t len)
{
        return body->is_base64 ? PASS(sink_write(&body->base64.sink, data, len)) : PASS(sink_write(&body->cms.sink, data, len));
}

static int leaf_start(struct cms_body *body)
{
        TRY(body->leaf->begin(body->leaf, buf_view(&body->layer->cutter.separator)));
        return PASS(sink_write_bytes(&body->leaf->sink, buf_view(&body->raw)));
}

static int cms_body_write(struct sink *sink, const uint8_t *data, size_t len)
{
        struct cms_body *body = cms_body_of(sink);
        int result;

        if (body->leaf)
                return PASS(sink_write(&body->leaf->sink, data, len));
        if (!body->decided && len > RAW_MOST - body->raw.len)
                return refuse(PROBLEM_TOO_LARGE, "The cryptographic part of the message does not begin within %d bytes.", RAW_MOST);
        if (!body->decided)
                buf_add(&body->raw, data, len);
        result = cms_feed(body, data, len);
        if (body->leaf)
                return PASS(leaf_start(body));
        if (body->decided)
                buf_done(&body->raw);
        return PASS(result);
}

static int cms_body_finish(struct sink *sink)
{
        struct cms_body *body = cms_body_of(sink);
        struct mail_report *report = body->layer->reading->report;

        if (body->leaf)
                return PASS(sink_finish(&body->leaf->sink));
        if (body->is_base64)
                TRY(sink_finish(&body->base64.sink));
        TRY(cms_reader_check(&body->cms));
        if (body->base64.bad || body->cms.ber.trailing)
                finding_add(report, PROBLEM_NONE, body->layer->depth,
                            "Something was added below the protected content on its way; it is not part of it and was left out.");
        return body->cms.kind == CMS_SIGNED ? PASS(signed_finish(body)) : PASS(sealed_finish(body));
}

static int cms_body_begin(struct body *base, struct bytes separator)
{
        struct cms_body *body = CONTAINER_OF(base, struct cms_body, base);
        const char *encoding = body->layer->content.encoding;

        (void)separator;
        body->is_base64 = strcmp(encoding, "base64") == 0;
        if (!body->is_base64)
                body->layer->reading->binary_depth = MAX(body->layer->reading->binary_depth, body->layer->depth);
        if (!body->is_base64 && strcmp(encoding, "binary") != 0 && strcmp(encoding, "8bit") != 0 && strcmp(encoding, "7bit") != 0)
                return refuse(PROBLEM_UNSUPPORTED, "The message's cryptographic part has a transfer encoding that such parts do not have.");
        return 0;
}

static void cms_body_free(struct body *base)
{
        struct cms_body *body = CONTAINER_OF(base, struct cms_body, base);

        base64_decoder_done(&body->base64);
        cms_reader_done(&body->cms);
        digest_set_done(&body->digests);
        sealed_done(body);
        if (body->inner)
                layer_free(body->inner);
        if (body->leaf)
                body->leaf->free(body->leaf);
        buf_done(&body->raw);
        free(body);
}

struct body *cms_body_new(struct layer *layer)
{
        struct cms_body *body = NEW(struct cms_body);

        body->base = (struct body){{cms_body_write, cms_body_finish}, cms_body_begin, cms_body_free};
        body->layer = layer;
        cms_reader_init(&body->cms, cms_head, body);
        base64_decoder_init(&body->base64, &body->cms.sink);
        spool_init(&body->spool, layer->reading->options->spool_folder);
        return &body->base;
}
