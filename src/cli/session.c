/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/home.h"
#include "cli/terminal.h"
#include "crypto/pkey.h"
#include "crypto/seal.h"

void session_done(struct session *session)
{
        server_done(&session->server);
        msg_done(operator_file, &session->file);
        msg_done(operator_envelope, &session->envelope);
        msg_done(client_config, &session->config);
        secret_done(&session->password);
        free(session->away);
        session->away = NULL;
}

int operator_path(const char *url, const char *name, char **ret_path)
{
        CLEANUP(buf_done) struct buf file = BUF_NONE;
        char *host CLEANUP(mem_freep) = NULL;

        TRY(server_host(url, &host));
        home_name_add(&file, name);
        buf_add_byte(&file, '@');
        home_name_add(&file, host);
        return PASS(home_path(ret_path, "operators/%s", buf_text(&file)));
}

int user_folder(const char *address, char **ret_path)
{
        CLEANUP(buf_done) struct buf name = BUF_NONE;

        home_name_add(&name, address);
        return PASS(home_path(ret_path, "users/%s", buf_text(&name)));
}

/* ---- operators -------------------------------------------------------------------------------------------- */

static bool same_server(const char *a, const char *b)
{
        size_t la = strlen(a), lb = strlen(b);

        while (la && a[la - 1] == '/')
                la--;
        while (lb && b[lb - 1] == '/')
                lb--;
        return la == lb && strncasecmp(a, b, la) == 0;
}

static bool fits(const struct arguments *arguments, const struct msg_operator_file *file)
{
        const char *as = argument_text(arguments, "as"), *server = argument_text(arguments, "server");

        return (!as || strcmp(as, msg_text(file->operator)) == 0) &&
               (!server || same_server(server, msg_text(file->server)));
}

void operators_done(struct operators *operators)
{
        msg_done(operator_file, &operators->file);
        home_entries_done(&operators->entries);
        free(operators->folder);
}

int operators_open(struct operators *ret_operators)
{
        TRY(home_path(&ret_operators->folder, "operators"));
        return PASS(home_list(ret_operators->folder, &ret_operators->entries));
}

bool operators_next(struct operators *operators)
{
        char *path CLEANUP(mem_freep) = NULL;

        msg_done(operator_file, &operators->file);
        if (operators->at == operators->entries.count)
                return false;
        path = text_format("%s/%s", operators->folder, operators->entries.names[operators->at++]);
        operators->result = home_record_read(path, msg_record_operator_file(), &operators->file);
        return true;
}

/* Those of the folder that fit; the names of all for a report. */
static int find_operators(const struct arguments *arguments, struct msg_operator_file *ret_file, size_t *ret_count,
                          struct buf *names)
{
        CLEANUP(operators_done) struct operators all = {0};

        *ret_count = 0;
        TRY(operators_open(&all));
        while (operators_next(&all)) {
                TRY(all.result);
                buf_add_format(names, "%s%s", names->len ? ", " : "", msg_text(all.file.operator));
                if (fits(arguments, &all.file) && ++*ret_count == 1) {
                        *ret_file = all.file;
                        all.file = (struct msg_operator_file){0};
                }
        }
        return 0;
}

static int choose_operator(const struct arguments *arguments, struct msg_operator_file *ret_file)
{
        MSG_OWN(operator_file) file = {0};
        CLEANUP(buf_done) struct buf names = BUF_NONE;
        size_t count = 0;

        TRY(find_operators(arguments, &file, &count, &names));
        if (count == 0 && names.len)
                return refuse(PROBLEM_NOT_FOUND, "No operator of this folder fits --as and --server; it has %s.",
                              buf_text(&names));
        if (count == 0)
                return refuse(
                    PROBLEM_NOT_FOUND,
                    "This folder has no operator; accept an invitation with \"vouchsafe operator accept\".");
        if (count > 1)
                return refuse(PROBLEM_USAGE, "This folder has several operators (%s); choose with --as NAME.",
                              buf_text(&names));
        if (file.request.len)
                return refuse(
                    PROBLEM_STATE,
                    "The invitation of %s is not accepted to the end; repeat \"vouchsafe operator accept\".",
                    file.operator);
        *ret_file = file;
        file = (struct msg_operator_file){0};
        return 0;
}

static int open_envelope(const struct arguments *arguments, struct session *session)
{
        const struct msg_operator_file *file = &session->file;
        char *prompt CLEANUP(mem_freep) = text_format("Password of operator %s", msg_text(file->operator));
        struct password_source source = {"password-file", "password-fd", prompt, false};
        CLEANUP(secret_done) struct secret plain = SECRET_NONE;
        int r;

        TRY(password_get(arguments, &source, &session->password));
        r = password_open(secret_view(&session->password), bytes_text(OPERATOR_CONTEXT), buf_view(&file->envelope), &plain);
        if (r == PROBLEM_PASSWORD)
                return refuse(PROBLEM_PASSWORD, "That is not the password of operator %s.", msg_text(file->operator));
        TRY(r);
        return PASS(msg_decode(operator_envelope, secret_view(&plain), &session->envelope));
}

