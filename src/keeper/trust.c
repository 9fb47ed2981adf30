/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/trust.h"

#include "base/mem.h"

enum { SUITE = 1, HEAD = 1 + DIGEST_SIZE };

static struct digest trust_mac(const struct secret *key, struct bytes encoded)
{
        CLEANUP(hasher_done) struct hasher hasher = HASHER_NONE;

        hasher_init_keyed(&hasher, key);
        hasher_add_part(&hasher, bytes_text("vouchsafe trust 1"));
        hasher_add_part(&hasher, encoded);
        return hasher_end(&hasher);
}

int trust_write(const struct msg_trust_public *public, const struct secret *key, struct buf *out)
{
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        struct digest mac;

        TRY(msg_encode(trust_public, public, &encoded));
        mac = trust_mac(key, buf_view(&encoded));
        buf_add_byte(out, SUITE);
        buf_add_bytes(out, digest_view(&mac));
        buf_add_bytes(out, buf_view(&encoded));
        return 0;
}

static int trust_split(struct bytes record, struct bytes *ret_encoded)
{
        if (record.len < HEAD)
                return refuse(PROBLEM_MALFORMED, "The trust record is cut off (%zu bytes).", record.len);
        if (record.data[0] != SUITE)
                return refuse(PROBLEM_UNSUPPORTED, "The trust record has the unknown suite %u.", record.data[0]);
        *ret_encoded = bytes_of(record.data + HEAD, record.len - HEAD);
        return 0;
}

int trust_verify(struct bytes record, const struct secret *key)
{
        struct bytes encoded;
        struct digest mac;

        TRY(trust_split(record, &encoded));
        mac = trust_mac(key, encoded);
        if (!bytes_equal_constant_time(digest_view(&mac), bytes_of(record.data + 1, DIGEST_SIZE)))
                return refuse(PROBLEM_TAMPERED, "The trust record was not written by a keeper of this server.");
        return 0;
}

static int officer_read(const struct trust *trust, const struct msg_officer_item *item, struct officer *ret_officer)
{
        struct officer officer = {.name = msg_text(item->name), .index = (unsigned)item->index};

        if (!item->name || trust_officer(trust, item->name))
                return refuse(PROBLEM_MALFORMED, "An officer of the trust record has no name of his own.");
        officer.admitted = item->public_key.len > 0;
        if (officer.admitted)
                TRY(point_spki_parse(buf_view(&item->public_key), &officer.key));
        TRY(share_public(&trust->archive, officer.index, &officer.archive_share));
        TRY(share_public(&trust->startup, officer.index, &officer.startup_share));
        *ret_officer = officer;
        return 0;
}

static int trust_read(struct trust *trust)
{
        const struct msg_trust_public *public = &trust->public;

        TRY(commitments_parse(buf_view(&public->archive_commitments), &trust->archive));
        TRY(commitments_parse(buf_view(&public->startup_commitments), &trust->startup));
        if (public->quorum != trust->archive.quorum || public->quorum != trust->startup.quorum ||
            public->quorum > public->officers.count || public->officers.count > SHARES_MOST)
                return refuse(PROBLEM_MALFORMED,
                              "Quorum, officers and commitments of the trust record do not fit together.");
        for (size_t i = 0; i < public->officers.count; i++) {
                if (public->officers.at[i].index != i + 1)
                        return refuse(PROBLEM_MALFORMED, "Officer %zu of the trust record has another index.", i + 1);
                TRY(officer_read(trust, &public->officers.at[i], &trust->officers[i]));
                trust->officer_count++;
        }
        return 0;
}

int trust_parse(struct bytes record, struct trust *ret_trust)
{
        struct trust trust = {0};
        struct bytes encoded;
        int r;

        TRY(trust_split(record, &encoded));
        TRY(msg_decode(trust_public, encoded, &trust.public));
        r = trust_read(&trust);
        if (r)
                trust_done(&trust);
        else
                *ret_trust = trust;
        return PASS(r);
}

void trust_done(struct trust *trust)
{
        msg_done(trust_public, &trust->public);
        *trust = (struct trust){0};
}

const struct officer *trust_officer(const struct trust *trust, const char *name)
{
        for (size_t i = 0; i < trust->officer_count; i++)
                if (strcmp(trust->officers[i].name, name) == 0)
                        return &trust->officers[i];
        return NULL;
}
