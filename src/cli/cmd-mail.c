/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe mail sign | encrypt | decrypt | verify: filters from standard input to standard output. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/addressees.h"
#include "cli/directory.h"
#include "cli/home.h"
#include "cli/keystore.h"
#include "cli/show.h"
#include "cli/table.h"
#include "crypto/crl.h"
#include "mail/report.h"
#include "protocol/writer.h"

/* Everything that one filter may need; filled as far as it does. */
struct work {
        const struct arguments *arguments;
        struct session session;
        struct cert_list roots, intermediates;
        struct certificate *certificates; /* of the own keys */
        struct mail_own_key *own;
        size_t own_count;
        struct mail_keys keys;
        struct mail_options options;
        struct mail_report report;
        int input, output;
        const char *out_path;
        char *out_new;
};

static void work_done(struct work *work)
{
        for (size_t i = 0; i < work->own_count; i++) {
                certificate_done(&work->certificates[i]);
                EVP_PKEY_free(work->own[i].key);
        }
        free(work->certificates);
        free(work->own);
        cert_list_done(&work->roots);
        cert_list_done(&work->intermediates);
        session_done(&work->session);
        mail_report_done(&work->report);
        if (work->out_path && work->output > STDERR_FILENO)
                close(work->output);
        if (work->out_new)
                unlink(work->out_new);
        free(work->out_new);
        if (work->input > STDERR_FILENO)
                close(work->input);
}

/* ---- input and output ------------------------------------------------------------------------------------- */

static int open_files(struct work *work)
{
        const char *in = operand(work->arguments, 0);
        char *name CLEANUP(mem_freep) = NULL;
        struct stat st;

        work->input = STDIN_FILENO;
        work->output = STDOUT_FILENO;
        if (in && strcmp(in, "-") != 0) {
                work->input = open(in, O_RDONLY | O_CLOEXEC);
                if (work->input < 0)
                        return refuse(PROBLEM_NOT_FOUND, "The message %s cannot be read: %s.", in, strerror(errno));
                if (fstat(work->input, &st) == 0 && S_ISDIR(st.st_mode))
                        return refuse(PROBLEM_NOT_FOUND, "%s is a folder, not a message.", in);
        }
        if (work->input == STDIN_FILENO && terminal_is(stdin))
                tell("Reading a message from the terminal; end it with Ctrl-D.");
        work->out_path = argument_text(work->arguments, "out");
        if (!work->out_path)
                return 0;
        TRY(file_replaceable(work->out_path));
        /* A new file, which nobody else has open: a letter that is decrypted goes there. */
        name = text_format("%s.XXXXXX", work->out_path);
        work->output = mkostemp(name, O_CLOEXEC);
        if (work->output < 0)
                return refuse(PROBLEM_STORAGE, "The file %s cannot be written: %s.", work->out_path, strerror(errno));
        work->out_new = TAKE(name);
        return 0;
}

/* The file gets its name only when it was written to its end; findings do not speak against that, faults do. */
static int close_files(struct work *work)
{
        if (!work->out_path || !work->report.written)
                return 0;
        if (fsync(work->output) < 0 || rename(work->out_new, work->out_path) < 0)
                return refuse(PROBLEM_STORAGE, "The file %s cannot be written: %s.", work->out_path, strerror(errno));
        free(work->out_new);
        work->out_new = NULL;
        return 0;
}

/* ---- own keys --------------------------------------------------------------------------------------------- */

static int add_own(struct work *work, const struct msg_own_key *own)
{
        struct certificate *certificate = &work->certificates[work->own_count];
        EVP_PKEY *key = NULL;

        TRY(certificate_parse(buf_view(&own->certificate), certificate));
        work->own[work->own_count].certificate = certificate;
        work->own_count++;
        TRY(pkey_from_pkcs8(secret_view(&own->private_key), &key));
        work->own[work->own_count - 1].key = key;
        return 0;
}

