/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe audit list | export | verify */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/session.h"
#include "cli/show.h"
#include "cli/table.h"
#include "crypto/certificate.h"
#include "crypto/der.h"
#include "model/audit.h"

enum { PAGE = 500, LIST_DEFAULT = 50, LIST_MOST = 1000000, FINDINGS_SHOWN = 20 };
#define EXPORT_MOST ((size_t)4 << 30)

/* ---- what the model asks of cryptography -------------------------------------------------------------------- */

static void hash(void *context, struct bytes data, uint8_t ret_hash[static HASH_SIZE])
{
        struct digest digest = sha256(data);

        memcpy(ret_hash, digest.data, HASH_SIZE);
}

struct audit_trust {
        struct cert_list roots; /* that are believed; empty: the file's own root, which is then reported */
        EVP_PKEY *key;          /* once the certificates of the file were verified */
};

static void audit_trust_done(struct audit_trust *trust)
{
        cert_list_done(&trust->roots);
        EVP_PKEY_free(trust->key);
}

static int split(struct bytes certificates, struct cert_list *ret_list)
{
        CLEANUP(cert_list_done) struct cert_list list = {0};

        while (certificates.len) {
                struct bytes one;
                TRY(der_read_whole(&certificates, DER_SEQUENCE, &one));
                TRY(cert_list_add(&list, one));
        }
        if (!list.count)
                return refuse(PROBLEM_MALFORMED, "The file has no certificate of an audit key.");
        *ret_list = list;
        list = (struct cert_list){0};
        return 0;
}

static int find_key(struct audit_trust *trust, struct bytes certificates)
{
        CLEANUP(cert_list_done) struct cert_list list = {0};

        TRY(split(certificates, &list));
        if (trust->roots.count)
                TRY(chain_verify(&(struct chain_query){.leaf = &list.items[0],
                                                       .intermediates = &list,
                                                       .roots = &trust->roots,
                                                       .at = list.items[0].not_before,
                                                       .purpose = CHAIN_ANY},
                                 NULL));
        return PASS(pkey_from_spki(list.items[0].spki, &trust->key));
}

static int check(void *context, struct bytes certificates, struct bytes message, struct bytes signature)
{
        struct audit_trust *trust = context;

        if (!trust->key)
                TRY(find_key(trust, certificates));
        return PASS(pkey_verify(trust->key, message, signature));
}

/* ---- list ------------------------------------------------------------------------------------------------- */

static void show_records(const struct msg_audit_listed *listed)
{
        CLEANUP(table_freep)
        struct table *table = table_new(
            (const char *const[]){">Number", "Time", "Who", "What", "~Subject", "Outcome", "~Detail", NULL});

        for (size_t i = 0; i < listed->records.count; i++) {
                const struct msg_audit_item *item = &listed->records.at[i];
                char number[24], time[TIME_TEXT_SIZE];
                snprintf(number, sizeof(number), "%llu%s", (unsigned long long)item->sequence, item->altered ? " (altered)" : "");
                table_row(table, (const char *const[]){number, time_short(item->time, time), item->actor,
                                                       item->action, item->subject, item->outcome, item->detail});
        }
        table_print(table, "No records.");
}

/* They are shown, since all that is known of them is there, but not as if nothing were wrong. */
static int altered_refuse(const struct msg_audit_listed *listed)
{
        for (size_t i = 0; i < listed->records.count; i++)
                if (listed->records.at[i].altered)
                        return refuse(PROBLEM_TAMPERED, "Audit record %llu was altered by something other than the server.",
                                      (unsigned long long)listed->records.at[i].sequence);
        return 0;
}

static char *text_given(const struct arguments *arguments, const char *name)
{
        const char *text = argument_text(arguments, name);

        return text ? text_copy(text) : NULL;
}

static int list(struct arguments *arguments)
{
        CLEANUP(session_done) struct session session = {0};
        MSG_OWN(audit_list) request = {.newest = !argument_text(arguments, "from")};
        MSG_OWN(audit_listed) reply = {0};

        TRY(argument_number(arguments, "from", INT64_MAX, 0, &request.from));
        TRY(argument_number(arguments, "limit", 1000, LIST_DEFAULT, &request.limit));
        request.actor = text_given(arguments, "who");
        request.action = text_given(arguments, "what");
        request.subject = text_given(arguments, "subject");
        request.refused = argument_flag(arguments, "refused");
        TRY(session_operator(arguments, &session));
        TRY(server_call(&session.server, audit_list, &request, audit_listed, &reply));
        if (argument_json(arguments))
                TRY(show_json_of(audit_listed, &reply));
        else
                show_records(&reply);
        return PASS(altered_refuse(&reply));
}

/* ---- export ----------------------------------------------------------------------------------------------- */

struct exporting {
        struct session session;
        struct buf file;
        struct audit_crypto crypto;
        struct audit_head last;
        uint64_t records, findings;
};

static void exporting_done(struct exporting *exporting)
{
        session_done(&exporting->session);
        buf_done(&exporting->file);
}

