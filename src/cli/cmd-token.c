/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe token preview | sheet */
#include <stdlib.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/sheet.h"
#include "cli/terminal.h"
#include "config/config.h"
#include "crypto/token.h"
#include "letter/letter.h"

enum { EXAMPLE_DAYS = 14 };

/* From the configuration of the server, or what stands in for it where there is none. */
static int config_for(const struct arguments *arguments, struct config *ret_config)
{
        const char *path = argument_text(arguments, "config");

        if (path)
                return PASS(config_load(path, ret_config));
        config_init(ret_config);
        if (access(CONFIG_PATH_DEFAULT, R_OK) != 0)
                return 0;
        config_done(ret_config);
        return PASS(config_load(CONFIG_PATH_DEFAULT, ret_config));
}

/* A token that nobody has, so that the letter looks as it will. */
static void example_fill(const struct config *config, const struct token *token, struct letter *letter)
{
        letter->folder = config->mail.templates;
        letter->fallback = config->mail.language;
        letter->name = "Zoë Example-Müller";
        letter->given_name = "Zoë";
        letter->surname = "Example-Müller";
        letter->address = "zoe@example.org";
        letter->server = *config->mail.client_url ? config->mail.client_url : "https://keys.example.org:8443";
        letter->organisation = *config->server.organisation ? config->server.organisation : "Example Ltd.";
        letter->begins = token->selector;
        letter->expires = clock_now() + EXAMPLE_DAYS * 86400LL;
        letter->message_id = "1.00000000000000000000000000000000@example.org";
        letter->date = clock_now();
}

static int show_text(const struct letter *letter, bool html)
{
        CLEANUP(letter_text_done) struct letter_text text = {0};

        TRY(letter_render(letter, &text));
        if (html && !text.html.len)
                return refuse(PROBLEM_NOT_FOUND, "%s has no HTML.", text.template);
        tell("From %s.", text.template);
        if (html)
                return PASS(secret_write(STDOUT_FILENO, &text.html));
        say("Subject: %s", text.subject);
        say("%s", "");
        fflush(stdout);
        return PASS(secret_write(STDOUT_FILENO, &text.text));
}

static int show_message(struct letter *letter, const struct config *config)
{
        CLEANUP(secret_done) struct secret message = SECRET_NONE;
        CLEANUP(mem_freep) char *name = NULL;
        CLEANUP(mem_freep) char *address = NULL;
        const char *from = *config->mail.from ? config->mail.from : "Vouchsafe <keys@example.org>";

        TRY(config_mailbox(from, &name, &address));
        letter->from_name = name;
        letter->from_address = address;
        TRY(letter_compose(letter, &message));
        return PASS(secret_write(STDOUT_FILENO, &message));
}

static int preview(struct arguments *arguments)
{
        CLEANUP(config_done) struct config config = {0};
        const char *kind = operand(arguments, 0), *language = argument_text(arguments, "language"),
                   *folder = argument_text(arguments, "templates");
        bool part = kind && strstr(kind, "-part");
        CLEANUP(token_done) struct token token = part ? token_new_split() : token_new();
        CLEANUP(secret_done) struct secret text = part ? token_mail_text(&token) : token_text(&token);
        struct letter letter = {
                .kind = kind ? kind : "enroll", .language = language ? language : "", .token = secret_view(&text)};

        TRY(config_for(arguments, &config));
        token.selector[3] = 0;
        example_fill(&config, &token, &letter);
        if (folder && access(folder, R_OK | X_OK) != 0)
                return refuse(PROBLEM_NOT_FOUND, "The folder of templates %s cannot be read: %s.", folder,
                              strerror(errno));
        if (folder)
                letter.folder = folder;
        if (argument_flag(arguments, "message"))
                return PASS(show_message(&letter, &config));
        return PASS(show_text(&letter, argument_flag(arguments, "html")));
}

static const struct command_option preview_options[] = {
    {"language", "TAG", "of the person, as en or de-CH (default: that of [mail] language)", 'l', false},
    {"html", NULL, "the HTML in place of the text", 0, false},
    {"message", NULL, "the whole message with its header", 0, false},
    {"templates", "DIR", "a folder of templates (default: that of [mail] templates)", 't', false},
    {"config", "FILE", "the server's configuration (default: " CONFIG_PATH_DEFAULT ", if it is there)", 'c', false},
    OPTIONS_END,
};

const struct command command_token_preview = {
    .noun = "token",
    .verb = "preview",
    .summary = "Show a letter as users get it, with a token that is none",
    .operands = "[enroll|enroll-part|recover-part]",
    .most = 1,
    .options = preview_options,
    .about =
        "Templates are files KIND.LANGUAGE.txt, beginning with a line \"Subject: …\" and an empty one, and\n"
        "KIND.LANGUAGE.html beside them; those that are built in lie in /usr/share/doc/vouchsafe/templates. A server reads\n"
        "them anew for each mail. Placeholders: %TOKEN%, %NAME%, %GIVEN-NAME%, %SURNAME%, %ADDRESS%, %EXPIRES%, %SERVER%,\n"
        "%ORGANISATION%, and in letters with one of two parts %BEGINS%, the first symbols of the other.\n",
    .examples = "  vouchsafe token preview enroll-part --language de\n"
                "  vouchsafe token preview --html >letter.html\n",
    .run = preview,
};

/* ---- sheet ------------------------------------------------------------------------------------------------ */

static int sheet(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        MSG_OWN(sheet_print) sheets = {0};
        const char *out, *form;

        TRY(argument_needed(arguments, "out", &out));
        TRY(sheet_form(out, &form));
        TRY(session_anyone(arguments, &session));
        TRY(sheets_read(operand(arguments, 0), &session, argument_text(arguments, "language"), &sheets));
        return PASS(sheets_write(out, &sheets));
}

static const struct command_option sheet_options[] = {
    {"out", "FILE", "the new file, .pdf or .txt, that only you can read", 'o', false},
    {"language", "TAG", "en or de (default: each person's)", 'l', false},
    {"server", "URL", "what users are to give to --server (default: that of the folder's operator or user)", 's', false},
    OPTIONS_END,
};

const struct command command_token_sheet = {
    .noun = "token",
    .verb = "sheet",
    .summary = "Print tokens on sheets of paper, one for each user, to be given by hand",
    .operands = "TOKENS",
    .least = 1,
    .most = 1,
    .options = sheet_options,
    .about = "TOKENS is the file that \"vouchsafe user enroll --out\" wrote, or - for standard input. A page has the name, the\n"
             "token, also as a QR code, what to type, and until when. Of two parts the sheet has the one by hand.\n",
    .examples = "  vouchsafe user enroll unit:Sales --deliver split --out tokens.tsv\n"
                "  vouchsafe token sheet tokens.tsv --out tokens.pdf\n",
    .run = sheet,
};