static int open_keys(struct work *work)
{
        struct password_source source = {"password-file", "password-fd", "Password of your key store", false};
        CLEANUP(secret_done) struct secret password = SECRET_NONE;
        MSG_OWN(key_store) store = {0};
        char *folder CLEANUP(mem_freep) = NULL, *path CLEANUP(mem_freep) = NULL;

        TRY(user_chosen(work->arguments, &folder));
        path = text_format("%s/keys", folder);
        if (access(path, F_OK) < 0)
                return refuse(
                    PROBLEM_NOT_FOUND,
                    "There is no key store %s; use \"vouchsafe enroll\", or \"vouchsafe recover\" after a loss.",
                    path);
        TRY(password_get(work->arguments, &source, &password));
        TRY(keystore_read(path, &password, &store));
        work->certificates = mem_array(store.keys.count + 1, sizeof(*work->certificates));
        work->own = mem_array(store.keys.count + 1, sizeof(*work->own));
        for (size_t i = 0; i < store.keys.count; i++)
                TRY(add_own(work, &store.keys.at[i]));
        work->keys.decryption = work->own;
        work->keys.decryption_count = work->own_count;
        return 0;
}

/* The newest is the one in use. */
static int choose_signer(struct work *work)
{
        for (size_t i = 0; i < work->own_count && !work->keys.signer.key; i++)
                if (certificate_may_sign(work->own[i].certificate))
                        work->keys.signer = work->own[i];
        if (!work->keys.signer.key)
                return refuse(PROBLEM_MAIL_NO_KEY, "The key store has no key to sign with.");
        if (work->keys.signer.certificate->not_after < clock_now())
                return refuse(PROBLEM_MAIL_EXPIRED, "Your signature certificate has expired; ask for a new token.");
        work->keys.signer_chain = &work->intermediates;
        return 0;
}

/* ---- trust and revocation --------------------------------------------------------------------------------- */

static int find_crl(void *context, const struct certificate *certificate, const struct certificate *issuer,
                    struct buf *ret_der)
{
        struct work *work = context;
        int64_t fetched = 0;
        char time[TIME_TEXT_SIZE];
        struct crl crl;

        if (!certificate->crl_url)
                return refuse(PROBLEM_NOT_FOUND, "The certificate does not say where its revocation list is.");
        TRY(directory_crl(&(struct crl_query){work->session.server.http, certificate,
                                              argument_flag(work->arguments, "offline"), issuer},
                          ret_der, &fetched));
        if (argument_flag(work->arguments, "verbose") && crl_parse(buf_view(ret_der), &crl) == 0)
                tell("Revocation list %llu with %zu entries, last found to be the newest %s.",
                     (unsigned long long)crl.number, crl.entry_count, time_short(fetched, time));
        return 0;
}

static int open_trust(struct work *work)
{
        TRY(session_user(work->arguments, &work->session));
        TRY(cert_list_add(&work->roots, buf_view(&work->session.config.root)));
        if (work->session.config.issuer.len)
                TRY(cert_list_add(&work->intermediates, buf_view(&work->session.config.issuer)));
        for (size_t i = 0; argument_text_at(work->arguments, "trust", i); i++)
                TRY(cert_list_add_file(&work->roots, argument_text_at(work->arguments, "trust", i)));
        work->keys.roots = &work->roots;
        work->keys.intermediates = &work->intermediates;
        work->keys.crl = find_crl;
        work->keys.crl_context = work;
        return 0;
}

/* ---- findings --------------------------------------------------------------------------------------------- */

