/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives the library from the outside, for tests and benchmarks: a message on standard input, one on standard output, findings as lines
 * "code<TAB>layer<TAB>sentence" on standard error; the exit code is that of the worst.
 *
 *   mail-tool sign|encrypt|decrypt|verify [options]
 */
#include <getopt.h>
#include <stdio.h>

#include <openssl/pem.h>

#include "base/file.h"
#include "base/mem.h"
#include "mail/mail.h"

enum { KEYS_MOST = 32, RECIPIENTS_MOST = 2000 };

struct tool {
        struct mail_keys keys;
        struct mail_options options;
        struct cert_list signer, chain, encryption, own, roots, intermediates, to;
        struct mail_own_key own_keys[KEYS_MOST];
        struct mail_recipient recipients[RECIPIENTS_MOST];
        bool capabilities_known;
        unsigned capabilities;
        const char *crl_path;
        bool no_output;
};

static void die(const char *what)
{
        fprintf(stderr, "mail-tool: %s: %s\n", what, report_text());
        exit(EXIT_FAULT);
}

static void certificates_load(struct cert_list *list, const char *path)
{
        CLEANUP(buf_done) struct buf content = BUF_NONE;
        int result = file_read(path, 1 << 24, &content);

        if (result == 0)
                result = cert_list_add_pem(list, buf_view(&content));
        if (result != 0)
                die(path);
}

static EVP_PKEY *key_load(const char *path)
{
        FILE *file = fopen(path, "r");
        EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;

        if (file)
                fclose(file);
        if (!key)
                die(path);
        return key;
}

static int crl_give(void *context, const struct certificate *certificate, const struct certificate *issuer, struct buf *ret_der)
{
        const struct tool *tool = context;
        FILE *file = fopen(tool->crl_path, "r");
        X509_CRL *crl = file ? PEM_read_X509_CRL(file, NULL, NULL, NULL) : NULL;
        uint8_t *der = NULL;
        int len;

        (void)certificate;
        (void)issuer;
        if (file)
                fclose(file);
        if (!crl)
                return refuse(PROBLEM_UNREACHABLE, "The revocation list is not at hand.");
        len = i2d_X509_CRL(crl, &der);
        *ret_der = buf_copy_of(bytes_of(der, (size_t)len));
        OPENSSL_free(der);
        X509_CRL_free(crl);
        return 0;
}

static const struct option long_options[] = {
        {"signer", required_argument, NULL, 's'}, {"signer-key", required_argument, NULL, 'S'}, {"chain", required_argument, NULL, 'c'},
        {"encryption", required_argument, NULL, 'e'}, {"opaque", no_argument, NULL, 'o'}, {"clear", no_argument, NULL, 'C'},
        {"to", required_argument, NULL, 't'}, {"gcm", no_argument, NULL, 'g'}, {"oaep", no_argument, NULL, 'O'},
        {"own", required_argument, NULL, 'k'}, {"own-key", required_argument, NULL, 'K'}, {"roots", required_argument, NULL, 'r'},
        {"intermediates", required_argument, NULL, 'i'}, {"crl", required_argument, NULL, 'l'}, {"now", required_argument, NULL, 'n'},
        {"verify", no_argument, NULL, 'v'}, {"decrypt", no_argument, NULL, 'd'}, {"entity", no_argument, NULL, 'E'},
        {"header", no_argument, NULL, 'H'}, {"layers", required_argument, NULL, 'L'}, {"check", no_argument, NULL, 'x'}, {0},
};

static void option_take_file(struct tool *tool, int option, const char *value)
{
        switch (option) {
        case 's': certificates_load(&tool->signer, value); break;
        case 'S': tool->keys.signer.key = key_load(value); break;
        case 'c': certificates_load(&tool->chain, value); break;
        case 'e': certificates_load(&tool->encryption, value); break;
        case 't': certificates_load(&tool->to, value); break;
        case 'k': certificates_load(&tool->own, value); break;
        case 'K': tool->own_keys[tool->keys.decryption_count++].key = key_load(value); break;
        case 'r': certificates_load(&tool->roots, value); break;
        case 'i': certificates_load(&tool->intermediates, value); break;
        case 'l': tool->crl_path = value; break;
        default: exit(2);
        }
}

