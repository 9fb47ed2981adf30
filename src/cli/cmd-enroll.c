/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe enroll | recover */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/enroll.h"
#include "cli/home.h"
#include "cli/keystore.h"
#include "cli/self-enroll.h"
#include "cli/session.h"
#include "cli/show.h"
#include "cli/smime.h"
#include "cli/table.h"
#include "crypto/certificate.h"
#include "protocol/writer.h"

/* The configuration of a user who has used this token here; PROBLEM_NOT_FOUND. */
static int find_used(const struct token *token, struct msg_client_config *ret_config)
{
        CLEANUP(home_entries_done) struct home_entries entries = {0};
        char *folder CLEANUP(mem_freep) = NULL;

        TRY(home_path(&folder, "users"));
        TRY(home_list(folder, &entries));
        for (size_t i = 0; i < entries.count; i++) {
                MSG_OWN(client_config) config = {0};
                char *path CLEANUP(mem_freep) = text_format("%s/%s/config", folder, entries.names[i]);
                if (home_record_read(path, msg_record_client_config(), &config) != 0 ||
                    !msg_texts_have(&config.selectors, token->selector))
                        continue;
                *ret_config = config;
                config = (struct msg_client_config){0};
                return 0;
        }
        return refuse(PROBLEM_NOT_FOUND, "The token was not used here.");
}

/* One for each command: what "recover" began with a token to enroll, and the server refuses, is not in the way of
 * "enroll". */
static int pending_path(const char *purpose, const struct token *token, char **ret_path)
{
        return home_path(ret_path, "pending/%s-%s", purpose, token->selector);
}

/* `keep_token`: it is in what is stored too, since nobody can type it again. */
static int pending_begin(const struct arguments *arguments, const char *purpose, const struct token *token,
                         bool keep_token, const char *path, struct secret *ret_password, struct msg_pending_exchange *ret_pending)
{
        struct password_source again = {"password-file", "password-fd", "Password of the key store that was begun",
                                        false};
        struct password_source first = {"password-file", "password-fd", "Password for your key store", true};
        const char *url, *type = argument_text(arguments, "key-type");
        int r;

        if (access(path, F_OK) == 0) {
                tell("This was begun before; it is taken up again.");
                TRY(password_get(arguments, &again, ret_password));
                r = sealed_read(path, ret_password, msg_record_pending_exchange(), ret_pending);
                return r == PROBLEM_PASSWORD
                               ? refuse(PROBLEM_PASSWORD,
                                        "That is not the password that was set when this was begun. Without it, ask for a "
                                        "new token.")
                               : PASS(r);
        }
        TRY(argument_needed(arguments, "server", &url));
        TRY(password_get(arguments, &first, ret_password));
        TRY(enroll_prepare(purpose, url, token, type ? type : "p256", ret_pending));
        if (keep_token)
                ret_pending->token = token_text(token);
        TRY(sealed_write(path, ret_password, msg_record_pending_exchange(), ret_pending));
        return 0;
}

static void show_keys(const struct enrolled *enrolled)
{
        for (size_t i = 0; i < enrolled->store.keys.count; i++) {
                const struct msg_own_key *key = &enrolled->store.keys.at[i];
                CLEANUP(certificate_done) struct certificate certificate = {0};
                CLEANUP(buf_done) struct buf serial = BUF_NONE;
                char from[TIME_TEXT_SIZE], until[TIME_TEXT_SIZE];
                if (certificate_parse(buf_view(&key->certificate), &certificate) != 0)
                        continue;
                hex_add(&serial, certificate.serial);
                say_pair(strcmp(key->kind, "signature") == 0 ? "Signature" : "Encryption", "%s, %s to %s",
                         buf_text(&serial), time_short(certificate.not_before, from),
                         time_short(certificate.not_after, until));
        }
}

static void show_enrolled(const char *purpose, const struct enrolled *enrolled)
{
        const struct msg_token_answer *answer = &enrolled->answer;
        char *addresses CLEANUP(mem_freep) = texts_joined(&answer->addresses);
        CLEANUP(certificate_done) struct certificate root = {0};
        CLEANUP(buf_done) struct buf fingerprint = BUF_NONE;

        say_styled(STYLE_GREEN, "%s %s at %s.", strcmp(purpose, "enroll") == 0 ? "Enrolled" : "Recovered",
                   msg_text(answer->name), msg_text(answer->organisation));
        say_pair("Addresses", "%s", addresses);
        show_keys(enrolled);
        if (certificate_parse(buf_view(&answer->root), &root) == 0) {
                hex_add(&fingerprint, digest_view(&root.fingerprint));
                say_pair("Root CA", "SHA-256 %s", buf_text(&fingerprint));
        }
        if (!answer->signature_certificate.len)
                tell("The directory has %s no more, so there is no new certificate: these keys read what was written before, "
                     "and sign nothing.",
                     msg_text(answer->name));
        if (enrolled->unchained)
                tell("%zu of the recovered certificates are of an earlier CA; their keys were kept all the same.",
                     enrolled->unchained);
}

