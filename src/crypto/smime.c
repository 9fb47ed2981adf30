/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/smime.h"

#include "crypto/der.h"
#include "crypto/oid.h"

static int wrong(const char *what)
{
        return refuse(PROBLEM_MALFORMED, "This is no userSMIMECertificate as this program writes it: %s.", what);
}

/* ---- reading */

static int oid_expect(struct bytes *cursor, struct bytes expected, const char *what)
{
        struct bytes oid;

        TRY(der_read_oid(cursor, &oid));
        return bytes_equal(oid, expected) ? 0 : wrong(what);
}

/* The OID of an AlgorithmIdentifier whose parameters are absent or NULL. */
static int algorithm_oid(struct bytes *cursor, struct bytes *ret_oid)
{
        struct bytes content;

        TRY(der_read(cursor, DER_SEQUENCE, &content));
        TRY(der_read_oid(&content, ret_oid));
        if (content.len)
                TRY(der_read_null(&content));
        return PASS(der_finish(content));
}

/* RFC 5652 11.1, 11.2: both of these, once, with one value each. */
static int attributes_read(struct smime *smime)
{
        struct bytes list, attribute, type, values;
        bool typed = false;

        TRY(der_read_only(smime->attributes, DER_CONTEXT_CONSTRUCTED(0), &list));
        while (list.len) {
                TRY(der_read(&list, DER_SEQUENCE, &attribute));
                TRY(der_read_oid(&attribute, &type));
                TRY(der_read(&attribute, DER_SET, &values));
                TRY(der_finish(attribute));
                if (bytes_equal(type, oid_content_type)) {
                        if (typed)
                                return wrong("a signed attribute is there more than once");
                        typed = true;
                        TRY(oid_expect(&values, oid_data, "what it signs is not of the type data"));
                        TRY(der_finish(values));
                } else if (bytes_equal(type, oid_message_digest)) {
                        if (smime->message_digest.data)
                                return wrong("a signed attribute is there more than once");
                        TRY(der_read(&values, DER_OCTET_STRING, &smime->message_digest));
                        TRY(der_finish(values));
                }
        }
        return typed && smime->message_digest.data ? 0 : wrong("signed attributes are missing");
}

/* SignerInfo, RFC 5652 5.3, version 1. */
static int signer_read(struct bytes signers, struct smime *smime)
{
        struct bytes info, id;
        uint64_t version;

        TRY(der_read(&signers, DER_SEQUENCE, &info));
        if (signers.len)
                return wrong("it has several signers");
        TRY(der_read_small(&info, 1, &version));
        TRY(der_read(&info, DER_SEQUENCE, &id));
        TRY(der_read_whole(&id, DER_SEQUENCE, &smime->issuer));
        TRY(der_read_unsigned(&id, &smime->serial));
        TRY(der_finish(id));
        TRY(algorithm_oid(&info, &smime->digest_oid));
        TRY(der_read_whole(&info, DER_CONTEXT_CONSTRUCTED(0), &smime->attributes));
        TRY(der_read_whole(&info, DER_SEQUENCE, &smime->algorithm));
        TRY(der_read(&info, DER_OCTET_STRING, &smime->signature));
        TRY(der_finish(info));
        return PASS(attributes_read(smime));
}

static int certificates_read(struct bytes certificates, struct smime *smime)
{
        while (certificates.len) {
                if (smime->certificate_count == SMIME_CERTIFICATES_MOST)
                        return wrong("it has more certificates than are accepted");
                TRY(der_read_whole(&certificates, DER_SEQUENCE, &smime->certificates[smime->certificate_count]));
                smime->certificate_count++;
        }
        return 0;
}

static int signed_data_read(struct bytes data, struct smime *smime)
{
        struct bytes digests, content, certificates, signers;
        uint64_t version;

        TRY(der_read_small(&data, 3, &version));
        TRY(der_read(&data, DER_SET, &digests));
        TRY(der_read(&data, DER_SEQUENCE, &content));
        TRY(oid_expect(&content, oid_data, "what it signs is not of the type data"));
        if (content.len)
                return wrong("it has content");
        TRY(der_read(&data, DER_CONTEXT_CONSTRUCTED(0), &certificates));
        TRY(certificates_read(certificates, smime));
        TRY(der_read(&data, DER_SET, &signers));
        TRY(signer_read(signers, smime));
        return PASS(der_finish(data));
}

