package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"posd/identity"
)

// entryColumns are those of the index tids_by_change, which covers them.
const entryColumns = `tenant, fingerprint, hhid, opted_out, change, fingerprint_key, deident_version`

// Add stores a TID with a new household, unless it is known. Concurrent calls
// share a commit.
func (s *SQL) Add(ctx context.Context, t TID) (e Entry, created bool, err error) {
	err = s.db.Batch(ctx, func(tx *sql.Tx) error {
		created = false
		e, err = find(tx, t)
		if !errors.Is(err, ErrNoTID) {
			return err
		}
		created = true
		e, err = s.addNew(tx, t)
		return err
	})
	if err != nil {
		return Entry{}, false, err
	}
	return e, created, nil
}

// Link puts a TID into a household.
func (s *SQL) Link(ctx context.Context, by Act, t TID, to identity.HHID) (e Entry, err error) {
	err = s.db.Batch(ctx, func(tx *sql.Tx) error {
		if !to.IsZero() {
			if to, err = resolve(tx, t.Tenant, to); err != nil {
				return err
			}
		}
		e, err = find(tx, t)
		switch {
		case err == nil && e.HHID.IsZero():
			err = ErrErased
		case errors.Is(err, ErrNoTID) && to.IsZero():
			e, err = s.addNew(tx, t)
		case errors.Is(err, ErrNoTID):
			e, err = insert(tx, t, to, false)
		case err == nil && !to.IsZero():
			e, err = link(tx, by, e, to)
		}
		return err
	})
	return e, err
}

// LinkDeIdent puts the TID of a DeIdentTID into a household.
func (s *SQL) LinkDeIdent(ctx context.Context, by Act, tenant int64, d identity.DeIdentTID, to identity.HHID) (e Entry, err error) {
	err = s.db.Batch(ctx, func(tx *sql.Tx) error {
		if to, err = resolve(tx, tenant, to); err != nil {
			return err
		}
		e, err = byDeIdent(tx, tenant, d)
		if err == nil {
			e, err = link(tx, by, e, to)
		}
		return err
	})
	return e, err
}

// link moves a known TID, and keeps that in the ledger. One that is there already
// stays as it is.
func link(tx *sql.Tx, by Act, e Entry, to identity.HHID) (Entry, error) {
	if e.HHID == to {
		return e, nil
	}
	done := LedgerEntry{Kind: Linked, HHID: to, Cards: []CardMove{{From: e.HHID, To: to, tenant: e.Tenant, fingerprint: e.Fingerprint[:]}}}
	if err := keep(tx, by, e.Tenant, &done); err != nil {
		return Entry{}, err
	}
	return findAt(tx, e.Tenant, e.Fingerprint)
}

// Entries gives what changed after a change number.
func (s *SQL) Entries(ctx context.Context, after uint64, limit int) ([]Entry, error) {
	return query(ctx, s, func(r *sql.Rows) (Entry, error) { return scanEntry(r) },
		`SELECT `+entryColumns+` FROM tids WHERE change > $1 ORDER BY change LIMIT $2`, int64(after), limit)
}

// EntriesWithPrefix gives the entries whose fingerprints begin alike.
func (s *SQL) EntriesWithPrefix(ctx context.Context, tenant int64, prefix [8]byte) ([]Entry, error) {
	var low, high [16]byte
	copy(low[:], prefix[:])
	for i := range high {
		high[i] = 0xff
	}
	copy(high[:], prefix[:])
	return query(ctx, s, func(r *sql.Rows) (Entry, error) { return scanEntry(r) },
		`SELECT `+entryColumns+` FROM tids WHERE tenant = $1 AND fingerprint BETWEEN $2 AND $3`, tenant, low[:], high[:])
}

// Household gives one household with its cards.
func (s *SQL) Household(ctx context.Context, tenant int64, id identity.HHID) (h Household, err error) {
	err = s.db.View(ctx, func(tx *sql.Tx) error {
		if id, err = resolve(tx, tenant, id); err != nil {
			return err
		}
		h, err = scanHousehold(tx.QueryRow(householdColumns+` WHERE h.tenant = $1 AND h.hhid = $2`, tenant, id[:]))
		if err == nil {
			h.Cards, err = cards(tx, id)
		}
		if err == nil {
			h.Merged, err = mergedInto(tx, id)
		}
		return err
	})
	return h, err
}

// Households gives households in the order of their ids.
func (s *SQL) Households(ctx context.Context, tenant int64, after identity.HHID, limit int) (all []Household, err error) {
	err = s.db.View(ctx, func(tx *sql.Tx) error {
		all, err = rows(tx.Query, func(r *sql.Rows) (Household, error) { return scanHousehold(r) },
			householdColumns+` WHERE h.tenant = $1 AND h.hhid > $2 AND NOT EXISTS (SELECT 1 FROM aliases a WHERE a.hhid = h.hhid) ORDER BY h.hhid LIMIT $3`, tenant, after[:], limit)
		for i := range all {
			if err == nil {
				all[i].Cards, err = cards(tx, all[i].HHID)
			}
			if err == nil {
				all[i].Merged, err = mergedInto(tx, all[i].HHID)
			}
		}
		return err
	})
	return all, err
}

// addNew stores a TID that is not known with a household of its own.
func (s *SQL) addNew(tx *sql.Tx, t TID) (Entry, error) {
	id, had, err := expected(tx, t)
	if err == nil && !had {
		id, err = s.addHousehold(tx, t.Tenant, t.CreatedAt)
	}
	if err != nil {
		return Entry{}, err
	}
	return insert(tx, t, id, false)
}

