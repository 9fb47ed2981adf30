/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Base64 as a transfer encoding (RFC 2045 6.8), fast enough not to matter: SSSE3 where the processor has it.
 *
 * The encoder writes lines of 64 characters. The decoder leaves out white space. It never fails: at the first
 * thing that is not base64 it sets `bad` and stops; after padding it takes white space only. Whoever reads the decoded data
 * knows whether they were complete, and so what `bad` means: a cut message, or text that somebody put below.
 */
#include "mail/stream.h"

struct base64_encoder {
        struct sink sink;
        struct sink *next;
        bool crlf;
        uint8_t rest[48];
        size_t rest_len;
        uint8_t *out;
};
void base64_encoder_init(struct base64_encoder *encoder, bool crlf, struct sink *next);
/* Write what is left and end its line, without finishing the next stage. */
int base64_encoder_end(struct base64_encoder *encoder) must_check;
void base64_encoder_done(struct base64_encoder *encoder);

struct base64_decoder {
        struct sink sink;
        struct sink *next;
        uint32_t bits;
        unsigned phase;  /* characters of a group of four so far */
        unsigned padding;
        bool bad;
        uint8_t *out;
};
void base64_decoder_init(struct base64_decoder *decoder, struct sink *next);
void base64_decoder_done(struct base64_decoder *decoder);

/* For tests: do without SSSE3. */
void base64_use_portable(bool portable);
