/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/enroll.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/directory.h"
#include "cli/home.h"
#include "cli/keystore.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "crypto/certificate.h"
#include "crypto/csr.h"
#include "crypto/envelope.h"
#include "crypto/name.h"

void enrolled_done(struct enrolled *enrolled)
{
        msg_done(token_answer, &enrolled->answer);
        msg_done(key_store, &enrolled->store);
}

/* ---- prepare ---------------------------------------------------------------------------------------------- */

int enroll_prepare(const char *purpose, const char *url, const struct token *token, const char *key_type,
                   struct msg_pending_exchange *ret_pending)
{
        MSG_OWN(pending_exchange) pending = {.purpose = text_copy(purpose),
                   .server = text_copy(url),
                   .selector = text_copy(token->selector),
                   .created = clock_now()};
        MSG_OWN(token_request) request = {.purpose = text_copy(purpose), .selector = text_copy(token->selector)};
        EVP_PKEY *key CLEANUP(EVP_PKEY_freep) = NULL;
        enum pkey_type type = pkey_type_from_name(key_type);
        CLEANUP(buf_done) struct buf name = BUF_NONE;
        struct point recipient;

        if (type == PKEY_NONE)
                return refuse(PROBLEM_USAGE, "\"%s\" is no type of key; there are p256, p384, rsa3072, rsa4096.",
                              key_type);
        TRY(pkey_generate(type, &key));
        TRY(pkey_to_pkcs8(key, &pending.signature_key));
        name_write(&name, &(struct name_attributes){0});
        TRY(csr_make(key, buf_view(&name), &request.csr));
        if (strcmp(purpose, "recover") == 0) {
                TRY(token_recipient(token, &pending.recipient, &recipient));
        } else {
                TRY(scalar_random(&pending.recipient));
                TRY(point_of_scalar(&pending.recipient, &recipient));
                buf_add_bytes(&request.recipient, point_view(&recipient));
        }
        TRY(msg_encode(token_request, &request, &pending.request));
        *ret_pending = pending;
        pending = (struct msg_pending_exchange){0};
        return 0;
}

/* ---- check ------------------------------------------------------------------------------------------------ */

struct checking {
        const struct msg_pending_exchange *pending;
        struct enrolled *enrolled;
        struct cert_list roots, intermediates;
};

static void checking_done(struct checking *checking)
{
        cert_list_done(&checking->roots);
        cert_list_done(&checking->intermediates);
}

static int wrong_answer(const char *what)
{
        return refuse(
            PROBLEM_UNAUTHENTICATED,
            "The answer of the server was not taken, since %s. Nothing was changed; ask whoever runs the server.",
            what);
}

static int check_chain(const struct checking *checking, const struct certificate *certificate,
                       enum chain_purpose purpose)
{
        int64_t now = clock_now();
        /* Clocks differ, and recovered certificates may have expired: what counts here is who issued it. */
        int64_t at = MIN(MAX(now, certificate->not_before), certificate->not_after);

        return PASS(chain_verify(&(struct chain_query){.leaf = certificate,
                                                       .intermediates = &checking->intermediates,
                                                       .roots = &checking->roots,
                                                       .at = at,
                                                       .purpose = purpose},
                                 NULL));
}

static int check_signature_certificate(const struct checking *checking, EVP_PKEY *own)
{
        const struct msg_token_answer *answer = &checking->enrolled->answer;
        CLEANUP(certificate_done) struct certificate certificate = {0};
        CLEANUP(buf_done) struct buf spki = BUF_NONE;

        TRY(certificate_parse(buf_view(&answer->signature_certificate), &certificate));
        TRY(pkey_to_spki(own, &spki));
        if (!bytes_equal(buf_view(&spki), certificate.spki))
                return wrong_answer("the certificate in it is for another key");
        if (check_chain(checking, &certificate, CHAIN_MAIL_SIGNER) != 0)
                return wrong_answer("its certificate is not of the CA that it names");
        if (!answer->addresses.count)
                return wrong_answer("it names no mail address");
        for (size_t i = 0; i < answer->addresses.count; i++)
                if (!certificate_has_address(&certificate, answer->addresses.at[i]))
                        return wrong_answer("its certificate is for other addresses");
        return 0;
}

