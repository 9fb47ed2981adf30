/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/token.h"

#include <ctype.h>
#include <string.h>

#include "base/fault.h"

/*
 * Each part is a code word of the shortened Reed–Solomon code over GF(32) with the generator (x−α)(x−α²), length 28 or
 * 14 ≤ 31, distance 3: the word, read as a polynomial with the first symbol as the highest coefficient, is zero at α
 * and α².
 */
enum {
        SYMBOLS = 28,
        SECRET_SYMBOLS = 20,
        SECRET_SIZE = 13,
        MAIL_SYMBOLS = 14,
        MAIL_SECRET_SYMBOLS = 12,
        MAIL_SIZE = 8,
        BOTH_SYMBOLS = SYMBOLS + MAIL_SYMBOLS,
        GROUP = 7,
        OF_TWO_PARTS = 16, /* this bit of the first symbol */
};
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
static void syndromes(const uint8_t *word, unsigned len, uint8_t *ret_first, uint8_t *ret_second)
{
        uint8_t first = 0, second = 0;

        for (unsigned i = 0; i < len; i++) {
                first = times(first, 2) ^ word[i];
                second = times(second, 4) ^ word[i];
        }
        *ret_first = first;
        *ret_second = second;
}

static bool word_is_right(const uint8_t *word, unsigned len)
{
        uint8_t first, second;

        syndromes(word, len, &first, &second);
        return !(first | second);
}

/* Choose the last two symbols c, d so that the word is zero at both: αc + d = s₁, α²c + d = s₂. */
static void word_complete(uint8_t *word, unsigned len)
{
        enum { INVERSE_OF_SUM = 14 }; /* 1/(α+α²) = 1/6 */
        uint8_t first, second;

        word[len - 2] = word[len - 1] = 0;
        syndromes(word, len, &first, &second);
        word[len - 2] = times(first ^ second, INVERSE_OF_SUM);
        word[len - 1] = first ^ times(word[len - 2], 2);
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

/* The first symbol says of how many parts. */
static struct token token_make(uint8_t parts)
{
        struct token token = {.secret = secret_random(SECRET_SIZE)};
        uint8_t random[TOKEN_SELECTOR_SIZE];

        token.secret.data[SECRET_SIZE - 1] &= 0xf0;
        random_fill(random, sizeof(random));
        random[0] = (random[0] & (OF_TWO_PARTS - 1)) | parts;
        for (unsigned i = 0; i < TOKEN_SELECTOR_SIZE; i++)
                token.selector[i] = alphabet[random[i] & 31];
        return token;
}

struct token token_new(void)
{
        return token_make(0);
}

void token_done(struct token *token)
{
        secret_done(&token->secret);
        secret_done(&token->mail);
        *token = TOKEN_NONE;
}

bool token_is_split(const struct token *token)
{
        return *token->selector && symbol_of(*token->selector) & OF_TWO_PARTS;
}

/* In groups with dashes between them; the word is wiped. */
static struct secret word_text(uint8_t *word, unsigned len)
{
        struct secret text = secret_new(len + (len - 1) / GROUP);

        word_complete(word, len);
        for (unsigned i = 0; i < len; i++)
                text.data[i + i / GROUP] = (uint8_t)alphabet[word[i] & 31];
        for (unsigned i = GROUP; i < text.len; i += GROUP + 1)
                text.data[i] = '-';
        memory_wipe(word, len);
        return text;
}

static void hand_word(const struct token *token, uint8_t word[static SYMBOLS])
{
        for (unsigned i = 0; i < TOKEN_SELECTOR_SIZE; i++)
                word[i] = (uint8_t)symbol_of(token->selector[i]);
        for (unsigned i = 0; i < SECRET_SYMBOLS; i++)
                word[TOKEN_SELECTOR_SIZE + i] = secret_symbol(&token->secret, i);
}

struct secret token_text(const struct token *token)
{
        uint8_t word[SYMBOLS];

        hand_word(token, word);
        return word_text(word, SYMBOLS);
}

/* One part by hand in a thousand begins with what is right as a part by mail; then what follows is right too, since
 * the code is linear, and both parts in one text could be taken apart in two ways. */
static bool hand_is_ambiguous(const struct token *token)
{
        uint8_t word[SYMBOLS];
        bool ambiguous;

        hand_word(token, word);
        word_complete(word, SYMBOLS);
        ambiguous = word_is_right(word, MAIL_SYMBOLS);
        memory_wipe(word, sizeof(word));
        return ambiguous;
}

struct token token_new_split(void)
{
        struct token token = token_make(OF_TWO_PARTS);

        while (hand_is_ambiguous(&token)) {
                token_done(&token);
                token = token_make(OF_TWO_PARTS);
        }
        token.mail = secret_random(MAIL_SIZE);
        token.mail.data[MAIL_SIZE - 1] &= 0xf0;
        return token;
}

struct secret token_mail_text(const struct token *token)
{
        uint8_t word[MAIL_SYMBOLS];

        if (!token->mail.len)
                return SECRET_NONE;
        for (unsigned i = 0; i < MAIL_SECRET_SYMBOLS; i++)
                word[i] = secret_symbol(&token->mail, i);
        return word_text(word, MAIL_SYMBOLS);
}

bool token_text_is_in(struct bytes text, const struct secret *token_text)
{
        for (size_t at = 0; at + GROUP <= token_text->len; at += GROUP + 1)
                for (size_t i = 0; i + GROUP <= text.len; i++)
                        if (strncasecmp((const char *)text.data + i, (const char *)token_text->data + at, GROUP) == 0)
                                return true;
        return false;
}

static bool is_blank(char c)
{
        return c == '-' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* ---- reading */

/* The sentence names the place, never the symbol: it may be a right one of somebody's token. */
static int symbols_read(struct bytes text, uint8_t symbols[static BOTH_SYMBOLS], unsigned *ret_count)
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
                if (count == BOTH_SYMBOLS)
                        return refuse(PROBLEM_TOKEN_TYPO, "There are more than the %d symbols of both parts of a token.",
                                      BOTH_SYMBOLS);
                symbols[count++] = (uint8_t)symbol;
        }
        *ret_count = count;
        return 0;
}

