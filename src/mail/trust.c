/* SPDX-License-Identifier: Apache-2.0 */
/* May the reader believe a signature that verifies? RFC 8550: chain, revocation, address; RFC 8551: time. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/crl.h"
#include "crypto/name.h"
#include "mail/reading.h"

enum { DATE_TOLERANCE = 3600, CLOCK_TOLERANCE = 600, ISSUERS_MOST = 8 };

struct judgement {
        struct reading *reading;
        unsigned layer;
        const struct signer_info *info;
        const struct certificate *certificate;
        const struct cert_list *along;
        const char *what; /* the certificate is */
};

#define SAY(judgement, problem, ...) finding_add((judgement)->reading->report, (problem), (judgement)->layer, __VA_ARGS__)

/* The signer as he is called in sentences: his addresses, or his name. */
static void signer_name(const struct certificate *certificate, struct buf *out)
{
        CLEANUP(buf_done) struct buf name = BUF_NONE;

        for (size_t i = 0; i < certificate->address_count && i < 3; i++) {
                if (i > 0)
                        buf_add_text(out, ", ");
                buf_add_text(out, certificate_address(certificate, i));
        }
        if (out->len > 0)
                return;
        if (name_common_name(certificate->subject, &name) == 0)
                text_add_printable(out, buf_view(&name), 100);
        if (out->len == 0)
                buf_add_text(out, "somebody without a name");
}

/* ---- chain */

static int chain_ask(const struct judgement *judgement, int64_t at, enum chain_purpose purpose, const struct certificate **ret_issuer)
{
        const struct mail_keys *keys = judgement->reading->keys;
        size_t along = judgement->along->count, more = keys->intermediates ? keys->intermediates->count : 0;
        static const struct cert_list no_roots;
        /* A list of both, which borrows. */
        struct cert_list list = {mem_array(along + more + 1, sizeof(struct certificate)), along + more};
        const struct certificate *issuer = NULL;
        struct chain_query query = {
                .leaf = judgement->certificate,
                .intermediates = &list,
                .roots = keys->roots ? keys->roots : &no_roots,
                .at = at,
                .purpose = purpose,
        };
        int result;

        for (size_t i = 0; i < along; i++)
                list.items[i] = judgement->along->items[i];
        for (size_t i = 0; i < more; i++)
                list.items[along + i] = keys->intermediates->items[i];
        result = chain_verify(&query, &issuer);
        if (issuer && issuer >= list.items && issuer < list.items + along)
                issuer = &judgement->along->items[issuer - list.items];
        else if (issuer && issuer >= list.items && issuer < list.items + list.count)
                issuer = &keys->intermediates->items[(size_t)(issuer - list.items) - along];
        free(list.items);
        if (result == 0)
                *ret_issuer = issuer;
        return PASS(result);
}

/* When the chain is to have been valid. */
static int64_t chain_time(const struct judgement *judgement)
{
        int64_t now = judgement->reading->now, signing_time = judgement->info->signing_time;

        return signing_time > 0 && signing_time < now ? signing_time : now;
}

/* At the time of the signature; if that is long ago, the signer's word is all there is for it, and what is so now is said too. */
static int chain_judge(const struct judgement *judgement, const struct certificate **ret_issuer)
{
        int64_t now = judgement->reading->now, at = chain_time(judgement);
        const struct certificate *unused;
        char text[TIME_TEXT_SIZE];
        int result;

        *ret_issuer = NULL;
        if (!certificate_may_sign(judgement->certificate)) {
                SAY(judgement, PROBLEM_MAIL_UNVERIFIED, "The signer's certificate is not for signatures.");
                return 0;
        }
        result = chain_ask(judgement, at, CHAIN_MAIL_SIGNER, ret_issuer);
        if (result > 0)
                return finding_add_result(judgement->reading->report, judgement->layer, result);
        TRY(result);
        if (at == now)
                return 0;
        result = chain_ask(judgement, now, CHAIN_MAIL_SIGNER, &unused);
        if (result < 0)
                return PASS(result);
        if (result == PROBLEM_MAIL_EXPIRED)
                SAY(judgement, PROBLEM_NONE, "The signer's certificate was valid when he says that he signed (%s), and is not any more.",
                    time_text(at, text));
        return 0;
}

