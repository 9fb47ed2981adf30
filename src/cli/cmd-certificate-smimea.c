/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe certificate smimea */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/session.h"
#include "cli/show.h"
#include "cli/smimea.h"
#include "cli/table.h"
#include "cli/terminal.h"

enum { BATCH = 100, PAGE = 500 };

struct printing {
        const struct arguments *arguments;
        struct server *server;
        enum smimea_form form;
        struct msg_certificate_find batch; /* addresses that are not asked for yet */
        json_t *rows;                      /* NULL: lines of a zone */
        size_t missing;
};

static void printing_done(struct printing *printing)
{
        msg_done(certificate_find, &printing->batch);
        json_decref(printing->rows);
}

/* ---- a record */

static int row_add(struct printing *printing, const char *address, const char *name, const char *data)
{
        json_t *row = json_pack("{ssssss}", "address", address, "name", name, "data", data);

        if (!row || json_array_append_new(printing->rows, row) != 0)
                return fault(0, "JSON takes no record");
        return 0;
}

static int record_print(struct printing *printing, const char *address,
                        const struct msg_certificate_item *certificate)
{
        CLEANUP(buf_done) struct buf name = BUF_NONE, data = BUF_NONE;
        char until[TIME_TEXT_SIZE];

        TRY(smimea_name_add(&name, address));
        TRY(smimea_data_add(&data, buf_view(&certificate->der), printing->form));
        if (printing->rows)
                return PASS(row_add(printing, address, buf_text(&name), buf_text(&data)));
        say("; %s, valid until %s", address, time_short(certificate->not_after, until));
        say("%s IN SMIMEA %s", buf_text(&name), buf_text(&data));
        return 0;
}

static int address_print(struct printing *printing, const struct msg_certificate_found *found,
                         const char *address)
{
        for (size_t i = 0; i < found->found.count; i++) {
                if (strcmp(msg_text(found->found.at[i].address), address) != 0)
                        continue;
                for (size_t k = 0; k < found->found.at[i].certificates.count; k++)
                        TRY(record_print(printing, address, &found->found.at[i].certificates.at[k]));
                return 0;
        }
        printing->missing++;
        if (operand_count(printing->arguments))
                tell("%s has no valid certificate.", address);
        return 0;
}

/* ---- asking for them */

static int batch_print(struct printing *printing)
{
        MSG_OWN(certificate_found) found = {0};

        if (!printing->batch.addresses.count)
                return 0;
        TRY(server_call(printing->server, certificate_find, &printing->batch, certificate_found, &found));
        for (size_t i = 0; i < printing->batch.addresses.count; i++)
                TRY(address_print(printing, &found, printing->batch.addresses.at[i]));
        msg_done(certificate_find, &printing->batch);
        printing->batch = (struct msg_certificate_find){0};
        return 0;
}

static int address_add(struct printing *printing, const char *text)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE;

        TRY(address_parse(bytes_text(text), &key));
        if (!msg_texts_have(&printing->batch.addresses, buf_text(&key)))
                msg_texts_add(&printing->batch.addresses, buf_text(&key));
        return printing->batch.addresses.count < BATCH ? 0 : PASS(batch_print(printing));
}

static int everybody_add(struct printing *printing)
{
        MSG_OWN(user_list) request = {.state = text_copy("enrolled"), .limit = PAGE};

        do {
                MSG_OWN(user_listed) page = {0};

                TRY(server_call(printing->server, user_list, &request, user_listed, &page));
                for (size_t i = 0; i < page.users.count; i++)
                        for (size_t k = 0; k < page.users.at[i].addresses.count; k++)
                                TRY(address_add(printing, page.users.at[i].addresses.at[k]));
                free(request.cursor);
                request.cursor = TAKE(page.cursor);
        } while (*msg_text(request.cursor));
        return 0;
}

static int print_all(struct printing *printing)
{
        if (argument_flag(printing->arguments, "all"))
                TRY(everybody_add(printing));
        for (size_t i = 0; i < operand_count(printing->arguments); i++)
                TRY(address_add(printing, operand(printing->arguments, i)));
        TRY(batch_print(printing));
        if (!printing->rows)
                return 0;
        return json_dumpf(printing->rows, stdout, JSON_INDENT(2)) || putchar('\n') == EOF
                   ? fault(0, "cannot write")
                   : 0;
}

static int form_of(const struct arguments *arguments, enum smimea_form *ret_form)
{
        const char *form = argument_text(arguments, "form");

        if (form && strcmp(form, "certificate") != 0 && strcmp(form, "key") != 0)
                return refuse(PROBLEM_USAGE, "--form is certificate or key, not \"%s\".", form);
        *ret_form = form && form[0] == 'k' ? SMIMEA_KEY : SMIMEA_CERTIFICATE;
        return 0;
}

static int smimea(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        CLEANUP(printing_done) struct printing printing = {.arguments = arguments, .server = &session.server};
        bool all = argument_flag(arguments, "all");

        if (all == (operand_count(arguments) > 0))
                return refuse(PROBLEM_USAGE, "Name mail addresses, or everybody with --all.");
        TRY(form_of(arguments, &printing.form));
        if (all || argument_text(arguments, "as"))
                TRY(session_operator(arguments, &session));
        else
                TRY(session_user(arguments, &session));
        printing.rows = argument_json(arguments) ? json_array() : NULL;
        TRY(print_all(&printing));
        if (printing.missing && !all)
                return refuse(PROBLEM_NOT_FOUND, "%zu of %zu addresses have no valid certificate.",
                              printing.missing, operand_count(arguments));
        return 0;
}

static const struct command_option options[] = {
    {"all", NULL, "of everybody who is enrolled (as an operator)", 0, false},
    {"form", "FORM",
     "certificate: the whole certificate (3 0 0, the default); key: the SHA-256 of its key (3 1 1)", 0,
     false},
    OPTION_USER,
    OPTIONS_OPERATOR,
    OPTIONS_END,
};

const struct command command_certificate_smimea = {
    .noun = "certificate",
    .verb = "smimea",
    .summary = "Print DNS records with the encryption certificates of mail addresses",
    .operands = "[ADDRESS…]",
    .most = 1000,
    .options = options,
    .about = "SMIMEA records (RFC 8162), as lines of a zone; the zone is to be signed (DNSSEC). A mail "
             "address in DNS is a hash, but\n"
             "whoever guesses an address can check it, and the certificate names it. Print them anew when "
             "certificates\n"
             "change: records are not taken back by themselves. Local parts are hashed in lower case.\n",
    .examples = "  vouchsafe certificate smimea bob@example.org\n"
                "  vouchsafe certificate smimea --all --as rita > example.org.smimea\n",
    .run = smimea,
};
