package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"
)

// Keyring is all that there is of keys, wrapped under one key-encryption key.
type Keyring struct {
	KEK  string // id of the key-encryption key
	Salt []byte // of its passphrase; nil if it comes from a file
	Keys []Key
}

// Find gives a key of the ring, nil if there is none.
func (r *Keyring) Find(purpose Purpose, tenant int64, number uint32) *Key {
	for i := range r.Keys {
		if k := &r.Keys[i]; k.is(purpose, tenant, number) {
			return k
		}
	}
	return nil
}

func (k Key) is(purpose Purpose, tenant int64, number uint32) bool {
	return k.Purpose == purpose && k.Tenant == tenant && k.Number == number
}

const keyColumns = `SELECT purpose, tenant, number, state, wrapped, public, created_at, seals_from, seals_until FROM keys ORDER BY purpose, tenant, number`

func scanKey(r *sql.Rows) (k Key, err error) {
	var at int64
	var from, until sql.NullInt64
	err = r.Scan(&k.Purpose, &k.Tenant, &k.Number, &k.State, &k.Wrapped, &k.Public, &at, &from, &until)
	k.CreatedAt, k.SealsFrom, k.SealsUntil = instant(at), perhaps(from), perhaps(until)
	return k, err
}

// Keys gives all keys, wrapped.
func (s *SQL) Keys(ctx context.Context) ([]Key, error) { return query(ctx, s, scanKey, keyColumns) }

// KeyChange gives the number of the last change of keys or manifest.
func (s *SQL) KeyChange(ctx context.Context) (uint64, error) {
	var n int64
	if err := s.db.Read().QueryRowContext(ctx, `SELECT value FROM counters WHERE name = 'keys'`).Scan(&n); err != nil {
		return 0, fmt.Errorf("read database: %w", err)
	}
	return uint64(n), nil
}

// ChangeKeys stores what change makes of the keyring.
func (s *SQL) ChangeKeys(ctx context.Context, by Act, change func(*Keyring) error) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := next(tx, "keys"); err != nil {
			return err
		}
		before, err := readKeyring(tx)
		if err != nil {
			return err
		}
		after := before
		after.Keys = slices.Clone(before.Keys)
		if err := change(&after); err != nil {
			return err
		}
		if err := writeKeyring(tx, before, after, by.At); err != nil {
			return err
		}
		return record(tx, by)
	})
}

func readKeyring(tx *sql.Tx) (r Keyring, err error) {
	if err = tx.QueryRow(`SELECT kek, salt FROM installation`).Scan(&r.KEK, &r.Salt); err != nil {
		return r, err
	}
	r.Keys, err = rows(tx.Query, scanKey, keyColumns)
	return r, err
}

func writeKeyring(tx *sql.Tx, before, after Keyring, now time.Time) error {
	if after.KEK != before.KEK || !bytes.Equal(after.Salt, before.Salt) {
		if _, err := tx.Exec(`UPDATE installation SET kek = $1, salt = $2`, after.KEK, after.Salt); err != nil {
			return err
		}
	}
	moves := map[int64]bool{}
	for _, k := range after.Keys {
		old := before.Find(k.Purpose, k.Tenant, k.Number)
		var err error
		switch {
		case old == nil:
			k.CreatedAt = now
			err = insertKey(tx, k)
			if k.Purpose == Fingerprint || k.Purpose == DeIdent {
				moves[k.Tenant] = true
			}
		case k.State != old.State || !bytes.Equal(k.Wrapped, old.Wrapped) || !k.SealsUntil.Equal(old.SealsUntil):
			_, err = tx.Exec(`UPDATE keys SET state = $1, wrapped = $2, seals_until = $3 WHERE purpose = $4 AND tenant = $5 AND number = $6`,
				k.State, k.Wrapped, milliseconds(k.SealsUntil), k.Purpose, k.Tenant, k.Number)
		}
		if err != nil {
			return err
		}
	}
	for tenant := range moves {
		if err := beginRekeying(tx, tenant, now); err != nil {
			return err
		}
	}
	return nil
}

func insertKey(tx *sql.Tx, k Key) error {
	_, err := tx.Exec(`INSERT INTO keys (purpose, tenant, number, state, wrapped, public, created_at, seals_from, seals_until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		k.Purpose, k.Tenant, k.Number, k.State, k.Wrapped, k.Public, k.CreatedAt.UnixMilli(), milliseconds(k.SealsFrom), milliseconds(k.SealsUntil))
	return err
}

// milliseconds is an instant, or NULL for none.
func milliseconds(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: !t.IsZero()}
}

// perhaps is an instant, zero for NULL.
func perhaps(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return instant(ms.Int64)
}
