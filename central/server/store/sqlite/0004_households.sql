-- Households that were merged into another one, which is never one of these.
CREATE TABLE aliases (
    hhid     BLOB    PRIMARY KEY REFERENCES households (hhid),
    tenant   INTEGER NOT NULL REFERENCES tenants (id),
    survivor BLOB    NOT NULL REFERENCES households (hhid)
) STRICT, WITHOUT ROWID;

CREATE INDEX aliases_by_survivor ON aliases (survivor);

-- What operators did to households, so that it can be undone.
CREATE TABLE ledger (
    number    INTEGER PRIMARY KEY, -- from the counter "ledger"
    tenant    INTEGER NOT NULL REFERENCES tenants (id),
    at        INTEGER NOT NULL,
    actor     TEXT    NOT NULL,
    kind      TEXT    NOT NULL CHECK (kind IN ('merge', 'split', 'link', 'undo')),
    undoes    INTEGER, -- the entry that an undo undid
    undone_by INTEGER  -- the undo that undid this entry
) STRICT;

-- The cards that an entry moved. A row goes with its card.
CREATE TABLE ledger_cards (
    number      INTEGER NOT NULL REFERENCES ledger (number),
    tenant      INTEGER NOT NULL,
    fingerprint BLOB    NOT NULL,
    was         BLOB    NOT NULL, -- household before
    became      BLOB    NOT NULL, -- and after
    PRIMARY KEY (number, tenant, fingerprint),
    FOREIGN KEY (tenant, fingerprint) REFERENCES tids (tenant, fingerprint) ON UPDATE CASCADE ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX ledger_cards_by_card ON ledger_cards (tenant, fingerprint, number);

-- The aliases that an entry made, moved or took away.
CREATE TABLE ledger_aliases (
    number INTEGER NOT NULL REFERENCES ledger (number),
    hhid   BLOB    NOT NULL,
    was    BLOB, -- survivor before; NULL: it was no alias
    became BLOB, -- and after
    PRIMARY KEY (number, hhid)
) STRICT, WITHOUT ROWID;

CREATE INDEX ledger_aliases_by_hhid ON ledger_aliases (hhid, number);

-- What POS main computers have to know of ids that they were given before: one
-- row an id, with what is true of it now. Ids are text, as baskets hold them.
CREATE TABLE facts (
    tenant INTEGER NOT NULL REFERENCES tenants (id),
    id     TEXT    NOT NULL, -- HHID or DeIdentTID
    hhid   TEXT,             -- the household it is with now; NULL: an HHID that is a household of its own again
    erased INTEGER NOT NULL CHECK (erased IN (0, 1)), -- the id must not be kept anywhere
    change INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX facts_by_change ON facts (change);

INSERT INTO counters (name, value) VALUES ('ledger', 0);