/* ---- revocation */

static int crl_report(const struct judgement *judgement, const struct crl *crl)
{
        int64_t now = judgement->reading->now, age = now - crl->this_update;
        struct crl_entry entry;
        char text[TIME_TEXT_SIZE];
        bool harmless;
        int result = crl_find(crl, judgement->certificate->serial, &entry);

        if (result < 0)
                return PASS(result);
        if (result == 0) {
                /* affiliationChanged, superseded, cessationOfOperation say nothing about what was signed before. */
                harmless = (entry.reason == 3 || entry.reason == 4 || entry.reason == 5) && judgement->info->signing_time > 0 &&
                           judgement->info->signing_time < entry.time;
                SAY(judgement, harmless ? PROBLEM_NONE : PROBLEM_MAIL_REVOKED, "The %s was revoked at %s%s.", judgement->what,
                    time_text(entry.time, text), harmless ? ", after he says that he signed, and not because of its key" : "");
                return 0;
        }
        if (!crl_is_for(crl, judgement->certificate))
                SAY(judgement, PROBLEM_MAIL_STALE_CRL,
                    "Whether the %s was revoked is not known: the revocation list at hand is one of its issuer's for other certificates.",
                    judgement->what);
        else if (!crl_covers(crl, judgement->certificate))
                SAY(judgement, PROBLEM_MAIL_EXPIRED,
                    "The %s expired at %s, and revocation lists of its issuer need not name it since; whether it was "
                    "revoked before is not known.", judgement->what, time_text(judgement->certificate->not_after, text));
        else if (now > crl->next_update)
                SAY(judgement, PROBLEM_MAIL_STALE_CRL,
                    "The revocation list at hand is %lld hours old; a newer one was due at %s. The %s is not on it.",
                    (long long)(age / 3600), time_text(crl->next_update, text), judgement->what);
        else
                SAY(judgement, PROBLEM_NONE, "The %s is not on the revocation list of %s (%lld minutes old).", judgement->what,
                    time_text(crl->this_update, text), (long long)(MAX(age, 0) / 60));
        return 0;
}

static int revocation_judge(const struct judgement *judgement, const struct certificate *issuer)
{
        const struct mail_keys *keys = judgement->reading->keys;
        CLEANUP(buf_done) struct buf der = BUF_NONE;
        struct crl crl;
        int result;

        if (!keys->crl) {
                SAY(judgement, PROBLEM_MAIL_STALE_CRL, "Whether the signer's certificate was revoked was not checked: there is no revocation list.");
                return 0;
        }
        result = keys->crl(keys->crl_context, judgement->certificate, issuer, &der);
        if (result == 0)
                result = crl_parse(buf_view(&der), &crl);
        if (result == 0)
                result = crl_verify(&crl, issuer);
        if (result < 0)
                return PASS(result);
        if (result > 0) {
                CLEANUP(buf_done) struct buf why = buf_copy_of(bytes_text(report_text()));

                SAY(judgement, PROBLEM_MAIL_STALE_CRL, "Whether the %s was revoked could not be checked: %s", judgement->what, buf_text(&why));
                return 0;
        }
        return PASS(crl_report(judgement, &crl));
}

static bool is_root(const struct mail_keys *keys, const struct certificate *certificate)
{
        for (size_t i = 0; keys->roots && i < keys->roots->count; i++)
                if (digest_equal(&keys->roots->items[i].fingerprint, &certificate->fingerprint))
                        return true;
        return false;
}

