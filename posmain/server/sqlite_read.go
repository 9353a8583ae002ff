package server

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"posd/basket"
	"posd/identity"
	"posd/posmain"
)

// owner is the household that a basket's card belongs to now: that of the card, if
// central has told of it, or that which was sent, or what that was merged into.
const owner = `coalesce((SELECT a.hhid FROM known a WHERE a.id = coalesce(c.hhid, b.hhid)), c.hhid, b.hhid)`

const selectLogged = `SELECT b.n, l.tenant, l.shop, l.lane, r.digest, b.logged_at, b.alarm, r.body, r.blanked, ` + owner + `
	FROM baskets b JOIN incarnations i ON i.n = b.incarnation JOIN lanes l ON l.n = i.lane
	JOIN revisions r ON r.basket = b.n AND r.revision = b.revision LEFT JOIN known c ON c.id = b.deident_tid `

// ofHousehold are the baskets whose cards belong to a household now, and those that
// were its by an earlier revision.
const ofHousehold = `WHERE b.n IN (SELECT basket FROM mentions WHERE id IN (
			SELECT $1 UNION SELECT id FROM known WHERE hhid = $1
			UNION SELECT card.id FROM known card JOIN known alias ON alias.id = card.hhid WHERE alias.hhid = $1))
		AND (` + owner + ` = $1 OR (b.hhid <> $1 AND coalesce((SELECT a.hhid FROM known a WHERE a.id = b.hhid), '') <> $1 AND EXISTS (
			SELECT 1 FROM revisions e WHERE e.basket = b.n AND (e.hhid = $1 OR e.hhid IN (SELECT id FROM known WHERE hhid = $1)))))
		ORDER BY b.closed_at, b.id`

// History gives a person's or a household's baskets.
func (s *SQLite) History(ctx context.Context, q Query, yield func(Logged) error) error {
	if q.AsRecorded {
		recorded := yield
		yield = func(g Logged) error { g.HHIDNow = identity.HHID{}; return recorded(g) }
	}
	switch {
	case q.DeIdentTID != "":
		return s.each(ctx, yield, selectLogged+"WHERE b.n IN (SELECT basket FROM identities WHERE deident_tid = $1) ORDER BY b.closed_at, b.id", q.DeIdentTID)
	case q.HHID.IsZero():
		return nil
	case q.AsRecorded:
		return s.each(ctx, yield, selectLogged+"WHERE b.n IN (SELECT basket FROM revisions WHERE hhid = $1) ORDER BY b.closed_at, b.id", q.HHID.String())
	}
	household, err := s.Survivor(ctx, q.HHID)
	if err != nil {
		return err
	}
	return s.each(ctx, yield, selectLogged+ofHousehold, household.String())
}

// Export gives the baskets of a span of time.
func (s *SQLite) Export(ctx context.Context, since, until time.Time, yield func(Logged) error) error {
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	if !since.IsZero() {
		from = millis(since)
	}
	if !until.IsZero() {
		to = millis(until)
	}
	return s.each(ctx, yield, selectLogged+"WHERE b.logged_at >= ? AND b.logged_at < ? ORDER BY b.logged_at, b.n", from, to)
}

