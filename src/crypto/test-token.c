/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/fault.h"
#include "crypto/operation.h"
#include "crypto/token.h"

static const char alphabet[] = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

static void tokens_read_as_they_are_written(void **state)
{
        for (int i = 0; i < 200; i++) {
                CLEANUP(token_done) struct token token = token_new(), back = TOKEN_NONE;
                CLEANUP(secret_done) struct secret text = token_text(&token);

                assert_int_equal(text.len, TOKEN_TEXT_SIZE);
                assert_true(text.data[7] == '-' && text.data[15] == '-' && text.data[23] == '-');
                assert_memory_equal(text.data, token.selector, TOKEN_SELECTOR_SIZE);
                assert_int_equal(token_parse(secret_view(&text), &back), 0);
                assert_string_equal(back.selector, token.selector);
                assert_true(bytes_equal(secret_view(&back.secret), secret_view(&token.secret)));
        }
}

static void case_blanks_and_dashes_do_not_matter(void **state)
{
        CLEANUP(token_done) struct token token = token_new(), back = TOKEN_NONE;
        CLEANUP(secret_done) struct secret text = token_text(&token);
        char typed[80] = " ";
        size_t len = 1;

        for (size_t i = 0; i < text.len; i++)
                if (text.data[i] != '-') {
                        typed[len++] = (char)(text.data[i] >= 'A' ? text.data[i] | 0x20 : text.data[i]);
                        if (i % 3 == 0)
                                typed[len++] = ' ';
                }
        typed[len++] = '\n';
        assert_int_equal(token_parse(bytes_of(typed, len), &back), 0);
        assert_true(bytes_equal(secret_view(&back.secret), secret_view(&token.secret)));
}

/* Every single and double error: the code has distance 3. All pairs of places, with random other symbols. */
static void one_and_two_wrong_symbols_are_found(void **state)
{
        CLEANUP(token_done) struct token token = token_new(), back = TOKEN_NONE;
        CLEANUP(secret_done) struct secret text = token_text(&token);
        unsigned turn = 0;

        for (size_t i = 0; i < text.len; i++) {
                uint8_t first = text.data[i];

                for (unsigned a = 0; a < 32 && first != '-'; a++) {
                        text.data[i] = (uint8_t)alphabet[a];
                        assert_int_equal(token_parse(secret_view(&text), &back),
                                         text.data[i] == first ? 0 : PROBLEM_TOKEN_TYPO);
                        token_done(&back);
                        for (size_t k = i + 1; k < text.len && text.data[i] != first; k++) {
                                uint8_t second = text.data[k];

                                text.data[k] = (uint8_t)alphabet[turn++ % 32];
                                if (second != '-')
                                        assert_int_equal(token_parse(secret_view(&text), &back), PROBLEM_TOKEN_TYPO);
                                text.data[k] = second;
                        }
                }
                text.data[i] = first;
        }
}

static void exchanged_symbols_are_found(void **state)
{
        CLEANUP(token_done) struct token token = token_new(), back = TOKEN_NONE;
        CLEANUP(secret_done) struct secret text = token_text(&token);

        for (size_t i = 0; i < text.len; i++)
                for (size_t k = i + 1; k < text.len; k++) {
                        uint8_t a = text.data[i], b = text.data[k];

                        if (a == b || a == '-' || b == '-')
                                continue;
                        text.data[i] = b;
                        text.data[k] = a;
                        assert_int_equal(token_parse(secret_view(&text), &back), PROBLEM_TOKEN_TYPO);
                        text.data[i] = a;
                        text.data[k] = b;
                }
}

static void what_is_no_token_is_refused(void **state)
{
        static const char *const bad[] = {"", "-", "2222222-2222222-2222222-222222", "2222222-2222222-2222222-22222222",
                                          "O222222-2222222-2222222-2222222", "2222222-2222222-22I2222-2222222",
                                          "2222222-2222222-2222222-222222\xc3\xa9"};
        CLEANUP(token_done) struct token back = TOKEN_NONE;

        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                assert_int_equal(token_parse(bytes_text(bad[i]), &back), PROBLEM_TOKEN_TYPO);
        assert_int_equal(token_parse(bytes_of("2222222-2222222-2222222-222222\0", 31), &back), PROBLEM_TOKEN_TYPO);
        assert_int_equal(token_parse(bytes_text("2222222-2222222-22I2222-2222222"), &back), PROBLEM_TOKEN_TYPO);
        assert_non_null(strstr(report_text(), "Symbol 3 of group 3"));
        /* The word of zeros is a code word like any other. */
        assert_int_equal(token_parse(bytes_text("2222222-2222222-2222222-2222222"), &back), 0);
        assert_int_equal(selector_check(bytes_text("23456A")), 0);
        assert_int_equal(selector_check(bytes_text("23456a")), PROBLEM_MALFORMED);
        assert_int_equal(selector_check(bytes_text("23456AA")), PROBLEM_MALFORMED);
        assert_int_equal(selector_check(bytes_of("2345\0A", 6)), PROBLEM_MALFORMED);
}

