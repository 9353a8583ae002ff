package server

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"posd/basket"
	"posd/posmain"
)

// Log keeps a revision.
func (s *SQLite) Log(ctx context.Context, d Delivery) (posmain.Receipt, error) {
	var receipt posmain.Receipt
	var refusal error
	err := s.db.Batch(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, d: d, digest: posmain.Digest(d.Body)}
		if err := w.log(); err != nil {
			return err
		}
		receipt, refusal = w.receipt, w.refusal
		return nil
	})
	if err == nil {
		err = refusal
	}
	if err != nil {
		return posmain.Receipt{}, err
	}
	return receipt, nil
}

// Raise keeps an alarm.
func (s *SQLite) Raise(ctx context.Context, from Lane, a Alarm) error {
	return s.db.Batch(ctx, func(tx *sql.Tx) error {
		lane, err := seeLane(tx, from, "", millis(a.LastAt))
		if err != nil {
			return err
		}
		return raise(tx, lane, a)
	})
}

// writer logs one delivery within a transaction. A refusal is no error of the
// transaction: the alarm that goes with it is committed.
type writer struct {
	tx     *sql.Tx
	d      Delivery
	digest string

	lane        int64 // row of lanes
	incarnation int64 // row of incarnations
	receipt     posmain.Receipt
	refusal     error
}

// row is what baskets says of the basket that is delivered.
type row struct {
	n           int64
	lane        int64
	incarnation string
	sequence    uint64
	revision    int
	alarm       string
}

func (w *writer) log() (err error) {
	at := millis(w.d.At)
	if w.lane, err = seeLane(w.tx, w.d.From, w.d.Software, at); err != nil {
		return err
	}
	old, known, err := w.find()
	if err != nil {
		return err
	}
	b := &w.d.Basket
	if known && (old.lane != w.lane || old.incarnation != b.Incarnation || old.sequence != b.Sequence) {
		return w.refuse(ErrBasketConflict, AlarmBasketConflict, fmt.Sprintf("revision %d says number %d of incarnation %s; the log has this basket as number %d of incarnation %s",
			b.Revision, b.Sequence, b.Incarnation, old.sequence, old.incarnation))
	}
	if w.incarnation, err = w.seeIncarnation(at); err != nil {
		return err
	}
	loggedAt := at
	if known {
		loggedAt, err = w.logAgain(&old)
	} else {
		old, err = w.logNew()
	}
	if err != nil || w.refusal != nil {
		return err
	}
	return w.sign(old, loggedAt)
}

// logNew keeps the first revision that comes of a basket.
func (w *writer) logNew() (row, error) {
	b := &w.d.Basket
	var twin string
	err := w.tx.QueryRow("SELECT id FROM baskets WHERE incarnation = ? AND sequence = ? ORDER BY n LIMIT 1", w.incarnation, b.Sequence).Scan(&twin)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return row{}, err
	}
	r := row{}
	if twin != "" {
		r.alarm = AlarmSequenceFork
		if err := w.alarm(AlarmSequenceFork, "the same number is that of basket "+twin+"; both are kept"); err != nil {
			return row{}, err
		}
	}
	res, err := w.tx.Exec(`INSERT INTO baskets (id, incarnation, sequence, revision, kind, outcome, opened_at, closed_at, "transaction", business_date, operator, state, hhid, deident_tid, alarm, logged_at)
		VALUES (?, ?, ?, 0, '', '', 0, 0, '', '', '', '', '', '', ?, 0)`, b.ID.String(), w.incarnation, b.Sequence, r.alarm)
	if err != nil {
		return row{}, err
	}
	if r.n, err = res.LastInsertId(); err != nil {
		return row{}, err
	}
	return r, w.keep(&r)
}

// logAgain keeps a further revision of a basket, or finds that it is kept. It
// returns when it was first logged.
func (w *writer) logAgain(old *row) (loggedAt int64, err error) {
	var digest string
	err = w.tx.QueryRow("SELECT digest, logged_at FROM revisions WHERE basket = ? AND revision = ?", old.n, w.d.Basket.Revision).Scan(&digest, &loggedAt)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return millis(w.d.At), w.keep(old)
	case err == nil && digest != w.digest:
		return 0, w.refuse(ErrRevisionConflict, AlarmRevisionConflict, fmt.Sprintf("the log has revision %d as %s", w.d.Basket.Revision, digest))
	}
	return loggedAt, err
}

