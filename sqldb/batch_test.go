package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"

	_ "github.com/mattn/go-sqlite3"
)

// again is a database whose transactions are lost with errAgain, and then run once more.
type again struct {
	*sql.DB
	runs int
}

var errAgain = errors.New("again")

func (d *again) Write(ctx context.Context, fn func(*sql.Tx) error) error {
	for {
		d.runs++
		tx, err := d.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if err = fn(tx); err == nil {
			return tx.Commit()
		}
		tx.Rollback()
		if !errors.Is(err, errAgain) {
			return err
		}
	}
}

func (d *again) Lost(err error) bool { return errors.Is(err, errAgain) }

func (d *again) Explain(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s test: %w", op, err)
}

func newDB(t *testing.T) *again {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+t.TempDir()+"/x.db")
	if err == nil {
		_, err = db.Exec("CREATE TABLE t (n INTEGER PRIMARY KEY)")
	}
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return &again{DB: db}
}

func insert(n int) func(*sql.Tx) error {
	return func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT INTO t (n) VALUES ($1)", n)
		return err
	}
}

// together runs functions as one batch, and gives what each of them got.
func together(b *Batcher, fns ...func(*sql.Tx) error) []error {
	var jobs []*job
	for _, fn := range fns {
		jobs = append(jobs, &job{fn: fn, done: make(chan struct{})})
	}
	b.waiting = append(b.waiting, jobs...)
	b.run()
	var errs []error
	for _, j := range jobs {
		<-j.done
		errs = append(errs, j.err)
	}
	return errs
}

func numbers(t *testing.T, db *again) (all string) {
	t.Helper()
	if err := db.QueryRow("SELECT coalesce(group_concat(n), '') FROM (SELECT n FROM t ORDER BY n)").Scan(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestOneFailsAndTheOthersStay(t *testing.T) {
	db := newDB(t)
	errs := together(NewBatcher(db), insert(1), func(tx *sql.Tx) error { return errors.Join(insert(2)(tx), errors.New("odd")) }, insert(1), insert(3))
	if errs[0] != nil || errs[1] == nil || errs[2] == nil || errs[3] != nil || numbers(t, db) != "1,3" || db.runs != 1 {
		t.Errorf("%v, rows %s, %d transactions", errs, numbers(t, db), db.runs)
	}
}

func TestAllFailWhenTheTransactionIsLost(t *testing.T) {
	db := newDB(t)
	b := NewBatcher(db)
	// The second loses the transaction under the others, as a full disk does.
	lose := func(tx *sql.Tx) error { _, err := tx.Exec("ROLLBACK"); return errors.Join(err, errors.New("lost")) }
	if errs := together(b, insert(1), lose, insert(2)); errs[0] == nil || errs[1] == nil || errs[2] == nil || numbers(t, db) != "" {
		t.Errorf("%v, rows %s", errs, numbers(t, db))
	}
	if err := b.Do(t.Context(), insert(2)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestAllRunAgainTogether(t *testing.T) {
	db := newDB(t)
	var runs int
	conflict := func(tx *sql.Tx) error {
		if runs++; runs < 3 {
			return fmt.Errorf("conflict: %w", errAgain)
		}
		return insert(2)(tx)
	}
	odd := func(*sql.Tx) error { return errors.New("odd") }
	errs := together(NewBatcher(db), insert(1), odd, conflict, insert(3))
	if errs[0] != nil || errs[1] == nil || errs[2] != nil || errs[3] != nil || numbers(t, db) != "1,2,3" || db.runs != 3 {
		t.Errorf("%v, rows %s, %d transactions", errs, numbers(t, db), db.runs)
	}
}
