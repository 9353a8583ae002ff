ALTER TABLE machines ADD COLUMN quarantined BIGINT NOT NULL DEFAULT 0 CHECK (quarantined IN (0, 1));
ALTER TABLE machines ADD COLUMN change      BIGINT NOT NULL DEFAULT 0; -- of quarantined; 0: it never was

CREATE INDEX machines_by_change ON machines (change) WHERE change > 0;

-- What centrals saw of lanes; those of several centrals add up.
CREATE TABLE lane_activity (
    machine     BIGINT PRIMARY KEY REFERENCES machines (id),
    seen        BIGINT NOT NULL, -- the last lookup
    software    TEXT    NOT NULL, -- as the lane says
    epoch       BYTEA   NOT NULL, -- the first bytes of the id of the last EncTID's epoch
    epoch_since BIGINT NOT NULL,
    behind_ms   BIGINT NOT NULL, -- how far the lane's clock is behind central's
    lookups     BIGINT NOT NULL,
    unknown     BIGINT NOT NULL, -- of them: the household was made for it
    failed      BIGINT NOT NULL, -- of them: the EncTID did not open
    per_minute  DOUBLE PRECISION  NOT NULL, -- lookups; the mean that forgets within a minute
    per_hour    DOUBLE PRECISION  NOT NULL, -- within an hour
    updated     BIGINT NOT NULL
);