static int mistyped(const char *what)
{
        return refuse(PROBLEM_TOKEN_TYPO, "%s was mistyped somewhere: its check symbols do not fit. Compare it.", what);
}

/* Take a part in. Of two different ones nobody can say which is meant. */
static int part_take(struct secret *part, struct secret *fresh, const char *what)
{
        if (part->len && !bytes_equal_constant_time(secret_view(part), secret_view(fresh)))
                return refuse(PROBLEM_TOKEN_PART, "Two different %s are given; give those that belong together.", what);
        if (!part->len)
                *part = secret_take(fresh);
        return 0;
}

static int hand_take(const uint8_t *word, struct token *token)
{
        CLEANUP(secret_done) struct secret secret = secret_new(SECRET_SIZE);
        char selector[TOKEN_SELECTOR_SIZE + 1] = "";

        if (!word_is_right(word, SYMBOLS))
                return mistyped("The token");
        for (unsigned i = 0; i < TOKEN_SELECTOR_SIZE; i++)
                selector[i] = alphabet[word[i]];
        for (unsigned i = 0; i < SECRET_SYMBOLS; i++)
                secret_symbol_set(&secret, i, word[TOKEN_SELECTOR_SIZE + i]);
        TRY(part_take(&token->secret, &secret, "tokens or parts by hand"));
        memcpy(token->selector, selector, sizeof(selector));
        return 0;
}

static int mail_take(const uint8_t *word, struct token *token)
{
        CLEANUP(secret_done) struct secret secret = secret_new(MAIL_SIZE);

        if (!word_is_right(word, MAIL_SYMBOLS))
                return mistyped("The part that came by mail");
        for (unsigned i = 0; i < MAIL_SECRET_SYMBOLS; i++)
                secret_symbol_set(&secret, i, word[i]);
        return PASS(part_take(&token->mail, &secret, "parts by mail"));
}

/* Both in one text, in either order. */
static int both_take(const uint8_t *word, struct token *token)
{
        bool first = word_is_right(word, SYMBOLS) && word[0] & OF_TWO_PARTS;
        bool last = word_is_right(word + MAIL_SYMBOLS, SYMBOLS) && word[MAIL_SYMBOLS] & OF_TWO_PARTS;

        if (!first && !last)
                return mistyped("The part by hand");
        TRY(hand_take(first ? word : word + MAIL_SYMBOLS, token));
        return PASS(mail_take(first ? word + SYMBOLS : word, token));
}

static int word_take(const uint8_t *word, unsigned count, struct token *token)
{
        switch (count) {
        case SYMBOLS:
                return PASS(hand_take(word, token));
        case MAIL_SYMBOLS:
                return PASS(mail_take(word, token));
        case BOTH_SYMBOLS:
                return PASS(both_take(word, token));
        default:
                return refuse(PROBLEM_TOKEN_TYPO,
                              "There are %u symbols; a token has %d, in four groups of %d, and a part that came by mail "
                              "has %d, in two.",
                              count, SYMBOLS, GROUP, MAIL_SYMBOLS);
        }
}

int token_add(struct bytes text, struct token *token)
{
        uint8_t word[BOTH_SYMBOLS];
        unsigned count = 0;
        int r = symbols_read(text, word, &count);

        if (!r)
                r = word_take(word, count, token);
        memory_wipe(word, sizeof(word));
        return PASS(r);
}

int token_check_whole(const struct token *token)
{
        if (!token->secret.len)
                return refuse(PROBLEM_TOKEN_PART,
                              "This is the part of a token that came by mail. The other part, of %d symbols, is given "
                              "to you by hand; both are needed.",
                              SYMBOLS);
        if (token_is_split(token) && !token->mail.len)
                return refuse(PROBLEM_TOKEN_PART,
                              "This is one of two parts of a token. The other part, of %d symbols, comes by mail; both "
                              "are needed.",
                              MAIL_SYMBOLS);
        if (!token_is_split(token) && token->mail.len)
                return refuse(PROBLEM_TOKEN_PART, "This token is whole; the part that came by mail belongs to another "
                                                  "one, which begins with a letter from J to Z.");
        return 0;
}

int token_parse(struct bytes text, struct token *ret_token)
{
        CLEANUP(token_done) struct token token = TOKEN_NONE;

        TRY(token_add(text, &token));
        TRY(token_check_whole(&token));
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

/* From both secrets of a token in two parts; the label differs, so that no part is ever good for a whole. */
static struct secret derive(const struct token *token, const char *label, size_t len)
{
        CLEANUP(buf_done) struct buf info = BUF_NONE;
        CLEANUP(secret_done) struct secret both = secret_new(token->secret.len + token->mail.len);

        memcpy(both.data, token->secret.data, token->secret.len);
        if (token->mail.len)
                memcpy(both.data + token->secret.len, token->mail.data, token->mail.len);
        buf_add_format(&info, "vouchsafe token %s %s %s", token->mail.len ? "2" : "1", label, token->selector);
        return hkdf(secret_view(&both), BYTES_NONE, buf_view(&info), len);
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