static void derived_keys_differ_and_repeat(void **state)
{
        CLEANUP(token_done) struct token token = token_new(), back = TOKEN_NONE;
        CLEANUP(secret_done)
        struct secret text = token_text(&token),
                      auth = token_auth(&token), auth_again = SECRET_NONE;
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE, scalar_again = SECRET_NONE;
        struct point point, again;

        assert_int_equal(token_parse(secret_view(&text), &back), 0);
        auth_again = token_auth(&back);
        assert_true(bytes_equal(secret_view(&auth), secret_view(&auth_again)));
        assert_int_equal(token_recipient(&token, &scalar, &point), 0);
        assert_int_equal(token_recipient(&back, &scalar_again, &again), 0);
        assert_true(point_equal(&point, &again));
        assert_true(bytes_equal(secret_view(&scalar), secret_view(&scalar_again)));
        assert_false(bytes_equal(secret_view(&scalar), secret_view(&auth)));
}

static void operations_verify_only_as_they_were_signed(void **state)
{
        CLEANUP(secret_done) struct secret key = SECRET_NONE;
        struct operation operation = {bytes_text("server"), 1795000000, bytes_text("0123456789abcdef"),
                                      bytes_text("user_revoke"), bytes_text("message")};
        struct operation other;
        uint8_t signature[SIGNATURE_SIZE];
        struct point public;

        assert_int_equal(scalar_random(&key), 0);
        assert_int_equal(point_of_scalar(&key, &public), 0);
        assert_int_equal(operation_sign(&operation, &key, signature), 0);
        assert_int_equal(operation_verify(&operation, &public, bytes_of(signature, 64)), 0);
        assert_int_equal(operation_verify(&operation, &public, bytes_of(signature, 63)), PROBLEM_UNAUTHENTICATED);
        other = operation, other.created++;
        assert_int_equal(operation_verify(&other, &public, bytes_of(signature, 64)), PROBLEM_UNAUTHENTICATED);
        /* The border between two parts does not move. */
        other = operation, other.kind = bytes_text("user_revokem"), other.message = bytes_text("essage");
        assert_int_equal(operation_verify(&other, &public, bytes_of(signature, 64)), PROBLEM_UNAUTHENTICATED);
        signature[5] ^= 1;
        assert_int_equal(operation_verify(&operation, &public, bytes_of(signature, 64)), PROBLEM_UNAUTHENTICATED);
        memset(signature, 0, sizeof(signature));
        assert_int_equal(operation_verify(&operation, &public, bytes_of(signature, 64)), PROBLEM_UNAUTHENTICATED);
}

/* ---- in two parts */

static void parts_read_in_any_order(void **state)
{
        for (int i = 0; i < 200; i++) {
                CLEANUP(token_done) struct token token = token_new_split(), back = TOKEN_NONE;
                CLEANUP(secret_done) struct secret hand = token_text(&token), mail = token_mail_text(&token);
                CLEANUP(secret_done) struct secret right = token_auth(&token), auth = SECRET_NONE;
                char both[2][64];

                assert_int_equal(mail.len, TOKEN_MAIL_TEXT_SIZE);
                assert_true(token_is_split(&token));
                assert_true(token.selector[0] >= 'J');
                snprintf(both[0], sizeof(both[0]), "%.31s\n%.15s", (char *)hand.data, (char *)mail.data);
                snprintf(both[1], sizeof(both[1]), "%.15s %.31s", (char *)mail.data, (char *)hand.data);
                for (int order = 0; order < 2; order++) {
                        token_done(&back);
                        secret_done(&auth);
                        assert_int_equal(token_parse(bytes_text(both[order]), &back), 0);
                        auth = token_auth(&back);
                        assert_true(bytes_equal(secret_view(&auth), secret_view(&right)));
                }
                token_done(&back);
                assert_int_equal(token_add(secret_view(&mail), &back), 0);
                assert_int_equal(token_check_whole(&back), PROBLEM_TOKEN_PART);
                assert_int_equal(token_add(secret_view(&hand), &back), 0);
                assert_int_equal(token_add(secret_view(&hand), &back), 0); /* once more does no harm */
                assert_int_equal(token_check_whole(&back), 0);
                assert_string_equal(back.selector, token.selector);
        }
}