// addHousehold makes a household without cards.
func (s *SQL) addHousehold(tx *sql.Tx, tenant int64, at time.Time) (identity.HHID, error) {
	return s.householdAt(tx, tenant, madeAt(at))
}

func (s *SQL) householdAt(tx *sql.Tx, tenant, ms int64) (identity.HHID, error) {
	for range 4 {
		id := s.newHHID()
		done, err := tx.Exec(`INSERT INTO households (hhid, tenant, created_at) VALUES ($1, $2, $3) ON CONFLICT (hhid) DO NOTHING`, id[:], tenant, ms)
		if err != nil {
			return identity.HHID{}, err
		}
		if n, err := done.RowsAffected(); err != nil {
			return identity.HHID{}, err
		} else if n == 1 {
			return id, nil
		}
	}
	return identity.HHID{}, errors.New("make household: every random id is taken: the machine's random numbers are not random")
}

func insert(tx *sql.Tx, t TID, id identity.HHID, optedOut bool) (Entry, error) {
	if err := checkKeys(tx, t.Tenant, t.FingerprintKey, t.DeIdentVersion); err != nil {
		return Entry{}, err
	}
	change, err := next(tx, "change")
	if err != nil {
		return Entry{}, err
	}
	return insertAt(tx, t, id, optedOut, change)
}

func insertAt(tx *sql.Tx, t TID, id identity.HHID, optedOut bool, change uint64) (Entry, error) {
	_, err := tx.Exec(`INSERT INTO tids (tenant, fingerprint, sealed, hhid, deident, deident_version, kind, opted_out, created_at, change, fingerprint_key)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		t.Tenant, t.Fingerprint[:], t.Sealed, id[:], t.DeIdent[:], t.DeIdentVersion, t.Kind, bit(optedOut), t.CreatedAt.UnixMilli(), int64(change), t.FingerprintKey)
	return Entry{Tenant: t.Tenant, Fingerprint: t.Fingerprint, FingerprintKey: t.FingerprintKey, DeIdentVersion: t.DeIdentVersion, HHID: id, OptedOut: optedOut, Change: change}, err
}

// move gives a TID another household, and tells the POS main computers.
func move(tx *sql.Tx, e Entry, to identity.HHID) error {
	change, err := next(tx, "change")
	if err != nil {
		return err
	}
	var deident []byte
	var version int
	err = tx.QueryRow(`UPDATE tids SET hhid = $1, change = $2 WHERE tenant = $3 AND fingerprint = $4 RETURNING deident, deident_version`,
		to[:], int64(change), e.Tenant, e.Fingerprint[:]).Scan(&deident, &version)
	if err != nil {
		return err
	}
	if err := tell(tx, e.Tenant, string(identity.MakeDeIdentTID(version, [16]byte(deident))), to, false, change); err != nil {
		return err
	}
	return tellEarlier(tx, e, to)
}

// mergedInto gives the ids that stand for a household.
func mergedInto(tx *sql.Tx, id identity.HHID) ([]identity.HHID, error) {
	return rows(tx.Query, func(r *sql.Rows) (h identity.HHID, err error) {
		var b []byte
		err = r.Scan(&b)
		copy(h[:], b)
		return h, err
	}, `SELECT hhid FROM aliases WHERE survivor = $1 ORDER BY hhid`, id[:])
}

// find finds a TID by the newest of its fingerprints that it is stored under.
func find(tx *sql.Tx, t TID) (Entry, error) {
	e, err := findAt(tx, t.Tenant, t.Fingerprint)
	for i := 0; errors.Is(err, ErrNoTID) && i < len(t.Older); i++ {
		e, err = findAt(tx, t.Tenant, t.Older[i])
	}
	return e, err
}

func findAt(tx *sql.Tx, tenant int64, fingerprint [16]byte) (Entry, error) {
	return one(tx.QueryRow(`SELECT `+entryColumns+` FROM tids WHERE tenant = $1 AND fingerprint = $2`, tenant, fingerprint[:]))
}

func one(r *sql.Row) (Entry, error) {
	e, err := scanEntry(r)
	if errors.Is(err, sql.ErrNoRows) {
		return Entry{}, ErrNoTID
	}
	return e, err
}

type scanner interface{ Scan(...any) error }

func scanEntry(r scanner) (e Entry, err error) {
	var fingerprint, id []byte
	var change int64
	if err = r.Scan(&e.Tenant, &fingerprint, &id, &e.OptedOut, &change, &e.FingerprintKey, &e.DeIdentVersion); err != nil {
		return Entry{}, err
	}
	copy(e.Fingerprint[:], fingerprint)
	copy(e.HHID[:], id)
	e.Change = uint64(change)
	return e, nil
}

const householdColumns = `SELECT h.hhid, t.name, h.created_at FROM households h JOIN tenants t ON t.id = h.tenant`

func scanHousehold(r scanner) (h Household, err error) {
	var id []byte
	var at int64
	if err = r.Scan(&id, &h.Tenant, &at); err == nil {
		copy(h.HHID[:], id)
		h.CreatedAt = instant(at)
	}
	return h, err
}

func cards(tx *sql.Tx, id identity.HHID) ([]Card, error) {
	all, err := rows(tx.Query, func(r *sql.Rows) (c Card, err error) {
		var mac []byte
		var version int
		var at int64
		if err = r.Scan(&mac, &version, &c.Kind, &c.OptedOut, &at); err == nil {
			c.DeIdentTID, c.CreatedAt = identity.MakeDeIdentTID(version, [16]byte(mac)), instant(at)
		}
		return c, err
	}, `SELECT deident, deident_version, kind, opted_out, created_at FROM tids WHERE hhid = $1 ORDER BY created_at, deident`, id[:])
	if all == nil {
		all = []Card{}
	}
	return all, err
}
