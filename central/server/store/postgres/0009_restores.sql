-- Each time that this database was made of a backup. The last one's id tells what
-- was kept of the database outside of it, snapshots of the index say, from what was
-- kept of the one that the backup is of.
CREATE TABLE restores (
    number    BIGINT  PRIMARY KEY,
    id        BYTEA   NOT NULL CHECK (length(id) = 16),
    at        BIGINT  NOT NULL,
    backup_at BIGINT  NOT NULL
);

-- Households that cards had which came after the backup, as POS main computers tell:
-- a card that comes again gets its own. at is when it was seen last.
CREATE TABLE expected (
    tenant  BIGINT  NOT NULL REFERENCES tenants (id),
    version BIGINT  NOT NULL, -- of the DeIdentTID
    deident BYTEA   NOT NULL CHECK (length(deident) = 16),
    hhid    BYTEA   NOT NULL CHECK (length(hhid) = 8),
    at      BIGINT  NOT NULL,
    PRIMARY KEY (tenant, version, deident)
);
