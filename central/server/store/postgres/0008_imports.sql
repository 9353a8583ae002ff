-- Imports that were begun and have not ended: how far each is, written in the
-- transaction of its rows, so that it goes on behind the last of them.
CREATE TABLE imports (
    job      BYTEA    PRIMARY KEY CHECK (length(job) = 16),
    tenant   BIGINT  NOT NULL REFERENCES tenants (id),
    begun_at BIGINT  NOT NULL,
    key      BYTEA    NOT NULL CHECK (length(key) = 32), -- makes the ids of its families
    bulk     SMALLINT NOT NULL CHECK (bulk IN (0, 1)),   -- the database was empty: rows are sorted first
    phase    TEXT    NOT NULL,
    sorted   BIGINT  NOT NULL, -- rows of the phase, in their sorted order
    lines    BIGINT  NOT NULL, -- lines of the file
    digest   BYTEA    NOT NULL, -- SHA-256 of them
    added    BIGINT  NOT NULL,
    moved    BIGINT  NOT NULL,
    kept     BIGINT  NOT NULL,
    rejected BIGINT  NOT NULL
);

-- Families of an import whose household has not the id that its key makes.
CREATE TABLE import_families (
    job    BYTEA NOT NULL REFERENCES imports (job),
    family BYTEA NOT NULL CHECK (length(family) = 16), -- HMAC of its name
    hhid   BYTEA NOT NULL REFERENCES households (hhid),
    PRIMARY KEY (job, family)
);
