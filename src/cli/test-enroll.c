/* SPDX-License-Identifier: Apache-2.0 */
/* What a client accepts as the answer to its token, step by step: this test is the server, honest and otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/enroll.h"
#include "cli/home.h"
#include "cli/keystore.h"
#include "crypto/certificate.h"
#include "crypto/csr.h"
#include "crypto/envelope.h"
#include "crypto/name.h"

/* The library wants a table. */
const struct command *const commands[] = {NULL};

static struct {
        char folder[64];
        EVP_PKEY *root_key, *other_root_key;
        struct buf root, other_root, name;
        struct secret password, other_password;
} set;

static const char *const addresses[] = {"zoe@example.org", "z@example.org"};

static void make_certificate(enum cert_profile profile, EVP_PKEY *key, EVP_PKEY *issuer, struct buf *ret_der)
{
        CLEANUP(buf_done) struct buf spki = BUF_NONE, issuer_spki = BUF_NONE;
        uint8_t serial[SERIAL_SIZE], key_id[KEY_ID_SIZE];
        struct cert_template template = {.profile = profile,
                                         .serial = serial,
                                         .not_before = clock_now() - 60,
                                         .not_after = clock_now() + 86400,
                                         .subject = buf_view(&set.name),
                                         .issuer = buf_view(&set.name)};

        serial_random(serial);
        assert_int_equal(pkey_to_spki(key, &spki), 0);
        assert_int_equal(pkey_to_spki(issuer, &issuer_spki), 0);
        assert_int_equal(spki_key_id(buf_view(&issuer_spki), key_id), 0);
        template.spki = buf_view(&spki);
        if (profile != CERT_ROOT) {
                template.issuer_key_id = key_id;
                template.addresses = addresses;
                template.address_count = 2;
        }
        assert_int_equal(certificate_make(&template, issuer, ret_der), 0);
}

static int begin(void **state)
{
        strcpy(set.folder, "/tmp/vouchsafe-test-XXXXXX");
        setenv("VOUCHSAFE_HOME", mkdtemp(set.folder), 1);
        client_password_cost = PASSWORD_COST_TESTS;
        name_write(&set.name, &(struct name_attributes){.organization = "Test", .common_name = "CA"});
        assert_int_equal(pkey_generate(PKEY_P256, &set.root_key), 0);
        assert_int_equal(pkey_generate(PKEY_P256, &set.other_root_key), 0);
        make_certificate(CERT_ROOT, set.root_key, set.root_key, &set.root);
        make_certificate(CERT_ROOT, set.other_root_key, set.other_root_key, &set.other_root);
        set.password = secret_copy(bytes_text("correct horse"));
        set.other_password = secret_copy(bytes_text("battery staple"));
        return 0;
}

static int end(void **state)
{
        char *command CLEANUP(mem_freep) = text_format("rm -rf %s", set.folder);

        EVP_PKEY_free(set.root_key);
        EVP_PKEY_free(set.other_root_key);
        buf_done(&set.root);
        buf_done(&set.other_root);
        buf_done(&set.name);
        secret_done(&set.password);
        secret_done(&set.other_password);
        return system(command);
}

/* How the answer lies; each in one way. */
enum lie {
        HONEST,
        FOREIGN_KEY,
        FOREIGN_CA,
        OTHER_ADDRESS,
        NO_ADDRESS,
        NO_KEYS,
        FOREIGN_ENVELOPE,
        OTHER_PRIVATE_KEY,
        FOREIGN_ENCRYPTION,
        LIES
};

static void seal_for(const struct msg_pending_exchange *pending, enum lie lie, EVP_PKEY *key,
                     struct buf *ret_envelope)
{
        CLEANUP(secret_done) struct secret pkcs8 = SECRET_NONE, other = SECRET_NONE;
        EVP_PKEY *wrong CLEANUP(EVP_PKEY_freep) = NULL;
        struct point recipient;

        assert_int_equal(pkey_generate(PKEY_P256, &wrong), 0);
        assert_int_equal(scalar_random(&other), 0);
        assert_int_equal(pkey_to_pkcs8(lie == OTHER_PRIVATE_KEY ? wrong : key, &pkcs8), 0);
        assert_int_equal(point_of_scalar(lie == FOREIGN_ENVELOPE ? &other : &pending->recipient, &recipient), 0);
        assert_int_equal(envelope_seal(&recipient, &pkcs8, ENVELOPE_GCM, ret_envelope), 0);
}

static struct msg_token_answer answer_to(const struct msg_pending_exchange *pending, enum lie lie)
{
        struct msg_token_answer answer = {.server_id = text_copy("server"),
                                          .organisation = text_copy("Test"),
                                          .user = text_copy("id"),
                                          .name = text_copy("Zoë"),
                                          .root = buf_copy_of(buf_view(&set.root)),
                                          .issuer = buf_copy_of(buf_view(&set.root)),
                                          .ticket = buf_copy_of(bytes_text("ticket"))};
        MSG_OWN(token_request) request = {0};
        EVP_PKEY *own CLEANUP(EVP_PKEY_freep) = NULL, *encryption CLEANUP(EVP_PKEY_freep) = NULL,
                      *foreign CLEANUP(EVP_PKEY_freep) = NULL;
        struct csr csr;

