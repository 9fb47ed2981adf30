/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe operator accept | invite | list | disable | show */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/exchange.h"
#include "cli/home.h"
#include "cli/keystore.h"
#include "cli/session.h"
#include "cli/show.h"
#include "cli/table.h"
#include "crypto/certificate.h"
#include "crypto/csr.h"
#include "crypto/name.h"
#include "crypto/seal.h"
#include "crypto/shares.h"
#include "crypto/statement.h"

/* ---- accept ----------------------------------------------------------------------------------------------- */

struct acceptance {
        const struct arguments *arguments;
        struct token token;
        struct server server;
        struct msg_token_answer invitation;
        struct msg_share_pair shares;
        struct msg_trust_public trust;
        struct msg_operator_file file;
};

static void acceptance_done(struct acceptance *acceptance)
{
        token_done(&acceptance->token);
        server_done(&acceptance->server);
        msg_done(token_answer, &acceptance->invitation);
        msg_done(share_pair, &acceptance->shares);
        msg_done(trust_public, &acceptance->trust);
        msg_done(operator_file, &acceptance->file);
}

static int wrong_invitation(const char *what)
{
        return refuse(PROBLEM_TAMPERED, "The invitation was not accepted, since %s. Tell whoever runs the server.",
                      what);
}

static int check_share(const struct msg_trust_public *trust, const struct buf *encoded, uint64_t index,
                       const struct secret *share)
{
        struct commitments commitments;

        TRY(commitments_parse(buf_view(encoded), &commitments));
        if (commitments.quorum != trust->quorum || index == 0 || index > SHARES_MOST ||
            share_verify(&commitments, (unsigned)index, share) != 0)
                return wrong_invitation("the share in it is not the one that the server is committed to");
        return 0;
}

/* Whoever dealt the shares put into the same box what they belong to; the server in between has shown just that. */
static int check_basis(const struct msg_trust_public *trust, const struct msg_share_pair *shares)
{
        struct digest basis = trust_basis(bytes_text(msg_text(trust->server_id)), buf_view(&trust->root), buf_view(&trust->transport_key),
                                          buf_view(&trust->archive_commitments), buf_view(&trust->startup_commitments));

        if (!bytes_equal(digest_view(&basis), buf_view(&shares->basis)))
                return wrong_invitation("the server shows other keys than those that it was set up with");
        return 0;
}

/* The shares that were boxed to the code, checked against what everybody can see. */
static int open_shares(struct acceptance *acceptance)
{
        const struct msg_token_answer *invitation = &acceptance->invitation;
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE, plain = SECRET_NONE;
        struct point point;

        if (!invitation->shares.len)
                return msg_texts_have(&invitation->roles, "officer")
                           ? wrong_invitation("it has no share for an officer")
                           : 0;
        TRY(token_recipient(&acceptance->token, &scalar, &point));
        if (box_open(&scalar, bytes_text(SHARES_CONTEXT), buf_view(&invitation->shares), &plain) != 0)
                return wrong_invitation("the share in it is sealed for another code");
        TRY(msg_decode(share_pair, secret_view(&plain), &acceptance->shares));
        TRY(msg_decode(trust_public, buf_view(&invitation->trust), &acceptance->trust));
        if (strcmp(msg_text(acceptance->trust.server_id), msg_text(invitation->server_id)) != 0 ||
            !bytes_equal(buf_view(&acceptance->trust.root), buf_view(&invitation->root)))
                return wrong_invitation("it contradicts itself about which server it is of");
        TRY(check_basis(&acceptance->trust, &acceptance->shares));
        TRY(check_share(&acceptance->trust, &acceptance->trust.archive_commitments, acceptance->shares.index,
                        &acceptance->shares.archive_share));
        return PASS(check_share(&acceptance->trust, &acceptance->trust.startup_commitments, acceptance->shares.index,
                                &acceptance->shares.startup_share));
}

static int fetch_invitation(struct acceptance *acceptance)
{
        MSG_OWN(token_request) request = {
                .purpose = text_copy("invitation"), .selector = text_copy(acceptance->token.selector),
        };
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;

        TRY(msg_encode(token_request, &request, &encoded));
        TRY(exchange_send(&acceptance->server, &acceptance->token, buf_view(&encoded), &acceptance->invitation));
        return PASS(open_shares(acceptance));
}

