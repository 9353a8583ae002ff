package sqlitedb

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/mattn/go-sqlite3"
)

// What can be wrong with a database; every error that has to do with one of
// these wraps it. Each text ends in what a person can do.
var (
	ErrFull     = errors.New("the disk is full; make room on its file system, what was written before is intact")
	ErrReadOnly = errors.New("it cannot be written; check the owner and mode of the file and its folder, and that the file system is not mounted read-only")
	ErrLocked   = errors.New("another process holds it; end that process, or try again")
	ErrDamaged  = errors.New("the file is damaged or no SQLite database; move it aside together with its -wal file, keep it for inspection, and restore a backup or start afresh")
	ErrForeign  = errors.New("the database belongs to another program; check the path")
	ErrNewer    = errors.New("its schema is too new for this version; install the newer version again")
	ErrOlder    = errors.New("its schema has not been brought up to this version; start the service once")
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
	return fmt.Errorf("%s %s: %w (%w)", op, path, kind, err)
}

func classify(err error) error {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return classifyFile(err)
	}
	switch e.Code {
	case sqlite3.ErrFull:
		return ErrFull
	case sqlite3.ErrReadonly, sqlite3.ErrPerm, sqlite3.ErrCantOpen, sqlite3.ErrAuth:
		return ErrReadOnly
	case sqlite3.ErrBusy, sqlite3.ErrLocked, sqlite3.ErrProtocol:
		return ErrLocked
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
		return ErrDamaged
	case sqlite3.ErrIoErr:
		return classifyIO(e)
	}
	return nil
}

// classifyIO tells what the operating system had against a read or write.
func classifyIO(e sqlite3.Error) error {
	switch e.SystemErrno {
	case syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG:
		return ErrFull
	case syscall.EROFS, syscall.EACCES, syscall.EPERM:
		return ErrReadOnly
	}
	if e.ExtendedCode == sqlite3.ErrIoErrShortRead {
		return ErrDamaged
	}
	return nil
}

func classifyFile(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return ErrFull
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return ErrReadOnly
	}
	return nil
}
