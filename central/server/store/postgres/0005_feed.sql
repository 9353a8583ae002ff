-- Names the feed of changes that POS main computers follow: another one after
-- central was restored from a backup. There is one row at most.
CREATE TABLE feed (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    id  TEXT NOT NULL
);

-- How far POS main computers have come: what was done by then, they have done too.
CREATE TABLE followers (
    machine      BIGINT PRIMARY KEY REFERENCES machines (id),
    acknowledged BIGINT NOT NULL, -- change
    at           BIGINT NOT NULL
);

-- Each erasure, without whom it was of; change is the last that it made.
CREATE TABLE erasures (
    number BIGINT PRIMARY KEY, -- from the counter "erasure"
    tenant BIGINT NOT NULL REFERENCES tenants (id),
    at     BIGINT NOT NULL,
    actor  TEXT NOT NULL,
    scope  TEXT NOT NULL CHECK (scope IN ('card', 'household')),
    cards  BIGINT NOT NULL, -- how many were erased
    change BIGINT NOT NULL
);

CREATE INDEX erasures_by_change ON erasures (tenant, change);

-- When each POS main computer said that it is done with an erasure.
CREATE TABLE erasures_done (
    erasure BIGINT NOT NULL REFERENCES erasures (number),
    machine BIGINT NOT NULL REFERENCES machines (id),
    at      BIGINT NOT NULL,
    PRIMARY KEY (erasure, machine)
);

INSERT INTO counters (name, value) VALUES ('erasure', 0);
