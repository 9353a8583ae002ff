-- Imports that were begun and have not ended: how far each is, written in the
-- transaction of its rows, so that it goes on behind the last of them.
CREATE TABLE imports (
    job      BLOB    PRIMARY KEY CHECK (length(job) = 16),
    tenant   INTEGER NOT NULL REFERENCES tenants (id),
    begun_at INTEGER NOT NULL,
    key      BLOB    NOT NULL CHECK (length(key) = 32), -- makes the ids of its families
    bulk     INTEGER NOT NULL CHECK (bulk IN (0, 1)),   -- the database was empty: rows are sorted first
    phase    TEXT    NOT NULL,
    sorted   INTEGER NOT NULL, -- rows of the phase, in their sorted order
    lines    INTEGER NOT NULL, -- lines of the file
    digest   BLOB    NOT NULL, -- SHA-256 of them
    added    INTEGER NOT NULL,
    moved    INTEGER NOT NULL,
    kept     INTEGER NOT NULL,
    rejected INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Families of an import whose household has not the id that its key makes.
CREATE TABLE import_families (
    job    BLOB NOT NULL REFERENCES imports (job),
    family BLOB NOT NULL CHECK (length(family) = 16), -- HMAC of its name
    hhid   BLOB NOT NULL REFERENCES households (hhid),
    PRIMARY KEY (job, family)
) STRICT, WITHOUT ROWID;
