package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"posd/identity"
	"posd/sqldb"
	"posd/sqlitedb"
)

// Import is an import of many cards on its way, with how far it is.
type Import struct {
	Job     [16]byte // names it: of what, and how
	Tenant  int64
	BegunAt time.Time // also of the households and cards that it makes
	Key     [32]byte  // random: makes the ids of its families
	Bulk    bool      // there was no card yet, and no server: its rows are sorted first
	Position
}

// Position is how far an import is.
type Position struct {
	Phase    Phase
	Sorted   uint64   // rows of the phase, in their sorted order
	Lines    uint64   // lines of the input
	Digest   [32]byte // SHA-256 of them
	Added    uint64   // cards that were not known
	Moved    uint64   // cards that went to another household
	Kept     uint64   // cards that were there already
	Rejected uint64
}

// Phase says what an import is at.
type Phase string

// The phases of an import. It begins with Sorting if it is Bulk, else with Linewise.
const (
	Sorting    Phase = "sorting"    // nothing is stored yet
	Households Phase = "households" // the households are stored, in the order of their ids
	Cards      Phase = "cards"      // the cards are stored, in the order of their fingerprints
	Linewise   Phase = "rows"       // rows are stored in the order of the file
)

// ImportRow says which household a card is to belong to.
type ImportRow struct {
	TID      TID                 // the card, or
	DeIdent  identity.DeIdentTID // the pseudonym of one that is known
	HHID     identity.HHID       // the household; of a family, the id that a new one gets
	Create   bool                // the household is made if there is none of this id
	Family   [16]byte            // zero: the household is given by HHID alone
	OptedOut bool                // the card's owner is not to be recognised
}

// ErrForeignHousehold says that an id is taken.
var ErrForeignHousehold = errors.New("that household is another retailer's")

// errThere says that rows cannot be loaded, since some are there already.
var errThere = errors.New("rows are there already")

const importColumns = `job, tenant, begun_at, key, bulk, phase, sorted, lines, digest, added, moved, kept, rejected`

// BeginImport begins an import, or finds it as it was left.
func (s *SQL) BeginImport(ctx context.Context, by Act, job [16]byte, tenant int64, alone bool) (i Import, resumed bool, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		i, err = readImport(tx, job)
		if resumed = err == nil; resumed || !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		i = Import{Job: job, Tenant: tenant, BegunAt: instant(by.At.UnixMilli()), Position: Position{Phase: Linewise}}
		rand.Read(i.Key[:])
		if i.Bulk, err = empty(tx); err != nil {
			return err
		}
		if i.Bulk = i.Bulk && alone; i.Bulk {
			i.Phase = Sorting
			if err := s.dropIndices(tx); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(`INSERT INTO imports (`+importColumns+`) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, 0, 0, 0, 0)`,
			job[:], tenant, i.BegunAt.UnixMilli(), i.Key[:], bit(i.Bulk), i.Phase, i.Digest[:]); err != nil {
			return err
		}
		return record(tx, by)
	})
	return i, resumed, err
}

// empty reports whether no retailer has a card or household.
func empty(tx *sql.Tx) (bool, error) {
	var some int
	err := tx.QueryRow(`SELECT (SELECT count(*) FROM (SELECT 1 FROM tids LIMIT 1) t) + (SELECT count(*) FROM (SELECT 1 FROM households LIMIT 1) h)`).Scan(&some)
	return some == 0, err
}

func readImport(tx *sql.Tx, job [16]byte) (i Import, err error) {
	var id, key, digest []byte
	var at int64
	err = tx.QueryRow(`SELECT `+importColumns+` FROM imports WHERE job = $1`, job[:]).Scan(&id, &i.Tenant, &at, &key, &i.Bulk, &i.Phase,
		&i.Sorted, &i.Lines, &digest, &i.Added, &i.Moved, &i.Kept, &i.Rejected)
	if err != nil {
		return Import{}, err
	}
	copy(i.Job[:], id)
	copy(i.Key[:], key)
	copy(i.Digest[:], digest)
	i.BegunAt = instant(at)
	return i, nil
}

// keepPosition notes how far an import is, in the transaction of its rows.
func keepPosition(tx *sql.Tx, job [16]byte, p Position) error {
	done, err := tx.Exec(`UPDATE imports SET phase = $1, sorted = $2, lines = $3, digest = $4, added = $5, moved = $6, kept = $7, rejected = $8 WHERE job = $9`,
		p.Phase, int64(p.Sorted), int64(p.Lines), p.Digest[:], int64(p.Added), int64(p.Moved), int64(p.Kept), int64(p.Rejected), job[:])
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return errors.New("the import was ended, or begun anew, by another command")
}

