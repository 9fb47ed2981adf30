/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/archive.h"
#include "crypto/crl.h"
#include "crypto/envelope.h"
#include "keeper/fixture.h"
#include "keeper/internal.h"
#include "model/audit.h"

/* ---- issuing ---------------------------------------------------------------------------------------------- */

struct enrollment {
        struct fixture f;
        struct msg_keeper_enroll request;
        struct msg_keeper_enrolled answer;
};

static void enrollment_init(struct enrollment *e)
{
        struct msg_subject *subject;
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;

        *e = (struct enrollment){0};
        fixture_init(&e->f);
        fixture_unseal(&e->f);
        e->f.keeper.url = text_copy("http://ca.example.org");
        subject = MSG_LIST_ADD(e->request.subject);
        subject->user = text_copy("user");
        subject->name = text_copy("Zoë");
        msg_texts_add(&subject->addresses, "zoe@example.org");
        msg_texts_add(&subject->addresses, "z@example.org");
        assert_int_equal(pkey_generate(PKEY_P256, &key), 0);
        assert_int_equal(pkey_to_spki(key, &e->request.spki), 0);
        buf_add_bytes(&e->request.recipient, point_view(&e->f.recipient_public));
        e->request.record_id = 7;
        e->request.encryption_profile = text_copy("p256");
        e->request.not_before = clock_now();
        e->request.signature_not_after = e->request.encryption_not_after = clock_now() + 86400;
}

static void enrollment_done(struct enrollment *e)
{
        fixture_done(&e->f);
        msg_done(keeper_enroll, &e->request);
        msg_done(keeper_enrolled, &e->answer);
}

static int enrollment_try(struct enrollment *e)
{
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};

        TRY(fixture_ask(&e->f, MSG_keeper_enroll, &e->request, &answer));
        msg_done(keeper_enrolled, &e->answer);
        return msg_decode(keeper_enrolled, keeper_reply_view(&answer), &e->answer);
}

/* The certificate is this user's, by this CA, and verifies; the private key in the envelope is its. */
static void assert_enrolled(struct enrollment *e)
{
        CLEANUP(certificate_done) struct certificate signature = {0}, encryption = {0};
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *issuer = NULL, *key = NULL;
        CLEANUP(secret_done) struct secret pkcs8 = SECRET_NONE;
        CLEANUP(buf_done) struct buf spki = BUF_NONE;
        struct archive_record record;

        assert_int_equal(certificate_parse(buf_view(&e->answer.signature_certificate), &signature), 0);
        assert_int_equal(certificate_parse(buf_view(&e->answer.encryption_certificate), &encryption), 0);
        assert_int_equal(pkey_from_spki(e->f.keeper.authority.issuer.spki, &issuer), 0);
        assert_int_equal(pkey_verify(issuer, signature.tbs, signature.signature), 0);
        assert_int_equal(pkey_verify(issuer, encryption.tbs, encryption.signature), 0);
        assert_true(bytes_equal(signature.spki, buf_view(&e->request.spki)));
        assert_int_equal(signature.key_usage, USAGE_DIGITAL_SIGNATURE | USAGE_NON_REPUDIATION);
        assert_true(certificate_has_address(&encryption, "zoe@example.org"));
        assert_true(certificate_has_address(&encryption, "z@example.org"));
        assert_string_equal(encryption.crl_url, "http://ca.example.org/pki/issuer.crl");
        assert_int_equal(envelope_open(&e->f.recipient, buf_view(&e->answer.envelope), &pkcs8), 0);
        assert_int_equal(pkey_from_pkcs8(secret_view(&pkcs8), &key), 0);
        assert_int_equal(pkey_to_spki(key, &spki), 0);
        assert_true(bytes_equal(buf_view(&spki), encryption.spki));
        assert_int_equal(archive_parse(buf_view(&e->answer.archive_record), &record), 0);
        assert_int_equal(record.suite, ARCHIVE_SUITE_P256);
}

static void enrollment_gives_both_certificates_and_the_key(void **state)
{
        CLEANUP(enrollment_done) struct enrollment e;

        enrollment_init(&e);
        assert_int_equal(enrollment_try(&e), 0);
        assert_enrolled(&e);
        e.request.signature_only = true;
        assert_int_equal(enrollment_try(&e), 0);
        assert_int_equal(e.answer.encryption_certificate.len, 0);
        assert_int_equal(e.answer.envelope.len, 0);
}

static bool enrolled_key_is(const struct enrollment *e, struct bytes hash)
{
        CLEANUP(certificate_done) struct certificate certificate = {0};
        struct digest found;

        assert_int_equal(certificate_parse(buf_view(&e->answer.encryption_certificate), &certificate), 0);
        found = spki_hash(certificate.spki);
        return bytes_equal(digest_view(&found), hash);
}

