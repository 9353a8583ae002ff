package server

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"posd/central"
	"posd/identity"
	"posd/posmain"
)

// FeedStatus says what this log has of central's feed of changes.
type FeedStatus struct {
	Feed         string    `json:"feed,omitempty"` // "" before the first answer
	Position     uint64    `json:"position"`       // what to ask after
	Complete     bool      `json:"complete"`       // it was read to its end
	Due          uint64    `json:"due"`            // the last change that was told
	Acknowledged uint64    `json:"acknowledged"`   // what central was told to be done
	HeardAt      time.Time `json:"heard_at,omitzero"`

	Merged   int `json:"merged"`   // households that stand for others
	Moved    int `json:"moved"`    // cards that have changed their household
	Erased   int `json:"erased"`   // ids that are kept in no basket
	Unerased int `json:"to_erase"` // ids that are still to be taken out of baskets
	Revoked  int `json:"revoked"`  // certificates of lanes
}

// FeedStatus says how far the feed was read.
func (s *SQLite) FeedStatus(ctx context.Context) (f FeedStatus, err error) {
	err = s.db.View(ctx, func(tx *sql.Tx) error {
		var heard int64
		err := tx.QueryRow(`SELECT feed, position, complete, due, acknowledged, heard_at,
				(SELECT count(*) FROM known WHERE id LIKE 'hh:%'), (SELECT count(*) FROM known WHERE id NOT LIKE 'hh:%'),
				(SELECT count(*) FROM erased WHERE blanked = 1), (SELECT count(*) FROM erased WHERE blanked = 0), (SELECT count(*) FROM revoked)
			FROM feed`).Scan(&f.Feed, &f.Position, &f.Complete, &f.Due, &f.Acknowledged, &heard, &f.Merged, &f.Moved, &f.Erased, &f.Unerased, &f.Revoked)
		if heard != 0 {
			f.HeardAt = instant(heard)
		}
		return err
	})
	return f, err
}

// Follow keeps what a page of the feed says, and how far it was read, at once. A page
// that does not begin where the last one ended begins the feed anew: what it does
// not tell again until its end is forgotten, except what was erased or revoked.
func (s *SQLite) Follow(ctx context.Context, page central.Changes, at time.Time) error {
	return s.db.Batch(ctx, func(tx *sql.Tx) error {
		var feed string
		var position uint64
		var generation, due int64
		if err := tx.QueryRow(`SELECT feed, position, generation, due FROM feed`).Scan(&feed, &position, &generation, &due); err != nil {
			return err
		}
		if feed != page.Feed || position != page.After {
			if page.After != 0 {
				return errNotNext
			}
			generation, due = generation+1, 0
			if _, err := tx.Exec(`UPDATE feed SET complete = 0, acknowledged = 0`); err != nil {
				return err
			}
		}
		for _, c := range page.Changes {
			due = max(due, int64(c.Number))
			if err := learn(tx, c, generation); err != nil {
				return err
			}
		}
		if !page.More {
			if _, err := tx.Exec(`DELETE FROM known WHERE generation < $1`, generation); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`UPDATE feed SET feed = $1, position = $2, generation = $3, due = $4, heard_at = $5, complete = max(complete, $6)`,
			page.Feed, int64(page.Next), generation, due, millis(at), !page.More)
		return err
	})
}

var errNotNext = errors.New("follow changes: the page is not the next one")

