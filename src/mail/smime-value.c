/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/cms-write.h"

int mail_smime_value(const struct mail_keys *keys, int64_t now, struct buf *ret_der)
{
        CLEANUP(buf_done) struct buf tail = BUF_NONE;
        uint8_t nothing[EVP_MAX_MD_SIZE];
        struct signer_digest digest;
        unsigned len = 0;

        TRY(signer_digest_choose(&keys->signer, &digest));
        if (!keys->encryption)
                return refuse(PROBLEM_NOT_FOUND, "There is no certificate to encrypt for that could be published.");
        if (EVP_Digest("", 0, nothing, &len, digest.md, NULL) != 1)
                return crypto_fault("Hashing nothing");
        TRY(signer_tail_add(&tail, keys, &digest, bytes_of(nothing, len), now));
        cms_detached_add(ret_der, &digest, buf_view(&tail));
        return 0;
}
