-- Instants are Unix milliseconds, UTC. A change number is taken from the
-- counter "change" in the same transaction as the change itself, so that they
-- become visible in their order. Numbers of rows are given by statements, not by
-- sequences: those of distributed databases leave the order.

CREATE TABLE installation (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    id         BYTEA   NOT NULL CHECK (length(id) = 16),
    kek        TEXT    NOT NULL,
    salt       BYTEA, -- of the passphrase that the key-encryption key comes from; NULL: it is a key of its own
    hosts      TEXT    NOT NULL, -- names and addresses of central, parted by commas
    created_at BIGINT  NOT NULL
);

CREATE TABLE counters (
    name  TEXT   PRIMARY KEY,
    value BIGINT NOT NULL
);

INSERT INTO counters (name, value) VALUES ('change', 0), ('manifest', 0);

CREATE TABLE tenants (
    id         BIGINT PRIMARY KEY,
    name       TEXT   NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

-- Keys of the installation have tenant 0.
CREATE TABLE keys (
    purpose    TEXT   NOT NULL,
    tenant     BIGINT NOT NULL,
    number     BIGINT NOT NULL,
    state      TEXT   NOT NULL,
    wrapped    BYTEA, -- under the key-encryption key; NULL: destroyed
    public     BYTEA,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (purpose, tenant, number)
);

CREATE TABLE manifests (
    version    BIGINT PRIMARY KEY,
    payload    BYTEA  NOT NULL,
    signature  BYTEA  NOT NULL,
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE households (
    hhid       BYTEA  PRIMARY KEY CHECK (length(hhid) = 8),
    tenant     BIGINT NOT NULL REFERENCES tenants (id),
    created_at BIGINT NOT NULL
);

CREATE TABLE tids (
    tenant          BIGINT  NOT NULL REFERENCES tenants (id),
    fingerprint     BYTEA   NOT NULL CHECK (length(fingerprint) = 16), -- keyed
    sealed          BYTEA   NOT NULL,                                  -- the TID under the tenant's data key
    hhid            BYTEA   NOT NULL REFERENCES households (hhid),
    deident         BYTEA   NOT NULL CHECK (length(deident) = 16),
    deident_version INTEGER NOT NULL,
    kind            TEXT    NOT NULL CHECK (kind IN ('payment', 'loyalty', 'phone')),
    opted_out       INTEGER NOT NULL CHECK (opted_out IN (0, 1)),
    created_at      BIGINT  NOT NULL,
    change          BIGINT  NOT NULL,
    PRIMARY KEY (tenant, fingerprint)
);

CREATE INDEX        tids_by_deident ON tids (tenant, deident, deident_version);
CREATE INDEX        tids_by_hhid    ON tids (hhid);
CREATE UNIQUE INDEX tids_by_change  ON tids (change, tenant, fingerprint, hhid, opted_out);

-- Lanes and POS main computers.
CREATE TABLE machines (
    id         BIGINT PRIMARY KEY,
    tenant     BIGINT NOT NULL REFERENCES tenants (id),
    shop       TEXT   NOT NULL,
    role       TEXT   NOT NULL CHECK (role IN ('lane', 'posmain')),
    lane       TEXT   NOT NULL, -- '' for a POS main computer
    created_at BIGINT NOT NULL,
    UNIQUE (tenant, shop, role, lane)
);

CREATE TABLE certificates (
    serial        BYTEA  PRIMARY KEY, -- big-endian
    machine       BIGINT NOT NULL REFERENCES machines (id),
    spki          BYTEA  NOT NULL CHECK (length(spki) = 32), -- SHA-256 of the public key
    der           BYTEA  NOT NULL,
    state         TEXT   NOT NULL CHECK (state IN ('active', 'superseded', 'revoked')),
    superseded_by BYTEA  REFERENCES certificates (serial),
    not_before    BIGINT NOT NULL,
    not_after     BIGINT NOT NULL,
    change        BIGINT NOT NULL
);

CREATE INDEX        certificates_by_machine ON certificates (machine);
CREATE UNIQUE INDEX certificates_by_change  ON certificates (change);

CREATE TABLE tokens (
    hash        BYTEA  PRIMARY KEY CHECK (length(hash) = 32),
    machine     BIGINT NOT NULL REFERENCES machines (id),
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    used_at     BIGINT,
    certificate BYTEA  REFERENCES certificates (serial)
);

CREATE INDEX tokens_by_machine ON tokens (machine);

CREATE TABLE alarms (
    id      BIGINT PRIMARY KEY,
    at      BIGINT NOT NULL,
    type    TEXT   NOT NULL,
    machine BIGINT REFERENCES machines (id),
    detail  TEXT   NOT NULL
);