static void option_take(struct tool *tool, int option, const char *value)
{
        unsigned cbc = MAIL_READS_AES256_CBC | MAIL_READS_AES128_CBC;

        switch (option) {
        case 'o': tool->options.form = MAIL_FORM_OPAQUE; break;
        case 'C': tool->options.form = MAIL_FORM_CLEAR; break;
        case 'g': tool->capabilities_known = true; tool->capabilities |= cbc | MAIL_READS_AES256_GCM; break;
        case 'O': tool->capabilities_known = true; tool->capabilities |= cbc | MAIL_READS_OAEP; break;
        case 'n': tool->options.now = atoll(value); break;
        case 'v': tool->options.verify_too = true; break;
        case 'd': tool->options.decrypt_too = true; break;
        case 'E': tool->options.entity_only = true; break;
        case 'H': tool->options.with_header = true; break;
        case 'L': tool->options.layers = (unsigned)atoi(value); break;
        case 'x': tool->no_output = true; break;
        default: option_take_file(tool, option, value); break;
        }
}

static size_t tool_connect(struct tool *tool)
{
        size_t count = tool->to.count;

        if (tool->signer.count > 0)
                tool->keys.signer.certificate = &tool->signer.items[0];
        if (tool->encryption.count > 0)
                tool->keys.encryption = &tool->encryption.items[0];
        tool->keys.signer_chain = &tool->chain;
        tool->keys.roots = &tool->roots;
        tool->keys.intermediates = &tool->intermediates;
        tool->keys.decryption = tool->own_keys;
        for (size_t i = 0; i < tool->keys.decryption_count; i++)
                tool->own_keys[i].certificate = &tool->own.items[i];
        for (size_t i = 0; i < count && i < RECIPIENTS_MOST; i++)
                tool->recipients[i] = (struct mail_recipient){
                        .address = tool->to.items[i].address_count ? certificate_address(&tool->to.items[i], 0) : NULL,
                        .certificate = &tool->to.items[i],
                        .capabilities_known = tool->capabilities_known,
                        .capabilities = tool->capabilities,
                };
        if (tool->crl_path) {
                tool->keys.crl = crl_give;
                tool->keys.crl_context = tool;
        }
        return count;
}

int main(int argc, char **argv)
{
        static struct tool tool;
        struct mail_report report = {0};
        const char *verb = argc > 1 ? argv[1] : "";
        int option, result, output;
        size_t recipients;

        while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0)
                option_take(&tool, option, optarg);
        recipients = tool_connect(&tool);
        output = tool.no_output ? -1 : 1;
        if (strcmp(verb, "sign") == 0)
                result = mail_sign(0, output, &tool.keys, &tool.options, &report);
        else if (strcmp(verb, "encrypt") == 0)
                result = mail_encrypt(0, output, tool.recipients, recipients, &tool.options, &report);
        else if (strcmp(verb, "decrypt") == 0)
                result = mail_decrypt(0, output, &tool.keys, &tool.options, &report);
        else if (strcmp(verb, "verify") == 0)
                result = mail_verify(0, output, &tool.keys, &tool.options, &report);
        else
                return 2;
        for (size_t i = 0; i < report.finding_count; i++)
                fprintf(stderr, "%s\t%u\t%s\n", report.findings[i].problem ? problem_info(report.findings[i].problem)->code : "ok",
                        report.findings[i].layer, report.findings[i].sentence);
        if (result < 0 || (result > 0 && report.finding_count == 0))
                fprintf(stderr, "%s\t0\t%s\n", result > 0 ? problem_info(result)->code : "fault", report_text());
        mail_report_done(&report);
        return result_exit_code(result);
}
