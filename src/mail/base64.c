/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/base64.h"

#include "base/mem.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define HAVE_SSSE3 1
#else
#define HAVE_SSSE3 0
#endif

enum { LINE_IN = 48, LINE_OUT = 64, LINES_AT_ONCE = 512, DECODE_AT_ONCE = 64 * 1024 };

static bool portable_only;

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum { CHAR_SPACE = 64, CHAR_PAD = 65, CHAR_BAD = 66 };
#define XX CHAR_BAD
/* The value of a character, or what else it is. */
static const uint8_t values[256] = {
        XX, XX, XX, XX, XX, XX, XX, XX, XX, 64, 64, XX, 64, 64, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
        64, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, 62, XX, XX, XX, 63, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, XX, XX, XX, 65, XX, XX,
        XX, 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, XX, XX, XX, XX, XX,
        XX, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, XX, XX, XX, XX, XX,
        XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
        XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
        XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
        XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
};
#undef XX

void base64_use_portable(bool portable)
{
        portable_only = portable;
}

static bool fast(void)
{
#if HAVE_SSSE3
        return !portable_only && __builtin_cpu_supports("ssse3");
#else
        return false;
#endif
}

/* ---- writing */

static uint8_t *encode_portable(const uint8_t *in, size_t len, uint8_t *out)
{
        for (; len >= 3; in += 3, len -= 3) {
                *out++ = (uint8_t)alphabet[in[0] >> 2];
                *out++ = (uint8_t)alphabet[(in[0] & 3) << 4 | in[1] >> 4];
                *out++ = (uint8_t)alphabet[(in[1] & 15) << 2 | in[2] >> 6];
                *out++ = (uint8_t)alphabet[in[2] & 63];
        }
        if (len > 0) {
                uint8_t second = len > 1 ? in[1] : 0;

                *out++ = (uint8_t)alphabet[in[0] >> 2];
                *out++ = (uint8_t)alphabet[(in[0] & 3) << 4 | second >> 4];
                *out++ = len > 1 ? (uint8_t)alphabet[(second & 15) << 2] : '=';
                *out++ = '=';
        }
        return out;
}

#if HAVE_SSSE3
/* After Wojciech Muła, "Base64 encoding with SIMD instructions". */
__attribute__((target("ssse3"))) static inline __m128i encode_12(__m128i in)
{
        const __m128i shift = _mm_setr_epi8('a' - 26, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52,
                                            '0' - 52, '0' - 52, '0' - 52, '+' - 62, '/' - 63, 'A', 0, 0);
        __m128i high, low, indices, result;

        in = _mm_shuffle_epi8(in, _mm_set_epi8(10, 11, 9, 10, 7, 8, 6, 7, 4, 5, 3, 4, 1, 2, 0, 1));
        high = _mm_mulhi_epu16(_mm_and_si128(in, _mm_set1_epi32(0x0fc0fc00)), _mm_set1_epi32(0x04000040));
        low = _mm_mullo_epi16(_mm_and_si128(in, _mm_set1_epi32(0x003f03f0)), _mm_set1_epi32(0x01000010));
        indices = _mm_or_si128(high, low);
        result = _mm_subs_epu8(indices, _mm_set1_epi8(51));
        result = _mm_or_si128(result, _mm_and_si128(_mm_cmpgt_epi8(_mm_set1_epi8(26), indices), _mm_set1_epi8(13)));
        return _mm_add_epi8(_mm_shuffle_epi8(shift, result), indices);
}

__attribute__((target("ssse3"))) static uint8_t *encode_lines_ssse3(const uint8_t *in, size_t lines, bool crlf, uint8_t *out)
{
        for (; lines > 0; lines--, in += LINE_IN) {
                /* The last load begins early, so as not to reach beyond the line. */
                __m128i last = _mm_srli_si128(_mm_loadu_si128((const __m128i *)(const void *)(in + 32)), 4);

                for (int i = 0; i < 3; i++)
                        _mm_storeu_si128((__m128i *)(void *)(out + 16 * i),
                                         encode_12(_mm_loadu_si128((const __m128i *)(const void *)(in + 12 * i))));
                _mm_storeu_si128((__m128i *)(void *)(out + 48), encode_12(last));
                out += LINE_OUT;
                if (crlf)
                        *out++ = '\r';
                *out++ = '\n';
        }
        return out;
}
#endif

