/* SPDX-License-Identifier: Apache-2.0 */
/* mail_encrypt(): EnvelopedData (RFC 8551 3.3) and AuthEnvelopedData (3.4). */
#include "base/clock.h"
#include "crypto/der.h"
#include "mail/base64.h"
#include "mail/cms-write.h"
#include "mail/report.h"
#include "mail/writer.h"

enum { GCM_NONCE = 12, GCM_TAG = 16, CBC_IV = 16, CIPHER_BLOCK = 64 * 1024 };

struct content_cipher {
        const EVP_CIPHER *(*cipher)(void);
        const struct bytes *oid;
        size_t key_len;
        unsigned capability;
        bool authenticated;
};

struct encryption {
        struct writer writer;
        const struct mail_recipient *recipients;
        size_t recipient_count;
        const struct content_cipher *algorithm;
        EVP_CIPHER_CTX *cipher;
        struct sink seal; /* encrypts */
        struct line_filter lines;
        struct octet_writer octets;
        struct base64_encoder base64;
        struct buf front; /* made before the header is written, so that a refusal leaves the output empty */
        uint8_t block[CIPHER_BLOCK + 32];
};

static void encryption_done(struct encryption *encryption)
{
        writer_done(&encryption->writer);
        EVP_CIPHER_CTX_free(encryption->cipher);
        line_filter_done(&encryption->lines);
        octet_writer_done(&encryption->octets);
        base64_encoder_done(&encryption->base64);
        buf_done(&encryption->front);
        memory_wipe(encryption->block, sizeof(encryption->block));
}

/* The strongest first; GCM needs to be known to be read, RFC 8551 2.7 for the rest. */
static const struct content_cipher ciphers[] = {
        {EVP_aes_256_gcm, &oid_aes256_gcm, 32, MAIL_READS_AES256_GCM, true},
        {EVP_aes_256_cbc, &oid_aes256_cbc, 32, MAIL_READS_AES256_CBC, false},
        {EVP_aes_128_gcm, &oid_aes128_gcm, 16, MAIL_READS_AES128_GCM, true},
        {EVP_aes_128_cbc, &oid_aes128_cbc, 16, MAIL_READS_AES128_CBC, false},
};

/*
 * AES-128-CBC must be read by every program (RFC 8551 2.7), and AES-256-CBC is in fact: one whose capabilities name no
 * AES at all was written before there was any, or lists something else.
 */
static unsigned recipient_reads(const struct mail_recipient *recipient)
{
        unsigned aes = MAIL_READS_AES128_CBC | MAIL_READS_AES256_CBC | MAIL_READS_AES128_GCM | MAIL_READS_AES256_GCM;

        if (!recipient->capabilities_known || !(recipient->capabilities & aes))
                return MAIL_READS_AES128_CBC | MAIL_READS_AES256_CBC;
        return recipient->capabilities | MAIL_READS_AES128_CBC;
}

static const struct content_cipher *cipher_choose(const struct mail_recipient *recipients, size_t count)
{
        unsigned all = ~0u;

        for (size_t i = 0; i < count; i++)
                all &= recipient_reads(&recipients[i]);
        for (size_t i = 0; i < ARRAY_LEN(ciphers); i++)
                if (all & ciphers[i].capability)
                        return &ciphers[i];
        return &ciphers[1];
}

static int recipient_check(const struct mail_recipient *recipient, int64_t now)
{
        const struct certificate *certificate = recipient->certificate;
        const char *who = recipient->address ? recipient->address : "a recipient";
        char text[TIME_TEXT_SIZE];

        if (!certificate_may_encrypt(certificate))
                return refuse(PROBLEM_MAIL_NO_RECIPIENT, "The certificate of %s is not for encryption.", who);
        if (now > certificate->not_after)
                return refuse(PROBLEM_MAIL_NO_RECIPIENT, "The certificate of %s expired at %s; a newer one is needed.", who,
                              time_text(certificate->not_after, text));
        if (now < certificate->not_before)
                return refuse(PROBLEM_MAIL_NO_RECIPIENT, "The certificate of %s is valid only from %s.", who,
                              time_text(certificate->not_before, text));
        return 0;
}

static void algorithm_add(struct buf *out, const struct content_cipher *algorithm, struct bytes iv)
{
        size_t sequence = der_begin(out, DER_SEQUENCE), params;

        der_add_oid(out, *algorithm->oid);
        if (algorithm->authenticated) { /* GCMParameters, RFC 5084 3.2 */
                params = der_begin(out, DER_SEQUENCE);
                der_add(out, DER_OCTET_STRING, iv);
                der_add_small(out, GCM_TAG);
                der_end(out, params);
        } else {
                der_add(out, DER_OCTET_STRING, iv);
        }
        der_end(out, sequence);
}

static int recipients_add(struct encryption *encryption, const struct secret *key, struct buf *out)
{
        size_t set = der_begin(out, DER_SET);

        for (size_t i = 0; i < encryption->recipient_count; i++)
                TRY(recipient_info_add(out, &encryption->recipients[i], key));
        der_end(out, set);
        return 0;
}

/* RFC 5652 6.1: 2 when a recipient is not a version 0 one. RFC 5083 2.1: always 0. */
static unsigned version_of(const struct encryption *encryption)
{
        for (size_t i = 0; i < encryption->recipient_count; i++)
                if (!encryption->algorithm->authenticated && recipient_agrees(&encryption->recipients[i]))
                        return 2;
        return 0;
}

