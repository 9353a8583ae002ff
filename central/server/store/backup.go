package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"posd/identity"
	"posd/sqldb"
	"posd/sqlitedb"
)

// tables are those that a backup holds, each behind those that it refers to. The
// keys are apart; what is left out is of no use elsewhere.
var tables = []table{
	{"installation", "one"}, {"counters", "name"}, {"tenants", "id"}, {"manifests", "version"}, {"households", "hhid"},
	{"tids", "tenant, fingerprint"}, {"deidents", "tenant, version, deident"}, {"rekeying", "tenant"},
	{"aliases", "hhid"}, {"ledger", "number"}, {"ledger_cards", "number, tenant, fingerprint"}, {"ledger_aliases", "number, hhid"},
	{"machines", "id"}, {"certificates", "serial"}, {"tokens", "hash"}, {"alarms", "id"}, {"lane_activity", "machine"},
	{"facts", "tenant, id"}, {"followers", "machine"}, {"erasures", "number"}, {"erasures_done", "erasure, machine"},
	{"restores", "number"}, {"expected", "tenant, version, deident"}, {"audit", "number"},
}

// notInBackups are the other tables: keys has a file of its own, imports begin anew,
// the feed gets another id, and what schema a database has is its own.
var notInBackups = []string{"keys", "imports", "import_families", "feed", "schema"}

type table struct{ name, order string }

// Snapshot is what a backup tells of a database, as of one moment.
type Snapshot struct {
	Installation Installation
	Keys         []Key
	Schema       int
	Change       uint64
	Records      uint64 // of the audit log
	Head         Hash   // of the last of them
}

