/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/csr.h"

#include "crypto/der.h"
#include "crypto/name.h"

int csr_make(EVP_PKEY *key, struct bytes subject, struct buf *ret_der)
{
        CLEANUP(buf_done) struct buf info = BUF_NONE, spki = BUF_NONE, signature = BUF_NONE;
        struct buf der = BUF_NONE;
        size_t sequence;

        TRY(pkey_to_spki(key, &spki));
        sequence = der_begin(&info, DER_SEQUENCE);
        der_add_small(&info, 0);
        if (subject.len)
                buf_add_bytes(&info, subject);
        else
                der_add(&info, DER_SEQUENCE, BYTES_NONE);
        buf_add_bytes(&info, buf_view(&spki));
        der_add(&info, DER_CONTEXT_CONSTRUCTED(0), BYTES_NONE); /* no attributes, but not optional: RFC 2986 4.1 */
        der_end(&info, sequence);
        TRY(pkey_sign(key, buf_view(&info), &signature));

        sequence = der_begin(&der, DER_SEQUENCE);
        buf_add_bytes(&der, buf_view(&info));
        der_add_signature_algorithm(&der, pkey_type_of(key));
        der_add_bits(&der, buf_view(&signature));
        der_end(&der, sequence);
        *ret_der = der;
        return 0;
}

/* Nothing is taken out of the attributes; they must only be well formed. */
static int attributes_check(struct bytes attributes)
{
        struct bytes attribute, oid, values, value;
        uint8_t tag;

        while (attributes.len) {
                TRY(der_read(&attributes, DER_SEQUENCE, &attribute));
                TRY(der_read_oid(&attribute, &oid));
                TRY(der_read(&attribute, DER_SET, &values));
                TRY(der_finish(attribute));
                do
                        TRY(der_read_any(&values, &tag, &value));
                while (values.len);
        }
        return 0;
}

static int parts_read(struct bytes der, struct csr *csr)
{
        struct bytes content, info, attributes;
        uint64_t version;

        TRY(der_read_only(der, DER_SEQUENCE, &content));
        TRY(der_read_whole(&content, DER_SEQUENCE, &csr->info));
        TRY(der_read_whole(&content, DER_SEQUENCE, &csr->signature_algorithm));
        TRY(der_read_bits(&content, &csr->signature));
        TRY(der_finish(content));
        TRY(der_read_only(csr->info, DER_SEQUENCE, &info));
        TRY(der_read_small(&info, 255, &version));
        if (version != 0)
                return refuse(PROBLEM_UNSUPPORTED, "It is not of version 1.");
        TRY(der_read_whole(&info, DER_SEQUENCE, &csr->subject));
        TRY(name_check(csr->subject));
        TRY(der_read_whole(&info, DER_SEQUENCE, &csr->spki));
        TRY(der_read(&info, DER_CONTEXT_CONSTRUCTED(0), &attributes));
        TRY(der_finish(info));
        return PASS(attributes_check(attributes));
}

int csr_parse(struct bytes der, struct csr *ret_csr)
{
        struct csr csr = {0};
        int result;

        if (der.len > CSR_MOST)
                return refuse(PROBLEM_TOO_LARGE, "A certification request is longer than %d bytes.", CSR_MOST);
        result = parts_read(der, &csr);
        if (result)
                return PASS(report_prefix(result, "A certification request cannot be read. "));
        *ret_csr = csr;
        return 0;
}

int csr_verify(struct bytes der, struct csr *ret_csr, EVP_PKEY **ret_key)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        struct csr csr;
        int result;

        TRY(csr_parse(der, &csr));
        TRY(pkey_from_spki(csr.spki, &key));
        result = pkey_verify_as(key, csr.signature_algorithm, csr.info, csr.signature);
        if (result)
                return PASS(
                        report_prefix(result, "A certification request does not prove that its maker has the key. "));
        *ret_csr = csr;
        if (ret_key)
                *ret_key = TAKE(key);
        return 0;
}