static void show_findings_json(const struct work *work)
{
        CLEANUP(json_buf_done) struct buf out = BUF_NONE;
        struct json_writer writer = json_writer_of(&out);

        json_open(&writer, NULL, '{');
        json_text(&writer, "worst", bytes_text(work->report.worst ? problem_info(work->report.worst)->code : ""));
        json_flag(&writer, "written", work->report.written);
        json_open(&writer, "findings", '[');
        for (size_t i = 0; i < work->report.finding_count; i++) {
                const struct mail_finding *finding = &work->report.findings[i];
                json_open(&writer, NULL, '{');
                json_text(&writer, "code", bytes_text(finding->problem ? problem_info(finding->problem)->code : ""));
                json_number(&writer, "layer", finding->layer);
                json_text(&writer, "sentence", bytes_text(finding->sentence));
                json_close(&writer, '}');
        }
        json_close(&writer, ']');
        json_close(&writer, '}');
        fprintf(stderr, "%s\n", buf_text(&out));
}

static void show_findings(const struct work *work)
{
        for (size_t i = 0; i < work->report.finding_count; i++) {
                const struct mail_finding *finding = &work->report.findings[i];
                tell_styled(finding->problem ? STYLE_RED : STYLE_GREEN, "%s%s", finding->problem ? "! " : "  ",
                            finding->sentence);
        }
        if (work->report.worst && !work->report.written &&
            (work->report.worst == PROBLEM_MAIL_DECEPTIVE || work->report.worst == PROBLEM_MAIL_ALTERED))
                tell("Nothing of the message was written.");
}

/* Findings were sentences already; the worst is the exit code. */
static int conclude(struct work *work, int result)
{
        int r = result < 0 ? 0 : close_files(work);

        if (argument_json(work->arguments))
                show_findings_json(work);
        else if (!argument_flag(work->arguments, "quiet"))
                show_findings(work);
        if (r)
                return PASS(r);
        if (work->report.worst == result)
                terminal_reported();
        return PASS(result);
}

/* ---- the filters ------------------------------------------------------------------------------------------ */

static struct addressees_trust trust_of(const struct work *work)
{
        return (struct addressees_trust){&work->roots, &work->intermediates, work->session.server.http,
                                         argument_flag(work->arguments, "offline")};
}

/* 0: nothing speaks against it; without a list that can be had nobody knows of a revocation. */
static int check_own(struct work *work, const struct certificate *own, enum chain_purpose purpose)
{
        const struct addressees_trust trust = trust_of(work);
        const struct certificate *issuer = NULL;
        struct chain_query query = {.leaf = own, .intermediates = trust.intermediates, .roots = trust.roots,
                                    .at = clock_now(), .purpose = purpose};

        TRY(chain_verify(&query, &issuer));
        return PASS(addressees_check_revocation(&trust, own, issuer));
}

/* Who answers encrypts for the one that is named: the newest that is good, or else none. */
static int choose_encryption(struct work *work)
{
        for (size_t i = 0; i < work->own_count && !work->keys.encryption; i++) {
                const struct certificate *own = work->own[i].certificate;
                int r = certificate_may_sign(own) ? PROBLEM_NOT_FOUND : check_own(work, own, CHAIN_MAIL_RECIPIENT);

                if (r < 0)
                        return PASS(r);
                if (r == 0)
                        work->keys.encryption = own;
        }
        report_clear();
        return 0;
}

/* Said to whoever signs, since every reader is told. What cannot be told now, for want of an issuer, is not said. */
static int check_signer(struct work *work)
{
        int r = check_own(work, work->keys.signer.certificate, CHAIN_MAIL_SIGNER);

        if (r != PROBLEM_MAIL_REVOKED)
                return r < 0 ? PASS(r) : 0;
        return refuse(PROBLEM_MAIL_REVOKED, "Your signature certificate is revoked: nobody will believe this signature. Ask for a new token.");
}

static int sign_and_warn(struct work *work)
{
        TRY(mail_sign(work->input, work->output, &work->keys, &work->options, &work->report));
        TRY(finding_add_result(&work->report, 0, check_signer(work)));
        return PASS(mail_report_result(&work->report));
}