static int export_begin(struct exporting *exporting)
{
        MSG_OWN(authority) request = {0};
        MSG_OWN(authority_reply) authority = {0};
        struct bytes server_id = bytes_text(msg_text(exporting->session.server.server_id));

        TRY(server_call(&exporting->session.server, authority, &request, authority_reply, &authority));
        exporting->crypto = (struct audit_crypto){.sha256 = hash};
        audit_file_begin(&exporting->file, server_id);
        audit_file_certificate(&exporting->file, buf_view(&authority.audit_certificate));
        audit_file_certificate(&exporting->file, buf_view(&authority.issuer));
        audit_file_certificate(&exporting->file, buf_view(&authority.root));
        audit_chain_start(&exporting->crypto, server_id, exporting->last.hash);
        return 0;
}

static void export_found(struct exporting *exporting, const struct msg_audit_item *item, const char *what)
{
        if (exporting->findings++ < FINDINGS_SHOWN)
                tell_styled(STYLE_RED, "! Audit record %llu %s.", (unsigned long long)item->sequence, what);
}

/* What is wrong with a record, given the one before it; NULL: nothing. */
static const char *record_wrong(const struct exporting *exporting, const struct msg_audit_item *item)
{
        uint8_t hash[HASH_SIZE];

        if (item->altered)
                return "was altered by something other than the server";
        if (item->sequence != (uint64_t)exporting->last.seq + 1)
                return "does not follow the one before it: those between were removed";
        audit_record_hash(&exporting->crypto, exporting->last.hash, buf_view(&item->encoded), hash);
        return bytes_equal(buf_view(&item->hash), bytes_of(hash, HASH_SIZE)) ? NULL : "does not follow the one before it";
}

/* What is wrong is said and exported as it is, so that whoever verifies the file finds it too, and all the rest. */
static int export_record(struct exporting *exporting, const struct msg_audit_item *item)
{
        struct audit_record record;
        const char *wrong = record_wrong(exporting, item);
        int r = audit_record_parse(buf_view(&item->encoded), &record);

        if (r < 0)
                return PASS(r);
        if (wrong)
                export_found(exporting, item, wrong);
        exporting->last.seq = (int64_t)item->sequence;
        memset(exporting->last.hash, 0, HASH_SIZE);
        memcpy(exporting->last.hash, item->hash.data, MIN(item->hash.len, (size_t)HASH_SIZE));
        if (r) {
                export_found(exporting, item, "cannot be read, and is left out");
                return 0;
        }
        exporting->last.time = record.time;
        audit_file_record(&exporting->file, &record, exporting->last.hash);
        exporting->records++;
        return 0;
}

static void export_heads(struct exporting *exporting, const struct msg_audit_listed *page)
{
        for (size_t i = 0; i < page->heads.count; i++) {
                const struct msg_audit_head_item *item = &page->heads.at[i];
                struct audit_head head = {.seq = (int64_t)item->sequence, .time = item->time};
                if (head.seq != exporting->last.seq || item->hash.len != HASH_SIZE)
                        continue;
                memcpy(head.hash, item->hash.data, HASH_SIZE);
                audit_file_head(&exporting->file, &head, buf_view(&item->signature));
        }
}

static int export_pages(struct exporting *exporting)
{
        MSG_OWN(audit_list) request = {.from = 1, .limit = PAGE};
        struct progress progress;

        progress_begin(&progress, "Fetching audit records", 0);
        do {
                MSG_OWN(audit_listed) page = {0};
                TRY(server_call(&exporting->session.server, audit_list, &request, audit_listed, &page));
                for (size_t i = 0; i < page.records.count; i++) {
                        TRY(export_record(exporting, &page.records.at[i]));
                        export_heads(exporting, &page);
                }
                progress_step(&progress, exporting->records);
                request.from = page.next;
        } while (request.from);
        progress_end(&progress);
        audit_file_end(&exporting->file, &exporting->last);
        return 0;
}

static int export(struct arguments *arguments)
{
        CLEANUP(exporting_done) struct exporting exporting = {0};
        const char *path = operand(arguments, 0);

        if (access(path, F_OK) == 0 && !argument_flag(arguments, "force"))
                return refuse(PROBLEM_EXISTS, "The file %s is there already; --force writes over it.", path);
        TRY(session_operator(arguments, &exporting.session));
        TRY(export_begin(&exporting));
        TRY(export_pages(&exporting));
        TRY(file_write(path, buf_view(&exporting.file), 0600));
        if (exporting.findings)
                return refuse(PROBLEM_TAMPERED,
                              "%llu records of the audit chain are not as the server wrote them. All %llu that are there were written to %s, as they are.",
                              (unsigned long long)exporting.findings, (unsigned long long)exporting.records, path);
        if (argument_json(arguments))
                say("{\"records\":%llu}", (unsigned long long)exporting.records);
        else
                say("%llu audit records were written to %s; \"vouchsafe audit verify %s\" checks them anywhere.",
                    (unsigned long long)exporting.records, path, path);
        return 0;
}

/* ---- verify ----------------------------------------------------------------------------------------------- */

