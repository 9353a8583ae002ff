-- Times are Unix milliseconds, UTC.

CREATE TABLE meta (
	key   TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT;

-- Who has sent baskets: names as the certificates gave them.
CREATE TABLE lanes (
	n          INTEGER PRIMARY KEY,
	tenant     TEXT NOT NULL,
	shop       TEXT NOT NULL,
	lane       TEXT NOT NULL,
	software   TEXT NOT NULL DEFAULT '',
	first_seen INTEGER NOT NULL,
	last_seen  INTEGER NOT NULL,
	UNIQUE (tenant, shop, lane)
) STRICT;

-- One row for each journal that a lane has had; sequence numbers count within it.
CREATE TABLE incarnations (
	n           INTEGER PRIMARY KEY,
	lane        INTEGER NOT NULL REFERENCES lanes (n),
	incarnation TEXT NOT NULL,
	first_seen  INTEGER NOT NULL,
	last_seen   INTEGER NOT NULL,
	watermark   INTEGER NOT NULL DEFAULT 0, -- every number up to here is logged
	UNIQUE (lane, incarnation)
) STRICT;

-- Each basket at its highest revision.
CREATE TABLE baskets (
	n             INTEGER PRIMARY KEY,
	id            TEXT NOT NULL UNIQUE,
	incarnation   INTEGER NOT NULL REFERENCES incarnations (n),
	sequence      INTEGER NOT NULL,
	revision      INTEGER NOT NULL,
	kind          TEXT NOT NULL,
	outcome       TEXT NOT NULL,
	opened_at     INTEGER NOT NULL,
	closed_at     INTEGER NOT NULL,
	"transaction" TEXT NOT NULL,
	business_date TEXT NOT NULL,
	operator      TEXT NOT NULL,
	state         TEXT NOT NULL,
	hhid          TEXT NOT NULL, -- '' if none
	deident_tid   TEXT NOT NULL, -- '' if none
	alarm         TEXT NOT NULL, -- '' or sequence-fork
	logged_at     INTEGER NOT NULL -- when this revision was
) STRICT;
CREATE INDEX baskets_sequence ON baskets (incarnation, sequence);
CREATE INDEX baskets_hhid ON baskets (hhid) WHERE hhid <> '';
CREATE INDEX baskets_logged_at ON baskets (logged_at);

-- Every revision that came, as it came.
CREATE TABLE revisions (
	n           INTEGER PRIMARY KEY,
	basket      INTEGER NOT NULL REFERENCES baskets (n),
	revision    INTEGER NOT NULL,
	digest      TEXT NOT NULL,
	logged_at   INTEGER NOT NULL,
	state       TEXT NOT NULL,
	hhid        TEXT NOT NULL,
	deident_tid TEXT NOT NULL,
	body        BLOB NOT NULL,
	UNIQUE (basket, revision)
) STRICT;
CREATE INDEX revisions_hhid ON revisions (hhid) WHERE hhid <> '';

-- The lines of each basket at its highest revision.
CREATE TABLE lines (
	basket    INTEGER NOT NULL REFERENCES baskets (n),
	line      INTEGER NOT NULL,
	at        INTEGER NOT NULL,
	upc       TEXT NOT NULL,
	gtin      TEXT NOT NULL,
	symbology TEXT NOT NULL,
	add_on    TEXT NOT NULL,
	kind      TEXT NOT NULL,
	quantity  INTEGER NOT NULL,
	device    TEXT NOT NULL,
	problem   TEXT NOT NULL,
	voided_at INTEGER,
	PRIMARY KEY (basket, line)
) STRICT, WITHOUT ROWID;
CREATE INDEX lines_gtin ON lines (gtin) WHERE gtin <> '';

-- The identities of each basket at its highest revision.
CREATE TABLE identities (
	basket      INTEGER NOT NULL REFERENCES baskets (n),
	swipe       INTEGER NOT NULL,
	kind        TEXT NOT NULL,
	at          INTEGER NOT NULL,
	state       TEXT NOT NULL,
	hhid        TEXT NOT NULL,
	deident_tid TEXT NOT NULL,
	PRIMARY KEY (basket, swipe)
) STRICT, WITHOUT ROWID;
CREATE INDEX identities_deident_tid ON identities (deident_tid) WHERE deident_tid <> '';

-- What a person must look at. The same thing again only counts up.
CREATE TABLE alarms (
	n           INTEGER PRIMARY KEY,
	kind        TEXT NOT NULL,
	lane        INTEGER NOT NULL REFERENCES lanes (n),
	basket      TEXT NOT NULL,
	revision    INTEGER NOT NULL,
	incarnation TEXT NOT NULL,
	sequence    INTEGER NOT NULL,
	digest      TEXT NOT NULL, -- of the body that raised it, '' for one that may hold a card number
	detail      TEXT NOT NULL,
	count       INTEGER NOT NULL,
	first_at    INTEGER NOT NULL,
	last_at     INTEGER NOT NULL,
	UNIQUE (kind, lane, basket, revision, digest)
) STRICT;
