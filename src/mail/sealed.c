/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encrypted content. Under GCM the ciphertext is spooled and checked first, and decrypted in a second pass, so that nothing behind sees
 * a byte that was not authenticated. CBC has no such check: it is decrypted as it comes, every way in which it can be wrong
 * gives the same answer, and its plaintext is looked at for the traces that cutting and pasting blocks leaves (Poddebniak et al., 2018).
 */
#include "base/mem.h"
#include "base/text.h"
#include "crypto/der.h"
#include "mail/cms-body.h"

static int sealed_wrong(void)
{
        return refuse(PROBLEM_MAIL_ALTERED, "The message does not decrypt to mail: it was altered, or its key is not the one that it names.");
}

/* Behind CBC what is wrong inside is no news about the message but about the ciphertext, and all of it is the same news. */
static int sealed_outcome(int result)
{
        if (result == PROBLEM_MALFORMED || result == PROBLEM_TOO_LARGE)
                return sealed_wrong();
        return PASS(result);
}

/* ---- CBC */

/* UTF-8 that may begin and end inside a character. */
static bool is_utf8_inside(const uint8_t *data, size_t len)
{
        for (int i = 0; i < 3 && len > 0 && (data[0] & 0xc0) == 0x80; i++, len--)
                data++;
        for (size_t back = 1; back <= 3 && back <= len; back++) {
                uint8_t lead = data[len - back];

                if ((lead & 0xc0) == 0x80)
                        continue;
                if (lead >= 0xc0 && (lead >= 0xf0 ? 4u : lead >= 0xe0 ? 3u : 2u) > back)
                        len -= back;
                break;
        }
        return text_is_utf8(bytes_of(data, len));
}

/*
 * A block that was not the sender's comes out random. Text, even that of old programs, has no control characters beside bytes above 127; random
 * blocks of 16 bytes have both in four cases of five. Header fields have hardly any such bytes but in UTF-8: there ninety-nine of a
 * hundred random blocks show.
 */
static bool block_is_garbled(const uint8_t block[16], bool in_header)
{
        unsigned controls = 0, high = 0;

        for (unsigned i = 0; i < 16; i++) {
                uint8_t byte = block[i];

                high += byte >= 0x80;
                controls += byte == 0x7f || (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r' && byte != '\f' && byte != 0x1b &&
                                             byte != 0x0e && byte != 0x0f);
        }
        if (in_header)
                return (high >= 4 || (controls > 0 && high > 0)) && !is_utf8_inside(block, 16);
        return controls > 0 && high >= 3 && !is_utf8_inside(block, 16);
}

/* Eight bytes at a time: is there any below 0x20? Line ends are, and get the closer look too. */
static inline bool has_control(const uint8_t *block)
{
        uint64_t a, b;

        memcpy(&a, block, 8);
        memcpy(&b, block + 8, 8);
        a = (a - 0x2020202020202020ull) & ~a & 0x8080808080808080ull;
        b = (b - 0x2020202020202020ull) & ~b & 0x8080808080808080ull;
        return (a | b) != 0;
}

/* How much of the first plaintext is header, as far as it is there. */
static size_t header_end(const uint8_t *data, size_t len)
{
        const uint8_t *crlf = memmem(data, len, "\r\n\r\n", 4), *lf = memmem(data, len, "\n\n", 2);

        return crlf && (!lf || crlf < lf) ? (size_t)(crlf - data) : lf ? (size_t)(lf - data) : len;
}

static void watch_plain(struct cms_body *body, const uint8_t *data, size_t len)
{
        const uint8_t *body_begin = data + (body->inner->begun ? 0 : header_end(data, len));

        if (body->block_at > 0) {
                size_t take = MIN(len, 16 - body->block_at);

                memcpy(body->watch + body->block_at, data, take);
                body->block_at += take;
                data += take;
                len -= take;
                if (body->block_at < 16)
                        return;
                body->garbled |= block_is_garbled(body->watch, data < body_begin);
                body->block_at = 0;
        }
        for (; len >= 16; data += 16, len -= 16)
                if (data + 16 <= body_begin || has_control(data))
                        body->garbled |= block_is_garbled(data, data + 16 <= body_begin);
        memcpy(body->watch, data, len);
        body->block_at = len;
}

