/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/dn.h"
#include "base/fold.h"
#include "base/mem.h"
#include "base/text.h"

static char *search_key(const char *text)
{
        return fold_search_key(bytes_text(text));
}

static char *key_by(void (*add)(struct buf *out, struct bytes text), const char *text)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE;

        add(&key, bytes_text(text));
        return text_copy(buf_text(&key));
}

/* Names of which it may matter whether they are equal: as the same name, as a group's, and to who looks for
 * them. */
static const struct {
        const char *a, *b;
        bool same, name, found;
} pairs[] = {
    {"Smith", "SMITH", true, true, true},
    {"Ünal", "ünal", true, true, true},
    {"ŽIŽEK", "Žižek", true, true, true},
    {"ИВАНОВ", "Иванов", true, true, true},
    {"U\u0308nal", "Ünal", false, true, true}, /* Samba and 389 hold them apart */
    {"T\u0308", "ẗ", false, true, true},       /* there is no T with two dots */
    {"ΝΊΚΟΣ", "νίκος", false, false, true},    /* final sigma */
    {"νίκοσ", "νίκος", false, false, true},
    {"Strauß", "Strauss", false, false, true},
    {"STRAẞE", "straße", false, false, true},
    {"İpek", "ipek", false, false, true},
    {"I\u0307pek", "İpek", false, true, true},
    {"YİĞİT", "yiğit", false, false, true},
    {"i\u0307\u0362\u034f\u0307", "i\u0362", false, false, true}, /* a dot held apart from its i */
    {"Ilgın", "ılgın", false, false, false}, /* dotless */
    {"Admins", "Ad\u00admins", false, false, true},
    {"Admins", "Ad\u200bmins", false, false, true},
    {"Admins", "\ufeffAdmins\u200d", false, false, true},
    {"Admins", "Аdmins", false, false, false}, /* Cyrillic А */
    {"Kim", "\u212aim", false, true, true},    /* Kelvin sign */
    {"Ångström", "\u212bngström", false, true, true},
    {"ſmith", "smith", false, false, true},
    {"µ", "μ", false, false, true},
    {"ﬁne", "fine", false, false, true},
    {"ＡＢＣ", "abc", false, false, true},
    {"ℂ", "c", false, false, true},
    {"Ⅷ", "ⅷ", true, true, true},
    {"ǅ", "ǆ", false, false, true},
    {"a\u00a0b", "a b", false, false, true},
    {"  a   b ", "a b", false, false, true},
    {"a\u3000\u2009b", "a b", false, false, true},
    {"e\u034f\u0301", "é", false, false, true}, /* held apart by what cannot be seen */
    {"가", "\u1100\u1161", false, true, true},
    {"😀", "😁", false, false, false},
    {"👩\u200d💻", "👩💻", false, false, true},
    {"ü", "u", false, false, false},
    {"\xff", "\xfe", false, false, false},
    {"A\xff", "a\xff", true, true, true},
    {"\xc3", "Ã", false, false, false},
    {"\xed\xa0\x80", "\xed\xa0\x81", false, false, false},
};

static void names_are_compared(void **state)
{
        for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
                char *same[] = {key_by(fold_case_add, pairs[i].a), key_by(fold_case_add, pairs[i].b)},
                     *name[] = {key_by(fold_name_add, pairs[i].a), key_by(fold_name_add, pairs[i].b)},
                     *found[] = {search_key(pairs[i].a), search_key(pairs[i].b)};

                if ((strcmp(same[0], same[1]) == 0) != pairs[i].same ||
                    (strcmp(name[0], name[1]) == 0) != pairs[i].name ||
                    (strcmp(found[0], found[1]) == 0) != pairs[i].found)
                        fail_msg("%s and %s: %s|%s, %s|%s, %s|%s", pairs[i].a, pairs[i].b, same[0], same[1],
                                 name[0], name[1], found[0], found[1]);
                for (size_t k = 0; k < 2; k++) {
                        free(same[k]);
                        free(name[k]);
                        free(found[k]);
                }
        }
}

