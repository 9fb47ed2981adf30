/* SPDX-License-Identifier: Apache-2.0 */
/* multipart/signed (RFC 1847, RFC 8551 3.5.3): exactly two parts, of which the second signs the first. */
#include "base/mem.h"
#include "mail/base64.h"
#include "mail/multipart.h"
#include "mail/reading.h"

enum { SIGNATURE_MOST = 2 * 1024 * 1024 };

struct signed_body {
        struct body base;
        struct layer *layer;
        struct splitter splitter;
        struct sink content;        /* the first part: to the digests and to the layer inside */
        struct line_filter canonical;
        struct sink hashing;
        struct digest_set digests;
        struct layer *inner;
        struct buf_sink signature;  /* the second part, header and all */
        struct cms_reader cms;
};

/* ---- digests */

int digest_set_add(struct digest_set *set, const EVP_MD *md)
{
        EVP_MD_CTX *context;

        for (size_t i = 0; i < set->count; i++)
                if (set->items[i].md == md)
                        return 0;
        if (set->count == DIGESTS_MOST)
                return 0;
        context = EVP_MD_CTX_new();
        if (!context || EVP_DigestInit_ex(context, md, NULL) != 1) {
                EVP_MD_CTX_free(context);
                return crypto_fault("Starting a digest");
        }
        set->items[set->count].md = md;
        set->items[set->count++].context = context;
        return 0;
}

int digest_set_update(struct digest_set *set, const uint8_t *data, size_t len)
{
        if (!set->begun && len > 0) {
                set->begun = true;
                set->first = data[0];
        }
        for (size_t i = 0; i < set->count; i++)
                if (EVP_DigestUpdate(set->items[i].context, data, len) != 1)
                        return crypto_fault("Hashing the message");
        return 0;
}

void digest_set_done(struct digest_set *set)
{
        for (size_t i = 0; i < set->count; i++)
                EVP_MD_CTX_free(set->items[i].context);
        set->count = 0;
}

/*
 * What micalg (RFC 8551 3.5.3.2) names, and SHA-256, which signers use whatever it names; all when it names nothing that is known: a
 * receiver should get over that.
 */
static int digests_prepare(struct signed_body *body)
{
        static const struct {
                const char *name;
                const EVP_MD *(*md)(void);
        } names[] = {
                {"sha-256", EVP_sha256}, {"sha256", EVP_sha256}, {"sha-1", EVP_sha1}, {"sha1", EVP_sha1}, {"sha-384", EVP_sha384},
                {"sha384", EVP_sha384}, {"sha-512", EVP_sha512}, {"sha512", EVP_sha512},
        };
        const char *at = body->layer->content.micalg;
        bool known = false;

        TRY(digest_set_add(&body->digests, EVP_sha256()));
        while (at && *at) {
                size_t len = strcspn(at, ", ");

                for (size_t i = 0; i < ARRAY_LEN(names); i++)
                        if (strlen(names[i].name) == len && strncmp(at, names[i].name, len) == 0) {
                                known = true;
                                TRY(digest_set_add(&body->digests, names[i].md()));
                        }
                at += len + (at[len] != 0);
        }
        for (size_t i = 0; i < ARRAY_LEN(names) && !known; i++)
                TRY(digest_set_add(&body->digests, names[i].md()));
        return 0;
}

/* ---- the parts */

static int hashing_write(struct sink *sink, const uint8_t *data, size_t len)
{
        return PASS(digest_set_update(&CONTAINER_OF(sink, struct signed_body, hashing)->digests, data, len));
}

static int content_write(struct sink *sink, const uint8_t *data, size_t len)
{
        struct signed_body *body = CONTAINER_OF(sink, struct signed_body, content);

        TRY(sink_write(&body->canonical.sink, data, len));
        return PASS(sink_write(&body->inner->sink, data, len));
}

static int content_finish(struct sink *sink)
{
        struct signed_body *body = CONTAINER_OF(sink, struct signed_body, content);

        return PASS(sink_finish(&body->canonical.sink));
}

static int signed_part(void *context, unsigned index, struct sink **ret_sink)
{
        struct signed_body *body = context;

        if (index == 2)
                finding_add(body->layer->reading->report, PROBLEM_MAIL_DECEPTIVE, body->layer->depth,
                            "The signed message has a part more than it may have; nobody signed that part.");
        *ret_sink = index == 0 ? &body->content : index == 1 ? &body->signature.sink : NULL;
        return 0;
}

