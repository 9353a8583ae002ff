-- Instants are Unix milliseconds, UTC. A change number is taken from the
-- counter "change" in the same transaction as the change itself, so that they
-- become visible in their order.

CREATE TABLE installation (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    id         BLOB    NOT NULL CHECK (length(id) = 16),
    kek        TEXT    NOT NULL,
    salt       BLOB, -- of the passphrase that the key-encryption key comes from; NULL: it is a key of its own
    hosts      TEXT    NOT NULL, -- names and addresses of central, parted by commas
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE counters (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO counters (name, value) VALUES ('change', 0), ('manifest', 0);

CREATE TABLE tenants (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

-- Keys of the installation have tenant 0.
CREATE TABLE keys (
    purpose    TEXT    NOT NULL,
    tenant     INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    state      TEXT    NOT NULL,
    wrapped    BLOB, -- under the key-encryption key; NULL: destroyed
    public     BLOB,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (purpose, tenant, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE manifests (
    version    INTEGER PRIMARY KEY,
    payload    BLOB    NOT NULL,
    signature  BLOB    NOT NULL,
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE households (
    hhid       BLOB    PRIMARY KEY CHECK (length(hhid) = 8),
    tenant     INTEGER NOT NULL REFERENCES tenants (id),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tids (
    tenant          INTEGER NOT NULL REFERENCES tenants (id),
    fingerprint     BLOB    NOT NULL CHECK (length(fingerprint) = 16), -- keyed
    sealed          BLOB    NOT NULL,                                  -- the TID under the tenant's data key
    hhid            BLOB    NOT NULL REFERENCES households (hhid),
    deident         BLOB    NOT NULL CHECK (length(deident) = 16),
    deident_version INTEGER NOT NULL,
    kind            TEXT    NOT NULL CHECK (kind IN ('payment', 'loyalty', 'phone')),
    opted_out       INTEGER NOT NULL CHECK (opted_out IN (0, 1)),
    created_at      INTEGER NOT NULL,
    change          INTEGER NOT NULL,
    PRIMARY KEY (tenant, fingerprint)
) STRICT, WITHOUT ROWID;

CREATE INDEX        tids_by_deident ON tids (tenant, deident, deident_version);
CREATE INDEX        tids_by_hhid    ON tids (hhid);
CREATE UNIQUE INDEX tids_by_change  ON tids (change, tenant, fingerprint, hhid, opted_out);

-- Lanes and POS main computers.
CREATE TABLE machines (
    id         INTEGER PRIMARY KEY,
    tenant     INTEGER NOT NULL REFERENCES tenants (id),
    shop       TEXT    NOT NULL,
    role       TEXT    NOT NULL CHECK (role IN ('lane', 'posmain')),
    lane       TEXT    NOT NULL, -- '' for a POS main computer
    created_at INTEGER NOT NULL,
    UNIQUE (tenant, shop, role, lane)
) STRICT;

CREATE TABLE tokens (
    hash        BLOB    PRIMARY KEY CHECK (length(hash) = 32),
    machine     INTEGER NOT NULL REFERENCES machines (id),
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    used_at     INTEGER,
    certificate BLOB    REFERENCES certificates (serial)
) STRICT, WITHOUT ROWID;

CREATE INDEX tokens_by_machine ON tokens (machine);

CREATE TABLE certificates (
    serial        BLOB    PRIMARY KEY, -- big-endian
    machine       INTEGER NOT NULL REFERENCES machines (id),
    spki          BLOB    NOT NULL CHECK (length(spki) = 32), -- SHA-256 of the public key
    der           BLOB    NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('active', 'superseded', 'revoked')),
    superseded_by BLOB    REFERENCES certificates (serial),
    not_before    INTEGER NOT NULL,
    not_after     INTEGER NOT NULL,
    change        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX        certificates_by_machine ON certificates (machine);
CREATE UNIQUE INDEX certificates_by_change  ON certificates (change);

CREATE TABLE alarms (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    type    TEXT    NOT NULL,
    machine INTEGER REFERENCES machines (id),
    detail  TEXT    NOT NULL
) STRICT;
