-- SPDX-License-Identifier: Apache-2.0
-- The one text of the schema, in SQLite's dialect. For PostgreSQL embed.py writes BYTEA, BIGINT, TEXT COLLATE "C" for the
-- types and leaves the options of tables out. No column is ever NULL. "mac" and "version" are those of store/table.h; column names
-- and their order there are the same as here.

CREATE TABLE chain (
        number INTEGER NOT NULL PRIMARY KEY,
        seq INTEGER NOT NULL,
        time INTEGER NOT NULL,
        hash BLOB NOT NULL,
        revocations INTEGER NOT NULL,
        jobs INTEGER NOT NULL,
        heads INTEGER NOT NULL,
        counts BLOB NOT NULL,
        version INTEGER NOT NULL,
        mac BLOB NOT NULL
) STRICT;

CREATE TABLE bootstrap (
        name TEXT NOT NULL,
        number INTEGER NOT NULL,
        record BLOB NOT NULL,
        version INTEGER NOT NULL,
        mac BLOB NOT NULL,
        PRIMARY KEY (name, number)
) STRICT;

CREATE TABLE audit (
        seq INTEGER NOT NULL PRIMARY KEY,
        time INTEGER NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        subject TEXT NOT NULL,
        outcome TEXT NOT NULL,
        details TEXT NOT NULL,
        operation BLOB NOT NULL,
        digest BLOB NOT NULL,
        changes BLOB NOT NULL,
        hash BLOB NOT NULL,
        mac BLOB NOT NULL
) STRICT;
CREATE INDEX audit_subject ON audit (subject, seq);
CREATE INDEX audit_actor ON audit (actor, seq);

CREATE TABLE heads (
        seq INTEGER NOT NULL PRIMARY KEY,
        time INTEGER NOT NULL,
        hash BLOB NOT NULL,
        signature BLOB NOT NULL
) STRICT;

