package sqlitedb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"

	"posd/sqldb"
)

// Open opens the database at path for reading and writing, makes it if it is
// not there, and brings its schema up to migrations: every file of that file
// system named NNNN_name.sql, numbered from 0001 without gaps. The folder must
// exist.
//
// A migration only adds; a program serves a database with later migrations than
// its own, unless one of them says in its first line
//
//	-- min_reader: N
//
// that a program must know at least migration N: then it is refused with
// sqldb.ErrNewer.
func Open(ctx context.Context, path string, migrations fs.FS, opt Options) (*DB, error) {
	steps, err := sqldb.ReadMigrations(migrations)
	if err != nil {
		return nil, err
	}
	db, err := open(ctx, path, steps, opt)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return db, nil
}

// OpenReadOnly opens an existing database for a look at it, beside the service
// that writes it. It changes nothing: a schema older than migrations is refused
// with sqldb.ErrOlder, and Write fails.
func OpenReadOnly(ctx context.Context, path string, migrations fs.FS, opt Options) (*DB, error) {
	steps, err := sqldb.ReadMigrations(migrations)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("open database: %w", errors.Join(classifyFile(err), err))
	}
	db := newDB(path, opt)
	err = checkOwner(ctx, db.reader, opt.ApplicationID, false)
	if err == nil {
		err = checkCurrent(ctx, db.reader, steps)
	}
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("open database: %w", named(path, err))
	}
	return db, nil
}

func open(ctx context.Context, path string, steps []sqldb.Migration, opt Options) (*DB, error) {
	lock, err := acquire(path, opt.Sole)
	if err != nil {
		return nil, err
	}
	if err := createFile(path); err != nil {
		return nil, errors.Join(err, closeLock(lock))
	}
	db := newDB(path, opt)
	db.lock = lock
	db.writer = connect(path, "_txlock=immediate", 1)
	if err := db.prepare(ctx, steps, opt.ApplicationID); err != nil {
		db.Close()
		return nil, named(path, err)
	}
	return db, nil
}

// named makes sure that an error of opening says which file it is about.
func named(path string, err error) error {
	if classify(err) != nil {
		return explain("prepare", path, err)
	}
	return fmt.Errorf("%s: %w", path, err)
}

func newDB(path string, opt Options) *DB {
	readers := opt.Readers
	if readers == 0 {
		readers = 4
	}
	db := &DB{path: path, reader: connect(path, "_txlock=deferred&_query_only=1", readers)}
	db.batch = sqldb.NewBatcher(writer{db})
	return db
}

func (db *DB) prepare(ctx context.Context, steps []sqldb.Migration, applicationID int32) error {
	if applicationID == 0 {
		return errors.New("Options.ApplicationID must be given")
	}
	if err := patiently(ctx, func() error { return db.claim(ctx, applicationID) }); err != nil {
		return err
	}
	if err := db.migrate(ctx, steps); err != nil {
		return err
	}
	return tightenModes(db.path)
}

// claim marks an empty database as ours and turns the write-ahead log on.
func (db *DB) claim(ctx context.Context, applicationID int32) error {
	if err := checkOwner(ctx, db.writer, applicationID, true); err != nil {
		return err
	}
	var mode string
	if err := db.writer.QueryRowContext(ctx, "PRAGMA journal_mode=WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("the file system cannot hold a write-ahead log (journal mode is %s); use a local one", mode)
	}
	return nil
}

// patiently repeats what another program that opens the same new database holds
// up: SQLite does not wait by itself while the write-ahead log is turned on.
func patiently(ctx context.Context, do func() error) error {
	const pause, patience = 20 * time.Millisecond, 5 * time.Second
	for waited := time.Duration(0); ; waited += pause {
		err := do()
		if waited >= patience || !errors.Is(classify(err), sqldb.ErrLocked) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// checkOwner refuses the database of another program. An empty database is
// marked as ours if claim is set.
func checkOwner(ctx context.Context, q *sql.DB, want int32, claim bool) error {
	var have int32
	var objects int
	// One statement, so that both are of one moment: another program may be
	// making this very database.
	const both = "SELECT application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id()"
	if err := q.QueryRowContext(ctx, both).Scan(&have, &objects); err != nil {
		return err
	}
	if have == want {
		return nil
	}
	if have != 0 || objects != 0 || !claim {
		return fmt.Errorf("%w (application id %#x, not %#x)", sqldb.ErrForeign, uint32(have), uint32(want))
	}
	_, err := q.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id=%d", want))
	return err
}

// acquire takes the lock of a database that only one process may serve. The
// lock file stays where it is: removing it would let two processes each hold a
// lock on a file of that name.
func acquire(path string, sole bool) (*os.File, error) {
	if !sole {
		return nil, nil
	}
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, folderError(path, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w%s", path, sqldb.ErrLocked, advice(sqldb.ErrLocked))
	}
	return f, nil
}

func closeLock(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

// createFile makes an empty file for its owner alone; SQLite gives the -wal and
// -shm files the mode of the database. A file that exists is not opened here:
// closing it would drop the locks of other connections in this process.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return folderError(path, err)
	}
	if err := f.Close(); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func folderError(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: its folder does not exist; create it with mode 0700", path)
	}
	return explain("create", path, err)
}

// tightenModes takes the database from group and others.
func tightenModes(path string) error {
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			err = os.Chmod(name, 0o600)
		}
		if err != nil {
			return explain("protect", path, err)
		}
	}
	return nil
}

// connect gives a pool of connections. Nothing is opened yet.
func connect(path, params string, size int) *sql.DB {
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	file := url.URL{Scheme: "file", Path: abs}
	pool := sql.OpenDB(connector(file.String() + "?mode=rw&_mutex=no&_busy_timeout=5000&_synchronous=FULL" +
		"&_secure_delete=1&_foreign_keys=1&_stmt_cache_size=100&" + params))
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	return pool
}

// connector opens connections to one data source name; it spares a driver
// registered for the whole process.
type connector string

func (c connector) Driver() driver.Driver { return &sqlite3.SQLiteDriver{ConnectHook: harden} }

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.Driver().Open(string(c)) }

// harden keeps temporary tables and statement journals out of the file system,
// and does not trust a file that somebody else has changed.
func harden(c *sqlite3.SQLiteConn) error {
	_, err := c.Exec("PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON", nil)
	return err
}

// migrate applies what is missing.
func (db *DB) migrate(ctx context.Context, steps []sqldb.Migration) error {
	err := db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(sqldb.SchemaTable + " STRICT")
		return err
	})
	if err != nil {
		return err
	}
	return sqldb.Migrate(ctx, db.Write, steps)
}

// checkCurrent refuses what those who may not migrate cannot read.
func checkCurrent(ctx context.Context, q *sql.DB, steps []sqldb.Migration) error {
	tx, err := q.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var tables, version int
	err = tx.QueryRow("SELECT count(*) FROM sqlite_schema WHERE name = 'schema'").Scan(&tables)
	if err == nil && tables > 0 {
		version, err = sqldb.CheckSchema(tx, steps)
	}
	if err == nil {
		err = sqldb.CheckCurrent(version, steps)
	}
	return err
}
