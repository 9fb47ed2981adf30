/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ldap-entry.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/smime.h"
#include "mail/mail.h"

enum { KEPT_MOST = 32 };

/* ---- collecting */

static bool is_kept(const struct msg_kept_certificates *kept, struct bytes der)
{
        for (size_t i = 0; i < kept->certificates.count; i++)
                if (bytes_equal(buf_view(&kept->certificates.at[i].der), der))
                        return true;
        return false;
}

static struct msg_kept_certificate *keep(struct msg_kept_certificates *kept, struct bytes der)
{
        struct msg_kept_certificate *one;

        if (kept->certificates.count >= KEPT_MOST || der.len > CERTIFICATE_MOST || is_kept(kept, der))
                return NULL;
        one = MSG_LIST_ADD(kept->certificates);
        buf_add_bytes(&one->der, der);
        return one;
}

/* What the signer says that his mail program reads, once the signature is right. 0: nothing. */
static unsigned capabilities_of(const struct smime *smime, struct certificate *ret_signer)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        unsigned capabilities = 0;

        if (smime_signer(smime, ret_signer) || pkey_from_spki(ret_signer->spki, &key) ||
            smime_verify(smime, key) || mail_smime_capabilities(smime->attributes, &capabilities))
                return 0;
        return capabilities;
}

static void collect_smime(struct bytes value, struct msg_kept_certificates *kept)
{
        CLEANUP(certificate_done) struct certificate signer = {0};
        struct smime smime;
        unsigned capabilities;

        if (smime_parse(value, &smime) != 0)
                return;
        capabilities = capabilities_of(&smime, &signer);
        for (size_t i = 0; i < smime.certificate_count; i++) {
                struct msg_kept_certificate *one = keep(kept, smime.certificates[i]);

                if (!one)
                        continue;
                one->smime = true;
                one->capabilities = capabilities;
                if (capabilities)
                        buf_add_bytes(&one->signer, buf_view(&signer.der));
        }
}

static void collect_values(const struct ldap_entry *entry, const char *type, bool smime,
                           struct msg_kept_certificates *kept)
{
        const struct ldap_attribute *attribute = ldap_entry_find(entry, type);

        for (size_t i = 0; attribute && i < attribute->count; i++) {
                if (smime)
                        collect_smime(attribute->values[i], kept);
                else
                        (void)keep(kept, attribute->values[i]);
        }
}

int ldap_entry_collect(const struct ldap_entry *entry, struct msg_kept_certificates *kept)
{
        collect_values(entry, "userSMIMECertificate", true, kept);
        collect_values(entry, "userSMIMECertificate;binary", true, kept);
        collect_values(entry, "userCertificate;binary", false, kept);
        collect_values(entry, "userCertificate", false, kept);
        return 0;
}

/* ---- choosing */

struct choice {
        const struct ldap_query *query;
        const char *address;
        struct cert_list hints; /* our intermediates, and what came along */
};

static int trust(const struct choice *choice, const struct certificate *certificate,
                 enum chain_purpose purpose)
{
        struct chain_query query = {.leaf = certificate,
                                    .intermediates = &choice->hints,
                                    .roots = choice->query->roots,
                                    .at = choice->query->now ? choice->query->now : clock_now(),
                                    .purpose = purpose};

        return PASS(chain_verify(&query, NULL));
}

/* Whoever may write to a directory could else have a cipher chosen that the owner cannot read. */
static bool signer_is_owner(const struct choice *choice, struct bytes signer)
{
        CLEANUP(certificate_done) struct certificate certificate = {0};

        return signer.len && certificate_parse(signer, &certificate) == 0 &&
               certificate_may_sign(&certificate) && certificate_has_address(&certificate, choice->address) &&
               trust(choice, &certificate, CHAIN_MAIL_SIGNER) == 0;
}

