package postgresdb

import (
	"context"
	"database/sql"
	"iter"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"posd/sqldb"
)

// Load is Write for very many rows: fn adds them with add, which copies them (COPY
// in the binary format, which CockroachDB and YugabyteDB speak as well).
func (db *DB) Load(ctx context.Context, fn func(tx *sql.Tx, add sqldb.Loader) error) error {
	return db.write(ctx, db.notifies, func(conn *sql.Conn, tx *sql.Tx) error {
		return fn(tx, func(table string, columns []string, rows iter.Seq[[]any]) error {
			next, stop := iter.Pull(rows)
			defer stop()
			return raw(conn, func(c *stdlib.Conn) error {
				_, err := c.Conn().CopyFrom(context.Background(), pgx.Identifier{table}, columns,
					pgx.CopyFromFunc(func() ([]any, error) {
						row, _ := next()
						return row, nil // nil ends it
					}))
				return err
			})
		})
	})
}