int smime_parse(struct bytes der, struct smime *ret_smime)
{
        struct smime smime = {0};
        struct bytes info, explicit, data;

        if (der.len > SMIME_MOST)
                return refuse(PROBLEM_TOO_LARGE, "A userSMIMECertificate of %zu bytes is not read; %d are the most.",
                              der.len, SMIME_MOST);
        TRY(der_read_only(der, DER_SEQUENCE, &info));
        TRY(oid_expect(&info, oid_signed_data, "it is not signed data"));
        TRY(der_read(&info, DER_CONTEXT_CONSTRUCTED(0), &explicit));
        TRY(der_finish(info));
        TRY(der_read_only(explicit, DER_SEQUENCE, &data));
        TRY(signed_data_read(data, &smime));
        *ret_smime = smime;
        return 0;
}

int smime_signer(const struct smime *smime, struct certificate *ret_certificate)
{
        for (size_t i = 0; i < smime->certificate_count; i++) {
                CLEANUP(certificate_done) struct certificate certificate = {0};

                if (certificate_parse(smime->certificates[i], &certificate) == 0 &&
                    bytes_equal(certificate.issuer, smime->issuer) && bytes_equal(certificate.serial, smime->serial)) {
                        *ret_certificate = certificate_take(&certificate);
                        return 0;
                }
        }
        return refuse(PROBLEM_NOT_FOUND, "The signer's certificate is not in the userSMIMECertificate.");
}

/* ---- the signature */

static const struct {
        const struct bytes *digest, *rsa;
        const char *name;
} digests[] = {
    {&oid_sha256, &oid_sha256_with_rsa, "SHA256"},
    {&oid_sha384, &oid_sha384_with_rsa, "SHA384"},
    {&oid_sha512, &oid_sha512_with_rsa, "SHA512"},
};

static int digest_of_nothing(const struct smime *smime, size_t index)
{
        uint8_t hash[EVP_MAX_MD_SIZE];
        size_t len = 0;

        if (EVP_Q_digest(NULL, digests[index].name, NULL, "", 0, hash, &len) != 1)
                return crypto_fault("Hashing nothing");
        if (!bytes_equal(smime->message_digest, bytes_of(hash, len)))
                return refuse(PROBLEM_UNAUTHENTICATED,
                              "The userSMIMECertificate is signed over content that it does not have.");
        return 0;
}

/* RFC 5754 3.2 permits rsaEncryption where the digest is named elsewhere. */
static int algorithm_complete(const struct smime *smime, size_t index, struct buf *ret_algorithm)
{
        struct bytes cursor = smime->algorithm, oid;

        if (algorithm_oid(&cursor, &oid) == 0 && bytes_equal(oid, oid_rsa_encryption))
                der_add_algorithm(ret_algorithm, *digests[index].rsa, true);
        else
                buf_add_bytes(ret_algorithm, smime->algorithm);
        return 0;
}

int smime_verify(const struct smime *smime, EVP_PKEY *key)
{
        CLEANUP(buf_done) struct buf algorithm = BUF_NONE, covered = buf_copy_of(smime->attributes);
        size_t index = 0;

        while (index < ARRAY_LEN(digests) && !bytes_equal(smime->digest_oid, *digests[index].digest))
                index++;
        if (index == ARRAY_LEN(digests))
                return refuse(PROBLEM_UNSUPPORTED,
                              "The userSMIMECertificate is signed with a digest that is not supported.");
        TRY(digest_of_nothing(smime, index));
        TRY(algorithm_complete(smime, index, &algorithm));
        covered.data[0] = DER_SET; /* RFC 5652 5.4 */
        return PASS(pkey_verify_as(key, buf_view(&algorithm), buf_view(&covered), smime->signature));
}
