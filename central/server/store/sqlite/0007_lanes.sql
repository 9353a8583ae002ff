ALTER TABLE machines ADD COLUMN quarantined INTEGER NOT NULL DEFAULT 0 CHECK (quarantined IN (0, 1));
ALTER TABLE machines ADD COLUMN change      INTEGER NOT NULL DEFAULT 0; -- of quarantined; 0: it never was

CREATE INDEX machines_by_change ON machines (change) WHERE change > 0;

-- What centrals saw of lanes; those of several centrals add up.
CREATE TABLE lane_activity (
    machine     INTEGER PRIMARY KEY REFERENCES machines (id),
    seen        INTEGER NOT NULL, -- the last lookup
    software    TEXT    NOT NULL, -- as the lane says
    epoch       BLOB    NOT NULL, -- the first bytes of the id of the last EncTID's epoch
    epoch_since INTEGER NOT NULL,
    behind_ms   INTEGER NOT NULL, -- how far the lane's clock is behind central's
    lookups     INTEGER NOT NULL,
    unknown     INTEGER NOT NULL, -- of them: the household was made for it
    failed      INTEGER NOT NULL, -- of them: the EncTID did not open
    per_minute  REAL    NOT NULL, -- lookups; the mean that forgets within a minute
    per_hour    REAL    NOT NULL, -- within an hour
    updated     INTEGER NOT NULL
) STRICT;
