/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/operation.h"

#include "base/fault.h"

static void part_add(struct buf *out, struct bytes part)
{
        buf_add_u64(out, part.len);
        buf_add_bytes(out, part);
}

static void operation_text(const struct operation *operation, struct buf *out)
{
        buf_reserve(out, operation->message.len + 256);
        part_add(out, bytes_text("vouchsafe operation 1"));
        part_add(out, operation->server_id);
        buf_add_u64(out, (uint64_t)operation->created);
        part_add(out, operation->nonce);
        part_add(out, operation->kind);
        part_add(out, operation->message);
}

int operation_sign(const struct operation *operation, const struct secret *private_scalar,
                   uint8_t ret_signature[static SIGNATURE_SIZE])
{
        CLEANUP(buf_done) struct buf text = BUF_NONE;

        operation_text(operation, &text);
        return PASS(signature_make(private_scalar, buf_view(&text), ret_signature));
}

int operation_verify(const struct operation *operation, const struct point *public_key, struct bytes signature)
{
        CLEANUP(buf_done) struct buf text = BUF_NONE;

        operation_text(operation, &text);
        if (!signature_right(public_key, buf_view(&text), signature))
                return refuse(PROBLEM_UNAUTHENTICATED,
                              "The signature of the operator does not verify over this request.");
        return 0;
}
