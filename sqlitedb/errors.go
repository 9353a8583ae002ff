package sqlitedb

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/mattn/go-sqlite3"

	"posd/sqldb"
)

var errOpenedReadOnly = errors.New("the database was opened for reading only")

// explain names the file and the operation, and wraps the sentinel that fits.
// Errors that are not SQLite's are the caller's own and pass as they are.
func (db *DB) explain(op string, err error) error { return explain(op, db.path, err) }

func explain(op, path string, err error) error {
	kind := classify(err)
	if kind == nil || errors.Is(err, kind) {
		return err
	}
	return fmt.Errorf("%s %s: %w%s (%w)", op, path, kind, advice(kind), err)
}

// advice is what a person can do about a file.
func advice(kind error) string {
	switch kind {
	case sqldb.ErrReadOnly:
		return "; check the owner and mode of the file and its folder, and that the file system is not mounted read-only"
	case sqldb.ErrLocked:
		return "; end that process, or try again"
	case sqldb.ErrDamaged:
		return ", or no SQLite database; move it aside together with its -wal file, keep it for inspection, and restore a backup or start afresh"
	}
	return ""
}

func classify(err error) error {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return classifyFile(err)
	}
	switch e.Code {
	case sqlite3.ErrFull:
		return sqldb.ErrFull
	case sqlite3.ErrReadonly, sqlite3.ErrPerm, sqlite3.ErrCantOpen, sqlite3.ErrAuth:
		return sqldb.ErrReadOnly
	case sqlite3.ErrBusy, sqlite3.ErrLocked, sqlite3.ErrProtocol:
		return sqldb.ErrLocked
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
		return sqldb.ErrDamaged
	case sqlite3.ErrIoErr:
		return classifyIO(e)
	}
	return nil
}

// classifyIO tells what the operating system had against a read or write.
func classifyIO(e sqlite3.Error) error {
	switch e.SystemErrno {
	case syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG:
		return sqldb.ErrFull
	case syscall.EROFS, syscall.EACCES, syscall.EPERM:
		return sqldb.ErrReadOnly
	}
	if e.ExtendedCode == sqlite3.ErrIoErrShortRead {
		return sqldb.ErrDamaged
	}
	return nil
}

func classifyFile(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return sqldb.ErrFull
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return sqldb.ErrReadOnly
	}
	return nil
}