/* Cut the header off the signature part, and read the CMS in it. */
static int signature_read(struct signed_body *body)
{
        CLEANUP(header_cutter_done) struct header_cutter cutter = {0};
        CLEANUP(header_done) struct header header = {0};
        CLEANUP(content_done) struct content content = {0};
        CLEANUP(base64_decoder_done) struct base64_decoder base64 = {0};
        struct bytes part = buf_view(&body->signature.buf);
        size_t used = 0;

        TRY(header_cutter_feed(&cutter, part, &used));
        TRY(header_parse(&cutter.block, false, &header));
        content_parse(&header, &content);
        if (strcmp(content.type, "application/pkcs7-signature") != 0 && strcmp(content.type, "application/x-pkcs7-signature") != 0)
                return refuse(PROBLEM_MAIL_ALTERED, "The second part of the signed message is no S/MIME signature.");
        base64_decoder_init(&base64, &body->cms.sink);
        if (strcmp(content.encoding, "base64") == 0) {
                TRY(sink_write(&base64.sink, part.data + used, part.len - used));
                TRY(sink_finish(&base64.sink));
        } else {
                TRY(sink_write(&body->cms.sink, part.data + used, part.len - used));
        }
        return PASS(cms_reader_check(&body->cms));
}

static int signature_judge(struct signed_body *body)
{
        struct reading *reading = body->layer->reading;

        TRY(signature_read(body));
        if (body->cms.kind != CMS_SIGNED)
                return refuse(PROBLEM_MAIL_ALTERED, "The second part of the signed message is no signature.");
        if (body->cms.has_content)
                return refuse(PROBLEM_MAIL_DECEPTIVE,
                              "The signature brings content of its own beside the content of the message: programs show the one and check the other.");
        reading->report->signed_layers++;
        reading->signed_depth = MAX(reading->signed_depth, body->inner->depth);
        return PASS(signers_judge(reading, body->layer->depth, &body->cms, &body->digests));
}

static struct signed_body *signed_body_of(struct sink *sink)
{
        return CONTAINER_OF(CONTAINER_OF(sink, struct body, sink), struct signed_body, base);
}

static int signed_write(struct sink *sink, const uint8_t *data, size_t len)
{
        return PASS(sink_write(&signed_body_of(sink)->splitter.sink, data, len));
}

static int signed_finish(struct sink *sink)
{
        struct signed_body *body = signed_body_of(sink);
        struct mail_report *report = body->layer->reading->report;

        TRY(sink_finish(&body->splitter.sink));
        if (body->splitter.parts < 2)
                return refuse(PROBLEM_MAIL_ALTERED, "The signed message is cut off: its signature is missing.");
        if (body->splitter.text_outside)
                finding_add(report, PROBLEM_NONE, body->layer->depth,
                            "There is text before or after the signed parts; nobody signed it, and it was left out.");
        TRY(signature_judge(body));
        return PASS(sink_finish(&body->inner->sink));
}

static int signed_begin(struct body *base, struct bytes separator)
{
        (void)separator;
        return PASS(digests_prepare(CONTAINER_OF(base, struct signed_body, base)));
}

static void signed_free(struct body *base)
{
        struct signed_body *body = CONTAINER_OF(base, struct signed_body, base);

        splitter_done(&body->splitter);
        line_filter_done(&body->canonical);
        digest_set_done(&body->digests);
        layer_free(body->inner);
        buf_sink_done(&body->signature);
        cms_reader_done(&body->cms);
        free(body);
}

struct body *signed_body_new(struct layer *layer)
{
        struct signed_body *body = NEW(struct signed_body);

        body->base = (struct body){{signed_write, signed_finish}, signed_begin, signed_free};
        body->layer = layer;
        splitter_init(&body->splitter, layer->content.boundary, signed_part, body);
        body->content = (struct sink){content_write, content_finish};
        body->hashing = (struct sink){hashing_write, NULL};
        line_filter_init(&body->canonical, LINE_ENDS_COMPLETE, &body->hashing);
        body->inner = layer_new(layer->reading, layer->depth + 1, LAYER_SIGNED, false);
        buf_sink_init(&body->signature, SIGNATURE_MOST);
        cms_reader_init(&body->cms, NULL, NULL);
        return &body->base;
}
