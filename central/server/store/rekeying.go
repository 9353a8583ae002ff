package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"posd/identity"
)

// SealedTID is a stored TID as it must be known to be moved to other keys.
type SealedTID struct {
	Fingerprint    [16]byte
	FingerprintKey uint32
	Sealed         []byte // empty: it was erased
	DeIdent        [16]byte
	DeIdentVersion int
}

// Moved is a TID as it is stored, and as it is to be, under the newest keys.
type Moved struct {
	From SealedTID
	To   TID // of which household, kind and time stay as they are
}

// Step is a step in moving a retailer's TIDs to its newest keys, which are of these
// numbers.
type Step struct {
	Tenant         int64
	FingerprintKey uint32
	DeIdentVersion int
	Moved          []Moved
	DoneTo         [16]byte  // all before this fingerprint are done
	FinishedAt     time.Time // zero: there is more to do
}

// Rekeying tells how far a retailer's TIDs have been moved to its newest keys. They
// are taken in the order of their fingerprints.
type Rekeying struct {
	Tenant     int64
	StartedAt  time.Time
	FinishedAt time.Time // zero: it is not
	DoneTo     [16]byte  // all before this fingerprint are done
}

// DeIdentPair is the pseudonyms of one TID under two keys.
type DeIdentPair struct {
	From, To identity.DeIdentTID
}

// ErrStaleKeys says that there are newer keys than those that a TID was brought
// with: it must be made with them.
var ErrStaleKeys = errors.New("the retailer's keys have changed: try again")

// ErrRekeying says that no key can be rotated now.
var ErrRekeying = errors.New("the stored cards are being moved to the newest keys: wait until all are, see `centrald keys list`")

// ErrHeld says that another server does the work.
var ErrHeld = errors.New("another server is at it")

// checkKeys lets nothing be stored under keys that have been superseded.
func checkKeys(tx *sql.Tx, tenant int64, fingerprintKey uint32, deidentVersion int) error {
	var newer int
	err := tx.QueryRow(`SELECT count(*) FROM keys WHERE tenant = $1 AND (purpose = 'fingerprint' AND number > $2 OR purpose = 'deident' AND number > $3)`,
		tenant, fingerprintKey, deidentVersion).Scan(&newer)
	if err == nil && newer > 0 {
		return ErrStaleKeys
	}
	return err
}

// beginRekeying has all TIDs of a retailer moved to its newest keys. A TID goes from
// each key to the next, so that each pseudonym that was given out is stored.
func beginRekeying(tx *sql.Tx, tenant int64, now time.Time) error {
	var under int
	if err := tx.QueryRow(`SELECT count(*) FROM rekeying WHERE tenant = $1 AND finished_at IS NULL`, tenant).Scan(&under); err != nil {
		return err
	}
	if under > 0 {
		return ErrRekeying
	}
	_, err := tx.Exec(`INSERT INTO rekeying (tenant, started_at, done_to, holder, until) VALUES ($1, $2, $3, '', 0)
		ON CONFLICT (tenant) DO UPDATE SET started_at = $2, finished_at = NULL, done_to = $3, holder = ''`, tenant, now.UnixMilli(), make([]byte, 16))
	return err
}

// Rekeyings tells of all retailers whose keys were ever rotated.
func (s *SQL) Rekeyings(ctx context.Context) ([]Rekeying, error) {
	return query(ctx, s, func(r *sql.Rows) (k Rekeying, err error) {
		var started int64
		var finished sql.NullInt64
		var to []byte
		err = r.Scan(&k.Tenant, &started, &finished, &to)
		k.StartedAt, k.FinishedAt = instant(started), perhaps(finished)
		copy(k.DoneTo[:], to)
		return k, err
	}, `SELECT tenant, started_at, finished_at, done_to FROM rekeying ORDER BY tenant`)
}