static int show_result(const struct arguments *arguments, const char *purpose, const struct enrolled *enrolled)
{
        MSG_OWN(client_config) shown = {0};
        const struct msg_token_answer *answer = &enrolled->answer;

        if (!argument_json(arguments)) {
                show_enrolled(purpose, enrolled);
                return 0;
        }
        shown = (struct msg_client_config){.server_id = text_copy(msg_text(answer->server_id)),
                                           .organisation = text_copy(msg_text(answer->organisation)),
                                           .user = text_copy(msg_text(answer->user)),
                                           .name = text_copy(msg_text(answer->name))};
        msg_texts_copy(&shown.addresses, &answer->addresses);
        return PASS(show_json_of(client_config, &shown));
}

/* What mail programs read in the directory. The enrollment stands without it: it is handed in later then. */
static int hand_in(const struct enrolled *enrolled)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE;
        CLEANUP(server_done) struct server server = {0};
        MSG_OWN(client_config) config = {0};
        char *folder CLEANUP(mem_freep) = NULL, *path CLEANUP(mem_freep) = NULL;

        TRY(address_parse(bytes_text(enrolled->answer.addresses.at[0]), &key));
        TRY(user_folder(buf_text(&key), &folder));
        path = text_format("%s/config", folder);
        TRY(home_record_read(path, msg_record_client_config(), &config));
        TRY(smime_make(folder, &config, &enrolled->store, SMIME_CAPABILITIES));
        server_init(&server, msg_text(config.server), buf_view(&config.root), buf_view(&config.issuer));
        server.ticket = buf_copy_of(buf_view(&config.ticket));
        return PASS(smime_hand_in(&server, folder));
}

/* What a use of a token is made of, on its way through the steps of enroll.h. */
struct use {
        const struct arguments *arguments;
        const char *purpose;
        const struct token *token;
        char *path; /* of what is pending */
        bool again; /* it was there: perhaps it was sent, and only the answer got lost */
        struct secret password;
        struct msg_pending_exchange pending;
        struct server server;
};

static void use_done(struct use *use)
{
        free(use->path);
        secret_done(&use->password);
        msg_done(pending_exchange, &use->pending);
        server_done(&use->server);
}

static int use_complete(struct use *use, struct msg_token_answer *answer)
{
        CLEANUP(enrolled_done) struct enrolled enrolled = {0};
        int r;

        TRY(enroll_check(&use->pending, use->token, answer, &enrolled));
        TRY(enroll_store(&use->pending, &use->password, &enrolled));
        if (unlink(use->path) < 0 && errno != ENOENT)
                return fault(errno, "The file %s cannot be removed", use->path);
        r = enrolled.answer.signature_certificate.len ? hand_in(&enrolled) : 0;
        if (r != 0 && r != PROBLEM_STATE) /* of who was revoked, nothing is to be published */
                tell("What the directory is to say of you was not handed in (%s); you need not do anything about it.",
                     report_text());
        return PASS(show_result(use->arguments, use->purpose, &enrolled));
}

static int use_token(const struct arguments *arguments, const char *purpose, const struct token *token)
{
        CLEANUP(use_done) struct use use = {.arguments = arguments, .purpose = purpose, .token = token};
        MSG_OWN(token_answer) answer = {0};
        const char *url = argument_text(arguments, "server");

        TRY(pending_path(purpose, token, &use.path));
        TRY(pending_begin(arguments, purpose, token, false, use.path, &use.password, &use.pending));
        /* The CA is not known yet: the token authenticates the exchange, both ways. */
        server_init(&use.server, url ? url : use.pending.server, BYTES_NONE, BYTES_NONE);
        TRY(exchange_send(&use.server, token, buf_view(&use.pending.request), &answer));
        return PASS(use_complete(&use, &answer));
}

static int run(const struct arguments *arguments, const char *purpose)
{
        CLEANUP(token_done) struct token token = TOKEN_NONE;
        MSG_OWN(client_config) used = {0};
        CLEANUP(fd_closep) int lock = -1;
        char *folder CLEANUP(mem_freep) = NULL, *path CLEANUP(mem_freep) = NULL;

        TRY(token_get(arguments, "token", "Token", &token));
        TRY(home_path(&folder, "pending"));
        TRY(pending_path(purpose, &token, &path));
        TRY(home_lock(folder, &lock));
        if (access(path, F_OK) < 0 && find_used(&token, &used) == 0) {
                if (argument_json(arguments))
                        return PASS(show_json_of(client_config, &used));
                say("This token was used here already, for %s; there is nothing left to do.", msg_text(used.name));
                return 0;
        }
        return PASS(use_token(arguments, purpose, &token));
}

/* ---- by the directory's password --------------------------------------------------------------------------- */

