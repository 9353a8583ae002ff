-- Each time that this database was made of a backup. The last one's id tells what
-- was kept of the database outside of it, snapshots of the index say, from what was
-- kept of the one that the backup is of.
CREATE TABLE restores (
    number    INTEGER PRIMARY KEY,
    id        BLOB    NOT NULL CHECK (length(id) = 16),
    at        INTEGER NOT NULL,
    backup_at INTEGER NOT NULL
) STRICT;

-- Households that cards had which came after the backup, as POS main computers tell:
-- a card that comes again gets its own. at is when it was seen last.
CREATE TABLE expected (
    tenant  INTEGER NOT NULL REFERENCES tenants (id),
    version INTEGER NOT NULL, -- of the DeIdentTID
    deident BLOB    NOT NULL CHECK (length(deident) = 16),
    hhid    BLOB    NOT NULL CHECK (length(hhid) = 8),
    at      INTEGER NOT NULL,
    PRIMARY KEY (tenant, version, deident)
) STRICT, WITHOUT ROWID;
