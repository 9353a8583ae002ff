package store

import (
	"context"
	"database/sql"
	"fmt"

	"posd/identity"
)

// ExportedTID is a TID with all that an export tells of it. Its bytes are good until
// the next one.
type ExportedTID struct {
	SealedTID
	HHID     identity.HHID
	Kind     identity.Kind
	OptedOut bool
}

// Export gives all TIDs of a retailer to do, as they were at one moment.
func (s *SQL) Export(ctx context.Context, tenant int64, do func(*ExportedTID) error) error {
	return s.db.View(ctx, func(tx *sql.Tx) error {
		r, err := tx.QueryContext(ctx, `SELECT fingerprint, fingerprint_key, sealed, deident, deident_version, hhid, kind, opted_out FROM tids WHERE tenant = $1 ORDER BY fingerprint`, tenant)
		if err != nil {
			return fmt.Errorf("read database: %w", err)
		}
		defer r.Close()
		var t ExportedTID
		var fingerprint, sealed, deident, id sql.RawBytes
		var kind string
		for r.Next() {
			if err := r.Scan(&fingerprint, &t.FingerprintKey, &sealed, &deident, &t.DeIdentVersion, &id, &kind, &t.OptedOut); err != nil {
				return fmt.Errorf("read database: %w", err)
			}
			copy(t.Fingerprint[:], fingerprint)
			copy(t.DeIdent[:], deident)
			copy(t.HHID[:], id)
			t.Sealed, t.Kind = sealed, identity.Kind(kind)
			if err := do(&t); err != nil {
				return err
			}
		}
		if err := r.Err(); err != nil {
			return fmt.Errorf("read database: %w", err)
		}
		return nil
	})
}
