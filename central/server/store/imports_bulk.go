package store

import (
	"context"
	"database/sql"
	"errors"
	"iter"

	"posd/identity"
	"posd/sqldb"
	"posd/sqlitedb"
)

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