int session_operator(const struct arguments *arguments, struct session *ret_session)
{
        CLEANUP(session_done) struct session session = {0};
        EVP_PKEY *key CLEANUP(EVP_PKEY_freep) = NULL;

        TRY(choose_operator(arguments, &session.file));
        TRY(open_envelope(arguments, &session));
        server_init(&session.server, msg_text(session.file.server), buf_view(&session.file.root),
                    buf_view(&session.file.issuer));
        session.server.server_id = text_copy(msg_text(session.file.server_id));
        session.server.operator_name = text_copy(msg_text(session.file.operator));
        TRY(pkey_from_pkcs8(secret_view(&session.envelope.signing_key), &key));
        TRY(pkey_to_scalar(key, &session.server.signing));
        *ret_session = session;
        session = (struct session){0};
        return 0;
}

/* ---- users ------------------------------------------------------------------------------------------------ */

static int chosen_address(const char *user, char **ret_folder)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE;

        if (address_parse(bytes_text(user), &key) != 0)
                return refuse(PROBLEM_USAGE, "\"%s\" is no mail address.", user);
        return PASS(user_folder(buf_text(&key), ret_folder));
}

int user_chosen(const struct arguments *arguments, char **ret_folder)
{
        CLEANUP(home_entries_done) struct home_entries entries = {0};
        const char *user = argument_text(arguments, "user");
        char *folder CLEANUP(mem_freep) = NULL;

        if (!user)
                user = getenv("VOUCHSAFE_USER");
        if (user && *user)
                return PASS(chosen_address(user, ret_folder));
        TRY(home_path(&folder, "users"));
        TRY(home_list(folder, &entries));
        if (!entries.count)
                return refuse(PROBLEM_NOT_FOUND, "This folder has no user's keys; use \"vouchsafe enroll\", or "
                                                 "\"vouchsafe recover\" after a loss.");
        if (entries.count > 1)
                return refuse(PROBLEM_USAGE,
                              "This folder has keys of several users (%s, %s%s); choose with --user ADDRESS.",
                              entries.names[0], entries.names[1], entries.count > 2 ? ", …" : "");
        *ret_folder = text_format("%s/%s", folder, entries.names[0]);
        return 0;
}

int session_user(const struct arguments *arguments, struct session *ret_session)
{
        CLEANUP(session_done) struct session session = {0};
        char *folder CLEANUP(mem_freep) = NULL, *path CLEANUP(mem_freep) = NULL;
        int r;

        TRY(user_chosen(arguments, &folder));
        path = text_format("%s/config", folder);
        r = home_record_read(path, msg_record_client_config(), &session.config);
        if (r == PROBLEM_NOT_FOUND)
                return refuse(
                    PROBLEM_NOT_FOUND,
                    "There is no user in %s; use \"vouchsafe enroll\", or \"vouchsafe recover\" after a loss.",
                    folder);
        TRY(r);
        server_init(&session.server, msg_text(session.config.server), buf_view(&session.config.root),
                    buf_view(&session.config.issuer));
        session.server.server_id = text_copy(msg_text(session.config.server_id));
        session.server.ticket = buf_copy_of(buf_view(&session.config.ticket));
        *ret_session = session;
        session = (struct session){0};
        return 0;
}

/* ---- anyone ----------------------------------------------------------------------------------------------- */

int session_anyone(const struct arguments *arguments, struct session *ret_session)
{
        CLEANUP(buf_done) struct buf names = BUF_NONE;
        CLEANUP(session_done) struct session session = {0};
        const char *url = argument_text(arguments, "server");
        size_t count = 0;

        if (!url)
                url = getenv("VOUCHSAFE_SERVER");
        TRY(find_operators(arguments, &session.file, &count, &names));
        if (count && (!url || same_server(url, msg_text(session.file.server)))) {
                server_init(&session.server, msg_text(session.file.server), buf_view(&session.file.root),
                            buf_view(&session.file.issuer));
        } else if (session_user(arguments, ret_session) == 0) {
                if (!url || same_server(url, msg_text(ret_session->config.server)))
                        return 0;
                session_done(ret_session);
        }
        if (!session.server.url && !url)
                return refuse(PROBLEM_USAGE, "Which server? Use --server URL, or set VOUCHSAFE_SERVER.");
        if (!session.server.url)
                server_init(&session.server, url, BYTES_NONE, BYTES_NONE);
        *ret_session = session;
        session = (struct session){0};
        return 0;
}
