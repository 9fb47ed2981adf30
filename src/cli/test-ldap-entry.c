/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the certificates of a directory's entry is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/ldap-entry.h"
#include "crypto/test-pki.h"
#include "mail/mail.h"

#define ALICE "alice@example.org"

const struct command *const commands[] = {NULL};

struct world {
        struct test_ca ca, other;
        struct cert_list signature, encryption, newer;
        EVP_PKEY *signature_key, *encryption_key, *newer_key;
        struct buf smime;
};

static struct buf smime_of(const struct cert_list *signature, EVP_PKEY *key,
                           const struct cert_list *encryption)
{
        struct mail_keys keys = {.signer = {&signature->items[0], key},
                                 .encryption = &encryption->items[0],
                                 .capabilities = MAIL_READS_AES256_GCM | MAIL_READS_AES128_CBC};
        struct buf value = BUF_NONE;

        test_must(mail_smime_value(&keys, TEST_NOW, &value));
        return value;
}

static struct world world_new(void)
{
        struct world world = {.ca = test_ca_new(PKEY_P256), .other = test_ca_new(PKEY_P256)};

        world.signature_key = test_user(&world.ca, CERT_USER_SIGNATURE, PKEY_P256, ALICE, &world.signature);
        world.encryption_key =
            test_user(&world.ca, CERT_USER_ENCRYPTION, PKEY_P256, ALICE, &world.encryption);
        world.newer_key = test_user(&world.ca, CERT_USER_ENCRYPTION, PKEY_P256, ALICE, &world.newer);
        world.smime = smime_of(&world.signature, world.signature_key, &world.encryption);
        return world;
}

static void world_done(struct world *world)
{
        test_ca_done(&world->ca);
        test_ca_done(&world->other);
        cert_list_done(&world->signature);
        cert_list_done(&world->encryption);
        cert_list_done(&world->newer);
        EVP_PKEY_free(world->signature_key);
        EVP_PKEY_free(world->encryption_key);
        EVP_PKEY_free(world->newer_key);
        buf_done(&world->smime);
}

/* An entry with one value in userSMIMECertificate and one in userCertificate;binary; none where it is empty.
 */
static int choose_of(struct world *world, struct bytes smime, struct bytes certificate,
                     struct found_certificates *found)
{
        struct ldap_attribute attributes[] = {
            {(char[]){"usersmimecertificate"}, &smime, smime.len > 0},
            {(char[]){"usercertificate;binary"}, &certificate, certificate.len > 0}};
        struct ldap_entry entry = {.attributes = attributes, .count = 2};
        struct ldap_query query = {
            .roots = &world->ca.root, .intermediates = &world->ca.issuing, .now = TEST_NOW};
        MSG_OWN(kept_certificates) kept = {.address = text_copy(ALICE)};

        *found = (struct found_certificates){0};
        assert_int_equal(ldap_entry_collect(&entry, &kept), 0);
        return ldap_choose(&query, &kept, found);
}

static void assert_taken(struct found_certificates *found, const struct cert_list *expected,
                         unsigned capabilities)
{
        assert_int_equal(found->found.certificates.count, 1);
        assert_true(
            bytes_equal(buf_view(&found->found.certificates.at[0].der), buf_view(&expected->items[0].der)));
        assert_int_equal(found->capabilities, capabilities);
        found_certificates_done(found);
}

static void the_signed_value_comes_first(void **state)
{
        struct world world = world_new();
        struct found_certificates found;
        struct bytes newer = buf_view(&world.newer.items[0].der);

        assert_int_equal(choose_of(&world, buf_view(&world.smime), newer, &found), 0);
        assert_taken(&found, &world.encryption, MAIL_READS_AES256_GCM | MAIL_READS_AES128_CBC);
        assert_int_equal(choose_of(&world, BYTES_NONE, newer, &found), 0);
        assert_taken(&found, &world.newer, 0);
        /* One that cannot be read says nothing. */
        assert_int_equal(choose_of(&world, bytes_text("nonsense"), newer, &found), 0);
        assert_taken(&found, &world.newer, 0);
        world_done(&world);
}

/* Somebody else put Alice's certificate into a value of his own, with capabilities that she does not have. */
static void capabilities_are_the_owners_alone(void **state)
{
        struct world world = world_new();
        struct cert_list mallory = {0};
        struct found_certificates found;
        EVP_PKEY *key = test_user(&world.other, CERT_USER_SIGNATURE, PKEY_P256, ALICE, &mallory);
        CLEANUP(buf_done) struct buf forged = smime_of(&mallory, key, &world.encryption), broken = BUF_NONE;

        assert_int_equal(choose_of(&world, buf_view(&forged), BYTES_NONE, &found), 0);
        assert_taken(&found, &world.encryption, 0);
        broken = buf_copy_of(buf_view(&world.smime));
        broken.data[broken.len - 1] ^= 1; /* of the signature */
        assert_int_equal(choose_of(&world, buf_view(&broken), BYTES_NONE, &found), 0);
        assert_taken(&found, &world.encryption, 0);
        EVP_PKEY_free(key);
        cert_list_done(&mallory);
        world_done(&world);
}

static void what_cannot_be_trusted_is_not_taken(void **state)
{
        struct world world = world_new();
        struct cert_list strange = {0}, other = {0};
        struct found_certificates found;
        EVP_PKEY *strange_key = test_user(&world.other, CERT_USER_ENCRYPTION, PKEY_P256, ALICE, &strange);
        EVP_PKEY *other_key =
            test_user(&world.ca, CERT_USER_ENCRYPTION, PKEY_P256, "bob@example.org", &other);
        const struct cert_list *wrong[] = {&strange, &other, &world.signature, &world.ca.issuing};

        for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
                assert_true(choose_of(&world, BYTES_NONE, buf_view(&wrong[i]->items[0].der), &found) > 0);
                assert_int_equal(found.found.certificates.count, 0);
                found_certificates_done(&found);
        }
        EVP_PKEY_free(strange_key);
        EVP_PKEY_free(other_key);
        cert_list_done(&strange);
        cert_list_done(&other);
        world_done(&world);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(the_signed_value_comes_first),
            cmocka_unit_test(capabilities_are_the_owners_alone),
            cmocka_unit_test(what_cannot_be_trusted_is_not_taken),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
