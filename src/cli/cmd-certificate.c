/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe certificate find | show */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/directory.h"
#include "cli/ldap-find.h"
#include "cli/show.h"
#include "cli/table.h"
#include "crypto/der.h"
#include "crypto/name.h"

/* ---- find ------------------------------------------------------------------------------------------------- */

struct finding {
        struct session session;
        struct msg_texts addresses, urls;
        struct found_certificates *found;
};

static void finding_done(struct finding *finding)
{
        for (size_t i = 0; finding->found && i < finding->addresses.count; i++)
                found_certificates_done(&finding->found[i]);
        for (size_t i = 0; i < finding->addresses.count; i++)
                free(finding->addresses.at[i]);
        free(finding->addresses.at);
        for (size_t i = 0; i < finding->urls.count; i++)
                free(finding->urls.at[i]);
        free(finding->urls.at);
        free(finding->found);
        session_done(&finding->session);
}

/* Whom the server does not know, in LDAP directories; what is found there must lead to the organisation's CA. */
static int find_elsewhere(const struct arguments *arguments, struct finding *finding)
{
        CLEANUP(cert_list_done) struct cert_list roots = {0}, intermediates = {0};
        const struct session *session = &finding->session;
        struct buf root = session->config.root.len ? session->config.root : session->file.root;
        struct buf issuer = session->config.root.len ? session->config.issuer : session->file.issuer;
        struct ldap_query query = {&finding->urls, &roots, &intermediates, 0, argument_flag(arguments, "refresh"), false};

        TRY(ldap_urls(arguments, &finding->urls));
        if (!finding->urls.count)
                return 0;
        TRY(cert_list_add(&roots, buf_view(&root)));
        if (issuer.len)
                TRY(cert_list_add(&intermediates, buf_view(&issuer)));
        for (size_t i = 0; argument_text_at(arguments, "trust", i); i++)
                TRY(cert_list_add_file(&roots, argument_text_at(arguments, "trust", i)));
        return PASS(ldap_find(&query, &finding->addresses, finding->found));
}

static int find_all(const struct arguments *arguments, struct finding *finding)
{
        if (argument_text(arguments, "as"))
                TRY(session_operator(arguments, &finding->session));
        else
                TRY(session_user(arguments, &finding->session));
        for (size_t i = 0; i < operand_count(arguments); i++) {
                CLEANUP(buf_done) struct buf key = BUF_NONE;
                TRY(address_parse(bytes_text(operand(arguments, i)), &key));
                if (!msg_texts_have(&finding->addresses, buf_text(&key)))
                        msg_texts_add(&finding->addresses, buf_text(&key));
        }
        finding->found = mem_array(finding->addresses.count + 1, sizeof(*finding->found));
        TRY(directory_find(&finding->session, &finding->addresses, argument_flag(arguments, "refresh"), finding->found));
        return PASS(find_elsewhere(arguments, finding));
}

static int write_pem(const char *path, const struct finding *finding)
{
        CLEANUP(buf_done) struct buf pem = BUF_NONE;

        for (size_t i = 0; i < finding->addresses.count; i++)
                for (size_t j = 0; j < finding->found[i].found.certificates.count; j++)
                        certificate_add_pem(&pem, buf_view(&finding->found[i].found.certificates.at[j].der));
        return PASS(file_write(path, buf_view(&pem), 0644));
}

static int show_found(const struct arguments *arguments, struct finding *finding)
{
        CLEANUP(table_freep)
        struct table *table = table_new((const char *const[]){"Address", "Until", "Asked", "Serial", NULL});
        MSG_OWN(certificate_found) all = {0};
        size_t missing = 0;

        for (size_t i = 0; i < finding->addresses.count; i++) {
                const struct found_certificates *one = &finding->found[i];
                char until[TIME_TEXT_SIZE], asked[TIME_TEXT_SIZE];
                missing += one->found.certificates.count == 0;
                for (size_t j = 0; j < one->found.certificates.count; j++)
                        table_row(table, (const char *const[]){
                                             finding->addresses.at[i],
                                             time_short(one->found.certificates.at[j].not_after, until),
                                             time_short(one->fetched, asked), one->found.certificates.at[j].serial});
                if (!one->found.certificates.count && !argument_json(arguments))
                        tell("%s has no certificate%s%s", finding->addresses.at[i], one->why ? " that can be used. " : ".",
                             msg_text(one->why));
                *MSG_LIST_ADD(all.found) = finding->found[i].found;
                finding->found[i].found = (struct msg_address_certificates){0};
        }
        if (argument_json(arguments))
                TRY(show_json_of(certificate_found, &all));
        else
                table_print(table, NULL);
        if (missing)
                return refuse(PROBLEM_NOT_FOUND, "%zu of %zu addresses have no valid certificate.", missing,
                              finding->addresses.count);
        return 0;
}