static int self_begin(struct use *use, struct token *ret_token)
{
        use->again = access(use->path, F_OK) == 0;
        if (!use->again)
                *ret_token = token_new();
        TRY(pending_begin(use->arguments, use->purpose, ret_token, true, use->path, &use->password, &use->pending));
        return use->again ? PASS(token_parse(secret_view(&use->pending.token), ret_token)) : 0;
}

/* The server says no, and has no such token: there is nothing to be taken up again. */
static bool is_final(int result)
{
        return result == PROBLEM_PASSWORD || result == PROBLEM_FORBIDDEN || result == PROBLEM_STATE ||
               result == PROBLEM_EXISTS || result == PROBLEM_TOO_MANY || result == PROBLEM_UNSUPPORTED;
}

static int self_exchange(struct use *use, const char *address, struct msg_token_answer *ret_answer)
{
        int r = use->again ? exchange_send(&use->server, use->token, buf_view(&use->pending.request), ret_answer)
                           : PROBLEM_TOKEN_REFUSED;

        if (r != PROBLEM_TOKEN_REFUSED)
                return PASS(r);
        r = self_ask(use->arguments, &use->server, address, use->token);
        if (is_final(r))
                (void)unlink(use->path);
        TRY(r);
        return PASS(exchange_send(&use->server, use->token, buf_view(&use->pending.request), ret_answer));
}

static int enroll_self(const struct arguments *arguments, const char *user)
{
        CLEANUP(token_done) struct token token = TOKEN_NONE;
        CLEANUP(use_done) struct use use = {.arguments = arguments, .purpose = "enroll", .token = &token};
        CLEANUP(buf_done) struct buf address = BUF_NONE, name = BUF_NONE;
        CLEANUP(fd_closep) int lock = -1;
        char *folder CLEANUP(mem_freep) = NULL;
        MSG_OWN(token_answer) answer = {0};

        if (argument_count(arguments, "token") || argument_count(arguments, "token-file"))
                return refuse(PROBLEM_USAGE, "--user is for who has no token; with one, leave it out.");
        if (address_parse(bytes_text(user), &address) != 0)
                return refuse(PROBLEM_USAGE, "\"%s\" is no mail address.", user);
        TRY(self_server(arguments, &use.server));
        home_name_add(&name, buf_text(&address));
        TRY(home_path(&folder, "pending"));
        TRY(home_path(&use.path, "pending/self-%s", buf_text(&name)));
        TRY(home_lock(folder, &lock));
        TRY(self_begin(&use, &token));
        TRY(self_exchange(&use, buf_text(&address), &answer));
        return PASS(use_complete(&use, &answer));
}

static int enroll(struct arguments *arguments)
{
        const char *user = argument_text(arguments, "user");

        return user ? PASS(enroll_self(arguments, user)) : PASS(run(arguments, "enroll"));
}

static int recover(struct arguments *arguments)
{
        return run(arguments, "recover");
}

static const struct command_option enroll_options[] = {
    {"server", "URL", "the server", 's', false},
    OPTIONS_TOKEN("token", "the token"),
    OPTIONS_SELF,
    {"key-type", "TYPE", "of the signature key: p256 (default), p384, rsa3072, rsa4096", 0, false},
    OPTIONS_PASSWORD,
    OPTIONS_END,
};

static const struct command_option recover_options[] = {
    {"server", "URL", "the server", 's', false},
    OPTIONS_TOKEN("token", "the token"),
    {"key-type", "TYPE", "of the signature key: p256 (default), p384, rsa3072, rsa4096", 0, false},
    OPTIONS_PASSWORD,
    OPTIONS_END,
};

const struct command command_enroll = {
    .noun = "enroll",
    .summary = "Use a token: make your signature key, get certificates and your encryption key",
    .operands = "",
    .options = enroll_options,
    .about =
        "The signature key is made here and stays here. The password is that of your key store; you set it now.\n"
        "A token may come in two parts, one by mail and one by hand; you need both, in any order.\n"
        "Where the server permits it, --user takes the directory's password in place of a token. That is sent only to a server\n"
        "whose certificate the system, this folder, --ca-file or --ca-fingerprint vouches for.\n"
        "Cut off at any point, the same command completes what was begun.\n",
    .examples =
        "  vouchsafe enroll --server https://keys.example.org:8443\n"
        "  vouchsafe enroll --server https://keys.example.org:8443 --token-file token --password-file password\n"
        "  vouchsafe enroll --server https://keys.example.org:8443 --token-file by-hand --token-file by-mail\n"
        "  vouchsafe enroll --server https://keys.example.org:8443 --user bob@example.org --ca-file ca.pem\n",
    .run = enroll,
};

const struct command command_recover = {
    .noun = "recover",
    .summary = "Use a recovery token: a new signature key, and all your former encryption keys",
    .operands = "",
    .options = recover_options,
    .about = "The officers must have approved. Keys that are here already stay; a key store with another password is "
             "kept\n"
             "beside the new one. Cut off at any point, the same command completes what was begun.\n",
    .examples = "  vouchsafe recover --server https://keys.example.org:8443\n",
    .run = recover,
};