static uint8_t *encode_lines(const uint8_t *in, size_t lines, bool crlf, uint8_t *out)
{
#if HAVE_SSSE3
        if (fast())
                return encode_lines_ssse3(in, lines, crlf, out);
#endif
        for (; lines > 0; lines--, in += LINE_IN) {
                out = encode_portable(in, LINE_IN, out);
                if (crlf)
                        *out++ = '\r';
                *out++ = '\n';
        }
        return out;
}

static int encoder_write(struct sink *sink, const uint8_t *data, size_t len)
{
        struct base64_encoder *encoder = CONTAINER_OF(sink, struct base64_encoder, sink);
        uint8_t *end;

        if (encoder->rest_len > 0) {
                size_t take = MIN(len, LINE_IN - encoder->rest_len);

                memcpy(encoder->rest + encoder->rest_len, data, take);
                encoder->rest_len += take;
                data += take;
                len -= take;
                if (encoder->rest_len < LINE_IN)
                        return 0;
                end = encode_lines(encoder->rest, 1, encoder->crlf, encoder->out);
                encoder->rest_len = 0;
                TRY(sink_write(encoder->next, encoder->out, (size_t)(end - encoder->out)));
        }
        while (len >= LINE_IN) {
                size_t lines = MIN(len / LINE_IN, (size_t)LINES_AT_ONCE);

                end = encode_lines(data, lines, encoder->crlf, encoder->out);
                data += lines * LINE_IN;
                len -= lines * LINE_IN;
                TRY(sink_write(encoder->next, encoder->out, (size_t)(end - encoder->out)));
        }
        memcpy(encoder->rest, data, len);
        encoder->rest_len = len;
        return 0;
}

int base64_encoder_end(struct base64_encoder *encoder)
{
        uint8_t *end;

        if (encoder->rest_len == 0)
                return 0;
        end = encode_portable(encoder->rest, encoder->rest_len, encoder->out);
        encoder->rest_len = 0;
        if (encoder->crlf)
                *end++ = '\r';
        *end++ = '\n';
        return PASS(sink_write(encoder->next, encoder->out, (size_t)(end - encoder->out)));
}

static int encoder_finish(struct sink *sink)
{
        struct base64_encoder *encoder = CONTAINER_OF(sink, struct base64_encoder, sink);

        TRY(base64_encoder_end(encoder));
        return PASS(sink_finish(encoder->next));
}

void base64_encoder_init(struct base64_encoder *encoder, bool crlf, struct sink *next)
{
        *encoder = (struct base64_encoder){.sink = {encoder_write, encoder_finish}, .next = next, .crlf = crlf};
        encoder->out = mem_array(LINES_AT_ONCE, LINE_OUT + 2);
}

void base64_encoder_done(struct base64_encoder *encoder)
{
        free(encoder->out);
        encoder->out = NULL;
}

/* ---- reading */

#if HAVE_SSSE3
/* Decode groups of 16 characters while they are all of the alphabet; writes 16 bytes for each 12. */
__attribute__((target("ssse3"))) static void decode_ssse3(const uint8_t **in, const uint8_t *end, uint8_t **out)
{
        const __m128i lut_lo = _mm_setr_epi8(0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x13, 0x1a, 0x1b, 0x1b,
                                             0x1b, 0x1a);
        const __m128i lut_hi = _mm_setr_epi8(0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10,
                                             0x10, 0x10);
        const __m128i lut_roll = _mm_setr_epi8(0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0);
        const __m128i slash = _mm_set1_epi8('/');

        while (end - *in >= 16) {
                __m128i text = _mm_loadu_si128((const __m128i *)(const void *)*in);
                __m128i high = _mm_and_si128(_mm_srli_epi32(text, 4), slash);
                __m128i low = _mm_and_si128(text, slash);
                __m128i wrong = _mm_and_si128(_mm_shuffle_epi8(lut_lo, low), _mm_shuffle_epi8(lut_hi, high));
                __m128i roll, bits;

                if (_mm_movemask_epi8(_mm_cmpgt_epi8(wrong, _mm_setzero_si128())) != 0)
                        return;
                roll = _mm_shuffle_epi8(lut_roll, _mm_add_epi8(_mm_cmpeq_epi8(text, slash), high));
                bits = _mm_maddubs_epi16(_mm_add_epi8(text, roll), _mm_set1_epi32(0x01400140));
                bits = _mm_madd_epi16(bits, _mm_set1_epi32(0x00011000));
                bits = _mm_shuffle_epi8(bits, _mm_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1));
                _mm_storeu_si128((__m128i *)(void *)*out, bits);
                *in += 16;
                *out += 12;
        }
}
#endif