        assert_int_equal(msg_decode(token_request, buf_view(&pending->request), &request), 0);
        assert_int_equal(csr_verify(buf_view(&request.csr), &csr, &own), 0);
        assert_int_equal(pkey_generate(PKEY_P256, &encryption), 0);
        assert_int_equal(pkey_generate(PKEY_P256, &foreign), 0);
        make_certificate(CERT_USER_SIGNATURE, lie == FOREIGN_KEY ? foreign : own,
                         lie == FOREIGN_CA ? set.other_root_key : set.root_key, &answer.signature_certificate);
        if (lie != NO_ADDRESS)
                msg_texts_add(&answer.addresses, lie == OTHER_ADDRESS ? "boss@example.org" : addresses[0]);
        if (lie == NO_KEYS)
                return answer;
        struct msg_key_envelope *item = MSG_LIST_ADD(answer.keys);
        make_certificate(CERT_USER_ENCRYPTION, encryption,
                         lie == FOREIGN_ENCRYPTION ? set.other_root_key : set.root_key, &item->certificate);
        seal_for(pending, lie, encryption, &item->envelope);
        return answer;
}

static void only_the_honest_answer_is_taken(void **state)
{
        CLEANUP(token_done) struct token token = token_new();
        MSG_OWN(pending_exchange) pending = {0};

        assert_int_equal(enroll_prepare("enroll", "https://x", &token, "p256", &pending), 0);
        for (enum lie lie = HONEST; lie < LIES; lie++) {
                CLEANUP(enrolled_done) struct enrolled enrolled = {0};
                MSG_OWN(token_answer) answer = answer_to(&pending, lie);
                int r = enroll_check(&pending, &token, &answer, &enrolled);
                if (lie == HONEST)
                        assert_int_equal(r, 0);
                else
                        assert_int_equal(r, PROBLEM_UNAUTHENTICATED);
                assert_int_equal(enrolled.store.keys.count, lie == HONEST ? 2 : 0);
        }
}

static size_t keys_kept(const struct secret *password)
{
        MSG_OWN(key_store) store = {0};
        char *path CLEANUP(mem_freep) = NULL;

        assert_int_equal(home_path(&path, "users/zoe@example.org/keys"), 0);
        assert_int_equal(keystore_read(path, password, &store), 0);
        return store.keys.count;
}

static void storing_can_be_repeated_and_loses_nothing(void **state)
{
        CLEANUP(token_done) struct token token = token_new();
        MSG_OWN(pending_exchange) pending = {0};
        MSG_OWN(client_config) config = {0};
        CLEANUP(enrolled_done) struct enrolled enrolled = {0};
        char *path CLEANUP(mem_freep) = NULL;
        struct msg_token_answer answer;

        assert_int_equal(enroll_prepare("enroll", "https://x", &token, "p384", &pending), 0);
        answer = answer_to(&pending, HONEST);
        assert_int_equal(enroll_check(&pending, &token, &answer, &enrolled), 0);
        for (unsigned i = 0; i < 3; i++) {
                assert_int_equal(enroll_store(&pending, &set.password, &enrolled), 0);
                assert_int_equal(keys_kept(&set.password), 2);
        }
        assert_int_equal(home_path(&path, "users/zoe@example.org/config"), 0);
        assert_int_equal(home_record_read(path, msg_record_client_config(), &config), 0);
        assert_int_equal(config.selectors.count, 1);
        assert_string_equal(config.selectors.at[0], token.selector);
        /* Under another password the old store is put aside. */
        assert_int_equal(enroll_store(&pending, &set.other_password, &enrolled), 0);
        assert_int_equal(keys_kept(&set.other_password), 2);
        CLEANUP(home_entries_done) struct home_entries entries = {0};
        path[strlen(path) - strlen("/config")] = 0;
        assert_int_equal(home_list(path, &entries), 0);
        assert_int_equal(entries.count, 3);
}

/* Of who left: keys without a certificate, and only when they are recovered. */
static void keys_of_who_left_come_alone(void **state)
{
        CLEANUP(token_done) struct token token = token_new();

        for (unsigned i = 0; i < 2; i++) {
                MSG_OWN(pending_exchange) pending = {0};
                CLEANUP(enrolled_done) struct enrolled enrolled = {0};
                struct msg_token_answer answer;

                assert_int_equal(enroll_prepare(i ? "recover" : "enroll", "https://x", &token, "p256", &pending), 0);
                answer = answer_to(&pending, HONEST);
                buf_done(&answer.signature_certificate);
                if (i)
                        assert_int_equal(enroll_check(&pending, &token, &answer, &enrolled), 0);
                else
                        assert_int_not_equal(enroll_check(&pending, &token, &answer, &enrolled), 0);
                assert_int_equal(enrolled.store.keys.count, i);
                msg_done(token_answer, &answer);
        }
}

/* A recovered key of an earlier CA is the user's all the same. */
static void recovered_keys_of_an_earlier_authority_are_kept(void **state)
{
        CLEANUP(token_done) struct token token = token_new();
        MSG_OWN(pending_exchange) pending = {0};
        CLEANUP(enrolled_done) struct enrolled enrolled = {0};
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE;
        struct point point;
        struct msg_token_answer answer;

        assert_int_equal(enroll_prepare("recover", "https://x", &token, "p256", &pending), 0);
        assert_int_equal(token_recipient(&token, &scalar, &point), 0);
        assert_true(bytes_equal(secret_view(&scalar), secret_view(&pending.recipient)));
        answer = answer_to(&pending, FOREIGN_ENCRYPTION);
        assert_int_equal(enroll_check(&pending, &token, &answer, &enrolled), 0);
        assert_int_equal(enrolled.store.keys.count, 2);
        assert_int_equal(enrolled.unchained, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(only_the_honest_answer_is_taken),
            cmocka_unit_test(storing_can_be_repeated_and_loses_nothing),
            cmocka_unit_test(keys_of_who_left_come_alone),
            cmocka_unit_test(recovered_keys_of_an_earlier_authority_are_kept),
        };
        return cmocka_run_group_tests(tests, begin, end);
}