static int seal_envelope(struct acceptance *acceptance, const char *name, const EVP_PKEY *key,
                         struct buf *ret_envelope)
{
        char *prompt CLEANUP(mem_freep) = text_format("Password for operator %s", name);
        struct password_source source = {"password-file", "password-fd", prompt, true};
        MSG_OWN(operator_envelope) envelope = {
            .server_id = text_copy(msg_text(acceptance->invitation.server_id)),
            .operator = text_copy(name),
            .index = acceptance->shares.index,
            .archive_share = secret_copy(secret_view(&acceptance->shares.archive_share)),
            .startup_share = secret_copy(secret_view(&acceptance->shares.startup_share)),
            .trust = buf_copy_of(buf_view(&acceptance->invitation.trust)),
        };
        CLEANUP(secret_done) struct secret password = SECRET_NONE, plain = SECRET_NONE;

        TRY(password_get(acceptance->arguments, &source, &password));
        TRY(pkey_to_pkcs8(key, &envelope.signing_key));
        TRY(message_encode_secret(msg_record_operator_envelope(), &envelope, &plain));
        return PASS(password_seal(secret_view(&password), &client_password_cost, bytes_text(OPERATOR_CONTEXT),
                                  secret_view(&plain), ret_envelope));
}

static int sign_admission(const struct acceptance *acceptance, const EVP_PKEY *key, struct buf *out)
{
        CLEANUP(buf_done) struct buf statement = BUF_NONE, spki = BUF_NONE;
        uint8_t signature[SIGNATURE_SIZE];

        if (!acceptance->shares.index)
                return 0;
        TRY(pkey_to_spki(key, &spki));
        officer_statement(bytes_text(msg_text(acceptance->invitation.server_id)), buf_view(&spki), &statement);
        TRY(signature_make(&acceptance->shares.archive_share, buf_view(&statement), signature));
        buf_add(out, signature, sizeof(signature));
        return 0;
}

static const char *invited_name(const struct msg_token_answer *invitation)
{
        return *msg_text(invitation->user) ? invitation->user : msg_text(invitation->name);
}

/* Everything that will be sent, stored before it is sent. */
static int prepare(struct acceptance *acceptance)
{
        const struct msg_token_answer *invitation = &acceptance->invitation;
        const char *name = invited_name(invitation);
        MSG_OWN(token_request) request = {
                .purpose = text_copy("accept"), .selector = text_copy(acceptance->token.selector),
        };
        EVP_PKEY *key CLEANUP(EVP_PKEY_freep) = NULL;
        CLEANUP(buf_done) struct buf subject = BUF_NONE;
        struct msg_operator_file *file = &acceptance->file;

        TRY(pkey_generate(PKEY_P256, &key));
        name_write(&subject, &(struct name_attributes){.common_name = name});
        TRY(csr_make(key, buf_view(&subject), &request.csr));
        TRY(sign_admission(acceptance, key, &request.share_signature));
        TRY(seal_envelope(acceptance, name, key, &request.envelope));
        *file = (struct msg_operator_file){
            .server = text_copy(acceptance->server.url),
            .server_id = text_copy(msg_text(invitation->server_id)),
            .organisation = text_copy(msg_text(invitation->organisation)),
            .operator = text_copy(name),
            .root = buf_copy_of(buf_view(&invitation->root)),
            .issuer = buf_copy_of(buf_view(&invitation->issuer)),
            .envelope = buf_copy_of(buf_view(&request.envelope)),
            .selector = text_copy(acceptance->token.selector),
        };
        msg_texts_copy(&file->roles, &invitation->roles);
        return PASS(msg_encode(token_request, &request, &file->request));
}

/* The file of an acceptance with this code that was begun or done here; PROBLEM_NOT_FOUND. Others that cannot be read are not in its way. */
static int find_begun(const char *selector, struct msg_operator_file *ret_file)
{
        CLEANUP(operators_done) struct operators all = {0};

        TRY(operators_open(&all));
        while (operators_next(&all)) {
                if (all.result || strcmp(msg_text(all.file.selector), selector) != 0)
                        continue;
                *ret_file = all.file;
                all.file = (struct msg_operator_file){0};
                return 0;
        }
        return refuse(PROBLEM_NOT_FOUND, "The code was not used here.");
}

