package sqlitedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"

	"posd/sqldb"
)

// rowsPerInsert is how many rows an INSERT brings: more make it no faster.
const rowsPerInsert = 32

// While much is loaded, the log is written back less often, and pages that move as
// trees grow are not overwritten where they were: nothing was deleted. A larger cache
// makes indices no faster: what they are sorted in leaves the processor's.
const (
	forLoading = "PRAGMA foreign_keys=OFF; PRAGMA secure_delete=OFF; PRAGMA cache_size=-8000; PRAGMA wal_autocheckpoint=16384"
	asBefore   = "PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON; PRAGMA cache_size=-2000; PRAGMA wal_autocheckpoint=1000"
)

// Load is Write for very many rows: fn adds them with add, which does not look at
// foreign keys: they must be right. What fn deletes is not overwritten.
func (db *DB) Load(ctx context.Context, fn func(tx *sql.Tx, add sqldb.Loader) error) error {
	if db.writer == nil {
		return fmt.Errorf("write %s: %w", db.path, errOpenedReadOnly)
	}
	conn, err := db.writer.Conn(ctx)
	if err != nil {
		return fmt.Errorf("write %s: %w", db.path, err)
	}
	defer conn.Close()
	_, err = conn.ExecContext(context.Background(), forLoading)
	if err == nil {
		err = transact(conn, func(tx *sql.Tx) error {
			return fn(tx, func(table string, columns []string, rows iter.Seq[[]any]) error {
				return load(tx, table, columns, rows)
			})
		})
	}
	_, after := conn.ExecContext(context.Background(), asBefore)
	return db.explain("write", errors.Join(err, after))
}

func load(tx *sql.Tx, table string, columns []string, rows iter.Seq[[]any]) error {
	full, err := tx.Prepare(sqldb.InsertRows(table, columns, rowsPerInsert))
	if err != nil {
		return err
	}
	defer full.Close()
	args := make([]any, 0, rowsPerInsert*len(columns))
	for row := range rows {
		if args = append(args, row...); len(args) < cap(args) {
			continue
		}
		if _, err := full.Exec(args...); err != nil {
			return err
		}
		args = args[:0]
	}
	if len(args) == 0 {
		return nil
	}
	_, err = tx.Exec(sqldb.InsertRows(table, columns, len(args)/len(columns)), args...)
	return err
}
