/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bulk-files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/home.h"
#include "cli/report.h"
#include "crypto/kdf.h"
#include "crypto/operation.h"
#include "protocol/json.h"

enum { LIST_MOST = 64 << 20, ADDRESS_SHOWN = 400, LANGUAGE_SHOWN = 35, NAME_SHOWN = 2048 };

int list_file_read(const char *path, struct buf *ret_content)
{
        int r = file_read(strcmp(path, "-") == 0 ? "/dev/stdin" : path, LIST_MOST, ret_content);

        return r == PROBLEM_NOT_FOUND ? refuse(r, "There is no such file.") : PASS(r);
}

void nonce_renew(struct bulk *bulk)
{
        uint8_t nonce[OPERATION_NONCE_SIZE];

        random_fill(nonce, sizeof(nonce));
        buf_clear(&bulk->at.nonce);
        buf_add(&bulk->at.nonce, nonce, sizeof(nonce));
}

/* ---- one file */

static int cannot_write(const char *path)
{
        return refuse(PROBLEM_STORAGE, "%s cannot be written: %s.", path, strerror(errno));
}

/* What is beyond `size` was written for a page that is not done. */
static int file_take_up(struct bulk_file *file, uint64_t size)
{
        off_t there;

        file->fd = open(file->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (file->fd < 0)
                return cannot_write(file->path);
        if (flock(file->fd, LOCK_EX | LOCK_NB) < 0)
                return refuse(PROBLEM_BUSY, "Another vouchsafe is writing to %s.", file->path);
        there = lseek(file->fd, 0, SEEK_END);
        if (there < 0 || (uint64_t)there < size)
                return refuse(
                    PROBLEM_STATE,
                    "%s is not what it was when this command was interrupted: something of it is missing. To "
                    "begin anew, remove it and the .progress files beside it; tokens given so far stay valid, "
                    "and --renew replaces them.",
                    file->path);
        if (ftruncate(file->fd, (off_t)size) < 0 || lseek(file->fd, 0, SEEK_END) < 0)
                return cannot_write(file->path);
        return 0;
}

/* *size grows by what was added. */
static int file_keep(struct bulk_file *file, uint64_t *size)
{
        off_t end;

        if (!file->path)
                return 0;
        if (file->lines.len && fd_write_all(file->fd, file->lines.data, file->lines.len))
                return cannot_write(file->path);
        buf_clear(&file->lines);
        end = lseek(file->fd, 0, SEEK_CUR);
        if (end < 0 || fsync(file->fd) < 0)
                return cannot_write(file->path);
        *size = (uint64_t)end;
        return 0;
}

static void file_close(struct bulk_file *file)
{
        if (file->path)
                fd_closep(&file->fd);
        free(TAKE(file->path));
        buf_done(&file->lines);
}

/* ---- rows */

/* A line each: token, address, name, expiry, language, separated by tabs. */
static int token_line_add(struct bulk_file *file, const struct msg_token_item *row)
{
        CLEANUP(buf_done) struct buf rest = BUF_NONE;
        char expires[TIME_TEXT_SIZE] = "";

        if (!file->path || !row->token.len)
                return 0;
        buf_add_byte(&rest, '\t');
        text_add_printable(&rest, bytes_text(msg_text(row->address)), ADDRESS_SHOWN);
        buf_add_byte(&rest, '\t');
        text_add_printable(&rest, bytes_text(msg_text(row->name)), NAME_SHOWN);
        if (row->expires)
                time_text(row->expires, expires);
        buf_add_format(&rest, "\t%s\t", expires);
        text_add_printable(&rest, bytes_text(msg_text(row->language)), LANGUAGE_SHOWN);
        buf_add_byte(&rest, '\n');
        if (secret_write(file->fd, &row->token) || fd_write_all(file->fd, rest.data, rest.len))
                return cannot_write(file->path);
        return 0;
}

/* A report goes to many hands: no token is in it. */
static bool report_takes(const void *context, const char *field)
{
        return strcmp(field, "token") != 0;
}

static int report_line_add(struct bulk_file *file, const struct msg_token_item *row)
{
        static const struct json_choice choice = {.takes = report_takes};
        enum report_form form;
        char expires[TIME_TEXT_SIZE] = "";

        if (!file->path)
                return 0;
        TRY(report_form_of(file->path, &form));
        if (form == REPORT_JSON) {
                TRY(json_message_add_some(msg_record_token_item(), row, &choice, &file->lines));
                buf_add_byte(&file->lines, '\n');
                return 0;
        }
        if (row->expires)
                time_text(row->expires, expires);
        csv_line_add(&file->lines,
                     (const char *const[]){msg_text(row->user), msg_text(row->name), msg_text(row->address),
                                           msg_text(row->unit), msg_text(row->outcome), msg_text(row->detail),
                                           msg_text(row->delivery), expires, NULL});
        return 0;
}

static int report_title_add(struct bulk_file *file)
{
        enum report_form form;

        TRY(report_form_of(file->path, &form));
        if (form == REPORT_CSV)
                csv_line_add(&file->lines, (const char *const[]){"id", "name", "address", "unit", "outcome", "detail",
                                                                 "delivery", "expires", NULL});
        return 0;
}

int bulk_files_add(struct bulk *bulk, const struct msg_user_enroll_reply *page)
{
        for (size_t i = 0; i < page->rows.count; i++) {
                TRY(token_line_add(&bulk->tokens, &page->rows.at[i]));
                TRY(report_line_add(&bulk->report, &page->rows.at[i]));
        }
        TRY(file_keep(&bulk->tokens, &bulk->at.tokens_size));
        TRY(file_keep(&bulk->report, &bulk->at.report_size));
        return PASS(file_keep(&bulk->seen_file, &bulk->at.seen_size));
}

/* ---- the journal */

static void words_add(struct buf *words, const struct msg_texts *texts, const char *before)
{
        for (size_t i = 0; i < texts->count && words->len < 800; i++)
                buf_add_format(words, " %s%.200s", before, texts->at[i]);
}

/* Everything that decides what comes out: the same again goes on, anything else does not. */
static void command_of(struct bulk *bulk, struct msg_bulk_journal *at)
{
        CLEANUP(hasher_done) struct hasher hasher = HASHER_NONE;
        CLEANUP(buf_done) struct buf words = BUF_NONE;
        CLEANUP(buf_done) struct buf ask = BUF_NONE;
        struct digest digest;

        hasher_init(&hasher);
        hasher_add_part(&hasher, bytes_text("vouchsafe bulk 1"));
        hasher_add_part(&hasher, bytes_text(msg_text(bulk->server->server_id)));
        hasher_add_part(&hasher, bytes_text(msg_text(bulk->server->operator_name)));
        hasher_add_part(&hasher, bytes_text(msg_text(bulk->tokens.path)));
        hasher_add_part(&hasher, bytes_text(msg_text(bulk->report.path)));
        if (msg_encode(user_enroll, &bulk->ask, &ask) == 0)
                hasher_add_part(&hasher, buf_view(&ask));
        for (size_t i = 0; i < bulk->list_paths.count; i++)
                hasher_add_part(&hasher, buf_view(&bulk->lists[i]));
        digest = hasher_end(&hasher);
        buf_add_bytes(&at->command, digest_view(&digest));
        words_add(&words, &bulk->ask.selection, "");
        words_add(&words, &bulk->list_paths, "--from ");
        at->words = text_copy(words.len ? buf_text(&words) + 1 : "");
}

int bulk_journal_keep(struct bulk *bulk)
{
        nonce_renew(bulk);
        return bulk->journal ? PASS(home_record_write(bulk->journal, msg_record_bulk_journal(), &bulk->at)) : 0;
}

static int journal_take_up(struct bulk *bulk, struct msg_bulk_journal *now)
{
        int r = home_record_read(bulk->journal, msg_record_bulk_journal(), &bulk->at);

        if (r)
                return PASS(r);
        bulk->went_on = true;
        if (bytes_equal(buf_view(&bulk->at.command), buf_view(&now->command)))
                return 0;
        return refuse(PROBLEM_EXISTS,
                      "%s is of another command that was interrupted (user enroll %s). Repeat that one to its end, or "
                      "remove the file and those beside it.",
                      bulk->journal, msg_text(bulk->at.words));
}

static int journal_begin(struct bulk *bulk, struct msg_bulk_journal *now)
{
        const struct bulk_file *files[] = {&bulk->tokens, &bulk->report};

        for (size_t i = 0; i < ARRAY_LEN(files); i++)
                if (files[i]->path && access(files[i]->path, F_OK) == 0)
                        return refuse(PROBLEM_EXISTS, "The file %s is there already and is not written over.",
                                      files[i]->path);
        bulk->at = *now;
        *now = (struct msg_bulk_journal){0};
        return PASS(bulk_journal_keep(bulk));
}

/* Those who were seen before the crash. */
static int seen_load(struct bulk *bulk)
{
        CLEANUP(buf_done) struct buf content = BUF_NONE;

        if (bulk->seen.off)
                return 0;
        TRY(file_read(bulk->seen_file.path, SIZE_MAX / 2, &content));
        for (size_t at = 0; at + 16 <= content.len; at += 16)
                seen_add(&bulk->seen, content.data + at);
        return 0;
}

static int files_take_up(struct bulk *bulk)
{
        if (bulk->tokens.path)
                TRY(file_take_up(&bulk->tokens, bulk->at.tokens_size));
        if (bulk->report.path)
                TRY(file_take_up(&bulk->report, bulk->at.report_size));
        if (bulk->report.path && !bulk->at.report_size)
                TRY(report_title_add(&bulk->report));
        TRY(file_take_up(&bulk->seen_file, bulk->at.seen_size));
        return PASS(seen_load(bulk));
}

int bulk_files_open(struct bulk *bulk, const char *tokens, const char *report)
{
        const char *main_path = tokens ? tokens : report;
        MSG_OWN(bulk_journal) now = {0};
        enum report_form form;
        int r;

        if (report)
                TRY(report_form_of(report, &form));
        if (!main_path)
                return 0;
        bulk->tokens.path = tokens ? text_copy(tokens) : NULL;
        bulk->report.path = report ? text_copy(report) : NULL;
        bulk->journal = text_format("%s.progress", main_path);
        bulk->seen_file.path = text_format("%s.progress.seen", main_path);
        command_of(bulk, &now);
        r = journal_take_up(bulk, &now);
        if (r == PROBLEM_NOT_FOUND)
                r = journal_begin(bulk, &now);
        TRY(r);
        return PASS(files_take_up(bulk));
}

void bulk_files_discard(struct bulk *bulk)
{
        const char *paths[] = {bulk->tokens.path, bulk->report.path, bulk->seen_file.path, bulk->journal};

        for (size_t i = 0; i < ARRAY_LEN(paths); i++)
                if (paths[i])
                        (void)unlink(paths[i]);
}

int bulk_files_finish(struct bulk *bulk)
{
        const char *paths[] = {bulk->seen_file.path, bulk->journal};

        for (size_t i = 0; i < ARRAY_LEN(paths); i++)
                if (paths[i] && unlink(paths[i]) < 0 && errno != ENOENT)
                        return cannot_write(paths[i]);
        if (bulk->journal)
                file_write_clear(bulk->journal);
        return 0;
}

void bulk_files_close(struct bulk *bulk)
{
        file_close(&bulk->tokens);
        file_close(&bulk->report);
        file_close(&bulk->seen_file);
        free(TAKE(bulk->journal));
        free(bulk->seen.slots);
}
