package journal

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"posd/basket"
	"posd/identity"
)

// Open begins b.
func (j *SQLite) Open(ctx context.Context, b basket.Basket, ticks time.Duration) error {
	if b.ID == (basket.ID{}) {
		return errNoID
	}
	return j.write(ctx, "open basket", func(w *work) error {
		var open, used bool
		err := w.QueryRow("SELECT EXISTS (SELECT 1 FROM baskets WHERE outcome = ''), EXISTS (SELECT 1 FROM baskets WHERE id = ?)", b.ID[:]).Scan(&open, &used)
		switch {
		case err != nil:
			return err
		case open:
			return basket.ErrOpen
		case used:
			return errIDUsed
		}
		_, err = w.Exec("INSERT INTO baskets (id, kind, opened_at, pos_number, business_date, operator, active) VALUES (?, ?, ?, ?, ?, ?, ?)",
			b.ID[:], b.Kind, b.OpenedAt.UnixNano(), b.Transaction, b.BusinessDate, b.Operator, int64(ticks))
		return err
	})
}

// Describe gives the open basket a kind and a header.
func (j *SQLite) Describe(ctx context.Context, b basket.Basket, ticks time.Duration) error {
	return j.write(ctx, "describe basket", func(w *work) error {
		n, err := w.open(b.ID, ticks)
		if err != nil {
			return err
		}
		_, err = w.Exec("UPDATE baskets SET kind = ?, pos_number = ?, business_date = ?, operator = ? WHERE n = ?",
			b.Kind, b.Transaction, b.BusinessDate, b.Operator, n)
		return err
	})
}

const appendLine = `
INSERT INTO lines (basket, number, read_at, committed_at, ticks, upc, data, gtin, symbology, add_on, kind, quantity, device, problem, label)
SELECT n, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15 FROM baskets
WHERE outcome = '' AND id = ?1 AND ?2 = 1 + (SELECT coalesce(max(number), 0) FROM lines WHERE basket = n)`

// AppendLine adds l to the open basket. It is what a scan waits for: one
// statement, one page.
func (j *SQLite) AppendLine(ctx context.Context, id basket.ID, l basket.Line, ticks time.Duration) error {
	var data any // NULL where there is none
	if len(l.Data) > 0 {
		data = l.Data
	}
	label, err := packLabel(l)
	if err != nil {
		return err
	}
	return j.write(ctx, "append line", func(w *work) error {
		res, err := w.Exec(appendLine, id[:], l.Number, l.At.UnixNano(), w.at, int64(ticks),
			l.UPC, data, l.GTIN, l.Symbology, l.AddOn, l.Kind, l.Quantity, l.Device, l.Problem, label)
		if err != nil {
			return err
		}
		if added, err := res.RowsAffected(); err != nil || added == 1 {
			return err
		}
		if _, err := w.open(id, ticks); err != nil {
			return err
		}
		return errLineNumber(l.Number)
	})
}

// VoidLine marks a line of the open basket.
func (j *SQLite) VoidLine(ctx context.Context, id basket.ID, number int, at time.Time, ticks time.Duration) error {
	return j.write(ctx, "void line", func(w *work) error {
		n, err := w.open(id, ticks)
		if err != nil {
			return err
		}
		return w.one(basket.ErrNoSuchLine, "UPDATE lines SET voided_at = ? WHERE basket = ? AND number = ? AND voided_at IS NULL",
			at.UnixNano(), n, number)
	})
}

// AppendIdentity adds a pending identity to the open basket.
func (j *SQLite) AppendIdentity(ctx context.Context, s basket.Sealed, ticks time.Duration) error {
	if err := checkSealed(s); err != nil {
		return err
	}
	return j.write(ctx, "append identity", func(w *work) error {
		n, err := w.open(s.Basket, ticks)
		if err != nil {
			return err
		}
		if err := w.one(errSwipeUsed, "UPDATE baskets SET last_swipe = ?2 WHERE n = ?1 AND last_swipe < ?2", n, s.Swipe); err != nil {
			return err
		}
		_, err = w.Exec("INSERT INTO identities (basket, swipe, kind, at, sealed_at, deadline, state) VALUES (?, ?, ?, ?, ?, ?, ?)",
			n, s.Swipe, s.Kind, s.At.UnixNano(), s.SealedAt, int64(s.Deadline), identity.Pending)
		if err != nil {
			return err
		}
		return w.keepSealed(n, s)
	})
}

// DropIdentities forgets the identities of the open basket.
func (j *SQLite) DropIdentities(ctx context.Context, id basket.ID) error {
	return j.write(ctx, "drop identities", func(w *work) error {
		var n int64
		if err := w.QueryRow("SELECT n FROM baskets WHERE id = ? AND outcome = ''", id[:]).Scan(&n); err != nil {
			return unless(err, basket.ErrNotOpen)
		}
		return w.drop(n)
	})
}

// Close ends the open basket.
func (j *SQLite) Close(ctx context.Context, id basket.ID, outcome basket.Outcome, at time.Time, ticks time.Duration) (b basket.Basket, err error) {
	if err := checkOutcome(outcome); err != nil {
		return basket.Basket{}, err
	}
	err = j.write(ctx, "close basket", func(w *work) error {
		n, err := w.open(id, ticks)
		if err != nil {
			return err
		}
		_, err = w.Exec("UPDATE baskets SET outcome = ?, closed_at = ?, closed_ticks = ? WHERE n = ?", outcome, at.UnixNano(), int64(ticks), n)
		if err != nil {
			return err
		}
		b, err = w.finish(n)
		return err
	})
	if err != nil {
		return basket.Basket{}, err
	}
	return b, nil
}

// finish numbers and queues a basket just closed, unless it is a training one.
func (w *work) finish(n int64) (basket.Basket, error) {
	b, err := w.load(n)
	if err != nil {
		return b, err
	}
	if b.Kind == basket.Training {
		if err := w.drop(n); err != nil {
			return b, err
		}
		return w.load(n)
	}
	if b.Outcome == basket.Voided {
		for _, id := range b.Identities {
			if _, err := w.answer(n, id.Swipe, basket.Answer{State: identity.Unresolved}); err != nil {
				return b, err
			}
		}
	}
	if _, err := w.Exec("UPDATE journal SET last_sequence = last_sequence + 1"); err != nil {
		return b, err
	}
	_, err = w.Exec("UPDATE baskets SET sequence = (SELECT last_sequence FROM journal) WHERE n = ?", n)
	if err != nil {
		return b, err
	}
	return w.revise(n)
}

// open finds the open basket, if it is id, and stamps that it is in use.
func (w *work) open(id basket.ID, ticks time.Duration) (n int64, err error) {
	err = w.QueryRow("UPDATE baskets SET active = max(active, ?) WHERE id = ? AND outcome = '' RETURNING n", int64(ticks), id[:]).Scan(&n)
	return n, unless(err, basket.ErrNotOpen)
}

// one runs a statement that must change one row, else it returns none.
func (w *work) one(none error, query string, args ...any) error {
	res, err := w.Exec(query, args...)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return none
}

// unless puts what a missing row means in the place of sql.ErrNoRows.
func unless(err, none error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return none
	}
	return err
}