/* Somebody is enrolled with a pair of the pool. */
static void enrollment_from_pool(struct enrollment *e, struct msg_keeper_pooled *ret_pooled)
{
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        MSG_OWN(keeper_pool) request = {.profile = text_copy("p256")};

        enrollment_init(e);
        assert_int_equal(fixture_ask(&e->f, MSG_keeper_pool, &request, &answer), 0);
        assert_int_equal(msg_decode(keeper_pooled, keeper_reply_view(&answer), ret_pooled), 0);
        buf_add_bytes(&e->request.pool_key, buf_view(&ret_pooled->pool_key));
        assert_int_equal(enrollment_try(e), 0);
        assert_true(enrolled_key_is(e, buf_view(&ret_pooled->spki_hash)));
}

/* Whoever has an old copy of the database, with keys of the pool that are users' since, and the startup secret: his
 * keeper opens the database key, but not the pool. */
static void a_stolen_pool_opens_nothing(void **state)
{
        CLEANUP(enrollment_done) struct enrollment e;
        MSG_OWN(keeper_pooled) pooled = {0};

        enrollment_from_pool(&e, &pooled);
        fixture_restart(&e.f);
        fixture_unseal(&e.f);
        assert_int_equal(enrollment_try(&e), 0);
        assert_false(enrolled_key_is(&e, buf_view(&pooled.spki_hash)));
}

/* An engine finds a pair of the pool again after it became a user's: in a copy, or in what a database leaves behind. */
static void pool_keys_serve_once(void **state)
{
        CLEANUP(enrollment_done) struct enrollment e;
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0}, used = {0}, all = {0};
        MSG_OWN(keeper_pooled) pooled = {0};

        enrollment_from_pool(&e, &pooled);
        assert_true(e.f.keeper.changed & CHANGE_POOL);
        assert_int_equal(enrollment_try(&e), 0);
        assert_enrolled(&e);
        assert_false(enrolled_key_is(&e, buf_view(&pooled.spki_hash)));
        /* Nor by a sibling, whether it was there or comes later. */
        assert_int_equal(keeper_describe_pool_use(&e.f.keeper, &used), 0);
        assert_int_equal(keeper_describe_to_sibling(&e.f.keeper, &all), 0);
        for (int i = 0; i < 2; i++) {
                struct keeper_reply *told = i ? &all : &used;

                id_set_done(&e.f.keeper.pool_used);
                keeper_reply_done(&answer);
                assert_int_equal(
                        keeper_handle(&e.f.keeper, PEER_SIBLING, told->kind, keeper_reply_view(told), &answer), 0);
                assert_int_equal(enrollment_try(&e), 0);
                assert_false(enrolled_key_is(&e, buf_view(&pooled.spki_hash)));
        }
}

static void pool_keys_serve_their_profile_only(void **state)
{
        CLEANUP(enrollment_done) struct enrollment e;
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        MSG_OWN(keeper_pooled) pooled = {0};
        MSG_OWN(keeper_pool) request = {.profile = text_copy("p384")};

        enrollment_init(&e);
        assert_int_equal(fixture_ask(&e.f, MSG_keeper_pool, &request, &answer), 0);
        assert_int_equal(msg_decode(keeper_pooled, keeper_reply_view(&answer), &pooled), 0);
        assert_int_equal(pooled.spki_hash.len, DIGEST_SIZE);
        buf_add_bytes(&e.request.pool_key, buf_view(&pooled.pool_key));
        assert_int_equal(enrollment_try(&e), 0); /* as p256: a new one was made */
        assert_enrolled(&e);
        assert_false(enrolled_key_is(&e, buf_view(&pooled.spki_hash)));
        free(e.request.encryption_profile);
        e.request.encryption_profile = text_copy("p384");
        assert_int_equal(enrollment_try(&e), 0);
        assert_enrolled(&e);
        assert_true(enrolled_key_is(&e, buf_view(&pooled.spki_hash)));
        e.request.pool_key.data[50] ^= 1;
        assert_int_equal(enrollment_try(&e), 0);
        assert_false(enrolled_key_is(&e, buf_view(&pooled.spki_hash)));
        free(request.profile);
        request.profile = text_copy("ed25519");
        assert_int_equal(fixture_ask(&e.f, MSG_keeper_pool, &request, &answer), PROBLEM_UNSUPPORTED);
}

static void enrollments_are_checked_again(void **state)
{
        CLEANUP(enrollment_done) struct enrollment e;
        struct msg_subject *subject;

        enrollment_init(&e);
        subject = &e.request.subject.at[0];
        e.request.spki.data[30] ^= 1;
        assert_int_equal(enrollment_try(&e), PROBLEM_MALFORMED);
        e.request.spki.data[30] ^= 1;
        e.request.recipient.data[0] = 4;
        assert_int_equal(enrollment_try(&e), PROBLEM_MALFORMED);
        e.request.recipient.data[0] = e.f.recipient_public.data[0];
        free(subject->addresses.at[1]);
        subject->addresses.at[1] = text_copy("Z@Example.org");
        assert_int_equal(enrollment_try(&e), PROBLEM_MALFORMED);
        free(subject->addresses.at[1]);
        subject->addresses.at[1] = text_copy("no address");
        assert_int_equal(enrollment_try(&e), PROBLEM_MALFORMED);
        free(subject->addresses.at[1]);
        subject->addresses.count = 1;
        e.request.signature_not_after = e.request.not_before;
        assert_int_equal(enrollment_try(&e), PROBLEM_MALFORMED);
}

