/* SPDX-License-Identifier: Apache-2.0 */
/* The codec of every message and of the records that are signed, sealed or stored: the first byte chooses which, the rest is its
 * encoding. What decodes encodes to the same bytes, and everything else leaves nothing behind. */
#include <stdlib.h>

#include "base/mem.h"
#include "wire/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct msg_record *(*const records[])(void) = {
        msg_record_terms,      msg_record_partials,   msg_record_token_request,     msg_record_token_answer,  msg_record_trust_public,
        msg_record_share_pair, msg_record_key_store,  msg_record_operator_envelope, msg_record_operator_file, msg_record_client_config,
        msg_record_engine_keys, msg_record_pending_exchange, msg_record_startup_request,
};

/* Records from 0 up, messages from 128 up. */
static const struct msg_record *record_chosen(uint8_t choice)
{
        if (choice < 128)
                return records[choice % ARRAY_LEN(records)]();
        for (size_t index = choice - 128u; index > 0; index--)
                if (msg_record_at(index))
                        return msg_record_at(index);
        return msg_record_at(0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(buf_done) struct buf again = BUF_NONE;
        CLEANUP(mem_freep) void *message = NULL;
        const struct msg_record *record;

        if (!size)
                return 0;
        record = record_chosen(data[0]);
        message = mem_new(record->size);
        if (message_decode(record, bytes_of(data + 1, size - 1), message))
                return 0;
        if (message_encode(record, message, &again) || !bytes_equal(buf_view(&again), bytes_of(data + 1, size - 1)))
                abort();
        message_done(record, message);
        return 0;
}
