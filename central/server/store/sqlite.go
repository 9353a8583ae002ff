package store

import (
	"context"
	"embed"
	"io/fs"

	"posd/identity"
	"posd/sqlitedb"
)

//go:embed sqlite/*.sql
var sqliteSchema embed.FS

// applicationID marks central's SQLite files: "HHcd".
const applicationID = 0x48486364

// Open opens the SQLite database at path and makes it if it is not there. The service
// itself opens it with sole: another service on the same file is then refused,
// while commands may still read and write it.
func Open(ctx context.Context, path string, sole bool) (*SQL, error) {
	db, err := sqlitedb.Open(ctx, path, schema(), sqlitedb.Options{ApplicationID: applicationID, Sole: sole})
	if err != nil {
		return nil, err
	}
	return &SQL{db, identity.NewHHID}, nil
}

// OpenReadOnly opens an existing SQLite database for a look.
func OpenReadOnly(ctx context.Context, path string) (*SQL, error) {
	db, err := sqlitedb.OpenReadOnly(ctx, path, schema(), sqlitedb.Options{ApplicationID: applicationID})
	if err != nil {
		return nil, err
	}
	return &SQL{db, identity.NewHHID}, nil
}

func schema() fs.FS {
	sub, err := fs.Sub(sqliteSchema, "sqlite")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return sub
}