/* Open one envelope; the key in it must be the certificate's. */
static int take_key(struct checking *checking, const struct msg_key_envelope *item)
{
        CLEANUP(certificate_done) struct certificate certificate = {0};
        CLEANUP(secret_done) struct secret pkcs8 = SECRET_NONE;
        EVP_PKEY *key CLEANUP(EVP_PKEY_freep) = NULL;
        CLEANUP(buf_done) struct buf spki = BUF_NONE;

        TRY(certificate_parse(buf_view(&item->certificate), &certificate));
        if (envelope_open(&checking->pending->recipient, buf_view(&item->envelope), &pkcs8) != 0)
                return wrong_answer("a key in it is enveloped for somebody else");
        TRY(pkey_from_pkcs8(secret_view(&pkcs8), &key));
        TRY(pkey_to_spki(key, &spki));
        if (!bytes_equal(buf_view(&spki), certificate.spki))
                return wrong_answer("a key in it does not belong to its certificate");
        if (check_chain(checking, &certificate, CHAIN_MAIL_RECIPIENT) != 0) {
                if (strcmp(msg_text(checking->pending->purpose), "enroll") == 0)
                        return wrong_answer("its encryption certificate is not of the CA that it names");
                checking->enrolled->unchained++;
        }
        keystore_add(&checking->enrolled->store, "encryption", buf_view(&item->certificate), &pkcs8);
        return 0;
}

/* Who left the directory is certified no more; his former keys are given out all the same. */
static bool keys_alone(const struct checking *checking)
{
        return !checking->enrolled->answer.signature_certificate.len &&
               strcmp(msg_text(checking->pending->purpose), "recover") == 0;
}

static int check_all(struct checking *checking)
{
        struct enrolled *enrolled = checking->enrolled;
        const struct msg_token_answer *answer = &enrolled->answer;
        EVP_PKEY *own CLEANUP(EVP_PKEY_freep) = NULL;

        TRY(cert_list_add(&checking->roots, buf_view(&answer->root)));
        TRY(cert_list_add(&checking->intermediates, buf_view(&answer->issuer)));
        TRY(pkey_from_pkcs8(secret_view(&checking->pending->signature_key), &own));
        if (!keys_alone(checking))
                TRY(check_signature_certificate(checking, own));
        else if (!answer->addresses.count)
                return wrong_answer("it names no mail address");
        if (!answer->keys.count)
                return wrong_answer("it brings no encryption key");
        /* Newest first in the answer; keystore_add() puts in front. */
        for (size_t i = answer->keys.count; i-- > 0;)
                TRY(take_key(checking, &answer->keys.at[i]));
        if (!keys_alone(checking))
                keystore_add(&enrolled->store, "signature", buf_view(&answer->signature_certificate),
                             &checking->pending->signature_key);
        enrolled->store.server_id = text_copy(msg_text(answer->server_id));
        enrolled->store.user = text_copy(msg_text(answer->user));
        return 0;
}

int enroll_check(const struct msg_pending_exchange *pending, const struct token *token,
                 struct msg_token_answer *answer, struct enrolled *ret_enrolled)
{
        CLEANUP(enrolled_done) struct enrolled enrolled = {.answer = *answer};
        CLEANUP(checking_done) struct checking checking = {.pending = pending, .enrolled = &enrolled};

        *answer = (struct msg_token_answer){0};
        TRY(check_all(&checking));
        *ret_enrolled = enrolled;
        enrolled = (struct enrolled){0};
        return 0;
}

/* ---- store ------------------------------------------------------------------------------------------------ */

