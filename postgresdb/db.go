// Package postgresdb opens databases that speak PostgreSQL's wire protocol the
// way sqlitedb opens SQLite's, for many programs at once: durable at every
// commit, one writer at a time, many readers, a schema that only grows, and
// errors that say what a person can do.
//
// Writers of all programs take turns, as SQLite's do: a transaction that writes
// first updates the one row of the table writer, whose lock it keeps until it
// has committed. Before that it queues at an advisory lock, where the database has
// them: who waits for a row is overtaken by those who come when it is free. So what a statement has read cannot have changed when the
// next one writes, a number taken from a counter becomes visible after those
// before it, and no two writers deadlock. Functions that wait at the same time
// share such a turn; see Batch.
//
// What Write returned nil for survives the loss of the server, and of its disk
// where the server waits for a synchronous standby: each session has
// synchronous_commit on, and a commit that the server gave up waiting for is an
// error. A connection that is lost is made again by the next use; of several
// hosts in the URL it goes to the one that can be written.
//
// Only what Citus, YugabyteDB and CockroachDB speak as well is used, apart from
// what is left out where it is not there; docs/postgresql.md says what is known.
package postgresdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"posd/sqldb"
)

// Options say whose database it is.
type Options struct {
	// Program is who the database belongs to; one that another program made is
	// refused. It must not be empty.
	Program string
	// Readers is the number of connections that read at the same time; 0 means 4.
	Readers int
}

// DB is an open database. All its methods may be called at the same time.
type DB struct {
	name   string
	writer *sql.DB // nil if read only
	reader *sql.DB
	batch  *sqldb.Batcher
	close  sync.Once

	queue    string          // has writers take their turns in the order they came
	notifies bool            // whether the database has notifications
	listener *pgx.ConnConfig // for them
}

// String names the database, without user and password.
func (db *DB) String() string { return db.name }

var (
	errOpenedReadOnly = errors.New("the database was opened for reading only")
	errNotReplicated  = errors.New("the server gave up waiting for its standby: the change is not durable")
)

const (
	maxTries = 8                     // of a transaction that others got in the way of
	pause    = 20 * time.Millisecond // after the first of them, then more
)

// Write runs fn in a transaction of its own and commits it if fn returns nil;
// otherwise nothing of it remains. Writers of all programs wait for each other,
// for no longer than ctx lasts; once fn runs, the transaction is no longer cut
// short by ctx.
//
// What is tried again: a connection that was lost before fn began, and, where
// the database found that it cannot put transactions in an order (SQLSTATE 40001,
// 40P01), all of fn, which therefore has to begin anew at each call. What is not:
// a transaction whose connection was lost once fn ran. If that happens in the
// commit, the change may have been made: who asks again must find it, not make
// it twice.
func (db *DB) Write(ctx context.Context, fn func(*sql.Tx) error) error {
	return db.write(ctx, db.notifies, func(_ *sql.Conn, tx *sql.Tx) error { return fn(tx) })
}

func (db *DB) write(ctx context.Context, notify bool, fn func(*sql.Conn, *sql.Tx) error) error {
	if db.writer == nil {
		return fmt.Errorf("write %s: %w", db.name, errOpenedReadOnly)
	}
	turn := db.queue + `UPDATE writer SET turn = turn + 1`
	if notify {
		turn += "; NOTIFY " + channel // sent with the commit
	}
	for try := 1; ; try++ {
		err := db.transact(ctx, turn, fn)
		if !conflict(err) || try == maxTries || !wait(ctx, try) {
			return db.explain("write", err)
		}
	}
}

// wait lets others go first; it reports whether ctx still lasts.
func wait(ctx context.Context, try int) bool {
	timer := time.NewTimer(pause/2 + rand.N(pause<<try))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (db *DB) transact(ctx context.Context, turn string, fn func(*sql.Conn, *sql.Tx) error) error {
	conn, tx, err := db.begin(ctx, turn)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer tx.Rollback() // where fn panics
	if err = fn(conn, tx); err == nil {
		err = commit(conn, tx)
	}
	tx.Rollback()
	return lost(conn, err)
}

// begin takes the writer's turn. A connection that was lost in the meantime is
// made again: nothing was done on it yet.
func (db *DB) begin(ctx context.Context, turn string) (*sql.Conn, *sql.Tx, error) {
	for try := 1; ; try++ {
		conn, err := db.writer.Conn(ctx)
		if err != nil {
			return nil, nil, err
		}
		tx, err := conn.BeginTx(context.Background(), &sql.TxOptions{Isolation: sql.LevelReadCommitted})
		if err == nil {
			if _, err = tx.ExecContext(ctx, turn); err == nil {
				return conn, tx, nil
			}
			tx.Rollback()
		}
		err = lost(conn, err)
		conn.Close()
		if !errors.Is(err, errConnection) || try == 3 || ctx.Err() != nil {
			return nil, nil, err
		}
	}
}

// commit commits, and holds the server to its word: one that is told to stop
// waiting for its standby says "COMMIT" with a warning.
func commit(conn *sql.Conn, tx *sql.Tx) error {
	warned := false
	if err := onWarning(conn, func() { warned = true }); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	if err := onWarning(conn, nil); err != nil {
		return err
	}
	if warned {
		return errNotReplicated
	}
	return nil
}

// View runs fn in a read transaction: all its statements see the same state of
// the database, and none can change it.
func (db *DB) View(ctx context.Context, fn func(*sql.Tx) error) error {
	tx, err := db.reader.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return db.explain("read", err)
	}
	defer tx.Rollback()
	return db.explain("read", fn(tx))
}

// Read gives the readers for single statements. They cannot write.
func (db *DB) Read() *sql.DB { return db.reader }

// Batch is Write for many goroutines at once, which share a turn and a commit;
// see sqldb.Batcher. It is for what comes often, and wakes no listener.
func (db *DB) Batch(ctx context.Context, fn func(*sql.Tx) error) error { return db.batch.Do(ctx, fn) }

// Close waits for what is being written, then closes all connections.
func (db *DB) Close() error {
	var err error
	db.close.Do(func() {
		db.batch.Stop()
		err = db.reader.Close()
		if db.writer != nil {
			err = errors.Join(err, db.writer.Close())
		}
	})
	return db.explain("close", err)
}

// raw calls fn with the connection of a session.
func raw(conn *sql.Conn, fn func(*stdlib.Conn) error) error {
	return conn.Raw(func(c any) error {
		if c, ok := c.(*stdlib.Conn); ok {
			return fn(c)
		}
		return driver.ErrBadConn
	})
}

// onWarning has fn called for warnings of the server, until it is nil.
func onWarning(conn *sql.Conn, fn func()) error {
	return raw(conn, func(c *stdlib.Conn) error {
		c.Conn().PgConn().CustomData()[warningKey] = fn
		return nil
	})
}
