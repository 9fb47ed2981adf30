/* SPDX-License-Identifier: Apache-2.0 */
/* Whole messages there and back, and what becomes of those that somebody altered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "crypto/crl.h"
#include "crypto/test-pki.h"
#include "mail/mail.h"

static struct world {
        struct test_ca ca;
        struct cert_list signer, encryption, bob, carol;
        EVP_PKEY *signer_key, *encryption_key, *bob_key, *carol_key;
        struct mail_own_key own[2];
        struct mail_keys keys;
        struct mail_options options;
        struct crl_entry revoked;
        size_t revoked_count;
        int64_t crl_time;
} world;

static int crl_give(void *context, const struct certificate *certificate, const struct certificate *issuer, struct buf *ret_der)
{
        bool of_root = bytes_equal(issuer->subject, world.ca.root.items[0].subject);
        struct crl_template tmpl = {
                .issuer = issuer->subject,
                .issuer_key_id = issuer->subject_key_id.data,
                .issuer_type = PKEY_P256,
                .this_update = world.crl_time,
                .next_update = world.crl_time + 86400,
                .number = 1,
                .entries = &world.revoked,
                .entry_count = of_root ? 0 : world.revoked_count,
        };

        (void)context;
        (void)certificate;
        return crl_make(&tmpl, of_root ? world.ca.root_key : world.ca.key, ret_der);
}

static int world_make(void **state)
{
        (void)state;
        world.ca = test_ca_new(PKEY_P256);
        world.signer_key = test_user(&world.ca, CERT_USER_SIGNATURE, PKEY_P256, "alice@example.org", &world.signer);
        world.encryption_key = test_user(&world.ca, CERT_USER_ENCRYPTION, PKEY_P256, "alice@example.org", &world.encryption);
        world.bob_key = test_user(&world.ca, CERT_USER_ENCRYPTION, PKEY_RSA2048, "bob@example.org", &world.bob);
        world.carol_key = test_user(&world.ca, CERT_USER_ENCRYPTION, PKEY_P384, "carol@example.org", &world.carol);
        world.own[0] = (struct mail_own_key){&world.bob.items[0], world.bob_key};
        world.own[1] = (struct mail_own_key){&world.carol.items[0], world.carol_key};
        world.crl_time = TEST_NOW - 60;
        world.options = (struct mail_options){.now = TEST_NOW, .spool_folder = "/tmp"};
        world.keys = (struct mail_keys){
                .signer = {&world.signer.items[0], world.signer_key},
                .signer_chain = &world.ca.issuing,
                .encryption = &world.encryption.items[0],
                .decryption = world.own,
                .decryption_count = 2,
                .roots = &world.ca.root,
                .crl = crl_give,
        };
        return 0;
}

static int world_end(void **state)
{
        (void)state;
        cert_list_done(&world.signer);
        cert_list_done(&world.encryption);
        cert_list_done(&world.bob);
        cert_list_done(&world.carol);
        EVP_PKEY_free(world.signer_key);
        EVP_PKEY_free(world.encryption_key);
        EVP_PKEY_free(world.bob_key);
        EVP_PKEY_free(world.carol_key);
        test_ca_done(&world.ca);
        return 0;
}

/* ---- running */

static int file_of(struct bytes data)
{
        int fd = memfd_create("mail", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, data.data, data.len), 0);
        lseek(fd, 0, SEEK_SET);
        return fd;
}

static struct buf content_of(int fd)
{
        struct buf content = BUF_NONE;
        uint8_t block[4096];
        size_t len;

        lseek(fd, 0, SEEK_SET);
        for (;;) {
                assert_int_equal(fd_read(fd, block, sizeof(block), &len), 0);
                if (len == 0)
                        return content;
                buf_add(&content, block, len);
        }
}

enum verb { SIGN, SIGN_OPAQUE, ENCRYPT, ENCRYPT_GCM, DECRYPT, VERIFY };

