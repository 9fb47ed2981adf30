/* SPDX-License-Identifier: Apache-2.0 */
/* mail_sign(): multipart/signed (RFC 1847, RFC 8551 3.5.3) and application/pkcs7-mime (3.5.2). */
#include "base/clock.h"
#include "base/text.h"
#include "crypto/der.h"
#include "mail/base64.h"
#include "mail/cms-write.h"
#include "mail/report.h"
#include "mail/writer.h"

struct signing {
        struct writer writer;
        const struct mail_keys *keys;
        int64_t now;
        enum mail_form form;
        bool opaque;
        struct signer_digest digest;
        EVP_MD_CTX *md;
        char boundary[48];
        uint8_t last; /* byte of the entity */
        struct sink entity; /* copies what comes: to the output and to the digest */
        struct sink hash;   /* into the digest */
        struct line_filter lines;
        struct octet_writer octets;
        struct base64_encoder base64;
};

static void signing_done(struct signing *signing)
{
        writer_done(&signing->writer);
        EVP_MD_CTX_free(signing->md);
        line_filter_done(&signing->lines);
        octet_writer_done(&signing->octets);
        base64_encoder_done(&signing->base64);
}

static int hash_write(struct sink *sink, const uint8_t *data, size_t len)
{
        struct signing *signing = CONTAINER_OF(sink, struct signing, hash);

        if (EVP_DigestUpdate(signing->md, data, len) != 1)
                return crypto_fault("Hashing the message");
        return signing->opaque ? PASS(sink_write(&signing->octets.sink, data, len)) : 0;
}

static int tail_make(struct signing *signing, struct buf *out)
{
        uint8_t hash[EVP_MAX_MD_SIZE];
        unsigned len;

        if (EVP_DigestFinal_ex(signing->md, hash, &len) != 1)
                return crypto_fault("Hashing the message");
        return PASS(signer_tail_add(out, signing->keys, &signing->digest, bytes_of(hash, len), signing->now));
}

/* ---- in the clear */

static int clear_begin(struct signing *signing)
{
        CLEANUP(buf_done) struct buf text = BUF_NONE;
        const char *eol = signing->writer.eol;
        uint8_t random[16];

        random_fill(random, sizeof(random));
        hex_add(&text, bytes_of(random, sizeof(random)));
        snprintf(signing->boundary, sizeof(signing->boundary), "vouchsafe=_%s", buf_text(&text));
        buf_clear(&text);
        buf_add_format(&text, "MIME-Version: 1.0%s", eol);
        buf_add_format(&text, "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\";%s", eol);
        buf_add_format(&text, " micalg=%s; boundary=\"%s\"%s", signing->digest.micalg, signing->boundary, eol);
        TRY(writer_header(&signing->writer, buf_view(&text)));
        buf_clear(&text);
        buf_add_format(&text, "--%s%s", signing->boundary, eol);
        return PASS(sink_write_bytes(&signing->writer.out.sink, buf_view(&text)));
}

static int clear_write(struct sink *sink, const uint8_t *data, size_t len)
{
        struct signing *signing = CONTAINER_OF(sink, struct signing, entity);

        signing->last = data[len - 1];
        TRY(sink_write(&signing->writer.out.sink, data, len));
        return PASS(sink_write(&signing->lines.sink, data, len));
}

static int clear_finish(struct sink *sink)
{
        struct signing *signing = CONTAINER_OF(sink, struct signing, entity);
        struct sink *out = &signing->writer.out.sink;
        CLEANUP(buf_done) struct buf text = BUF_NONE, der = BUF_NONE, tail = BUF_NONE;
        const char *eol = signing->writer.eol;

        TRY(sink_finish(&signing->lines.sink));
        TRY(tail_make(signing, &tail));
        /* A CR at the end must not become part of the line end before the boundary. */
        buf_add_format(&text, "%s--%s%s", signing->last == '\r' ? "\r\n" : eol, signing->boundary, eol);
        buf_add_format(&text, "Content-Type: application/pkcs7-signature; name=\"smime.p7s\"%s", eol);
        buf_add_format(&text, "Content-Transfer-Encoding: base64%s", eol);
        buf_add_format(&text, "Content-Disposition: attachment; filename=\"smime.p7s\"%s%s", eol, eol);
        TRY(sink_write_bytes(out, buf_view(&text)));

        cms_detached_add(&der, &signing->digest, buf_view(&tail));
        TRY(sink_write_bytes(&signing->base64.sink, buf_view(&der)));
        TRY(base64_encoder_end(&signing->base64));
        buf_clear(&text);
        buf_add_format(&text, "%s--%s--%s", eol, signing->boundary, eol);
        TRY(sink_write_bytes(out, buf_view(&text)));
        return PASS(sink_finish(out));
}

