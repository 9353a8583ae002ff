-- What operators did, each act in the transaction of what it did. Every hash
-- covers the one before (store.Record): a record that is changed or missing shows.
CREATE TABLE audit (
    number BIGINT PRIMARY KEY,
    at     BIGINT NOT NULL,
    actor  TEXT   NOT NULL,
    action TEXT   NOT NULL,
    detail TEXT   NOT NULL, -- JSON
    hash   BYTEA  NOT NULL CHECK (length(hash) = 32)
);

INSERT INTO counters (name, value) VALUES ('audit', 0);