static int mail_do(enum verb verb, int in, int out, struct mail_report *report)
{
        unsigned all = MAIL_READS_AES256_CBC | MAIL_READS_AES256_GCM | MAIL_READS_OAEP;
        struct mail_recipient recipients[2] = {
                {.certificate = &world.bob.items[0], .capabilities_known = verb == ENCRYPT_GCM, .capabilities = all},
                {.certificate = &world.carol.items[0], .capabilities_known = verb == ENCRYPT_GCM, .capabilities = all},
        };
        struct mail_options options = world.options;

        options.form = verb == SIGN_OPAQUE ? MAIL_FORM_OPAQUE : MAIL_FORM_CLEAR;
        switch (verb) {
        case SIGN:
        case SIGN_OPAQUE:
                return mail_sign(in, out, &world.keys, &options, report);
        case ENCRYPT:
        case ENCRYPT_GCM:
                return mail_encrypt(in, out, recipients, 2, &options, report);
        case DECRYPT:
                return mail_decrypt(in, out, &world.keys, &options, report);
        case VERIFY:
                return mail_verify(in, out, &world.keys, &options, report);
        }
        return -1;
}

/* The result and what was written; the findings are dropped. */
static int mail_run(enum verb verb, struct bytes input, struct buf *ret_output)
{
        int in = file_of(input), out = memfd_create("out", MFD_CLOEXEC), result;
        struct mail_report report;

        result = mail_do(verb, in, out, &report);
        *ret_output = content_of(out);
        assert_int_equal(report.written, result >= 0 && ret_output->len > 0);
        mail_report_done(&report);
        close(in);
        close(out);
        return result;
}

#define HEAD "From: Alice <alice@example.org>\nTo: bob@example.org\nDate: Fri, 15 Jan 2027 08:00:00 +0000\n"

static const char *const messages[] = {
        HEAD "MIME-Version: 1.0\nContent-Type: text/plain\n\nHello\nBob\n",
        HEAD "MIME-Version: 1.0\nContent-Type: text/plain\n\nNo line end at the end",
        HEAD "\nNo content header\n",
        HEAD "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nZo\xc3\xab \xe4\xff\n",
        HEAD "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n--c\n--b\nContent-Transfer-Encoding: binary\n\n\r\n\r\r\n\x01\n\n--b--\n",
        HEAD "MIME-Version: 1.0\nContent-Type: text/plain\n\nMixed\r\nends\n\r\n\r",
        HEAD "MIME-Version: 1.0\nContent-Type: text/plain\n\n",
        HEAD,
        HEAD "MIME-Version: 1.0\nContent-Type: text/plain\n\n--\n-\n\n\n--- \n",
};

static struct buf with_crlf(const char *text)
{
        struct buf out = BUF_NONE;

        for (; *text; text++) {
                if (*text == '\n')
                        buf_add_byte(&out, '\r');
                buf_add_byte(&out, (uint8_t)*text);
        }
        return out;
}

/* What goes inside: the content fields, which stand last in these messages, and the body. */
static struct bytes entity_of(struct bytes message, bool crlf)
{
        size_t skip = crlf ? strlen(HEAD) + 3 : strlen(HEAD);

        return bytes_of(message.data + skip, message.len - skip);
}

static void one_goes_there_and_back(struct bytes message, bool crlf)
{
        static const enum verb there[] = {SIGN, SIGN_OPAQUE, ENCRYPT, ENCRYPT_GCM};
        struct bytes entity = entity_of(message, crlf);

        for (size_t i = 0; i < ARRAY_LEN(there); i++) {
                bool encrypts = there[i] == ENCRYPT || there[i] == ENCRYPT_GCM;
                CLEANUP(buf_done) struct buf wrapped = BUF_NONE, back = BUF_NONE;

                assert_int_equal(mail_run(there[i], message, &wrapped), 0);
                assert_int_equal(mail_run(encrypts ? DECRYPT : VERIFY, buf_view(&wrapped), &back), 0);
                if (entity.len == 0) /* no empty line, no body: one is added */
                        continue;
                assert_true(bytes_equal(buf_view(&back), encrypts ? message : entity));
        }
}

static void messages_go_there_and_back(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
                CLEANUP(buf_done) struct buf crlf = with_crlf(messages[i]);

                one_goes_there_and_back(bytes_text(messages[i]), false);
                one_goes_there_and_back(buf_view(&crlf), true);
        }
}