static int front_make(struct encryption *encryption)
{
        const struct content_cipher *algorithm = encryption->algorithm;
        CLEANUP(secret_done) struct secret key = secret_random(algorithm->key_len);
        CLEANUP(buf_done) struct buf identifier = BUF_NONE;
        size_t iv_len = algorithm->authenticated ? GCM_NONCE : CBC_IV;
        uint8_t iv[CBC_IV];

        random_fill(iv, sizeof(iv));
        encryption->cipher = EVP_CIPHER_CTX_new();
        if (!encryption->cipher || EVP_EncryptInit_ex(encryption->cipher, algorithm->cipher(), NULL, key.data, iv) != 1)
                return crypto_fault("Starting a cipher");
        algorithm_add(&identifier, algorithm, bytes_of(iv, iv_len));
        cms_begin_info(&encryption->front, algorithm->authenticated ? oid_auth_enveloped_data : oid_enveloped_data);
        der_add_small(&encryption->front, version_of(encryption));
        TRY(recipients_add(encryption, &key, &encryption->front));
        cms_begin_encrypted(&encryption->front, buf_view(&identifier));
        return 0;
}

static int seal_write(struct sink *sink, const uint8_t *data, size_t len)
{
        struct encryption *encryption = CONTAINER_OF(sink, struct encryption, seal);

        while (len > 0) {
                size_t take = MIN(len, (size_t)CIPHER_BLOCK);
                int done;

                if (EVP_EncryptUpdate(encryption->cipher, encryption->block, &done, data, (int)take) != 1)
                        return crypto_fault("Encrypting the message");
                TRY(sink_write(&encryption->octets.sink, encryption->block, (size_t)done));
                data += take;
                len -= take;
        }
        return 0;
}

static int seal_finish(struct sink *sink)
{
        struct encryption *encryption = CONTAINER_OF(sink, struct encryption, seal);
        CLEANUP(buf_done) struct buf back = BUF_NONE;
        uint8_t tag[GCM_TAG];
        int done;

        if (EVP_EncryptFinal_ex(encryption->cipher, encryption->block, &done) != 1)
                return crypto_fault("Encrypting the message");
        TRY(sink_write(&encryption->octets.sink, encryption->block, (size_t)done));
        TRY(sink_finish(&encryption->octets.sink));
        cms_end_encrypted(&back);
        if (encryption->algorithm->authenticated) {
                if (EVP_CIPHER_CTX_ctrl(encryption->cipher, EVP_CTRL_AEAD_GET_TAG, GCM_TAG, tag) != 1)
                        return crypto_fault("Authenticating the message");
                der_add(&back, DER_OCTET_STRING, bytes_of(tag, GCM_TAG));
        }
        cms_end_info(&back);
        TRY(sink_write_bytes(&encryption->base64.sink, buf_view(&back)));
        return PASS(sink_finish(&encryption->base64.sink));
}

static int encryption_begin(struct writer *writer)
{
        struct encryption *encryption = CONTAINER_OF(writer, struct encryption, writer);
        CLEANUP(buf_done) struct buf text = BUF_NONE;
        const char *eol = writer->eol, *type = encryption->algorithm->authenticated ? "authEnveloped-data" : "enveloped-data";

        buf_add_format(&text, "MIME-Version: 1.0%s", eol);
        buf_add_format(&text, "Content-Type: application/pkcs7-mime; smime-type=%s;%s name=\"smime.p7m\"%s", type, eol, eol);
        buf_add_format(&text, "Content-Transfer-Encoding: base64%s", eol);
        buf_add_format(&text, "Content-Disposition: attachment; filename=\"smime.p7m\"%s", eol);
        TRY(writer_header(writer, buf_view(&text)));
        base64_encoder_init(&encryption->base64, writer->header.crlf, &writer->out.sink);
        octet_writer_init(&encryption->octets, &encryption->base64.sink);
        encryption->seal = (struct sink){seal_write, seal_finish};
        line_filter_init(&encryption->lines, writer->header.crlf ? LINE_ENDS_KEEP : LINE_ENDS_ADD_ALL, &encryption->seal);
        writer->entity = &encryption->lines.sink;
        return PASS(sink_write_bytes(&encryption->base64.sink, buf_view(&encryption->front)));
}

int mail_encrypt(int input, int output, const struct mail_recipient *recipients, size_t recipient_count,
                 const struct mail_options *options, struct mail_report *report)
{
        CLEANUP(encryption_done) struct encryption encryption = {.recipients = recipients, .recipient_count = recipient_count};
        int64_t now = options->now ? options->now : clock_now();

        *report = (struct mail_report){0};
        if (recipient_count == 0)
                return refuse(PROBLEM_MAIL_NO_RECIPIENT, "There is nobody to encrypt the message for.");
        for (size_t i = 0; i < recipient_count; i++)
                TRY(recipient_check(&recipients[i], now));
        encryption.algorithm = cipher_choose(recipients, recipient_count);
        TRY(front_make(&encryption));
        writer_init(&encryption.writer, output, encryption_begin);
        TRY(stream_pump(input, &encryption.writer.sink));
        report->written = true;
        report->encrypted_layers = 1;
        return mail_report_result(report);
}