// Dump gives a database's state at one moment: first what it is of, then every row of
// every table to row, whose values are good until the next.
func (s *SQL) Dump(ctx context.Context, begin func(Snapshot) error, row func(table string, columns []string, values []any) error) error {
	return s.db.View(ctx, func(tx *sql.Tx) error {
		i, err := readInstallation(tx)
		if err != nil {
			return err
		}
		snapshot := Snapshot{Installation: i}
		if err := snapshot.read(tx); err != nil {
			return err
		}
		if err := begin(snapshot); err != nil {
			return err
		}
		for _, t := range tables {
			if err := dump(ctx, tx, t, row); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Snapshot) read(tx *sql.Tx) (err error) {
	if s.Keys, err = rows(tx.Query, scanKey, keyColumns); err != nil {
		return err
	}
	var change, records int64
	if err := tx.QueryRow(`SELECT (SELECT max(version) FROM schema), (SELECT value FROM counters WHERE name = 'change'), (SELECT value FROM counters WHERE name = 'audit')`).
		Scan(&s.Schema, &change, &records); err != nil {
		return err
	}
	s.Change, s.Records = uint64(change), uint64(records)
	s.Head, err = chainEnd(tx, s.Records)
	return err
}

func dump(ctx context.Context, tx *sql.Tx, t table, row func(string, []string, []any) error) error {
	r, err := tx.QueryContext(ctx, `SELECT * FROM `+t.name+` ORDER BY `+t.order)
	if err != nil {
		return fmt.Errorf("read database: %w", err)
	}
	defer r.Close()
	columns, err := r.Columns()
	if err != nil {
		return fmt.Errorf("read database: %w", err)
	}
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for r.Next() {
		if err := r.Scan(into...); err != nil {
			return fmt.Errorf("read database: %w", err)
		}
		if err := row(t.name, columns, values); err != nil {
			return err
		}
	}
	if err := r.Err(); err != nil {
		return fmt.Errorf("read database: %w", err)
	}
	return nil
}

// Restored is what a database is made of, apart from its rows.
type Restored struct {
	Installation Installation // with the key-encryption key that the keys are wrapped under
	Keys         []Key
	Schema       int
	BackupAt     time.Time
}

// ahead is by how much counters whose numbers others remember go on: more than can
// have been given out since the backup.
const ahead = 1 << 32

// ErrNotEmpty says that a database holds a central already.
var ErrNotEmpty = errors.New("this database holds a central already: a backup is restored into an empty one")

// Restore fills an empty database with the rows that fill adds, each table whole and
// in the order that Dump gave them in: all of it, or nothing. It is not mistaken for
// the database that the backup is of: its change number is far ahead, and it has
// another incarnation.
func (s *SQL) Restore(ctx context.Context, by Act, r Restored, fill func(add sqldb.Loader) error) error {
	return s.db.Load(ctx, func(tx *sql.Tx, add sqldb.Loader) error {
		var n, schema int
		if err := tx.QueryRow(`SELECT (SELECT count(*) FROM installation), (SELECT max(version) FROM schema)`).Scan(&n, &schema); err != nil {
			return err
		}
		if n > 0 {
			return ErrNotEmpty
		}
		if schema != r.Schema {
			return fmt.Errorf("this database was set up with schema %d, and the backup is of schema %d: give a new one", schema, r.Schema)
		}
		if _, err := tx.Exec(`DELETE FROM counters`); err != nil {
			return err
		}
		build, err := s.withoutIndices(tx)
		if err != nil {
			return err
		}
		if err := fill(loadChecked(add)); err != nil {
			return err
		}
		if err := build(); err != nil {
			return err
		}
		return becomeNew(tx, by, r)
	})
}

// withoutIndices drops SQLite's indices of the largest table, and gives what builds them
// again.
func (s *SQL) withoutIndices(tx *sql.Tx) (build func() error, err error) {
	if _, ok := s.db.(*sqlitedb.DB); !ok {
		return func() error { return nil }, nil
	}
	type index struct{ name, create string }
	all, err := rows(tx.Query, func(r *sql.Rows) (i index, err error) { err = r.Scan(&i.name, &i.create); return i, err },
		`SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'tids' AND sql IS NOT NULL`)
	for _, i := range all {
		if err == nil {
			_, err = tx.Exec(`DROP INDEX ` + i.name)
		}
	}
	return func() error {
		for _, i := range all {
			if _, err := tx.Exec(i.create); err != nil {
				return err
			}
		}
		return nil
	}, err
}

// loadChecked adds rows to tables that backups hold, and to no others: names come from
// a file.
func loadChecked(add sqldb.Loader) sqldb.Loader {
	return func(name string, columns []string, rows iter.Seq[[]any]) error {
		for _, c := range columns {
			if strings.Trim(c, "abcdefghijklmnopqrstuvwxyz_0123456789") != "" {
				return errors.New("restore: a column has a name that is none")
			}
		}
		for _, t := range tables {
			if t.name != name {
				continue
			}
			if name == "certificates" { // they refer to each other, and must come at once
				return add(name, columns, rows)
			}
			return inChunks(rows, func(chunk iter.Seq[[]any]) error { return add(name, columns, chunk) })
		}
		return errors.New("restore: the backup holds a table that no backup holds")
	}
}

// chunk is how many rows are copied at once: PostgreSQL remembers each until then, to look
// at what it refers to.
const chunk = 1 << 20

func inChunks(rows iter.Seq[[]any], add func(iter.Seq[[]any]) error) error {
	next, stop := iter.Pull(rows)
	defer stop()
	for row, more := next(); more; {
		err := add(func(yield func([]any) bool) {
			for n := 0; more && n < chunk; n++ {
				if !yield(row) {
					return
				}
				row, more = next()
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func becomeNew(tx *sql.Tx, by Act, r Restored) error {
	if _, err := tx.Exec(`UPDATE installation SET kek = $1, salt = $2`, r.Installation.KEK, r.Installation.Salt); err != nil {
		return err
	}
	for _, k := range r.Keys {
		if err := insertKey(tx, k); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(`UPDATE counters SET value = value + $1 WHERE name IN ('change', 'manifest', 'keys')`, int64(ahead)); err != nil {
		return err
	}
	var id [16]byte
	rand.Read(id[:])
	if _, err := tx.Exec(`INSERT INTO restores (number, id, at, backup_at) SELECT coalesce(max(number), 0) + 1, $1, $2, $3 FROM restores`,
		id[:], by.At.UnixMilli(), r.BackupAt.UnixMilli()); err != nil {
		return err
	}
	if err := newFeed(tx, true); err != nil {
		return err
	}
	return record(tx, by)
}

// Pair is what a POS main computer remembers: which household the card of a DeIdentTID
// belonged to.
type Pair struct {
	DeIdentTID identity.DeIdentTID `json:"deident_tid"`
	HHID       identity.HHID       `json:"hhid"`
	At         time.Time           `json:"at"` // when it was seen last
}

// Paired counts what became of pairs.
type Paired struct {
	Expected int `json:"expected"` // no card is known by it: the next that is gets this household
	Moved    int `json:"moved"`    // the card went back to the household that it had
	Same     int `json:"same"`     // it is there
	Older    int `json:"older"`    // what the database says is newer
	Foreign  int `json:"foreign"`  // the household is another retailer's
	Erased   int `json:"erased"`   // the card or the household was erased
}

// TakePairs has cards which came, or moved, after the backup that a database was made
// of get the households that they had.
func (s *SQL) TakePairs(ctx context.Context, by Act, tenant int64, pairs []Pair) (Paired, error) {
	var done Paired
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		done = Paired{}
		var at, backup sql.NullInt64
		if err := tx.QueryRow(`SELECT max(at), max(backup_at) FROM restores`).Scan(&at, &backup); err != nil {
			return err
		}
		if !at.Valid {
			return errors.New("this database was not restored from a backup: it knows better which households its cards belong to")
		}
		var moves []CardMove
		for _, p := range pairs {
			move, err := takePair(tx, tenant, p, instant(at.Int64), instant(backup.Int64), &done)
			if err != nil {
				return err
			}
			if move != nil {
				moves = append(moves, *move)
			}
		}
		if len(moves) == 0 {
			return nil
		}
		return keep(tx, by, tenant, &LedgerEntry{Kind: Linked, Cards: moves})
	})
	return done, err
}

func takePair(tx *sql.Tx, tenant int64, p Pair, restored, backup time.Time, done *Paired) (*CardMove, error) {
	of, _, err := owner(tx, p.HHID)
	if err != nil && !errors.Is(err, ErrNoHousehold) {
		return nil, err
	}
	if err == nil && of != tenant {
		done.Foreign++
		return nil, nil
	}
	there := err == nil
	e, err := byDeIdent(tx, tenant, p.DeIdentTID)
	if erased, err := anyErased(tx, tenant, string(p.DeIdentTID), p.HHID.String()); err != nil || erased {
		done.Erased += bit(erased)
		return nil, err
	}
	if errors.Is(err, ErrNoTID) {
		done.Expected++
		return nil, expect(tx, tenant, p)
	}
	if err != nil {
		return nil, err
	}
	to := p.HHID
	if there {
		if to, err = resolve(tx, tenant, p.HHID); err != nil {
			return nil, err
		}
	}
	var since int64
	if err := tx.QueryRow(`SELECT created_at FROM tids WHERE tenant = $1 AND fingerprint = $2`, tenant, e.Fingerprint[:]).Scan(&since); err != nil {
		return nil, err
	}
	switch {
	case e.HHID == to:
		done.Same++
		return nil, nil
	case !p.At.After(backup) || p.At.After(restored) && instant(since).Before(restored):
		done.Older++
		return nil, nil
	}
	if !there {
		if err := makeHousehold(tx, tenant, to, madeAt(p.At)); err != nil {
			return nil, err
		}
	}
	done.Moved++
	return &CardMove{From: e.HHID, To: to, tenant: tenant, fingerprint: e.Fingerprint[:]}, nil
}

// expect keeps a pair for the card that is not there yet; of several the newest.
func expect(tx *sql.Tx, tenant int64, p Pair) error {
	mac := p.DeIdentTID.MAC()
	_, err := tx.Exec(`INSERT INTO expected (tenant, version, deident, hhid, at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (tenant, version, deident) DO UPDATE SET hhid = excluded.hhid, at = excluded.at WHERE excluded.at > expected.at`,
		tenant, p.DeIdentTID.Version(), mac[:], p.HHID[:], p.At.UnixMilli())
	return err
}

// expected gives the household that a new card had before a restore, if it is known; it
// is made if need be.
func expected(tx *sql.Tx, t TID) (id identity.HHID, ok bool, err error) {
	var b []byte
	err = tx.QueryRow(`SELECT hhid FROM expected WHERE tenant = $1 AND version = $2 AND deident = $3`, t.Tenant, t.DeIdentVersion, t.DeIdent[:]).Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		return id, false, nil
	}
	if err != nil {
		return id, false, err
	}
	copy(id[:], b)
	if _, err := tx.Exec(`DELETE FROM expected WHERE tenant = $1 AND version = $2 AND deident = $3`, t.Tenant, t.DeIdentVersion, t.DeIdent[:]); err != nil {
		return id, false, err
	}
	switch of, _, err := owner(tx, id); {
	case errors.Is(err, ErrNoHousehold):
		return id, true, makeHousehold(tx, t.Tenant, id, madeAt(t.CreatedAt))
	case err != nil || of != t.Tenant:
		return id, false, err
	}
	id, err = resolve(tx, t.Tenant, id)
	return id, err == nil, err
}

func makeHousehold(tx *sql.Tx, tenant int64, id identity.HHID, ms int64) error {
	_, err := tx.Exec(`INSERT INTO households (hhid, tenant, created_at) VALUES ($1, $2, $3)`, id[:], tenant, ms)
	return err
}

// Add adds up.
func (p *Paired) Add(q Paired) {
	p.Expected += q.Expected
	p.Moved += q.Moved
	p.Same += q.Same
	p.Older += q.Older
	p.Foreign += q.Foreign
	p.Erased += q.Erased
}
