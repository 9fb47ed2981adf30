/* SPDX-License-Identifier: Apache-2.0 */
/* The SET OF SignerInfo: find each signer's certificate, check his signature, and have his trust judged. */
#include "base/mem.h"
#include "crypto/der.h"
#include "crypto/oid.h"
#include "mail/reading.h"

/* The certificates that came along; those that cannot be read are left out. */
static int along_read(const struct cms_reader *cms, struct mail_report *report, struct cert_list *along)
{
        struct bytes field = buf_view(&cms->fields[CMS_CERTIFICATES]), list = BYTES_NONE, whole;
        uint8_t tag;

        if (field.len > 0)
                TRY(der_read_only(field, DER_CONTEXT_CONSTRUCTED(0), &list));
        while (list.len > 0 && along->count < 100) {
                struct bytes before = list, content;

                TRY(der_read_any(&list, &tag, &content));
                whole = bytes_of(before.data, before.len - list.len);
                if (tag != DER_SEQUENCE) /* attribute certificates and others */
                        continue;
                if (cert_list_add(along, whole) == 0 && cert_list_add(&report->certificates, whole) < 0)
                        return fault(0, "A certificate was readable once and not again");
        }
        return 0;
}

static const struct certificate *signer_find(const struct cms_id *id, const struct cert_list *list)
{
        for (size_t i = 0; list && i < list->count; i++)
                if (cms_id_matches(id, &list->items[i]))
                        return &list->items[i];
        return NULL;
}

static int hash_of(struct digest_set *digests, const EVP_MD *md, uint8_t hash[static EVP_MAX_MD_SIZE], struct bytes *ret_hash)
{
        CLEANUP(EVP_MD_CTX_freep) EVP_MD_CTX *copy = EVP_MD_CTX_new();
        unsigned len;

        for (size_t i = 0; i < digests->count; i++) {
                if (digests->items[i].md != md)
                        continue;
                if (!copy || EVP_MD_CTX_copy_ex(copy, digests->items[i].context) != 1 || EVP_DigestFinal_ex(copy, hash, &len) != 1)
                        return crypto_fault("Hashing the message");
                *ret_hash = bytes_of(hash, len);
                return 0;
        }
        return refuse(PROBLEM_MAIL_UNVERIFIED, "The signature uses a digest algorithm that the message does not announce; it was not checked.");
}

/* RFC 5035 5: the certificate must be the one that the signer named, so that nobody puts another with the same key in its place. */
static int certificate_hash_check(const struct signer_info *info, const struct certificate *certificate)
{
        uint8_t hash[EVP_MAX_MD_SIZE];
        const EVP_MD *md;
        unsigned len;

        if (info->certificate_hash.len == 0)
                return 0;
        TRY(digest_find(info->certificate_hash_oid, &md, NULL));
        if (EVP_Digest(certificate->der.data, certificate->der.len, hash, &len, md, NULL) != 1)
                return crypto_fault("Hashing a certificate");
        if (!bytes_equal(info->certificate_hash, bytes_of(hash, len)))
                return refuse(PROBLEM_MAIL_DECEPTIVE, "The message comes with another certificate than the one that its signer signed with.");
        return 0;
}

static int signature_check(const struct signer_info *info, const struct certificate *certificate, struct digest_set *digests)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        uint8_t hash[EVP_MAX_MD_SIZE];
        struct bytes view;
        int result;

        TRY(hash_of(digests, info->md, hash, &view));
        result = pkey_from_spki(certificate->spki, &key);
        if (result > 0)
                return refuse(PROBLEM_MAIL_UNVERIFIED, "The signer's key is of a kind or strength that is not accepted.");
        TRY(result);
        TRY(signer_info_verify(info, key, view));
        /* Strenzke, "Forging signed CMS", 2023: the signed attributes of another message, given out as content. */
        if (info->attributes.len == 0 && digests->first == DER_SET)
                return refuse(PROBLEM_MAIL_DECEPTIVE, "The content is made of the signed attributes of another message.");
        return PASS(certificate_hash_check(info, certificate));
}

static void signer_put(struct mail_report *report, struct mail_signer *signer)
{
        report->signers = mem_resize(report->signers, report->signer_count + 1, sizeof(*report->signers));
        report->signers[report->signer_count++] = *signer;
}

static int signer_judge(struct reading *reading, unsigned layer, const struct signer_info *info, const struct cert_list *along,
                        struct digest_set *digests)
{
        const struct certificate *certificate = signer_find(&info->id, along);
        struct mail_report *report = reading->report;
        struct mail_signer signer = {.layer = layer, .signing_time = info->signing_time, .capabilities = info->capabilities,
                                     .capabilities_known = info->capabilities_known};
        int worst = report->worst, result;

        if (!certificate)
                certificate = signer_find(&info->id, reading->keys->intermediates);
        if (!certificate) {
                finding_add(report, PROBLEM_MAIL_UNVERIFIED, layer,
                            "The signer's certificate did not come with the message and is not at hand, so the signature was not checked.");
                signer_put(report, &signer);
                return 0;
        }
        TRY(certificate_parse(buf_view(&certificate->der), &signer.certificate));
        report->worst = PROBLEM_NONE;
        result = signature_check(info, certificate, digests);
        if (result == PROBLEM_UNSUPPORTED || result == PROBLEM_MALFORMED)
                result = refuse(PROBLEM_MAIL_UNVERIFIED, "%s", report_text());
        if (result == 0)
                result = signer_trust(reading, layer, info, certificate, along);
        else
                result = finding_add_result(report, layer, result);
        signer.good = report->worst == PROBLEM_NONE;
        if (problem_is_worse(worst, report->worst))
                report->worst = worst;
        signer_put(report, &signer);
        return PASS(result);
}

/* RFC 8551 2.4.1; without signed attributes nothing else says what the signature is for. */
static int content_type_check(const struct cms_reader *cms)
{
        struct bytes type = buf_view(&cms->fields[CMS_CONTENT_TYPE]), oid;

        TRY(der_read_oid(&type, &oid));
        if (!bytes_equal(oid, oid_data))
                return refuse(PROBLEM_UNSUPPORTED, "What is signed is not mail content but another type of data.");
        return 0;
}

int signers_judge(struct reading *reading, unsigned layer, const struct cms_reader *cms, struct digest_set *digests)
{
        CLEANUP(cert_list_done) struct cert_list along = {0};
        struct bytes set;
        size_t count = 0;

        TRY(content_type_check(cms));
        TRY(along_read(cms, reading->report, &along));
        TRY(der_read_only(buf_view(&cms->fields[CMS_SIGNERS]), DER_SET, &set));
        if (set.len == 0)
                finding_add(reading->report, PROBLEM_MAIL_UNSIGNED, layer, "The message has the form of a signed one, but nobody signed it.");
        while (set.len > 0) {
                struct signer_info info;
                int result = signer_info_read(&set, &info);

                if (result > 0) /* what follows cannot be told apart any more */
                        return finding_add_result(reading->report, layer,
                                                  refuse(result == PROBLEM_UNSUPPORTED ? PROBLEM_MAIL_UNVERIFIED : PROBLEM_MAIL_ALTERED, "%s", report_text()));
                TRY(result);
                if (++count > SIGNERS_MOST) {
                        finding_add(reading->report, PROBLEM_MAIL_UNVERIFIED, layer, "The message has more than %d signatures.", SIGNERS_MOST);
                        return 0;
                }
                TRY(signer_judge(reading, layer, &info, &along, digests));
        }
        return 0;
}
