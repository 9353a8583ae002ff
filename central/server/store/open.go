package store

import (
	"context"
	"embed"
	"errors"
	"io/fs"

	"posd/identity"
	"posd/postgresdb"
	"posd/sqlitedb"
)

// Both folders hold the same migrations under the same names.
//
//go:embed sqlite/*.sql postgres/*.sql
var schemas embed.FS

const (
	applicationID = 0x48486364 // marks central's SQLite files: "HHcd"
	program       = "centrald" // marks its databases on a server
)

// Open opens central's database: the SQLite file at a path, which is made if it is
// not there, or the database at a URL, postgres://..., which must exist.
// The service itself opens a file with sole: another service on it is then refused,
// while commands may still read and write it. On a server any number of services
// may work.
func Open(ctx context.Context, name string, sole bool) (*SQL, error) {
	if postgresdb.IsURL(name) {
		db, err := postgresdb.Open(ctx, name, schema("postgres"), postgresdb.Options{Program: program})
		if err != nil {
			return nil, err
		}
		return &SQL{db, identity.NewHHID}, nil
	}
	db, err := sqlitedb.Open(ctx, name, schema("sqlite"), sqlitedb.Options{ApplicationID: applicationID, Sole: sole})
	if err != nil {
		return nil, err
	}
	s := &SQL{db, identity.NewHHID}
	if sole { // a bulk import may have been killed: a service needs its indices
		if err := s.buildIndices(ctx); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

// OpenReadOnly opens an existing database for a look.
func OpenReadOnly(ctx context.Context, name string) (*SQL, error) {
	if postgresdb.IsURL(name) {
		db, err := postgresdb.OpenReadOnly(ctx, name, schema("postgres"), postgresdb.Options{Program: program})
		if err != nil {
			return nil, err
		}
		return &SQL{db, identity.NewHHID}, nil
	}
	db, err := sqlitedb.OpenReadOnly(ctx, name, schema("sqlite"), sqlitedb.Options{ApplicationID: applicationID})
	if err != nil {
		return nil, err
	}
	return &SQL{db, identity.NewHHID}, nil
}

// OpenAt is Open with the first migrations only, as a program that knew no others would
// have made the database: a backup is restored into the schema that it was made of, and
// then brought up to the newest.
func OpenAt(ctx context.Context, name string, version int) (*SQL, error) {
	if postgresdb.IsURL(name) {
		db, err := postgresdb.Open(ctx, name, firstOf(schema("postgres"), version), postgresdb.Options{Program: program})
		if err != nil {
			return nil, err
		}
		return &SQL{db, identity.NewHHID}, nil
	}
	db, err := sqlitedb.Open(ctx, name, firstOf(schema("sqlite"), version), sqlitedb.Options{ApplicationID: applicationID, Sole: true})
	if err != nil {
		return nil, err
	}
	return &SQL{db, identity.NewHHID}, nil
}

// Newest is the number of the newest migration.
func Newest() int {
	all, err := fs.ReadDir(schema("sqlite"), ".")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return len(all)
}

// first is a folder's first files.
type first struct {
	fs.FS
	n int
}

func firstOf(folder fs.FS, n int) fs.FS { return first{folder, n} }

func (f first) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(f.FS, name)
	return all[:min(f.n, len(all))], err
}

func schema(dialect string) fs.FS {
	sub, err := fs.Sub(schemas, dialect)
	if err != nil {
		panic(err) // the folder is embedded
	}
	return sub
}