static int begin(struct acceptance *acceptance, const char *url)
{
        MSG_OWN(operator_file) there = {0};
        char *path CLEANUP(mem_freep) = NULL;
        int r = find_begun(acceptance->token.selector, &acceptance->file);

        if (r != PROBLEM_NOT_FOUND)
                return PASS(r);
        TRY(fetch_invitation(acceptance));
        TRY(operator_path(url, invited_name(&acceptance->invitation), &path));
        if (home_record_read(path, msg_record_operator_file(), &there) == 0 &&
            strcmp(msg_text(there.server_id), msg_text(acceptance->invitation.server_id)) == 0 && !there.request.len)
                return refuse(PROBLEM_EXISTS,
                              "Operator %s of this server is in this folder already (%s); move that file away if it "
                              "is of no use.",
                              invited_name(&acceptance->invitation), path);
        TRY(prepare(acceptance));
        return PASS(home_record_write(path, msg_record_operator_file(), &acceptance->file));
}

static int finish(struct acceptance *acceptance)
{
        MSG_OWN(token_answer) answer = {0};
        char *path CLEANUP(mem_freep) = NULL;

        TRY(exchange_send(&acceptance->server, &acceptance->token, buf_view(&acceptance->file.request), &answer));
        TRY(operator_path(acceptance->file.server, acceptance->file.operator, & path));
        buf_done(&acceptance->file.request);
        return PASS(home_record_write(path, msg_record_operator_file(), &acceptance->file));
}

static int show_file(const struct arguments *arguments, const struct msg_operator_file *file)
{
        char *roles CLEANUP(mem_freep) = texts_joined(&file->roles);
        CLEANUP(certificate_done) struct certificate root = {0};
        CLEANUP(buf_done) struct buf fingerprint = BUF_NONE;

        if (argument_json(arguments)) {
                MSG_OWN(operator_item) item = {.operator = text_copy(file->operator),
                        .state = text_copy(file->request.len ? "invited" : "active")};
                msg_texts_copy(&item.roles, &file->roles);
                return PASS(show_json_of(operator_item, &item));
        }
        say_pair("Operator", "%s (%s)%s", file->operator, roles,
                 file->request.len ? ", not accepted to the end" : "");
        say_pair("Server", "%s", msg_text(file->server));
        say_pair("Organisation", "%s", msg_text(file->organisation));
        say_pair("Server id", "%s", msg_text(file->server_id));
        if (certificate_parse(buf_view(&file->root), &root) == 0) {
                hex_add(&fingerprint, digest_view(&root.fingerprint));
                say_pair("Root CA", "SHA-256 %s", buf_text(&fingerprint));
        }
        return 0;
}

static int accept_invitation(struct arguments *arguments)
{
        CLEANUP(acceptance_done) struct acceptance acceptance = {.arguments = arguments};
        CLEANUP(fd_closep) int lock = -1;
        char *folder CLEANUP(mem_freep) = NULL;
        const char *url;

        TRY(argument_needed(arguments, "server", &url));
        TRY(token_get(arguments, "code", "Invitation code", &acceptance.token));
        TRY(home_path(&folder, "operators"));
        TRY(home_lock(folder, &lock));
        server_init(&acceptance.server, url, BYTES_NONE, BYTES_NONE);
        TRY(begin(&acceptance, acceptance.server.url));
        if (acceptance.file.request.len)
                TRY(finish(&acceptance));
        else
                tell("This invitation was accepted here already.");
        return PASS(show_file(arguments, &acceptance.file));
}

/* ---- invite, list, disable, show --------------------------------------------------------------------------- */

static int invite(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        CLEANUP(token_done) struct token token = token_new();
        MSG_OWN(operator_invite) request = {.operator = text_copy(operand(arguments, 0)),
                   .selector = text_copy(token.selector),
                   .auth = token_auth(&token)};
        MSG_OWN(operator_invited) reply = {0};
        char time[TIME_TEXT_SIZE];

        for (size_t i = 0; argument_text_at(arguments, "role", i); i++)
                msg_texts_add(&request.roles, argument_text_at(arguments, "role", i));
        if (!request.roles.count)
                return refuse(PROBLEM_USAGE, "The command needs --role registrar or --role auditor.");
        TRY(session_operator(arguments, &session));
        TRY(server_call(&session.server, operator_invite, &request, operator_invited, &reply));
        TRY(token_show(argument_text(arguments, "code-out"), &token, "Code"));
        say_pair("Expires", "%s", time_short(reply.expires, time));
        tell("The code is shown once. %s accepts with: vouchsafe operator accept --server %s", operand(arguments, 0),
             session.server.url);
        return 0;
}