static int sign(struct arguments *arguments)
{
        CLEANUP(work_done) struct work work = {.arguments = arguments};

        if (argument_flag(arguments, "opaque") && argument_flag(arguments, "clear"))
                return refuse(PROBLEM_USAGE, "--opaque and --clear contradict each other.");
        work.options.form = argument_flag(arguments, "opaque")  ? MAIL_FORM_OPAQUE
                            : argument_flag(arguments, "clear") ? MAIL_FORM_CLEAR
                                                                : MAIL_FORM_AUTO;
        TRY(open_trust(&work));
        TRY(open_keys(&work));
        TRY(choose_signer(&work));
        TRY(choose_encryption(&work));
        TRY(open_files(&work));
        return PASS(conclude(&work, sign_and_warn(&work)));
}

/* What the cache has may be revoked by now; then the server is asked before anybody is refused. */
static int find_addressees(struct work *work, struct addressees *ret_addressees)
{
        const struct addressees_trust trust = trust_of(work);
        bool refresh = argument_flag(work->arguments, "refresh");
        int r;

        for (;;) {
                CLEANUP(addressees_done) struct addressees addressees = {0};
                TRY(addressees_collect(work->arguments, &work->session, refresh, &trust, &addressees));
                r = addressees_check(&addressees, &trust);
                if (r == 0) {
                        *ret_addressees = addressees;
                        addressees = (struct addressees){0};
                        return 0;
                }
                if (r != PROBLEM_MAIL_NO_RECIPIENT || refresh)
                        return PASS(r);
                refresh = true;
        }
}

static int encrypt(struct arguments *arguments)
{
        CLEANUP(work_done) struct work work = {.arguments = arguments};
        CLEANUP(addressees_done) struct addressees addressees = {0};

        TRY(open_trust(&work));
        TRY(find_addressees(&work, &addressees));
        TRY(open_files(&work));
        return PASS(conclude(&work, mail_encrypt(work.input, work.output, addressees.recipients, addressees.count,
                                                 &work.options, &work.report)));
}

static int decrypt(struct arguments *arguments)
{
        CLEANUP(work_done) struct work work = {.arguments = arguments};

        work.options.verify_too = argument_flag(arguments, "verify");
        work.options.entity_only = argument_flag(arguments, "entity");
        TRY(open_trust(&work));
        TRY(open_keys(&work));
        TRY(open_files(&work));
        return PASS(conclude(&work, mail_decrypt(work.input, work.output, &work.keys, &work.options, &work.report)));
}

static int verify(struct arguments *arguments)
{
        CLEANUP(work_done) struct work work = {.arguments = arguments};

        work.options.decrypt_too = argument_flag(arguments, "decrypt");
        work.options.with_header = argument_flag(arguments, "header");
        TRY(open_trust(&work));
        if (work.options.decrypt_too)
                TRY(open_keys(&work));
        TRY(open_files(&work));
        if (argument_flag(arguments, "check"))
                work.output = -1;
        return PASS(conclude(&work, mail_verify(work.input, work.output, &work.keys, &work.options, &work.report)));
}

/* clang-format off */
#define OPTIONS_FILTER                                                                                       \
        OPTION_USER,                                                                                         \
        {"out", "FILE", "write to FILE instead of standard output; it appears when it is complete", 'o', false}, \
        {"quiet", NULL, "no findings, only the exit code", 'q', false}
#define OPTION_TRUST   {"trust", "FILE", "also trust the root certificates in FILE", 0, true}
#define OPTION_OFFLINE {"offline", NULL, "ask nobody for revocation lists; use what is kept", 0, false}
#define OPTION_VERBOSE {"verbose", NULL, "also say which revocation lists were used", 'v', false}
/* clang-format on */

