/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What two parties sign, MAC or hash alike: one place for the label and the order of parts, so that client, engine and keeper
 * cannot differ. Messages come in their wire encoding (wire/messages.def says of which record). Each part, the label too, goes with its
 * length before it (8 bytes big endian).
 */
#include "crypto/curve.h"
#include "crypto/kdf.h"

/* HMAC under the token's `auth` over "vouchsafe token request 1", token_request. */
struct digest token_request_mac(const struct secret *auth, struct bytes request);
/* HMAC under `auth` over "vouchsafe token answer 1", SHA-256 of the request's encoding, token_answer. */
struct digest token_answer_mac(const struct secret *auth, struct bytes request, struct bytes answer);
/* SHA-256 over "vouchsafe terms 1", terms: what officers sign and partials are bound to. */
struct digest terms_digest(struct bytes terms);
/* What an officer signs with his operation-signing key: "vouchsafe approval 1", digest of the terms, SHA-256 of the box. */
void approval_statement(const struct digest *terms, struct bytes box, struct buf *out);
/* What an officer signs with his share e_i as private key: "vouchsafe officer 1", server id, SPKI of his operation-signing key. */
void officer_statement(struct bytes server_id, struct bytes spki, struct buf *out);
/* SHA-256 over "vouchsafe trust 1" and what of trust_public never changes; it comes to an officer with his shares. */
struct digest trust_basis(struct bytes server_id, struct bytes root, struct bytes transport_key, struct bytes archive_commitments,
                          struct bytes startup_commitments);
/* The kind of an operation signature (operation.h) is the message's name in messages.def: "user_enroll". */

/*
 * Signatures of both statements are signature_make()'s: 64 bytes, r ‖ s. An officer's shares are boxed to the recipient point of his
 * invitation code (token_recipient()) under this context.
 */
#define SHARES_CONTEXT "vouchsafe shares 1"
