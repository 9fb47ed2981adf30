/* SPDX-License-Identifier: Apache-2.0 */
/* The formats of the vault: archive records, sealed things, boxes, commitments, partials, tokens. What parses writes
 * back the same. */
#include <stdlib.h>

#include "base/fault.h"
#include "crypto/archive.h"
#include "crypto/seal.h"
#include "crypto/shares.h"
#include "crypto/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void claim(bool right)
{
        if (!right)
                abort();
}

static void fuzz_opening(struct bytes bytes)
{
        static struct secret key;
        CLEANUP(secret_done) struct secret plain = SECRET_NONE;
        struct archive_record record;

        if (!key.len) {
                key = secret_new(KEY_SIZE);
                key.data[KEY_SIZE - 1] = 7;
        }
        /* Nobody guesses a tag: none of this opens. */
        claim(seal_open(&key, BYTES_NONE, bytes, &plain) > 0);
        claim(box_open(&key, BYTES_NONE, bytes, &plain) > 0);
        /* The cost of a password is not spent on every input: only the refusal of what is out of bounds is looked at.
         */
        if (bytes.len < PASSWORD_OVERHEAD || bytes.data[1] >= 0x10)
                claim(password_open(bytes, BYTES_NONE, bytes, &plain) > 0);
        if (archive_parse(bytes, &record) == 0) {
                claim(bytes.len == ARCHIVE_OVERHEAD - 16 + record.sealed.len);
                claim(archive_open(&key, record.suite == ARCHIVE_SUITE_P256 ? &key : NULL,
                                   &(struct archive_subject){.user_id = bytes_text("user")}, &record, &plain) > 0);
        }
}

static void fuzz_points(struct bytes bytes)
{
        CLEANUP(buf_done) struct buf out = BUF_NONE, proofs = BUF_NONE;
        struct commitments commitments;
        struct partial partial;
        struct point point;
        uint8_t full[65];

        if (commitments_parse(bytes, &commitments) == 0) {
                commitments_add(&out, &commitments);
                claim(bytes_equal(buf_view(&out), bytes));
        }
        buf_clear(&out);
        if (partial_parse(bytes, bytes, 0, &partial) == 0) {
                partial_add(&partial, &out, &proofs);
                claim(memcmp(out.data, bytes.data, POINT_SIZE) == 0 &&
                      memcmp(proofs.data, bytes.data, PROOF_SIZE) == 0);
        }
        if (point_parse_any(bytes, &point) == 0)
                claim(point_uncompressed(&point, full) == 0);
        if (point_spki_parse(bytes, &point) == 0)
                claim(bytes.len == POINT_SPKI_SIZE);
}

/* What is taken in, in parts or whole, is written again as it was meant. */
static void fuzz_token(struct bytes bytes)
{
        CLEANUP(token_done) struct token token = TOKEN_NONE, again = TOKEN_NONE;
        CLEANUP(secret_done) struct secret text = SECRET_NONE, mail = SECRET_NONE;

        if (token_add(bytes, &token) != 0)
                return;
        if (token.mail.len) {
                mail = token_mail_text(&token);
                claim(token_add(secret_view(&mail), &again) == 0);
                claim(bytes_equal(secret_view(&token.mail), secret_view(&again.mail)));
        }
        if (token.secret.len) {
                text = token_text(&token);
                claim(token_add(secret_view(&text), &again) == 0);
                claim(bytes_equal(secret_view(&token.secret), secret_view(&again.secret)));
                claim(selector_check(bytes_text(token.selector)) == 0);
        }
        claim(token_check_whole(&token) == token_check_whole(&again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct bytes bytes = bytes_of(data, size);

        fuzz_opening(bytes);
        fuzz_points(bytes);
        fuzz_token(bytes);
        return 0;
}