// EndImport ends an import.
func (s *SQL) EndImport(ctx context.Context, by Act, job [16]byte) error {
	if err := s.buildIndices(ctx); err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.Exec(`DELETE FROM import_families WHERE job = $1`, job[:]); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM imports WHERE job = $1`, job[:]); err != nil {
			return err
		}
		return record(tx, by)
	})
}

// Indices of tids that a bulk import builds at its end, where it is alone in a SQLite
// database.
var indices = []struct{ name, create string }{
	{"tids_by_deident", `CREATE INDEX IF NOT EXISTS tids_by_deident ON tids (tenant, deident, deident_version)`},
	{"tids_by_hhid", `CREATE INDEX IF NOT EXISTS tids_by_hhid ON tids (hhid)`},
	{"tids_by_change", `CREATE UNIQUE INDEX IF NOT EXISTS tids_by_change ON tids (change, tenant, fingerprint, hhid, opted_out, fingerprint_key, deident_version)`},
}

func (s *SQL) dropIndices(tx *sql.Tx) error {
	if _, ok := s.db.(*sqlitedb.DB); !ok {
		return nil
	}
	for _, i := range indices {
		if _, err := tx.Exec(`DROP INDEX IF EXISTS ` + i.name); err != nil {
			return err
		}
	}
	return nil
}

// buildIndices builds what a bulk import has left out, or did not live to build.
func (s *SQL) buildIndices(ctx context.Context) error {
	db, ok := s.db.(*sqlitedb.DB)
	if !ok {
		return nil
	}
	var there int
	err := db.Read().QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'tids' AND name IN ('tids_by_deident', 'tids_by_hhid', 'tids_by_change')`).Scan(&there)
	if err != nil || there == len(indices) {
		return err
	}
	return s.db.Load(ctx, func(tx *sql.Tx, _ sqldb.Loader) error {
		for _, i := range indices {
			if _, err := tx.Exec(i.create); err != nil {
				return err
			}
		}
		return nil
	})
}

// ImportHouseholds stores households of a bulk import.
func (s *SQL) ImportHouseholds(ctx context.Context, i Import, ids []identity.HHID, p Position) error {
	return s.db.Load(ctx, func(tx *sql.Tx, add sqldb.Loader) error {
		fresh, err := missing(tx, ids)
		if err != nil {
			return err
		}
		if len(fresh) > 0 {
			if err := add("households", []string{"hhid", "tenant", "created_at"}, householdValues(i, fresh)); err != nil {
				return err
			}
		}
		return keepPosition(tx, i.Job, p)
	})
}

// missing gives the ids, which are sorted, that no household has.
func missing(tx *sql.Tx, ids []identity.HHID) ([]identity.HHID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	there, err := rows(tx.Query, func(r *sql.Rows) (h identity.HHID, err error) {
		var b []byte
		err = r.Scan(&b)
		copy(h[:], b)
		return h, err
	}, `SELECT hhid FROM households WHERE hhid BETWEEN $1 AND $2`, ids[0][:], ids[len(ids)-1][:])
	if err != nil || len(there) == 0 {
		return ids, err
	}
	known := make(map[identity.HHID]bool, len(there))
	for _, h := range there {
		known[h] = true
	}
	var fresh []identity.HHID
	for _, h := range ids {
		if !known[h] {
			fresh = append(fresh, h)
		}
	}
	return fresh, nil
}

func householdValues(i Import, ids []identity.HHID) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		row := []any{nil, i.Tenant, i.BegunAt.UnixMilli()}
		for n := range ids {
			if row[0] = ids[n][:]; !yield(row) {
				return
			}
		}
	}
}

// ImportCards stores cards of a bulk import.
func (s *SQL) ImportCards(ctx context.Context, by Act, i Import, batch []ImportRow, p Position) (after Position, err error) {
	err = s.db.Load(ctx, func(tx *sql.Tx, add sqldb.Loader) error {
		first := batch[0].TID
		if err := checkKeys(tx, i.Tenant, first.FingerprintKey, first.DeIdentVersion); err != nil {
			return err
		}
		if len(first.Older) > 0 { // the cards may be there under those
			return errThere
		}
		if err := noneBetween(tx, i.Tenant, first.Fingerprint, batch[len(batch)-1].TID.Fingerprint); err != nil {
			return err
		}
		change, err := nextMany(tx, "change", len(batch))
		if err != nil {
			return err
		}
		if err := add("tids", tidColumns, tidValues(batch, change)); err != nil {
			return err
		}
		after = p
		after.Added += uint64(len(batch))
		return keepPosition(tx, i.Job, after)
	})
	if errors.Is(err, errThere) {
		after, _, err = s.ImportRows(ctx, by, i, batch, p)
	}
	return after, err
}

