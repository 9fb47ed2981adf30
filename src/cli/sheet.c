/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sheet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/setup.h"
#include "cli/terminal.h"
#include "crypto/token.h"

enum { SHEETS_MOST = 1000, TOKENS_MOST = 64 << 20 };

int sheet_form(const char *path, const char **ret_form)
{
        const char *dot = strrchr(path, '.');

        *ret_form = dot && strcasecmp(dot, ".pdf") == 0 ? "pdf" : dot && strcasecmp(dot, ".txt") == 0 ? "text" : NULL;
        if (!*ret_form)
                return refuse(PROBLEM_USAGE, "Sheets are written to a file .pdf or .txt, not to %s.", path);
        return 0;
}

int sheets_check(void)
{
        return PASS(program_check("sheet", "vouchsafe-sheet"));
}

void sheet_fill(const struct session *session, struct msg_sheet *sheet)
{
        const char *organisation = session->file.organisation ? session->file.organisation : session->config.organisation;

        sheet->server = text_copy(msg_text(session->server.url));
        sheet->organisation = text_copy(organisation ? organisation : session->server.url);
}

/* ---- lines of tokens */

static struct bytes column_next(struct bytes *line)
{
        const uint8_t *tab = line->len ? memchr(line->data, '\t', line->len) : NULL;
        size_t len = tab ? (size_t)(tab - line->data) : line->len;
        struct bytes column = bytes_of(line->data, len);

        *line = tab ? bytes_of(tab + 1, line->len - len - 1) : BYTES_NONE;
        return column;
}

static char *text_of(struct bytes column)
{
        return column.len ? text_copy_n((const char *)column.data, column.len) : NULL;
}

int sheet_line_read(struct bytes line, struct msg_sheet *ret_sheet)
{
        MSG_OWN(sheet) sheet = {0};
        CLEANUP(token_done) struct token token = TOKEN_NONE;
        CLEANUP(mem_freep) char *expires = NULL;

        TRY(token_add(column_next(&line), &token));
        if (!token.secret.len)
                return refuse(PROBLEM_MALFORMED, "The part that goes by mail is on no sheet.");
        sheet.token = token_text(&token);
        sheet.part = token_is_split(&token);
        sheet.address = text_of(column_next(&line));
        sheet.name = text_of(column_next(&line));
        expires = text_of(column_next(&line));
        sheet.language = text_of(column_next(&line));
        if (expires)
                TRY(time_parse(bytes_text(expires), &sheet.expires));
        *ret_sheet = sheet;
        sheet = (struct msg_sheet){0};
        return 0;
}

static int lines_read(struct bytes text, const struct session *session, const char *language, struct msg_sheet_print *out)
{
        for (size_t number = 1; text.len; number++) {
                const uint8_t *end = memchr(text.data, '\n', text.len);
                size_t len = end ? (size_t)(end - text.data) : text.len;
                struct bytes line = bytes_of(text.data, len);
                struct msg_sheet *sheet;
                int r;

                text = bytes_of(text.data + len + (end != NULL), text.len - len - (end != NULL));
                if (!line.len)
                        continue;
                sheet = MSG_LIST_ADD(out->sheets);
                r = sheet_line_read(line, sheet);
                if (r)
                        return report_prefix(PASS(r), "Line %zu: ", number);
                sheet_fill(session, sheet);
                if (language) {
                        free(sheet->language);
                        sheet->language = text_copy(language);
                }
        }
        return out->sheets.count ? 0 : refuse(PROBLEM_NOT_FOUND, "There is no token in the file.");
}

int sheets_read(const char *path, const struct session *session, const char *language, struct msg_sheet_print *ret_sheets)
{
        CLEANUP(secret_done) struct secret tokens = SECRET_NONE;
        CLEANUP(fd_closep) int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return refuse(PROBLEM_NOT_FOUND, "The file %s cannot be read: %s.", path, strerror(errno));
        TRY(secret_read(fd, TOKENS_MOST, &tokens));
        return PASS(lines_read(secret_view(&tokens), session, language, ret_sheets));
}

/* ---- files */

static int file_new(const char *path, struct bytes content)
{
        CLEANUP(fd_closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0)
                return refuse(errno == EEXIST ? PROBLEM_EXISTS : PROBLEM_STORAGE, "The file %s cannot be written: %s.", path,
                              strerror(errno));
        if (fd_write_all(fd, content.data, content.len) || fsync(fd) < 0)
                return refuse(PROBLEM_STORAGE, "The file %s cannot be written: %s.", path, strerror(errno));
        return 0;
}

static int sheets_draw(const struct msg_sheet_print *ask, const char *path)
{
        static const char *const options[] = {NULL};
        CLEANUP(program_done) struct program program = {0};
        CLEANUP(secret_done) struct secret answer = SECRET_NONE;
        MSG_OWN(sheet_printed) printed = {0};
        int r;

        TRY(program_start("sheet", "vouchsafe-sheet", options, &program));
        TRY(program_call(&program, MSG_sheet_print, msg_record_sheet_print(), ask, MSG_sheet_printed, &answer));
        TRY(msg_decode(sheet_printed, secret_view(&answer), &printed));
        r = file_new(path, buf_view(&printed.file));
        buf_wipe(&printed.file);
        return PASS(r);
}

/* file.pdf, file-2.pdf, … */
static char *path_of_part(const char *path, size_t part)
{
        const char *dot = strrchr(path, '.');

        return part == 1 ? text_copy(path) : text_format("%.*s-%zu%s", (int)(dot - path), path, part, dot);
}

int sheets_write(const char *path, struct msg_sheet_print *sheets)
{
        const char *form;

        TRY(sheet_form(path, &form));
        for (size_t begin = 0, part = 1; begin < sheets->sheets.count; begin += SHEETS_MOST, part++) {
                struct msg_sheet_print ask = {.form = (char *)(uintptr_t)form};
                CLEANUP(mem_freep) char *file = path_of_part(path, part);

                ask.sheets.at = sheets->sheets.at + begin;
                ask.sheets.count = MIN(sheets->sheets.count - begin, (size_t)SHEETS_MOST);
                TRY(sheets_draw(&ask, file));
                tell("%zu sheet%s: %s", ask.sheets.count, ask.sheets.count == 1 ? "" : "s", file);
        }
        return 0;
}
