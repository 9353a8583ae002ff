package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"time"

	"posd/central"
	"posd/enroll"
	"posd/identity"
)

// ErrOtherFeed says that an acknowledgement is of no change of this feed.
var ErrOtherFeed = errors.New("that is no change of this feed")

// FeedHead gives the number of the last change that a POS main computer may have to
// know of, apart from revocations.
func (s *SQL) FeedHead(ctx context.Context) (uint64, error) {
	var n int64
	err := s.db.Read().QueryRowContext(ctx, `SELECT coalesce(max(change), 0) FROM facts`).Scan(&n)
	return uint64(n), err
}

// Changes gives a page of the feed for a POS main computer.
func (s *SQL) Changes(ctx context.Context, who enroll.Name, feed string, after uint64, limit int) (c central.Changes, err error) {
	err = s.db.View(ctx, func(tx *sql.Tx) error { c, err = changes(tx, who, feed, after, limit); return err })
	if errors.Is(err, sql.ErrNoRows) { // it has no id yet
		if err = s.db.Write(ctx, func(tx *sql.Tx) error { return newFeed(tx, false) }); err == nil {
			err = s.db.View(ctx, func(tx *sql.Tx) error { c, err = changes(tx, who, feed, after, limit); return err })
		}
	}
	return c, err
}

// newFeed gives the feed an id; another one if replace is set.
func newFeed(tx *sql.Tx, replace bool) error {
	if replace {
		if _, err := tx.Exec(`DELETE FROM feed`); err != nil {
			return err
		}
	}
	var id [16]byte
	rand.Read(id[:])
	_, err := tx.Exec(`INSERT INTO feed (one, id) VALUES (1, $1) ON CONFLICT (one) DO NOTHING`, hex.EncodeToString(id[:]))
	return err
}

func changes(tx *sql.Tx, who enroll.Name, feed string, after uint64, limit int) (central.Changes, error) {
	id, head, err := feedState(tx)
	if err != nil {
		return central.Changes{}, err
	}
	if feed != id || after > head {
		after = 0
	}
	c := central.Changes{Feed: id, After: after, Next: max(head, after)}
	facts, err := rows(tx.Query, scanFact, `SELECT f.change, f.id, coalesce(f.hhid, ''), f.erased FROM facts f JOIN tenants t ON t.id = f.tenant
		WHERE t.name = $1 AND f.change > $2 ORDER BY f.change LIMIT $3`, who.Tenant, int64(after), limit+1)
	if err != nil {
		return c, err
	}
	revoked, err := rows(tx.Query, scanRevoked, `SELECT c.change, c.serial FROM certificates c JOIN machines m ON m.id = c.machine JOIN tenants t ON t.id = m.tenant
		WHERE c.change > $1 AND c.state = 'revoked' AND t.name = $2 AND m.shop = $3 AND m.role = 'lane' ORDER BY c.change LIMIT $4`,
		int64(after), who.Tenant, who.Shop, limit+1)
	c.Changes = byNumber(facts, revoked)
	if c.More = len(c.Changes) > limit; c.More {
		c.Changes = c.Changes[:limit]
		c.Next = c.Changes[limit-1].Number
	}
	return c, err
}

// feedState gives the feed's id, and the number of the last change of all.
func feedState(tx *sql.Tx) (id string, head uint64, err error) {
	var n int64
	err = tx.QueryRow(`SELECT f.id, c.value FROM feed f JOIN counters c ON c.name = 'change'`).Scan(&id, &n)
	return id, uint64(n), err
}

// byNumber joins two pages, each in the order of its numbers.
func byNumber(a, b []central.Change) []central.Change {
	all := make([]central.Change, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].Number > b[0].Number {
			a, b = b, a
		}
		all, a = append(all, a[0]), a[1:]
	}
	return append(append(all, a...), b...)
}

// scanFact reads what is true of an id.
func scanFact(r *sql.Rows) (central.Change, error) {
	var change int64
	var id, hhid string
	var erased bool
	if err := r.Scan(&change, &id, &hhid, &erased); err != nil {
		return central.Change{}, err
	}
	c := central.Change{Number: uint64(change)}
	var now identity.HHID
	if err := now.UnmarshalText([]byte(hhid)); err != nil {
		return c, err
	}
	d, err := identity.ParseDeIdentTID(id)
	switch card := err == nil; {
	case card && erased:
		c.Type, c.DeIdentTID = central.Erased, d
		return c, nil
	case card:
		c.Type, c.DeIdentTID, c.HHID = central.Moved, d, now
		return c, nil
	case erased:
		c.Type = central.Erased
	case now.IsZero():
		c.Type = central.Unmerged
	default:
		c.Type, c.Survivor = central.Merged, now
	}
	return c, c.HHID.UnmarshalText([]byte(id))
}

func scanRevoked(r *sql.Rows) (central.Change, error) {
	var change int64
	var serial []byte
	err := r.Scan(&change, &serial)
	return central.Change{Number: uint64(change), Type: central.Revoked, Serial: hex.EncodeToString(serial)}, err
}

// Acknowledge keeps that a POS main computer is done with all changes up to one, and
// so with the erasures among them.
func (s *SQL) Acknowledge(ctx context.Context, who enroll.Name, ack central.Ack, now time.Time) error {
	return s.db.Batch(ctx, func(tx *sql.Tx) error {
		id, head, err := feedState(tx)
		if errors.Is(err, sql.ErrNoRows) || err == nil && (id != ack.Feed || ack.Change > head) {
			return ErrOtherFeed
		}
		if err != nil {
			return err
		}
		m, err := machine(tx, who)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO followers (machine, acknowledged, at) VALUES ($1, $2, $3)
			ON CONFLICT (machine) DO UPDATE SET acknowledged = excluded.acknowledged, at = excluded.at`, m, int64(ack.Change), now.UnixMilli()); err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO erasures_done (erasure, machine, at)
			SELECT e.number, m.id, $1 FROM erasures e JOIN machines m ON m.tenant = e.tenant WHERE m.id = $2 AND e.change <= $3
			ON CONFLICT (erasure, machine) DO NOTHING`, now.UnixMilli(), m, int64(ack.Change))
		return err
	})
}
