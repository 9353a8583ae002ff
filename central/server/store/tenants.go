package store

import (
	"context"
	"database/sql"
	"slices"
)

// AddTenant makes a retailer with keys of its own.
func (s *SQL) AddTenant(ctx context.Context, by Act, name string, keys func(id int64, r *Keyring) error) (t Tenant, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := next(tx, "keys"); err != nil { // from here on others wait, also those who add another
			return err
		}
		t = Tenant{Name: name, CreatedAt: instant(by.At.UnixMilli())}
		var same int
		if err := tx.QueryRow(`SELECT coalesce(max(id), 0) + 1, coalesce(sum(CASE WHEN name = $1 THEN 1 ELSE 0 END), 0) FROM tenants`, name).Scan(&t.ID, &same); err != nil {
			return err
		}
		if same > 0 {
			return ErrTenant
		}
		if _, err := tx.Exec(`INSERT INTO tenants (id, name, created_at) VALUES ($1, $2, $3)`, t.ID, name, by.At.UnixMilli()); err != nil {
			return err
		}
		if err := addKeys(tx, by, func(r *Keyring) error { return keys(t.ID, r) }); err != nil {
			return err
		}
		return record(tx, by)
	})
	return t, err
}

// addKeys stores the keys that add adds to the ring.
func addKeys(tx *sql.Tx, by Act, add func(*Keyring) error) error {
	ring, err := readKeyring(tx)
	if err != nil {
		return err
	}
	there := len(ring.Keys)
	ring.Keys = slices.Clip(ring.Keys)
	if err := add(&ring); err != nil {
		return err
	}
	for _, k := range ring.Keys[there:] {
		k.CreatedAt = by.At
		if err := insertKey(tx, k); err != nil {
			return err
		}
	}
	return nil
}