static void what_is_missing_is_said(void **state)
{
        CLEANUP(token_done) struct token split = token_new_split(), other = token_new_split(), whole = token_new();
        CLEANUP(token_done) struct token back = TOKEN_NONE;
        CLEANUP(secret_done) struct secret hand = token_text(&split), mail = token_mail_text(&split);
        CLEANUP(secret_done) struct secret others = token_mail_text(&other), one = token_text(&whole);

        assert_int_equal(token_parse(secret_view(&hand), &back), PROBLEM_TOKEN_PART);
        assert_non_null(strstr(report_text(), "14 symbols, comes by mail"));
        assert_int_equal(token_parse(secret_view(&mail), &back), PROBLEM_TOKEN_PART);
        assert_non_null(strstr(report_text(), "28 symbols, is given to you by hand"));
        assert_int_equal(token_add(secret_view(&mail), &back), 0);
        assert_int_equal(token_add(secret_view(&others), &back), PROBLEM_TOKEN_PART);
        assert_int_equal(token_add(secret_view(&one), &back), 0);
        assert_int_equal(token_check_whole(&back), PROBLEM_TOKEN_PART); /* a whole one needs none */
        assert_int_equal(token_mail_text(&whole).len, 0);
        assert_true(!token_is_split(&whole) && whole.selector[0] <= 'H');
}

static void typing_errors_of_a_part_are_found(void **state)
{
        CLEANUP(token_done) struct token token = token_new_split(), back = TOKEN_NONE;
        CLEANUP(secret_done) struct secret mail = token_mail_text(&token);
        unsigned turn = 0;

        for (size_t i = 0; i < mail.len; i++)
                for (size_t k = i; k < mail.len && mail.data[i] != '-'; k++) {
                        uint8_t first = mail.data[i], second = mail.data[k];

                        if (second == '-')
                                continue;
                        mail.data[k] = (uint8_t)alphabet[turn++ % 32];
                        mail.data[i] = (uint8_t)alphabet[(turn + 5) % 32];
                        if (mail.data[i] != first)
                                assert_int_equal(token_add(secret_view(&mail), &back), PROBLEM_TOKEN_TYPO);
                        mail.data[i] = first;
                        mail.data[k] = second;
                }
        assert_int_equal(token_add(secret_view(&mail), &back), 0);
}

static void each_part_is_needed(void **state)
{
        CLEANUP(token_done) struct token token = token_new_split(), alone = TOKEN_NONE, other = token_new_split();
        CLEANUP(secret_done) struct secret auth = token_auth(&token), wrong = SECRET_NONE, mixed = SECRET_NONE;
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE;
        struct point mine, others;

        memcpy(alone.selector, token.selector, sizeof(alone.selector));
        alone.secret = secret_copy(secret_view(&token.secret));
        wrong = token_auth(&alone);
        assert_false(bytes_equal(secret_view(&auth), secret_view(&wrong)));
        alone.mail = secret_copy(secret_view(&other.mail));
        mixed = token_auth(&alone);
        assert_false(bytes_equal(secret_view(&auth), secret_view(&mixed)));
        assert_int_equal(token_recipient(&token, &scalar, &mine), 0);
        secret_done(&scalar);
        assert_int_equal(token_recipient(&alone, &scalar, &others), 0);
        assert_false(bytes_equal(point_view(&mine), point_view(&others)));
}

static void a_token_in_a_text_is_seen(void **state)
{
        CLEANUP(secret_done) struct secret text = secret_copy(bytes_text("ABCDEFG-HJKLMN2"));

        assert_true(token_text_is_in(bytes_text("550 bad body: abcdefg"), &text));
        assert_true(token_text_is_in(bytes_text("xHJKLMN2x"), &text));
        assert_false(token_text_is_in(bytes_text("ABCDEF HJKLMN"), &text));
        assert_false(token_text_is_in(BYTES_NONE, &text));
        assert_false(token_text_is_in(bytes_text("ABCDEFG"), &SECRET_NONE));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(parts_read_in_any_order),
            cmocka_unit_test(what_is_missing_is_said),
            cmocka_unit_test(typing_errors_of_a_part_are_found),
            cmocka_unit_test(each_part_is_needed),
            cmocka_unit_test(a_token_in_a_text_is_seen),
            cmocka_unit_test(tokens_read_as_they_are_written),
            cmocka_unit_test(case_blanks_and_dashes_do_not_matter),
            cmocka_unit_test(one_and_two_wrong_symbols_are_found),
            cmocka_unit_test(exchanged_symbols_are_found),
            cmocka_unit_test(what_is_no_token_is_refused),
            cmocka_unit_test(derived_keys_differ_and_repeat),
            cmocka_unit_test(operations_verify_only_as_they_were_signed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