// HoldRekeying makes a server the one that does the work until a time. ErrHeld.
func (s *SQL) HoldRekeying(ctx context.Context, tenant int64, holder string, now, until time.Time) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		return changedOne(tx.Exec(`UPDATE rekeying SET holder = $1, until = $2 WHERE tenant = $3 AND finished_at IS NULL AND (holder = $1 OR holder = '' OR until < $4)`,
			holder, until.UnixMilli(), tenant, now.UnixMilli()))
	})
}

// changedOne is ErrHeld if nothing was changed.
func changedOne(done sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := done.RowsAffected()
	if err == nil && n == 0 {
		return ErrHeld
	}
	return err
}

// SealedTIDs gives up to limit TIDs of a retailer whose fingerprints are not before
// from, in their order.
func (s *SQL) SealedTIDs(ctx context.Context, tenant int64, from [16]byte, limit int) ([]SealedTID, error) {
	return query(ctx, s, func(r *sql.Rows) (t SealedTID, err error) {
		var fingerprint, deident []byte
		err = r.Scan(&fingerprint, &t.FingerprintKey, &t.Sealed, &deident, &t.DeIdentVersion)
		copy(t.Fingerprint[:], fingerprint)
		copy(t.DeIdent[:], deident)
		return t, err
	}, `SELECT fingerprint, fingerprint_key, sealed, deident, deident_version FROM tids WHERE tenant = $1 AND fingerprint >= $2 ORDER BY fingerprint LIMIT $3`,
		tenant, from[:], limit)
}

// Rekey takes a step.
func (s *SQL) Rekey(ctx context.Context, holder string, step Step) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := checkKeys(tx, step.Tenant, step.FingerprintKey, step.DeIdentVersion); err != nil {
			return err
		}
		if err := changedOne(tx.Exec(`UPDATE rekeying SET done_to = $1, finished_at = $2 WHERE tenant = $3 AND holder = $4 AND finished_at IS NULL`,
			step.DoneTo[:], milliseconds(step.FinishedAt), step.Tenant, holder)); err != nil {
			return err
		}
		for _, m := range step.Moved {
			if err := rekey(tx, m); err != nil {
				return err
			}
		}
		if step.FinishedAt.IsZero() {
			return nil
		}
		_, err := next(tx, "keys") // servers keep no index of the old key any more
		return err
	})
}

// rekey moves a TID, unless it has changed meanwhile: then it was erased.
func rekey(tx *sql.Tx, m Moved) error {
	var hhid []byte
	var change int64
	err := tx.QueryRow(`SELECT hhid, change FROM tids WHERE tenant = $1 AND fingerprint = $2 AND sealed = $3`,
		m.To.Tenant, m.From.Fingerprint[:], m.From.Sealed).Scan(&hhid, &change)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if m.To.FingerprintKey != m.From.FingerprintKey { // those who follow must learn the new fingerprint
		n, err := next(tx, "change")
		if err != nil {
			return err
		}
		change = int64(n)
	}
	if _, err := tx.Exec(`UPDATE tids SET fingerprint = $1, fingerprint_key = $2, sealed = $3, deident = $4, deident_version = $5, change = $6 WHERE tenant = $7 AND fingerprint = $8`,
		m.To.Fingerprint[:], m.To.FingerprintKey, m.To.Sealed, m.To.DeIdent[:], m.To.DeIdentVersion, change, m.To.Tenant, m.From.Fingerprint[:]); err != nil {
		return err
	}
	if m.To.DeIdentVersion == m.From.DeIdentVersion {
		return nil
	}
	_, err = tx.Exec(`INSERT INTO deidents (tenant, version, deident, fingerprint) VALUES ($1, $2, $3, $4)`,
		m.To.Tenant, m.From.DeIdentVersion, m.From.DeIdent[:], m.To.Fingerprint[:])
	if err != nil {
		return err
	}
	return tellAlso(tx, m)
}

