package server

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"posd/sqlitedb"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks a database as a POS main computer's: "posm".
const applicationID = 0x706f736d

// SQLite is a Store in one SQLite database. Many lanes that wait for the disk
// share a commit.
type SQLite struct{ db *sqlitedb.DB }

var _ Store = (*SQLite)(nil)

// Open opens the log at path to serve it, and makes it if there is none; the
// folder must exist. Only one process may serve a log.
func Open(ctx context.Context, path string) (*SQLite, error) {
	db, err := sqlitedb.Open(ctx, path, migrations, sqlitedb.Options{ApplicationID: applicationID, Sole: true})
	if err != nil {
		return nil, err
	}
	s := &SQLite{db}
	if err := db.Write(ctx, initLog); err != nil {
		return nil, errors.Join(fmt.Errorf("open log: %w", err), db.Close())
	}
	return s, nil
}

// OpenReadOnly opens an existing log to look at it, while it is served or not.
func OpenReadOnly(ctx context.Context, path string) (*SQLite, error) {
	db, err := sqlitedb.OpenReadOnly(ctx, path, migrations, sqlitedb.Options{ApplicationID: applicationID})
	if err != nil {
		return nil, err
	}
	return &SQLite{db}, nil
}

// Close waits for what is being written.
func (s *SQLite) Close() error { return s.db.Close() }

// LogID reads the log's id.
func (s *SQLite) LogID(ctx context.Context) (id string, err error) {
	err = s.db.View(ctx, func(tx *sql.Tx) error { id, err = logID(tx); return err })
	return id, err
}

// Restored gives the log a new id.
func (s *SQLite) Restored(ctx context.Context) (string, error) {
	id := newLogID()
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec("UPDATE meta SET value = ? WHERE key = 'log_id'", id)
		return err
	})
	return id, err
}

func initLog(tx *sql.Tx) error {
	_, err := tx.Exec("INSERT INTO meta (key, value) VALUES ('log_id', ?) ON CONFLICT DO NOTHING", newLogID())
	return err
}

func logID(tx *sql.Tx) (id string, err error) {
	err = tx.QueryRow("SELECT value FROM meta WHERE key = 'log_id'").Scan(&id)
	return id, err
}

func newLogID() string {
	var id [16]byte
	rand.Read(id[:])
	return hex.EncodeToString(id[:])
}

// Times are kept in milliseconds.
func millis(t time.Time) int64   { return t.UnixMilli() }
func instant(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
