package journal

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"posd/basket"
)

// Resume gives the open basket, if there is one.
func (j *SQLite) Resume(ctx context.Context) (r basket.Resumed, ok bool, err error) {
	err = j.view(ctx, "resume basket", func(tx *sql.Tx) error {
		var n int64
		err := tx.QueryRow(`
SELECT n, last_swipe, max(active, (SELECT coalesce(max(ticks), 0) FROM lines WHERE basket = n))
FROM baskets WHERE outcome = ''`).Scan(&n, &r.LastSwipe, &r.Active)
		if err != nil {
			return unless(err, nil)
		}
		ok = true
		r.Basket, err = j.load(tx, n)
		return err
	})
	if err != nil {
		return basket.Resumed{}, false, err
	}
	return r, ok, nil
}

func (w *work) load(n int64) (basket.Basket, error) { return w.j.load(w.Tx, n) }

// load reads a basket whole.
func (j *SQLite) load(tx *sql.Tx, n int64) (basket.Basket, error) {
	h, err := j.loadHistory(tx, n)
	return h.basket, err
}

// loadHistory reads a basket and the times of its lines and identities.
func (j *SQLite) loadHistory(tx *sql.Tx, n int64) (h history, err error) {
	h.basket, err = loadHead(tx, n)
	if err != nil {
		return h, err
	}
	if h.basket.Sequence > 0 {
		h.basket.Incarnation = j.incarnation
	}
	if err := h.loadLines(tx, n); err != nil {
		return h, fmt.Errorf("read lines: %w", err)
	}
	if err := h.loadIdentities(tx, n); err != nil {
		return h, fmt.Errorf("read identities: %w", err)
	}
	h.basket.Tag(j.priority)
	return h, nil
}

func loadHead(tx *sql.Tx, n int64) (basket.Basket, error) {
	b := basket.Basket{V: basket.Version}
	var id []byte
	var opened, closed sql.NullInt64
	err := tx.QueryRow(`
SELECT id, revision, sequence, kind, outcome, opened_at, closed_at, pos_number, business_date, operator
FROM baskets WHERE n = ?`, n).
		Scan(&id, &b.Revision, &b.Sequence, &b.Kind, &b.Outcome, &opened, &closed, &b.Transaction, &b.BusinessDate, &b.Operator)
	if err != nil {
		return b, err
	}
	copy(b.ID[:], id)
	b.OpenedAt, b.ClosedAt = moment(opened), moment(closed)
	return b, nil
}

func (h *history) loadLines(tx *sql.Tx, n int64) error {
	h.basket.Lines = []basket.Line{}
	rows, err := tx.Query(`
SELECT number, read_at, committed_at, voided_at, upc, data, gtin, symbology, add_on, kind, quantity, device, problem, label
FROM lines WHERE basket = ? ORDER BY number`, n)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var l basket.Line
		var read, committed, voided sql.NullInt64
		var label string
		err := rows.Scan(&l.Number, &read, &committed, &voided, &l.UPC, &l.Data, &l.GTIN, &l.Symbology, &l.AddOn, &l.Kind, &l.Quantity, &l.Device, &l.Problem, &label)
		if err != nil {
			return err
		}
		if err := unpackLabel(&l, label); err != nil {
			return err
		}
		l.At = moment(read)
		if voided.Valid {
			at := moment(voided)
			l.VoidedAt = &at
		}
		h.basket.Lines = append(h.basket.Lines, l)
		h.committed = append(h.committed, moment(committed))
	}
	return rows.Err()
}

func (h *history) loadIdentities(tx *sql.Tx, n int64) error {
	h.basket.Identities = []basket.Identity{}
	rows, err := tx.Query("SELECT swipe, kind, at, sealed_at, state, hhid, deident_tid, answered_at FROM identities WHERE basket = ? ORDER BY swipe", n)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id basket.Identity
		var hhid string
		var at, answered sql.NullInt64
		var sealed int64
		if err := rows.Scan(&id.Swipe, &id.Kind, &at, &sealed, &id.State, &hhid, &id.DeIdentTID, &answered); err != nil {
			return err
		}
		if err := id.HHID.UnmarshalText([]byte(hhid)); err != nil {
			return err
		}
		id.At = moment(at)
		h.basket.Identities = append(h.basket.Identities, id)
		h.identities = append(h.identities, identityTimes{sealed: time.UnixMilli(sealed).UTC(), answered: moment(answered)})
	}
	return rows.Err()
}

// Trace gives the history of a basket.
func (j *SQLite) Trace(ctx context.Context, id basket.ID) (t basket.Trace, err error) {
	err = j.view(ctx, "trace basket", func(tx *sql.Tx) error {
		n, err := find(tx, id)
		if err != nil {
			return err
		}
		h, err := j.loadHistory(tx, n)
		if err != nil {
			return err
		}
		if err := h.loadDeliveries(tx, n); err != nil {
			return fmt.Errorf("read deliveries: %w", err)
		}
		t = h.trace()
		return nil
	})
	return t, err
}

func (h *history) loadDeliveries(tx *sql.Tx, n int64) error {
	rows, err := tx.Query("SELECT revision, state, reason, digest, created_at, settled_at, logged_at FROM deliveries WHERE basket = ? ORDER BY revision", n)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var d deliveryTimes
		var created, settled, logged sql.NullInt64
		if err := rows.Scan(&d.Revision, &d.State, &d.Reason, &d.Digest, &created, &settled, &logged); err != nil {
			return err
		}
		d.CreatedAt, d.settled, d.logged = moment(created), moment(settled), moment(logged)
		h.deliveries = append(h.deliveries, d)
	}
	return rows.Err()
}

// find gives the row of any basket, open or closed.
func find(tx *sql.Tx, id basket.ID) (n int64, err error) {
	err = tx.QueryRow("SELECT n FROM baskets WHERE id = ?", id[:]).Scan(&n)
	return n, unless(err, basket.ErrUnknown)
}
