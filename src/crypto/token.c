/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/token.h"

#include <ctype.h>

#include "base/fault.h"

/*
 * A token is a code word of the shortened Reed–Solomon code over GF(32) with the generator (x−α)(x−α²), length 28 ≤
 * 31, distance 3: the word, read as a polynomial with the first symbol as the highest coefficient, is zero at α and
 * α².
 */
enum { SYMBOLS = 28, SECRET_SYMBOLS = 20, SECRET_SIZE = 13, GROUP = 7 };
static const char alphabet[] = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/* Multiply in GF(32) = GF(2)[x]/(x⁵+x²+1), in which x is primitive; without tables and branches on what is secret. */
static uint8_t times(uint8_t a, uint8_t b)
{
        unsigned product = 0;

        for (unsigned i = 0; i < 5; i++)
                product ^= ((unsigned)a << i) & (0u - ((b >> i) & 1u));
        for (unsigned i = 8; i >= 5; i--)
                product ^= (0x25u << (i - 5)) & (0u - ((product >> i) & 1u));
        return (uint8_t)product;
}

/* The word at α and α². */
static void syndromes(const uint8_t word[static SYMBOLS], uint8_t *ret_first, uint8_t *ret_second)
{
        uint8_t first = 0, second = 0;

        for (unsigned i = 0; i < SYMBOLS; i++) {
                first = times(first, 2) ^ word[i];
                second = times(second, 4) ^ word[i];
        }
        *ret_first = first;
        *ret_second = second;
}

/* Choose the last two symbols c, d so that the word is zero at both: αc + d = s₁, α²c + d = s₂. */
static void word_complete(uint8_t word[static SYMBOLS])
{
        enum { INVERSE_OF_SUM = 14 }; /* 1/(α+α²) = 1/6 */
        uint8_t first, second;

        word[SYMBOLS - 2] = word[SYMBOLS - 1] = 0;
        syndromes(word, &first, &second);
        word[SYMBOLS - 2] = times(first ^ second, INVERSE_OF_SUM);
        word[SYMBOLS - 1] = first ^ times(word[SYMBOLS - 2], 2);
}

static int symbol_of(char c)
{
        const char *place = c ? strchr(alphabet, toupper((unsigned char)c)) : NULL;

        return place ? (int)(place - alphabet) : -1;
}

static uint8_t secret_symbol(const struct secret *secret, unsigned index)
{
        unsigned symbol = 0;

        for (unsigned bit = index * 5; bit < index * 5 + 5; bit++)
                symbol = symbol << 1 | ((secret->data[bit / 8] >> (7 - bit % 8)) & 1u);
        return (uint8_t)symbol;
}

static void secret_symbol_set(struct secret *secret, unsigned index, uint8_t symbol)
{
        for (unsigned i = 0; i < 5; i++) {
                unsigned bit = index * 5 + i;

                secret->data[bit / 8] |= (uint8_t)(((symbol >> (4 - i)) & 1u) << (7 - bit % 8));
        }
}

struct token token_new(void)
{
        struct token token = {.secret = secret_random(SECRET_SIZE)};
        uint8_t random[TOKEN_SELECTOR_SIZE];

        token.secret.data[SECRET_SIZE - 1] &= 0xf0;
        random_fill(random, sizeof(random));
        for (unsigned i = 0; i < TOKEN_SELECTOR_SIZE; i++)
                token.selector[i] = alphabet[random[i] & 31];
        return token;
}

void token_done(struct token *token)
{
        secret_done(&token->secret);
        *token = TOKEN_NONE;
}

struct secret token_text(const struct token *token)
{
        struct secret text = secret_new(TOKEN_TEXT_SIZE);
        uint8_t word[SYMBOLS];

