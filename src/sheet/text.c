/* SPDX-License-Identifier: Apache-2.0 */
/* Sheets as text. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "sheet/sheet.h"

enum { COLUMNS = 76 };

/* Words filled into lines. */
static void paragraph_add(struct buf *out, const char *text)
{
        size_t column = 0;

        if (!text)
                return;
        while (*text) {
                size_t len = strcspn(text, " ");
                CLEANUP(mem_freep) char *word = text_copy_n(text, len);
                size_t width = text_columns(word);

                if (column && column + 1 + width > COLUMNS) {
                        buf_add_text(out, "\n");
                        column = 0;
                }
                buf_add_format(out, "%s%s", column ? " " : "", word);
                column += width + (column ? 1 : 0);
                text += len;
                text += strspn(text, " ");
        }
        buf_add_text(out, "\n\n");
}

static void page_add(struct buf *out, const struct msg_sheet *sheet)
{
        CLEANUP(sheet_words_done) struct sheet_words words = {0};

        sheet_words_fill(sheet, &words);
        paragraph_add(out, words.title);
        text_add_printable(out, bytes_text(msg_text(sheet->name)), 512);
        buf_add_text(out, "\n");
        text_add_printable(out, bytes_text(msg_text(sheet->address)), 320);
        buf_add_text(out, "\n\n");
        paragraph_add(out, words.intro);
        buf_add_format(out, "%s:\n\n    ", words.token_label);
        buf_add_bytes(out, secret_view(&sheet->token));
        buf_add_text(out, "\n\n");
        paragraph_add(out, words.other);
        paragraph_add(out, words.until);
        paragraph_add(out, words.run);
        buf_add_format(out, "    %s\n\n", words.command);
        paragraph_add(out, words.typed);
        paragraph_add(out, words.secret);
}

int sheet_text(const struct msg_sheet_print *ask, struct buf *ret_file)
{
        for (size_t i = 0; i < ask->sheets.count; i++) {
                if (i)
                        buf_add_text(ret_file, "\f");
                page_add(ret_file, &ask->sheets.at[i]);
        }
        return 0;
}
