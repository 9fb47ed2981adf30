/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates: what is read has addresses that are addresses, a key that is one or none, names that can be shown. */
#include <stdlib.h>

#include "base/text.h"
#include "crypto/certificate.h"
#include "crypto/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(certificate_done) struct certificate certificate = {0};
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        CLEANUP(X509_freep) X509 *x509 = NULL;
        CLEANUP(buf_done) struct buf text = BUF_NONE;

        if (certificate_parse(bytes_of(data, size), &certificate))
                return 0;
        for (size_t i = 0; i < certificate.address_count; i++) {
                CLEANUP(buf_done) struct buf address = BUF_NONE;
                const char *own = certificate_address(&certificate, i);

                if (address_parse(bytes_text(own), &address) || !certificate_has_address(&certificate, own))
                        abort();
        }
        if (name_add_text(&text, certificate.subject) || name_add_text(&text, certificate.issuer) ||
            !text_is_printable(buf_view(&text)) || !certificate.serial.len || certificate.serial.len > 20)
                abort();
        if (pkey_from_spki(certificate.spki, &key) == 0 && pkey_type_of(key) == PKEY_NONE)
                abort();
        if (certificate_to_x509(&certificate, &x509) == 0) {
                struct cert_list roots = {.items = &certificate, .count = 1};
                (void)!chain_verify(
                        &(struct chain_query){&certificate, NULL, &roots, certificate.not_before, CHAIN_ANY}, NULL);
        }
        return 0;
}