// tellAlso tells of a TID under its new pseudonym what was told under the one before:
// lanes may have had both since the key was rotated.
func tellAlso(tx *sql.Tx, m Moved) error {
	var hhid []byte
	err := tx.QueryRow(`SELECT t.hhid FROM facts f JOIN tids t ON t.tenant = f.tenant WHERE f.tenant = $1 AND f.id = $2 AND t.fingerprint = $3`,
		m.To.Tenant, string(identity.MakeDeIdentTID(m.From.DeIdentVersion, m.From.DeIdent)), m.To.Fingerprint[:]).Scan(&hhid)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	change, err := next(tx, "change")
	if err != nil {
		return err
	}
	return tell(tx, m.To.Tenant, string(identity.MakeDeIdentTID(m.To.DeIdentVersion, m.To.DeIdent)), identity.HHID(hhid), false, change)
}

// tellEarlier tells where the TID is now that had these pseudonyms.
func tellEarlier(tx *sql.Tx, e Entry, to identity.HHID) error {
	all, err := rows(tx.Query, func(r *sql.Rows) (d identity.DeIdentTID, err error) {
		var mac []byte
		var version int
		if err = r.Scan(&version, &mac); err == nil {
			d = identity.MakeDeIdentTID(version, [16]byte(mac))
		}
		return d, err
	}, `SELECT version, deident FROM deidents WHERE tenant = $1 AND fingerprint = $2 ORDER BY version`, e.Tenant, e.Fingerprint[:])
	for _, d := range all {
		change, err := next(tx, "change")
		if err != nil {
			return err
		}
		if err := tell(tx, e.Tenant, string(d), to, false, change); err != nil {
			return err
		}
	}
	return err
}

// LeftUnder counts the TIDs of a retailer whose fingerprints were made with a key.
// It reads them all.
func (s *SQL) LeftUnder(ctx context.Context, tenant int64, fingerprintKey uint32) (n int64, err error) {
	err = s.db.Read().QueryRowContext(ctx, `SELECT count(*) FROM tids WHERE tenant = $1 AND fingerprint_key = $2`, tenant, fingerprintKey).Scan(&n)
	return n, err
}

// DeIdentPairs gives up to limit pairs of the pseudonyms of a retailer's cards under
// an earlier key and the present one, in the order of the earlier ones, above after.
func (s *SQL) DeIdentPairs(ctx context.Context, tenant int64, from, to int, after [16]byte, limit int) ([]DeIdentPair, error) {
	return query(ctx, s, func(r *sql.Rows) (p DeIdentPair, err error) {
		var a, b []byte
		if err = r.Scan(&a, &b); err == nil {
			p = DeIdentPair{identity.MakeDeIdentTID(from, [16]byte(a)), identity.MakeDeIdentTID(to, [16]byte(b))}
		}
		return p, err
	}, `SELECT d.deident, t.deident FROM deidents d JOIN tids t ON t.tenant = d.tenant AND t.fingerprint = d.fingerprint
		WHERE d.tenant = $1 AND d.version = $2 AND d.deident > $3 AND t.deident_version = $4 AND t.opted_out = 0 ORDER BY d.deident LIMIT $5`,
		tenant, from, after[:], to, limit)
}

// byDeIdent finds a TID by its pseudonym, of whichever version.
func byDeIdent(tx *sql.Tx, tenant int64, d identity.DeIdentTID) (Entry, error) {
	mac := d.MAC()
	if mac == ([16]byte{}) { // that of cards which were erased
		return Entry{}, ErrNoTID
	}
	e, err := one(tx.QueryRow(`SELECT `+entryColumns+` FROM tids WHERE tenant = $1 AND deident = $2 AND deident_version = $3`, tenant, mac[:], d.Version()))
	if !errors.Is(err, ErrNoTID) {
		return e, err
	}
	return one(tx.QueryRow(`SELECT `+entryColumns+` FROM tids WHERE tenant = $1 AND fingerprint = (SELECT fingerprint FROM deidents WHERE tenant = $1 AND version = $2 AND deident = $3)`,
		tenant, d.Version(), mac[:]))
}
