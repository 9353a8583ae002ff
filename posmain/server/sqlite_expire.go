package server

import (
	"context"
	"database/sql"
	"time"
)

// Expire deletes baskets that are old enough, the oldest first.
func (s *SQLite) Expire(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = s.db.Batch(ctx, func(tx *sql.Tx) error {
		old, err := numbers(tx, `SELECT n FROM baskets WHERE closed_at < $1 ORDER BY closed_at LIMIT $2`, millis(before), limit)
		if err != nil {
			return err
		}
		for _, b := range old {
			if err := deleteBasket(tx, b); err != nil {
				return err
			}
		}
		n = len(old)
		if n < limit {
			_, err = tx.Exec(`DELETE FROM alarms WHERE last_at < $1`, millis(before))
		}
		return err
	})
	return n, err
}

// deleteBasket deletes a basket with all that came of it. Its number counts as
// logged from then on.
func deleteBasket(tx *sql.Tx, n int64) error {
	if _, err := tx.Exec(`UPDATE incarnations SET dropped = max(dropped, (SELECT sequence FROM baskets WHERE n = $1))
		WHERE n = (SELECT incarnation FROM baskets WHERE n = $1)`, n); err != nil {
		return err
	}
	for _, q := range []string{
		`DELETE FROM alarms WHERE basket = (SELECT id FROM baskets WHERE n = $1)`,
		`DELETE FROM lines WHERE basket = $1`, `DELETE FROM identities WHERE basket = $1`, `DELETE FROM mentions WHERE basket = $1`,
		`DELETE FROM revisions WHERE basket = $1`, `DELETE FROM baskets WHERE n = $1`,
	} {
		if _, err := tx.Exec(q, n); err != nil {
			return err
		}
	}
	return nil
}