/* RFC 5280 6.3: also of the issuers up to the root, where they say who tells. */
static int revocations_judge(const struct judgement *judgement, const struct certificate *issuer)
{
        const struct mail_keys *keys = judgement->reading->keys;
        struct judgement above = *judgement;
        int result = 0;

        TRY(revocation_judge(judgement, issuer));
        above.what = "certificate of the signer's issuer";
        for (int i = 0; i < ISSUERS_MOST && result == 0 && issuer && keys->crl && issuer->crl_url && !is_root(keys, issuer); i++) {
                above.certificate = issuer;
                result = chain_ask(&above, chain_time(judgement), CHAIN_ANY, &issuer);
                if (result == 0)
                        TRY(revocation_judge(&above, issuer));
        }
        return finding_add_result(judgement->reading->report, judgement->layer, result);
}

/* ---- address and time */

static bool mailboxes_match(const struct mailboxes *mailboxes, const struct certificate *certificate)
{
        for (size_t i = 0; i < mailboxes->count; i++)
                if (!mailboxes->keys[i] || !certificate_has_address(certificate, mailboxes->keys[i]))
                        return false;
        return mailboxes->count > 0;
}

/* RFC 8550 3, but stricter: programs show From, so a match of Sender alone is said and not taken for good. */
static void address_judge(const struct judgement *judgement)
{
        const struct identity *identity = &judgement->reading->identity;
        const struct certificate *certificate = judgement->certificate;
        CLEANUP(buf_done) struct buf who = BUF_NONE;
        const char *from = identity->from.count > 0 ? identity->from.shown[0] : "nobody";

        if (mailboxes_match(&identity->from, certificate))
                return;
        signer_name(certificate, &who);
        if (certificate->address_count == 0)
                SAY(judgement, PROBLEM_MAIL_OTHER_SENDER, "The signer's certificate (%s) names no mail address, so nothing ties it to the sender %s.",
                    buf_text(&who), from);
        else if (identity->from.count > 1)
                SAY(judgement, PROBLEM_MAIL_OTHER_SENDER, "The message names %zu authors, and the signer %s is not all of them.",
                    identity->from.count, buf_text(&who));
        else if (mailboxes_match(&identity->sender, certificate))
                SAY(judgement, PROBLEM_MAIL_OTHER_SENDER, "The message is signed by %s, who sent it for the author that it names, %s; the author did not sign.",
                    buf_text(&who), from);
        else
                SAY(judgement, PROBLEM_MAIL_OTHER_SENDER, "The message says that it is from %s, but it is signed by %s.", from, buf_text(&who));
}

static void time_judge(const struct judgement *judgement)
{
        int64_t signing_time = judgement->info->signing_time, date = judgement->reading->identity.date;
        char signed_text[TIME_TEXT_SIZE], date_text[TIME_TEXT_SIZE];

        if (signing_time == 0)
                return;
        if (signing_time > judgement->reading->now + CLOCK_TOLERANCE)
                SAY(judgement, PROBLEM_MAIL_OTHER_DATE, "The message says that it was signed at %s, which is in the future.",
                    time_text(signing_time, signed_text));
        else if (judgement->reading->identity.date_unreadable)
                SAY(judgement, PROBLEM_MAIL_OTHER_DATE, "The message was signed at %s, and its Date is not readable; it may be an old one that was sent again.",
                    time_text(signing_time, signed_text));
        else if (date != 0 && (date > signing_time + DATE_TOLERANCE || date < signing_time - DATE_TOLERANCE))
                SAY(judgement, PROBLEM_MAIL_OTHER_DATE, "The message is dated %s, but it was signed at %s; it may be an old one that was sent again.",
                    time_text(date, date_text), time_text(signing_time, signed_text));
}

