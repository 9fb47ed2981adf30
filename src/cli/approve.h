/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * An officer's approval, made on his machine; pure but for randomness. It is bound to the digest of exactly the terms
 * that he was shown, his contribution can be opened by the keeper alone, and proves itself against the commitments
 * that he pinned when he accepted.
 */
#include "wire/message.h"

/*
 * Are these the terms of that request, at the server whose trust record the officer pinned, and boxed to its keeper?
 * PROBLEM_STALE, PROBLEM_TAMPERED with what is wrong. For a startup request the keeper's point cannot be checked: the
 * officers compare its fingerprint.
 */
int approval_check(const struct msg_terms *terms, const char *request, const struct msg_operator_envelope *envelope,
                   const struct msg_trust_public *pinned) must_check;
/* `terms_encoded` is what came, byte for byte; `progress` may be NULL. */
int approval_make(struct bytes terms_encoded, const struct msg_terms *terms,
                  const struct msg_operator_envelope *envelope, void (*progress)(void *context, size_t done),
                  void *context, struct msg_approval_item *ret_approval) must_check;