static int load_roots(const struct arguments *arguments, struct cert_list *roots)
{
        CLEANUP(session_done) struct session session = {0};
        CLEANUP(buf_done) struct buf file = BUF_NONE;
        const char *path = argument_text(arguments, "root");
        int r;

        if (path) {
                TRY(file_read(path, CERTIFICATE_MOST, &file));
                r = memmem(file.data, file.len, "-----BEGIN", 10) ? cert_list_add_pem(roots, buf_view(&file))
                                                                  : cert_list_add(roots, buf_view(&file));
                return r ? report_prefix(PASS(r), "%s: ", path) : 0;
        }
        if (session_anyone(arguments, &session) == 0 && session.server.ca.len)
                return PASS(cert_list_add_pem(roots, buf_view(&session.server.ca)));
        return 0;
}

static void show_summary(const struct audit_summary *summary, bool rooted)
{
        char time[TIME_TEXT_SIZE];

        say_styled(STYLE_GREEN, "The audit file is whole: %lld records in one chain, %lld signed heads.",
                   (long long)summary->records, (long long)summary->heads);
        say_pair("Server id", "%.*s", (int)summary->server_id.len, (const char *)summary->server_id.data);
        say_pair("First", "%lld, %s", (long long)summary->first.seq, time_short(summary->first.time, time));
        say_pair("Last", "%lld, %s", (long long)summary->last.seq, time_short(summary->last.time, time));
        if (summary->heads)
                say_pair("Signed up to", "%lld", (long long)summary->signed_head.seq);
        if (!rooted)
                tell("The signatures were checked with the certificate in the file itself; give --root FILE to check "
                     "that as well.");
        if (summary->signed_head.seq < summary->last.seq)
                tell("What was recorded after %lld is chained, but no head was signed after it yet.",
                     (long long)summary->signed_head.seq);
}

static int verify(struct arguments *arguments)
{
        CLEANUP(audit_trust_done) struct audit_trust trust = {0};
        CLEANUP(buf_done) struct buf file = BUF_NONE;
        struct audit_crypto crypto = {.context = &trust, .sha256 = hash, .check = check};
        struct audit_summary summary;
        int r;

        TRY(load_roots(arguments, &trust.roots));
        TRY(file_read(operand(arguments, 0), EXPORT_MOST, &file));
        r = audit_verify(buf_view(&file), &crypto, NULL, &summary);
        if (r > 0)
                return report_prefix(r, "%s: ", operand(arguments, 0));
        TRY(r);
        if (argument_json(arguments))
                say("{\"records\":%lld,\"heads\":%lld,\"last\":%lld,\"signed\":%lld,\"root_checked\":%s}",
                    (long long)summary.records, (long long)summary.heads, (long long)summary.last.seq,
                    (long long)summary.signed_head.seq, trust.roots.count ? "true" : "false");
        else
                show_summary(&summary, trust.roots.count > 0);
        return 0;
}

static const struct command_option list_options[] = {
    {"from", "N", "from record N on, the oldest first (default: the newest)", 0, false},
    {"limit", "N", "at most N records, 50 if not given", 0, false},
    {"who", "WHO", "only what WHO did, as operator:rita, user:bob@example.org or server", 0, false},
    {"what", "WHAT", "only WHAT, as user.enroll; user. is all that begins so", 0, false},
    {"subject", "TEXT", "only what was done to it", 0, false},
    {"refused", NULL, "only what was refused or failed", 0, false},
    OPTIONS_OPERATOR,
    OPTIONS_END,
};
static const struct command_option export_options[] = {
    {"force", NULL, "write over a file that is there", 'f', false}, OPTIONS_OPERATOR, OPTIONS_END};
static const struct command_option verify_options[] = {
    {"root", "FILE", "the root certificate to trust, PEM or DER (default: that of the folder's operator or user)", 0,
     false},
    OPTIONS_END,
};

const struct command command_audit_list = {
    .noun = "audit",
    .verb = "list",
    .summary = "Show what was done, and what was refused",
    .operands = "",
    .options = list_options,
    .examples = "  vouchsafe audit list --what request. --from 1\n"
                "  vouchsafe audit list --who operator:rita --refused\n",
    .run = list,
};

const struct command command_audit_export = {
    .noun = "audit",
    .verb = "export",
    .summary = "Write the whole audit chain with its signed heads to a file",
    .operands = "FILE",
    .least = 1,
    .most = 1,
    .options = export_options,
    .examples = "  vouchsafe audit export audit-2026.vaf\n",
    .run = export,
};

const struct command command_audit_verify = {
    .noun = "audit",
    .verb = "verify",
    .summary = "Verify an exported file, without any server",
    .operands = "FILE",
    .least = 1,
    .most = 1,
    .options = verify_options,
    .about = "Every record must follow from the one before it, and signed heads must fit. Exit code 28 names the "
             "first record\n"
             "that was altered, removed or put elsewhere.\n",
    .examples = "  vouchsafe audit verify audit-2026.vaf --root root.pem\n",
    .run = verify,
};