        for (unsigned i = 0; i < TOKEN_SELECTOR_SIZE; i++)
                word[i] = (uint8_t)symbol_of(token->selector[i]);
        for (unsigned i = 0; i < SECRET_SYMBOLS; i++)
                word[TOKEN_SELECTOR_SIZE + i] = secret_symbol(&token->secret, i);
        word_complete(word);
        for (unsigned i = 0; i < SYMBOLS; i++)
                text.data[i + i / GROUP] = (uint8_t)alphabet[word[i] & 31];
        for (unsigned i = GROUP; i < TOKEN_TEXT_SIZE; i += GROUP + 1)
                text.data[i] = '-';
        memory_wipe(word, sizeof(word));
        return text;
}

static bool is_blank(char c)
{
        return c == '-' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The sentence names the place, never the symbol: it may be a right one of somebody's token. */
static int word_read(struct bytes text, uint8_t word[static SYMBOLS])
{
        unsigned count = 0;

        for (size_t i = 0; i < text.len; i++) {
                int symbol;

                if (is_blank((char)text.data[i]))
                        continue;
                symbol = symbol_of((char)text.data[i]);
                if (symbol < 0)
                        return refuse(PROBLEM_TOKEN_TYPO,
                                      "Symbol %u of group %u is in no token: tokens have digits from 2 to 9 and "
                                      "letters without I and O.",
                                      count % GROUP + 1, count / GROUP + 1);
                if (count == SYMBOLS)
                        return refuse(PROBLEM_TOKEN_TYPO, "There are more than the %d symbols of a token.", SYMBOLS);
                word[count++] = (uint8_t)symbol;
        }
        if (count != SYMBOLS)
                return refuse(PROBLEM_TOKEN_TYPO, "There are %u symbols; a token has %d, in four groups of %d.",
                              count, SYMBOLS, GROUP);
        return 0;
}

static int word_check(const uint8_t word[static SYMBOLS])
{
        uint8_t first, second;

        syndromes(word, &first, &second);
        if (first | second)
                return refuse(PROBLEM_TOKEN_TYPO,
                              "The token was mistyped somewhere: its check symbols do not fit. Compare it.");
        return 0;
}

int token_parse(struct bytes text, struct token *ret_token)
{
        CLEANUP(token_done) struct token token = {.secret = secret_new(SECRET_SIZE)};
        uint8_t word[SYMBOLS];
        int r = word_read(text, word);

        if (!r)
                r = word_check(word);
        for (unsigned i = 0; !r && i < TOKEN_SELECTOR_SIZE; i++)
                token.selector[i] = alphabet[word[i]];
        for (unsigned i = 0; !r && i < SECRET_SYMBOLS; i++)
                secret_symbol_set(&token.secret, i, word[TOKEN_SELECTOR_SIZE + i]);
        memory_wipe(word, sizeof(word));
        if (r)
                return r;
        *ret_token = token;
        token = TOKEN_NONE;
        return 0;
}

int selector_check(struct bytes text)
{
        bool right = text.len == TOKEN_SELECTOR_SIZE;

        for (size_t i = 0; right && i < text.len; i++)
                right = text.data[i] && strchr(alphabet, text.data[i]);
        if (!right)
                return refuse(PROBLEM_MALFORMED, "A selector is not of %d symbols of a token.", TOKEN_SELECTOR_SIZE);
        return 0;
}

static struct secret derive(const struct token *token, const char *label, size_t len)
{
        CLEANUP(buf_done) struct buf info = BUF_NONE;

        buf_add_format(&info, "vouchsafe token 1 %s %s", label, token->selector);
        return hkdf(secret_view(&token->secret), BYTES_NONE, buf_view(&info), len);
}

struct secret token_auth(const struct token *token)
{
        return derive(token, "auth", KEY_SIZE);
}

int token_recipient(const struct token *token, struct secret *ret_scalar, struct point *ret_public)
{
        CLEANUP(secret_done) struct secret uniform = derive(token, "recipient", 48), scalar = SECRET_NONE;

        TRY(scalar_from_uniform(&uniform, &scalar));
        TRY(point_of_scalar(&scalar, ret_public));
        *ret_scalar = secret_take(&scalar);
        return 0;
}
