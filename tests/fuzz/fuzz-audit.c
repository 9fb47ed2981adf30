/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exported audit files and their records. With the real hash nothing random passes the first record, so the hash here
 * is one that the input can meet: all zeros, as the signature is always right. What is parsed must be encoded to the
 * same bytes.
 */
#include <stdlib.h>

#include "base/fault.h"
#include "model/audit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void no_hash(void *context, struct bytes bytes, uint8_t ret_hash[static HASH_SIZE])
{
        memset(ret_hash, 0, HASH_SIZE);
}

static int any_signature(void *context, struct bytes certificates, struct bytes message, struct bytes signature)
{
        return 0;
}

static int see_record(void *context, const struct audit_record *record)
{
        CLEANUP(buf_done) struct buf again = BUF_NONE;
        struct audit_record parsed;

        audit_record_add(&again, record);
        if (audit_record_parse(buf_view(&again), &parsed) != 0 || parsed.seq != record->seq)
                abort();
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct bytes input = bytes_of(data, size);
        CLEANUP(buf_done) struct buf again = BUF_NONE;
        const struct audit_crypto crypto = {.sha256 = no_hash, .check = any_signature};
        const struct audit_visitor visitor = {.each = see_record};
        struct audit_summary summary;
        struct audit_record record;

        if (audit_verify(input, &crypto, &visitor, &summary) == 0 &&
            summary.records != (summary.records ? summary.last.seq - summary.first.seq + 1 : 0))
                abort();
        if (audit_record_parse(input, &record) == 0) {
                audit_record_add(&again, &record);
                if (!bytes_equal(buf_view(&again), input))
                        abort();
        }
        return 0;
}
