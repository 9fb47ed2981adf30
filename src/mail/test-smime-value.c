/* SPDX-License-Identifier: Apache-2.0 */
/* userSMIMECertificate: written here, read by crypto/smime.h and by OpenSSL; altered in every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/cms.h>

#include "crypto/smime.h"
#include "crypto/test-pki.h"
#include "mail/mail.h"

struct alice {
        struct test_ca ca;
        struct cert_list signature, encryption;
        EVP_PKEY *signature_key, *encryption_key;
        struct mail_keys keys;
};

static void alice_make(struct alice *alice, enum pkey_type type)
{
        *alice = (struct alice){.ca = test_ca_new(PKEY_P256)};
        alice->signature_key = test_user(&alice->ca, CERT_USER_SIGNATURE, type, "alice@example.org", &alice->signature);
        alice->encryption_key =
            test_user(&alice->ca, CERT_USER_ENCRYPTION, PKEY_RSA2048, "alice@example.org", &alice->encryption);
        alice->keys = (struct mail_keys){
            .signer = {&alice->signature.items[0], alice->signature_key},
            .signer_chain = &alice->ca.issuing,
            .encryption = &alice->encryption.items[0],
            .capabilities = MAIL_READS_AES256_CBC | MAIL_READS_AES128_CBC,
        };
}

static void alice_done(struct alice *alice)
{
        test_ca_done(&alice->ca);
        cert_list_done(&alice->signature);
        cert_list_done(&alice->encryption);
        EVP_PKEY_free(alice->signature_key);
        EVP_PKEY_free(alice->encryption_key);
}

/* As a program that is not ours sees it: what is signed, by whom, whom to encrypt for, with what. */
static void openssl_reads(const struct alice *alice, struct bytes der)
{
        const unsigned char *at = der.data;
        CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &at, (long)der.len);
        BIO *nothing = BIO_new_mem_buf("", 0);
        STACK_OF(X509) *certificates;
        STACK_OF(CMS_SignerInfo) *signers;
        CMS_SignerInfo *signer;
        ASN1_OBJECT *microsoft = OBJ_txt2obj("1.3.6.1.4.1.311.16.4", 1);

        assert_non_null(cms);
        assert_ptr_equal(at, der.data + der.len);
        assert_int_equal(CMS_is_detached(cms), 1);
        assert_int_equal(OBJ_obj2nid(CMS_get0_eContentType(cms)), NID_pkcs7_data);
        assert_int_equal(CMS_verify(cms, NULL, NULL, nothing, NULL, CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY), 1);
        certificates = CMS_get1_certs(cms);
        assert_int_equal(sk_X509_num(certificates), 3);
        signers = CMS_get0_SignerInfos(cms);
        assert_int_equal(sk_CMS_SignerInfo_num(signers), 1);
        signer = sk_CMS_SignerInfo_value(signers, 0);
        assert_true(CMS_signed_get_attr_by_NID(signer, NID_SMIMECapabilities, -1) >= 0);
        assert_true(CMS_signed_get_attr_by_NID(signer, NID_id_smime_aa_encrypKeyPref, -1) >= 0);
        assert_true(CMS_signed_get_attr_by_OBJ(signer, microsoft, -1) >= 0);
        assert_true(memmem(der.data, der.len, alice->encryption.items[0].der.data, alice->encryption.items[0].der.len));
        ASN1_OBJECT_free(microsoft);
        sk_X509_pop_free(certificates, X509_free);
        BIO_free(nothing);
        CMS_ContentInfo_free(cms);
}

static void value_is_read_by_us_and_by_openssl(void **state)
{
        static const enum pkey_type types[] = {PKEY_P256, PKEY_P384, PKEY_RSA2048};

        for (size_t i = 0; i < ARRAY_LEN(types); i++) {
                struct alice alice;
                CLEANUP(buf_done) struct buf der = BUF_NONE;
                CLEANUP(certificate_done) struct certificate signer = {0};
                struct smime smime;

                alice_make(&alice, types[i]);
                test_must(mail_smime_value(&alice.keys, TEST_NOW, &der));
                openssl_reads(&alice, buf_view(&der));
                test_must(smime_parse(buf_view(&der), &smime));
                assert_int_equal(smime.certificate_count, 3);
                test_must(smime_signer(&smime, &signer));
                assert_true(digest_equal(&signer.fingerprint, &alice.signature.items[0].fingerprint));
                test_must(smime_verify(&smime, alice.signature_key));
                assert_int_equal(smime_verify(&smime, alice.ca.key),
                                 types[i] == PKEY_RSA2048 ? PROBLEM_UNSUPPORTED : PROBLEM_UNAUTHENTICATED);
                alice_done(&alice);
        }
}

/* Only what lies outside of the signed attributes (certificates, the choice of tags) may differ and still be signed by
 * her. */
static void no_altered_value_passes(void **state)
{
        struct alice alice;
        CLEANUP(buf_done) struct buf der = BUF_NONE;
        size_t passed = 0, attributes;

        alice_make(&alice, PKEY_P256);
        test_must(mail_smime_value(&alice.keys, TEST_NOW, &der));
        for (size_t i = 0; i < der.len; i++) {
                struct smime smime;

                der.data[i] ^= 1;
                if (smime_parse(buf_view(&der), &smime) == 0 && smime_verify(&smime, alice.signature_key) == 0) {
                        attributes = (size_t)(smime.attributes.data - der.data);
                        assert_false(i >= attributes && i < attributes + smime.attributes.len);
                        passed++;
                }
                der.data[i] ^= 1;
                assert_int_not_equal(smime_parse(bytes_of(der.data, i), &smime), 0);
        }
        assert_true(passed < der.len);
        alice_done(&alice);
}

static void content_and_other_types_are_refused(void **state)
{
        struct alice alice;
        CLEANUP(buf_done) struct buf data = buf_copy_of(bytes_text("some content"));
        BIO *content = BIO_new_mem_buf(data.data, (int)data.len);
        X509 *x509 = NULL;
        struct smime smime;

        alice_make(&alice, PKEY_P256);
        test_must(certificate_to_x509(&alice.signature.items[0], &x509));
        for (unsigned detached = 0; detached < 2; detached++) {
                CMS_ContentInfo *cms = CMS_sign(x509, alice.signature_key, NULL, content,
                                                CMS_BINARY | CMS_NOSMIMECAP | (detached ? CMS_DETACHED : 0));
                unsigned char *der = NULL;
                int len = i2d_CMS_ContentInfo(cms, &der), r;

                r = smime_parse(bytes_of(der, (size_t)len), &smime);
                if (detached && r == 0)
                        r = smime_verify(&smime, alice.signature_key);
                assert_int_equal(r, detached ? PROBLEM_UNAUTHENTICATED : PROBLEM_MALFORMED);
                OPENSSL_free(der);
                CMS_ContentInfo_free(cms);
                (void)BIO_reset(content);
        }
        X509_free(x509);
        BIO_free(content);
        alice.keys.encryption = NULL;
        assert_int_equal(mail_smime_value(&alice.keys, TEST_NOW, &data), PROBLEM_NOT_FOUND);
        alice_done(&alice);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(value_is_read_by_us_and_by_openssl),
            cmocka_unit_test(no_altered_value_passes),
            cmocka_unit_test(content_and_other_types_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
