/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/home.h"
#include "cli/terminal.h"
#include "crypto/statement.h"

/* Lines until the token is whole: a file may hold more of them. */
static int token_from_fd(int fd, struct token *token)
{
        int r;

        do {
                CLEANUP(secret_done) struct secret line = SECRET_NONE;

                TRY(secret_line_read(fd, &line));
                if (!line.len)
                        return 0;
                TRY(token_add(secret_view(&line), token));
        } while ((r = token_check_whole(token)) == PROBLEM_TOKEN_PART);
        return PASS(r);
}

static int token_from_file(const char *path, struct token *token)
{
        CLEANUP(fd_closep) int fd = -1;

        if (strcmp(path, "-") == 0)
                return PASS(token_from_fd(STDIN_FILENO, token));
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return refuse(PROBLEM_NOT_FOUND, "The file %s cannot be read: %s.", path, strerror(errno));
        return PASS(token_from_fd(fd, token));
}

static int token_from_terminal(const char *prompt, const char *instead, struct token *token)
{
        for (int part = 0; part < 2; part++) {
                CLEANUP(secret_done) struct secret line = SECRET_NONE;

                TRY(secret_ask(part == 0             ? prompt
                               : token->secret.len ? "The other part, which came by mail"
                                                   : "The other part, which was given to you by hand",
                               instead, &line));
                if (line.len)
                        TRY(token_add(secret_view(&line), token));
                if (!line.len || token_check_whole(token) == 0)
                        break;
        }
        return 0;
}

int token_get(const struct arguments *arguments, const char *name, const char *prompt, struct token *ret_token)
{
        char *file_option CLEANUP(mem_freep) = text_format("%s-file", name);
        size_t texts = argument_count(arguments, name), files = argument_count(arguments, file_option);
        CLEANUP(token_done) struct token token = TOKEN_NONE;

        for (size_t i = 0; i < texts; i++)
                TRY(token_add(bytes_text(argument_text_at(arguments, name, i)), &token));
        for (size_t i = 0; i < files; i++)
                TRY(token_from_file(argument_text_at(arguments, file_option, i), &token));
        if (!texts && !files) {
                char *instead CLEANUP(mem_freep) = text_format("--%s or --%s", name, file_option);

                TRY(token_from_terminal(prompt, instead, &token));
        }
        if (!token.secret.len && !token.mail.len)
                return refuse(PROBLEM_USAGE, "No token was given (%s).", prompt);
        TRY(token_check_whole(&token));
        *ret_token = token;
        token = TOKEN_NONE;
        return 0;
}

int exchange_send(struct server *server, const struct token *token, struct bytes request,
                  struct msg_token_answer *ret_answer)
{
        MSG_OWN(token_use) use = {0};
        MSG_OWN(token_used) used = {0};
        CLEANUP(secret_done) struct secret auth = token_auth(token);
        struct digest mac = token_request_mac(&auth, request);

        buf_add_bytes(&use.request, request);
        buf_add_bytes(&use.mac, digest_view(&mac));
        TRY(server_call(server, token_use, &use, token_used, &used));
        mac = token_answer_mac(&auth, request, buf_view(&used.answer));
        if (!bytes_equal_constant_time(digest_view(&mac), buf_view(&used.mac)))
                return refuse(
                    PROBLEM_UNAUTHENTICATED,
                    "What answers at %s does not know this token: it is another server, or somebody is in between.",
                    server->url);
        return PASS(msg_decode(token_answer, buf_view(&used.answer), ret_answer));
}

int token_to_file(const char *path, const struct secret *text)
{
        CLEANUP(fd_closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0 && errno == EEXIST)
                return refuse(PROBLEM_EXISTS, "The file %s is there already and is not written over.", path);
        if (fd < 0)
                return refuse(PROBLEM_STORAGE, "The file %s cannot be written: %s.", path, strerror(errno));
        TRY(secret_write(fd, text));
        TRY(fd_write_all(fd, "\n", 1));
        if (fsync(fd) < 0)
                return refuse(PROBLEM_STORAGE, "The file %s cannot be written: %s.", path, strerror(errno));
        return 0;
}

int token_show(const char *path, const struct token *token, const char *label)
{
        CLEANUP(secret_done) struct secret text = token_text(token);

        if (path) {
                TRY(token_to_file(path, &text));
                say_pair(label, "written to %s", path);
                return 0;
        }
        printf("%s%s%s%*s  %s", style(stdout, STYLE_DIM), label, style(stdout, STYLE_OFF),
               (int)MAX(14 - (int)strlen(label), 0), "", style(stdout, STYLE_BOLD));
        fflush(stdout);
        TRY(secret_write(STDOUT_FILENO, &text));
        printf("%s\n", style(stdout, STYLE_OFF));
        return 0;
}

const char *fingerprint_short(struct bytes public_key, char text[static FINGERPRINT_TEXT_SIZE])
{
        struct digest digest = sha256(public_key);
        size_t len = 0;

        for (unsigned i = 0; i < 10; i++)
                len += (size_t)snprintf(text + len, FINGERPRINT_TEXT_SIZE - len, "%s%02x", i && i % 2 == 0 ? " " : "",
                                        digest.data[i]);
        return text;
}