static int plain_put(struct cms_body *body, size_t len)
{
        if (len == 0)
                return 0;
        if (!body->garbled && !body->cipher.authenticated)
                watch_plain(body, body->block, len);
        return PASS(sink_write(&body->inner->sink, body->block, len));
}

static int decrypt_write(struct cms_body *body, const uint8_t *data, size_t len)
{
        while (len > 0) {
                size_t take = MIN(len, (size_t)SEALED_BLOCK);
                int done;

                if (EVP_DecryptUpdate(body->context, body->block, &done, data, (int)take) != 1)
                        return crypto_fault("Decrypting the message");
                TRY(plain_put(body, (size_t)done));
                data += take;
                len -= take;
        }
        return 0;
}

static int cbc_write(struct sink *sink, const uint8_t *data, size_t len)
{
        return sealed_outcome(decrypt_write(CONTAINER_OF(sink, struct cms_body, opening), data, len));
}

static int cbc_finish(struct cms_body *body)
{
        int done;

        if (EVP_DecryptFinal_ex(body->context, body->block, &done) != 1) {
                crypto_errors_clear();
                return sealed_wrong();
        }
        TRY(sealed_outcome(plain_put(body, (size_t)done)));
        TRY(sealed_outcome(sink_finish(&body->inner->sink)));
        /* Control characters mean nothing in what is binary; but only what was encrypted itself may say that it is. */
        if (body->garbled && body->layer->reading->binary_depth <= body->layer->depth)
                finding_add(body->layer->reading->report, PROBLEM_MAIL_DECEPTIVE, body->layer->depth,
                            "The decrypted text has blocks that are no text, as when somebody without the key pastes pieces of encrypted "
                            "messages together; its content is not given out.");
        return 0;
}

/* ---- GCM */

static int gcm_start(struct cms_body *body, struct bytes authenticated)
{
        int done;

        if (EVP_DecryptInit_ex(body->context, body->cipher.cipher(), NULL, NULL, NULL) != 1 ||
            EVP_CIPHER_CTX_ctrl(body->context, EVP_CTRL_AEAD_SET_IVLEN, (int)body->cipher.iv_len, NULL) != 1 ||
            EVP_DecryptInit_ex(body->context, NULL, NULL, body->key.data, body->cipher.iv) != 1)
                return crypto_fault("Starting a cipher");
        if (authenticated.len > 0 &&
            EVP_DecryptUpdate(body->context, NULL, &done, authenticated.data, (int)authenticated.len) != 1)
                return crypto_fault("Starting a cipher");
        return 0;
}

/* Decrypt only for the tag. */
static int gcm_pass(struct cms_body *body, const uint8_t *data, size_t len)
{
        while (len > 0) {
                size_t take = MIN(len, (size_t)SEALED_BLOCK);
                int done;

                if (EVP_DecryptUpdate(body->context, body->block, &done, data, (int)take) != 1)
                        return crypto_fault("Checking the message");
                data += take;
                len -= take;
        }
        return 0;
}

/* While the ciphertext comes: keep it, and compute the tag as it is without authenticated attributes, which come last and are rare. */
static int gcm_write(struct sink *sink, const uint8_t *data, size_t len)
{
        struct cms_body *body = CONTAINER_OF(sink, struct cms_body, opening);

        TRY(gcm_pass(body, data, len));
        return PASS(sink_write(&body->spool.sink, data, len));
}

static int gcm_check_write(struct sink *sink, const uint8_t *data, size_t len)
{
        return PASS(gcm_pass(CONTAINER_OF(sink, struct cms_body, opening), data, len));
}

static int gcm_open_write(struct sink *sink, const uint8_t *data, size_t len)
{
        return PASS(decrypt_write(CONTAINER_OF(sink, struct cms_body, opening), data, len));
}

static int gcm_tag_check(struct cms_body *body, struct bytes tag)
{
        int done;

        if (tag.len != body->cipher.tag_len ||
            EVP_CIPHER_CTX_ctrl(body->context, EVP_CTRL_AEAD_SET_TAG, (int)tag.len, (void *)(uintptr_t)tag.data) != 1 ||
            EVP_DecryptFinal_ex(body->context, body->block, &done) != 1) {
                crypto_errors_clear();
                return sealed_wrong();
        }
        return 0;
}

