/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fold.h"

#include <stdlib.h>

#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#include "base/mem.h"
#include "base/text.h"

static bool is_ascii(struct bytes text)
{
        for (size_t i = 0; i < text.len; i++)
                if (text.data[i] >= 0x80)
                        return false;
        return true;
}

static void add_lower(struct buf *out, struct bytes text)
{
        buf_reserve(out, text.len);
        for (size_t i = 0; i < text.len; i++)
                buf_add_byte(out, text_lower(text.data[i]));
}

static void add_character(struct buf *out, ucs4_t c)
{
        uint8_t bytes[6];
        int len = u8_uctomb(bytes, c, sizeof(bytes));

        if (len > 0)
                buf_add(out, bytes, (size_t)len);
}

/* ---- the same one ---- */

static int length_of(ucs4_t c)
{
        uint8_t bytes[6];

        return u8_uctomb(bytes, c, sizeof(bytes));
}

/* Of a pair of letters the one that takes fewer bytes, so that no key outgrows an index; of equal ones the
 * lower case. */
static ucs4_t one_of_pair(ucs4_t c)
{
        ucs4_t small = uc_tolower(c), large = uc_toupper(c);

        if (small != c && uc_toupper(small) == c)
                large = c;
        else if (large != c && uc_tolower(large) == c)
                small = c;
        else
                return c;
        return length_of(small) <= length_of(large) ? small : large;
}

void fold_case_add(struct buf *out, struct bytes text)
{
        ucs4_t c;
        int len;

        if (is_ascii(text) || !text_is_utf8(text)) {
                add_lower(out, text);
                return;
        }
        for (size_t at = 0; at < text.len; at += (size_t)len) {
                len = u8_mbtouc(&c, text.data + at, text.len - at);
                add_character(out, one_of_pair(c));
        }
}

void fold_composed_add(struct buf *out, struct bytes text)
{
        size_t len = 0;
        uint8_t *composed CLEANUP(mem_freep) = u8_normalize(UNINORM_NFC, text.data, text.len, NULL, &len);

        buf_add_bytes(out, composed ? bytes_of(composed, len) : text);
}

/* Composed again, since there may be a letter for the lower case alone: T̈ and ẗ. */
void fold_name_add(struct buf *out, struct bytes text)
{
        CLEANUP(buf_done) struct buf composed = BUF_NONE, folded = BUF_NONE;

        if (is_ascii(text) || !text_is_utf8(text)) {
                add_lower(out, text);
                return;
        }
        fold_composed_add(&composed, text);
        fold_case_add(&folded, buf_view(&composed));
        fold_composed_add(out, buf_view(&folded));
}

/* ---- what is looked for: RFC 4518 ---- */

/* Section 2.2: what is mapped to nothing, and what to a blank. */
static bool is_nothing(ucs4_t c)
{
        return uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Cc | UC_CATEGORY_MASK_Cf) ||
               uc_is_property_default_ignorable_code_point(c) || c == 0xfffc;
}

static bool is_blank(ucs4_t c)
{
        return c == 0x85 || (c >= 0x09 && c <= 0x0d) ||
               uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Z);
}

bool fold_has_unseen(struct bytes text)
{
        ucs4_t c;
        int len;

        for (size_t at = 0; at < text.len; at += (size_t)len) {
                len = u8_mbtouc(&c, text.data + at, text.len - at);
                if (is_blank(c) || is_nothing(c))
                        return true;
        }
        return false;
}

static void add_mapped(struct buf *out, struct bytes text)
{
        ucs4_t c;
        int len;

        for (size_t at = 0; at < text.len; at += (size_t)len) {
                len = u8_mbtouc(&c, text.data + at, text.len - at);
                if (is_blank(c))
                        buf_add_byte(out, ' ');
                else if (c == 0x0307 && out->len && out->data[out->len - 1] == 'i')
                        continue; /* İ in lower case is i and a dot */
                else if (!is_nothing(c))
                        add_character(out, c);
        }
}

/* Sections 2.2, case, and 2.3. */
static void add_case_folded(struct buf *out, struct bytes text)
{
        size_t len = 0;
        uint8_t *folded CLEANUP(mem_freep) = u8_casefold(text.data, text.len, NULL, UNINORM_NFKC, NULL, &len);

        buf_add_bytes(out, folded ? bytes_of(folded, len) : text);
}

/*
 * Twice: what compatibility makes of a character may have case (ℂ), or be invisible; and what an invisible one held apart
 * composes. Again while something is mapped: a dot that an invisible one held apart may have come next to an i.
 */
static struct buf prepared(struct bytes text)
{
        struct buf key = BUF_NONE;

        add_case_folded(&key, text);
        for (bool again = false;; again = true) {
                CLEANUP(buf_done) struct buf mapped = BUF_NONE;

                add_mapped(&mapped, buf_view(&key));
                if (again && bytes_equal(buf_view(&mapped), buf_view(&key)))
                        return key;
                buf_truncate(&key, 0);
                add_case_folded(&key, buf_view(&mapped));
        }
}

/* Section 2.6.1; control characters as in 2.2. */
static void add_blanks_once(struct buf *out, struct bytes text, bool at_start, bool at_end)
{
        size_t start = out->len;

        buf_reserve(out, text.len);
        for (size_t i = 0; i < text.len; i++) {
                uint8_t c = text.data[i] >= 0x09 && text.data[i] <= 0x0d ? ' ' : text_lower(text.data[i]);
                bool again = out->len == start ? at_start : out->data[out->len - 1] == ' ';

                if (c < ' ' || c == 0x7f || (c == ' ' && again))
                        continue;
                buf_add_byte(out, c);
        }
        if (at_end && out->len > start && out->data[out->len - 1] == ' ')
                buf_truncate(out, out->len - 1);
}

void fold_search_add(struct buf *out, struct bytes text, bool at_start, bool at_end)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE;

        if (!is_ascii(text) && text_is_utf8(text)) {
                key = prepared(text);
                text = buf_view(&key);
        }
        add_blanks_once(out, text, at_start, at_end);
}

/* At the end of a character. */
static char *cut_key(struct bytes text, bool at_end)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE;
        size_t len;

        fold_search_add(&key, text, true, at_end);
        len = MIN(key.len, (size_t)FOLD_SEARCH_MOST);
        while (len < key.len && len && (key.data[len] & 0xc0) == 0x80)
                len--;
        return text_copy_n(buf_text(&key), len);
}

char *fold_search_key(struct bytes name)
{
        return cut_key(name, true);
}

char *fold_search_beginning(struct bytes beginning)
{
        return cut_key(beginning, false);
}
