/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/smime.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/smime.h"

struct making {
        struct certificate signature, encryption;
        EVP_PKEY *key;
        struct cert_list chain;
};

static void making_done(struct making *making)
{
        certificate_done(&making->signature);
        certificate_done(&making->encryption);
        EVP_PKEY_free(making->key);
        cert_list_done(&making->chain);
}

static char *file_path(const char *folder)
{
        return text_format("%s/smime", folder);
}

/* The newest of each kind that is in time: the store has them first. */
static int keys_choose(const struct msg_key_store *store, struct making *making)
{
        int64_t now = clock_now();

        for (size_t i = 0; i < store->keys.count; i++) {
                CLEANUP(certificate_done) struct certificate certificate = {0};

                TRY(certificate_parse(buf_view(&store->keys.at[i].certificate), &certificate));
                if (certificate.not_after < now)
                        continue;
                if (certificate_may_sign(&certificate) && !making->key) {
                        TRY(pkey_from_pkcs8(secret_view(&store->keys.at[i].private_key), &making->key));
                        making->signature = certificate_take(&certificate);
                } else if (!certificate_may_sign(&certificate) && !making->encryption.der.len) {
                        making->encryption = certificate_take(&certificate);
                }
        }
        return 0;
}

int smime_make(const char *folder, const struct msg_client_config *config, const struct msg_key_store *store,
               unsigned capabilities)
{
        CLEANUP(making_done) struct making making = {0};
        CLEANUP(buf_done) struct buf value = BUF_NONE;
        char *path CLEANUP(mem_freep) = file_path(folder);
        struct mail_keys keys = {.signer_chain = &making.chain, .capabilities = capabilities};

        TRY(keys_choose(store, &making));
        if (!making.key || !making.encryption.der.len)
                return 0;
        if (config->issuer.len)
                TRY(cert_list_add(&making.chain, buf_view(&config->issuer)));
        TRY(cert_list_add(&making.chain, buf_view(&config->root)));
        keys.signer = (struct mail_own_key){&making.signature, making.key};
        keys.encryption = &making.encryption;
        TRY(mail_smime_value(&keys, clock_now(), &value));
        return PASS(file_write(path, buf_view(&value), 0600));
}

static bool worth_waiting(int result)
{
        return result < 0 || result == PROBLEM_UNREACHABLE || result == PROBLEM_TIMEOUT || result == PROBLEM_SEALED ||
               result == PROBLEM_BUSY || result == PROBLEM_TOO_MANY || result == PROBLEM_STORAGE;
}

int smime_hand_in(struct server *server, const char *folder)
{
        char *path CLEANUP(mem_freep) = file_path(folder);
        MSG_OWN(smime_put) put = {0};
        MSG_OWN(smime_taken) taken = {0};
        int r;

        if (access(path, F_OK) < 0)
                return 0;
        TRY(file_read(path, SMIME_MOST, &put.value));
        r = server_call(server, smime_put, &put, smime_taken, &taken);
        if (worth_waiting(r))
                return PASS(r);
        if (unlink(path) < 0 && errno != ENOENT)
                return fault(errno, "The file %s cannot be removed", path);
        return PASS(r);
}

void smime_remember(struct session *session)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE;
        char *folder CLEANUP(mem_freep) = NULL;

        if (!session->config.addresses.count || address_parse(bytes_text(session->config.addresses.at[0]), &key) != 0 ||
            user_folder(buf_text(&key), &folder) != 0 || smime_hand_in(&session->server, folder) != 0)
                report_clear();
}
