package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"posd/identity"
)

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
	if id, err = w.s.householdAt(w.tx, w.i.Tenant, w.i.BegunAt.UnixMilli()); err != nil {
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
	return makeHousehold(w.tx, w.i.Tenant, id, w.i.BegunAt.UnixMilli())
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