static const struct command_option sign_options[] = {
    {"clear", NULL, "multipart/signed, which everybody can read", 0, false},
    {"opaque", NULL, "application/pkcs7-mime, which survives every mail server", 0, false},
    OPTION_OFFLINE,
    OPTIONS_FILTER,
    OPTIONS_PASSWORD,
    OPTIONS_END,
};
static const struct command_option encrypt_options[] = {
    {"to", "ADDRESS", "a recipient; repeat for each", 't', true},
    {"certificate", "FILE", "a recipient's certificate, PEM or DER; may be repeated", 0, true},
    {"not-to-self", NULL, "do not also encrypt for yourself", 0, false},
    {"refresh", NULL, "ask the server even for certificates that the cache has", 0, false},
    OPTION_LDAP,
    OPTION_OFFLINE,
    OPTION_TRUST,
    OPTIONS_FILTER,
    OPTIONS_END,
};
static const struct command_option decrypt_options[] = {
    {"verify", NULL, "also check and take off signatures inside", 0, false},
    {"entity", NULL, "leave the outer header fields out", 0, false},
    OPTION_TRUST,
    OPTION_OFFLINE,
    OPTION_VERBOSE,
    OPTIONS_FILTER,
    OPTIONS_PASSWORD,
    OPTIONS_END,
};
static const struct command_option verify_options[] = {
    {"decrypt", NULL, "also decrypt what is encrypted", 0, false},
    {"header", NULL, "put the outer header fields, which no signature covers, in front", 0, false},
    {"check", NULL, "only check, write no message", 0, false},
    OPTION_TRUST,
    OPTION_OFFLINE,
    OPTION_VERBOSE,
    OPTIONS_FILTER,
    OPTIONS_PASSWORD,
    OPTIONS_END,
};

#define CODES                                                                                                \
        "Findings are sentences on standard error; the exit code is that of the worst: 38 weak algorithm, 39 signed\n" \
        "at another time than the message says, 40 not signed, 41 not encrypted, 42 no key, 43 no recipient's\n" \
        "certificate, 44 not verified, 45 revocation list out of date, 46 expired, 47 revoked, 48 another sender,\n" \
        "49 deceptive, 50 altered.\n"

const struct command command_mail_sign = {
    .noun = "mail",
    .verb = "sign",
    .summary = "Sign a message",
    .operands = "[FILE]",
    .most = 1,
    .options = sign_options,
    .about = "With a certificate that was revoked the message is signed all the same, and the exit code is 47; with one that\n"
             "has expired it is not.\n" CODES,
    .examples = "  vouchsafe mail sign <draft.eml >signed.eml\n",
    .run = sign,
};
const struct command command_mail_encrypt = {
    .noun = "mail",
    .verb = "encrypt",
    .summary = "Encrypt a message for its recipients and yourself",
    .operands = "[FILE]",
    .most = 1,
    .options = encrypt_options,
    .about = "Certificates come from the server and are kept, so this works while it is down. Whom it does not know is looked up\n"
             "in the LDAP directories of --ldap, $VOUCHSAFE_LDAP or the file \"ldap\" of the home; see vouchsafe-mail(1).\n" CODES,
    .examples = "  vouchsafe mail sign <draft.eml | vouchsafe mail encrypt --to bob@example.org --to "
                "carol@example.org >out.eml\n",
    .run = encrypt,
};
const struct command command_mail_decrypt = {
    .noun = "mail",
    .verb = "decrypt",
    .summary = "Decrypt a message with whichever of your keys opens it",
    .operands = "[FILE]",
    .most = 1,
    .options = decrypt_options,
    .about = CODES,
    .examples = "  vouchsafe mail decrypt --verify <in.eml >plain.eml\n",
    .run = decrypt,
};
const struct command command_mail_verify = {
    .noun = "mail",
    .verb = "verify",
    .summary = "Check who signed a message, and that it is whole",
    .operands = "[FILE]",
    .most = 1,
    .options = verify_options,
    .about = "Checks the chain, validity, revocation (whoever serves the list is asked for a newer one; what is kept\n"
             "serves when he cannot be reached), and that the signer is the sender.\n" CODES,
    .examples = "  vouchsafe mail verify <in.eml >content.eml\n",
    .run = verify,
};
