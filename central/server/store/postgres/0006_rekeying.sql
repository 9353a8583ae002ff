-- The number of the key that a fingerprint was made with.
ALTER TABLE tids ADD COLUMN fingerprint_key INTEGER NOT NULL DEFAULT 1;

DROP INDEX tids_by_change;
CREATE UNIQUE INDEX tids_by_change ON tids (change, tenant, fingerprint, hhid, opted_out, fingerprint_key, deident_version);

-- The pseudonyms that cards had under earlier keys.
CREATE TABLE deidents (
    tenant      BIGINT NOT NULL,
    version     INTEGER NOT NULL,
    deident     BYTEA   NOT NULL,
    fingerprint BYTEA   NOT NULL,
    PRIMARY KEY (tenant, version, deident),
    FOREIGN KEY (tenant, fingerprint) REFERENCES tids (tenant, fingerprint) ON UPDATE CASCADE ON DELETE CASCADE
);

CREATE INDEX deidents_by_card ON deidents (tenant, fingerprint);

-- How far the cards of a retailer have been moved to its newest keys.
CREATE TABLE rekeying (
    tenant      BIGINT PRIMARY KEY REFERENCES tenants (id),
    started_at  BIGINT NOT NULL,
    finished_at BIGINT,
    done_to     BYTEA   NOT NULL, -- the fingerprint that all of those before are done to
    holder      TEXT    NOT NULL, -- the server that is at it, until then
    until       BIGINT NOT NULL
);