func noneBetween(tx *sql.Tx, tenant int64, low, high [16]byte) error {
	var one int
	err := tx.QueryRow(`SELECT 1 FROM tids WHERE tenant = $1 AND fingerprint BETWEEN $2 AND $3 LIMIT 1`, tenant, low[:], high[:]).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = errThere
	}
	return err
}

var tidColumns = []string{"tenant", "fingerprint", "sealed", "hhid", "deident", "deident_version", "kind", "opted_out", "created_at", "change", "fingerprint_key"}

func tidValues(batch []ImportRow, change uint64) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		row := make([]any, len(tidColumns))
		for n := range batch {
			t := &batch[n].TID
			row[0], row[1], row[2], row[3], row[4], row[5] = t.Tenant, t.Fingerprint[:], t.Sealed, batch[n].HHID[:], t.DeIdent[:], int64(t.DeIdentVersion)
			row[6], row[7], row[8], row[9], row[10] = string(t.Kind), int64(bit(batch[n].OptedOut)), t.CreatedAt.UnixMilli(), int64(change)+int64(n), int64(t.FingerprintKey)
			if !yield(row) {
				return
			}
		}
	}
}

// nextMany takes n numbers of a counter and gives the first.
func nextMany(tx *sql.Tx, counter string, n int) (uint64, error) {
	var last int64
	err := tx.QueryRow(`UPDATE counters SET value = value + $1 WHERE name = $2 RETURNING value`, n, counter).Scan(&last)
	return uint64(last) - uint64(n) + 1, err
}

// ImportRows stores rows one by one.
func (s *SQL) ImportRows(ctx context.Context, by Act, i Import, batch []ImportRow, p Position) (Position, []error, error) {
	var refused []error
	var after Position
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		var err error
		refused, after = make([]error, len(batch)), p
		w := importer{s: s, tx: tx, by: by, i: i, p: &after, families: map[[16]byte]identity.HHID{}, moving: map[[16]byte]bool{}}
		if w.change, err = nextMany(tx, "change", len(batch)); err != nil {
			return err
		}
		for n := range batch {
			if err := w.row(&batch[n]); refusal(err) {
				refused[n] = err
				after.Rejected++
			} else if err != nil {
				return err
			}
		}
		if err := w.move(); err != nil {
			return err
		}
		return keepPosition(tx, i.Job, after)
	})
	return after, refused, err
}

func refusal(err error) bool {
	return errors.Is(err, ErrNoHousehold) || errors.Is(err, ErrNoTID) || errors.Is(err, ErrForeignHousehold) || errors.Is(err, ErrErased)
}

// importer stores rows in a transaction.
type importer struct {
	s        *SQL
	tx       *sql.Tx
	by       Act
	i        Import
	p        *Position
	change   uint64 // the next of those that were taken for new cards
	checked  [2]int // keys that were found to be the newest
	families map[[16]byte]identity.HHID
	moves    []CardMove // known cards that go elsewhere: one entry of the ledger
	moving   map[[16]byte]bool
}

func (w *importer) row(r *ImportRow) error {
	e, err := w.find(r)
	if err == nil && w.moving[e.Fingerprint] { // it came in an earlier row
		if err = w.move(); err == nil {
			e, err = w.find(r)
		}
	}
	known := err == nil
	if !known && (!errors.Is(err, ErrNoTID) || r.DeIdent != "") {
		return err
	}
	if known && e.HHID.IsZero() {
		return w.erased(r)
	}
	to, err := w.household(r, e, known)
	if err != nil {
		return err
	}
	switch {
	case !known:
		w.p.Added++
		return w.insert(r, to)
	case e.HHID == to:
		w.p.Kept++
	default:
		w.p.Moved++
		w.moves = append(w.moves, CardMove{From: e.HHID, To: to, tenant: e.Tenant, fingerprint: e.Fingerprint[:]})
		w.moving[e.Fingerprint] = true
	}
	if r.OptedOut && !e.OptedOut {
		return optOut(w.tx, e)
	}
	return nil
}

// erased leaves a card as it is that was erased; a row may say that of it.
func (w *importer) erased(r *ImportRow) error {
	if !r.OptedOut {
		return ErrErased
	}
	w.p.Kept++
	return nil
}

func (w *importer) insert(r *ImportRow, to identity.HHID) error {
	if keys := [2]int{int(r.TID.FingerprintKey), r.TID.DeIdentVersion}; keys != w.checked {
		if err := checkKeys(w.tx, w.i.Tenant, r.TID.FingerprintKey, r.TID.DeIdentVersion); err != nil {
			return err
		}
		w.checked = keys
	}
	_, err := insertAt(w.tx, r.TID, to, r.OptedOut, w.change)
	w.change++
	return err
}

