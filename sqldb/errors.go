// Package sqldb is what the databases of the three programs have in common,
// whichever they run on (sqlitedb, postgresdb): what can be wrong with one, the
// numbered migrations of a schema, and commits that many share.
package sqldb

import "errors"

// What can be wrong with a database; every error that has to do with one of
// these wraps it. The packages of the databases add what a person can do where
// it is not the same for all.
var (
	ErrFull        = errors.New("the disk is full; make room on its file system, what was written before is intact")
	ErrReadOnly    = errors.New("it cannot be written")
	ErrLocked      = errors.New("another process holds it")
	ErrDamaged     = errors.New("it is damaged")
	ErrUnreachable = errors.New("it does not answer")
	ErrForeign     = errors.New("the database belongs to another program; check which one is named")
	ErrNewer       = errors.New("its schema is too new for this version; install the newer version again")
	ErrOlder       = errors.New("its schema has not been brought up to this version; start the service once")
)