static int find(struct arguments *arguments)
{
        CLEANUP(finding_done) struct finding finding = {0};
        const char *out = argument_text(arguments, "out");

        TRY(find_all(arguments, &finding));
        if (out)
                TRY(write_pem(out, &finding));
        return PASS(show_found(arguments, &finding));
}

/* ---- show ------------------------------------------------------------------------------------------------- */

static void show_usage(const struct certificate *certificate)
{
        static const struct {
                unsigned bit;
                const char *name;
        } usages[] = {{USAGE_DIGITAL_SIGNATURE, "digitalSignature"}, {USAGE_NON_REPUDIATION, "nonRepudiation"},
                      {USAGE_KEY_ENCIPHERMENT, "keyEncipherment"},   {USAGE_KEY_AGREEMENT, "keyAgreement"},
                      {USAGE_KEY_CERT_SIGN, "keyCertSign"},          {USAGE_CRL_SIGN, "cRLSign"}};
        CLEANUP(buf_done) struct buf text = BUF_NONE;

        for (size_t i = 0; i < ARRAY_LEN(usages); i++)
                if (certificate->key_usage & usages[i].bit)
                        buf_add_format(&text, "%s%s", text.len ? ", " : "", usages[i].name);
        if (certificate->is_ca)
                buf_add_format(&text, "%sCA", text.len ? ", " : "");
        say_pair("Usage", "%s", buf_text(&text));
}

static int show_certificate(const struct certificate *certificate)
{
        CLEANUP(buf_done) struct buf subject = BUF_NONE, issuer = BUF_NONE, serial = BUF_NONE, fingerprint = BUF_NONE;
        char time[TIME_TEXT_SIZE];
        enum pkey_type type;

        TRY(name_add_text(&subject, certificate->subject));
        TRY(name_add_text(&issuer, certificate->issuer));
        hex_add(&serial, certificate->serial);
        hex_add(&fingerprint, digest_view(&certificate->fingerprint));
        say_pair("Subject", "%s", buf_text(&subject));
        say_pair("Issuer", "%s", buf_text(&issuer));
        say_pair("Serial", "%s", buf_text(&serial));
        for (size_t i = 0; i < certificate->address_count; i++)
                say_pair("Address", "%s", certificate_address(certificate, i));
        say_pair("From", "%s", time_short(certificate->not_before, time));
        say_pair("Until", "%s", time_short(certificate->not_after, time));
        say_pair("Key", "%s",
                 spki_type(certificate->spki, &type) == 0 ? pkey_type_name(type)
                                                          : "of a type that is not known here");
        show_usage(certificate);
        if (certificate->crl_url)
                say_pair("CRL", "%s", certificate->crl_url);
        say_pair("SHA-256", "%s", buf_text(&fingerprint));
        return 0;
}

static int show(struct arguments *arguments)
{
        CLEANUP(buf_done) struct buf file = BUF_NONE;
        CLEANUP(cert_list_done) struct cert_list list = {0};
        const char *path = operand(arguments, 0);
        int r;

        TRY(file_read(strcmp(path, "-") == 0 ? "/dev/stdin" : path, 1 << 20, &file));
        if (strstr(buf_text(&file), "-----BEGIN"))
                r = cert_list_add_pem(&list, buf_view(&file));
        else if (file.len && file.data[0] == DER_SEQUENCE)
                r = cert_list_add(&list, buf_view(&file));
        else
                r = refuse(PROBLEM_MALFORMED, "This is no certificate, neither PEM nor DER.");
        if (r)
                return report_prefix(r, "%s: ", path);
        for (size_t i = 0; i < list.count; i++) {
                if (i)
                        say("%s", "");
                TRY(show_certificate(&list.items[i]));
        }
        return 0;
}

static const struct command_option find_options[] = {
    OPTION_USER,
    {"refresh", NULL, "ask the server even for what the cache has", 0, false},
    OPTION_LDAP,
    {"trust", "FILE", "also take from LDAP what leads to the root certificates in FILE", 0, true},
    {"out", "FILE", "also write them to FILE as PEM", 'o', false},
    OPTIONS_OPERATOR,
    OPTIONS_END,
};
static const struct command_option show_options[] = {OPTIONS_END};

const struct command command_certificate_find = {
    .noun = "certificate",
    .verb = "find",
    .summary = "Look up the encryption certificates of mail addresses",
    .operands = "ADDRESS…",
    .least = 1,
    .most = 1000,
    .options = find_options,
    .about = "With the ticket that you got when you enrolled; no password. An operator gives --as and his password\n"
             "instead. Answers are kept for a day, and serve while the server cannot be reached. Exit code 15 when\n"
             "somebody has none.\n",
    .examples = "  vouchsafe certificate find bob@example.org --out bob.pem\n",
    .run = find,
};

const struct command command_certificate_show = {
    .noun = "certificate",
    .verb = "show",
    .summary = "Show what is in a certificate file, PEM or DER",
    .operands = "FILE",
    .least = 1,
    .most = 1,
    .options = show_options,
    .examples = "  vouchsafe certificate show bob.pem\n",
    .run = show,
};