// move moves the cards that go elsewhere, and keeps that in the ledger.
func (w *importer) move() error {
	if len(w.moves) == 0 {
		return nil
	}
	done := LedgerEntry{Kind: Linked, Cards: w.moves}
	w.moves = nil
	clear(w.moving)
	return keep(w.tx, w.by, w.i.Tenant, &done)
}

func (w *importer) find(r *ImportRow) (Entry, error) {
	if r.DeIdent == "" {
		return find(w.tx, r.TID)
	}
	return byDeIdent(w.tx, w.i.Tenant, r.DeIdent)
}

// household gives the household that a row's card is to belong to.
func (w *importer) household(r *ImportRow, e Entry, known bool) (identity.HHID, error) {
	if r.Family != [16]byte{} {
		return w.family(r, e, known)
	}
	id, err := resolve(w.tx, w.i.Tenant, r.HHID)
	if !errors.Is(err, ErrNoHousehold) || !r.Create {
		return id, err
	}
	if erased, err := isErased(w.tx, w.i.Tenant, r.HHID.String()); err != nil || erased {
		return id, errors.Join(err, ErrErased)
	}
	if _, _, err := owner(w.tx, r.HHID); err == nil {
		return id, ErrForeignHousehold
	} else if !errors.Is(err, ErrNoHousehold) {
		return id, err
	}
	return r.HHID, w.create(r.HHID)
}

func (w *importer) family(r *ImportRow, e Entry, known bool) (identity.HHID, error) {
	if id, ok := w.families[r.Family]; ok {
		return id, nil
	}
	id, made, err := w.familyOf(r, e, known)
	if err == nil && !made {
		id, err = resolve(w.tx, w.i.Tenant, id)
	}
	if err == nil {
		w.families[r.Family] = id
	}
	return id, err
}

// familyOf gives the household of a family; made says that it was made just now.
func (w *importer) familyOf(r *ImportRow, e Entry, known bool) (id identity.HHID, made bool, err error) {
	var b []byte
	err = w.tx.QueryRow(`SELECT hhid FROM import_families WHERE job = $1 AND family = $2`, w.i.Job[:], r.Family[:]).Scan(&b)
	if copy(id[:], b); !errors.Is(err, sql.ErrNoRows) {
		return id, false, err
	}
	_, at, err := owner(w.tx, r.HHID)
	if err == nil && at.Equal(w.i.BegunAt) {
		return r.HHID, false, nil
	}
	taken := err == nil
	if err != nil && !errors.Is(err, ErrNoHousehold) {
		return id, false, err
	}
	if known {
		_, at, err := owner(w.tx, e.HHID)
		if err != nil {
			return id, false, err
		}
		if !at.Equal(w.i.BegunAt) {
			return e.HHID, false, w.note(r.Family, e.HHID)
		}
	}
	if !known { // it may have been known before a restore from a backup
		if id, had, err := expected(w.tx, r.TID); err != nil || had {
			return id, false, errors.Join(err, w.note(r.Family, id))
		}
	}
	if !taken {
		return r.HHID, true, w.create(r.HHID)
	}
	if id, err = w.s.addHousehold(w.tx, w.i.Tenant, w.i.BegunAt); err != nil {
		return id, false, err
	}
	return id, true, w.note(r.Family, id)
}

// note keeps the household of a family that has not the id that its key makes.
func (w *importer) note(family [16]byte, id identity.HHID) error {
	_, err := w.tx.Exec(`INSERT INTO import_families (job, family, hhid) VALUES ($1, $2, $3)`, w.i.Job[:], family[:], id[:])
	return err
}

func (w *importer) create(id identity.HHID) error {
	return makeHousehold(w.tx, w.i.Tenant, id, w.i.BegunAt)
}

// owner says whose a household is, and when it was made.
func owner(tx *sql.Tx, id identity.HHID) (tenant int64, made time.Time, err error) {
	var at int64
	err = tx.QueryRow(`SELECT tenant, created_at FROM households WHERE hhid = $1`, id[:]).Scan(&tenant, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, made, fmt.Errorf("%w: %s", ErrNoHousehold, id)
	}
	return tenant, instant(at), err
}

// optOut has the owner of a card recognised no more.
func optOut(tx *sql.Tx, e Entry) error {
	change, err := next(tx, "change")
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE tids SET opted_out = 1, change = $1 WHERE tenant = $2 AND fingerprint = $3`, int64(change), e.Tenant, e.Fingerprint[:])
	return err
}