// Identities gives each card's household of late.
func (s *SQLite) Identities(ctx context.Context, yield func(Identity) error) error {
	return s.db.View(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT i.deident_tid, i.hhid, i.at FROM identities i
			WHERE i.deident_tid <> '' AND i.hhid <> '' AND NOT EXISTS (SELECT 1 FROM erased e WHERE e.id IN (i.deident_tid, i.hhid))
			ORDER BY i.deident_tid, i.at DESC`)
		if err != nil {
			return err
		}
		defer rows.Close()
		var last identity.DeIdentTID
		for rows.Next() {
			var deident, household string
			var at int64
			if err := rows.Scan(&deident, &household, &at); err != nil {
				return err
			}
			one := Identity{DeIdentTID: identity.DeIdentTID(deident), At: instant(at)}
			if err := one.HHID.UnmarshalText([]byte(household)); err != nil {
				return err
			}
			if one.DeIdentTID == last {
				continue
			}
			last = one.DeIdentTID
			if err := yield(one); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

func (s *SQLite) each(ctx context.Context, yield func(Logged) error, query string, args ...any) error {
	return s.db.View(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			g, err := scanLogged(tx, rows)
			if err != nil {
				return err
			}
			if err := yield(g); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

func scanLogged(tx *sql.Tx, rows *sql.Rows) (Logged, error) {
	var g Logged
	var n, at int64
	var body []byte
	var blanked, now string
	if err := rows.Scan(&n, &g.Tenant, &g.Shop, &g.Lane.Lane, &g.Digest, &at, &g.Alarm, &body, &blanked, &now); err != nil {
		return Logged{}, err
	}
	g.Body, g.LoggedAt, g.Blanked = body, instant(at), blanked != ""
	err := g.HHIDNow.UnmarshalText([]byte(now))
	if err != nil {
		return g, err
	}
	if g.Basket, err = basket.Parse(body); err != nil {
		return g, fmt.Errorf("read log: a basket in it was changed: %w", err)
	}
	b := &g.Basket
	g.ID, g.Tag = b.ID, Tag{b.Revision, b.State, b.HHID, b.DeIdentTID}
	if g.HHIDNow == b.HHID {
		g.HHIDNow = identity.HHID{}
	}
	if b.Revision == 1 {
		return g, nil
	}
	g.Earlier, err = earlier(tx, n, g.Basket)
	return g, err
}

// earlier gives whose the basket was before, leaving out revisions that changed
// nothing of it.
func earlier(tx *sql.Tx, n int64, now basket.Basket) ([]Tag, error) {
	rows, err := tx.Query("SELECT revision, state, hhid, deident_tid FROM revisions WHERE basket = ? ORDER BY revision", n)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var tags []Tag
	for rows.Next() {
		t, err := scanTag(rows.Scan)
		if err != nil {
			return nil, err
		}
		if last := len(tags) - 1; last >= 0 && sameOwner(tags[last], t) {
			tags[last] = t
			continue
		}
		tags = append(tags, t)
	}
	if err := rows.Err(); err != nil || len(tags) == 0 {
		return nil, err
	}
	return tags[:len(tags)-1], nil
}

func sameOwner(a, b Tag) bool {
	return a.State == b.State && a.HHID == b.HHID && a.DeIdentTID == b.DeIdentTID
}

// scanTag reads revision, state, hhid and deident_tid, after what else there
// is.
func scanTag(scan func(...any) error, before ...any) (Tag, error) {
	var t Tag
	var hhid string
	if err := scan(append(before, &t.Revision, &t.State, &hhid, &t.DeIdentTID)...); err != nil {
		return Tag{}, err
	}
	return t, t.HHID.UnmarshalText([]byte(hhid))
}

// Trace gives all that came of one basket.
func (s *SQLite) Trace(ctx context.Context, id basket.ID) (t Trace, err error) {
	err = s.db.View(ctx, func(tx *sql.Tx) error { t, err = trace(tx, id); return err })
	return t, err
}

func trace(tx *sql.Tx, id basket.ID) (Trace, error) {
	var t Trace
	var n, incarnation int64
	var receipt posmain.Receipt
	err := tx.QueryRow(`SELECT b.n, b.incarnation, l.tenant, l.shop, l.lane, i.incarnation, b.sequence, b.revision, b.alarm, i.watermark, (SELECT value FROM meta WHERE key = 'log_id')
		FROM baskets b JOIN incarnations i ON i.n = b.incarnation JOIN lanes l ON l.n = i.lane WHERE b.id = ?`, id.String()).
		Scan(&n, &incarnation, &t.Tenant, &t.Shop, &t.Lane.Lane, &t.Incarnation, &t.Sequence, &t.Current, &receipt.Alarm, &receipt.Watermark, &receipt.LogID)
	if errors.Is(err, sql.ErrNoRows) {
		return Trace{}, ErrUnknown
	}
	if err != nil {
		return Trace{}, err
	}
	receipt.Basket = id.String()
	if t.Revisions, err = revisions(tx, n, receipt); err != nil {
		return Trace{}, err
	}
	if t.SameNumber, err = sameNumber(tx, n, incarnation, t.Sequence); err != nil {
		return Trace{}, err
	}
	t.Alarms, err = alarms(tx, "WHERE a.basket = ? ORDER BY a.n", id.String())
	return t, err
}

// revisions gives every revision with its receipt; what all receipts of the
// basket have in common comes in receipt.
func revisions(tx *sql.Tx, n int64, receipt posmain.Receipt) ([]Revision, error) {
	rows, err := tx.Query("SELECT digest, logged_at, body, blanked, revision, state, hhid, deident_tid FROM revisions WHERE basket = ? ORDER BY revision", n)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Revision
	for rows.Next() {
		r := Revision{Receipt: receipt}
		var at int64
		if r.Tag, err = scanTag(rows.Scan, &r.Receipt.Digest, &at, &r.Body, &r.Blanked); err != nil {
			return nil, err
		}
		r.Receipt.Revision, r.Receipt.LoggedAt = r.Tag.Revision, instant(at)
		all = append(all, r)
	}
	return all, rows.Err()
}

// sameNumber gives the other baskets with this basket's sequence number.
func sameNumber(tx *sql.Tx, n, incarnation int64, sequence uint64) ([]basket.ID, error) {
	rows, err := tx.Query("SELECT id FROM baskets WHERE incarnation = ? AND sequence = ? AND n <> ? ORDER BY n", incarnation, sequence, n)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []basket.ID
	for rows.Next() {
		var id basket.ID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// Alarms gives the latest alarms.
func (s *SQLite) Alarms(ctx context.Context, limit int) (all []Alarm, err error) {
	err = s.db.View(ctx, func(tx *sql.Tx) error {
		all, err = alarms(tx, "ORDER BY a.last_at DESC, a.n DESC LIMIT ?", limit)
		return err
	})
	return all, err
}

func alarms(tx *sql.Tx, where string, args ...any) ([]Alarm, error) {
	rows, err := tx.Query(`SELECT l.tenant, l.shop, l.lane, a.kind, a.basket, a.revision, a.incarnation, a.sequence, a.digest, a.detail, a.count, a.first_at, a.last_at
		FROM alarms a JOIN lanes l ON l.n = a.lane `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []Alarm{}
	for rows.Next() {
		var a Alarm
		var first, last int64
		if err := rows.Scan(&a.Tenant, &a.Shop, &a.Lane.Lane, &a.Kind, &a.Basket, &a.Revision, &a.Incarnation, &a.Sequence, &a.Digest, &a.Detail, &a.Count, &first, &last); err != nil {
			return nil, err
		}
		a.FirstAt, a.LastAt = instant(first), instant(last)
		all = append(all, a)
	}
	return all, rows.Err()
}