static size_t write_character(uint32_t c, char *text)
{
        if (c < 0x80)
                return (size_t)sprintf(text, "%c", (int)c);
        if (c < 0x800)
                return (size_t)sprintf(text, "%c%c", (int)(0xc0 | c >> 6), (int)(0x80 | (c & 0x3f)));
        if (c < 0x10000)
                return (size_t)sprintf(text, "%c%c%c", (int)(0xe0 | c >> 12), (int)(0x80 | (c >> 6 & 0x3f)),
                                       (int)(0x80 | (c & 0x3f)));
        return (size_t)sprintf(text, "%c%c%c%c", (int)(0xf0 | c >> 18), (int)(0x80 | (c >> 12 & 0x3f)),
                               (int)(0x80 | (c >> 6 & 0x3f)), (int)(0x80 | (c & 0x3f)));
}

static void check_character(const char *text, size_t len)
{
        char *same CLEANUP(mem_freep) = key_by(fold_case_add, text),
                   *again CLEANUP(mem_freep) = key_by(fold_case_add, same);
        char *name CLEANUP(mem_freep) = key_by(fold_name_add, text),
                   *renamed CLEANUP(mem_freep) = key_by(fold_name_add, name);
        char *found CLEANUP(mem_freep) = search_key(text), *refound CLEANUP(mem_freep) = search_key(found);

        assert_string_equal(same, again);
        assert_string_equal(name, renamed);
        assert_string_equal(found, refound);
        assert_true(strlen(same) <= len && text_is_utf8(bytes_text(same)) && text_is_utf8(bytes_text(found)));
}

/* Every character: its key is its own key, and as the same name it grows no longer and is equal to one other
 * at most. */
static void keys_are_their_own(void **state)
{
        uint8_t *equal CLEANUP(mem_freep) = mem_new(0x110000);

        for (uint32_t c = 1; c < 0x110000; c++) {
                char text[5];
                CLEANUP(buf_done) struct buf key = BUF_NONE;
                uint32_t of = 0;

                if (c >= 0xd800 && c < 0xe000)
                        continue;
                size_t len = write_character(c, text);

                check_character(text, len);
                fold_case_add(&key, bytes_of(text, len));
                of = key.data[0] & (key.len == 1 ? 0x7f : 0x7f >> key.len);
                for (size_t i = 1; i < key.len; i++)
                        of = of << 6 | (key.data[i] & 0x3f);
                assert_true(++equal[of] <= 2);
        }
}

/* What begins with a text is between the text and what comes after it; long keys are cut at the end of a
 * character. */
static void beginnings(void **state)
{
        static const char *const names[][2] = {
            {"Ünal Öz", "ünal ö"}, {"Straße", "STRAS"}, {"Größe", "GRÖSS"}, {"ﬁne", "f"}};
        char text[3 * 300 + 1] = "";

        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                char *key CLEANUP(mem_freep) = search_key(names[i][0]);
                char *beginning CLEANUP(mem_freep) = fold_search_beginning(bytes_text(names[i][1]));

                assert_memory_equal(key, beginning, strlen(beginning));
        }
        char *blank CLEANUP(mem_freep) = fold_search_beginning(bytes_text(" John  "));

        assert_string_equal(blank, "john ");
        for (size_t i = 0; i < 300; i++)
                strcat(text, "\ufdfa"); /* 18 characters, when its compatibility is folded */
        char *key CLEANUP(mem_freep) = search_key(text);

        assert_in_range(strlen(key), FOLD_SEARCH_MOST - 3, FOLD_SEARCH_MOST);
        assert_true(text_is_utf8(bytes_text(key)));
        char *nothing CLEANUP(mem_freep) = search_key("\u200b\u00ad \x01");

        assert_string_equal(nothing, "");
}

static void names_of_directories(void **state)
{
        static const char *const names[] = {"cn=Ünal,ou=Köln", "CN=ÜNAL, OU=KÖLN", "cn=Ad\u00admins",
                                            "cn=Admins", "cn=U\u0308nal,ou=Köln"};
        char *keys[ARRAY_LEN(names)];

        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                CLEANUP(dn_done) struct dn dn = {0};
                CLEANUP(buf_done) struct buf key = BUF_NONE;

                assert_int_equal(dn_parse(bytes_text(names[i]), &dn), 0);
                dn_key_add(&key, &dn);
                keys[i] = text_copy(buf_text(&key));
        }
        assert_string_equal(keys[0], "cn=ünal,ou=köln,");
        assert_string_equal(keys[0], keys[1]);
        assert_string_not_equal(keys[2], keys[3]);
        assert_string_not_equal(keys[0], keys[4]);
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                free(keys[i]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(names_are_compared),
            cmocka_unit_test(keys_are_their_own),
            cmocka_unit_test(beginnings),
            cmocka_unit_test(names_of_directories),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
