-- Names the feed of changes that POS main computers follow: another one after
-- central was restored from a backup. There is one row at most.
CREATE TABLE feed (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id  TEXT    NOT NULL
) STRICT;

-- How far POS main computers have come: what was done by then, they have done too.
CREATE TABLE followers (
    machine      INTEGER PRIMARY KEY REFERENCES machines (id),
    acknowledged INTEGER NOT NULL, -- change
    at           INTEGER NOT NULL
) STRICT;

-- Each erasure, without whom it was of; change is the last that it made.
CREATE TABLE erasures (
    number INTEGER PRIMARY KEY, -- from the counter "erasure"
    tenant INTEGER NOT NULL REFERENCES tenants (id),
    at     INTEGER NOT NULL,
    actor  TEXT    NOT NULL,
    scope  TEXT    NOT NULL CHECK (scope IN ('card', 'household')),
    cards  INTEGER NOT NULL, -- how many were erased
    change INTEGER NOT NULL
) STRICT;

CREATE INDEX erasures_by_change ON erasures (tenant, change);

-- When each POS main computer said that it is done with an erasure.
CREATE TABLE erasures_done (
    erasure INTEGER NOT NULL REFERENCES erasures (number),
    machine INTEGER NOT NULL REFERENCES machines (id),
    at      INTEGER NOT NULL,
    PRIMARY KEY (erasure, machine)
) STRICT, WITHOUT ROWID;

INSERT INTO counters (name, value) VALUES ('erasure', 0);