static int list(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        MSG_OWN(operator_list) request = {0};
        MSG_OWN(operator_listed) reply = {0};
        CLEANUP(table_freep)
        struct table *table = table_new((const char *const[]){"~Operator", "Roles", "State", "Since", NULL});

        TRY(session_operator(arguments, &session));
        TRY(server_call(&session.server, operator_list, &request, operator_listed, &reply));
        if (argument_json(arguments))
                return PASS(show_json_of(operator_listed, &reply));
        for (size_t i = 0; i < reply.operators.count; i++) {
                const struct msg_operator_item *item = &reply.operators.at[i];
                char *roles CLEANUP(mem_freep) = texts_joined(&item->roles);
                char time[TIME_TEXT_SIZE];
                table_row(table,
                          (const char *const[]){item->operator, roles, item->state, time_short(item->since, time)});
        }
        table_print(table, "No operators.");
        return 0;
}

static int disable(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        const char *note = argument_text(arguments, "note");
        MSG_OWN(operator_disable) request = {
                .operator = text_copy(operand(arguments, 0)), .note = note ? text_copy(note) : NULL,
        };
        MSG_OWN(operator_disabled) reply = {0};

        TRY(session_operator(arguments, &session));
        TRY(server_call(&session.server, operator_disable, &request, operator_disabled, &reply));
        if (argument_json(arguments))
                return PASS(show_json_of(operator_disabled, &reply));
        say("Operator %s can do nothing any more.", operand(arguments, 0));
        return 0;
}

static int show(struct arguments *arguments)
{
        CLEANUP(operators_done) struct operators all = {0};
        size_t shown = 0;

        TRY(operators_open(&all));
        while (operators_next(&all)) {
                TRY(all.result);
                if (operand(arguments, 0) && strcmp(operand(arguments, 0), msg_text(all.file.operator)) != 0)
                        continue;
                if (shown++)
                        say("%s", "");
                TRY(show_file(arguments, &all.file));
        }
        if (!shown)
                return refuse(
                    PROBLEM_NOT_FOUND,
                    "This folder has no such operator; accept an invitation with \"vouchsafe operator accept\".");
        return 0;
}

static const struct command_option accept_options[] = {
    {"server", "URL", "the server", 's', false},
    OPTIONS_TOKEN("code", "the invitation code"),
    OPTIONS_PASSWORD,
    OPTIONS_END,
};
static const struct command_option invite_options[] = {
    {"role", "ROLE", "registrar or auditor", 0, true},
    {"code-out", "FILE", "write the code to a new file that only you can read", 0, false},
    OPTIONS_OPERATOR,
    OPTIONS_END,
};
static const struct command_option list_options[] = {OPTIONS_OPERATOR, OPTIONS_END};
static const struct command_option disable_options[] = {
    {"note", "TEXT", "for the audit record", 0, false}, OPTIONS_OPERATOR, OPTIONS_END};
static const struct command_option show_options[] = {OPTIONS_END};

const struct command command_operator_accept = {
    .noun = "operator",
    .verb = "accept",
    .summary = "Accept an invitation on your own machine, and set your password",
    .operands = "",
    .options = accept_options,
    .about = "Makes the key that signs what you ask of the server. An officer's share is opened with the code, "
             "checked against\n"
             "the server's commitments, and sealed under your password; neither leaves this machine in the clear.\n"
             "Cut off at any point, the same command completes what was begun.\n",
    .examples = "  vouchsafe operator accept --server https://keys.example.org:8443\n",
    .run = accept_invitation,
};

const struct command command_operator_invite = {
    .noun = "operator",
    .verb = "invite",
    .summary = "Invite a registrar or an auditor",
    .operands = "NAME",
    .least = 1,
    .most = 1,
    .options = invite_options,
    .about = "Officers are invited by \"vouchsafe init\", because their shares are made there.\n",
    .examples = "  vouchsafe operator invite rita --role registrar\n",
    .run = invite,
};

const struct command command_operator_list = {
    .noun = "operator",
    .verb = "list",
    .summary = "List officers, registrars and auditors",
    .operands = "",
    .options = list_options,
    .examples = "  vouchsafe operator list\n",
    .run = list,
};

const struct command command_operator_disable = {
    .noun = "operator",
    .verb = "disable",
    .summary = "Let an operator do nothing any more",
    .operands = "NAME",
    .least = 1,
    .most = 1,
    .options = disable_options,
    .examples = "  vouchsafe operator disable rita --note 'left the company'\n",
    .run = disable,
};

const struct command command_operator_show = {
    .noun = "operator",
    .verb = "show",
    .summary = "Show which operators this folder has",
    .operands = "[NAME]",
    .most = 1,
    .options = show_options,
    .examples = "  vouchsafe operator show\n",
    .run = show,
};