static int judge(const struct choice *choice, const struct certificate *certificate)
{
        if (!certificate_has_address(certificate, choice->address))
                return refuse(PROBLEM_MAIL_NO_RECIPIENT, "The certificate there is for somebody else.");
        if (!certificate_may_encrypt(certificate))
                return refuse(PROBLEM_MAIL_NO_RECIPIENT, "The certificate there is for signatures only.");
        return PASS(trust(choice, certificate, CHAIN_MAIL_RECIPIENT));
}

static bool is_better(const struct msg_kept_certificate *a, int64_t a_from,
                      const struct msg_kept_certificate *b, int64_t b_from)
{
        return !b || a->smime > b->smime || (a->smime == b->smime && a_from > b_from);
}

static void hints_make(struct choice *choice, const struct msg_kept_certificates *kept)
{
        const struct cert_list *own = choice->query->intermediates;

        for (size_t i = 0; own && i < own->count; i++)
                if (cert_list_add(&choice->hints, buf_view(&own->items[i].der)) != 0)
                        report_clear(); /* it was one before */
        for (size_t i = 0; i < kept->certificates.count; i++)
                if (cert_list_add(&choice->hints, buf_view(&kept->certificates.at[i].der)) != 0)
                        report_clear(); /* a directory holds all kinds of things */
}

static void found_fill(const struct msg_kept_certificate *kept, const struct certificate *certificate,
                       struct found_certificates *found)
{
        struct msg_certificate_item *item = MSG_LIST_ADD(found->found.certificates);
        CLEANUP(buf_done) struct buf serial = BUF_NONE;

        hex_add(&serial, certificate->serial);
        item->serial = text_copy(buf_text(&serial));
        item->kind = text_copy("encryption");
        item->state = text_copy("valid");
        item->not_before = certificate->not_before;
        item->not_after = certificate->not_after;
        buf_add_bytes(&item->der, buf_view(&kept->der));
}

struct best {
        const struct msg_kept_certificate *kept;
        struct certificate certificate;
        char *why; /* the last one was not taken */
};

static void best_done(struct best *best)
{
        certificate_done(&best->certificate);
        free(best->why);
}

static int consider(struct choice *choice, const struct msg_kept_certificate *one, struct best *best)
{
        CLEANUP(certificate_done) struct certificate certificate = {0};
        int r = certificate_parse(buf_view(&one->der), &certificate);

        if (!r && certificate.is_ca)
                return 0;
        if (!r)
                r = judge(choice, &certificate);
        if (r) {
                free(best->why);
                best->why = text_copy(report_text());
                return r < 0 ? PASS(r) : 0;
        }
        if (!is_better(one, certificate.not_before, best->kept, best->certificate.not_before))
                return 0;
        certificate_done(&best->certificate);
        best->certificate = certificate_take(&certificate);
        best->kept = one;
        return 0;
}

static int choose(struct choice *choice, const struct msg_kept_certificates *kept,
                  struct found_certificates *found)
{
        CLEANUP(best_done) struct best best = {0};

        for (size_t i = 0; i < kept->certificates.count; i++)
                TRY(consider(choice, &kept->certificates.at[i], &best));
        if (!best.kept)
                return refuse(PROBLEM_MAIL_NO_RECIPIENT, "%s",
                              best.why ? best.why : "Only CA certificates are there.");
        found_fill(best.kept, &best.certificate, found);
        found->capabilities =
            signer_is_owner(choice, buf_view(&best.kept->signer)) ? (unsigned)best.kept->capabilities : 0;
        return 0;
}

int ldap_choose(const struct ldap_query *query, const struct msg_kept_certificates *kept,
                struct found_certificates *found)
{
        struct choice choice = {.query = query, .address = msg_text(kept->address)};
        int r;

        hints_make(&choice, kept);
        r = choose(&choice, kept, found);
        if (!r && !found->found.address)
                found->found.address = text_copy(choice.address);
        if (r) {
                cert_list_done(&choice.hints);
                return PASS(r);
        }
        cert_list_done(&found->hints);
        found->hints = choice.hints;
        return 0;
}