/* A store that another password closes is put aside, never written over. */
static int put_aside(const char *path)
{
        char time[TIME_TEXT_SIZE];
        char *aside CLEANUP(mem_freep) = text_format("%s.%s", path, time_text(clock_now(), time));

        if (rename(path, aside) < 0)
                return fault(errno, "The key store %s cannot be put aside", path);
        tell("The key store that was here has another password; it was kept as %s.", aside);
        return 0;
}

static int store_keys(const char *folder, const struct secret *password, const struct enrolled *enrolled)
{
        char *path CLEANUP(mem_freep) = text_format("%s/keys", folder);
        MSG_OWN(key_store) store = {0};
        int r = keystore_read(path, password, &store);

        if (r == PROBLEM_PASSWORD)
                TRY(put_aside(path));
        else if (r != 0 && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        keystore_merge(&store, &enrolled->store);
        free(store.server_id);
        free(store.user);
        store.server_id = text_copy(msg_text(enrolled->store.server_id));
        store.user = text_copy(msg_text(enrolled->store.user));
        return PASS(keystore_write(path, password, &store));
}

static int store_config(const char *folder, const struct msg_pending_exchange *pending,
                        const struct msg_token_answer *answer)
{
        char *path CLEANUP(mem_freep) = text_format("%s/config", folder);
        MSG_OWN(client_config) old = {0},
        config = {
            .server = text_copy(msg_text(pending->server)),
            .server_id = text_copy(msg_text(answer->server_id)),
            .organisation = text_copy(msg_text(answer->organisation)),
            .user = text_copy(msg_text(answer->user)),
            .name = text_copy(msg_text(answer->name)),
            .root = buf_copy_of(buf_view(&answer->root)),
            .issuer = buf_copy_of(buf_view(&answer->issuer)),
            .ticket = buf_copy_of(buf_view(&answer->ticket)),
        };
        int r = home_record_read(path, msg_record_client_config(), &old);

        if (r && r != PROBLEM_NOT_FOUND && r != PROBLEM_MALFORMED)
                return PASS(r);
        msg_texts_copy(&config.addresses, &answer->addresses);
        msg_texts_copy(&config.selectors, &old.selectors);
        if (!msg_texts_have(&config.selectors, pending->selector))
                msg_texts_add(&config.selectors, pending->selector);
        return PASS(home_record_write(path, msg_record_client_config(), &config));
}

/* One's own certificate is among what mail to others needs: it is kept as if it had been looked up. */
static int keep_own(const char *address, const struct msg_token_answer *answer)
{
        MSG_OWN(address_certificates) own = {.address = text_copy(address)};
        CLEANUP(certificate_done) struct certificate certificate = {0};
        CLEANUP(buf_done) struct buf serial = BUF_NONE;
        struct msg_certificate_item *item = MSG_LIST_ADD(own.certificates);
        struct bytes newest = buf_view(&answer->keys.at[0].certificate);

        TRY(certificate_parse(newest, &certificate));
        hex_add(&serial, certificate.serial);
        *item = (struct msg_certificate_item){
            .serial = text_copy(buf_text(&serial)),
            .kind = text_copy("encryption"),
            .state = text_copy("valid"),
            .not_before = certificate.not_before,
            .not_after = certificate.not_after,
            .der = buf_copy_of(newest),
        };
        return PASS(directory_keep(msg_text(answer->server_id), &own));
}

int enroll_store(const struct msg_pending_exchange *pending, const struct secret *password,
                 const struct enrolled *enrolled)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE;
        char *folder CLEANUP(mem_freep) = NULL;

        TRY(address_parse(bytes_text(enrolled->answer.addresses.at[0]), &key));
        TRY(user_folder(buf_text(&key), &folder));
        TRY(store_keys(folder, password, enrolled));
        TRY(store_config(folder, pending, &enrolled->answer));
        return PASS(keep_own(buf_text(&key), &enrolled->answer));
}
