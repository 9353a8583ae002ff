-- Times are Unix nanoseconds by the lane's clock, ticks nanoseconds that the
-- lane's machine was running since the journal was made.

CREATE TABLE journal (
	one           INTEGER PRIMARY KEY CHECK (one = 1),
	incarnation   TEXT NOT NULL,              -- 16 hex digits, random
	last_sequence INTEGER NOT NULL DEFAULT 0,
	log_id        TEXT NOT NULL DEFAULT '',   -- of the POS main computer's log; all acknowledged deliveries are in it
	watermark     INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE clock (
	one     INTEGER PRIMARY KEY CHECK (one = 1),
	ticks   INTEGER NOT NULL,
	boot_id TEXT NOT NULL,
	boot    INTEGER NOT NULL
) STRICT;

CREATE TABLE baskets (
	n             INTEGER PRIMARY KEY AUTOINCREMENT,
	id            BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
	revision      INTEGER NOT NULL DEFAULT 0,
	sequence      INTEGER NOT NULL DEFAULT 0,
	kind          TEXT NOT NULL,
	outcome       TEXT NOT NULL DEFAULT '',
	opened_at     INTEGER NOT NULL,
	closed_at     INTEGER,
	pos_number    TEXT NOT NULL,
	business_date TEXT NOT NULL,
	operator      TEXT NOT NULL,
	last_swipe    INTEGER NOT NULL DEFAULT 0,
	active        INTEGER NOT NULL,           -- ticks; lines count too
	closed_ticks  INTEGER
) STRICT;
CREATE UNIQUE INDEX baskets_open ON baskets (outcome) WHERE outcome = '';
CREATE UNIQUE INDEX baskets_sequence ON baskets (sequence) WHERE sequence > 0;

-- A scan appends to this table and touches nothing else: one page a commit.
CREATE TABLE lines (
	basket       INTEGER NOT NULL REFERENCES baskets (n) ON DELETE CASCADE,
	number       INTEGER NOT NULL,
	read_at      INTEGER NOT NULL,
	committed_at INTEGER NOT NULL,
	voided_at    INTEGER,
	ticks        INTEGER NOT NULL,
	upc          TEXT NOT NULL,
	data         BLOB,
	gtin         TEXT NOT NULL,
	symbology    TEXT NOT NULL,
	add_on       TEXT NOT NULL,
	kind         TEXT NOT NULL,
	quantity     INTEGER NOT NULL,
	device       TEXT NOT NULL,
	problem      TEXT NOT NULL,
	PRIMARY KEY (basket, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE identities (
	basket      INTEGER NOT NULL REFERENCES baskets (n) ON DELETE CASCADE,
	swipe       INTEGER NOT NULL,
	kind        TEXT NOT NULL,
	at          INTEGER NOT NULL,
	sealed_at   INTEGER NOT NULL,             -- Unix milliseconds, as in the EncTID
	deadline    INTEGER NOT NULL,             -- ticks
	state       TEXT NOT NULL,
	hhid        TEXT NOT NULL DEFAULT '',
	deident_tid TEXT NOT NULL DEFAULT '',
	answered_at INTEGER,
	PRIMARY KEY (basket, swipe)
) STRICT, WITHOUT ROWID;
CREATE INDEX identities_pending ON identities (deadline) WHERE state = 'pending';

-- EncTIDs of pending identities, and the encapsulated key of their epochs. Rows
-- are appended, overwritten with NULL where they stand, and deleted only all
-- together: deleting one would let SQLite move its neighbours, and copies of
-- these stay behind in the gaps of pages. So there are no foreign keys either.
CREATE TABLE sealed (
	n      INTEGER PRIMARY KEY AUTOINCREMENT,
	basket INTEGER NOT NULL,
	swipe  INTEGER NOT NULL,
	epoch  INTEGER NOT NULL,                  -- epochs.n
	enctid BLOB,
	UNIQUE (basket, swipe)
) STRICT;
CREATE INDEX sealed_pending ON sealed (epoch) WHERE enctid IS NOT NULL;

CREATE TABLE epochs (
	n     INTEGER PRIMARY KEY AUTOINCREMENT,
	epoch BLOB NOT NULL CHECK (length(epoch) = 16),
	key   INTEGER NOT NULL,
	enc   BLOB
) STRICT;
CREATE INDEX epochs_epoch ON epochs (epoch) WHERE enc IS NOT NULL;

CREATE TABLE deliveries (
	n          INTEGER PRIMARY KEY AUTOINCREMENT,
	basket     INTEGER NOT NULL REFERENCES baskets (n) ON DELETE CASCADE,
	revision   INTEGER NOT NULL,
	state      TEXT NOT NULL DEFAULT 'queued',
	reason     TEXT NOT NULL DEFAULT '',
	digest     TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	settled_at INTEGER,                       -- acknowledged or refused
	ticks      INTEGER,                       -- acknowledged
	logged_at  INTEGER,                       -- by the POS main computer's clock
	body       BLOB NOT NULL,
	UNIQUE (basket, revision)
) STRICT;
CREATE INDEX deliveries_state ON deliveries (state, n);
