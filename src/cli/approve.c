/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/approve.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/pkey.h"
#include "crypto/seal.h"
#include "crypto/shares.h"
#include "crypto/statement.h"

static bool is_startup(const struct msg_terms *terms)
{
        return strcmp(msg_text(terms->kind), "startup") == 0;
}

int approval_check(const struct msg_terms *terms, const char *request, const struct msg_operator_envelope *envelope,
                   const struct msg_trust_public *pinned)
{
        if (strcmp(msg_text(terms->request), request) != 0)
                return refuse(PROBLEM_TAMPERED, "The server shows request %s in place of %s; nothing was approved.",
                              msg_text(terms->request), request);
        if (strcmp(msg_text(terms->server_id), msg_text(pinned->server_id)) != 0)
                return refuse(
                    PROBLEM_TAMPERED,
                    "The request is of another server (%s) than the one whose officer you are; nothing was approved.",
                    msg_text(terms->server_id));
        if (!is_startup(terms) && strcmp(msg_text(terms->kind), "recover") != 0)
                return refuse(PROBLEM_UNSUPPORTED,
                              "Requests of the kind \"%s\" are not known here; use a newer version.",
                              msg_text(terms->kind));
        if (!is_startup(terms) && !bytes_equal(buf_view(&terms->transport), buf_view(&pinned->transport_key)))
                return refuse(PROBLEM_TAMPERED, "The keeper's key is not the one of the trust record that you "
                                                "accepted; nothing was approved. Tell the other officers.");
        if (!envelope->index)
                return refuse(PROBLEM_FORBIDDEN, "%s is no officer and has no share.", msg_text(envelope->operator));
        if (terms->expires && terms->expires < clock_now())
                return refuse(PROBLEM_STATE, "The request has expired.");
        if (!terms->items.count)
                return refuse(PROBLEM_STATE, "The request names no key; there is nothing to approve.");
        return 0;
}

struct making {
        struct partial_context context;
        const struct secret *share;
        struct buf points, proofs;
};

static int making_init(struct making *making, const struct msg_terms *terms,
                       const struct msg_operator_envelope *envelope)
{
        MSG_OWN(trust_public) pinned = {0};
        struct commitments commitments;

        TRY(msg_decode(trust_public, buf_view(&envelope->trust), &pinned));
        TRY(commitments_parse(buf_view(is_startup(terms) ? &pinned.startup_commitments : &pinned.archive_commitments),
                              &commitments));
        making->share = is_startup(terms) ? &envelope->startup_share : &envelope->archive_share;
        making->context.index = (unsigned)envelope->index;
        return PASS(share_public(&commitments, making->context.index, &making->context.public_share));
}

static int add_partial(struct making *making, const struct msg_recovery_item *item)
{
        struct point r;
        struct partial partial;

        TRY(point_parse(buf_view(&item->point), &r));
        TRY(partial_make(&making->context, making->share, &r, &partial));
        partial_add(&partial, &making->points, &making->proofs);
        memory_wipe(&partial, sizeof(partial));
        return 0;
}

static int box_and_sign(struct making *making, const struct msg_terms *terms,
                        const struct msg_operator_envelope *envelope, struct msg_approval_item *approval)
{
        MSG_OWN(partials) partials = {.points = secret_copy(buf_view(&making->points)), .proof = buf_take(&making->proofs)};
        CLEANUP(buf_done) struct buf statement = BUF_NONE;
        CLEANUP(secret_done) struct secret signing = SECRET_NONE, encoded = SECRET_NONE;
        EVP_PKEY *key CLEANUP(EVP_PKEY_freep) = NULL;
        uint8_t signature[SIGNATURE_SIZE];
        struct point keeper;

        TRY(message_encode_secret(msg_record_partials(), &partials, &encoded));
        TRY(point_parse(buf_view(&terms->transport), &keeper));
        TRY(box_seal(&keeper, digest_view(&making->context.context), secret_view(&encoded), &approval->box));
        approval_statement(&making->context.context, buf_view(&approval->box), &statement);
        TRY(pkey_from_pkcs8(secret_view(&envelope->signing_key), &key));
        TRY(pkey_to_scalar(key, &signing));
        TRY(signature_make(&signing, buf_view(&statement), signature));
        buf_add(&approval->signature, signature, sizeof(signature));
        return 0;
}

int approval_make(struct bytes terms_encoded, const struct msg_terms *terms,
                  const struct msg_operator_envelope *envelope, void (*progress)(void *context, size_t done),
                  void *context, struct msg_approval_item *ret_approval)
{
        struct making making = {.context.context = terms_digest(terms_encoded)};
        MSG_OWN(approval_item) approval = {.officer = text_copy(msg_text(envelope->operator)), .time = clock_now()};
        int r = making_init(&making, terms, envelope);

        buf_reserve(&making.points, terms->items.count * POINT_SIZE); /* so that growing leaves no copy behind */
        for (size_t i = 0; !r && i < terms->items.count; i++) {
                r = add_partial(&making, &terms->items.at[i]);
                if (progress)
                        progress(context, i + 1);
        }
        if (!r)
                r = box_and_sign(&making, terms, envelope, &approval);
        buf_wipe(&making.points);
        buf_done(&making.proofs);
        TRY(r);
        buf_add_bytes(&approval.digest, digest_view(&making.context.context));
        *ret_approval = approval;
        approval = (struct msg_approval_item){0};
        return 0;
}