/* ---- what is published -------------------------------------------------------------------------------------- */

static void revocation_lists_are_signed_as_given(void **state)
{
        CLEANUP(fixture_done) struct fixture f;
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        MSG_OWN(keeper_crl) request = {.number = 5, .this_update = 1795000000, .next_update = 1795003600};
        MSG_OWN(keeper_crl_signed) signed_list = {0};
        struct crl crl;

        fixture_init(&f);
        fixture_unseal(&f);
        for (uint8_t i = 1; i <= 3; i++) {
                uint8_t entry[25] = {0x40, i, [20] = 0x6a, [24] = 1};

                buf_add(&request.entries, entry, sizeof(entry));
        }
        assert_int_equal(fixture_ask(&f, MSG_keeper_crl, &request, &answer), 0);
        assert_int_equal(msg_decode(keeper_crl_signed, keeper_reply_view(&answer), &signed_list), 0);
        assert_int_equal(crl_parse(buf_view(&signed_list.crl), &crl), 0);
        assert_int_equal(crl_verify(&crl, &f.keeper.authority.issuer), 0);
        assert_int_equal(crl.entry_count, 3);
        assert_int_equal(crl.number, 5);
        request.entries.data[24] = 7;
        assert_int_equal(fixture_ask(&f, MSG_keeper_crl, &request, &answer), PROBLEM_MALFORMED);
        request.entries.data[24] = 1;
        request.entries.data[1] = 9; /* out of order */
        assert_int_equal(fixture_ask(&f, MSG_keeper_crl, &request, &answer), PROBLEM_MALFORMED);
        request.entries.len--;
        assert_int_equal(fixture_ask(&f, MSG_keeper_crl, &request, &answer), PROBLEM_MALFORMED);
}

static void audit_heads_verify_with_the_certificate(void **state)
{
        CLEANUP(fixture_done) struct fixture f;
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        CLEANUP(certificate_done) struct certificate audit = {0};
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        CLEANUP(buf_done) struct buf message = BUF_NONE;
        MSG_OWN(keeper_head) request = {.sequence = 12, .time = 1795000000};
        MSG_OWN(keeper_head_signed) head = {0};
        struct audit_head expected = {.seq = 12, .time = 1795000000};

        fixture_init(&f);
        fixture_unseal(&f);
        assert_int_equal(fixture_ask(&f, MSG_keeper_head, &request, &answer), PROBLEM_MALFORMED);
        memset(expected.hash, 7, sizeof(expected.hash));
        buf_add(&request.hash, expected.hash, sizeof(expected.hash));
        assert_int_equal(fixture_ask(&f, MSG_keeper_head, &request, &answer), 0);
        assert_int_equal(msg_decode(keeper_head_signed, keeper_reply_view(&answer), &head), 0);
        assert_int_equal(certificate_parse(buf_view(&f.trust.audit_certificate), &audit), 0);
        assert_int_equal(pkey_from_spki(audit.spki, &key), 0);
        audit_head_message(bytes_text(f.trust.server_id), &expected, &message);
        assert_int_equal(pkey_verify(key, buf_view(&message), buf_view(&head.signature)), 0);
}

static void servers_keys_are_certified(void **state)
{
        CLEANUP(enrollment_done) struct enrollment e;
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        CLEANUP(certificate_done) struct certificate certificate = {0};
        MSG_OWN(keeper_certify_tls) request = {0};
        MSG_OWN(keeper_certified) certified = {0};

        enrollment_init(&e);
        buf_add_bytes(&request.spki, buf_view(&e.request.spki));
        request.not_before = clock_now();
        request.not_after = clock_now() + 40ll * 365 * 86400;
        assert_int_equal(fixture_ask(&e.f, MSG_keeper_certify_tls, &request, &answer), PROBLEM_MALFORMED);
        msg_texts_add(&request.host_names, "ca.example.org");
        assert_int_equal(fixture_ask(&e.f, MSG_keeper_certify_tls, &request, &answer), 0);
        assert_int_equal(msg_decode(keeper_certified, keeper_reply_view(&answer), &certified), 0);
        assert_int_equal(certificate_parse(buf_view(&certified.certificate), &certificate), 0);
        assert_int_equal(certificate.ext_key_usage, EXT_USAGE_SERVER);
        assert_int_equal(certificate.not_after, e.f.keeper.authority.issuer.not_after);
}
int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(enrollment_gives_both_certificates_and_the_key),
                cmocka_unit_test(pool_keys_serve_their_profile_only),
                cmocka_unit_test(a_stolen_pool_opens_nothing),
                cmocka_unit_test(pool_keys_serve_once),
                cmocka_unit_test(enrollments_are_checked_again),
                cmocka_unit_test(revocation_lists_are_signed_as_given),
                cmocka_unit_test(audit_heads_verify_with_the_certificate),
                cmocka_unit_test(servers_keys_are_certified),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
