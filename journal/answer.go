package journal

import (
	"context"
	"database/sql"
	"time"

	"posd/basket"
	"posd/identity"
)

// Answer sets a pending identity to its final state.
func (j *SQLite) Answer(ctx context.Context, id basket.ID, swipe int, a basket.Answer) (b basket.Basket, changed bool, err error) {
	if err := checkAnswer(a); err != nil {
		return basket.Basket{}, false, err
	}
	err = j.write(ctx, "answer identity", func(w *work) error {
		n, err := find(w.Tx, id)
		if err != nil {
			return err
		}
		if changed, err = w.answer(n, swipe, a); err != nil {
			return err
		}
		if changed {
			b, err = w.revise(n)
		} else {
			b, err = w.load(n)
		}
		return err
	})
	if err != nil {
		return basket.Basket{}, false, err
	}
	return b, changed, nil
}

// Expire ends what has waited for too long as unresolved.
func (j *SQLite) Expire(ctx context.Context, ticks time.Duration) (changed []basket.Basket, err error) {
	err = j.write(ctx, "expire identities", func(w *work) error {
		overdue, err := w.overdue(ticks)
		if err != nil {
			return err
		}
		for i, o := range overdue {
			if _, err := w.answer(o.basket, o.swipe, basket.Answer{State: identity.Unresolved}); err != nil {
				return err
			}
			if i+1 < len(overdue) && overdue[i+1].basket == o.basket {
				continue // one revision for all of a basket's
			}
			b, err := w.revise(o.basket)
			if err != nil {
				return err
			}
			changed = append(changed, b)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

type swipeKey struct {
	basket int64
	swipe  int
}

func (w *work) overdue(ticks time.Duration) (keys []swipeKey, err error) {
	rows, err := w.Query("SELECT basket, swipe FROM identities WHERE state = 'pending' AND deadline <= ? ORDER BY basket, swipe", int64(ticks))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var k swipeKey
		if err := rows.Scan(&k.basket, &k.swipe); err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, rows.Err()
}

// answer is the compare-and-set: only a pending identity changes, and with that
// its EncTID goes.
func (w *work) answer(n int64, swipe int, a basket.Answer) (changed bool, err error) {
	res, err := w.Exec("UPDATE identities SET state = ?, hhid = ?, deident_tid = ?, answered_at = ? WHERE basket = ? AND swipe = ? AND state = 'pending'",
		a.State, a.HHID.String(), a.DeIdentTID, w.at, n, swipe)
	if err != nil {
		return false, err
	}
	if rows, err := res.RowsAffected(); err != nil || rows == 0 {
		return false, err
	}
	return true, w.wipe(n, swipe)
}

// drop deletes the identities of a basket.
func (w *work) drop(n int64) error {
	pending, err := w.Query("SELECT swipe FROM identities WHERE basket = ? AND state = 'pending'", n)
	if err != nil {
		return err
	}
	defer pending.Close()
	var swipes []int
	for pending.Next() {
		var swipe int
		if err := pending.Scan(&swipe); err != nil {
			return err
		}
		swipes = append(swipes, swipe)
	}
	if err := pending.Err(); err != nil {
		return err
	}
	for _, swipe := range swipes {
		if err := w.wipe(n, swipe); err != nil {
			return err
		}
	}
	_, err = w.Exec("DELETE FROM identities WHERE basket = ?", n)
	return err
}

// keepSealed stores an EncTID, and what its epoch's encapsulated key is unless
// that is here already.
func (w *work) keepSealed(n int64, s basket.Sealed) error {
	var epoch int64
	err := w.QueryRow("SELECT n FROM epochs WHERE epoch = ? AND enc IS NOT NULL", s.Epoch[:]).Scan(&epoch)
	if err := unless(err, nil); err != nil {
		return err
	}
	if epoch == 0 {
		res, err := w.Exec("INSERT INTO epochs (epoch, key, enc) VALUES (?, ?, ?)", s.Epoch[:], s.Key, s.Enc)
		if err != nil {
			return err
		}
		if epoch, err = res.LastInsertId(); err != nil {
			return err
		}
	}
	_, err = w.Exec("INSERT INTO sealed (basket, swipe, epoch, enctid) VALUES (?, ?, ?, ?)", n, s.Swipe, epoch, s.EncTID)
	return err
}

// wipe deletes an EncTID and, with the last of its epoch, the encapsulated key.
// The schema says why rows go only all together.
func (w *work) wipe(n int64, swipe int) error {
	w.wiped = true
	var epoch int64
	err := w.QueryRow("UPDATE sealed SET enctid = NULL WHERE basket = ? AND swipe = ? RETURNING epoch", n, swipe).Scan(&epoch)
	if err := unless(err, nil); err != nil {
		return err
	}
	_, err = w.Exec("UPDATE epochs SET enc = NULL WHERE n = ?1 AND NOT EXISTS (SELECT 1 FROM sealed WHERE epoch = ?1 AND enctid IS NOT NULL)", epoch)
	if err != nil {
		return err
	}
	var waiting bool
	if err := w.QueryRow("SELECT EXISTS (SELECT 1 FROM sealed WHERE enctid IS NOT NULL)").Scan(&waiting); err != nil || waiting {
		return err
	}
	if _, err := w.Exec("DELETE FROM sealed"); err != nil {
		return err
	}
	_, err = w.Exec("DELETE FROM epochs")
	return err
}

// Pending gives the identities that wait for an answer.
func (j *SQLite) Pending(ctx context.Context, after int64, limit int) (pending []basket.Sealed, err error) {
	err = j.view(ctx, "read pending identities", func(tx *sql.Tx) error {
		rows, err := tx.Query(`
SELECT s.n, b.id, i.swipe, i.kind, i.at, i.sealed_at, i.deadline, s.enctid, e.epoch, e.key, e.enc
FROM sealed s JOIN baskets b ON b.n = s.basket
JOIN identities i ON i.basket = s.basket AND i.swipe = s.swipe
JOIN epochs e ON e.n = s.epoch
WHERE s.enctid IS NOT NULL AND s.n > ? ORDER BY s.n LIMIT ?`, after, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			s, err := scanSealed(rows)
			if err != nil {
				return err
			}
			pending = append(pending, s)
		}
		return rows.Err()
	})
	return pending, err
}

func scanSealed(rows *sql.Rows) (s basket.Sealed, err error) {
	var id, epoch []byte
	var at sql.NullInt64
	err = rows.Scan(&s.Order, &id, &s.Swipe, &s.Kind, &at, &s.SealedAt, &s.Deadline, &s.EncTID, &epoch, &s.Key, &s.Enc)
	copy(s.Basket[:], id)
	copy(s.Epoch[:], epoch)
	s.At = moment(at)
	return s, err
}