/* ---- opaque */

static int opaque_begin(struct signing *signing)
{
        CLEANUP(buf_done) struct buf text = BUF_NONE, front = BUF_NONE;
        const char *eol = signing->writer.eol;

        buf_add_format(&text, "MIME-Version: 1.0%s", eol);
        buf_add_format(&text, "Content-Type: application/pkcs7-mime; smime-type=signed-data;%s name=\"smime.p7m\"%s", eol, eol);
        buf_add_format(&text, "Content-Transfer-Encoding: base64%s", eol);
        buf_add_format(&text, "Content-Disposition: attachment; filename=\"smime.p7m\"%s", eol);
        TRY(writer_header(&signing->writer, buf_view(&text)));
        cms_begin_info(&front, oid_signed_data);
        der_add_small(&front, 1);
        signer_digests_add(&front, &signing->digest);
        cms_begin_encapsulated(&front);
        return PASS(sink_write_bytes(&signing->base64.sink, buf_view(&front)));
}

static int opaque_write(struct sink *sink, const uint8_t *data, size_t len)
{
        return PASS(sink_write(&CONTAINER_OF(sink, struct signing, entity)->lines.sink, data, len));
}

static int opaque_finish(struct sink *sink)
{
        struct signing *signing = CONTAINER_OF(sink, struct signing, entity);
        CLEANUP(buf_done) struct buf back = BUF_NONE;

        TRY(sink_finish(&signing->lines.sink));
        TRY(sink_finish(&signing->octets.sink));
        cms_end_encapsulated(&back);
        TRY(tail_make(signing, &back));
        cms_end_info(&back);
        TRY(sink_write_bytes(&signing->base64.sink, buf_view(&back)));
        return PASS(sink_finish(&signing->base64.sink));
}

static bool content_is_7bit(const struct content *content)
{
        return strcmp(content->encoding, "8bit") != 0 && strcmp(content->encoding, "binary") != 0;
}

static int signing_begin(struct writer *writer)
{
        struct signing *signing = CONTAINER_OF(writer, struct signing, writer);
        bool crlf = writer->header.crlf;

        signing->opaque = signing->form == MAIL_FORM_OPAQUE ||
                          (signing->form == MAIL_FORM_AUTO && !content_is_7bit(&writer->content));
        signing->entity = signing->opaque ? (struct sink){opaque_write, opaque_finish} : (struct sink){clear_write, clear_finish};
        signing->hash = (struct sink){hash_write, NULL};
        base64_encoder_init(&signing->base64, crlf, &writer->out.sink);
        octet_writer_init(&signing->octets, &signing->base64.sink);
        line_filter_init(&signing->lines, !signing->opaque ? LINE_ENDS_COMPLETE : crlf ? LINE_ENDS_KEEP : LINE_ENDS_ADD_ALL,
                         &signing->hash);
        writer->entity = &signing->entity;
        return signing->opaque ? PASS(opaque_begin(signing)) : PASS(clear_begin(signing));
}

int mail_sign(int input, int output, const struct mail_keys *keys, const struct mail_options *options, struct mail_report *report)
{
        CLEANUP(signing_done) struct signing signing = {.keys = keys, .now = options->now ? options->now : clock_now()};

        *report = (struct mail_report){0};
        TRY(signer_digest_choose(&keys->signer, &signing.digest));
        signing.form = options->form;
        signing.md = EVP_MD_CTX_new();
        if (!signing.md || EVP_DigestInit_ex(signing.md, signing.digest.md, NULL) != 1)
                return crypto_fault("Starting a digest");
        writer_init(&signing.writer, output, signing_begin);
        TRY(stream_pump(input, &signing.writer.sink));
        report->written = true;
        report->signed_layers = 1;
        return mail_report_result(report);
}
