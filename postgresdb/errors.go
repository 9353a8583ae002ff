package postgresdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"posd/sqldb"
)

// errConnection marks the errors of a connection that is there no more.
var errConnection = errors.New("the connection was lost")

// lost marks err where the connection went with it; no transaction may be open
// on it. One that turns out not to be
// writable is given up as well, so that the next one goes to the new primary.
func lost(conn *sql.Conn, err error) error {
	if err == nil {
		return nil
	}
	closed, standby := false, classify(err) == sqldb.ErrReadOnly
	raw(conn, func(c *stdlib.Conn) error {
		if closed = c.Conn().IsClosed(); closed || standby {
			return driver.ErrBadConn // the pool drops it
		}
		return nil
	})
	if closed {
		return fmt.Errorf("%w: %w", errConnection, err)
	}
	return err
}

// explain names the database and the operation, and wraps the sentinel that
// fits. Errors that are not the database's are the caller's own and pass as they
// are.
func (db *DB) explain(op string, err error) error { return explain(op, db.name, err) }

func explain(op, name string, err error) error {
	kind := classify(err)
	if kind == nil || errors.Is(err, kind) {
		return err
	}
	return fmt.Errorf("%s %s: %w%s (%w)", op, name, kind, advice(kind), err)
}

// advice is what a person can do about a server.
func advice(kind error) string {
	switch kind {
	case sqldb.ErrReadOnly:
		return "; it is a standby, or the user may not write: name all hosts in the URL, and let the user own the database"
	case sqldb.ErrLocked:
		return "; there is more to write than the server can take, or somebody locks its tables: try again"
	case sqldb.ErrDamaged:
		return "; keep the server's files for inspection, and switch to a standby or restore a backup"
	case sqldb.ErrUnreachable:
		return "; check host, port, database, user and password, and that the server runs and lets this machine in"
	}
	return ""
}

// conflict reports whether a transaction may go well if it is run again.
func conflict(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01")
}

// classify tells what is wrong with the database; nil: nothing, or nothing that
// is told apart.
func classify(err error) error {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return classifyState(e.Code)
	}
	var failed *pgconn.ConnectError
	var network net.Error
	switch {
	case errors.As(err, &failed), errors.Is(err, errConnection), errors.Is(err, errNotReplicated),
		errors.Is(err, driver.ErrBadConn), errors.Is(err, io.ErrUnexpectedEOF):
		return sqldb.ErrUnreachable
	case errors.As(err, &network) && !errors.Is(err, context.DeadlineExceeded):
		return sqldb.ErrUnreachable
	}
	return nil
}

// classifyState knows PostgreSQL's error codes (its manual, appendix A).
func classifyState(code string) error {
	switch code {
	case "53100": // disk full
		return sqldb.ErrFull
	case "25006", "42501": // read-only transaction, insufficient privilege
		return sqldb.ErrReadOnly
	case "40001", "40P01", "55P03", "57014": // conflict, deadlock, lock not available, statement timeout
		return sqldb.ErrLocked
	case "XX001", "XX002", "58030": // data or index corrupted, input/output error
		return sqldb.ErrDamaged
	case "3D000", "53300": // no such database, too many connections
		return sqldb.ErrUnreachable
	}
	for _, class := range []string{"08", "28", "57P"} { // connection, authorization, shutdown
		if strings.HasPrefix(code, class) {
			return sqldb.ErrUnreachable
		}
	}
	return nil
}

// turns is what the batcher writes to.
type turns struct{ *DB }

func (t turns) Write(ctx context.Context, fn func(*sql.Tx) error) error {
	return t.write(ctx, false, func(_ *sql.Conn, tx *sql.Tx) error { return fn(tx) })
}

// Lost reports whether all of a transaction has to be run again.
func (turns) Lost(err error) bool { return conflict(err) }

func (t turns) Explain(op string, err error) error {
	if errors.Is(err, sql.ErrConnDone) {
		return fmt.Errorf("%s %s: %w", op, t.name, err)
	}
	return t.explain(op, err)
}
