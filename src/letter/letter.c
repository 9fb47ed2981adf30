/* SPDX-License-Identifier: Apache-2.0 */
#include "letter/letter.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"
#include "letter/builtin.h"
#include "letter/template.h"

enum { TEMPLATE_MOST = 1 << 20, VALUES = 9 };

void letter_text_done(struct letter_text *text)
{
        free(text->language);
        free(text->template);
        free(text->subject);
        secret_done(&text->text);
        secret_done(&text->html);
        *text = (struct letter_text){0};
}

/* ---- finding the template */

struct found {
        struct buf text, html;
        char *name, *language;
};

static void found_done(struct found *found)
{
        buf_done(&found->text);
        buf_done(&found->html);
        free(found->name);
        free(found->language);
}

static int builtin_read(const char *kind, const char *language, const char *form, struct buf *ret_content)
{
        CLEANUP(mem_freep) char *name = text_format("%s.%s.%s", kind, language, form);

        for (const struct builtin *builtin = builtins; builtin->name; builtin++)
                if (strcmp(builtin->name, name) == 0) {
                        buf_add_text(ret_content, builtin->content);
                        return 0;
                }
        return PROBLEM_NOT_FOUND;
}

static int folder_read(const struct letter *letter, const char *language, const char *form, struct buf *ret_content)
{
        CLEANUP(mem_freep) char *path = text_format("%s/%s.%s.%s", letter->folder, letter->kind, language, form);

        return PASS(file_read(path, TEMPLATE_MOST, ret_content));
}

/* Text and HTML are of one place: one's own text beside the HTML that is built in would say two things. */
static int template_find_in(const struct letter *letter, const char *language, struct found *found)
{
        int r = PROBLEM_NOT_FOUND;

        if (*letter->folder) {
                r = folder_read(letter, language, "txt", &found->text);
                if (r == 0) {
                        found->name = text_format("%s/%s.%s", letter->folder, letter->kind, language);
                        r = folder_read(letter, language, "html", &found->html);
                        return r == PROBLEM_NOT_FOUND ? 0 : PASS(r);
                }
                if (r != PROBLEM_NOT_FOUND)
                        return PASS(r);
        }
        TRY(builtin_read(letter->kind, language, "txt", &found->text));
        found->name = text_format("the template %s.%s", letter->kind, language);
        r = builtin_read(letter->kind, language, "html", &found->html);
        return r == PROBLEM_NOT_FOUND ? 0 : PASS(r);
}

/* de-ch-1996, de-ch, de. */
static int template_find_language(const struct letter *letter, const char *tag, struct found *found)
{
        CLEANUP(buf_done) struct buf language = BUF_NONE;

        language_add(&language, tag);
        while (language.len) {
                const char *text = buf_text(&language), *dash = strrchr(text, '-');
                int r = template_find_in(letter, text, found);

                if (r == 0)
                        found->language = text_copy(text);
                if (r != PROBLEM_NOT_FOUND)
                        return PASS(r);
                buf_truncate(&language, dash ? (size_t)(dash - text) : 0);
        }
        return PROBLEM_NOT_FOUND;
}

static int template_find(const struct letter *letter, struct found *found)
{
        const char *const tags[] = {letter->language, letter->fallback, "en"};

        for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
                int r = template_find_language(letter, tags[i], found);

                if (r != PROBLEM_NOT_FOUND)
                        return PASS(r);
        }
        return refuse(PROBLEM_NOT_FOUND,
                      "There is no template for a letter \"%s\"; there are enroll, enroll-part and recover-part.",
                      letter->kind);
}

/* ---- filling it in */

/* "Subject: …", an empty line, the text. */
static int subject_cut(const struct found *found, struct bytes *ret_subject, struct bytes *ret_text)
{
        static const char word[] = "Subject:";
        struct bytes text = buf_view(&found->text);
        const uint8_t *end = text.len ? memchr(text.data, '\n', text.len) : NULL;
        size_t first = end ? (size_t)(end - text.data) : 0, rest = first + 1;

        if (first < sizeof(word) || strncasecmp((const char *)text.data, word, sizeof(word) - 1) != 0)
                return refuse(PROBLEM_CONFIGURATION, "%s.txt does not begin with a line \"Subject: …\".", found->name);
        if (rest < text.len && text.data[rest] == '\r')
                rest++;
        if (rest >= text.len || text.data[rest] != '\n')
                return refuse(PROBLEM_CONFIGURATION, "%s.txt has no empty line after \"Subject: …\".", found->name);
        *ret_subject = bytes_of(text.data + sizeof(word) - 1, first - (sizeof(word) - 1));
        while (ret_subject->len && (*ret_subject->data == ' ' || *ret_subject->data == '\t'))
                *ret_subject = bytes_of(ret_subject->data + 1, ret_subject->len - 1);
        if (ret_subject->len && ret_subject->data[ret_subject->len - 1] == '\r')
                ret_subject->len--;
        *ret_text = bytes_of(text.data + rest + 1, text.len - rest - 1);
        return 0;
}

/* A letter without its token helps nobody, and subjects show on locked screens and in logs. */
static int token_check(const struct found *found, struct bytes subject, struct bytes text)
{
        if (!template_has(text, "TOKEN") || (found->html.len && !template_has(buf_view(&found->html), "TOKEN")))
                return refuse(PROBLEM_CONFIGURATION, "%s does not have %%TOKEN%% in its text and its HTML.", found->name);
        if (template_has(subject, "TOKEN"))
                return refuse(PROBLEM_CONFIGURATION, "%s.txt has %%TOKEN%% in its subject, which is no place for it.",
                              found->name);
        return 0;
}

static struct bytes text_of(const char *text)
{
        return bytes_text(text ? text : "");
}

static void values_fill(const struct letter *letter, const struct buf *expires, struct template_value values[static VALUES])
{
        const struct template_value all[VALUES] = {
                {"TOKEN", letter->token},
                {"NAME", text_of(letter->name)},
                {"GIVEN-NAME", text_of(letter->given_name)},
                {"SURNAME", text_of(letter->surname)},
                {"ADDRESS", text_of(letter->address)},
                {"EXPIRES", buf_view(expires)},
                {"SERVER", text_of(letter->server)},
                {"ORGANISATION", text_of(letter->organisation)},
                {"BEGINS", text_of(letter->begins)},
        };

        memcpy(values, all, sizeof(all));
}

int letter_render(const struct letter *letter, struct letter_text *ret_text)
{
        CLEANUP(found_done) struct found found = {0};
        CLEANUP(letter_text_done) struct letter_text text = {0};
        CLEANUP(buf_done) struct buf expires = BUF_NONE;
        CLEANUP(secret_done) struct secret subject = SECRET_NONE;
        struct template_value values[VALUES];
        struct bytes subject_template, body;

        TRY(template_find(letter, &found));
        TRY(subject_cut(&found, &subject_template, &body));
        TRY(token_check(&found, subject_template, body));
        letter_date_add(&expires, letter->expires, found.language);
        values_fill(letter, &expires, values);
        TRY(template_render(found.name, subject_template, false, values, VALUES, &subject));
        TRY(template_render(found.name, body, false, values, VALUES, &text.text));
        if (found.html.len)
                TRY(template_render(found.name, buf_view(&found.html), true, values, VALUES, &text.html));
        text.subject = text_copy_n((const char *)subject.data, subject.len);
        text.language = TAKE(found.language);
        text.template = TAKE(found.name);
        *ret_text = text;
        text = (struct letter_text){0};
        return 0;
}