static void layers_nest(void **state)
{
        CLEANUP(buf_done) struct buf a = BUF_NONE, b = BUF_NONE, c = BUF_NONE, back = BUF_NONE;
        struct bytes message = bytes_text(messages[0]);

        (void)state;
        world.options.verify_too = world.options.decrypt_too = true;
        assert_int_equal(mail_run(SIGN, message, &a), 0);
        assert_int_equal(mail_run(ENCRYPT_GCM, buf_view(&a), &b), 0);
        assert_int_equal(mail_run(SIGN_OPAQUE, buf_view(&b), &c), 0);
        assert_int_equal(mail_run(VERIFY, buf_view(&c), &back), 0);
        assert_true(bytes_equal(buf_view(&back), entity_of(message, false)));
        buf_done(&back);
        assert_int_equal(mail_run(DECRYPT, buf_view(&b), &back), 0);
        assert_true(bytes_equal(buf_view(&back), message));
        buf_done(&back);
        world.options.layers = 1;
        assert_int_equal(mail_run(VERIFY, buf_view(&c), &back), 0);
        assert_true(memmem(back.data, back.len, "authEnveloped-data", 18) != NULL);
        world.options.verify_too = world.options.decrypt_too = false;
        world.options.layers = 0;
}

/* From a pipe, a few bytes at a time. */
static void pieces_do_not_matter(void **state)
{
        static const enum verb there[] = {SIGN, SIGN_OPAQUE, ENCRYPT, ENCRYPT_GCM};

        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(there); i++) {
                CLEANUP(buf_done) struct buf wrapped = BUF_NONE, back = BUF_NONE;
                struct mail_report report;
                int pipes[2], out = memfd_create("out", MFD_CLOEXEC);
                pid_t child;

                assert_int_equal(mail_run(there[i], bytes_text(messages[4]), &wrapped), 0);
                assert_int_equal(pipe(pipes), 0);
                child = fork();
                if (child == 0) {
                        for (size_t at = 0; at < wrapped.len; at += 3)
                                if (write(pipes[1], wrapped.data + at, MIN((size_t)3, wrapped.len - at)) < 0)
                                        _exit(1);
                        _exit(0);
                }
                close(pipes[1]);
                assert_int_equal(mail_do(i < 2 ? VERIFY : DECRYPT, pipes[0], out, &report), 0);
                mail_report_done(&report);
                waitpid(child, NULL, 0);
                back = content_of(out);
                assert_true(bytes_equal(buf_view(&back), i < 2 ? entity_of(bytes_text(messages[4]), false) : bytes_text(messages[4])));
                close(pipes[0]);
                close(out);
        }
}

/* Nothing that differs from the original comes out as good, whichever byte is changed. */
static void alterations_show(enum verb verb, enum verb back_verb, size_t step)
{
        struct bytes message = bytes_text(messages[0]), expected = back_verb == VERIFY ? entity_of(message, false) : message;
        CLEANUP(buf_done) struct buf wrapped = BUF_NONE;

        assert_int_equal(mail_run(verb, message, &wrapped), 0);
        for (size_t at = strlen(HEAD); at < wrapped.len; at += step) {
                CLEANUP(buf_done) struct buf altered = buf_copy_of(buf_view(&wrapped)), back = BUF_NONE;
                int result;

                altered.data[at] ^= (uint8_t)(1 << (at % 7));
                result = mail_run(back_verb, buf_view(&altered), &back);
                assert_true(result >= 0);
                if (result == 0)
                        assert_true(bytes_equal(buf_view(&back), expected) || back_verb == DECRYPT);
                if (result == 0 && back_verb == DECRYPT) /* the outer header is not authenticated */
                        assert_true(memmem(back.data, back.len, "Hello\nBob\n", 10) != NULL);
                if (result == PROBLEM_MAIL_ALTERED || result == PROBLEM_MAIL_DECEPTIVE)
                        assert_int_equal(back.len, 0);
        }
}

static void altered_messages_are_not_good(void **state)
{
        (void)state;
        alterations_show(SIGN, VERIFY, 3);
        alterations_show(SIGN_OPAQUE, VERIFY, 5);
        alterations_show(ENCRYPT_GCM, DECRYPT, 3);
}

