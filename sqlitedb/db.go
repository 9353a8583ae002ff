// Package sqlitedb opens SQLite databases the way the three programs need
// them: durable at every commit, one writer, many readers, a schema that only
// grows, and errors that say what a person can do.
//
// What Write returned nil for survives a power cut: the journal mode is WAL with
// synchronous=FULL, so each commit is one write and one fdatasync. Deleted
// content is overwritten (secure_delete); Checkpoint takes what was deleted out
// of the write-ahead log too. Files are for their owner alone (mode 0600).
//
// It is the only package here that needs cgo.
package sqlitedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"

	"posd/sqldb"
)

// Options say whose database it is.
type Options struct {
	// ApplicationID marks the file as this program's (PRAGMA application_id); a
	// database that bears another is refused. It must not be 0.
	ApplicationID int32
	// Sole refuses to open the database while another Open holds it, in
	// whatever process. OpenReadOnly may still look.
	Sole bool
	// Readers is the number of connections that read at the same time; 0 means 4.
	Readers int
}

// DB is an open database. All its methods may be called at the same time.
type DB struct {
	path   string
	writer *sql.DB // one connection; nil if read only
	reader *sql.DB
	lock   *os.File // held while Sole
	batch  *sqldb.Batcher
	close  sync.Once
}

// Path is the name of the database file.
func (db *DB) Path() string { return db.path }

// Write runs fn in a transaction of its own and commits it if fn returns nil;
// otherwise nothing of it remains. Writers wait for each other, for no longer
// than ctx lasts; once fn runs, the transaction is no longer cut short by ctx.
// fn is called at most once. It must return the first error that a statement
// gave it: SQLite may have rolled the whole transaction back by then.
func (db *DB) Write(ctx context.Context, fn func(*sql.Tx) error) error {
	if db.writer == nil {
		return fmt.Errorf("write %s: %w", db.path, errOpenedReadOnly)
	}
	conn, err := db.writer.Conn(ctx)
	if err != nil {
		return fmt.Errorf("write %s: %w", db.path, err)
	}
	defer conn.Close()
	return db.explain("write", transact(conn, fn))
}

// Batch is Write for many goroutines at once, which share a commit; see
// sqldb.Batcher.
func (db *DB) Batch(ctx context.Context, fn func(*sql.Tx) error) error { return db.batch.Do(ctx, fn) }

// writer is what the batcher writes to.
type writer struct{ *DB }

// Lost is left to SQLite: where it has rolled back, there is no savepoint.
func (writer) Lost(error) bool { return false }

func (w writer) Explain(op string, err error) error {
	if errors.Is(err, sql.ErrConnDone) {
		return fmt.Errorf("%s %s: %w", op, w.path, err)
	}
	return w.explain(op, err)
}

// transact runs fn between BEGIN IMMEDIATE and COMMIT.
func transact(conn *sql.Conn, fn func(*sql.Tx) error) error {
	tx, err := conn.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// View runs fn in a read transaction: all its statements see the same state of
// the database, and none can change it.
func (db *DB) View(ctx context.Context, fn func(*sql.Tx) error) error {
	tx, err := db.reader.BeginTx(ctx, nil)
	if err != nil {
		return db.explain("read", err)
	}
	defer tx.Rollback()
	return db.explain("read", fn(tx))
}

// Read gives the readers for single statements. They cannot write.
func (db *DB) Read() *sql.DB { return db.reader }

// Checkpoint moves the write-ahead log into the database file and cuts it to
// nothing, so that what was deleted is in no file any more. Writers wait for it,
// so it waits only a tenth of a second for readers that still hold an older
// state; then it fails with sqldb.ErrLocked.
func (db *DB) Checkpoint(ctx context.Context) error {
	if db.writer == nil {
		return fmt.Errorf("checkpoint %s: %w", db.path, errOpenedReadOnly)
	}
	conn, err := db.writer.Conn(ctx)
	if err != nil {
		return fmt.Errorf("checkpoint %s: %w", db.path, err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(context.Background(), "PRAGMA busy_timeout=100"); err != nil {
		return db.explain("checkpoint", err)
	}
	defer conn.ExecContext(context.Background(), "PRAGMA busy_timeout=5000")
	var busy, logged, moved int
	row := conn.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)")
	if err := row.Scan(&busy, &logged, &moved); err != nil {
		return db.explain("checkpoint", err)
	}
	if busy != 0 {
		return fmt.Errorf("checkpoint %s: %w%s", db.path, sqldb.ErrLocked, advice(sqldb.ErrLocked))
	}
	return nil
}

// Check reads the whole database and fails with sqldb.ErrDamaged where its structure
// is broken.
func (db *DB) Check(ctx context.Context) error {
	var found string
	if err := db.reader.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found); err != nil {
		return db.explain("check", err)
	}
	if found != "ok" {
		return fmt.Errorf("check %s: %w%s (%s)", db.path, sqldb.ErrDamaged, advice(sqldb.ErrDamaged), found)
	}
	return nil
}

// Close waits for what is being written, then closes the database and removes
// its write-ahead log, unless another process has it open.
func (db *DB) Close() error {
	var err error
	db.close.Do(func() {
		db.batch.Stop()
		err = db.reader.Close()
		if db.writer != nil {
			err = errors.Join(err, db.writer.Close())
		}
		if db.lock != nil {
			err = errors.Join(err, db.lock.Close())
		}
	})
	return db.explain("close", err)
}