static int gcm_finish(struct cms_body *body)
{
        CLEANUP(buf_done) struct buf attributes = buf_copy_of(buf_view(&body->cms.fields[CMS_AUTH_ATTRS]));
        struct bytes tag;

        TRY(der_read_only(buf_view(&body->cms.fields[CMS_MAC]), DER_OCTET_STRING, &tag));
        if (attributes.len > 0) { /* RFC 5083 2.2: with the tag of a SET OF */
                attributes.data[0] = DER_SET;
                TRY(gcm_start(body, buf_view(&attributes)));
                body->opening = (struct sink){gcm_check_write, NULL};
                TRY(spool_replay(&body->spool, &body->opening));
        }
        TRY(gcm_tag_check(body, tag));
        TRY(gcm_start(body, BYTES_NONE));
        body->opening = (struct sink){gcm_open_write, NULL};
        TRY(spool_replay(&body->spool, &body->opening));
        return PASS(sink_finish(&body->inner->sink));
}

/* ---- both */

static void key_say(const struct cms_body *body, const struct mail_own_key *own)
{
        struct mail_report *report = body->layer->reading->report;
        CLEANUP(buf_done) struct buf serial = BUF_NONE;

        hex_add(&serial, own->certificate->serial);
        finding_add(report, PROBLEM_NONE, body->layer->depth, "Encrypted with %s; opened with your key of certificate %s.%s",
                    body->cipher.name, buf_text(&serial),
                    body->cipher.authenticated ? "" : " This cipher does not show alterations; only a signature inside does.");
        if (body->cipher.weak)
                finding_add(report, PROBLEM_MAIL_WEAK, body->layer->depth, "The message is encrypted with %s, which is no longer strong.",
                            body->cipher.name);
}

int sealed_begin(struct cms_body *body)
{
        struct reading *reading = body->layer->reading;
        struct cms_reader *cms = &body->cms;
        const struct mail_own_key *own;

        TRY(cms_cipher_read(buf_view(&cms->fields[CMS_ALGORITHM]), &body->cipher));
        if (body->cipher.authenticated != (cms->kind == CMS_AUTH_ENVELOPED))
                return refuse(PROBLEM_UNSUPPORTED, "The message is encrypted with a cipher that does not belong in this kind of envelope.");
        TRY(recipients_open(buf_view(&cms->fields[CMS_RECIPIENTS]), reading->keys, body->cipher.key_len, &body->key, &own));
        reading->report->encrypted_layers++;
        key_say(body, own);
        body->block = mem_array(SEALED_BLOCK + 32, 1);
        body->context = EVP_CIPHER_CTX_new();
        if (!body->context)
                abort();
        reading->sealed_depth = body->layer->depth + 1;
        body->inner = layer_new(reading, reading->sealed_depth, body->cipher.authenticated ? LAYER_SEALED : LAYER_SEALED_CBC, true);
        cms->content = &body->opening;
        if (body->cipher.authenticated) {
                body->opening = (struct sink){gcm_write, NULL};
                return PASS(gcm_start(body, BYTES_NONE));
        }
        body->opening = (struct sink){cbc_write, NULL};
        if (EVP_DecryptInit_ex(body->context, body->cipher.cipher(), NULL, body->key.data, body->cipher.iv) != 1)
                return crypto_fault("Starting a cipher");
        return 0;
}

int sealed_finish(struct cms_body *body)
{
        if (!body->cms.has_content)
                return refuse(PROBLEM_MAIL_ALTERED, "The message has an envelope, but nothing inside.");
        return body->cipher.authenticated ? PASS(gcm_finish(body)) : PASS(cbc_finish(body));
}

void sealed_done(struct cms_body *body)
{
        EVP_CIPHER_CTX_free(body->context);
        secret_done(&body->key);
        spool_done(&body->spool);
        if (body->block)
                memory_wipe(body->block, SEALED_BLOCK + 32);
        free(body->block);
}
