package journal

import (
	"context"
	"database/sql"
	"time"

	"posd/basket"
)

// maxListed is how many deliveries an Outbox shows.
const maxListed = 1000

// revise queues a basket's next revision, if it has a number, and gives the
// basket as it is then.
func (w *work) revise(n int64) (basket.Basket, error) {
	if _, err := w.Exec("UPDATE baskets SET revision = revision + 1 WHERE n = ? AND sequence > 0", n); err != nil {
		return basket.Basket{}, err
	}
	b, err := w.load(n)
	if err != nil || b.Sequence == 0 {
		return b, err
	}
	body, err := basket.Marshal(b)
	if err != nil {
		return b, err
	}
	_, err = w.Exec("INSERT INTO deliveries (basket, revision, digest, created_at, body) VALUES (?, ?, ?, ?, ?)",
		n, b.Revision, basket.Digest(body), w.at, body)
	return b, err
}

// Queued gives deliveries to be sent.
func (j *SQLite) Queued(ctx context.Context, after int64, limit int) (queue []basket.Delivery, err error) {
	err = j.view(ctx, "read the queue", func(tx *sql.Tx) error {
		queue, err = deliveries(tx, `
SELECT d.n, b.id, d.revision, b.sequence, d.state, d.reason, d.digest, d.created_at, d.body
FROM deliveries d JOIN baskets b ON b.n = d.basket
WHERE d.state = 'queued' AND d.n > ? ORDER BY d.n LIMIT ?`, after, limit)
		return err
	})
	return queue, err
}

func deliveries(tx *sql.Tx, query string, args ...any) (found []basket.Delivery, err error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var d basket.Delivery
		var id []byte
		var created sql.NullInt64
		if err := rows.Scan(&d.Order, &id, &d.Revision, &d.Sequence, &d.State, &d.Reason, &d.Digest, &created, &d.Body); err != nil {
			return nil, err
		}
		copy(d.Basket[:], id)
		d.CreatedAt = moment(created)
		found = append(found, d)
	}
	return found, rows.Err()
}

// Acknowledge stores the receipt of a queued delivery. For one that is not
// queued nothing changes. A receipt for other bytes is refused.
func (j *SQLite) Acknowledge(ctx context.Context, id basket.ID, revision int, r basket.Receipt, ticks time.Duration) (resent int, err error) {
	err = j.write(ctx, "acknowledge delivery", func(w *work) error {
		n, digest, err := w.queued(id, revision)
		if err != nil || n == 0 {
			return err
		}
		if err := checkReceipt(r, digest); err != nil {
			return err
		}
		if resent, err = w.seeLog(r); err != nil {
			return err
		}
		_, err = w.Exec("UPDATE deliveries SET state = 'acknowledged', settled_at = ?, ticks = ?, logged_at = ? WHERE n = ?",
			w.at, int64(ticks), stamp(r.LoggedAt), n)
		return err
	})
	if err != nil {
		return 0, err
	}
	return resent, nil
}

// seeLog notes which log the POS main computer has and how far it is. If it is
// a new one, what only the old one was known to hold is queued again.
func (w *work) seeLog(r basket.Receipt) (resent int, err error) {
	err = w.one(errOtherLog, "UPDATE journal SET watermark = max(watermark, ?2) WHERE log_id = ?1", r.LogID, r.Watermark)
	if err != errOtherLog {
		return 0, err
	}
	if _, err := w.Exec("UPDATE journal SET log_id = ?, watermark = ?", r.LogID, r.Watermark); err != nil {
		return 0, err
	}
	res, err := w.Exec("UPDATE deliveries SET state = 'queued', settled_at = NULL, ticks = NULL, logged_at = NULL WHERE state = 'acknowledged'")
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return int(n), err
}

// Refuse takes a queued delivery out of the queue. For one that is not queued
// nothing changes.
func (j *SQLite) Refuse(ctx context.Context, id basket.ID, revision int, reason string) error {
	return j.write(ctx, "refuse delivery", func(w *work) error {
		n, _, err := w.queued(id, revision)
		if err != nil || n == 0 {
			return err
		}
		_, err = w.Exec("UPDATE deliveries SET state = 'refused', reason = ?, settled_at = ? WHERE n = ?", reason, w.at, n)
		return err
	})
}

// queued finds one revision of a basket in the queue; n is 0 if it has left it.
func (w *work) queued(id basket.ID, revision int) (n int64, digest string, err error) {
	err = w.QueryRow("SELECT iif(d.state = 'queued', d.n, 0), d.digest FROM deliveries d JOIN baskets b ON b.n = d.basket WHERE b.id = ? AND d.revision = ?", id[:], revision).
		Scan(&n, &digest)
	return n, digest, unless(err, basket.ErrUnknown)
}

// maxPurged is how many baskets go at once. What was sent again to a new log of
// the POS main computer is due all at the same time, and scans wait meanwhile.
const maxPurged = 200

// Purge deletes baskets that are done with, at most 200 of them: the oldest.
func (j *SQLite) Purge(ctx context.Context, ticks time.Duration) (gone int, err error) {
	err = j.write(ctx, "purge journal", func(w *work) error {
		res, err := w.Exec(`
DELETE FROM baskets WHERE n IN (
	SELECT n FROM baskets WHERE outcome <> '' AND closed_ticks <= ?1
	AND NOT EXISTS (SELECT 1 FROM identities WHERE basket = n AND state = 'pending')
	AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.basket = baskets.n AND (d.state <> 'acknowledged' OR d.ticks > ?1))
	ORDER BY n LIMIT ?2)`, int64(ticks), maxPurged)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		gone = int(n)
		return err
	})
	if err != nil {
		return 0, err
	}
	return gone, nil
}

// Outbox gives what has not been acknowledged yet, and counts. Its deliveries
// come without their bodies.
func (j *SQLite) Outbox(ctx context.Context) (o basket.Outbox, err error) {
	o.Deliveries = []basket.Delivery{}
	err = j.view(ctx, "read the outbox", func(tx *sql.Tx) error {
		err := tx.QueryRow(`
SELECT (SELECT count(*) FROM deliveries WHERE state = 'queued'), (SELECT count(*) FROM deliveries WHERE state = 'refused'),
	(SELECT count(*) FROM deliveries WHERE state = 'acknowledged'), (SELECT count(*) FROM identities WHERE state = 'pending'),
	log_id, watermark FROM journal`).
			Scan(&o.Queued, &o.Refused, &o.Acknowledged, &o.Pending, &o.LogID, &o.Watermark)
		if err != nil {
			return err
		}
		listed, err := deliveries(tx, `
SELECT d.n, b.id, d.revision, b.sequence, d.state, d.reason, d.digest, d.created_at, NULL
FROM deliveries d JOIN baskets b ON b.n = d.basket
WHERE d.state IN ('queued', 'refused') ORDER BY d.n LIMIT ?`, maxListed)
		o.Deliveries = append(o.Deliveries, listed...)
		return err
	})
	return o, err
}