CREATE TABLE entries (
        guid BLOB NOT NULL PRIMARY KEY,
        kind INTEGER NOT NULL,
        name TEXT NOT NULL,
        cn TEXT NOT NULL,
        given_name TEXT NOT NULL,
        surname TEXT NOT NULL,
        addresses TEXT NOT NULL,
        unit TEXT NOT NULL,
        server TEXT NOT NULL,
        groups TEXT NOT NULL,
        disabled INTEGER NOT NULL,
        language TEXT NOT NULL,
        source INTEGER NOT NULL,
        gone INTEGER NOT NULL,
        updated INTEGER NOT NULL,
        origin BLOB NOT NULL,
        version INTEGER NOT NULL,
        mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX entries_unit ON entries (unit, guid);
CREATE INDEX entries_server ON entries (server, guid);
CREATE INDEX entries_gone ON entries (gone, guid) WHERE gone > 0;

-- What entries are found by: derived from them, checked against them whenever it is used. Kinds: 1 address, 2 group that has it as a
-- member, 3 a name that is looked for by its beginning (fold_search_key()), 4 the directory's name, 5 the common name of a group. Keys
-- of kind 2, 4 and 5 are as store_name_key() makes them.
CREATE TABLE entry_keys (
        kind INTEGER NOT NULL,
        key TEXT NOT NULL,
        guid BLOB NOT NULL,
        PRIMARY KEY (kind, key, guid)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX entry_keys_unique ON entry_keys (kind, key) WHERE kind IN (1, 4);
CREATE INDEX entry_keys_guid ON entry_keys (guid);

CREATE TABLE users (
        id BLOB NOT NULL PRIMARY KEY,
        guid BLOB NOT NULL UNIQUE,
        address TEXT NOT NULL,
        cn TEXT NOT NULL,
        state INTEGER NOT NULL,
        profile TEXT NOT NULL,
        created INTEGER NOT NULL,
        enrolled INTEGER NOT NULL,
        revoked INTEGER NOT NULL,
        version INTEGER NOT NULL,
        mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX users_state ON users (state, id);

CREATE TABLE tokens (
        selector TEXT NOT NULL PRIMARY KEY,
        kind INTEGER NOT NULL,
        user_id BLOB NOT NULL,
        request_id BLOB NOT NULL,
        state INTEGER NOT NULL,
        auth BLOB NOT NULL,
        recipient BLOB NOT NULL,
        created INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        used INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        attempts_most INTEGER NOT NULL,
        digest BLOB NOT NULL,
        issuer TEXT NOT NULL,
        profile TEXT NOT NULL,
        delivery INTEGER NOT NULL,
        mail BLOB NOT NULL,
        version INTEGER NOT NULL,
        mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_user ON tokens (user_id);
CREATE INDEX tokens_due ON tokens (expires) WHERE state = 1;

CREATE TABLE replies (
        selector TEXT NOT NULL,
        digest BLOB NOT NULL,
        created INTEGER NOT NULL,
        answer BLOB NOT NULL,
        version INTEGER NOT NULL,
        mac BLOB NOT NULL,
        PRIMARY KEY (selector, digest)
) STRICT;
CREATE INDEX replies_created ON replies (created);

CREATE TABLE certificates (
        serial BLOB NOT NULL PRIMARY KEY,
        user_id BLOB NOT NULL,
        kind INTEGER NOT NULL,
        state INTEGER NOT NULL,
        spki_hash BLOB NOT NULL,
        addresses TEXT NOT NULL,
        issued INTEGER NOT NULL,
        not_before INTEGER NOT NULL,
        not_after INTEGER NOT NULL,
        revoked INTEGER NOT NULL,
        reason INTEGER NOT NULL,
        profile TEXT NOT NULL,
        der BLOB NOT NULL,
        version INTEGER NOT NULL,
        mac BLOB NOT NULL
) STRICT;
-- Those of encryption are found in the archive, which has each of their keys once.
CREATE INDEX certificates_spki ON certificates (spki_hash) WHERE kind <> 2;
CREATE INDEX certificates_user ON certificates (user_id, kind);
CREATE INDEX certificates_expiry ON certificates (not_after, serial) WHERE state = 1;

CREATE TABLE smime (
        user_id BLOB NOT NULL PRIMARY KEY,
        signature_serial BLOB NOT NULL,
        encryption_serial BLOB NOT NULL,
        created INTEGER NOT NULL,
        value BLOB NOT NULL,
        version INTEGER NOT NULL,
        mac BLOB NOT NULL
) STRICT;

CREATE TABLE revocations (
        number INTEGER NOT NULL PRIMARY KEY,
        serial BLOB NOT NULL UNIQUE,
        time INTEGER NOT NULL,
        reason INTEGER NOT NULL,
        not_after INTEGER NOT NULL,
        version INTEGER NOT NULL,
        mac BLOB NOT NULL
) STRICT;

CREATE TABLE archives (
        id BLOB NOT NULL PRIMARY KEY,
        user_id BLOB NOT NULL,
        state INTEGER NOT NULL,
        serial BLOB NOT NULL,
        spki_hash BLOB NOT NULL UNIQUE,
        archive_key INTEGER NOT NULL,
        created INTEGER NOT NULL,
        record BLOB NOT NULL,
        version INTEGER NOT NULL,
        mac BLOB NOT NULL
) STRICT;
CREATE INDEX archives_user ON archives (user_id);

CREATE TABLE pool (
        id BLOB NOT NULL PRIMARY KEY,
        profile TEXT NOT NULL,
        created INTEGER NOT NULL,
        public_key BLOB NOT NULL,
        wrapped BLOB NOT NULL,
        version INTEGER NOT NULL,
        mac BLOB NOT NULL
) STRICT;
CREATE INDEX pool_profile ON pool (profile, id);

CREATE TABLE requests (
        id BLOB NOT NULL PRIMARY KEY,
        kind INTEGER NOT NULL,
        user_id BLOB NOT NULL,
        state INTEGER NOT NULL,
        requester TEXT NOT NULL,
        reason TEXT NOT NULL,
        recipient BLOB NOT NULL,
        records BLOB NOT NULL,
        digest BLOB NOT NULL,
        created INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        decided INTEGER NOT NULL,
        selector TEXT NOT NULL,
        result BLOB NOT NULL,
        version INTEGER NOT NULL,
        mac BLOB NOT NULL
) STRICT;
CREATE INDEX requests_state ON requests (state, id);
CREATE INDEX requests_user ON requests (user_id, id);

CREATE TABLE approvals (
        request_id BLOB NOT NULL,
        officer TEXT NOT NULL,
        verdict INTEGER NOT NULL,
        created INTEGER NOT NULL,
        partials BLOB NOT NULL,
        signature BLOB NOT NULL,
        comment TEXT NOT NULL,
        version INTEGER NOT NULL,
        mac BLOB NOT NULL,
        PRIMARY KEY (request_id, officer)
) STRICT;

CREATE TABLE operators (
        name TEXT NOT NULL PRIMARY KEY,
        cn TEXT NOT NULL,
        address TEXT NOT NULL,
        roles INTEGER NOT NULL,
        state INTEGER NOT NULL,
        share INTEGER NOT NULL,
        public_key BLOB NOT NULL,
        admission BLOB NOT NULL,
        envelope BLOB NOT NULL,
        invitation TEXT NOT NULL,
        invitation_auth BLOB NOT NULL,
        invitation_expires INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        invitation_share BLOB NOT NULL,
        created INTEGER NOT NULL,
        changed INTEGER NOT NULL,
        version INTEGER NOT NULL,
        mac BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX operators_invitation ON operators (invitation) WHERE invitation <> '';

CREATE TABLE operations (
        operator_name TEXT NOT NULL,
        nonce BLOB NOT NULL,
        digest BLOB NOT NULL,
        created INTEGER NOT NULL,
        problem INTEGER NOT NULL,
        answer BLOB NOT NULL,
        version INTEGER NOT NULL,
        mac BLOB NOT NULL,
        PRIMARY KEY (operator_name, nonce)
) STRICT;
CREATE INDEX operations_created ON operations (created);

CREATE TABLE settings (
        name TEXT NOT NULL PRIMARY KEY,
        value BLOB NOT NULL,
        version INTEGER NOT NULL,
        mac BLOB NOT NULL
) STRICT;

CREATE TABLE jobs (
        number INTEGER NOT NULL PRIMARY KEY,
        subject TEXT NOT NULL,
        kind TEXT NOT NULL,
        state INTEGER NOT NULL,
        created INTEGER NOT NULL,
        due INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        error TEXT NOT NULL,
        recipient TEXT NOT NULL,
        payload BLOB NOT NULL,
        version INTEGER NOT NULL,
        mac BLOB NOT NULL
) STRICT;
CREATE INDEX jobs_due ON jobs (state, kind, due, number);
CREATE INDEX jobs_subject ON jobs (subject, number);
