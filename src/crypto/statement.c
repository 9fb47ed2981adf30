/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/statement.h"

static struct digest mac_parts(const struct secret *auth, const char *label, const struct bytes parts[2])
{
        CLEANUP(hasher_done) struct hasher hasher = HASHER_NONE;

        hasher_init_keyed(&hasher, auth);
        hasher_add_part(&hasher, bytes_text(label));
        for (unsigned i = 0; i < 2; i++)
                if (parts[i].data)
                        hasher_add_part(&hasher, parts[i]);
        return hasher_end(&hasher);
}

struct digest token_request_mac(const struct secret *auth, struct bytes request)
{
        return mac_parts(auth, "vouchsafe token request 1", (struct bytes[2]){request, BYTES_NONE});
}

struct digest token_answer_mac(const struct secret *auth, struct bytes request, struct bytes answer)
{
        struct digest digest = sha256(request);

        return mac_parts(auth, "vouchsafe token answer 1", (struct bytes[2]){digest_view(&digest), answer});
}

struct digest terms_digest(struct bytes terms)
{
        CLEANUP(hasher_done) struct hasher hasher = HASHER_NONE;

        hasher_init(&hasher);
        hasher_add_part(&hasher, bytes_text("vouchsafe terms 1"));
        hasher_add_part(&hasher, terms);
        return hasher_end(&hasher);
}

static void part_add(struct buf *out, struct bytes part)
{
        buf_add_u64(out, part.len);
        buf_add_bytes(out, part);
}

void approval_statement(const struct digest *terms, struct bytes box, struct buf *out)
{
        struct digest digest = sha256(box);

        part_add(out, bytes_text("vouchsafe approval 1"));
        part_add(out, digest_view(terms));
        part_add(out, digest_view(&digest));
}

void officer_statement(struct bytes server_id, struct bytes spki, struct buf *out)
{
        part_add(out, bytes_text("vouchsafe officer 1"));
        part_add(out, server_id);
        part_add(out, spki);
}

struct digest trust_basis(struct bytes server_id, struct bytes root, struct bytes transport_key, struct bytes archive_commitments,
                          struct bytes startup_commitments)
{
        const struct bytes parts[] = {bytes_text("vouchsafe trust 1"), server_id, root, transport_key, archive_commitments,
                                      startup_commitments};
        CLEANUP(hasher_done) struct hasher hasher = HASHER_NONE;

        hasher_init(&hasher);
        for (size_t i = 0; i < ARRAY_LEN(parts); i++)
                hasher_add_part(&hasher, parts[i]);
        return hasher_end(&hasher);
}
