package postgresdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"posd/sqldb"
)

// writers is how many connections write: one has the turn, the next is ready.
const writers = 2

// Open opens the database at a URL for reading and writing, and brings its
// schema up to migrations; see sqldb.ReadMigrations. The database itself must
// exist, and be empty or this program's. Any number of programs may open it at
// the same time.
//
// A migration only adds; a program serves a database with later migrations than
// its own, unless one of them says in its first line
//
//	-- min_reader: N
//
// that a program must know at least migration N: then it is refused with
// sqldb.ErrNewer.
func Open(ctx context.Context, url string, migrations fs.FS, opt Options) (*DB, error) {
	db, steps, cfg, err := configure(url, migrations, opt)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db.writer = pool(cfg, writers, patience, session())
	if err := db.prepare(ctx, cfg, steps, opt.Program); err != nil {
		db.Close()
		return nil, fmt.Errorf("open database: %w", db.named(err))
	}
	return db, nil
}

// OpenReadOnly opens an existing database for a look at it, beside the services
// that write it. It changes nothing: a schema older than migrations is refused
// with sqldb.ErrOlder, and Write fails.
func OpenReadOnly(ctx context.Context, url string, migrations fs.FS, opt Options) (*DB, error) {
	db, steps, _, err := configure(url, migrations, opt)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := db.checkCurrent(ctx, steps, opt.Program); err != nil {
		db.Close()
		return nil, fmt.Errorf("open database: %w", db.named(err))
	}
	return db, nil
}

func configure(url string, migrations fs.FS, opt Options) (*DB, []sqldb.Migration, *pgx.ConnConfig, error) {
	if opt.Program == "" {
		return nil, nil, nil, errors.New("Options.Program must be given")
	}
	steps, err := sqldb.ReadMigrations(migrations)
	if err != nil {
		return nil, nil, nil, err
	}
	cfg, err := parse(url, opt)
	if err != nil {
		return nil, nil, nil, err
	}
	readers := opt.Readers
	if readers == 0 {
		readers = 4
	}
	db := &DB{name: name(cfg), listener: dialing(cfg, 0), reader: pool(cfg, readers, patience, session()+"; SET default_transaction_read_only = on")}
	db.batch = sqldb.NewBatcher(turns{db})
	return db, steps, cfg, nil
}

// named makes sure that an error of opening says which database it is about.
func (db *DB) named(err error) error {
	if classify(err) != nil {
		return db.explain("prepare", err)
	}
	return fmt.Errorf("%s: %w", db.name, err)
}

func (db *DB) prepare(ctx context.Context, cfg *pgx.ConnConfig, steps []sqldb.Migration, program string) error {
	if err := durable(ctx, db.reader); err != nil {
		return err
	}
	exists, err := checkOwner(ctx, db.reader, program)
	if err != nil {
		return err
	}
	// Migrations may take their time, and wait for those of another replica.
	slow := pool(cfg, 1, 0, "SET statement_timeout = 0")
	defer slow.Close()
	if !exists {
		if err := claim(ctx, slow, program); err != nil {
			return err
		}
	}
	if _, err = checkOwner(ctx, db.reader, program); err != nil {
		return err
	}
	migrating := &DB{name: db.name, writer: slow}
	if err := sqldb.Migrate(ctx, migrating.Write, steps); err != nil {
		return err
	}
	db.adapt(ctx, slow)
	return ctx.Err()
}

// queue is a lock that is given in the order it was asked for.
const queue = "SELECT pg_advisory_xact_lock(1886352228); " // "posd"

// adapt finds out what the database has that PostgreSQL's relatives may lack.
func (db *DB) adapt(ctx context.Context, q *sql.DB) {
	if _, err := q.ExecContext(ctx, queue); err == nil {
		db.queue = queue
	}
	_, err := q.ExecContext(ctx, "NOTIFY "+channel)
	db.notifies = err == nil
}

// claim marks an empty database as ours. Of several that do so at the same time,
// some are told that there is something of that name, and look again.
func claim(ctx context.Context, q *sql.DB, program string) error {
	statements := []string{
		`CREATE TABLE IF NOT EXISTS writer (
			one     INTEGER PRIMARY KEY CHECK (one = 1),
			program TEXT   NOT NULL,
			turn    BIGINT NOT NULL
		)`,
		sqldb.SchemaTable,
	}
	for _, statement := range statements {
		for try := 1; ; try++ {
			_, err := q.ExecContext(ctx, statement)
			if err == nil {
				break
			}
			if !existsAlready(err) && !conflict(err) || try == maxTries || !wait(ctx, try) {
				return err
			}
		}
	}
	_, err := q.ExecContext(ctx, `INSERT INTO writer (one, program, turn) VALUES (1, $1, 0) ON CONFLICT (one) DO NOTHING`, program)
	return err
}

// existsAlready says that somebody else was faster: IF NOT EXISTS is no lock.
func existsAlready(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "23505" || e.Code == "42P07" || e.Code == "42710")
}

// checkCurrent refuses what those who may not migrate cannot read.
func (db *DB) checkCurrent(ctx context.Context, steps []sqldb.Migration, program string) error {
	exists, err := checkOwner(ctx, db.reader, program)
	if err != nil {
		return err
	}
	version := 0
	if exists {
		err = db.View(ctx, func(tx *sql.Tx) error {
			version, err = sqldb.CheckSchema(tx, steps)
			return err
		})
	}
	if err != nil {
		return err
	}
	return sqldb.CheckCurrent(version, steps)
}