/* Whole groups of four, while they are of the alphabet. */
static void decode_groups(const uint8_t **in, const uint8_t *end, uint8_t **out)
{
        const uint8_t *at = *in;
        uint8_t *to = *out;

        while (end - at >= 4) {
                uint8_t a = values[at[0]], b = values[at[1]], c = values[at[2]], d = values[at[3]];

                if ((a | b | c | d) & 0xc0)
                        break;
                *to++ = (uint8_t)(a << 2 | b >> 4);
                *to++ = (uint8_t)(b << 4 | c >> 2);
                *to++ = (uint8_t)(c << 6 | d);
                at += 4;
        }
        *in = at;
        *out = to;
}

/* One character that is no space. */
static void decode_one(struct base64_decoder *decoder, uint8_t value, uint8_t **out)
{
        if (value < 64 && decoder->padding == 0) {
                decoder->bits = decoder->bits << 6 | value;
                if (++decoder->phase < 4)
                        return;
                *(*out)++ = (uint8_t)(decoder->bits >> 16);
                *(*out)++ = (uint8_t)(decoder->bits >> 8);
                *(*out)++ = (uint8_t)decoder->bits;
                decoder->phase = 0;
        } else if (value == CHAR_PAD && decoder->phase >= 2) {
                decoder->padding++;
                if (++decoder->phase < 4)
                        return;
                decoder->bits <<= 6 * decoder->padding;
                *(*out)++ = (uint8_t)(decoder->bits >> 16);
                if (decoder->padding == 1)
                        *(*out)++ = (uint8_t)(decoder->bits >> 8);
                decoder->phase = 0;
        } else {
                decoder->bad = true;
        }
}

static uint8_t *decode_block(struct base64_decoder *decoder, const uint8_t *in, const uint8_t *end, uint8_t *out)
{
        bool simd = fast();

        while (in < end && !decoder->bad) {
                uint8_t value;

                if (decoder->phase == 0 && decoder->padding == 0) {
#if HAVE_SSSE3
                        if (simd)
                                decode_ssse3(&in, end, &out);
#endif
                        decode_groups(&in, end, &out);
                        if (in == end)
                                break;
                }
                value = values[*in++];
                if (value != CHAR_SPACE)
                        decode_one(decoder, value, &out);
        }
        (void)simd;
        return out;
}

static int decoder_write(struct sink *sink, const uint8_t *data, size_t len)
{
        struct base64_decoder *decoder = CONTAINER_OF(sink, struct base64_decoder, sink);

        while (len > 0 && !decoder->bad) {
                size_t take = MIN(len, (size_t)DECODE_AT_ONCE);
                uint8_t *end = decode_block(decoder, data, data + take, decoder->out);

                TRY(sink_write(decoder->next, decoder->out, (size_t)(end - decoder->out)));
                data += take;
                len -= take;
        }
        return 0;
}

static int decoder_finish(struct sink *sink)
{
        struct base64_decoder *decoder = CONTAINER_OF(sink, struct base64_decoder, sink);

        if (decoder->phase != 0)
                decoder->bad = true;
        return PASS(sink_finish(decoder->next));
}

void base64_decoder_init(struct base64_decoder *decoder, struct sink *next)
{
        *decoder = (struct base64_decoder){.sink = {decoder_write, decoder_finish}, .next = next};
        decoder->out = mem_array(DECODE_AT_ONCE, 1);
}

void base64_decoder_done(struct base64_decoder *decoder)
{
        free(decoder->out);
        decoder->out = NULL;
}
