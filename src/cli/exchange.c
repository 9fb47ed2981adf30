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

int token_get(const struct arguments *arguments, const char *name, const char *prompt, struct token *ret_token)
{
        char *file_option CLEANUP(mem_freep) = text_format("%s-file", name);
        const char *given = argument_text(arguments, name);
        struct password_source source = {file_option, NULL, prompt, false};
        CLEANUP(secret_done) struct secret text = SECRET_NONE;

        if (given && argument_text(arguments, file_option))
                return refuse(PROBLEM_USAGE, "--%s and --%s are both given; one is enough.", name, file_option);
        if (given)
                return PASS(token_parse(bytes_text(given), ret_token));
        TRY(password_get(arguments, &source, &text));
        return PASS(token_parse(secret_view(&text), ret_token));
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
