-- How far central's feed of changes was read.
CREATE TABLE feed (
	one          INTEGER PRIMARY KEY CHECK (one = 1),
	feed         TEXT NOT NULL,    -- '' before the first answer
	position     INTEGER NOT NULL, -- what to ask after
	generation   INTEGER NOT NULL, -- counts how often it was read from the start
	complete     INTEGER NOT NULL, -- 1: it was read to its end since
	due          INTEGER NOT NULL, -- the last change that was told
	acknowledged INTEGER NOT NULL, -- what central was told to be done
	heard_at     INTEGER NOT NULL  -- when central last answered, 0: never
) STRICT;
INSERT INTO feed VALUES (1, '', 0, 0, 0, 0, 0, 0);

-- What central says of ids: the household that an HHID was merged into, or that the
-- card of a DeIdentTID belongs to now.
CREATE TABLE known (
	id         TEXT PRIMARY KEY,
	hhid       TEXT NOT NULL,
	generation INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX known_hhid ON known (hhid);

-- Ids that must not be kept.
CREATE TABLE erased (
	id      TEXT PRIMARY KEY,
	blanked INTEGER NOT NULL -- 1: no basket holds it any more
) STRICT, WITHOUT ROWID;

-- Certificates of lanes that are good no more: serial numbers in hexadecimal digits.
CREATE TABLE revoked (
	serial TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Which baskets hold an id, in whatever revision.
CREATE TABLE mentions (
	id     TEXT NOT NULL, -- HHID or DeIdentTID
	basket INTEGER NOT NULL REFERENCES baskets (n),
	PRIMARY KEY (id, basket)
) STRICT, WITHOUT ROWID;
CREATE INDEX mentions_basket ON mentions (basket);

INSERT OR IGNORE INTO mentions (id, basket)
	SELECT json_extract(i.value, '$.hhid'), r.basket FROM revisions r, json_each(CAST(r.body AS TEXT), '$.identities') i
	WHERE json_extract(i.value, '$.hhid') <> '';
INSERT OR IGNORE INTO mentions (id, basket)
	SELECT json_extract(i.value, '$.deident_tid'), r.basket FROM revisions r, json_each(CAST(r.body AS TEXT), '$.identities') i
	WHERE json_extract(i.value, '$.deident_tid') <> '';

-- The digest of a body that ids were taken out of; '' where it is as it was sent.
ALTER TABLE revisions ADD COLUMN blanked TEXT NOT NULL DEFAULT '';

-- The highest number of a basket that was deleted by its age.
ALTER TABLE incarnations ADD COLUMN dropped INTEGER NOT NULL DEFAULT 0;
CREATE INDEX baskets_closed_at ON baskets (closed_at);