int signer_trust(struct reading *reading, unsigned layer, const struct signer_info *info, const struct certificate *certificate,
                 const struct cert_list *along)
{
        struct judgement judgement = {reading, layer, info, certificate, along, "signer's certificate"};
        CLEANUP(buf_done) struct buf who = BUF_NONE;
        const struct certificate *issuer;
        char text[TIME_TEXT_SIZE];

        signer_name(certificate, &who);
        if (info->signing_time > 0)
                SAY(&judgement, PROBLEM_NONE, "Signed by %s at %s.", buf_text(&who), time_text(info->signing_time, text));
        else
                SAY(&judgement, PROBLEM_NONE, "Signed by %s; the signature does not say when.", buf_text(&who));
        if (info->weak)
                SAY(&judgement, PROBLEM_MAIL_WEAK, "The signature relies on SHA-1, with which somebody may have signed another message than this.");
        TRY(chain_judge(&judgement, &issuer));
        if (issuer)
                TRY(revocations_judge(&judgement, issuer));
        address_judge(&judgement);
        time_judge(&judgement);
        return 0;
}

/* ---- the outermost header */

static const struct header_field *single_field(const struct header *header, const char *name, struct mail_report *report)
{
        size_t count;
        const struct header_field *field = header_find(header, name, &count);

        if (count > 1)
                finding_add(report, PROBLEM_MAIL_DECEPTIVE, 0,
                            "The header has %zu %s lines where there may be one: programs differ in which they show.", count, name);
        return field;
}

static void false_ends_judge(const struct header *header, struct mail_report *report, unsigned layer)
{
        if (header_has_false_ends(header))
                finding_add(report, PROBLEM_MAIL_DECEPTIVE, layer,
                            "There are carriage returns or null bytes within lines of the header: programs that take them for ends show other fields.");
}

static void deceiving_judge(const struct mailboxes *from, struct mail_report *report, unsigned layer)
{
        if (from->deceiving)
                finding_add(report, PROBLEM_MAIL_DECEPTIVE, layer, "The sender %s shows another address beside his own, %s, as if it were his.",
                            from->count > 0 ? from->shown[0] : "without an address", from->deceiving);
}

void identity_read(const struct header *header, struct mail_report *report, struct identity *ret_identity)
{
        const struct header_field *from = single_field(header, "From", report), *sender = single_field(header, "Sender", report),
                                  *date = single_field(header, "Date", report);
        struct identity identity = {0};

        (void)single_field(header, "Subject", report);
        false_ends_judge(header, report, 0);
        if (header_ends_early(header))
                finding_add(report, PROBLEM_MAIL_DECEPTIVE, 0,
                            "There is a line in the header that is none of its fields: programs that end the header there show what follows as text.");
        if (from)
                mailboxes_parse(from, &identity.from);
        if (sender)
                mailboxes_parse(sender, &identity.sender);
        identity.date_unreadable = date && header_date(date, &identity.date) != 0;
        deceiving_judge(&identity.from, report, 0);
        *ret_identity = identity;
}

void inner_header_judge(struct reading *reading, unsigned layer, const struct header *inner)
{
        const struct mailboxes *outer = &reading->identity.from;
        size_t count;
        const struct header_field *field = header_find(inner, "From", &count);
        struct mailboxes from;
        bool same;

        false_ends_judge(inner, reading->report, layer);
        if (!field)
                return;
        mailboxes_parse(field, &from);
        deceiving_judge(&from, reading->report, layer);
        same = count == 1 && from.count == 1 && outer->count == 1 && from.keys[0] && outer->keys[0] &&
               strcmp(from.keys[0], outer->keys[0]) == 0;
        if (!same)
                finding_add(reading->report, PROBLEM_MAIL_DECEPTIVE, layer,
                            "Inside the message is a header from %s, while the outer one is from %s: a program that shows the "
                            "inner header shows a sender who did not sign.",
                            from.count ? from.shown[0] : "nobody", outer->count ? outer->shown[0] : "nobody");
        mailboxes_done(&from);
}

void identity_done(struct identity *identity)
{
        mailboxes_done(&identity->from);
        mailboxes_done(&identity->sender);
}