static void cut_messages_are_not_good(void **state)
{
        static const enum verb there[] = {SIGN, SIGN_OPAQUE, ENCRYPT, ENCRYPT_GCM};

        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(there); i++) {
                CLEANUP(buf_done) struct buf wrapped = BUF_NONE;

                assert_int_equal(mail_run(there[i], bytes_text(messages[0]), &wrapped), 0);
                /* The last lines are padding or the closing boundary, which may be missing. */
                for (size_t len = 0; len + 100 < wrapped.len; len += 41) {
                        CLEANUP(buf_done) struct buf back = BUF_NONE;

                        assert_true(mail_run(i < 2 ? VERIFY : DECRYPT, bytes_of(wrapped.data, len), &back) > 0);
                        assert_int_equal(back.len, 0);
                }
        }
}

static void trust_is_judged(void **state)
{
        CLEANUP(buf_done) struct buf wrapped = BUF_NONE, other = BUF_NONE, back = BUF_NONE;
        struct mail_options options = world.options;
        const struct cert_list *roots = world.keys.roots;

        (void)state;
        assert_int_equal(mail_run(SIGN, bytes_text(messages[0]), &wrapped), 0);
        world.keys.roots = NULL;
        assert_int_equal(mail_run(VERIFY, buf_view(&wrapped), &back), PROBLEM_MAIL_UNVERIFIED);
        world.keys.roots = roots;
        buf_done(&back);
        world.crl_time = TEST_NOW - 2 * 86400;
        assert_int_equal(mail_run(VERIFY, buf_view(&wrapped), &back), PROBLEM_MAIL_STALE_CRL);
        world.crl_time = TEST_NOW - 60;
        buf_done(&back);
        world.revoked = (struct crl_entry){.time = TEST_NOW - 100, .reason = 1};
        memcpy(world.revoked.serial, world.signer.items[0].serial.data, SERIAL_SIZE);
        world.revoked_count = 1;
        assert_int_equal(mail_run(VERIFY, buf_view(&wrapped), &back), PROBLEM_MAIL_REVOKED);
        world.revoked_count = 0;
        buf_done(&back);
        world.options.now = TEST_NOW + 86400; /* signed a day after the date in the header */
        assert_int_equal(mail_run(SIGN, bytes_text(messages[0]), &other), 0);
        world.crl_time = world.options.now;
        assert_int_equal(mail_run(VERIFY, buf_view(&other), &back), PROBLEM_MAIL_OTHER_DATE);
        buf_done(&back);
        buf_done(&other);
        world.options.now = TEST_NOW + 1000 * 86400LL;
        assert_int_equal(mail_run(SIGN, bytes_text(messages[0]), &other), 0);
        world.crl_time = world.options.now;
        assert_int_equal(mail_run(VERIFY, buf_view(&other), &back), PROBLEM_MAIL_EXPIRED);
        world.crl_time = TEST_NOW - 60;
        world.options = options;
}

static void keys_that_are_missing_are_said(void **state)
{
        CLEANUP(buf_done) struct buf wrapped = BUF_NONE, back = BUF_NONE;

        (void)state;
        assert_int_equal(mail_run(ENCRYPT, bytes_text(messages[0]), &wrapped), 0);
        world.keys.decryption_count = 0;
        assert_int_equal(mail_run(DECRYPT, buf_view(&wrapped), &back), PROBLEM_MAIL_NO_KEY);
        world.keys.decryption_count = 2;
        buf_done(&back);
        assert_int_equal(mail_run(DECRYPT, bytes_text(messages[0]), &back), PROBLEM_MAIL_UNENCRYPTED);
        buf_done(&back);
        assert_int_equal(mail_run(VERIFY, bytes_text(messages[0]), &back), PROBLEM_MAIL_UNSIGNED);
        buf_done(&back);
        assert_int_equal(mail_run(VERIFY, buf_view(&wrapped), &back), PROBLEM_MAIL_UNSIGNED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(messages_go_there_and_back),
                cmocka_unit_test(layers_nest),
                cmocka_unit_test(pieces_do_not_matter),
                cmocka_unit_test(altered_messages_are_not_good),
                cmocka_unit_test(cut_messages_are_not_good),
                cmocka_unit_test(trust_is_judged),
                cmocka_unit_test(keys_that_are_missing_are_said),
        };

        return cmocka_run_group_tests(tests, world_make, world_end);
}
