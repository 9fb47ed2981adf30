/* SPDX-License-Identifier: Apache-2.0 */
#include "model/texts.h"

#include "base/fault.h"
#include "base/mem.h"

void texts_done(struct texts *texts)
{
        for (size_t i = 0; i < texts->count; i++)
                free(texts->items[i]);
        free(texts->items);
        *texts = TEXTS_NONE;
}

bool texts_have(const struct texts *texts, const char *text)
{
        for (size_t i = 0; i < texts->count; i++)
                if (strcmp(texts->items[i], text) == 0)
                        return true;
        return false;
}

static void texts_append(struct texts *texts, const char *text, size_t len)
{
        texts->items = mem_resize(texts->items, texts->count + 1, sizeof(*texts->items));
        texts->items[texts->count++] = text_copy_n(text, len);
}

int texts_add(struct texts *texts, const char *text)
{
        for (const char *c = text; *c; c++)
                if ((unsigned char)*c < 0x20 || *c == 0x7f)
                        return refuse(PROBLEM_MALFORMED, "\"%s\" contains a control character.", text);
        if (*text && !texts_have(texts, text))
                texts_append(texts, text, strlen(text));
        return 0;
}

void texts_join(const struct texts *texts, struct buf *out)
{
        for (size_t i = 0; i < texts->count; i++) {
                if (i)
                        buf_add_byte(out, '\n');
                buf_add_text(out, texts->items[i]);
        }
}

int texts_split(struct bytes joined, struct texts *ret_texts)
{
        CLEANUP(texts_done) struct texts texts = TEXTS_NONE;
        size_t start = 0;

        for (size_t i = 0; joined.len && i <= joined.len; i++) {
                if (i < joined.len && joined.data[i] != '\n') {
                        if (joined.data[i] < 0x20 || joined.data[i] == 0x7f)
                                return refuse(PROBLEM_MALFORMED,
                                              "A list contains a control character at byte %zu.", i);
                        continue;
                }
                if (i == start)
                        return refuse(PROBLEM_MALFORMED, "A list contains an empty text at byte %zu.", i);
                texts_append(&texts, (const char *)joined.data + start, i - start);
                if (texts.count > 1) {
                        struct texts before = {texts.items, texts.count - 1};
                        if (texts_have(&before, texts.items[texts.count - 1]))
                                return refuse(PROBLEM_MALFORMED, "A list contains the same text twice.");
                }
                start = i + 1;
        }
        *ret_texts = texts;
        texts = TEXTS_NONE;
        return 0;
}
