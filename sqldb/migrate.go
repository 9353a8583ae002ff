package sqldb

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Migration is one numbered step of a schema.
type Migration struct {
	Version   int
	Name      string // of its file
	MinReader int    // the least migration that a program must know to serve the result
	Checksum  string
	SQL       string
}

// SchemaTable makes the table in which a database keeps its migrations.
const SchemaTable = `CREATE TABLE IF NOT EXISTS schema (
	version    INTEGER PRIMARY KEY,
	name       TEXT NOT NULL,
	checksum   TEXT NOT NULL,
	min_reader INTEGER NOT NULL,
	applied_at TEXT NOT NULL
)`

// ReadMigrations gives the steps in order: every file of fsys named
// NNNN_name.sql, numbered from 0001 without gaps. A mistake here is one of the
// program, not of its user.
func ReadMigrations(fsys fs.FS) ([]Migration, error) {
	var steps []Migration
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(p) != ".sql" {
			return err
		}
		text, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		step, err := parseMigration(path.Base(p), string(text))
		steps = append(steps, step)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	slices.SortFunc(steps, func(a, b Migration) int { return a.Version - b.Version })
	for i, s := range steps {
		if s.Version != i+1 {
			return nil, fmt.Errorf("read migrations: %s stands where number %04d is due", s.Name, i+1)
		}
	}
	if len(steps) == 0 {
		return nil, errors.New("read migrations: there are none")
	}
	return steps, nil
}

func parseMigration(name, text string) (Migration, error) {
	number, _, ok := strings.Cut(name, "_")
	version, err := strconv.Atoi(number)
	if !ok || err != nil || len(number) != 4 {
		return Migration{}, fmt.Errorf("%s: the name must be NNNN_name.sql", name)
	}
	sum := sha256.Sum256([]byte(text))
	m := Migration{Version: version, Name: name, MinReader: 1, Checksum: hex.EncodeToString(sum[:]), SQL: text}
	first, _, _ := strings.Cut(text, "\n")
	if n, ok := strings.CutPrefix(first, "-- min_reader: "); ok {
		m.MinReader, err = strconv.Atoi(strings.TrimSpace(n))
		if err != nil || m.MinReader < 1 || m.MinReader > version {
			return Migration{}, fmt.Errorf("%s: min_reader must be a number from 1 to %d", name, version)
		}
	}
	return m, nil
}

// Migrate applies what is missing, each step in a transaction of its own. Two
// programs that start at once do not apply a step twice: write lets one writer
// in at a time.
func Migrate(ctx context.Context, write func(context.Context, func(*sql.Tx) error) error, steps []Migration) error {
	for _, step := range steps {
		if err := write(ctx, func(tx *sql.Tx) error { return apply(tx, steps, step) }); err != nil {
			return err
		}
	}
	return nil
}

func apply(tx *sql.Tx, steps []Migration, step Migration) error {
	version, err := CheckSchema(tx, steps)
	if err != nil || version >= step.Version {
		return err
	}
	if _, err := tx.Exec(step.SQL); err != nil {
		return fmt.Errorf("migration %s: %w", step.Name, err)
	}
	_, err = tx.Exec("INSERT INTO schema (version, name, checksum, min_reader, applied_at) VALUES ($1, $2, $3, $4, $5)",
		step.Version, step.Name, step.Checksum, step.MinReader, time.Now().UTC().Format(time.RFC3339))
	return err
}

type querier interface {
	Query(query string, args ...any) (*sql.Rows, error)
}

// CheckSchema gives the version that the database has, and refuses one that
// steps cannot serve.
func CheckSchema(q querier, steps []Migration) (version int, err error) {
	rows, err := q.Query("SELECT version, name, checksum, min_reader FROM schema ORDER BY version")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	known := len(steps)
	for rows.Next() {
		var m Migration
		if err := rows.Scan(&m.Version, &m.Name, &m.Checksum, &m.MinReader); err != nil {
			return 0, err
		}
		if m.MinReader > known {
			return 0, fmt.Errorf("%w (the database is at schema %d, %s; it can be served by programs that know schema %d or later; this one knows up to %d)",
				ErrNewer, m.Version, m.Name, m.MinReader, known)
		}
		if m.Version <= known && m.Checksum != steps[m.Version-1].Checksum {
			return 0, fmt.Errorf("its schema %d was made by another %s than this program's: a development version has written it; restore a backup", m.Version, m.Name)
		}
		version = m.Version
	}
	return version, rows.Err()
}

// CheckCurrent refuses a database that is at version, for those who may not
// migrate it.
func CheckCurrent(version int, steps []Migration) error {
	if version < len(steps) {
		return fmt.Errorf("%w (it is at schema %d, this program needs %d)", ErrOlder, version, len(steps))
	}
	return nil
}