// learn keeps one change. Types that this program does not know are passed over.
func learn(tx *sql.Tx, c central.Change, generation int64) (err error) {
	know := func(id, hhid string) error {
		_, err := tx.Exec(`INSERT INTO known (id, hhid, generation) VALUES ($1, $2, $3)
			ON CONFLICT (id) DO UPDATE SET hhid = excluded.hhid, generation = excluded.generation`, id, hhid, generation)
		return err
	}
	switch c.Type {
	case central.Merged:
		return know(c.HHID.String(), c.Survivor.String())
	case central.Moved:
		return know(string(c.DeIdentTID), c.HHID.String())
	case central.Unmerged:
		_, err = tx.Exec(`DELETE FROM known WHERE id = $1`, c.HHID.String())
	case central.Erased:
		id := c.HHID.String() + string(c.DeIdentTID) // one of them is empty
		if _, err := tx.Exec(`DELETE FROM known WHERE id = $1`, id); err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO erased (id, blanked) VALUES ($1, 0) ON CONFLICT (id) DO NOTHING`, id)
	case central.Revoked:
		_, err = tx.Exec(`INSERT INTO revoked (serial) VALUES ($1) ON CONFLICT (serial) DO NOTHING`, c.Serial)
	}
	return err
}

// Blank takes erased ids out of up to limit baskets. more tells whether there may be
// others.
func (s *SQLite) Blank(ctx context.Context, limit int, at time.Time) (more bool, err error) {
	err = s.db.Batch(ctx, func(tx *sql.Tx) error {
		var id string
		err := tx.QueryRow(`SELECT id FROM erased WHERE blanked = 0 ORDER BY id LIMIT 1`).Scan(&id)
		if more = err == nil; !more {
			if errors.Is(err, sql.ErrNoRows) {
				err = nil
			}
			return err
		}
		baskets, err := numbers(tx, `SELECT basket FROM mentions WHERE id = $1 ORDER BY basket LIMIT $2`, id, limit)
		if err != nil {
			return err
		}
		for _, n := range baskets {
			if err := blankBasket(tx, n, millis(at)); err != nil {
				return err
			}
		}
		if len(baskets) < limit {
			_, err = tx.Exec(`UPDATE erased SET blanked = 1 WHERE id = $1`, id)
		}
		return err
	})
	return more, err
}

// Scrub takes what was blanked or deleted out of the write-ahead log.
func (s *SQLite) Scrub(ctx context.Context) error { return s.db.Checkpoint(ctx) }

// Acknowledged keeps that central was told that all changes up to one are done with.
func (s *SQLite) Acknowledged(ctx context.Context, ack central.Ack) error {
	return s.db.Batch(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE feed SET acknowledged = $1 WHERE feed = $2`, int64(ack.Change), ack.Feed)
		return err
	})
}

// Revoked gives the serial numbers of certificates that are good no more, in
// hexadecimal digits.
func (s *SQLite) Revoked(ctx context.Context) (all []string, err error) {
	err = s.db.View(ctx, func(tx *sql.Tx) error { all, err = texts(tx, `SELECT serial FROM revoked`); return err })
	return all, err
}

// Survivor gives the household that an id stands for: mostly itself.
func (s *SQLite) Survivor(ctx context.Context, id identity.HHID) (identity.HHID, error) {
	var hhid string
	err := s.db.Read().QueryRowContext(ctx, `SELECT coalesce((SELECT hhid FROM known WHERE id = $1), $1)`, id.String()).Scan(&hhid)
	if err != nil {
		return id, err
	}
	return id, id.UnmarshalText([]byte(hhid))
}

// blankBasket takes all erased ids out of all revisions of a basket.
func blankBasket(tx *sql.Tx, n, at int64) error {
	mentioned, err := texts(tx, `SELECT m.id FROM mentions m JOIN erased e ON e.id = m.id WHERE m.basket = $1`, n)
	if err != nil {
		return err
	}
	gone := map[string]bool{}
	for _, id := range mentioned {
		gone[id] = true
	}
	revisions, err := numbers(tx, `SELECT n FROM revisions WHERE basket = $1`, n)
	if err != nil {
		return err
	}
	// What is left may hold none of the ids that stood beside the erased ones.
	if _, err := tx.Exec(`DELETE FROM mentions WHERE basket = $1`, n); err != nil {
		return err
	}
	for _, r := range revisions {
		if err := blankRevision(tx, n, r, at, gone); err != nil {
			return err
		}
	}
	return nil
}

func blankRevision(tx *sql.Tx, n, revision, at int64, gone map[string]bool) error {
	var old []byte
	if err := tx.QueryRow(`SELECT body FROM revisions WHERE n = $1`, revision).Scan(&old); err != nil {
		return err
	}
	body, b, err := blank(old, func(id string) bool { return gone[id] })
	if err == nil {
		err = keepMentions(tx, n, &b)
	}
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`UPDATE revisions SET body = $1, blanked = $2, state = $3, hhid = $4, deident_tid = $5 WHERE n = $6`,
		body, posmain.Digest(body), b.State, b.HHID.String(), b.DeIdentTID, revision); err != nil {
		return err
	}
	// A later export tells that it is another now.
	done, err := tx.Exec(`UPDATE baskets SET state = $1, hhid = $2, deident_tid = $3, logged_at = $4 WHERE n = $5 AND revision = $6`,
		b.State, b.HHID.String(), b.DeIdentTID, at, n, b.Revision)
	if err != nil {
		return err
	}
	if counts, err := done.RowsAffected(); err != nil || counts == 0 {
		return err
	}
	return keepIdentities(tx, n, &b)
}

func numbers(tx *sql.Tx, query string, args ...any) ([]int64, error) {
	return column[int64](tx, query, args...)
}

func texts(tx *sql.Tx, query string, args ...any) ([]string, error) {
	return column[string](tx, query, args...)
}

// column reads a query of one column.
func column[T any](tx *sql.Tx, query string, args ...any) ([]T, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		var one T
		if err := rows.Scan(&one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}