// keep adds the revision, and makes it the one that counts if it is the
// highest.
func (w *writer) keep(r *row) error {
	blanked, err := w.blank()
	if err != nil {
		return err
	}
	b := &w.d.Basket
	_, err = w.tx.Exec("INSERT INTO revisions (basket, revision, digest, logged_at, state, hhid, deident_tid, body, blanked) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		r.n, b.Revision, w.digest, millis(w.d.At), b.State, b.HHID.String(), b.DeIdentTID, w.d.Body, blanked)
	if err == nil {
		err = keepMentions(w.tx, r.n, b)
	}
	if err != nil || b.Revision <= r.revision {
		return err
	}
	_, err = w.tx.Exec(`UPDATE baskets SET revision = ?, kind = ?, outcome = ?, opened_at = ?, closed_at = ?, "transaction" = ?, business_date = ?, operator = ?, state = ?, hhid = ?, deident_tid = ?, logged_at = ? WHERE n = ?`,
		b.Revision, b.Kind, b.Outcome, millis(b.OpenedAt), millis(b.ClosedAt), b.Transaction, b.BusinessDate, b.Operator, b.State, b.HHID.String(), b.DeIdentTID, millis(w.d.At), r.n)
	if err != nil {
		return err
	}
	if err := w.keepLines(r.n); err != nil {
		return err
	}
	return keepIdentities(w.tx, r.n, b)
}

// blank takes ids that were erased out of what is delivered, and gives the digest of
// what is left; "" where nothing was erased.
func (w *writer) blank() (digest string, err error) {
	gone := map[string]bool{}
	for _, id := range ids(&w.d.Basket) {
		var n int
		if err := w.tx.QueryRow("SELECT count(*) FROM erased WHERE id = ?", id).Scan(&n); err != nil {
			return "", err
		}
		if n > 0 {
			gone[id] = true
		}
	}
	if len(gone) == 0 {
		return "", nil
	}
	w.d.Body, w.d.Basket, err = blank(w.d.Body, func(id string) bool { return gone[id] })
	return posmain.Digest(w.d.Body), err
}

func keepMentions(tx *sql.Tx, n int64, b *basket.Basket) error {
	for _, id := range ids(b) {
		if _, err := tx.Exec("INSERT INTO mentions (id, basket) VALUES (?, ?) ON CONFLICT (id, basket) DO NOTHING", id, n); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) keepLines(n int64) error {
	if _, err := w.tx.Exec("DELETE FROM lines WHERE basket = ?", n); err != nil {
		return err
	}
	insert, err := w.tx.Prepare("INSERT INTO lines (basket, line, at, upc, gtin, symbology, add_on, kind, quantity, device, problem, voided_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer insert.Close()
	for _, l := range w.d.Basket.Lines {
		var voided any
		if l.VoidedAt != nil {
			voided = millis(*l.VoidedAt)
		}
		if _, err := insert.Exec(n, l.Number, millis(l.At), l.UPC, l.GTIN, l.Symbology, l.AddOn, l.Kind, l.Quantity, l.Device, l.Problem, voided); err != nil {
			return err
		}
	}
	return nil
}

func keepIdentities(tx *sql.Tx, n int64, b *basket.Basket) error {
	if _, err := tx.Exec("DELETE FROM identities WHERE basket = ?", n); err != nil {
		return err
	}
	for _, id := range b.Identities {
		_, err := tx.Exec("INSERT INTO identities (basket, swipe, kind, at, state, hhid, deident_tid) VALUES (?, ?, ?, ?, ?, ?, ?)",
			n, id.Swipe, id.Kind, millis(id.At), id.State, id.HHID.String(), id.DeIdentTID)
		if err != nil {
			return err
		}
	}
	return nil
}

// sign writes the receipt.
func (w *writer) sign(r row, loggedAt int64) error {
	id, err := logID(w.tx)
	if err != nil {
		return err
	}
	mark, err := advance(w.tx, w.incarnation)
	if err != nil {
		return err
	}
	b := &w.d.Basket
	w.receipt = posmain.Receipt{Basket: b.ID.String(), Revision: b.Revision, Digest: w.digest, LogID: id, Watermark: mark, LoggedAt: instant(loggedAt), Alarm: r.alarm}
	return nil
}

// advance moves the watermark over every number that follows it without a gap.
func advance(tx *sql.Tx, incarnation int64) (uint64, error) {
	var old uint64
	if err := tx.QueryRow("SELECT watermark FROM incarnations WHERE n = ?", incarnation).Scan(&old); err != nil {
		return 0, err
	}
	rows, err := tx.Query("SELECT sequence FROM baskets WHERE incarnation = ? AND sequence > ? ORDER BY sequence", incarnation, old)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	mark := old
	for rows.Next() {
		var next uint64
		if err := rows.Scan(&next); err != nil {
			return 0, err
		}
		if next > mark+1 {
			break
		}
		mark = next
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || mark == old {
		return mark, err
	}
	_, err = tx.Exec("UPDATE incarnations SET watermark = ? WHERE n = ?", mark, incarnation)
	return mark, err
}

func (w *writer) find() (r row, known bool, err error) {
	err = w.tx.QueryRow(`SELECT b.n, i.lane, i.incarnation, b.sequence, b.revision, b.alarm FROM baskets b JOIN incarnations i ON i.n = b.incarnation WHERE b.id = ?`,
		w.d.Basket.ID.String()).Scan(&r.n, &r.lane, &r.incarnation, &r.sequence, &r.revision, &r.alarm)
	if errors.Is(err, sql.ErrNoRows) {
		return row{}, false, nil
	}
	return r, err == nil, err
}

func (w *writer) seeIncarnation(at int64) (n int64, err error) {
	err = w.tx.QueryRow(`INSERT INTO incarnations (lane, incarnation, first_seen, last_seen) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET last_seen = max(last_seen, excluded.last_seen) RETURNING n`, w.lane, w.d.Basket.Incarnation, at, at).Scan(&n)
	return n, err
}

// seeLane notes that a lane has sent something. software is "" if it did not
// say what it runs.
func seeLane(tx *sql.Tx, l Lane, software string, at int64) (n int64, err error) {
	err = tx.QueryRow(`INSERT INTO lanes (tenant, shop, lane, software, first_seen, last_seen) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET last_seen = max(last_seen, excluded.last_seen), software = iif(excluded.software = '', software, excluded.software) RETURNING n`,
		l.Tenant, l.Shop, l.Lane, software, at, at).Scan(&n)
	return n, err
}

func (w *writer) refuse(why error, kind, detail string) error {
	w.refusal = why
	return w.alarm(kind, detail)
}

func (w *writer) alarm(kind, detail string) error {
	b := &w.d.Basket
	return raise(w.tx, w.lane, alarmAbout(b, kind, detail, w.digest, w.d))
}

func alarmAbout(b *basket.Basket, kind, detail, digest string, d Delivery) Alarm {
	return Alarm{Lane: d.From, Kind: kind, Basket: b.ID.String(), Revision: b.Revision, Incarnation: b.Incarnation, Sequence: b.Sequence,
		Digest: digest, Detail: detail, FirstAt: d.At, LastAt: d.At}
}

func raise(tx *sql.Tx, lane int64, a Alarm) error {
	_, err := tx.Exec(`INSERT INTO alarms (kind, lane, basket, revision, incarnation, sequence, digest, detail, count, first_at, last_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?)
		ON CONFLICT DO UPDATE SET count = count + 1, last_at = max(last_at, excluded.last_at)`,
		a.Kind, lane, a.Basket, a.Revision, a.Incarnation, a.Sequence, a.Digest, a.Detail, millis(a.LastAt), millis(a.LastAt))
	return err
}
